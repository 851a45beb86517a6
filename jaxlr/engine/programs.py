"""Compiled programs of a sweep: a run's functions over a block of settings and seeds, split over the devices.

A program advances `settings x seeds` members, settings outer and seeds inner, by a segment. Seeds are shared between
settings, so their shuffled batches are not batched over the settings.
"""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, jaxpr_as_fun
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxlr._types import Hyperparameters, Metrics, PyTree
from jaxlr.engine.layout import Layout, Shape
from jaxlr.runs import Run
from jaxlr.spaces import Group
from jaxlr.spaces.values import label

__all__ = ["Carried", "Cost", "Lowered", "Program", "begin", "compiled", "lower", "numbered"]


class Program(NamedTuple):
    """A group's compiled functions.

    Attributes:
        start: `(key, seeds, rows) -> (carried, initial)` begins a block; None where there is nothing to begin with.
        advance: `(carried, key, seeds, rows, first, count) -> (carried, metrics)` trains a segment.
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

    def fits(self, device: jax.Device, sharing: int) -> bool:
        """Whether the memory it needs on a device is there; `sharing` devices share the host's memory."""
        need = self.memory()
        stats = device.memory_stats()
        if stats and "bytes_limit" in stats:
            return bool(need <= stats["bytes_limit"] - stats.get("bytes_in_use", 0))
        # A host's CPU devices: half of its memory for all of them.
        return need * sharing <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


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


class Carried(NamedTuple):
    """What a segment hands to the next: the members' carries, and the best weights so far where they are kept."""

    run: PyTree
    score: jax.Array | None
    best: PyTree | None


class _Compiling(NamedTuple):
    """A group's functions as `Program` has them, perhaps still being compiled."""

    start: Future[Any]
    advance: Future[Any]
    carried: PyTree


_programs: dict[tuple[Any, ...], dict[Any, _Compiling]] = {}
"""The programs of runs made of the same objects."""


def _known(run: Run) -> dict[Any, _Compiling]:
    """The programs made for runs of the same parts; they go when one of the parts goes."""
    parts = run.made_of or (run,)
    name = tuple(part if isinstance(part, (str, int, type(None))) else id(part) for part in parts)
    if name not in _programs:
        for part in parts:
            if not isinstance(part, (str, int, type(None))):
                weakref.finalize(part, _programs.pop, name, None)
        _programs[name] = {}
    return _programs[name]


def begin(run: Run, groups: Sequence[Group], layout: Layout, key: jax.Array) -> Cost:
    """Trace the groups and have those not yet known compiled, side by side and in the background."""
    known = _known(run)
    missing = {name: group for group in groups if (name := _name(group, layout, key)) not in known}
    began = time.perf_counter()
    # Tracing finds what does not fit, so every group is traced before the first is compiled.
    lowered = [lower(run, group, layout, key) for group in missing.values()]
    _check_alike(lowered)
    cost = Cost(len(missing), time.perf_counter() - began)
    pool = ThreadPoolExecutor(max_workers=max(2 * len(lowered), 1))
    for name, part in zip(missing, lowered, strict=True):
        start, advance = pool.submit(_compile_start, part.start, layout), pool.submit(part.advance.compile)
        known[name] = _Compiling(start, advance, part.carried)
    pool.shutdown(wait=False)
    return cost


def compiled(run: Run, groups: Sequence[Group], layout: Layout, key: jax.Array) -> tuple[list[Program], Cost]:
    """The groups' programs, and what it took to have them."""
    cost = begin(run, groups, layout, key)
    known = _known(run)
    began = time.perf_counter()
    found = []
    for group in groups:
        name = _name(group, layout, key)
        try:
            part = known[name]
            found.append(Program(part.start.result(), part.advance.result(), part.carried))
        except BaseException:
            known.pop(name)  # what failed once may be tried again
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


def _name(group: Group, layout: Layout, key: jax.Array) -> Any:
    """What tells one program of a run from another."""
    statics = tuple((name, label(value)) for name, value in group.static.items())
    leaves, tree = jax.tree.flatten(group.traced)
    kinds = tuple((leaf.shape[1:], leaf.dtype.name) for leaf in leaves)
    return statics, tree, kinds, layout, key.dtype, jnp.result_type(float)


