"""A sweep's segments collected in arrays on the host."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np

from jaxlr._types import Arrays, PyTree
from jaxlr.engine.carries import on_host
from jaxlr.engine.layout import Shape
from jaxlr.engine.programs import Cost
from jaxlr.engine.segments import Block, Decision, Segment, Walk
from jaxlr.engine.tracing import Carried

__all__ = ["Members", "Sink", "Took", "collect"]


class Sink(Protocol):
    """Where segments go.

    Attributes:
        length: advances of a training.
        advances: those of all members that are here.
    """

    length: int

    @property
    def advances(self) -> int: ...

    def add(self, segment: Segment) -> None:
        """Wait for a segment's metrics, and put them where they belong."""

    def keep(self, block: Block, weights: PyTree) -> None:
        """Put a finished block's weights where they belong."""

    def due(self) -> bool:
        """Whether what the block carries after this segment is to be saved: the devices wait for it."""

    def save(self, block: Block) -> None:
        """Save it, all segments up to here having been added."""


class Members:
    """Arrays that segments are put into; what is not there yet is NaN, or 0 where there is no NaN.

    Attributes:
        arrays: metrics `[settings, seeds, length, ...]`.
        initial: metrics before the first advance `[settings, seeds, ...]`.
        weights: the weights that were kept, with leading axes `[settings, seeds]`, as `carries.on_host` has them; or
            None.
        done: advances of each member that are here `[settings, seeds]`.
        advances: all of them together.
    """

    def __init__(self, settings: int, seeds: int, length: int) -> None:
        self.arrays: Arrays = {}
        self.initial: Arrays = {}
        self.weights: PyTree = None
        self.done = np.zeros((settings, seeds), np.int32)
        self.advances: int = 0
        self.length = length

    def due(self) -> bool:
        """Never: nothing is kept of what is on its way."""
        return False

    def save(self, block: Block) -> None:
        """Nothing is kept of it."""

    @property
    def finished(self) -> np.ndarray:
        """Which members were trained to the end, `[settings, seeds]`."""
        return np.asarray(self.done == self.length)

    def add(self, segment: Segment) -> None:
        """Wait for a segment's metrics, and put them where they belong."""
        block, last = segment.block, segment.first + segment.advances
        metrics, initial = jax.device_get((segment.metrics, segment.initial))
        for name, values in metrics.items():
            values = _without_padding(np.moveaxis(values[: segment.advances], 0, 2), block)
            if name not in self.arrays:
                self.arrays[name] = self._empty(values, (self.length, *values.shape[3:]))
            self.arrays[name][*_at(block), segment.first : last] = values
        for name, values in initial.items():
            values = _without_padding(values, block)
            if name not in self.initial:
                self.initial[name] = self._empty(values, values.shape[2:])
            self.initial[name][_at(block)] = values
        self.advances += int((last - self.done[_at(block)]).sum())
        self.done[_at(block)] = last

    def keep(self, block: Block, weights: PyTree) -> None:
        """Put a block's weights where they belong."""
        fetched = jax.tree.map(lambda leaf: _without_padding(leaf, block), on_host(weights))
        if self.weights is None:
            self.weights = jax.tree.map(lambda values: self._empty(values, values.shape[2:]), fetched)

        def put(whole: np.ndarray, values: np.ndarray) -> None:
            whole[_at(block)] = values

        jax.tree.map(put, self.weights, fetched)

    def _empty(self, values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        nothing = np.nan if jax.numpy.issubdtype(values.dtype, np.inexact) else 0
        return np.full((*self.done.shape, *shape), nothing, values.dtype)


def _at(block: Block) -> tuple[Any, Any]:
    return block.settings[:, None], block.seeds[None, :]


def _without_padding(values: np.ndarray, block: Block) -> np.ndarray:
    return values[: len(block.settings), : len(block.seeds)]


class Took(NamedTuple):
    """What a walk over segments took.

    Attributes:
        shapes: shapes of its blocks.
        cost: what was compiled on the way.
        device_seconds: time spent giving work to devices and waiting for them.
        interrupted: the user ended it.
    """

    shapes: tuple[Shape, ...]
    cost: Cost
    device_seconds: float
    interrupted: bool


def collect(
    walk: Walk,
    members: Sink,
    *,
    weights: Callable[[Carried], PyTree] | None = None,
    report: Callable[[int], None] = lambda done: None,
    decide: Callable[[Segment], Decision | None] | None = None,
) -> Took:
    """Walk to the end and put every segment into `members`, each while the devices compute the next.

    Args:
        walk: from `segments`.
        members: where to.
        weights: what to keep of the carries at the end; None for nothing.
        report: told how many advances of all members are done.
        decide: what is to happen after a segment; it is read first, and the devices wait.

    Raises:
        KeyboardInterrupt: before anything was there; afterwards an interrupt ends the walk.
    """
    shapes: dict[Shape, None] = {}
    cost, seconds, interrupted = Cost(), 0.0, False
    unread: list[Segment] = []
    try:
        segment = next(walk, None)
        while segment is not None:
            shapes[segment.shape] = None
            cost = cost.plus(segment.cost)
            seconds += segment.seconds
            unread.append(segment)
            # The last one of a block does not wait for the next block: a failure shall be its own block's.
            due = members.due()
            ahead = decide is None and not due and segment.block.done < members.length
            try:
                while len(unread) > ahead:
                    seconds += _read(unread.pop(0), members, weights)
                    report(members.advances)
                if due:
                    members.save(segment.block)
            except jax.errors.JaxRuntimeError as error:
                unread.clear()
                segment = walk.throw(error)
            else:
                segment = _sent(walk, None if decide is None else decide(segment))
    except KeyboardInterrupt:
        if not members.advances:
            raise
        interrupted = True
    return Took(tuple(shapes), cost, seconds, interrupted)


def _sent(walk: Walk, decision: Decision | None) -> Segment | None:
    """The next segment, or None at the end."""
    try:
        return walk.send(decision)
    except StopIteration:
        return None


def _read(segment: Segment, members: Sink, weights: Callable[[Carried], PyTree] | None) -> float:
    """Put a segment where it belongs; the seconds of waiting for it."""
    began = time.perf_counter()
    jax.block_until_ready((segment.metrics, segment.initial))
    seconds = time.perf_counter() - began
    members.add(segment)
    if weights is not None and segment.block.done == members.length:
        members.keep(segment.block, weights(segment.block.carried))
    return seconds
