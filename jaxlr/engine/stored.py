"""A sweep whose segments go into a store, and that goes on from what is there."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import re
import time
import warnings
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr

from jaxlr._types import Arrays, PyTree
from jaxlr.engine.carries import flattened, restored
from jaxlr.engine.collecting import Took, collect
from jaxlr.engine.interrupts import Interrupts, held_back
from jaxlr.engine.jaxprs import constants
from jaxlr.engine.layout import Layout
from jaxlr.engine.preparing import Devices, fitting, laid_out
from jaxlr.engine.programs import Cost, Program, Traced
from jaxlr.engine.segments import Begun, Block, Segment, segments
from jaxlr.engine.tracing import Member
from jaxlr.results import text
from jaxlr.results.labels import dims_within, given, judge
from jaxlr.results.origin import origin
from jaxlr.runs import Run
from jaxlr.spaces import Group, Space
from jaxlr.store import Manifest, State, Store, Variable, carries, contents, dataset, differences, place, writing
from jaxlr.store.arrays import chunk_rows

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Durable", "stored"]


class Durable(NamedTuple):
    """What `sweep` is told of its store.

    Attributes:
        store: where it lies.
        save_every: seconds after which what is on its way is saved.
        force: delete a store that holds another sweep.
    """

    store: Any
    save_every: float
    force: bool


class Kept:
    """Where the segments of a stored sweep go: whole blocks into the store, and now and then what is on its way.

    Attributes:
        length: advances of a training.
    """

    def __init__(
        self, store: Store, run: Run, may_be_nan: Collection[str], save_every: float, interrupts: Interrupts
    ) -> None:
        self.length = run.length
        self._store, self._run, self._may_be_nan = store, run, may_be_nan
        self._every, self._saved, self._interrupts = save_every, time.monotonic(), interrupts
        self._complete = int(store.finished.sum()) * run.length
        self._on_its_way = 0
        self._parts: list[Arrays] = []
        self._initial: Arrays = {}

    @property
    def advances(self) -> int:
        """Of all members that are here."""
        return self._complete + self._on_its_way

    def begin_with(self, state: State) -> None:
        """A block goes on: what was recorded of it."""
        self._parts, self._initial = [dict(state.metrics)], dict(state.initial)

    def add(self, segment: Segment) -> None:
        """Wait for a segment's metrics; those of a finished block go to the store."""
        block, members = segment.block, (len(segment.block.settings), len(segment.block.seeds))
        metrics, initial = jax.device_get((segment.metrics, segment.initial))
        if segment.first == 0:
            self._parts = []
            self._initial = {name: values[: members[0], : members[1]] for name, values in initial.items()}
        self._parts.append(
            {
                name: np.moveaxis(values[: segment.advances], 0, 2)[: members[0], : members[1]]
                for name, values in metrics.items()
            }
        )
        last = segment.first + segment.advances
        size = members[0] * members[1]
        self._on_its_way = size * last
        self._store.advanced(size * segment.advances)
        if last == self.length:
            judged = judge(self._joined(), np.ones(members, bool), self._run.along, self._may_be_nan)
            self._store.add(block.settings, block.seeds, judged, self._initial)
            self._complete, self._on_its_way = self._complete + size * last, 0
            self._parts, self._initial = [], {}

    def keep(self, block: Block, weights: PyTree) -> None:
        """No weights are kept in a store."""

    def due(self) -> bool:
        """Every `save_every` seconds, and when a signal came."""
        return self._interrupts.came is not None or time.monotonic() - self._saved >= self._every

    def save(self, block: Block) -> None:
        """Write what is finished, and what the block carries where it is not; then end, if a signal came.

        Raises:
            KeyboardInterrupt, SystemExit: a signal came.
        """
        self._store.flush()
        if block.done < self.length:
            settings, seeds = len(block.settings), len(block.seeds)
            leaves, keys = flattened(block.carried)
            leaves = [leaf[:settings, :seeds] for leaf in leaves]
            rows = self._store.rows[block.settings]
            state = State(rows, block.seeds, block.done, leaves, keys, self._joined(), self._initial)
            with self._store.failing():
                carries.save(self._store.place, state)
        self._saved = time.monotonic()
        if self._interrupts.came is not None:
            members = self._store.finished.size
            share = self.advances / max(members * self.length, 1)
            self._interrupts.leave(f"stopped with {share:.1%} trained and saved in {self._store.place.name}; {GO_ON}")

    def _joined(self) -> Arrays:
        return {name: np.concatenate([part[name] for part in self._parts], axis=2) for name in self._parts[0]}


