"""Compiled programs of a sweep: a run's functions over a block of settings and seeds, split over the devices.

A program advances `settings x seeds` members, settings outer and seeds inner, by a segment. Seeds are shared between
settings, so their shuffled batches are not batched over the settings.
"""

from __future__ import annotations

import functools
import os
import time
import types
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import jaxpr_as_fun
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxlr._types import Metrics, PyTree
from jaxlr.engine.fingerprints import fingerprint
from jaxlr.engine.jaxprs import canonical
from jaxlr.engine.layout import Layout
from jaxlr.engine.tracing import Carried, Member, abstract_rows, trace
from jaxlr.results import text
from jaxlr.runs import Run
from jaxlr.spaces import Group
from jaxlr.spaces.values import label

__all__ = ["Cost", "Lowered", "Program", "Traced", "begin", "compiled", "lower", "room", "traced"]


class Program(NamedTuple):
    """A group's compiled functions.

    Attributes:
        start: `(key, seeds, rows) -> (carried, initial)` begins a block; None where there is nothing to begin with.
        advance: `(carried, key, seeds, rows, first, count, fed) -> (carried, metrics)` trains a segment.
        carried: types of what is carried, without leaves where `start` is None.
    """

    start: Any
    advance: Any
    carried: PyTree

    def memory(self) -> int:
        """Bytes that it needs on each device, as its compiler says; 0 where that does not tell."""
        used = self.advance.memory_analysis()
        if used is None:
            return 0
        return int(used.temp_size_in_bytes + used.argument_size_in_bytes + used.output_size_in_bytes)


def room(device: jax.Device, sharing: int) -> float:
    """Bytes that a program may use on a device; `sharing` devices share the host's memory."""
    stats = device.memory_stats()
    if stats and "bytes_limit" in stats:
        return float(stats["bytes_limit"] - stats.get("bytes_in_use", 0))
    # A host's CPU devices: half of its memory for all of them.
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2 / sharing


class Cost(NamedTuple):
    """What it took to have the programs.

    Attributes:
        compilations: groups that had to be compiled.
        trace_seconds: tracing their functions and lowering them to XLA's input.
        compile_seconds: XLA's compilation, or reading its persistent cache.
    """

    compilations: int = 0
    trace_seconds: float = 0.0
    compile_seconds: float = 0.0

    def plus(self, other: Cost) -> Cost:
        """Both together."""
        return Cost(
            self.compilations + other.compilations,
            self.trace_seconds + other.trace_seconds,
            self.compile_seconds + other.compile_seconds,
        )


class Lowered(NamedTuple):
    """A group's functions as `Program` has them, traced but not compiled."""

    start: Any
    advance: Any
    carried: PyTree


class _Compiling(NamedTuple):
    """A group's functions as `Program` has them, perhaps still being compiled."""

    start: Future[Any]
    advance: Future[Any]
    carried: PyTree


class _Known(NamedTuple):
    """What is kept for runs made of the same objects, by `Traced.names` and for programs by the layout too."""

    members: dict[Any, Member]
    programs: dict[Any, _Compiling]


_known: dict[tuple[Any, ...], _Known] = {}


class Traced(NamedTuple):
    """The groups of a sweep as they were traced.

    Attributes:
        run: what is trained.
        groups: the settings, by what is compiled in.
        members: one member of each, traced.
        names: what tells each from the other groups of the run, and from itself before something changed.
        key: the sweep's key.
        programs: those that are known already, by name and layout.
        seconds: what tracing took.
    """

    run: Run
    groups: list[Group]
    members: list[Member]
    names: list[Any]
    key: jax.Array
    programs: dict[Any, _Compiling]
    seconds: float

    def only(self, *which: int) -> Traced:
        """Some of the groups."""
        return self._replace(
            groups=[self.groups[i] for i in which],
            members=[self.members[i] for i in which],
            names=[self.names[i] for i in which],
        )


