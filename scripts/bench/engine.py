"""What the engine costs: `sweep` against the same training written by hand, and against the number of settings.

Run from the repository's root: python -m scripts.bench.engine [overhead|scaling]

overhead  one device; the hand-written program is `jit` over a `scan` of `vmap(vmap(run.advance))`, the same members,
          timed in turn with the sweep of the same block.
scaling   256 and 4,096 settings x 4 seeds on all cores: seconds for each setting, and the process's largest memory.
"""

from __future__ import annotations

import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxlr
from jaxlr import experiment, grid, optimizers, sweep, tasks

EPOCHS, SETTINGS, SEEDS, REPEATS = 200, 16, 4, 15


def by_hand(run: jaxlr.runs.Run, rates: jax.Array) -> Callable[[], Any]:
    """The block's training without the engine: one compiled function that returns its metrics."""

    def train() -> dict[str, jax.Array]:
        keys = jax.vmap(lambda seed: jax.random.fold_in(jax.random.key(0), seed))(jnp.arange(SEEDS))

        def init(key: jax.Array, rate: jax.Array) -> Any:
            return run.init(jax.random.fold_in(key, 0), {"learning_rate": rate})

        def advance(carry: Any, key: jax.Array, rate: jax.Array, number: jax.Array) -> Any:
            return run.advance(carry, run.key_of(key, number), {"learning_rate": rate})

        carry = jax.vmap(jax.vmap(init, (0, None)), (None, 0))(keys, rates)
        members = jax.vmap(jax.vmap(advance, (0, 0, None, None)), (0, None, 0, None))
        numbers = jnp.arange(1, EPOCHS + 1)
        return jax.lax.scan(lambda carry, number: members(carry, keys, rates, number), carry, numbers)[1]

    compiled = jax.jit(train).lower().compile()
    return lambda: jax.tree.map(np.asarray, compiled())


def seconds(function: Callable[[], Any]) -> float:
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def overhead() -> None:
    """Print the paired ratio of `sweep` to the hand-written program."""
    run = experiment(tasks.blobs(), optimizers.sgd, epochs=EPOCHS)
    rates = np.geomspace(1e-4, 1e-2, SETTINGS)
    hand = by_hand(run, jnp.asarray(rates, jnp.float32))

    def engine() -> Any:
        return sweep(run, grid(learning_rate=rates), seeds=SEEDS, chunk=SETTINGS * SEEDS, devices=1)

    difference = np.abs(np.moveaxis(hand()["loss"], 0, -1) - engine()["loss"].values).max()
    pairs = [(seconds(engine), seconds(hand)) for _ in range(REPEATS)]
    ratios = sorted(a / b for a, b in pairs)
    print(f"{SETTINGS} settings x {SEEDS} seeds x {EPOCHS} epochs, one device, {REPEATS} pairs")
    print(
        f"sweep {statistics.median(a for a, _ in pairs):.3f} s, by hand {statistics.median(b for _, b in pairs):.3f} s"
    )
    print(f"ratio: median {statistics.median(ratios):.3f}, from {ratios[0]:.3f} to {ratios[-1]:.3f}")
    print(f"largest difference of the losses: {difference:.1e}")


def scaling() -> None:
    """Print the cost of a setting at 256 and 4,096 settings, and the memory."""
    jax.config.update("jax_num_cpu_devices", os.cpu_count() or 1)
    run = experiment(tasks.blobs(), optimizers.sgd, epochs=EPOCHS)
    cost = {}
    sweep(run, grid(learning_rate=np.geomspace(1e-5, 1e-1, 256)), seeds=4)
    for settings in (256, 4096, 256):
        ds = sweep(run, grid(learning_rate=np.geomspace(1e-5, 1e-1, settings)), seeds=4)
        cost[settings] = min(cost.get(settings, np.inf), ds.attrs["run_seconds"] / settings)
        print(
            f"{settings} settings x 4 seeds: {ds.attrs['run_seconds']:.1f} s, {1e3 * cost[settings]:.2f} ms a setting"
        )
    print(f"cost of a setting at 4,096 over that at 256: {cost[4096] / cost[256]:.3f}")
    print(f"largest memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


if __name__ == "__main__":
    {"overhead": overhead, "scaling": scaling}[sys.argv[1] if len(sys.argv) > 1 else "overhead"]()
