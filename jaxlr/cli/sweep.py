"""`jaxlr sweep`: a first answer on one's own data without code."""

from __future__ import annotations

import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jaxlr.cli import arguments
from jaxlr.cli.app import app
from jaxlr.cli.arguments import Data, Kind, Model, Optimizer, Target
from jaxlr.cli.running import Bar, Cache, Profile, print_profile, set_up, writable

if TYPE_CHECKING:
    import xarray as xr

_RATES = "1e-4:1:25:log"
_ROWS = 60
_BEST_ROWS = 20


@app.command()
def sweep(
    data: Data = "blobs",
    target: Target = None,
    kind: Kind = None,
    model: Model = "50",
    optimizer: Optimizer = "sgd",
    lr: Annotated[
        str | None,
        typer.Option(help=f"Learning rates: 0.1, 0.1,0.01 or LOW:HIGH:N:log.  [default: {_RATES}]"),
    ] = None,
    momentum: Annotated[
        str | None, typer.Option(help="Momenta of sgd, or b1 of adam and its like, in the same forms.")
    ] = None,
    schedule: Annotated[
        str | None,
        typer.Option(help='A schedule of the step, such as "cosine_decay({lr}, 2000)"; {lr} is each learning rate.'),
    ] = None,
    seeds: Annotated[int, typer.Option(help="Trainings of every setting, with different weights and orders.")] = 8,
    epochs: Annotated[int, typer.Option(help="Passes over the training data.")] = 50,
    batch_size: Annotated[int, typer.Option(help="Examples in an update.")] = 32,
    store: Annotated[
        Path | None,
        typer.Option(
            help="A folder that holds what is finished: the same command goes on after an interrupt, and more rates, "
            "momenta or seeds train what is new.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="The curves (NetCDF); the figure goes beside it.")] = Path("run.nc"),
    force: Annotated[bool, typer.Option("--force", help="Replace files of an earlier run.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
    cache: Cache = True,
    profile: Profile = False,
) -> None:
    """Train a small network with every learning rate and momentum, each with every seed, and name the best.

    Prints a row for each setting and the best one by the validation loss, writes all curves into OUT and, with several
    learning rates, a figure of the final loss against the rate beside it. Features are standardised and, without
    test data, a fifth of the rows is kept for testing.
    """
    began = time.perf_counter()
    set_up(cache)
    from jaxlr import _checks, experiment
    from jaxlr import sweep as run_sweep

    for option, count in (("--seeds", seeds), ("--epochs", epochs), ("--batch-size", batch_size)):
        _checks.count(option, count)
    space, rates = _space(optimizer, lr, momentum, schedule)
    widths = arguments.widths("--model", model)
    figure = out.with_suffix(".png")
    if out.suffix != ".nc":
        raise ValueError(f"--out must be a file *.nc, got {out}")
    table, understood = arguments.loaded(data, target, kind)
    task = arguments.task_of(table, widths)
    run = experiment(task, _named, epochs=epochs, batch_size=batch_size)
    files = [out, figure] if len(rates) > 1 else [out]
    writable(out.parent, [file.name for file in files], force)
    if not quiet:
        typer.echo("\n".join(understood), err=True)
    imported = time.perf_counter()
    bar = Bar(quiet)
    ds = run_sweep(run, space, seeds=seeds, progress=bar, store=store).load()
    bar.close()
    trained = time.perf_counter()
    ds = _labelled(ds, rates, schedule)
    ds.attrs.update(data=data, model=model, command=f"jaxlr {shlex.join(sys.argv[1:])}")
    _report(ds, out)
    _write(ds, files, f"{Path(data).name}, {optimizer}")
    if profile:
        others = {"imports and data": imported - began, "figure and files": time.perf_counter() - trained}
        print_profile([ds], began, others)


def _named(optimizer: str, learning_rate: Any = None, **hyperparameters: Any) -> Any:
    """The optimizer of a text; its own rate where none is given."""
    from jaxlr import optimizers

    given = {} if learning_rate is None else {"learning_rate": learning_rate}
    return optimizers.named(optimizer)(**given, **hyperparameters)


def _space(optimizer: str, lr: str | None, momentum: str | None, schedule: str | None) -> tuple[Any, list[float]]:
    """The settings, and the learning rates in them; none where a schedule is fixed."""
    from jaxlr import _checks, grid, optimizers, schedules

    factory = optimizers.named(optimizer)
    axes: dict[str, Any] = {"optimizer": optimizer}
    if schedule is not None and "{lr}" not in schedule:
        if lr is not None:
            raise ValueError(f"--schedule must contain {{lr}} where --lr is given, got {schedule!r}")
        rates: list[float] = []
        axes["learning_rate"] = [schedules.parse(schedule)]
    else:
        rates = arguments.numbers("--lr", _RATES if lr is None else lr)
        if min(rates) <= 0:
            raise ValueError(f"--lr must hold positive rates, got {min(rates)}")
        texts = [] if schedule is None else [schedule.replace("{lr}", repr(rate)) for rate in rates]
        axes["learning_rate"] = [schedules.parse(text) for text in texts] or rates
    if momentum is not None:
        momenta = arguments.numbers("--momentum", momentum)
        for value in momenta:
            _checks.between("--momentum", value, 0, 1)
        axes[arguments.momentum_of(factory, optimizer)] = momenta
    return grid(**axes), rates


def _labelled(ds: xr.Dataset, rates: list[float], schedule: str | None) -> xr.Dataset:
    """With the rates as the axis where a schedule was made of each."""
    if schedule is None:
        return ds
    ds.attrs["schedule"] = schedule
    if not rates:
        return ds.rename(learning_rate="schedule")
    # All anew: a coordinate that is replaced alone becomes the last, and tables the odder for it.
    coords = {name: ds[name].variable for name in ds.coords}
    return ds.drop_vars(coords).assign_coords({**coords, "learning_rate": rates})


def _report(ds: xr.Dataset, out: Path) -> None:
    from jaxlr import best
    from jaxlr.plots import describe, number
    from jaxlr.results import table

    rows = table(ds)
    swept = [name for name in rows if name in ds.dims]
    scores = [name for name in ("val_loss", "val_accuracy", "loss") if name in rows]
    order = rows.sort_values("val_loss").index[:_BEST_ROWS] if len(rows) > _ROWS else rows.index
    shown = {describe(name): rows[name][order].map(number) for name in swept}
    for name in scores:
        spreads = rows[f"{name}_std"] if f"{name}_std" in rows else rows[name] * float("nan")
        shown[describe(name)] = [
            _score(mean, spread) for mean, spread in zip(rows[name][order], spreads[order], strict=True)
        ]
    shown["diverged"] = rows["diverged"][order]
    print(type(rows)(shown).to_string(index=False))
    if len(rows) > _ROWS:
        print(f"the {_BEST_ROWS} best of {len(rows)} settings; all are in {out}")
    try:
        print(f"best by {describe('val_loss')}: {best(ds)}")
    except ValueError as error:
        print(error)


def _score(mean: float, spread: float) -> str:
    """Mean and deviation; nothing where every seed diverged (NaN), the mean alone for one seed."""
    if mean != mean:
        return "-"
    return f"{mean:.4g}" if spread != spread else f"{mean:.4g} ± {spread:.2g}"


def _write(ds: xr.Dataset, files: list[Path], title: str) -> None:
    """The curves and, where there is a second file, the figure."""
    from jaxlr import plots
    from jaxlr.results import save

    save(ds, files[0], force=True)
    for figure in files[1:]:
        plots.final_against(ds, "learning_rate", title=title).savefig(figure)
    print(*files, sep="\n")