def traced(run: Run, groups: list[Group], key: jax.Array, keep: str | None) -> Traced:
    """Trace the groups that are not known yet.

    Raises:
        TypeError, ValueError: as `tracing.trace`; or the groups give different metrics.
    """
    began = time.perf_counter()
    known, rests_on = _kept_for(run), fingerprint(*run.made_of)
    names = [(*_kind(group), keep, key.dtype, jnp.result_type(float), rests_on) for group in groups]
    for name, group in zip(names, groups, strict=True):
        if name not in known.members:
            try:
                known.members[name] = trace(run, group, key, keep)
            except Exception as error:
                if len(groups) > 1:
                    error.add_note(f"This was in the settings with {_static(group)}.")
                raise
    members = [known.members[name] for name in names]
    _check_alike(groups, members)
    return Traced(run, groups, members, names, key, known.programs, time.perf_counter() - began)


def _kept_for(run: Run) -> _Known:
    """What is known of runs of the same parts; it goes when one of the parts goes."""
    parts = list(_parts(run.made_of or (run,)))
    plain = (str, int, float, np.generic, type(None))
    name = tuple(part if isinstance(part, plain) else id(part) for part in parts)
    if name not in _known:
        try:
            for part in parts:
                if not isinstance(part, plain):
                    weakref.finalize(part, _known.pop, name, None)
        except TypeError:  # an object that cannot tell its end
            return _Known({}, {})
        _known[name] = _Known({}, {})
    return _known[name]


def _parts(made_of: Any) -> Iterator[Any]:
    """What lasts of what a run is made of: a bound method is new every time, a container cannot tell its end."""
    if isinstance(made_of, types.MethodType):
        yield from _parts((made_of.__self__, made_of.__func__))
    elif isinstance(made_of, dict):
        yield from _parts((*made_of, *made_of.values()))
    elif isinstance(made_of, (tuple, list)):
        for part in made_of:
            yield from _parts(part)
    else:
        yield made_of


def _kind(group: Group) -> tuple[Any, ...]:
    """What a group's programs depend on."""
    statics = tuple((name, label(value)) for name, value in group.static.items())
    leaves, tree = jax.tree.flatten(group.traced)
    return statics, tree, tuple((leaf.shape[1:], leaf.dtype.name) for leaf in leaves)


def _check_alike(groups: Sequence[Group], members: Sequence[Member]) -> None:
    """Every group gives the same metrics: they go into the same arrays."""
    found = [{name: (leaf.shape, str(leaf.dtype)) for name, leaf in member.metrics.items()} for member in members]
    for group, other in zip(groups, found, strict=True):
        if other != found[0]:
            got = f"{found[0]} with {_static(groups[0])} and {other} with {_static(group)}"
            raise ValueError(f"a training must give the same arrays for every static value, got {got}")


def _static(group: Group) -> str:
    return ", ".join(f"{name}={text(value)}" for name, value in group.static.items())


def begin(traced: Traced, layout: Layout) -> Cost:
    """Lower what is not yet known and have it compiled, side by side and in the background."""
    known = traced.programs
    began = time.perf_counter()
    missing = [i for i, name in enumerate(traced.names) if (name, layout) not in known]
    lowered = [lower(traced.members[i], traced.run.length, traced.groups[i], layout, traced.key) for i in missing]
    cost = Cost(len(missing), time.perf_counter() - began)
    pool = ThreadPoolExecutor(max_workers=max(2 * len(lowered), 1))
    for i, part in zip(missing, lowered, strict=True):
        start, advance = pool.submit(_compile_start, part.start, layout), pool.submit(part.advance.compile)
        known[traced.names[i], layout] = _Compiling(start, advance, part.carried)
    pool.shutdown(wait=False)
    return cost


def compiled(traced: Traced, layout: Layout) -> tuple[list[Program], Cost]:
    """The groups' programs, and what it took to have them."""
    cost = begin(traced, layout)
    known = traced.programs
    began = time.perf_counter()
    found = []
    for name in traced.names:
        part = known[name, layout]
        try:
            found.append(Program(part.start.result(), part.advance.result(), part.carried))
        except BaseException:
            known.pop((name, layout))  # what failed once may be tried again
            raise
    return found, cost._replace(compile_seconds=time.perf_counter() - began)


