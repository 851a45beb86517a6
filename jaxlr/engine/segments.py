"""The host's loop: blocks trained segment by segment, with a decision sent back after each.

A block is all that is on the devices at a time. The device computes a segment while the host reads the one before,
where whoever walks the segments asks for the next before reading.
"""

from __future__ import annotations

import itertools
import time
import warnings
from collections.abc import Collection, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple, TypeAlias

import jax
import numpy as np

from jaxlr._types import PyTree
from jaxlr.engine import programs, tracing
from jaxlr.engine.carries import from_host, on_host
from jaxlr.engine.feeding import fed
from jaxlr.engine.jaxprs import FACTORISATIONS, contains
from jaxlr.engine.layout import Layout, Shape
from jaxlr.engine.programs import Cost, Program, Traced
from jaxlr.engine.tracing import Member
from jaxlr.spaces import Group

__all__ = ["Begun", "Block", "Decision", "Segment", "Walk", "segments"]


class Block(NamedTuple):
    """Members that are trained together: settings x seeds, without the padding that fills the block's shape.

    Attributes:
        settings: positions of the settings in the space, `[n]`.
        seeds: `[m]`.
        rows: positions of the settings in their group, `[n]`.
        traced: their hyperparameters, arrays `[n, ...]`.
        done: advances made.
        carried: what the last segment handed on, arrays of the block's shape; None before the first.
        steered: hyperparameters were replaced, so that it cannot begin anew.
    """

    settings: np.ndarray
    seeds: np.ndarray
    rows: np.ndarray
    traced: PyTree
    done: int = 0
    carried: PyTree = None
    steered: bool = False


class Begun(NamedTuple):
    """Members that have gone some way already.

    Attributes:
        settings: positions of the settings in the space, `[n]`, of one group.
        seeds: `[m]`.
        done: advances made.
        carried: what the last one handed on, arrays `[n, m, ...]` as `carries.on_host` has them.
    """

    settings: np.ndarray
    seeds: np.ndarray
    done: int
    carried: PyTree


class Segment(NamedTuple):
    """A segment that was given to the devices.

    Attributes:
        block: the block after it. What it carries is the devices' until the walk goes on, which may use it up.
        first: advances before it.
        advances: how many are in it.
        metrics: arrays `[advances or more, rows, seeds, ...]`, the first `advances`, `len(block.settings)` and
            `len(block.seeds)` of which mean something; perhaps still being computed.
        initial: metrics before the first advance `[rows, seeds, ...]`; empty in later segments.
        shape: the block's shape.
        cost: what was compiled since the segment before.
        seconds: time spent giving it to the devices.
    """

    block: Block
    first: int
    advances: int
    metrics: dict[str, jax.Array]
    initial: dict[str, jax.Array]
    shape: Shape
    cost: Cost
    seconds: float


class Decision(NamedTuple):
    """What is to happen after a segment; as it stands, the block goes on.

    Attributes:
        stop: positions in the space of settings that are trained no further. A block ends with its last setting;
            until then a stopped one is computed on.
        traced: the block's hyperparameters from here on, as `Block.traced`; None to leave them.
        pause: set the block aside until the group's other blocks have paused or ended; the settings left are then
            gathered into as few blocks of the same shape as hold them.
        advances: how many to make until the next decision; a segment at most, and by default.
    """

    stop: Collection[int] = ()
    traced: PyTree = None
    pause: bool = False
    advances: int | None = None


Walk: TypeAlias = Generator[Segment, Decision | None, None]


class _Trainer(NamedTuple):
    """What stays the same while a group is trained, but for the shape where memory runs out."""

    traced: Traced
    program: Program
    layout: Layout


