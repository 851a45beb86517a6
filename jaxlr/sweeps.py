"""The sweep engine: a whole space of settings and seeds in one compiled program.

    space -> groups (what must be compiled in) -> programs (one for each group) -> blocks of one shape -> Dataset

The host sees the metrics between segments of epochs. A block is all that is in memory at a time.
"""

from __future__ import annotations

import inspect
import math
import operator
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax

from jaxlr import _checks, blocks, programs, spaces
from jaxlr.programs import Cost, Layout, Program, Run, Shape
from jaxlr.spaces import Group, Space
from jaxlr.training import Experiment

__all__ = ["Plan", "plan", "sweep"]

_CACHED_MEMBERS = 64
"""Members for each CPU device that `chunk="auto"` aims at: their working set stays in the cache of a core."""
_MANY_MEMBERS = 4096
"""The same for other devices: a step of a small model is bound by launches until thousands fill them."""


class Plan(NamedTuple):
    """What a sweep will do.

    Attributes:
        settings: number of settings.
        seeds: number of seeds.
        members: trainings, settings times seeds.
        groups: what is compiled in, for each program.
        compilations: programs that had to be compiled for this answer; a sweep of the same run uses them.
        shape: settings on each device, seeds and devices of a block.
        blocks: number of blocks, padding included.
        memory: bytes needed on each device, as the compiler says.
        trace_seconds: what tracing the programs took.
        compile_seconds: what compiling them took.
    """

    settings: int
    seeds: int
    members: int
    groups: tuple[dict[str, Any], ...]
    compilations: int
    shape: Shape
    blocks: int
    memory: int
    trace_seconds: float
    compile_seconds: float


