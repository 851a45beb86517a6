"""How fast the blobs' training is on this machine: the cost of a setting, from one to thousands in a sweep."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxlr import _checks, tasks
from jaxlr.engine import sweep
from jaxlr.runs import Run, experiment
from jaxlr.spaces import grid

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "FLOPS_EVALUATION",
    "FLOPS_UPDATE",
    "PAIRED",
    "blobs_run",
    "matmul_gflops",
    "measure",
    "rates",
    "seconds_of",
    "sweep_of",
    "table",
]

FLOPS_UPDATE = 45e3
"""Arithmetic of an update: 32 examples through 2-50-3, forward and backward."""

FLOPS_EVALUATION = 250e3
"""Arithmetic of a test of 500 points."""

PAIRED = 256
"""Settings from which a sweep is blocks of one program."""


def measure(
    settings: Sequence[int],
    *,
    epochs: int = 200,
    repeats: int = 5,
    report: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Measure on this machine.

    Args:
        settings: numbers of settings to sweep, each with one seed.
        epochs: passes over the 500 training points.
        repeats: sweeps of each size up to 256; larger ones are timed twice.
        report: told what is about to be measured.

    Returns:
        What can be written as JSON: `machine`, `epochs`, `matmul_gflops`, and `scaling`, a row for each number of
        settings.

    Raises:
        ValueError: no settings, or a count below 1.
    """
    for name, count in (("epochs", epochs), ("repeats", repeats), *(("settings", one) for one in settings)):
        _checks.count(name, count)
    if not settings:
        raise ValueError("settings must hold at least one number of settings, got none")
    run = blobs_run(epochs)
    report("the machine's matrix products")
    rate = matmul_gflops()
    rows = []
    for count in settings:
        report(f"sweep of {count} settings")
        rows.append(_scale(run, count, repeats if count <= PAIRED else 2, rate))
    return {"machine": _machine(), "epochs": epochs, "matmul_gflops": rate, "scaling": rows}


def blobs_run(epochs: int) -> Run:
    """What is timed: 16 updates of up to 32 examples and a test in each epoch."""
    return experiment(tasks.blobs(), optax.sgd, epochs=epochs)


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
    return len(devices) * 2e-9 * size**3 / min(seconds_of(once) for _ in range(repeats))


def _scale(run: Run, count: int, repeats: int, rate: float) -> dict[str, Any]:
    """The cost of a setting in a sweep of `count`."""
    first = sweep_of(run, min(count, PAIRED))  # larger sweeps are blocks of the same program
    seconds = [seconds_of(lambda: sweep_of(run, count)) for _ in range(repeats)]
    middle = statistics.median(seconds)
    work = run.length * (16 * FLOPS_UPDATE + FLOPS_EVALUATION)
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


def rates(count: int) -> np.ndarray:
    """Learning rates that all train: from 0.001 to 0.1."""
    return np.geomspace(1e-3, 1e-1, count) if count > 1 else np.array([1e-2])


def sweep_of(run: Run, count: int) -> xr.Dataset:
    """So many settings in one sweep."""
    return sweep(run, grid(learning_rate=rates(count)))


def seconds_of(function: Callable[[], Any]) -> float:
    """How long a call takes."""
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


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


def table(result: Mapping[str, Any]) -> str:
    """The measurements of `measure` as a table in Markdown.

    >>> machine = {"device": "cpu", "devices": 2, "cores": 2, "jax": "0.10.2"}
    >>> row = {"settings": 256, "settings_per_second": 200.0, "ms_per_setting": 5.0, "share_of_matmul": 0.21}
    >>> result = {"machine": machine, "epochs": 200, "matmul_gflops": 150.0, "scaling": [row]}
    >>> print(table(result).splitlines()[-1])
    | 256 | 5.00 | 200 | 21.0 % |
    """
    machine = result["machine"]
    lines = [
        f"{machine['device']}, {machine['devices']} devices, {machine['cores']} cores, JAX {machine['jax']}; "
        f"{result['epochs']} epochs; matrix products {result['matmul_gflops']:.0f} GFLOP/s",
        "",
        "| settings | ms a setting | settings a second | share of the matrix-product rate |",
        "|---:|---:|---:|---:|",
    ]
    for row in result["scaling"]:
        lines.append(
            f"| {row['settings']:,} | {row['ms_per_setting']:.2f} | {row['settings_per_second']:.0f} "
            f"| {100 * row['share_of_matmul']:.1f} % |"
        )
    return "\n".join(lines)
