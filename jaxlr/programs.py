"""Compiled programs of a sweep: a run's functions over a block of settings and seeds, split over the devices.

A program advances `settings x seeds` members, settings outer and seeds inner, by a segment of epochs. Seeds are shared
between settings, so their shuffled batches are not batched over the settings.
"""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import jaxpr_as_fun
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxlr import spaces
from jaxlr.spaces import Group
from jaxlr.training import Experiment

__all__ = ["Cost", "Layout", "Lowered", "Program", "Shape", "begin", "compiled", "lower", "numbered"]

PyTree = Any
Run = Experiment | Callable[..., dict[str, jax.Array]]


class Shape(NamedTuple):
    """The shape of a block.

    Attributes:
        settings: settings on each device.
        seeds: seeds.
        devices: number of devices.
    """

    settings: int
    seeds: int
    devices: int

    def __str__(self) -> str:
        return f"{self.settings} settings x {self.seeds} seeds on each of {self.devices} devices"

    @property
    def rows(self) -> int:
        """Settings in a block."""
        return self.settings * self.devices

    def halved(self) -> Shape | None:
        """Half as many members: of settings first, then of seeds; None for a single one."""
        if self.settings > 1:
            return self._replace(settings=self.settings // 2)
        return self._replace(seeds=self.seeds // 2) if self.seeds > 1 else None


class Layout(NamedTuple):
    """How a block is laid out and what it gives.

    Attributes:
        shape: its shape.
        devices: where it runs.
        segment: epochs that it advances at most.
        keep: which weights it keeps: "last", "best" or None.
    """

    shape: Shape
    devices: tuple[jax.Device, ...]
    segment: int
    keep: str | None


class Program(NamedTuple):
    """A group's compiled functions: `start(key, seeds, rows)` and `advance(carry, key, seeds, rows, first, count)`.

    A training function has no `start`; its `advance(key, seeds, rows)` is the whole training.
    """

    start: Callable[..., PyTree] | None
    advance: Any

    def memory(self) -> int:
        """Bytes that it needs on each device, as its compiler says; 0 where that does not tell."""
        used = self.advance.memory_analysis()
        if used is None:
            return 0
        return used.temp_size_in_bytes + used.argument_size_in_bytes + used.output_size_in_bytes

    def fits(self, device: jax.Device, sharing: int) -> bool:
        """Whether the memory it needs on a device is there; `sharing` devices share the host's memory."""
        need = self.memory()
        stats = device.memory_stats()
        if stats and "bytes_limit" in stats:
            return need <= stats["bytes_limit"] - stats.get("bytes_in_use", 0)
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


class Carried(NamedTuple):
    """What a segment hands to the next: the members' carries, and the best weights so far where they are kept."""

    run: PyTree
    score: jax.Array | None
    best: PyTree | None


class Compiling(NamedTuple):
    """A group's functions as `Program` has them, perhaps still being compiled."""

    start: Future[Any]
    advance: Future[Any]


_programs: weakref.WeakKeyDictionary[Any, dict[Any, Compiling]] = weakref.WeakKeyDictionary()
"""Compiled programs live as long as the experiment or function that they train."""


def begin(run: Run, groups: list[Group], layout: Layout, key: jax.Array) -> Cost:
    """Trace the groups and have those not yet known compiled, side by side and in the background."""
    known = _programs.setdefault(run, {})
    missing = {name: group for group in groups if (name := _name(group, layout, key)) not in known}
    began = time.perf_counter()
    # Tracing finds what does not fit, so every group is traced before the first is compiled.
    lowered = [lower(run, group, layout, key) for group in missing.values()]
    _check_alike(run, lowered)
    cost = Cost(len(missing), time.perf_counter() - began)
    pool = ThreadPoolExecutor(max_workers=max(2 * len(lowered), 1))
    for name, part in zip(missing, lowered, strict=True):
        known[name] = Compiling(pool.submit(_compile_start, part.start, layout), pool.submit(part.advance.compile))
    pool.shutdown(wait=False)
    return cost


def compiled(run: Run, groups: list[Group], layout: Layout, key: jax.Array) -> tuple[list[Program], Cost]:
    """The groups' programs, and what it took to have them."""
    cost = begin(run, groups, layout, key)
    known = _programs[run]
    began = time.perf_counter()
    found = []
    for group in groups:
        name = _name(group, layout, key)
        try:
            found.append(Program(*(part.result() for part in known[name])))
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
    statics = tuple((name, spaces.label(value)) for name, value in group.static.items())
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
        local = _traced(
            function, [_share(arg, layout) if spec == split else arg for arg, spec in zip(args, ins, strict=True)]
        )
        mapped = jax.shard_map(local, mesh=mesh, in_specs=ins, out_specs=outs, check_vma=False)
        mapped.__name__ = function.__name__
        shardings = tuple(NamedSharding(mesh, spec) for spec in ins)
        return jax.jit(mapped, in_shardings=shardings, **kw).lower(*args)

    try:
        if not isinstance(run, Experiment):
            function = _train_function(run, group.static)
            _check_pure(function, (key, seeds, rows))
            return Lowered(None, placed(function, (whole, whole, split), split, (key, seeds, rows)))
        start = _start_function(run, group.static, layout.keep)
        advance = _advance_function(run, group.static, layout)
        begin = placed(start, (whole, whole, split), split, (key, seeds, rows))
        carry = jax.eval_shape(start, key, seeds, rows)
        ins = (split, whole, whole, split, whole, whole)
        outs = (split, PartitionSpec(None, "settings"))
        args = (carry, key, seeds, rows, scalar, scalar)
        return Lowered(begin, placed(advance, ins, outs, args, donate_argnums=0))
    except TypeError as error:
        # JAX's own errors of this kind are TypeErrors, not all of a class of their own.
        if not isinstance(error, jax.errors.JAXTypeError) and "concrete values" not in str(error):
            raise
        numbers = ", ".join(group.traced) or "none"
        raise TypeError(
            "a hyperparameter that sizes arrays or steers Python code must be static, such as "
            f"grid(width=static([16, 32])); traced here: {numbers}"
        ) from error


def _check_alike(run: Run, lowered: list[Lowered]) -> None:
    """Every group gives the same metrics: they go into the same arrays."""
    found = []
    for _, advance in lowered:
        metrics = advance.out_info[1] if isinstance(run, Experiment) else advance.out_info
        found.append({name: (leaf.shape[2:], str(leaf.dtype)) for name, leaf in metrics.items()})
    for other in found[1:]:
        if other != found[0]:
            raise ValueError(f"a training must give the same arrays for every static value, got {found[0]} and {other}")


def _check_pure(function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    """A training function does the same whenever it is traced: on another device, in a smaller block, when resumed."""
    # A function of its own for each, or JAX would remember the first.
    first, second = (jax.make_jaxpr(lambda *args: function(*args))(*args) for _ in range(2))
    same = str(first) == str(second) and all(map(np.array_equal, first.consts, second.consts))
    if not same:
        raise ValueError("run must be a pure function of its arguments, got another program when it was traced again")


def _traced(function: Callable[..., Any], args: list[Any]) -> Callable[..., Any]:
    """The function traced for one device's share of the arguments.

    Traced inside `shard_map`, the gradient of a convolution mapped over its kernels is not implemented (JAX 0.10 to
    0.12): its batching rule refuses a sharding, though the one it sees there says nothing.
    """
    jaxpr, shape = jax.make_jaxpr(function, return_shape=True)(*args)
    flat, tree = jaxpr_as_fun(jaxpr), jax.tree.structure(shape)
    return lambda *args: jax.tree.unflatten(tree, flat(*jax.tree.leaves(args)))


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


def _start_function(run: Experiment, static: dict[str, Any], keep: str | None) -> Callable[..., PyTree]:
    def start(key: jax.Array, seeds: jax.Array, rows: PyTree) -> PyTree:
        def one(seed_key: jax.Array, row: PyTree) -> Carried:
            carry = run.init(seed_key, {**static, **row["hp"]})
            return Carried(carry, jnp.float32(jnp.inf), carry.params) if keep == "best" else Carried(carry, None, None)

        first = jax.vmap(lambda own: jax.random.fold_in(own, 0))(_seed_keys(key, seeds))
        return jax.vmap(jax.vmap(one, (0, None)), (None, 0))(first, rows)

    return start


def _advance_function(run: Experiment, static: dict[str, Any], layout: Layout) -> Callable[..., Any]:
    segment = layout.segment

    def advance(
        carry: Carried, key: jax.Array, seeds: jax.Array, rows: PyTree, first: jax.Array, count: jax.Array
    ) -> tuple[PyTree, dict[str, jax.Array]]:
        def one(carried: Carried, epoch_key: jax.Array, row: PyTree) -> tuple[Carried, dict[str, jax.Array]]:
            hp = {**static, **row["hp"]}
            carry, metrics = run.epoch(carried.run, epoch_key, hp)
            _check_names(metrics, hp)
            return _kept(carried, carry, metrics), metrics

        # Under jit the epoch is traced once for its metrics' shapes and for the loop.
        members = jax.jit(jax.vmap(jax.vmap(one, (0, 0, None)), (0, None, 0)))
        seed_keys = _seed_keys(key, seeds)

        def body(i: jax.Array, loop: tuple[PyTree, PyTree]) -> tuple[PyTree, PyTree]:
            carry, kept = loop
            keys = jax.vmap(lambda own: jax.random.fold_in(own, first + i + 1))(seed_keys)
            carry, metrics = members(carry, keys, rows)
            return carry, jax.tree.map(lambda all_, new: all_.at[i].set(new), kept, metrics)

        shapes = jax.eval_shape(members, carry, seed_keys, rows)[1]
        kept = jax.tree.map(lambda one: jnp.zeros((segment, *one.shape), one.dtype), shapes)
        # The number of epochs is an argument: one program serves every length up to the segment's.
        return jax.lax.fori_loop(0, count, body, (carry, kept))

    return advance


def _kept(carried: Carried, carry: Any, metrics: dict[str, jax.Array]) -> Carried:
    """With the weights at the lowest test loss (train loss without test data) so far, where they are kept."""
    if carried.score is None:
        return Carried(carry, None, None)
    score = metrics.get("val_loss", metrics["loss"]).astype(jnp.float32)
    better = score < carried.score
    best = jax.tree.map(lambda new, old: jnp.where(better, new, old), carry.params, carried.best)
    return Carried(carry, jnp.where(better, score, carried.score), best)


def _train_function(run: Callable[..., dict[str, jax.Array]], static: dict[str, Any]) -> Callable[..., Any]:
    def train(key: jax.Array, seeds: jax.Array, rows: PyTree) -> dict[str, jax.Array]:
        def one(seed_key: jax.Array, row: PyTree) -> dict[str, jax.Array]:
            hp = {**static, **row["hp"]}
            out = run(seed_key, **hp)
            if not isinstance(out, dict) or not out:
                raise TypeError(f"a training function must return a dictionary of arrays, got {type(out).__name__}")
            _check_names(out, hp)
            out = {name: jnp.asarray(value) for name, value in out.items()}
            for name, value in out.items():
                if value.ndim > 1:
                    raise ValueError(f"{name} must be a scalar or an array [steps], got the shape {value.shape}")
            return out

        return jax.vmap(jax.vmap(one, (0, None)), (None, 0))(_seed_keys(key, seeds), rows)

    return train


def _check_names(metrics: dict[str, Any], hp: dict[str, Any]) -> None:
    for name in metrics:
        if name in hp:
            raise ValueError(f"{name!r} must not be a hyperparameter and a metric of the training at once; rename it")


def _seed_keys(key: jax.Array, seeds: jax.Array) -> jax.Array:
    return jax.vmap(lambda seed: jax.random.fold_in(key, seed))(seeds)