def lower(run: Run, group: Group, layout: Layout, key: jax.Array) -> Lowered:
    """The group's functions over a block of members, traced."""
    # jax.make_mesh gives explicit axis types on recent JAX, under which a vmapped training fails.
    mesh = Mesh(np.array(layout.devices), ("settings",))
    split, whole = PartitionSpec("settings"), PartitionSpec()
    rows = _abstract_rows(group, layout.shape)
    seeds = jax.ShapeDtypeStruct((layout.shape.seeds,), jnp.int32)
    scalar = jax.ShapeDtypeStruct((), jnp.int32)

    def placed(function: Callable[..., Any], ins: tuple[Any, ...], outs: Any, args: tuple[Any, ...], **kw: Any) -> Any:
        shares = [_share(arg, layout) if spec == split else arg for arg, spec in zip(args, ins, strict=True)]
        local = _traced(function, shares, twice=not run.pure)
        mapped = jax.shard_map(local, mesh=mesh, in_specs=ins, out_specs=outs, check_vma=False)
        mapped.__name__ = function.__name__
        shardings = tuple(NamedSharding(mesh, spec) for spec in ins)
        return jax.jit(mapped, in_shardings=shardings, **kw).lower(*args)

    try:
        start = _start_function(run, group.static, layout.keep)
        carried, initial = jax.eval_shape(start, key, seeds, rows)
        some = bool(jax.tree.leaves((carried, initial)))
        begin = placed(start, (whole, whole, split), split, (key, seeds, rows)) if some else None
        args = (carried, key, seeds, rows, scalar, scalar)
        ins = (split, whole, whole, split, whole, whole)
        outs = (split, PartitionSpec(None, "settings"))
        advance = placed(_advance_function(run, group.static, layout), ins, outs, args, donate_argnums=0)
        return Lowered(begin, advance, carried)
    except TypeError as error:
        # JAX's own errors of this kind are TypeErrors, not all of a class of their own.
        if not isinstance(error, jax.errors.JAXTypeError) and "concrete values" not in str(error):
            raise
        numbers = ", ".join(group.traced) or "none"
        raise TypeError(
            "a hyperparameter that sizes arrays or steers Python code must be static, such as "
            f"grid(width=static([16, 32])); traced here: {numbers}"
        ) from error


def _check_alike(lowered: Sequence[Lowered]) -> None:
    """Every group gives the same metrics: they go into the same arrays."""
    found = [
        {name: (leaf.shape[3:], str(leaf.dtype)) for name, leaf in one.advance.out_info[1].items()} for one in lowered
    ]
    for other in found[1:]:
        if other != found[0]:
            raise ValueError(f"a training must give the same arrays for every static value, got {found[0]} and {other}")


def _traced(function: Callable[..., Any], args: Sequence[Any], *, twice: bool) -> Callable[..., Any]:
    """The function traced for one device's share of the arguments.

    Traced inside `shard_map`, the gradient of a convolution mapped over its kernels is not implemented (JAX 0.10 to
    0.12): its batching rule refuses a sharding, though the one it sees there says nothing.
    """
    jaxpr, shape = jax.make_jaxpr(function, return_shape=True)(*args)
    if twice:
        # A function of its own, or JAX would remember the first.
        again = jax.make_jaxpr(lambda *args: function(*args))(*args)
        if str(jaxpr) != str(again) or not all(map(np.array_equal, _constants(jaxpr), _constants(again))):
            raise ValueError(
                "run must be a pure function of its arguments, got another program when it was traced again"
            )
    flat, tree = jaxpr_as_fun(jaxpr), jax.tree.structure(shape)
    return lambda *args: jax.tree.unflatten(tree, flat(*jax.tree.leaves(args)))


def _constants(closed: ClosedJaxpr) -> list[Any]:
    """The arrays that are compiled in, those of inner programs too."""
    found = list(closed.consts)
    for equation in closed.jaxpr.eqns:
        for value in jax.tree.leaves(equation.params, is_leaf=lambda leaf: isinstance(leaf, ClosedJaxpr)):
            if isinstance(value, ClosedJaxpr):
                found += _constants(value)
    return found


def _share(tree: PyTree, layout: Layout) -> PyTree:
    """The types of one device's share of arrays whose leading axis is the block's settings."""

    def shrink(leaf: Any) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((layout.shape.settings, *leaf.shape[1:]), leaf.dtype, weak_type=leaf.weak_type)

    return jax.tree.map(shrink, tree)


def _abstract_rows(group: Group, shape: Shape) -> PyTree:
    """The types of a block's hyperparameters. Floats are weak, so that bfloat16 parameters stay bfloat16."""

    def abstract(leaf: np.ndarray) -> jax.ShapeDtypeStruct:
        weak = np.issubdtype(leaf.dtype, np.floating)
        return jax.ShapeDtypeStruct((shape.rows, *leaf.shape[1:]), leaf.dtype, weak_type=weak)

    return jax.tree.map(abstract, numbered(group.traced, np.arange(len(group.rows), dtype=np.int32)))


