"""What a task is: a model, its loss, and the data to train and test it on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import jax

from jaxlr._types import PyTree

if TYPE_CHECKING:
    from jaxlr.tasks.reading import Stream

__all__ = ["Objective", "Task", "mean_loss"]

Objective: TypeAlias = Callable[..., tuple[jax.Array, dict[str, jax.Array]]]
"""`(outputs, y) -> (losses [B], metrics [B] by name)`."""


def _stateless(key: jax.Array) -> PyTree:
    del key
    return ()


class Task(NamedTuple):
    """What is trained: pure functions and arrays.

    Attributes:
        init: `key -> params`, the initial weights.
        loss: `(params, state, x, y, weight, key) -> (loss, metrics, state)`. `weight [B]` counts the examples of a
            padded batch (1 or 0); the loss and each metric are weighted means, scalars. `key` is None when evaluating
            (no dropout, running averages as they are) and a PRNG key when training.
        x: training inputs, examples along `axis`; an array or a tree of them.
        y: training targets, examples along `axis`, likewise.
        x_test: test inputs, or None.
        y_test: test targets, or None.
        axis: the examples' axis of all four arrays: 0, or -1 for feature-major data.
        init_state: `key -> state`, the initial mutable state (batch statistics, ...); `()` for none.
        name: a word for tables and attributes.
        apply: `(params, state, x, key) -> (outputs, state)`, the model alone; None where it is not known. With it an
            experiment can be given an objective of its own.
        stream: where training batches are read from; None where `x` and `y` are all the data there are.
    """

    init: Callable[[jax.Array], PyTree]
    loss: Callable[..., tuple[jax.Array, dict[str, jax.Array], PyTree]]
    x: PyTree
    y: PyTree
    x_test: PyTree = None
    y_test: PyTree = None
    axis: int = 0
    init_state: Callable[[jax.Array], PyTree] = _stateless
    name: str = "task"
    apply: Callable[..., tuple[Any, PyTree]] | None = None
    stream: Stream | None = None

    @property
    def examples(self) -> int:
        """Number of training examples."""
        return int(jax.tree.leaves(self.x)[0].shape[self.axis])


def mean_loss(
    apply: Callable[..., tuple[Any, PyTree]], objective: Objective
) -> Callable[..., tuple[jax.Array, dict[str, jax.Array], PyTree]]:
    """A task's `loss` from its model and what is to be lowered: weighted means over the examples."""

    def loss(
        params: PyTree, state: PyTree, x: PyTree, y: PyTree, weight: jax.Array, key: jax.Array | None
    ) -> tuple[jax.Array, dict[str, jax.Array], PyTree]:
        outputs, state = apply(params, state, x, key)
        losses, metrics = objective(outputs, y)
        weight = weight.astype(losses.dtype)
        total = weight.sum()
        means = {name: (values.astype(losses.dtype) * weight).sum() / total for name, values in metrics.items()}
        return (losses * weight).sum() / total, means, state

    return loss
