"""What a store costs: the same sweep with and without one, in turn.

Run from the repository's root: python -m scripts.bench.store [paired|million]

paired   the blobs (a state of some kilobytes) and a convolutional net (megabytes), at the defaults; and both with the
         state in flight saved every second, which is 60 times as often.
million  10^6 settings x 1 seed x 20 epochs of a small training: seconds, the largest memory, the files, and what
         opening the result, its best setting and a figure take.
"""

from __future__ import annotations

import itertools
import os
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxlr
from jaxlr import experiment, grid, optimizers, sweep, tasks
from jaxlr.results import final

PAIRS = 9


def _blobs() -> tuple[Any, jaxlr.Space, int]:
    run = experiment(tasks.blobs(), optimizers.sgd, epochs=200)
    return run, grid(learning_rate=np.geomspace(1e-4, 1e-1, 64)), 4


def _convolutions() -> tuple[Any, jaxlr.Space, int]:
    """Two convolutions and a dense layer of 270,000 weights, with Adam: 3 MB a member."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(128, 14, 14, 1)).astype(np.float32), rng.integers(0, 10, 128)

    def init(key: jax.Array) -> Any:
        keys = jax.random.split(key, 4)
        shapes = {"a": (3, 3, 1, 16), "b": (3, 3, 16, 32), "c": (7 * 7 * 32, 160), "d": (160, 10)}
        return {
            name: 0.05 * jax.random.normal(one, shape) for one, (name, shape) in zip(keys, shapes.items(), strict=True)
        }

    def apply(params: Any, x: jax.Array) -> jax.Array:
        for name, stride in (("a", 1), ("b", 2)):
            dimensions = ("NHWC", "HWIO", "NHWC")
            x = jax.lax.conv_general_dilated(x, params[name], (stride,) * 2, "SAME", dimension_numbers=dimensions)
            x = jnp.maximum(x, 0)
        return jnp.maximum(x.reshape(len(x), -1) @ params["c"], 0) @ params["d"]

    run = experiment(tasks.classification((init, apply), x, y, x[:32], y[:32]), optax.adam, epochs=4)
    return run, grid(learning_rate=np.geomspace(1e-4, 1e-2, 16)), 2


def _seconds(function: Callable[[], Any]) -> float:
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


class _Spent(NamedTuple):
    """Seconds by the clock, and of all cores: what else runs on the machine changes the second less."""

    clock: float
    cores: float


def _spent(function: Callable[[], Any]) -> _Spent:
    cores, clock = time.process_time(), _seconds(function)
    return _Spent(clock, time.process_time() - cores)


def paired() -> None:
    """Print the ratio of a sweep with a store to one without, a row for each sweep."""
    print(
        "| sweep | without, s | ratio by the clock: median | lowest to highest | by cores: median | lowest to highest |"
    )
    print("|---|---:|---:|---:|---:|---:|")
    for name, make, often in (("blobs", _blobs, 20), ("convolutions", _convolutions, 1)):
        run, space, seeds = make()
        _row(name, run, space, seeds, {})
        _row(f"{name}, saved every second", run, space, seeds, {"save_every": 1.0, "segment": often})


def _row(name: str, run: Any, space: jaxlr.Space, seeds: int, how: dict[str, Any]) -> None:
    alone = {key: value for key, value in how.items() if key == "segment"}
    with tempfile.TemporaryDirectory() as folder:
        count = itertools.count()

        def stored() -> None:
            sweep(run, space, seeds=seeds, store=Path(folder) / str(next(count)), **how)

        def plain() -> None:
            sweep(run, space, seeds=seeds, **alone)

        plain()
        stored()  # imports, and compiles nothing
        pairs = []
        for i in range(PAIRS):
            order = (stored, plain) if i % 2 else (plain, stored)
            spent = [_spent(one) for one in order]
            pairs.append(spent[::-1] if i % 2 else spent)
    words = [f"{statistics.median(one.clock for one, _ in pairs):.2f}"]
    for which in ("clock", "cores"):
        ratios = sorted(getattr(with_, which) / getattr(without, which) for without, with_ in pairs)
        words += [f"{statistics.median(ratios):.3f}", f"{ratios[0]:.3f} to {ratios[-1]:.3f}"]
    print(f"| {name} | {' | '.join(words)} |", flush=True)


def million(settings: int = 10**6) -> None:
    """Print what a sweep of a million settings takes, and what its result takes."""

    def init(key: jax.Array, hp: Any) -> jax.Array:
        return jax.random.normal(key, (4,))

    def advance(w: jax.Array, key: jax.Array, hp: Any) -> Any:
        w = w - hp["lr"] * (w + hp["noise"] * jax.random.normal(key, (4,)))
        return w, {"loss": (w**2).sum()}

    axes = {"lr": jaxlr.spaces.log_uniform(1e-3, 1), "noise": jaxlr.spaces.uniform(0, 0.1)}
    space = jaxlr.sampled(settings, **axes)
    folder = Path(tempfile.mkdtemp())
    began = time.perf_counter()
    ds = sweep(jaxlr.run(init, advance, length=20), space, store=folder / "s", chunk=1024)
    print(f"{settings:,} settings x 1 seed x 20 epochs: {time.perf_counter() - began:.0f} s")
    _memory("after the sweep")
    files = [path for path in (folder / "s").rglob("*") if path.is_file()]
    print(f"{len(files)} files, {sum(path.stat().st_size for path in files) / 2**20:.0f} MiB")
    print(f"opened in {_seconds(lambda: jaxlr.open(folder / 's')):.2f} s")
    ds = jaxlr.open(folder / "s")
    print(f"best in {_seconds(lambda: print(jaxlr.best(ds))):.2f} s")
    print(f"table in {_seconds(lambda: jaxlr.table(ds)):.2f} s")
    print(f"figure in {_seconds(lambda: _figure(ds, folder / 'f.png')):.2f} s")
    _memory("in the end")
    shutil.rmtree(folder)


def _figure(ds: Any, path: Path) -> None:
    """The final loss against the rate: one point for each setting."""
    from matplotlib.figure import Figure

    figure = Figure()
    axes = figure.subplots()
    axes.plot(ds["lr"], final(ds, "loss").isel(seed=0), ",")
    axes.set(xscale="log", yscale="log", xlabel="learning rate", ylabel="final loss")
    figure.savefig(path)


def _memory(when: str) -> None:
    print(f"largest memory {when}: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB", flush=True)


if __name__ == "__main__":
    jax.config.update("jax_num_cpu_devices", os.cpu_count() or 1)
    {"paired": paired, "million": million}[sys.argv[1] if len(sys.argv) > 1 else "paired"](*map(int, sys.argv[2:]))