GO_ON = "the same call goes on from there"


def stored(
    run: Run,
    space: Space,
    seeds: int,
    key: jax.Array,
    chunk: int | Literal["auto"],
    devices: Devices,
    segment: int,
    may_be_nan: Collection[str],
    report: Callable[[int], None],
    costs: Callable[[Cost, Took, float], Mapping[str, Any]],
    durable: Durable,
) -> xr.Dataset:
    """Train what a store lacks of a sweep, and give what it then holds."""
    traced, layout = laid_out(run, space, seeds, key, chunk, devices, segment, None)
    digests = _digests(traced)
    with writing(place(durable.store)) as store:
        wanted = _manifest(traced, space, seeds, chunk, layout, may_be_nan, digests)
        if store.known is not None:
            _admit(store, wanted, space, force=durable.force)
        compiled: list[Program] = []
        cost = Cost(0, traced.seconds, 0.0)
        todo = list(range(len(traced.groups)))
        order = np.concatenate([group.rows for group in traced.groups])
        if store.known is not None:
            layout = _as_before(layout, store.known)
            wanted = dataclasses.replace(wanted, block=store.known.block, in_turn=store.known.in_turn)
            store.begin(wanted, space, order)
            todo = [i for i, group in enumerate(traced.groups) if not store.finished[group.rows].all()]
        if todo:
            compiled, layout, more = fitting(traced.only(*todo), layout, adapt=chunk == "auto")
            cost = cost.plus(more)
        if store.known is None:
            store.begin(_laid(wanted, layout), space, order)
        began = time.perf_counter()
        took = Took((), Cost(), 0.0, False)
        if todo:
            took = _trained(store, traced.only(*todo), compiled, layout, seeds, may_be_nan, report, durable.save_every)
        store.flush()
        carries.discard(store.place)
        attributes = costs(cost.plus(took.cost), took, time.perf_counter() - began)
        return dataset(contents(store.place), {**attributes, **given(space)})


def _trained(
    store: Store,
    traced: Traced,
    compiled: list[Program],
    layout: Layout,
    seeds: int,
    may_be_nan: Collection[str],
    report: Callable[[int], None],
    save_every: float,
) -> Took:
    """Walk over the segments of what is left.

    Raises:
        KeyboardInterrupt, SystemExit: a signal came; what was trained is saved.
    """
    left, begun = ~store.finished, []
    with held_back() as interrupts:
        kept = Kept(store, traced.run, may_be_nan, save_every, interrupts)
        state = carries.latest(store.place)
        going_on = None if state is None else _going_on(store, state, traced, compiled)
        if state is not None and going_on is not None:
            begun.append(going_on)
            kept.begin_with(state)
            left[np.ix_(going_on.settings, going_on.seeds)] = False
        walk = segments(traced, compiled, layout, seeds, left=left, begun=begun)
        took = collect(walk, kept, report=report)
    if took.interrupted:
        raise KeyboardInterrupt(f"stopped: {GO_ON}")
    return took


def _going_on(store: Store, state: State, traced: Traced, compiled: list[Program]) -> Begun | None:
    """A saved block as the walk takes it; None where its members are finished, or others are trained now."""
    settings = np.flatnonzero(np.isin(store.rows, state.rows))
    settings = settings[np.argsort(store.rows[settings])][np.argsort(np.argsort(state.rows))]
    at = [i for i, group in enumerate(traced.groups) if np.isin(settings, group.rows).all()]
    unknown = len(settings) != len(state.rows) or not len(at) or state.seeds.max() >= store.finished.shape[1]
    if unknown or store.finished[np.ix_(settings, state.seeds)].any():
        return None
    try:
        carried = restored(compiled[at[0]].carried, state.leaves, state.keys)
    except ValueError as error:
        warnings.warn(f"the block in training begins anew: {error}", stacklevel=2)
        return None
    return Begun(settings, state.seeds, state.done, carried)


def _admit(store: Store, wanted: Manifest, space: Space, *, force: bool) -> None:
    """Let a sweep into a store that holds one; with `force` a store that does not fit is emptied.

    Raises:
        ValueError: it does not fit, and `force` is not set.
    """
    assert store.known is not None
    found = differences(store.known, wanted)
    if not found:
        lost = store.missing(space)
        if lost:
            found = [f"settings: the space lacks {len(lost)} that the store has, such as {lost[0]}"]
    if found and force:
        store.clear()
        return
    if found:
        raise ValueError(
            f"store must hold this sweep or a part of it, got {store.place.name}, which differs in {'; '.join(found)}. "
            "Give another store, or force=True to delete what is there"
        )
    changed = [
        f"{name} {old}, now {wanted.versions.get(name)}"
        for name, old in store.known.versions.items()
        if wanted.versions.get(name) != old
    ]
    if changed:
        warnings.warn(
            f"the store was made with {', '.join(changed)}: what is finished stays, bits may differ from here on",
            stacklevel=5,
        )