def segments(
    traced: Traced,
    compiled: Sequence[Program],
    layout: Layout,
    seeds: int,
    advances: int | None = None,
    *,
    left: np.ndarray | None = None,
    begun: Sequence[Begun] = (),
) -> Walk:
    """Train groups of settings block by block, and yield every segment; `send` a `Decision`, or None to go on.

    Where a device runs out of memory, here or while the metrics are read (`throw` the error back), what is left goes
    on in blocks of half the size; the block that failed begins anew, and its segments come again.

    Args:
        traced: the run and its groups of settings.
        compiled: their programs.
        layout: the block's shape.
        seeds: number of seeds.
        advances: how many to make until a block's first decision, as in `Decision`.
        left: which members are to be trained from the beginning, `[settings, seeds]`; all by default.
        begun: members that go on first.
    """
    stopped: set[int] = set()
    for i, program in enumerate(compiled):
        trainer = _Trainer(traced.only(i), program, layout)
        group = traced.groups[i]
        wholes = [*_going_on(group, begun), *_rectangles(group, seeds, left)]
        blocks: Iterator[Block] = itertools.chain.from_iterable(_cut(whole, layout.shape) for whole in wholes)
        with _single_threaded(traced.members[i], layout):
            while True:
                paused: list[Block] = []
                trainer = yield from _round(trainer, blocks, paused, stopped, advances)
                if not paused:
                    break
                blocks = _gathered(paused, stopped, trainer.layout.shape)


def _single_threaded(member: Member, layout: Layout) -> AbstractContextManager[Any]:
    """Where several CPU devices factorise at a time, the threads of LAPACK's own would wait for a core by spinning."""
    several = len(layout.devices) > 1 and layout.devices[0].platform == "cpu"
    if not several or not any(contains(part.program, FACTORISATIONS) for part in (member.start, member.advance)):
        return nullcontext()
    from threadpoolctl import threadpool_limits

    limited: AbstractContextManager[Any] = threadpool_limits(limits=1, user_api="blas")
    return limited


def _round(
    trainer: _Trainer, blocks: Iterator[Block], paused: list[Block], stopped: set[int], advances: int | None
) -> Generator[Segment, Decision | None, _Trainer]:
    """Walk blocks one after the other until each has ended or paused."""
    cost = Cost()
    while (block := next(blocks, None)) is not None:
        try:
            wanted = advances
            reading = fed(trainer.traced.run, _seeds(block, trainer.layout.shape).tolist(), block.done)
            while block.done < trainer.traced.run.length and not stopped.issuperset(block.settings.tolist()):
                segment = _advanced(trainer, block, wanted, next(reading))
                block = segment.block
                decided = (yield segment._replace(cost=cost)) or Decision()
                cost, wanted = Cost(), decided.advances
                stopped.update(decided.stop)
                if decided.traced is not None:
                    block = block._replace(traced=decided.traced, steered=True)
                if decided.pause:
                    paused.append(block._replace(carried=on_host(block.carried)))
                    break
        except jax.errors.JaxRuntimeError as error:
            half = trainer.layout.shape.halved()
            if half is None or block.steered or not _is_out_of_memory(error):
                raise
            trainer, cost = _smaller(trainer, half)
            blocks = itertools.chain.from_iterable(_cut(one, half) for one in itertools.chain([_anew(block)], blocks))
    return trainer


def _advanced(trainer: _Trainer, block: Block, wanted: int | None, given: PyTree) -> Segment:
    """The block's next segment, given to the devices."""
    traced, shape, program = trainer.traced, trainer.layout.shape, trainer.program
    count = min(trainer.layout.segment, traced.run.length - block.done, wanted or traced.run.length)
    hp = jax.tree.map(lambda leaf: _padded(leaf, shape.rows), block.traced)
    rows = tracing.numbered(hp, _padded(block.rows, shape.rows).astype(np.int32))
    args = (traced.key, _seeds(block, shape), rows)
    began = time.perf_counter()
    carried, initial = from_host(block.carried), {}
    if carried is None:
        carried, initial = (program.carried, {}) if program.start is None else program.start(*args)
    carried, metrics = program.advance(carried, *args, np.int32(block.done), np.int32(count), given)
    seconds = time.perf_counter() - began
    after = block._replace(done=block.done + count, carried=carried)
    return Segment(after, block.done, count, metrics, initial, shape, Cost(), seconds)


def _seeds(block: Block, shape: Shape) -> np.ndarray:
    return _padded(block.seeds, shape.seeds).astype(np.int32)


