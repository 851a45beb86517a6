"""Training programs as people write them by hand, and the ways in which they run one for many members.

They derive their keys as a sweep does, so that both give the same numbers: seed k has the key `fold_in(key(0), k)`, its
weights come from number 0 of that, epoch e from number e.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

__all__ = ["Arrays", "Plain", "Way", "shuffled", "ways_of", "whole"]

Arrays = dict[str, np.ndarray]
Way = Callable[[Sequence[float], int], Arrays]
"""`(values of the hyperparameter, number of seeds) -> metrics [values, seeds, ...]`."""


class Plain(NamedTuple):
    """A training in epochs, in the pieces that everybody writes.

    Attributes:
        init: `(key, value) -> carry`: weights, optimizer state and the like.
        update: `(carry, batch, key, value) -> (carry, metrics)`; `value` is the hyperparameter.
        test: `carry -> metrics` after an epoch.
        data: training arrays, examples first.
        batch: examples in an update; it divides their number.
        epochs: passes over them.
    """

    init: Callable[[jax.Array, Any], Any]
    update: Callable[[Any, Any, jax.Array, Any], tuple[Any, dict[str, Any]]]
    test: Callable[[Any], dict[str, Any]]
    data: Any
    batch: int
    epochs: int

    @property
    def examples(self) -> int:
        """Number of training examples."""
        return len(jax.tree.leaves(self.data)[0])


def shuffled(key: jax.Array, epoch: jax.Array, examples: int) -> jax.Array:
    """The order of an epoch, as everybody draws it."""
    del epoch
    return jax.random.permutation(key, examples)


def ways_of(plain: Plain) -> dict[str, Way]:
    """`vmap` of the whole training, a loop over it, and a loop over its updates."""
    return {**whole(_scanned(plain)), "loop over updates": _step_by_step(plain)}


def whole(train: Callable[[jax.Array, Any], Any]) -> dict[str, Way]:
    """The ways to run a function `train(key, value)`: compiled for one member, or mapped over all of them."""
    one, together = jax.jit(train), jax.jit(jax.vmap(jax.vmap(train, (0, None)), (None, 0)))

    def vmap(values: Sequence[float], seeds: int) -> Arrays:
        return dict(jax.device_get(together(_keys(seeds), jnp.asarray(values))))

    def loop(values: Sequence[float], seeds: int) -> Arrays:
        keys = _keys(seeds)
        return _stacked([[jax.device_get(one(keys[k], value)) for k in range(seeds)] for value in values])

    return {"vmap": vmap, "loop": loop}


def _keys(seeds: int) -> jax.Array:
    return jax.vmap(lambda seed: jax.random.fold_in(jax.random.key(0), seed))(jnp.arange(seeds))


def _stacked(rows: Any) -> Arrays:
    return {name: np.array([[metrics[name] for metrics in row] for row in rows]) for name in rows[0][0]}


def _batches(plain: Plain, key: jax.Array, epoch: Any) -> tuple[jax.Array, jax.Array]:
    """An epoch's batches, as rows `[updates, B]`, and the keys of what their updates draw."""
    own = jax.random.fold_in(key, epoch)
    rows = shuffled(own, epoch, plain.examples).reshape(-1, plain.batch)
    noise = jax.random.fold_in(own, 1)
    return rows, jax.vmap(lambda i: jax.random.fold_in(noise, i))(jnp.arange(len(rows)))


def _scanned(plain: Plain) -> Callable[[jax.Array, Any], Any]:
    """The whole training as one function of JAX: `scan` over the epochs, and in it over the updates."""

    def train(key: jax.Array, value: Any) -> Any:
        def update(carry: Any, given: tuple[jax.Array, jax.Array]) -> Any:
            rows, noise = given
            return plain.update(
                carry, jax.tree.map(lambda array: jnp.take(array, rows, axis=0), plain.data), noise, value
            )

        def epoch(carry: Any, number: jax.Array) -> Any:
            carry, seen = jax.lax.scan(update, carry, _batches(plain, key, number))
            return carry, {name: values.mean() for name, values in seen.items()} | plain.test(carry)

        carry = plain.init(jax.random.fold_in(key, 0), value)
        return jax.lax.scan(epoch, carry, jnp.arange(1, plain.epochs + 1))[1]

    return train


def _step_by_step(plain: Plain) -> Way:
    """Python's loops over members, epochs and batches around one compiled update."""
    init, update, test = jax.jit(plain.init), jax.jit(plain.update), jax.jit(plain.test)
    data = jax.tree.map(np.asarray, plain.data)

    @jax.jit
    def batches(key: jax.Array, number: int) -> Any:
        return _batches(plain, key, number)

    def train(key: jax.Array, value: float) -> Arrays:
        carry, curves = init(jax.random.fold_in(key, 0), value), []
        for number in range(1, plain.epochs + 1):
            seen = []
            rows, noise = jax.device_get(batches(key, number))
            for i, at in enumerate(rows):
                carry, metrics = update(carry, jax.tree.map(lambda array, at=at: array[at], data), noise[i], value)
                seen.append(metrics)
            means = {name: np.mean([metrics[name] for metrics in seen], dtype=np.float32) for name in seen[0]}
            curves.append(means | jax.device_get(test(carry)))
        return {name: np.array([metrics[name] for metrics in curves]) for name in curves[0]}

    def loop(values: Sequence[float], seeds: int) -> Arrays:
        keys = _keys(seeds)
        return _stacked([[train(keys[k], value) for k in range(seeds)] for value in values])

    return loop
