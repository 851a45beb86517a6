"""The sweep engine: a whole space of settings and seeds in one compiled program.

    space -> groups (what must be compiled in) -> programs (one for each group) -> blocks of one shape -> Dataset

A program advances a block of `settings x seeds` members, settings outer and seeds inner, by a segment of epochs; the
host sees the metrics between segments. The settings of a block are split over the devices. Seeds are shared between
settings, so their shuffled batches are not batched over the settings.
"""

from __future__ import annotations

import math
import time
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxlr import _checks, spaces
from jaxlr.spaces import Group, Space
from jaxlr.training import Experiment

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Plan", "plan", "sweep"]

PyTree = Any
Arrays = dict[str, np.ndarray]
Run = Experiment | Callable[..., dict[str, jax.Array]]

_MEMBERS = 64
"""Members for each device that `chunk="auto"` aims at: their working set stays in the cache of a CPU core."""


class Shape(NamedTuple):
    """The shape of every block of a sweep.

    Attributes:
        settings: settings on each device.
        seeds: seeds.
        devices: number of devices.
    """

    settings: int
    seeds: int
    devices: int


class Plan(NamedTuple):
    """What a sweep will do.

    Attributes:
        settings: number of settings.
        seeds: number of seeds.
        members: trainings, settings times seeds.
        groups: what is compiled in, for each program.
        shape: settings on each device, seeds and devices of a block.
        blocks: number of blocks, padding included.
        segment: epochs between which the host sees the metrics; None for a training function.
    """

    settings: int
    seeds: int
    members: int
    groups: tuple[dict[str, Any], ...]
    shape: Shape
    blocks: int
    segment: int | None


class _Program(NamedTuple):
    """A group's compiled functions: `start(key, seeds, rows)` and `advance(carry, key, seeds, rows, first, count)`.

    A training function has no `start`; its `advance(key, seeds, rows)` is the whole training.
    """

    start: Callable[..., PyTree] | None
    advance: Callable[..., Any]


_programs: weakref.WeakKeyDictionary[Any, dict[Any, _Program]] = weakref.WeakKeyDictionary()
"""Compiled programs live as long as the experiment or function that they train."""


def sweep(
    run: Run,
    space: Space,
    *,
    seeds: int = 1,
    key: jax.Array | None = None,
    chunk: int | str = "auto",
    devices: int | Sequence[jax.Device] | None = None,
    segment: int = 50,
    progress: bool | Callable[[int, int], None] = False,
) -> xr.Dataset:
    """Train every setting of `space` with every seed and return labelled curves.

    Numbers of the space are arguments of the compiled program; whatever else it holds is compiled in, one program for
    each combination. Seed k starts from `fold_in(key, k)` in every setting, so two settings differ by their
    hyperparameters alone, and more seeds leave the earlier ones as they were. A run's numbers depend on its own
    hyperparameters, its seed and the block's shape, and on nothing else in the sweep.

    Args:
        run: an `experiment`, or a function `train(key, **hyperparameters)` that returns a dictionary of scalars or
            arrays `[steps]`.
        space: the settings: `grid(...)`, `zipped(...)`, their products and sums.
        seeds: number of seeds S.
        key: PRNG key; `jax.random.key(0)` by default.
        chunk: members (settings times seeds) trained at once on each device; "auto" takes about 64.
        devices: how many local devices, or which; all by default.
        segment: epochs between which the host sees the metrics.
        progress: True for a bar, or a function of the epochs done and the epochs in all.

    Returns:
        A Dataset with the dimensions `(<axes...>, seed, epoch)`: the experiment's metrics, and for each member
        `status` (`ok`, `diverged`, `stopped`, or `unfinished` after an interrupt) and `diverged_at` (first epoch with
        a non-finite loss, 0 for never; the metrics are NaN from there on). Its attributes tell the versions, the
        device, the block's shape and the seconds spent compiling and running.

    Raises:
        ValueError: a hyperparameter that nobody takes or that somebody lacks, a value out of range, or an argument
            below 1.
        TypeError: `run` or `space` is of the wrong kind.

    >>> import jax.numpy as jnp
    >>> def train(key, lr):
    ...     return {"loss": (1 - 2 * lr) ** jnp.arange(1, 6)}
    >>> from jaxlr.spaces import grid
    >>> ds = sweep(train, grid(lr=[0.1, 0.25]))
    >>> print(ds["loss"].sel(lr=0.25, seed=0).values)
    [0.5     0.25    0.125   0.0625  0.03125]
    """
    from jaxlr import results

    groups = _groups(run, space)
    shape, used = _shape(space, groups, seeds, chunk, devices)
    _checks.count("segment", segment)
    key = jax.random.key(0) if key is None else key
    started = time.perf_counter()
    programs, compilations = _compile(run, groups, shape, used, segment, key)
    compiled = time.perf_counter()
    report = _reporter(progress, _work(run, len(space) * seeds))
    arrays, finished = _execute(run, groups, programs, shape, segment, key, len(space), seeds, report)
    attributes = {
        "run": run.description if isinstance(run, Experiment) else getattr(run, "__qualname__", repr(run)),
        "backend": used[0].platform,
        "device": used[0].device_kind,
        "chunk": f"{shape.settings} settings x {shape.seeds} seeds on each of {shape.devices} devices",
        "compilations": compilations,
        "compile_seconds": round(compiled - started, 3),
        "run_seconds": round(time.perf_counter() - compiled, 3),
    }
    return results.label(space, arrays, finished, attributes, along="epoch" if isinstance(run, Experiment) else "step")