def _rectangles(group: Group, seeds: int, left: np.ndarray | None) -> Iterator[Block]:
    """The members that are left of a group, before they are cut: settings with the same seeds left together."""
    if left is None:
        yield Block(group.rows, np.arange(seeds), np.arange(len(group.rows)), group.traced)
        return
    patterns, first, which = np.unique(left[group.rows], axis=0, return_index=True, return_inverse=True)
    for i in np.argsort(first):
        if patterns[i].any():
            yield _of(group, np.flatnonzero(which.ravel() == i), np.flatnonzero(patterns[i]))


def _going_on(group: Group, begun: Sequence[Begun]) -> Iterator[Block]:
    """Those of the group that have begun."""
    for one in begun:
        rows = np.flatnonzero(np.isin(group.rows, one.settings))
        if len(rows):
            block = _of(group, rows[np.argsort(np.argsort(one.settings))], one.seeds)
            yield block._replace(done=one.done, carried=one.carried)


def _of(group: Group, rows: np.ndarray, seeds: np.ndarray) -> Block:
    return Block(group.rows[rows], seeds, rows, jax.tree.map(lambda leaf: leaf[rows], group.traced))


def _anew(block: Block) -> Block:
    """A block before its first advance: what a failed segment carried is used up."""
    return block._replace(done=0, carried=None)


def _cut(block: Block, shape: Shape) -> Iterator[Block]:
    """Blocks of a shape: all settings with the first seeds, then with the next."""
    for seeds in _slices(len(block.seeds), shape.seeds):
        for rows in _slices(len(block.settings), shape.rows):

            def members(leaf: np.ndarray, rows: slice = rows, seeds: slice = seeds) -> np.ndarray:
                return _padded(_padded(leaf[rows, seeds], shape.rows).swapaxes(0, 1), shape.seeds).swapaxes(0, 1)

            yield block._replace(
                settings=block.settings[rows],
                seeds=block.seeds[seeds],
                rows=block.rows[rows],
                traced=jax.tree.map(lambda leaf, rows=rows: leaf[rows], block.traced),
                carried=jax.tree.map(members, block.carried),
            )


def _gathered(paused: Sequence[Block], stopped: set[int], shape: Shape) -> Iterator[Block]:
    """The settings of paused blocks that are trained on, in as few blocks as hold them."""
    alike: dict[tuple[int, bool, bytes], list[Block]] = {}
    for block in paused:
        alike.setdefault((block.done, block.steered, block.seeds.tobytes()), []).append(block)
    for blocks in alike.values():
        kept = [np.flatnonzero(~np.isin(block.settings, list(stopped))) for block in blocks]

        def joined(*leaves: np.ndarray, kept: list[np.ndarray] = kept) -> np.ndarray:
            return np.concatenate([leaf[rows] for leaf, rows in zip(leaves, kept, strict=True)])

        whole = blocks[0]._replace(
            settings=joined(*(block.settings for block in blocks)),
            rows=joined(*(block.rows for block in blocks)),
            traced=jax.tree.map(joined, *(block.traced for block in blocks)),
            carried=jax.tree.map(joined, *(block.carried for block in blocks)),
        )
        if len(whole.settings):
            yield from _cut(whole, shape)


def _is_out_of_memory(error: Exception) -> bool:
    return "RESOURCE_EXHAUSTED" in str(error) or "out of memory" in str(error).lower()


def _smaller(trainer: _Trainer, shape: Shape) -> tuple[_Trainer, Cost]:
    warnings.warn(f"a device ran out of memory: going on with blocks of {shape}", stacklevel=4)
    layout = trainer.layout.of_shape(shape)
    (program,), cost = programs.compiled(trainer.traced, layout)
    return trainer._replace(layout=layout, program=program), cost


def _slices(length: int, size: int) -> list[slice]:
    return [slice(start, start + size) for start in range(0, length, size)]


def _padded(values: np.ndarray, size: int) -> np.ndarray:
    """To `size` along the first axis, the last one repeated."""
    short = size - len(values)
    return np.concatenate([values, np.repeat(values[-1:], short, axis=0)]) if short > 0 else values
