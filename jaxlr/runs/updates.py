"""The update, and the evaluation: the only ones there are.

The learning rates of an advance's updates are data. A schedule, a plateau, a range test and a search differ in who
decides them, not in how they are used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxlr._types import Metrics, PyTree
from jaxlr.runs import wiring
from jaxlr.runs.batches import Batch, Batches, examples_at
from jaxlr.tasks import Task

__all__ = ["PER_UPDATE", "Trained", "evaluate", "updates"]

PER_UPDATE = ("gradient_norm", "update_ratio", "step_loss")
"""What can be recorded of every update."""

_AT_ONCE = 4096
"""Examples in one evaluation; more are taken in blocks, so that memory does not grow with the data."""


class Trained(NamedTuple):
    """What an update changes.

    Attributes:
        params: the weights.
        state: the model's mutable state; empty for none.
        opt_state: the optimizer's state.
    """

    params: PyTree
    state: PyTree
    opt_state: PyTree


def updates(
    parts: wiring.Parts, trained: Trained, batches: Batches, rates: Any, record: Sequence[str] = ()
) -> tuple[Trained, Metrics]:
    """Updates one after the other, each at its own learning rate.

    Args:
        parts: the task, and the optimizer as a function of the rate.
        trained: weights, state and optimizer state before them.
        batches: their examples.
        rates: their learning rates `[updates]`, or one for all; None where only the optimizer knows them.
        record: what to record of every update besides, of `PER_UPDATE`.

    Returns:
        What is trained, and the metrics: means over the examples, each batch before its update; `step_loss` for every
        update `[updates]`.
    """

    each = None if rates is None or jnp.ndim(rates) == 0 else rates

    def step(trained: Trained, given: tuple[Batch, Any]) -> tuple[Trained, tuple[Metrics, Metrics]]:
        batch, rate = given
        return _update(parts, trained, batch, rates if rate is None else rate, batches, record)

    def ready(given: tuple[Batch, Any]) -> tuple[Batch, Any]:
        batch, rate = given
        if isinstance(batch.examples, tuple):
            return batch, rate
        return batch._replace(examples=examples_at(parts.task, batch.examples)), rate

    full = len(batches.full.weight)
    trained, seen = _scan(step, ready, trained, (batches.full, None if each is None else each[:full]))
    if batches.last is not None:
        trained, more = step(trained, (batches.last, None if each is None else each[full]))
        seen = jax.tree.map(lambda values, value: jnp.append(values, value), seen, more)
    shares, recorded = seen
    metrics = {name: values.sum() for name, values in shares.items()}
    for name, values in recorded.items():
        metrics[name] = values if name == "step_loss" else values.mean()
    return trained, metrics


def _update(
    parts: wiring.Parts, trained: Trained, batch: Batch, rate: Any, batches: Batches, record: Sequence[str]
) -> tuple[Trained, tuple[Metrics, Metrics]]:
    """One update: what is trained after it, the metrics' shares of the mean, and what is recorded of it."""
    task = parts.task
    x, y = batch.examples
    key = batches.noise(batch.at)

    def loss(params: PyTree) -> tuple[jax.Array, tuple[Metrics, PyTree]]:
        value, metrics, state = task.loss(params, trained.state, x, y, batch.weight, key)
        return value, (metrics, state)

    (value, (metrics, state)), grads = jax.value_and_grad(loss, has_aux=True)(trained.params)
    # What a line search asks for, Optax's L-BFGS for one; the other optimizers leave it unread.
    search = {"value": value, "grad": grads, "value_fn": lambda params: loss(params)[0]}
    transformation, _ = wiring.transformation(parts, rate)
    opt_state = trained.opt_state if rate is None else wiring.told(trained.opt_state, transformation, trained.params)
    steps, opt_state = transformation.update(grads, opt_state, trained.params, **search)
    seen = {
        "gradient_norm": lambda: optax.tree.norm(grads),
        "update_ratio": lambda: optax.tree.norm(steps) / optax.tree.norm(trained.params),
        "step_loss": lambda: value,
    }
    recorded = {name: seen[name]() for name in record if name in seen}
    share = batch.weight.sum() / batches.total
    shares = {name: share.astype(metric.dtype) * metric for name, metric in {"loss": value, **metrics}.items()}
    return Trained(optax.apply_updates(trained.params, steps), state, opt_state), (shares, recorded)


def _scan(
    step: Callable[[Trained, Any], tuple[Trained, PyTree]],
    ready: Callable[[PyTree], Any],
    trained: Trained,
    given: PyTree,
) -> tuple[Trained, PyTree]:
    """`lax.scan`, with the batch made ready and handed on in the carry.

    As the scan's input, XLA on a CPU fuses the batch's slice into the first layer and loses the SIMD form: an update
    takes twice as long.
    """

    def body(loop: tuple[Trained, Any], following: Any) -> tuple[tuple[Trained, Any], PyTree]:
        trained, batch = loop
        trained, seen = step(trained, batch)
        return (trained, ready(following)), seen

    first = ready(jax.tree.map(lambda array: array[0], given))
    rolled = jax.tree.map(lambda array: jnp.roll(array, -1, axis=0), given)
    (trained, _), seen = jax.lax.scan(body, (trained, first), rolled)
    return trained, seen


def evaluate(task: Task, params: PyTree, state: PyTree, *, test: bool = False) -> Metrics:
    """Loss and metrics over all the training examples, or all the test examples."""
    if test:
        assert task.x_test is not None
        assert task.y_test is not None
        task = task._replace(x=task.x_test, y=task.y_test)
    n = task.examples

    def once(x: jax.Array, y: jax.Array, weight: jax.Array) -> Metrics:
        value, metrics, _ = task.loss(params, state, x, y, weight, None)
        return {"loss": value, **metrics}

    if n <= _AT_ONCE:
        return once(task.x, task.y, jnp.ones(n))
    positions = jnp.arange(n)

    def block(start: jax.Array) -> tuple[Metrics, jax.Array]:
        at = start + jnp.arange(_AT_ONCE)
        weight = (at < n).astype(jnp.float32)
        return once(*examples_at(task, jnp.minimum(at, n - 1)), weight), weight.sum() / n

    means, shares = jax.lax.map(block, positions[::_AT_ONCE])
    return {name: (values * shares.astype(values.dtype)).sum() for name, values in means.items()}
