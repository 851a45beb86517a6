"""`jaxlr schedule`: schedules drawn, tabulated and reviewed from their text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jaxlr.cli.app import app
from jaxlr.cli.running import writable

group = typer.Typer(
    help='Learning-rate schedules from their text, such as "warmup(cosine_decay(0.1, 1000), 50)".',
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(group, name="schedule")

_ROWS = 21
_POINTS = 2001

Texts = Annotated[list[str], typer.Argument(help='Schedules, such as "linear(0.1, 1000)".', show_default=False)]
Steps = Annotated[int, typer.Option(help="Steps of the run.", show_default=False)]


@group.command()
def plot(
    schedules: Texts,
    steps: Steps,
    out: Annotated[Path, typer.Option(help="The figure to write; its ending says the format.")] = Path("schedule.png"),
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Draw the learning rate against the step."""
    at, curves = _curves(schedules, steps, _POINTS)
    writable(out.parent, [out.name], force)
    from jaxlr import plots

    plots.lines(curves, x=at).savefig(out)
    print(out)


@group.command()
def table(schedules: Texts, steps: Steps) -> None:
    """Print the learning rate at up to 21 steps, evenly spaced from the first to the last."""
    at, curves = _curves(schedules, steps, _ROWS)
    print("step", *curves, sep="\t")
    for i, step in enumerate(at):
        print(step, *(f"{curve[i]:.7g}" for curve in curves.values()), sep="\t")


@group.command()
def review(
    schedule: Annotated[str, typer.Argument(help='A schedule, such as "linear(0.1, 1000)".')],
    steps: Steps,
    fine_tuning: Annotated[bool, typer.Option("--fine-tuning", help="The model is trained already.")] = False,
) -> None:
    """Judge a schedule by the rules of thumb, with the numbers found."""
    from jaxlr import _checks, schedules

    _checks.count("--steps", steps)
    for advice in schedules.review(schedules.parse(schedule), steps, fine_tuning):
        print(f"{'ok  ' if advice.ok else 'look'}  {advice.rule}: {advice.message}")


def _curves(texts: list[str], steps: int, most: int) -> tuple[list[int], dict[str, list[float]]]:
    """Up to `most` evenly spaced steps, and each schedule's rates there."""
    import numpy as np

    from jaxlr import _checks, schedules

    _checks.count("--steps", steps)
    parsed = {text: schedules.parse(text) for text in texts}
    at = np.unique(np.linspace(0, steps - 1, min(steps, most)).round().astype(int))
    rates = {text: np.asarray(schedules.tabulate(one, steps))[at] for text, one in parsed.items()}
    return at.tolist(), {text: values.tolist() for text, values in rates.items()}
