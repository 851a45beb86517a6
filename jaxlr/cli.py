"""The command line: parse, call, print. No logic of its own.

JAX and everything heavy is imported inside the commands, so that `jaxlr --help` answers at once.
"""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

import jaxlr

app = typer.Typer(
    help="The learning-rate laboratory for JAX: whole grids of settings and seeds in one compiled program.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


# Typer does not name its base class of usage errors.
_USAGE_ERROR = typer.BadParameter.__mro__[1]


def main() -> None:
    """Run the command line: a bad argument is one line on stderr and exit code 2."""
    try:
        status = app(standalone_mode=False)
    except typer.Abort:
        status = 130
    except _USAGE_ERROR as error:
        message = error.format_message().rstrip(".")
        print(f"jaxlr: {message}; got: jaxlr {shlex.join(sys.argv[1:])}", file=sys.stderr)
        status = 2
    except (ValueError, TypeError, OSError) as error:
        print(f"jaxlr: {error}", file=sys.stderr)
        status = 2
    raise SystemExit(status)


def _version(wanted: bool) -> None:
    if wanted:
        print(jaxlr.__version__)
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    pass


@app.command()
def study(
    name: Annotated[
        str,
        typer.Argument(
            help="all, or one of: blobs, learning-rate, momentum, decay, plateau, optimizers, schedules."
        ),
    ],
    seeds: Annotated[int, typer.Option(help="Trainings of every setting, with different weights and orders.")] = 10,
    epochs: Annotated[int, typer.Option(help="Passes over the 500 training points; the claims are about 200.")] = 200,
    out: Annotated[Path, typer.Option(help="Folder for figures, curves and summary; made if missing.")] = Path(
        "jaxlr-results"
    ),
    force: Annotated[bool, typer.Option("--force", help="Replace files of an earlier run.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar; print the paths alone.")] = False,
) -> None:
    """Train the Keras tutorial's experiments on learning-rate dynamics and judge its claims.

    A small network learns to tell three blobs of points apart, with eight learning rates, four momenta, four decays,
    four patiences of reduce-on-plateau and four optimizers. Every setting trains with every seed, a whole study in
    one compiled program.

    Writes into OUT: every figure of the tutorial (PNG), the curves of each study as labelled arrays (NetCDF, to be
    read with `xarray.open_dataset`), and summary.md with the results beside the tutorial's claims.
    """
    _use_all_cores()
    from jaxlr import _checks, studies

    _checks.count("--seeds", seeds)
    _checks.count("--epochs", epochs)
    _checks.one_of("study", name, ("all", *studies.STUDIES))
    names = [one for one in studies.STUDIES if name in ("all", one)]
    _writable(out, studies.files(names), force)
    started = time.perf_counter()
    bar = _Bar(quiet)
    results = studies.run(names, seeds=seeds, epochs=epochs, report=bar)
    bar.close()
    paths = studies.write(results, out)
    for path in paths:
        print(path)
    if not quiet:
        compiling, running = (
            sum(ds.attrs.get(cost, 0.0) for ds in results.values()) for cost in ("compile_seconds", "run_seconds")
        )
        total = time.perf_counter() - started
        print(f"{compiling:.1f} s compiling, {running:.1f} s training, {total:.1f} s in all")


def _use_all_cores() -> None:
    """Let every CPU core be a device of its own; this has to come before the first use of JAX."""
    import jax

    jax.config.update("jax_num_cpu_devices", os.cpu_count() or 1)


def _writable(out: Path, files: list[str], force: bool) -> None:
    """Make the folder, and raise unless the files can be written there without loss."""
    if out.exists() and not out.is_dir():
        raise NotADirectoryError(f"--out must be a folder, got the file {out}")
    existing = [file for file in files if (out / file).exists()]
    if existing and not force:
        more = f" and {len(existing) - 1} more" if len(existing) > 1 else ""
        raise FileExistsError(f"{out / existing[0]}{more} exist; give another --out, or --force to replace them")
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise OSError(f"--out must be a folder that can be written, got {out} ({error.strerror})") from error


class _Bar:
    """A progress bar of epochs, made when the first are done."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._bar = None

    def __call__(self, done: int, total: int) -> None:
        if self._quiet:
            return
        if self._bar is None:
            from tqdm import tqdm

            self._bar = tqdm(total=total, unit=" epochs", unit_scale=True, desc="training")
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