def _compile_start(start: Any, layout: Layout) -> Any:
    """Compile what begins a block, if there is such; on a CPU with few of LLVM's passes.

    It is nearly all random bits, which take LLVM as long as the training does (1.7 s, against 0.6 s at level 1), and
    it runs once a block, against thousands of updates.
    """
    if start is None:
        return None
    on_cpu = layout.devices[0].platform == "cpu"
    return start.compile(compiler_options={"xla_backend_optimization_level": 1} if on_cpu else None)


def lower(member: Member, length: int, group: Group, layout: Layout, key: jax.Array) -> Lowered:
    """A member's functions over a block of members, lowered."""
    # jax.make_mesh gives explicit axis types on recent JAX, under which a vmapped training fails.
    mesh = Mesh(np.array(layout.devices), ("settings",))
    split, whole = PartitionSpec("settings"), PartitionSpec()
    rows = _resized(abstract_rows(group), layout.shape.rows)
    seeds = jax.ShapeDtypeStruct((layout.shape.seeds,), jnp.int32)
    scalar = jax.ShapeDtypeStruct((), jnp.int32)

    def placed(function: Callable[..., Any], ins: tuple[Any, ...], outs: Any, args: tuple[Any, ...], **kw: Any) -> Any:
        shares = [
            _resized(arg, layout.shape.settings) if spec == split else arg for arg, spec in zip(args, ins, strict=True)
        ]
        mapped = jax.shard_map(
            _local(function, shares, layout), mesh=mesh, in_specs=ins, out_specs=outs, check_vma=False
        )
        mapped.__name__ = function.__name__
        shardings = tuple(NamedSharding(mesh, spec) for spec in ins)
        return jax.jit(mapped, in_shardings=shardings, **kw).lower(*args)

    start = _start_function(member)
    carried, initial = jax.eval_shape(start, key, seeds, rows)
    some = bool(jax.tree.leaves((carried, initial)))
    begin = placed(start, (whole, whole, split), split, (key, seeds, rows)) if some else None
    fed = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((layout.shape.seeds, *leaf.shape), leaf.dtype), member.fed)
    advance = placed(
        _advance_function(member, length, layout),
        (split, whole, whole, split, whole, whole, whole),
        (split, PartitionSpec(None, "settings")),
        (carried, key, seeds, rows, scalar, scalar, fed),
        donate_argnums=0,
    )
    return Lowered(begin, advance, carried)


def _local(function: Callable[..., Any], args: Sequence[Any], layout: Layout) -> Callable[..., Any]:
    """The function traced for one device's share of the arguments.

    Traced inside `shard_map`, the gradient of a convolution mapped over its kernels is not implemented (JAX 0.10 to
    0.12): its batching rule refuses a sharding, though the one it sees there says nothing.
    """
    program, shape = jax.make_jaxpr(function, return_shape=True)(*args)
    if layout.devices[0].platform == "cpu":
        program = canonical(program)
    flat, tree = jaxpr_as_fun(program), jax.tree.structure(shape)
    return lambda *args: jax.tree.unflatten(tree, flat(*jax.tree.leaves(args)))


def _resized(tree: PyTree, size: int) -> PyTree:
    """The types of arrays with another length of their leading axis."""

    def resize(leaf: Any) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((size, *leaf.shape[1:]), leaf.dtype, weak_type=leaf.weak_type)

    return jax.tree.map(resize, tree)


def _start_function(member: Member) -> Callable[..., Any]:
    def start(key: jax.Array, seeds: jax.Array, rows: PyTree) -> tuple[Carried, Metrics]:
        first = jax.vmap(lambda own: jax.random.fold_in(own, 0))(_seed_keys(key, seeds))
        carried, initial = jax.vmap(jax.vmap(member.start.value, (0, None)), (None, 0))(first, rows)
        return carried, initial

    return start