def _as_before(layout: Layout, known: Manifest) -> Layout:
    """Blocks of the store's shape: the numbers of a member depend on it."""
    settings, seeds = known.block
    shape = layout.shape._replace(settings=settings, seeds=seeds)
    return layout._replace(shape=shape, in_turn=known.in_turn)


def _laid(wanted: Manifest, layout: Layout) -> Manifest:
    """With the blocks as the compiler let them be."""
    shape = layout.shape
    block = (shape.settings, shape.seeds)
    rows = chunk_rows(wanted.variables, block, wanted.rows, shape.devices)
    attributes = {**wanted.attributes, "chunk": str(shape)}
    return dataclasses.replace(wanted, block=block, in_turn=layout.in_turn, chunk_rows=rows, attributes=attributes)


def _manifest(
    traced: Traced,
    space: Space,
    seeds: int,
    chunk: str | int,
    layout: Layout,
    may_be_nan: Collection[str],
    digests: dict[str, tuple[str, str]],
) -> Manifest:
    """What a store is to say of a sweep."""
    run, device = traced.run, layout.devices[0]
    made = origin()
    (words, *_), kinds = flattened(traced.key)
    wanted = Manifest(
        run=run.description,
        length=run.length,
        along=run.along,
        stride=run.stride,
        key=(*kinds, *words.ravel().tolist()),
        chunk=chunk,
        may_be_nan=tuple(sorted(may_be_nan)),
        seeds=seeds,
        block=(1, 1),
        in_turn=layout.in_turn,
        dims=space.dims,
        axes={name: axis.dim or "" for axis in space.axes for name in axis.columns},
        rows=len(space),
        programs=digests,
        versions={
            **{name: made[name] for name in ("jaxlr", "jax", "optax")},
            "jaxlib": importlib.metadata.version("jaxlib"),
            "platform": device.platform,
            "device": device.device_kind,
        },
        variables=_variables(traced.members[0], run),
        chunk_rows=1,
        attributes={
            "created": made["created"],
            "run": run.description,
            "backend": device.platform,
            "device": device.device_kind,
            "form": layout.reason,
        },
    )
    return _laid(wanted, layout)


def _variables(member: Member, run: Run) -> tuple[Variable, ...]:
    """What is recorded of each member, in a result's order."""
    found = []
    for name, leaf in member.metrics.items():
        if name == "stopped":
            continue
        shape = leaf.shape if run.along is None else (run.length, *leaf.shape)
        along = (run.along or "step",) if shape else ()
        found.append(Variable(name, np.dtype(leaf.dtype).name, dims_within(name, len(shape), *along), tuple(shape)))
    for name, leaf in member.start.out[1].items():
        dims = dims_within(name, len(leaf.shape))
        found.append(Variable(name, np.dtype(leaf.dtype).name, dims, tuple(leaf.shape), initial=True))
    return tuple(found)


def _digests(traced: Traced) -> dict[str, tuple[str, str]]:
    """What is compiled in -> digests of the traced program and of the arrays in it, the same in every process."""
    found: dict[str, tuple[str, str]] = {}
    for group, member in zip(traced.groups, traced.members, strict=True):
        name, same = _static(group), 1
        while name in found:
            same += 1
            name = f"{_static(group)} ({same})"
        parts = [member.start.program, member.advance.program]
        found[name] = (_program_digest(parts), _data_digest(parts))
    return found


def _static(group: Group) -> str:
    return ", ".join(f"{name}={text(value)}" for name, value in group.static.items())


def _program_digest(parts: list[ClosedJaxpr]) -> str:
    words = "\n".join(re.sub(r" at 0x[0-9a-f]+", "", str(part)) for part in parts)
    return hashlib.blake2b(words.encode(), digest_size=16).hexdigest()


def _data_digest(parts: list[ClosedJaxpr]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        for leaf in flattened(list(map(jax.numpy.asarray, constants(part))))[0]:
            digest.update(f"{leaf.dtype}{leaf.shape}".encode() + np.ascontiguousarray(leaf).tobytes())
    return digest.hexdigest()
