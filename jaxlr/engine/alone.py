"""One member alone, step by step in Python: to look at it with a debugger."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxlr import _checks
from jaxlr._types import Arrays, Hyperparameters, PyTree
from jaxlr.runs import as_run

if TYPE_CHECKING:
    from jaxlr.engine.sweeps import Trainable

__all__ = ["run_one"]


def run_one(
    run: Trainable, setting: Hyperparameters, seed: int = 0, *, key: jax.Array | None = None, jit: bool = True
) -> tuple[Arrays, PyTree]:
    """Train one setting with one seed, the way a sweep does it, one advance after the other.

    Args:
        run: what `sweep` takes.
        setting: hyperparameter -> value, such as `best(ds).setting`.
        seed: which seed of a sweep, from 0.
        key: the sweep's key, `jax.random.key(0)` by default.
        jit: compile an advance. Without it every operation runs by itself, so that a debugger stops where it is told
            to and values can be printed.

    Returns:
        The metrics, `[length, ...]` by name, equal to the sweep's up to rounding; and the carry at the end.

    Raises:
        TypeError, ValueError: the setting does not fit the run, or the seed is no count.

    >>> import optax
    >>> from jaxlr import experiment, tasks
    >>> metrics, carry = run_one(experiment(tasks.blobs(), optax.sgd, epochs=2), {"learning_rate": 0.1}, seed=3)
    >>> metrics["val_loss"].shape, int(carry.step)
    ((2,), 32)
    """
    _checks.count("seed", seed, minimum=0)
    given = as_run(run)
    given.check(setting)
    seed_key = jax.random.fold_in(jax.random.key(0) if key is None else key, seed)
    # Numbers are arguments, as in a sweep: folded in as constants they could round otherwise.
    numbers = {name: value for name, value in setting.items() if _is_traced(name, value, given.static_names)}
    fixed = {name: value for name, value in setting.items() if name not in numbers}

    def init(key: jax.Array, numbers: Hyperparameters) -> PyTree:
        return given.init(key, {**fixed, **numbers})

    def advance(carry: PyTree, seed_key: jax.Array, number: Any, numbers: Hyperparameters, *fed: PyTree) -> Any:
        return given.advance(carry, given.key_of(seed_key, number), {**fixed, **numbers}, *fed)

    if jit:
        init, advance = jax.jit(init), jax.jit(advance)
    carry, rows = init(jax.random.fold_in(seed_key, 0), numbers), []
    feed = itertools.repeat(()) if given.feed is None else _only(given.feed.read([seed], 0))
    for number, fed in zip(range(1, given.length + 1), feed, strict=False):
        carry, metrics = advance(carry, seed_key, jnp.int32(number), numbers, *fed)
        rows.append(metrics)
    return {name: np.stack([np.asarray(row[name]) for row in rows]) for name in rows[0]}, carry


def _only(fed: Iterator[PyTree]) -> Iterator[tuple[PyTree]]:
    """Of a single seed, as an advance takes it."""
    for one in fed:
        yield (jax.tree.map(lambda leaf: leaf[0], one),)


def _is_traced(name: str, value: Any, static_names: frozenset[str]) -> bool:
    return name not in static_names and isinstance(value, (int, float, np.floating)) and not isinstance(value, bool)