def _advance_function(member: Member, length: int, layout: Layout) -> Callable[..., Any]:
    """A block's segment: `(carried, key, seeds, rows, first, count, fed) -> (carried, metrics)`."""
    walk = _once if length == 1 else functools.partial(_looped, min(layout.segment, length))
    form = _in_turn if layout.in_turn else _together

    def advance(
        carried: Carried,
        key: jax.Array,
        seeds: jax.Array,
        rows: PyTree,
        first: jax.Array,
        count: jax.Array,
        fed: PyTree,
    ) -> tuple[Carried, Metrics]:
        steps = functools.partial(walk, first=first, count=count)
        carried, metrics = form(member, steps, carried, _seed_keys(key, seeds), rows, fed)
        return carried, metrics

    return advance


Step = Callable[[Carried, jax.Array], tuple[Carried, Metrics]]
"""`(carried, number of the advance) -> (carried, metrics)`."""


def _once(step: Step, carried: Carried, *, first: jax.Array, count: jax.Array) -> tuple[Carried, Metrics]:
    """The only advance."""
    del count
    carried, metrics = step(carried, first + 1)
    return carried, jax.tree.map(lambda values: values[None], metrics)


def _looped(
    segment: int, step: Step, carried: Carried, *, first: jax.Array, count: jax.Array
) -> tuple[Carried, Metrics]:
    """`count` advances after the first `first`; their metrics in arrays of a whole segment's length."""

    def body(i: jax.Array, loop: tuple[Carried, Metrics]) -> tuple[Carried, Metrics]:
        carried, kept = loop
        carried, metrics = step(carried, first + i + 1)
        return carried, jax.tree.map(lambda all_, new: all_.at[i].set(new), kept, metrics)

    shapes = jax.eval_shape(step, carried, first)[1]
    kept = jax.tree.map(lambda one: jnp.zeros((segment, *one.shape), one.dtype), shapes)
    # The number of advances is an argument: one program serves every length up to the segment's.
    carried, kept = jax.lax.fori_loop(0, count, body, (carried, kept))
    return carried, kept


def _together(
    member: Member, walk: Callable[[Step, Carried], Any], carried: Carried, keys: jax.Array, rows: PyTree, fed: PyTree
) -> tuple[Carried, Metrics]:
    """All members side by side; the seeds' own work, such as shuffling, is shared between the settings."""
    members = jax.vmap(jax.vmap(member.advance.value, (0, 0, None, None, 0)), (0, None, 0, None, None))
    carried, metrics = walk(lambda carried, number: members(carried, keys, rows, number, fed), carried)
    return carried, metrics


def _in_turn(
    member: Member, walk: Callable[[Step, Carried], Any], carried: Carried, keys: jax.Array, rows: PyTree, fed: PyTree
) -> tuple[Carried, Metrics]:
    """One member after the other, each by a whole segment; what it carries is replaced where it lies."""
    seeds = len(keys)
    members = len(jax.tree.leaves(rows)[0]) * seeds

    def train(carried: Carried, i: jax.Array) -> tuple[Carried, Metrics]:
        setting, seed = i // seeds, i % seeds
        own, row, given = _entry(keys, seed), _entry(rows, setting), _entry(fed, seed)
        one, metrics = walk(
            lambda carried, number: member.advance.value(carried, own, row, number, given),
            _entry(carried, (setting, seed)),
        )
        return jax.tree.map(lambda whole, new: whole.at[setting, seed].set(new), carried, one), metrics

    carried, metrics = jax.lax.scan(train, carried, jnp.arange(members))
    apart = jax.tree.map(lambda values: values.reshape(-1, seeds, *values.shape[1:]), metrics)
    return carried, jax.tree.map(lambda values: jnp.moveaxis(values, 2, 0), apart)


def _entry(tree: PyTree, at: Any) -> PyTree:
    return jax.tree.map(lambda leaf: leaf[at], tree)


def _seed_keys(key: jax.Array, seeds: jax.Array) -> jax.Array:
    return jax.vmap(lambda seed: jax.random.fold_in(key, seed))(seeds)
