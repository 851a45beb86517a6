"""Sweeps into a store that are killed at random moments and started again.

`python -m tests.support.killed KIND STORE` runs one of three kinds: an experiment with static groups, a user's
function, a user's pair of functions. It says `importing` when it begins and `training` when the first segment is done.
"""

from __future__ import annotations

import itertools
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr

import jaxlr
from tests.support import command

__all__ = ["KINDS", "Kill", "kills", "swept"]

KINDS = ("experiment", "function", "pair")
_RATES = [float(f"{rate:.3g}") for rate in np.geomspace(1e-3, 0.3, 12)]


def _experiment() -> tuple[Any, jaxlr.Space]:
    x = np.random.default_rng(0).normal(size=(64, 2)).astype(np.float32)
    model = (lambda key: jax.random.normal(key, (2, 2)), lambda params, x: x @ params)
    task = jaxlr.tasks.classification(model, x, np.arange(64) % 2, x[:10], np.arange(10) % 2)
    run = jaxlr.experiment(task, lambda name, learning_rate: getattr(optax, name)(learning_rate), epochs=80)
    return run, jaxlr.grid(name=["sgd", "adam"], learning_rate=_RATES[:6])


def _function() -> tuple[Any, jaxlr.Space]:
    def train(key: jax.Array, lr: jax.Array) -> dict[str, jax.Array]:
        noise = jax.random.normal(key, (100,))
        return {"loss": jax.lax.scan(lambda w, z: (w - lr * (w + z), w**2), 1.0 + 0 * lr, noise)[1]}

    return train, jaxlr.grid(lr=[*_RATES, 1e30])


def _pair() -> tuple[Any, jaxlr.Space]:
    def init(key: jax.Array, hp: Any) -> Any:
        return jax.random.normal(key, (1000,)), key

    def advance(carry: Any, key: jax.Array, hp: Any) -> Any:
        w, own = carry
        w = w - hp["lr"] * (w + 0.1 * jax.random.normal(own, (1000,)))
        return (w, jax.random.fold_in(own, 1)), {"loss": (w**2).sum(), "largest": jnp.abs(w).max()}

    return jaxlr.run(init, advance, length=120), jaxlr.grid(lr=_RATES)


def swept(kind: str, store: Path | None, **more: Any) -> xr.Dataset:
    """The sweep of that kind, in blocks of 2 settings x 2 seeds."""
    run, space = {"experiment": _experiment, "function": _function, "pair": _pair}[kind]()
    how: dict[str, Any] = {"seeds": 3, "chunk": 4, "devices": 1, "segment": 8, **more}
    return jaxlr.sweep(run, space, store=store, **how)


class Kill(NamedTuple):
    """A process that was killed, or that ended by itself.

    Attributes:
        kind: of the sweep.
        phase: what it was about: "importing" or "training".
        seconds: how long after the phase began.
        ended: it was done before.
    """

    kind: str
    phase: str
    seconds: float
    ended: bool


def kills(kind: str, store: Path, cache: Path, chance: random.Random, longest: float = 1.5) -> Iterator[Kill]:
    """Start the sweep again and again, each process killed at a random moment, until one ends.

    Each may live a little longer than the one before: on a busy machine none would come to a save.

    Raises:
        AssertionError: a process failed by itself.
    """
    for attempt in itertools.count():
        phase = chance.choice(["importing", "training", "training", "training"])
        wait = chance.uniform(0, longest * (1 + attempt / 5))
        environment = {"PYTHONPATH": str(command.ROOT), "JAX_COMPILATION_CACHE_DIR": str(cache)}
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.killed", kind, str(store)],
            env={**command.os.environ, **environment},
            cwd=command.ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip() == phase:
                break
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        _, errors = process.communicate()
        assert process.returncode in (0, -signal.SIGKILL), errors
        yield Kill(kind, phase, wait, process.returncode == 0)
        if process.returncode == 0:
            return


def _main(kind: str, store: Path) -> None:
    print("importing", flush=True)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    told = False

    def progress(done: int, total: int) -> None:
        nonlocal told
        if not told:
            print("training", flush=True)
            told = True
        time.sleep(0.01)

    swept(kind, store, save_every=0.05, progress=progress)


if __name__ == "__main__":
    _main(sys.argv[1], Path(sys.argv[2]))
