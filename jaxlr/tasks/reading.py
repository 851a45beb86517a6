"""Batches read on the host: an endless row for every seed, gathered into what an advance is fed."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from jaxlr._types import PyTree

__all__ = ["Batches", "Fed", "Stream", "arrays_of"]

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
                size = self._put(jax.tree.map(lambda whole, i=i, j=j: whole[i, j], examples), arrays_of(batch))
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


def arrays_of(batch: Any) -> tuple[PyTree, PyTree]:
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
