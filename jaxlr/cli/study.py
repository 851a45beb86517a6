"""`jaxlr study`: the tutorial's experiments."""

from __future__ import annotations

import itertools
import time
from concurrent.futures import Future
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jaxlr.cli.app import app
from jaxlr.cli.running import Bar, Cache, Profile, another_process, print_profile, set_up, writable

if TYPE_CHECKING:
    import xarray as xr


@app.command()
def study(
    name: Annotated[
        str,
        typer.Argument(help="all, or one of: blobs, learning-rate, momentum, decay, plateau, optimizers, schedules."),
    ],
    seeds: Annotated[int, typer.Option(help="Trainings of every setting, with different weights and orders.")] = 10,
    epochs: Annotated[int, typer.Option(help="Passes over the 500 training points; the claims are about 200.")] = 200,
    out: Annotated[Path, typer.Option(help="Folder for figures, curves and summary; made if missing.")] = Path(
        "jaxlr-results"
    ),
    force: Annotated[bool, typer.Option("--force", help="Replace files of an earlier run.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar; print the paths alone.")] = False,
    cache: Cache = True,
    profile: Profile = False,
) -> None:
    """Train the Keras tutorial's experiments on learning-rate dynamics and judge its claims.

    A small network learns to tell three blobs of points apart, with eight learning rates, four momenta,
    four decays, four patiences of reduce-on-plateau and four optimizers. Every setting trains with every
    seed, a whole study in one compiled program.

    Writes into OUT: every figure of the tutorial (PNG), the curves of each study as labelled arrays
    (NetCDF, to be read with `xarray.open_dataset`), and summary.md with the results beside the tutorial's
    claims.
    """
    began = time.perf_counter()
    # Drawing takes longer than training: another process draws a study's figures while the next ones are trained. It
    # begins before all else, since its imports take a second, too.
    with another_process("jaxlr.studies", "jaxlr.plots", "xarray") if name == "all" else nullcontext() as elsewhere:
        set_up(cache)
        from jaxlr import _checks, studies

        _checks.count("--seeds", seeds)
        _checks.count("--epochs", epochs)
        _checks.one_of("study", name, ("all", *studies.STUDIES))
        names = list(studies.STUDIES) if name == "all" else [name]
        writable(out, studies.files(names), force)
        imported = time.perf_counter()
        bar = Bar(quiet)
        # The last ones are drawn here: by then nothing else is left to do.
        there = studies.order(names)[:-2] if elsewhere else []
        drawn: dict[str, Future[list[Path]]] = {}

        def write(name: str, ds: xr.Dataset) -> None:
            if elsewhere and name in there:
                drawn[name] = elsewhere.submit(studies.write_study, name, ds, out)

        results = studies.run(names, seeds=seeds, epochs=epochs, report=bar, finished=write)
        bar.close()
        trained = time.perf_counter()
        here = {name: studies.write_study(name, results[name], out) for name in names if name not in there}
        summary = studies.write_summary(results, out)
        paths = [drawn[name].result() if name in drawn else here[name] for name in names]
    for path in [*itertools.chain(*paths), summary]:
        print(path)
    if not quiet:
        compiling, running = (
            sum(ds.attrs.get(cost, 0.0) for ds in results.values()) for cost in ("compile_seconds", "run_seconds")
        )
        total = time.perf_counter() - began
        print(f"{compiling:.1f} s compiling, {running:.1f} s training, {total:.1f} s in all")
    if profile:
        print_profile(
            results.values(), began, {"imports": imported - began, "figures, after": time.perf_counter() - trained}
        )
