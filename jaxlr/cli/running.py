"""What commands that train need: JAX set up, files that may be written, a bar, a profile, a process that draws."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from jaxlr.cli.app import collect_seldom

__all__ = ["Bar", "Cache", "Profile", "another_process", "print_profile", "set_up", "writable"]

Cache = Annotated[
    bool,
    typer.Option(
        "--cache/--no-cache",
        help="Keep compiled programs for the next run: in $JAX_COMPILATION_CACHE_DIR, or else in jaxlr in the "
        "user's cache folder.",
    ),
]
Profile = Annotated[bool, typer.Option("--profile", help="Print where the time went.")]

_WORTH_KEEPING = 0.1
"""Seconds of compiling from which a program is kept: reading one back takes up to 0.05 s."""


def set_up(cache: bool) -> None:
    """Let every CPU core be a device of its own, unless the user has set a number; keep compiled programs.

    This has to come before the first use of JAX.
    """
    import jax

    if jax.config.values["jax_num_cpu_devices"] < 1:
        jax.config.update("jax_num_cpu_devices", os.cpu_count() or 1)
    if not cache:
        jax.config.update("jax_enable_compilation_cache", False)
        return
    jax.config.update("jax_persistent_cache_min_compile_time_secs", _WORTH_KEEPING)
    if jax.config.values["jax_compilation_cache_dir"] is None:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jaxlr"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            print(f"jaxlr: compiled programs are not kept: {folder} ({error.strerror})", file=sys.stderr)
        else:
            jax.config.update("jax_compilation_cache_dir", str(folder))


@contextmanager
def another_process(*modules: str) -> Iterator[ProcessPoolExecutor]:
    """A process for what would keep the training waiting, such as drawing; it imports `modules` at once.

    A thread would not do: the training's host code waits for Python's lock each time (13.8 to 17.3 s for all
    studies, against the 10 s of drawing only after the training).
    """
    # Inherited by the process: an interrupt is for the command, which then waits for what was begun.
    interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
        pool.submit(_get_ready, modules)
    finally:
        signal.signal(signal.SIGINT, interrupt)
    try:
        yield pool
    except Exception:
        # Nobody wants what it does; a message should not wait for its imports.
        for process in multiprocessing.active_children():
            process.terminate()
        raise
    finally:
        pool.shutdown()


def _get_ready(modules: tuple[str, ...]) -> None:
    import jax

    collect_seldom()
    jax.config.update("jax_platforms", "cpu")  # the accelerators are the training's
    for module in modules:
        importlib.import_module(module)


def print_profile(datasets: Iterable[Any], began: float, other: Mapping[str, float]) -> None:
    """Print a table of where the seconds went.

    Args:
        datasets: results of sweeps, whose attributes tell.
        began: when the command began, by `time.perf_counter`.
        other: what else was timed, seconds by its name.
    """
    total = time.perf_counter() - began
    costs = [ds.attrs for ds in datasets]
    trace, compile_, run, host = (
        sum(cost.get(f"{name}_seconds", 0.0) for cost in costs) for name in ("trace", "compile", "run", "host")
    )
    rows = {"tracing": trace, "compiling": compile_, "training: devices": run - host, "training: host": host}
    for name, seconds in {**other, **rows, "in all (some overlap)": total}.items():
        print(f"{name:<24}{seconds:7.2f} s")


def writable(out: Path, files: list[str], force: bool) -> None:
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


class Bar:
    """A progress bar of epochs, drawn when the first are done."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._bar: Any = None

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
