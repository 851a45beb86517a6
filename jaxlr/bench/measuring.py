"""Timing: pairs of a rival's run and a sweep's, the cost of a setting from one to many, the machine's own rate."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxlr import _checks, tasks
from jaxlr.bench import points as data
from jaxlr.bench.rivals import Rival
from jaxlr.spaces import grid
from jaxlr.sweeps import sweep
from jaxlr.training import Experiment, experiment

__all__ = ["FLOPS_EVALUATION", "FLOPS_UPDATE", "matmul_gflops", "run"]

FLOPS_UPDATE = 45e3
"""Arithmetic of an update: 32 examples through 2-50-3, forward and backward."""

FLOPS_EVALUATION = 250e3
"""Arithmetic of a test of 500 points."""

PAIRED = 256
"""Settings of the sweep that each rival is timed against."""


def run(
    settings: Sequence[int],
    rivals: Sequence[Rival],
    *,
    epochs: int = 200,
    repeats: int = 5,
    report: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Measure on this machine.

    Args:
        settings: numbers of settings to sweep, each with one seed.
        rivals: whom to time beside it, each in turn with a sweep of 256 settings.
        epochs: passes over the 500 training points.
        repeats: pairs for each rival, and sweeps of each size up to 256; larger ones are timed twice.
        report: told what is about to be measured.

    Returns:
        What can be written as JSON: `machine`, `epochs`, `matmul_gflops`, `scaling` (a row for each number of
        settings) and `rivals` (a row for each: its cost for one setting over that of a sweep of 256 settings, `ratio`,
        and over that of a sweep of one, `ratio_alone`).

    Raises:
        ValueError: no settings, or a count below 1.
    """
    for name, count in (("epochs", epochs), ("repeats", repeats), *(("settings", one) for one in settings)):
        _checks.count(name, count)
    if not settings:
        raise ValueError("settings must hold at least one number of settings, got none")
    training = experiment(tasks.blobs(), optax.sgd, epochs=epochs, batch_size=data.BATCH)
    report("the machine's matrix products")
    rate = matmul_gflops()
    work = epochs * (16 * FLOPS_UPDATE + FLOPS_EVALUATION)
    rows = []
    for count in settings:
        report(f"sweep of {count} settings")
        rows.append(_scale(training, count, repeats if count <= PAIRED else 2, work, rate))
    points = data.load()
    against = []
    for rival in rivals:
        report(rival.name)
        against.append(_pair(training, rival, points, epochs, repeats))
    return {
        "machine": _machine(),
        "epochs": epochs,
        "matmul_gflops": rate,
        "scaling": rows,
        "rivals": against,
    }


def matmul_gflops(size: int = 2048, repeats: int = 8) -> float:
    """The rate of float32 matrix products, all devices together: the best of some, in GFLOP/s.

    >>> matmul_gflops(64, 2) > 0
    True
    """
    devices = jax.local_devices()
    product = jax.jit(jnp.matmul)
    squares = [jax.device_put(jnp.ones((size, size), jnp.float32), device) for device in devices]

    def once() -> None:
        jax.block_until_ready([product(square, square) for square in squares])

    once()
    return len(devices) * 2e-9 * size**3 / min(_seconds(once) for _ in range(repeats))


def _scale(training: Experiment, count: int, repeats: int, work: float, rate: float) -> dict[str, Any]:
    """The cost of a setting in a sweep of `count`."""
    first = _sweep(training, min(count, PAIRED))  # larger sweeps are blocks of the same program
    seconds = [_seconds(lambda: _sweep(training, count)) for _ in range(repeats)]
    middle = statistics.median(seconds)
    return {
        "settings": count,
        "seconds": seconds,
        "ms_per_setting": 1e3 * middle / count,
        "settings_per_second": count / middle,
        "share_of_matmul": work * count / middle / (1e9 * rate),
        "chunk": first.attrs["chunk"],
        "trace_seconds": first.attrs["trace_seconds"],
        "compile_seconds": first.attrs["compile_seconds"],
    }


def _pair(training: Experiment, rival: Rival, points: data.Points, epochs: int, repeats: int) -> dict[str, Any]:
    """A rival and sweeps in turn: of 256 settings, and of as few as one where the rival trains one at a time."""
    train = rival.make(points, epochs)
    rates = _rates(rival.settings)
    accuracy = train(rates)
    # These have compiled and started processes; the pairs are without that, but for what is compiled in every run.
    _sweep(training, PAIRED)
    _sweep(training, 1)
    ours, theirs, alone = [], [], []
    for _ in range(repeats):
        theirs.append(_seconds(lambda: train(rates)) / rival.settings)
        ours.append(_seconds(lambda: _sweep(training, PAIRED)) / PAIRED)
        alone.append(statistics.median(_seconds(lambda: _sweep(training, 1)) for _ in range(5)))
    return {
        "name": rival.name,
        "version": _version(rival.package),
        "settings": rival.settings,
        "ms_per_setting": 1e3 * statistics.median(theirs),
        "best_accuracy": float(np.nanmax(accuracy)),
        "ratio": _spread([a / b for a, b in zip(theirs, ours, strict=True)]),
        "ratio_alone": _spread([a / b for a, b in zip(theirs, alone, strict=True)]),
    }


def _spread(ratios: list[float]) -> dict[str, float]:
    return {"median": statistics.median(ratios), "low": min(ratios), "high": max(ratios)}


def _rates(count: int) -> np.ndarray:
    """Learning rates that all train: from 0.001 to 0.1."""
    return np.geomspace(1e-3, 1e-1, count) if count > 1 else np.array([1e-2])


def _sweep(training: Experiment, count: int) -> Any:
    return sweep(training, grid(learning_rate=_rates(count)))


def _seconds(function: Callable[[], Any]) -> float:
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def _version(package: str) -> str:
    try:
        return version({"sklearn": "scikit-learn"}.get(package, package))
    except PackageNotFoundError:
        return ""


def _machine() -> dict[str, Any]:
    devices = jax.local_devices()
    return {
        "device": devices[0].device_kind,
        "backend": devices[0].platform,
        "devices": len(devices),
        "cores": os.cpu_count(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "jax": jax.__version__,
        "jaxlr": version("jaxlr"),
    }
