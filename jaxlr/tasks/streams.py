"""Data that do not fit in memory, or that only a loader can make: batches read on the host while the devices train."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from typing import Any

import jax
import jax.numpy as jnp

from jaxlr import _checks
from jaxlr._types import PyTree
from jaxlr.tasks import models
from jaxlr.tasks.arrays import any_array
from jaxlr.tasks.reading import Batches, Stream, arrays_of
from jaxlr.tasks.task import Objective, Task, mean_loss

__all__ = ["streamed"]


def streamed(
    module: Any,
    objective: Objective,
    batches: Batches | Iterable[Any],
    *,
    length: int | None = None,
    x_test: Any = None,
    y_test: Any = None,
) -> Task:
    """A task whose batches are read on the host, one stream for all settings that train together.

    The next batches are read while the devices train with these. An epoch's batches are in memory at a time; with
    `experiment(updates=, every=)`, `every` of them.

    Args:
        module: a model; see `models.model` for the forms it may have.
        objective: `(outputs, y) -> (losses, metrics)`, as in `tasks.supervised`; `tasks.cross_entropy` and
            `tasks.squared_error` are two.
        batches: `(seed, epoch) -> iterable of (x, y)`, such as a generator function that shuffles by them; seeds are
            counted from 0, epochs from 1. Called again, it must give the same. Or an iterable that can be read again
            and again, such as a data loader: then all seeds see its batches, whatever their order is. A batch holds
            as many examples as the first; a last one that is smaller is trained on with its own mean.
        length: batches of an epoch; by default `len` of what `batches` is or gives. Further ones are not read.
        x_test: test inputs `[N, ...]`, or None.
        y_test: test targets, or None.

    Returns:
        The task, whose `x` and `y` are the first batch of seed 0: what `find_lr` judges by, and what
        `record=["initial"]` is over. The stream's batches set the batch size.

    Raises:
        TypeError: `batches` is neither, or a batch is no pair.
        ValueError: the length is not known; a batch does not fit the first one or the model.

    >>> import numpy as np, optax, jaxlr
    >>> from flax import linen
    >>> def batches(seed, epoch):
    ...     rng = np.random.default_rng((seed, epoch))
    ...     for _ in range(8):
    ...         x = rng.normal(size=(16, 4)).astype(np.float32)
    ...         yield x, x.sum(1, keepdims=True)
    >>> task = streamed(linen.Dense(1), jaxlr.tasks.squared_error, batches, length=8)
    >>> ds = jaxlr.sweep(jaxlr.experiment(task, optax.sgd, epochs=5), jaxlr.grid(learning_rate=[0.01, 0.1]), seeds=2)
    >>> bool((ds["loss"].sel(learning_rate=0.1, epoch=5) < 0.01).all())
    True
    """
    read, shared = _as_function(batches)
    once = read(0, 1)
    if length is None:
        length = len(once) if isinstance(once, Sized) else None
    if length is None:
        raise ValueError(f"length must be given, the batches of an epoch: {once!r} does not say it")
    _checks.count("length", length)
    first = arrays_of(next(iter(once), None))
    x, y = (jax.tree.map(jnp.asarray, part) for part in first)
    if (x_test is None) != (y_test is None):
        raise ValueError("x_test and y_test must be given together, got only one of them")
    built = models.model(module, jax.tree.map(lambda leaf: leaf[:1], x))
    _check_fit(built, objective, x, y)
    stateful = bool(jax.tree.leaves(jax.eval_shape(built.init_state, jax.random.key(0))))
    return Task(
        built.init,
        mean_loss(built.apply, objective),
        x,
        y,
        jax.tree.map(lambda part: jnp.asarray(any_array("x_test", part)), x_test),
        None if y_test is None else jnp.asarray(any_array("y_test", y_test)),
        init_state=built.init_state,
        apply=built.apply,
        stream=Stream(read, int(length), first, shared, stateful),
    )


def _as_function(batches: Any) -> tuple[Batches, bool]:
    """As a function of seed and epoch; whether all seeds share what it gives."""
    if callable(batches) and not hasattr(batches, "__iter__"):
        return batches, False
    if isinstance(batches, Iterator):
        raise TypeError(
            f"batches must be an iterable that can be read again, got {batches!r}, which is used up after an epoch; "
            "give a function (seed, epoch) -> batches"
        )
    if isinstance(batches, Iterable):
        return lambda seed, epoch: batches, True
    raise TypeError(f"batches must be a function (seed, epoch) -> batches, or a loader; got {batches!r}")


def _check_fit(built: models.Model, objective: Objective, x: PyTree, y: PyTree) -> None:
    """The objective gives a value for each example, without computing."""

    def judged(key: jax.Array) -> Any:
        return objective(built.apply(built.init(key), built.init_state(key), x, None)[0], y)

    losses, metrics = jax.eval_shape(judged, jax.random.key(0))
    size = len(jax.tree.leaves(x)[0])
    for name, values in {"loss": losses, **metrics}.items():
        if values.shape != (size,):
            raise ValueError(f"objective must give {name} for each example, [{size}]; got {values.shape}")
