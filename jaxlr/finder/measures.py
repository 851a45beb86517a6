"""What the finder records of the weights along a short training."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from jaxlr._types import Metrics, PyTree
from jaxlr.tasks import Task

__all__ = ["EXAMPLES", "fixed_loss", "on_fixed_batch"]

EXAMPLES = 1024
"""Training examples of the fixed evaluation batch, at most."""


def on_fixed_batch(task: Task, params: PyTree, state: PyTree) -> Metrics:
    """`eval_loss`: the loss on the fixed evaluation batch."""
    return {"eval_loss": fixed_loss(task, params, state)}


def fixed_loss(task: Task, params: PyTree, state: PyTree) -> jax.Array:
    """The loss on up to 1,024 examples evenly spaced over the training data, without dropout."""
    count = min(task.examples, EXAMPLES)
    chosen = np.linspace(0, task.examples - 1, count).round().astype(np.int32)
    x, y = jax.tree.map(lambda array: jnp.take(array, chosen, axis=task.axis), (task.x, task.y))
    return task.loss(params, state, x, y, jnp.ones(count), None)[0]
