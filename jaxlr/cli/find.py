"""`jaxlr find`: a learning rate for one's own data without code."""

from __future__ import annotations

import functools
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jaxlr.cli import arguments
from jaxlr.cli.app import app
from jaxlr.cli.arguments import Data, Kind, Model, Optimizer, Target
from jaxlr.cli.running import Cache, set_up, writable

if TYPE_CHECKING:
    from jaxlr.finder import FoundRate


@app.command()
def find(
    data: Data = "blobs",
    target: Target = None,
    kind: Kind = None,
    model: Model = "50",
    optimizer: Optimizer = "sgd",
    momentum: Annotated[float | None, typer.Option(help="Momentum of sgd, or b1 of adam and its like.")] = None,
    steps: Annotated[int, typer.Option(help="Updates of the range test and of each short training.")] = 100,
    seeds: Annotated[int, typer.Option(help="Trainings of each kind, with different weights and orders.")] = 8,
    batch_size: Annotated[int, typer.Option(help="Examples in an update.")] = 32,
    out: Annotated[Path | None, typer.Option(help="The range test (NetCDF); the figure goes beside it.")] = None,
    methods: Annotated[
        bool,
        typer.Option(
            "--methods",
            help="Print what each tool's method reads off the range test, too, and for sgd the largest rate that is "
            "stable at the initial weights, 2 (1 + momentum) / sharpness.",
        ),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace files of an earlier run.")] = False,
    cache: Cache = True,
) -> None:
    """Recommend a learning rate for a small network, with the range worth sweeping.

    A range test brackets the rate, short trainings at constant rates decide. The best rate depends on how long one
    trains: --steps near the planned number of updates is the safest. Writes the range test and the figure where OUT is
    given. Features are standardised; a fifth of the rows is left out, as in `jaxlr sweep`.
    """
    set_up(cache)
    import optax

    from jaxlr import _checks, find_lr, optimizers
    from jaxlr.finder import curvature

    for option, count in (("--steps", steps), ("--seeds", seeds), ("--batch-size", batch_size)):
        _checks.count(option, count, minimum=2 if option == "--steps" else 1)
    widths = arguments.widths("--model", model)
    make = optimizers.named(optimizer)
    if momentum is not None:
        _checks.between("--momentum", momentum, 0, 1)
        make = functools.partial(make, **{arguments.momentum_of(make, optimizer): momentum})
    if out is not None and out.suffix != ".nc":
        raise ValueError(f"--out must be a file *.nc, got {out}")
    table, understood = arguments.loaded(data, target, kind)
    task = arguments.task_of(table, widths)
    files = [] if out is None else [out, out.with_suffix(".png")]
    if out is not None:
        writable(out.parent, [file.name for file in files], force)
    typer.echo("\n".join(understood), err=True)
    found = find_lr(task, make, steps=steps, batch_size=batch_size, seeds=seeds)
    bounds = {}
    if methods and make.func in (optax.sgd, optimizers.sgd):
        stable = curvature.stability(task, momentum=make.keywords.get("momentum") or 0.0, seeds=seeds)
        bounds["largest stable rate, 2 (1 + momentum) / sharpness, at the initial weights"] = float(
            stable["largest_stable_rate"].median()
        )
    _report(found, bounds, methods)
    if files:
        _write(found, bounds, files, f"{Path(data).name}, {optimizer}")


def _report(found: FoundRate, bounds: dict[str, float], methods: bool) -> None:
    import pandas as pd

    print(found if found.recommendation is None else f"recommended  {found}")
    if found.recommendation is not None:
        print("The best rate depends on how long one trains: give --steps near the planned number of updates.")
    if not methods:
        return
    for name, rate in bounds.items():
        print(f"{name}: {rate:.2g}")
    rows = [{"method": name.replace("_", " "), **_words(spread)} for name, spread in found.suggestions.items()]
    print(pd.DataFrame(rows).to_string(index=False))


def _words(spread: Any) -> dict[str, str]:
    if spread.rate is None:
        return {"rate": "-", "10 to 90 %": spread.reason}
    return {"rate": f"{spread.rate:.2g}", "10 to 90 %": f"{spread.low:.2g} to {spread.high:.2g}"}


def _write(found: FoundRate, bounds: dict[str, float], files: list[Path], title: str) -> None:
    """The range test and the figure."""
    from jaxlr import plots
    from jaxlr.results import save

    curve = found.curve.assign_attrs(
        command=f"jaxlr {shlex.join(sys.argv[1:])}",
        recommendation=found.recommendation or float("nan"),
        confidence=found.confidence,
        reason=found.reason,
    )
    save(curve, files[0], force=True)
    short = {name.split(",")[0]: rate for name, rate in bounds.items()}
    plots.lr_range(found, bounds=short, title=title).savefig(files[1])
    print(*files, sep="\n")
