"""Data that do not fit in memory, or that only a loader can make: batches read on the host while the devices train."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from jaxlr import _checks
from jaxlr._types import PyTree
from jaxlr.tasks import models
from jaxlr.tasks.arrays import any_array
from jaxlr.tasks.task import Objective, Task, mean_loss

__all__ = ["Fed", "Stream", "streamed"]

Batches: TypeAlias = Callable[[int, int], Iterable[Any]]
"""`(seed, epoch) -> batches (x, y)`, epochs counted from 1."""


class Fed(NamedTuple):
    """What the host gives to an advance: some batches of every seed.

    Attributes:
        examples: inputs and targets `[S, updates, B, ...]`.
        weight: 1 for an example, 0 for what fills up a smaller batch, `[S, updates, B]`.
    """

    examples: PyTree
    weight: Any


class Stream(NamedTuple):
    """Where batches come from.

    Attributes:
        batches: the batches of an epoch.
        updates: how many of them are an epoch.
        first: a batch, by which the others are judged.
        shared: the batches are the same for all seeds.
        even: no batch may be smaller than the first.
    """

    batches: Batches
    updates: int
    first: PyTree
    shared: bool
    even: bool

    @property
    def size(self) -> int:
        """Examples in a batch."""
        return len(jax.tree.leaves(self.first)[0])

    def advances(self, seeds: Sequence[int], done: int, updates: int) -> Iterator[Fed]:
        """What the advances after the first `done` are fed, of so many updates each."""
        rows = [self._endless(seed, done * updates) for seed in (seeds[:1] if self.shared else seeds)]
        while True:
            yield self._gathered(rows, len(seeds), updates)

    def types(self, updates: int) -> Fed:
        """The types of what one seed is fed."""

        def typed(leaf: Any) -> jax.ShapeDtypeStruct:
            return jax.ShapeDtypeStruct((updates, *leaf.shape), jax.dtypes.canonicalize_dtype(leaf.dtype))

        return Fed(jax.tree.map(typed, self.first), jax.ShapeDtypeStruct((updates, self.size), jnp.float32))

    def _endless(self, seed: int, done: int) -> Iterator[PyTree]:
        """The batches of a seed after the first `done`, epoch after epoch."""
        before, skipped = divmod(done, self.updates)
        for epoch in itertools.count(before + 1):
            count = 0
            for batch in itertools.islice(self.batches(seed, epoch), self.updates):
                count += 1
                if count > skipped:
                    yield batch
            if count < self.updates:
                raise ValueError(
                    f"batches must give {self.updates} batches in every epoch, got {count} in epoch {epoch} "
                    f"of seed {seed}; give length={count}, or an iterable that can be read again"
                )
            skipped = 0

    def _gathered(self, rows: Sequence[Iterator[PyTree]], seeds: int, updates: int) -> Fed:
        """The next batches of each row, copied into arrays once."""
        shape = (len(rows), updates)

        def empty(leaf: Any) -> np.ndarray:
            return np.zeros((*shape, *leaf.shape), jax.dtypes.canonicalize_dtype(leaf.dtype))

        examples, weight = jax.tree.map(empty, self.first), np.zeros((*shape, self.size), np.float32)
        for i, row in enumerate(rows):
            for j, batch in enumerate(itertools.islice(row, updates)):
                size = self._put(jax.tree.map(lambda whole, i=i, j=j: whole[i, j], examples), _arrays(batch))
                weight[i, j, :size] = 1
        fed = Fed(examples, weight)
        if seeds == len(rows):
            return fed
        return Fed(*jax.tree.map(lambda whole: np.broadcast_to(whole, (seeds, *whole.shape[1:])), tuple(fed)))

    def _put(self, places: PyTree, batch: PyTree) -> int:
        """Copy a batch to where it belongs, a smaller one filled up with its first example; how many it holds."""
        parts, given = str(jax.tree.structure(places)), str(jax.tree.structure(batch))
        if given != parts:
            raise ValueError(f"batches must all be built as the first, {parts}; got {given}")
        sizes = {len(leaf) for leaf in jax.tree.leaves(batch)}
        size = min(sizes)
        if len(sizes) > 1 or size > self.size or (size < self.size and self.even):
            raise ValueError(
                f"batches must hold {self.size} examples as the first{' or fewer' * (not self.even)}, got {size}"
                + "; a model that keeps statistics of a batch needs them all alike: leave the last one out" * self.even
            )

        def put(place: np.ndarray, leaf: np.ndarray) -> None:
            if leaf.shape[1:] != place.shape[1:]:
                raise ValueError(f"batches must hold examples of the shape {place.shape[1:]}, got {leaf.shape[1:]}")
            place[:size] = leaf
            place[size:] = leaf[:1]

        jax.tree.map(put, places, batch)
        return size


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
    first = _arrays(next(iter(once), None))
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


def _arrays(batch: Any) -> tuple[PyTree, PyTree]:
    """A batch as a pair of trees of arrays, numbers of the default types."""
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        raise TypeError(f"batches must give pairs (x, y), got {'nothing' if batch is None else type(batch).__name__}")

    def converted(leaf: Any) -> np.ndarray:
        array = np.asarray(leaf)
        if array.ndim == 0:
            raise ValueError(f"batches must give arrays with the examples along the first axis, got {leaf!r}")
        return array

    x, y = (jax.tree.map(converted, part, is_leaf=_is_array) for part in batch)
    return x, y


def _is_array(value: Any) -> bool:
    return hasattr(value, "__array__")


def _check_fit(built: models.Model, objective: Objective, x: PyTree, y: PyTree) -> None:
    """The objective gives a value for each example, without computing."""

    def judged(key: jax.Array) -> Any:
        return objective(built.apply(built.init(key), built.init_state(key), x, None)[0], y)

    losses, metrics = jax.eval_shape(judged, jax.random.key(0))
    size = len(jax.tree.leaves(x)[0])
    for name, values in {"loss": losses, **metrics}.items():
        if values.shape != (size,):
            raise ValueError(f"objective must give {name} for each example, [{size}]; got {values.shape}")