def numbered(traced: dict[str, Any], rows: np.ndarray) -> dict[str, Any]:
    """With the rows' numbers, so that there is an axis to map where nothing is traced."""
    return {"hp": traced, "row": rows}


def _start_function(run: Run, static: dict[str, Any], keep: str | None) -> Callable[..., Any]:
    def start(key: jax.Array, seeds: jax.Array, rows: PyTree) -> tuple[Carried, Metrics]:
        def one(own: jax.Array, row: PyTree) -> tuple[Carried, Metrics]:
            hp = {**static, **row["hp"]}
            carry = run.init(own, hp)
            initial = {} if run.initial is None else run.initial(carry, hp)
            _check_metrics(initial, hp)
            if keep != "best":
                return Carried(carry, None, None), initial
            assert run.weights is not None
            return Carried(carry, jnp.float32(jnp.inf), run.weights(carry)), initial

        first = jax.vmap(lambda own: jax.random.fold_in(own, 0))(_seed_keys(key, seeds))
        return jax.vmap(jax.vmap(one, (0, None)), (None, 0))(first, rows)

    return start


def _advance_function(run: Run, static: dict[str, Any], layout: Layout) -> Callable[..., Any]:
    segment = min(layout.segment, run.length)

    def advance(
        carried: Carried, key: jax.Array, seeds: jax.Array, rows: PyTree, first: jax.Array, count: jax.Array
    ) -> tuple[PyTree, Metrics]:
        def one(carried: Carried, own: jax.Array, row: PyTree, number: jax.Array) -> tuple[Carried, Metrics]:
            hp = {**static, **row["hp"]}
            carry, metrics = run.advance(carried.run, run.key_of(own, number), hp)
            _check_metrics(metrics, hp)
            metrics = {name: jnp.asarray(value) for name, value in metrics.items()}
            return _kept(run, carried, carry, metrics), metrics

        # Under jit an advance is traced once for its metrics' shapes and for the loop.
        members = jax.jit(jax.vmap(jax.vmap(one, (0, 0, None, None)), (0, None, 0, None)))
        seed_keys = _seed_keys(key, seeds)
        if run.length == 1:
            carried, metrics = members(carried, seed_keys, rows, first + 1)
            return carried, jax.tree.map(lambda values: values[None], metrics)

        def body(i: jax.Array, loop: tuple[PyTree, PyTree]) -> tuple[PyTree, PyTree]:
            carried, kept = loop
            carried, metrics = members(carried, seed_keys, rows, first + i + 1)
            return carried, jax.tree.map(lambda all_, new: all_.at[i].set(new), kept, metrics)

        shapes = jax.eval_shape(members, carried, seed_keys, rows, first)[1]
        kept = jax.tree.map(lambda one: jnp.zeros((segment, *one.shape), one.dtype), shapes)
        # The number of advances is an argument: one program serves every length up to the segment's.
        carried, kept = jax.lax.fori_loop(0, count, body, (carried, kept))
        return carried, kept

    return advance


def _kept(run: Run, carried: Carried, carry: Any, metrics: Metrics) -> Carried:
    """With the weights at the lowest test loss (train loss without test data) so far, where they are kept."""
    if carried.score is None:
        return Carried(carry, None, None)
    if "loss" not in metrics and "val_loss" not in metrics:
        raise ValueError(f"keep='best' must have a metric val_loss or loss to judge by, got {', '.join(metrics)}")
    assert run.weights is not None
    score = (metrics["val_loss"] if "val_loss" in metrics else metrics["loss"]).astype(jnp.float32)
    better = score < carried.score
    best = jax.tree.map(lambda new, old: jnp.where(better, new, old), run.weights(carry), carried.best)
    return Carried(carry, jnp.where(better, score, carried.score), best)


def _check_metrics(metrics: Any, hp: Hyperparameters) -> None:
    if not isinstance(metrics, dict):
        raise TypeError(f"a training must return a dictionary of arrays, got {type(metrics).__name__}")
    for name in metrics:
        if name in hp:
            raise ValueError(f"{name!r} must not be a hyperparameter and a metric of the training at once; rename it")


def _seed_keys(key: jax.Array, seeds: jax.Array) -> jax.Array:
    return jax.vmap(lambda seed: jax.random.fold_in(key, seed))(seeds)