def sweep(
    run: Run,
    space: Space,
    *,
    seeds: int = 1,
    key: jax.Array | None = None,
    chunk: int | str = "auto",
    devices: int | Sequence[jax.Device] | None = None,
    segment: int = 100,
    keep: str | None = None,
    progress: bool | Callable[[int, int], None] = False,
) -> Any:
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
        chunk: members (settings times seeds) trained at once on each device. "auto" takes 64 on a CPU, 4,096
            elsewhere, and fewer where the compiled program needs more memory than there is.
        devices: how many local devices, or which; all by default.
        segment: epochs between which the host sees the metrics.
        keep: "last" or "best" to return the trained weights too: those after the last epoch, or at each member's
            lowest `val_loss` (`loss` without test data).
        progress: True for a bar, or a function of the epochs done and the epochs in all.

    Returns:
        A Dataset with the dimensions `(<axes...>, seed, epoch)`: the experiment's metrics, and for each member
        `status` (`ok`, `diverged`, `stopped`, or `unfinished` after an interrupt) and `diverged_at` (first epoch with
        a non-finite loss, 0 for never; the metrics are NaN from there on). Its attributes tell the versions, the
        device, the block's shape, the programs compiled, and the seconds spent tracing, compiling and running, of
        which `host_seconds` without waiting for a device. With `keep`, a pair of the Dataset and
        the weights, whose leading axes are `(<axes...>, seed)`.

    Raises:
        ValueError: a hyperparameter that nobody takes or that somebody lacks, a value out of range, or an argument
            below 1.
        TypeError: `run` or `space` is of the wrong kind, or a traced hyperparameter is used as a Python number.

    >>> import jax.numpy as jnp
    >>> def train(key, lr):
    ...     return {"loss": (1 - 2 * lr) ** jnp.arange(1, 6)}
    >>> from jaxlr.spaces import grid
    >>> ds = sweep(train, grid(lr=[0.1, 0.25]))
    >>> print(ds["loss"].sel(lr=0.25, seed=0).values)
    [0.5     0.25    0.125   0.0625  0.03125]
    """
    from jaxlr import results

    key = jax.random.key(0) if key is None else key
    groups, compiled, layout, cost = _prepare(run, space, seeds, key, chunk, devices, segment, keep)
    work = blocks.Work(len(space), seeds, _reporter(progress, _epochs(run) * len(space) * seeds))
    started = time.perf_counter()
    for group, program in zip(groups, compiled, strict=True):
        if not blocks.train(run, group, program, layout, key, work):
            warnings.warn("the sweep was interrupted: what is finished is returned", stacklevel=2)
            break
    attributes = {
        "run": run.description if isinstance(run, Experiment) else getattr(run, "__qualname__", repr(run)),
        "backend": layout.devices[0].platform,
        "device": layout.devices[0].device_kind,
        "chunk": ", then ".join(map(str, dict.fromkeys([layout.shape, *work.shapes]))),
        **_costs(cost, work, time.perf_counter() - started),
    }
    along = "epoch" if isinstance(run, Experiment) else "step"
    ds = results.label(space, work.arrays, work.finished, attributes, along)
    if keep is None:
        return ds
    return ds, jax.tree.map(lambda a: a.reshape(*space.dims.values(), *a.shape[1:]), work.params)


def _costs(before: Cost, work: blocks.Work, seconds: float) -> dict[str, Any]:
    """Where the time went: `host_seconds` is the part of `run_seconds` that no device was waited for."""
    cost = before.plus(work.cost)
    running = seconds - work.cost.trace_seconds - work.cost.compile_seconds
    return {
        "compilations": cost.compilations,
        "trace_seconds": round(cost.trace_seconds, 3),
        "compile_seconds": round(cost.compile_seconds, 3),
        "run_seconds": round(running, 3),
        "host_seconds": round(running - work.device_seconds, 3),
    }


def plan(
    run: Run,
    space: Space,
    *,
    seeds: int = 1,
    chunk: int | str = "auto",
    devices: int | Sequence[jax.Device] | None = None,
    segment: int = 100,
) -> Plan:
    """What `sweep` with the same arguments would do, without training.

    The programs are compiled, since only the compiler knows the memory; the sweep then finds them compiled.

    >>> from jaxlr.spaces import grid
    >>> p = plan(lambda key, lr, name: {"loss": lr}, grid(lr=[0.1, 0.2, 0.3], name=["a", "b"]), seeds=4, devices=1)
    >>> p.members, p.groups, p.compilations, p.shape, p.blocks
    (24, ({'name': 'a'}, {'name': 'b'}), 2, Shape(settings=4, seeds=4, devices=1), 2)
    """
    key = jax.random.key(0)
    groups, compiled, layout, cost = _prepare(run, space, seeds, key, chunk, devices, segment, None)
    shape = layout.shape
    return Plan(
        len(space),
        seeds,
        len(space) * seeds,
        tuple(group.static for group in groups),
        cost.compilations,
        shape,
        sum(math.ceil(len(group.rows) / shape.rows) for group in groups) * math.ceil(seeds / shape.seeds),
        max(program.memory() for program in compiled),
        cost.trace_seconds,
        cost.compile_seconds,
    )


def compile_ahead(
    run: Run,
    space: Space,
    *,
    seeds: int = 1,
    chunk: int | str = "auto",
    devices: int | Sequence[jax.Device] | None = None,
    segment: int = 100,
) -> Cost:
    """Trace the programs of the `sweep` with the same arguments and return while they are compiled in the background.

    The sweep waits for those that it needs and are not ready.

    >>> from jaxlr.spaces import grid
    >>> def train(key, lr):
    ...     return {"loss": lr}
    >>> cost = compile_ahead(train, grid(lr=[0.1, 0.2]))
    >>> cost.compilations, sweep(train, grid(lr=[0.1, 0.2])).attrs["compilations"]
    (1, 0)
    """
    groups, layout = _laid_out(run, space, seeds, chunk, devices, segment, None)
    return programs.begin(run, groups, layout, jax.random.key(0))


def _prepare(
    run: Run,
    space: Space,
    seeds: int,
    key: jax.Array,
    chunk: int | str,
    devices: int | Sequence[jax.Device] | None,
    segment: int,
    keep: str | None,
) -> tuple[list[Group], list[Program], Layout, Cost]:
    """Check everything, lay out the blocks and compile: groups, their programs, the layout, what compiling took."""
    groups, layout = _laid_out(run, space, seeds, chunk, devices, segment, keep)
    compiled, layout, cost = _fitting(run, groups, layout, key, adapt=chunk == "auto")
    return groups, compiled, layout, cost


def _laid_out(
    run: Run,
    space: Space,
    seeds: int,
    chunk: int | str,
    devices: int | Sequence[jax.Device] | None,
    segment: int,
    keep: str | None,
) -> tuple[list[Group], Layout]:
    """Check everything and lay out the blocks."""
    groups = _groups(run, space)
    _checks.count("segment", segment)
    if keep is not None:
        _checks.one_of("keep", keep, ("last", "best"))
        if not isinstance(run, Experiment):
            raise ValueError(f"keep must be left out for a training function, whose weights are its own; got {keep!r}")
    shape, used = _shape(space, groups, seeds, chunk, devices)
    return groups, Layout(shape, tuple(used), segment, keep)


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
    else:
        _check_signature(run, space.names)
    return groups


def _check_signature(train: Callable[..., Any], names: Sequence[str]) -> None:
    try:
        inspect.signature(train).bind(None, **dict.fromkeys(names))
    except TypeError as error:
        raise TypeError(f"run must take a key and the hyperparameters {', '.join(names)}: {error}") from None


def _corners(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first setting, and those with the smallest and the largest value of each number: enough for range checks."""
    corners = [rows[0]]
    for name, first in rows[0].items():
        if isinstance(first, (int, float)):
            for choose in (min, max):
                row = choose(rows, key=operator.itemgetter(name))
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
        members = _CACHED_MEMBERS if used[0].platform == "cpu" else _MANY_MEMBERS
        inner = min(seeds, members)
        largest = max(len(group.rows) for group in groups)
        # Powers of two, so that sweeps of like size share a compiled program.
        wanted = 1 << (math.ceil(largest / len(used)) - 1).bit_length()
        outer = min(wanted, 1 << ((members // inner).bit_length() - 1))
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


def _fitting(
    run: Run, groups: list[Group], layout: Layout, key: jax.Array, *, adapt: bool
) -> tuple[list[Program], Layout, Cost]:
    """The groups' programs; where `adapt` is set, of a block small enough for the devices' memory."""
    cost = Cost()
    while True:
        compiled, more = programs.compiled(run, groups, layout, key)
        cost = cost.plus(more)
        half = layout.shape.halved()
        if not adapt or half is None or all(p.fits(layout.devices[0], len(layout.devices)) for p in compiled):
            return compiled, layout, cost
        layout = layout._replace(shape=half)


def _epochs(run: Run) -> int:
    """Units of work of one member, for the progress."""
    return run.epochs if isinstance(run, Experiment) else 1


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