def plan(
    run: Run,
    space: Space,
    *,
    seeds: int = 1,
    chunk: int | str = "auto",
    devices: int | Sequence[jax.Device] | None = None,
    segment: int = 50,
) -> Plan:
    """What `sweep` with the same arguments would do, without compiling or training.

    >>> from jaxlr.spaces import grid
    >>> p = plan(lambda key, lr, name: {}, grid(lr=[0.1, 0.2, 0.3], name=["a", "b"]), seeds=4, devices=1)
    >>> p.members, p.groups, p.shape, p.blocks
    (24, ({'name': 'a'}, {'name': 'b'}), Shape(settings=4, seeds=4, devices=1), 2)
    """
    groups = _groups(run, space)
    shape, _ = _shape(space, groups, seeds, chunk, devices)
    blocks = sum(len(_blocks(len(group.rows), shape.settings * shape.devices)) for group in groups)
    blocks *= len(_blocks(seeds, shape.seeds))
    return Plan(
        len(space),
        seeds,
        len(space) * seeds,
        tuple(group.static for group in groups),
        shape,
        blocks,
        segment if isinstance(run, Experiment) else None,
    )


def _groups(run: Run, space: Space) -> list[Group]:
    """The space's groups, after every check that needs no compilation."""
    if not isinstance(run, Experiment) and not callable(run):
        raise TypeError(f"run must be an experiment or a function train(key, **hyperparameters), got {run!r}")
    if not isinstance(space, Space):
        raise TypeError(f"space must be made by grid(...), zipped(...) and their products and sums, got {space!r}")
    groups = spaces.group(space, run.static_names if isinstance(run, Experiment) else frozenset())
    if isinstance(run, Experiment):
        rows = list(space.rows())
        for group in groups:
            for setting in _corners([rows[i] for i in group.rows]):
                run.check(setting)
    return groups


