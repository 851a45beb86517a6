"""A training of some updates with a rate of its own for each: what the range test, the race and the curvature share.

Pure functions for one replica, to be swept. A replica's key gives its weights, its batches and its noise (dropout);
the evaluation batch is the same for all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxlr import _checks, wiring
from jaxlr.tasks import Task
from jaxlr.training import shuffle

__all__ = ["Same", "check", "evaluate", "initial", "inputs", "start", "updating"]

PyTree = Any
Carry = tuple[PyTree, PyTree, PyTree]
"""Weights, the model's mutable state, the optimizer's state."""

EXAMPLES = 1024
"""Training examples of the fixed evaluation batch, at most."""


class Same:
    """A task as a key of a cache: equal when every part is the very same object."""

    def __init__(self, task: Task) -> None:
        self.task = task

    def __hash__(self) -> int:
        return hash(tuple(map(id, self.task)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and all(a is b for a, b in zip(self.task, other.task, strict=True))


def check(task: Task, optimizer: Callable[..., Any], **counts: int) -> None:
    """Raise unless the task is one, the optimizer takes a learning rate and nothing else, and the counts are counts."""
    if not isinstance(task, Task):
        raise TypeError(f"task must be a jaxlr.tasks.Task, got {task!r}")
    if not callable(optimizer):
        raise TypeError(f"optimizer must be a function of learning_rate, got {optimizer!r}")
    for name, count in counts.items():
        _checks.count(name, count)
    wiring.check(wiring.wire(task, optimizer, None, None, 1), {"learning_rate": 0.1})


def initial(task: Task, key: jax.Array) -> tuple[PyTree, PyTree]:
    """A replica's weights and mutable state before the first update."""
    weights, _, _ = jax.random.split(key, 3)
    return task.init(weights), task.init_state(weights)


def start(task: Task, optimizer: Callable[..., Any], key: jax.Array, rate: jax.Array) -> Carry:
    """All that a training begins with."""
    params, state = initial(task, key)
    return params, state, _transformation(task, optimizer, rate).init(params)


def inputs(task: Task, key: jax.Array, rates: jax.Array, batch_size: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    """What the updates take one by one: the positions of each batch's examples, its rate, and its number.

    The batches are cut from shuffled passes over the data, one after the other, so all of them are full.

    Args:
        task: the task, of `N` examples.
        key: the replica's key.
        rates: learning rate of each update `[steps]`.
        batch_size: examples in a batch; N where it is more.

    Returns:
        Positions `[steps, batch_size]`, the rates and 0 to steps - 1.
    """
    _, order, _ = jax.random.split(key, 3)
    steps, size = len(rates), min(batch_size, task.examples)
    passes = -(-steps * size // task.examples)
    keys = jax.vmap(lambda i: jax.random.fold_in(order, i))(jnp.arange(passes))
    positions = jax.lax.map(lambda own: shuffle(own, task.examples), keys).reshape(-1)
    return positions[: steps * size].reshape(steps, size), rates, jnp.arange(steps)


def updating(task: Task, optimizer: Callable[..., Any], key: jax.Array) -> Callable[[Carry, Any], Any]:
    """A replica's update: `(carry, (positions, rate, number)) -> (carry, loss of the batch before it)`."""
    _, _, noise = jax.random.split(key, 3)

    def update(carry: Carry, batch: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[Carry, jax.Array]:
        params, state, opt_state = carry
        positions, rate, number = batch
        x, y = _examples(task, positions)
        own = jax.random.fold_in(noise, number)

        def loss(params: PyTree) -> tuple[jax.Array, PyTree]:
            value, _, new = task.loss(params, state, x, y, jnp.ones(len(positions)), own)
            return value, new

        (value, new), grads = jax.value_and_grad(loss, has_aux=True)(params)
        transformation = _transformation(task, optimizer, rate)
        opt_state = wiring.told(opt_state, transformation, params)
        updates, opt_state = transformation.update(grads, opt_state, params, value=value)
        return (optax.apply_updates(params, updates), new, opt_state), value

    return update


def evaluate(task: Task, params: PyTree, state: PyTree) -> jax.Array:
    """The loss on the fixed evaluation batch: examples evenly spaced over the training data."""
    count = min(task.examples, EXAMPLES)
    chosen = np.linspace(0, task.examples - 1, count).round().astype(np.int32)
    return task.loss(params, state, *_examples(task, chosen), jnp.ones(count), None)[0]


def _examples(task: Task, positions: Any) -> tuple[jax.Array, jax.Array]:
    x, y = (jnp.take(array, positions, axis=task.axis, mode="clip") for array in (task.x, task.y))
    return x, y


def _transformation(task: Task, optimizer: Callable[..., Any], rate: Any) -> optax.GradientTransformationExtraArgs:
    wired = wiring.wire(task, optimizer, None, None, 1)
    return wiring.transformation(wiring.parts(wired, {"learning_rate": rate}), None)[0]