def _corners(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first setting, and those with the smallest and the largest value of each number: enough for range checks."""
    corners = [rows[0]]
    for name, first in rows[0].items():
        if isinstance(first, (int, float)):
            for choose in (min, max):
                row = choose(rows, key=lambda row, name=name: row[name])
                if row not in corners:
                    corners.append(row)
    return corners


def _shape(
    space: Space, groups: list[Group], seeds: int, chunk: int | str, devices: int | Sequence[jax.Device] | None
) -> tuple[Shape, list[jax.Device]]:
    _checks.count("seeds", seeds)
    used = _devices(devices)
    if len(space) * seeds == 1:
        used = used[:1]
    if chunk == "auto":
        inner = min(seeds, _MEMBERS)
        largest = max(len(group.rows) for group in groups)
        # Powers of two, so that sweeps of like size share a compiled program.
        wanted = 1 << (math.ceil(largest / len(used)) - 1).bit_length()
        outer = min(wanted, 1 << ((_MEMBERS // inner).bit_length() - 1))
    else:
        _checks.count("chunk", chunk)
        inner = min(seeds, int(chunk))
        outer = max(int(chunk) // inner, 1)
    return Shape(outer, inner, len(used)), used


def _devices(devices: int | Sequence[jax.Device] | None) -> list[jax.Device]:
    if devices is None:
        return jax.local_devices()
    if isinstance(devices, Sequence):
        if not devices:
            raise ValueError("devices must hold at least one device, got none")
        return list(devices)
    _checks.count("devices", devices)
    if devices > len(jax.local_devices()):
        raise ValueError(f"devices must be at most the {len(jax.local_devices())} local devices, got {devices}")
    return jax.local_devices()[:devices]


def _compile(
    run: Run, groups: list[Group], shape: Shape, devices: list[jax.Device], segment: int, key: jax.Array
) -> tuple[list[_Program], int]:
    """The groups' programs, those not yet compiled side by side, and how many had to be compiled."""
    known = _programs.setdefault(run, {})
    names = [_program_name(group, shape, devices, segment, key) for group in groups]
    missing = [(name, group) for name, group in zip(names, groups, strict=True) if name not in known]
    # Tracing finds what does not fit, so every group is traced before the first is compiled.
    lowered = [_lower(run, group, shape, devices, segment, key) for _, group in missing]
    with ThreadPoolExecutor(max_workers=max(len(lowered), 1)) as pool:
        for (name, _), program in zip(missing, pool.map(_finish, lowered), strict=True):
            known[name] = program
    return [known[name] for name in names], len(missing)


def _program_name(group: Group, shape: Shape, devices: list[jax.Device], segment: int, key: jax.Array) -> Any:
    statics = tuple((name, spaces.label(value)) for name, value in group.static.items())
    leaves, tree = jax.tree.flatten(group.traced)
    kinds = tuple((leaf.shape[1:], leaf.dtype.name) for leaf in leaves)
    return statics, tree, kinds, shape, tuple(devices), segment, key.dtype, jnp.result_type(float)


def _finish(lowered: list[Any]) -> _Program:
    compiled = [part.compile() for part in lowered]
    return _Program(compiled[0] if len(compiled) == 2 else None, compiled[-1])


def _lower(
    run: Run, group: Group, shape: Shape, devices: list[jax.Device], segment: int, key: jax.Array
) -> list[Any]:
    """The group's functions over a block of members, traced."""
    # jax.make_mesh gives explicit axis types on recent JAX, under which a vmapped training fails.
    mesh = Mesh(np.array(devices), ("settings",))
    split, whole = PartitionSpec("settings"), PartitionSpec()
    rows = _abstract_rows(group, shape)
    seeds = jax.ShapeDtypeStruct((shape.seeds,), jnp.int32)
    scalar = jax.ShapeDtypeStruct((), jnp.int32)

    def lower(function: Callable[..., Any], ins: tuple[Any, ...], outs: Any, args: tuple[Any, ...], **kw: Any) -> Any:
        mapped = jax.shard_map(function, mesh=mesh, in_specs=ins, out_specs=outs, check_vma=False)
        mapped.__name__ = function.__name__
        placed = tuple(NamedSharding(mesh, spec) for spec in ins)
        return jax.jit(mapped, in_shardings=placed, **kw).lower(*args)

    try:
        if not isinstance(run, Experiment):
            function = _train_function(run, group.static)
            return [lower(function, (whole, whole, split), split, (key, seeds, rows))]
        start, advance = _start_function(run, group.static), _advance_function(run, group.static, segment)
        begin = lower(start, (whole, whole, split), split, (key, seeds, rows))
        carry = jax.eval_shape(start, key, seeds, rows)
        ins = (split, whole, whole, split, whole, whole)
        outs = (split, PartitionSpec(None, "settings"))
        args = (carry, key, seeds, rows, scalar, scalar)
        return [begin, lower(advance, ins, outs, args, donate_argnums=0)]
    except (jax.errors.ConcretizationTypeError, jax.errors.TracerIntegerConversionError) as error:
        numbers = ", ".join(group.traced) or "none"
        raise TypeError(
            "a hyperparameter that sizes arrays or steers Python code must be static, such as "
            f"grid(width=static([16, 32])); traced here: {numbers}"
        ) from error


def _abstract_rows(group: Group, shape: Shape) -> PyTree:
    """The types of a block's hyperparameters. Floats are weak, so that bfloat16 parameters stay bfloat16."""
    n = shape.settings * shape.devices

    def abstract(leaf: np.ndarray) -> jax.ShapeDtypeStruct:
        weak = np.issubdtype(leaf.dtype, np.floating)
        return jax.ShapeDtypeStruct((n, *leaf.shape[1:]), leaf.dtype, weak_type=weak)

    return jax.tree.map(abstract, _numbered(group.traced, np.arange(len(group.rows), dtype=np.int32)))


def _numbered(traced: dict[str, Any], rows: np.ndarray) -> dict[str, Any]:
    """With the rows' numbers, so that there is an axis to map where nothing is traced."""
    return {"hp": traced, "row": rows}


def _start_function(run: Experiment, static: dict[str, Any]) -> Callable[..., PyTree]:
    def start(key: jax.Array, seeds: jax.Array, rows: PyTree) -> PyTree:
        def one(seed_key: jax.Array, row: PyTree) -> PyTree:
            return run.init(seed_key, {**static, **row["hp"]})

        first = jax.vmap(lambda own: jax.random.fold_in(own, 0))(_seed_keys(key, seeds))
        return jax.vmap(jax.vmap(one, (0, None)), (None, 0))(first, rows)

    return start


def _advance_function(run: Experiment, static: dict[str, Any], segment: int) -> Callable[..., Any]:
    def advance(
        carry: PyTree, key: jax.Array, seeds: jax.Array, rows: PyTree, first: jax.Array, count: jax.Array
    ) -> tuple[PyTree, dict[str, jax.Array]]:
        def one(carry: PyTree, epoch_key: jax.Array, row: PyTree) -> tuple[PyTree, dict[str, jax.Array]]:
            return run.epoch(carry, epoch_key, {**static, **row["hp"]})

        members = jax.vmap(jax.vmap(one, (0, 0, None)), (0, None, 0))
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


def _train_function(run: Callable[..., dict[str, jax.Array]], static: dict[str, Any]) -> Callable[..., Any]:
    def train(key: jax.Array, seeds: jax.Array, rows: PyTree) -> dict[str, jax.Array]:
        def one(seed_key: jax.Array, row: PyTree) -> dict[str, jax.Array]:
            out = run(seed_key, **static, **row["hp"])
            if not isinstance(out, dict) or not out:
                raise TypeError(f"a training function must return a dictionary of arrays, got {type(out).__name__}")
            out = {name: jnp.asarray(value) for name, value in out.items()}
            for name, value in out.items():
                if value.ndim > 1:
                    raise ValueError(f"{name} must be a scalar or an array [steps], got the shape {value.shape}")
            return out

        return jax.vmap(jax.vmap(one, (0, None)), (None, 0))(_seed_keys(key, seeds), rows)

    return train


def _seed_keys(key: jax.Array, seeds: jax.Array) -> jax.Array:
    return jax.vmap(lambda seed: jax.random.fold_in(key, seed))(seeds)


def _blocks(n: int, size: int) -> list[np.ndarray]:
    """Positions 0 to n - 1 in blocks of one size, the last padded by its last position."""
    return [np.minimum(np.arange(start, start + size), n - 1) for start in range(0, n, size)]


def _execute(
    run: Run,
    groups: list[Group],
    programs: list[_Program],
    shape: Shape,
    segment: int,
    key: jax.Array,
    settings: int,
    seeds: int,
    report: Callable[[int], None],
) -> tuple[Arrays, np.ndarray]:
    """Train block by block: arrays `[settings, seeds, ...]`, and which members `[settings, seeds]` were finished."""
    arrays: Arrays = {}
    finished = np.zeros((settings, seeds), bool)
    try:
        for group, program in zip(groups, programs, strict=True):
            for rows in _blocks(len(group.rows), shape.settings * shape.devices):
                block = _numbered(jax.tree.map(lambda leaf, rows=rows: leaf[rows], group.traced), rows.astype(np.int32))
                for inner in _blocks(seeds, shape.seeds):
                    new = len(np.unique(rows)) * len(np.unique(inner))
                    args = (key, inner.astype(np.int32), block)
                    out = _run_block(run, program, args, segment, lambda epochs, new=new: report(epochs * new))
                    at = np.ix_(group.rows[rows], inner)
                    for name, values in out.items():
                        if name not in arrays:
                            arrays[name] = np.full((settings, seeds, *values.shape[2:]), np.nan, values.dtype)
                        arrays[name][at] = values
                    finished[at] = True
    except KeyboardInterrupt:
        if not arrays:
            raise
    return arrays, finished


def _run_block(
    run: Run, program: _Program, args: tuple[Any, ...], segment: int, report: Callable[[int], None]
) -> Arrays:
    """The metrics `[settings, seeds, ...]` of a block's whole training."""
    if program.start is None:
        out = {name: np.asarray(value) for name, value in program.advance(*args).items()}
        report(1)
        return out
    assert isinstance(run, Experiment)
    carry, parts = program.start(*args), []
    for first in range(0, run.epochs, segment):
        count = min(segment, run.epochs - first)
        carry, metrics = program.advance(carry, *args, np.int32(first), np.int32(count))
        parts.append({name: np.asarray(value)[:count] for name, value in metrics.items()})
        report(count)
    return {name: np.moveaxis(np.concatenate([part[name] for part in parts]), 0, -1) for name in parts[0]}


def _work(run: Run, members: int) -> int:
    return members * (run.epochs if isinstance(run, Experiment) else 1)


def _reporter(progress: bool | Callable[[int, int], None], total: int) -> Callable[[int], None]:
    """A function to be told of epochs done."""
    if progress is False:
        return lambda epochs: None
    if progress is True:
        from tqdm.auto import tqdm

        bar = tqdm(total=total, unit=" epochs", unit_scale=True)

        def advance(epochs: int) -> None:
            bar.update(epochs)
            if bar.n >= total:
                bar.close()

        return advance
    tell, done = progress, [0]

    def tell_all(epochs: int) -> None:
        done[0] += epochs
        tell(done[0], total)

    return tell_all
