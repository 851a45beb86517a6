"""The sweep: a whole space of settings and seeds in one compiled program.

space -> groups (what must be compiled in) -> programs (one for each group) -> segments of blocks -> Dataset
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, overload

import jax

from jaxlr import _checks
from jaxlr._types import PyTree
from jaxlr.engine import programs
from jaxlr.engine.carries import from_host
from jaxlr.engine.collecting import Members, Took, collect
from jaxlr.engine.layout import Shape
from jaxlr.engine.preparing import Devices, Trainable, laid_out, prepare
from jaxlr.engine.programs import Cost
from jaxlr.engine.segments import segments
from jaxlr.engine.stored import Durable, stored
from jaxlr.engine.tracing import Carried
from jaxlr.runs import Run, as_run
from jaxlr.spaces import Space
from jaxlr.store import Given

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Plan", "Trainable", "compile_ahead", "plan", "sweep"]

Progress: TypeAlias = bool | Callable[[int, int], None]


class Plan(NamedTuple):
    """What a sweep will do.

    Attributes:
        settings: number of settings.
        seeds: number of seeds.
        members: trainings, settings times seeds.
        groups: what is compiled in, for each program.
        compilations: programs that had to be compiled for this answer; a sweep of the same run uses them.
        form: whether a device trains the members of a block side by side or in turn, and why.
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
    form: str
    shape: Shape
    blocks: int
    memory: int
    trace_seconds: float
    compile_seconds: float


@overload
def sweep(
    run: Trainable,
    space: Space,
    *,
    seeds: int = 1,
    key: jax.Array | None = None,
    chunk: int | Literal["auto"] = "auto",
    devices: Devices = None,
    segment: int = 100,
    keep: None = None,
    may_be_nan: Collection[str] = (),
    progress: Progress = False,
    store: Given | None = None,
    save_every: float = 60.0,
    force: bool = False,
) -> xr.Dataset: ...


@overload
def sweep(
    run: Trainable,
    space: Space,
    *,
    seeds: int = 1,
    key: jax.Array | None = None,
    chunk: int | Literal["auto"] = "auto",
    devices: Devices = None,
    segment: int = 100,
    keep: Literal["last", "best"],
    may_be_nan: Collection[str] = (),
    progress: Progress = False,
    store: Given | None = None,
    save_every: float = 60.0,
    force: bool = False,
) -> tuple[xr.Dataset, PyTree]: ...


def sweep(
    run: Trainable,
    space: Space,
    *,
    seeds: int = 1,
    key: jax.Array | None = None,
    chunk: int | Literal["auto"] = "auto",
    devices: Devices = None,
    segment: int = 100,
    keep: Literal["last", "best"] | None = None,
    may_be_nan: Collection[str] = (),
    progress: Progress = False,
    store: Given | None = None,
    save_every: float = 60.0,
    force: bool = False,
) -> xr.Dataset | tuple[xr.Dataset, PyTree]:
    """Train every setting of `space` with every seed and return labelled curves.

    Numbers of the space are arguments of the compiled program; whatever else it holds is compiled in, one program for
    each combination. Seed k starts from `fold_in(key, k)` in every setting, so two settings differ by their
    hyperparameters alone, and more seeds leave the earlier ones as they were. A run's numbers depend on its own
    hyperparameters, its seed and the block's shape, and on nothing else in the sweep. With `chunk="auto"` the shape
    follows from the numbers of settings, seeds and devices, so that a larger sweep may differ from a smaller one by
    rounding; with a number of members, the shape stays and so does every bit.

    Args:
        run: an `experiment`, a pair of functions as a `jaxlr.run(...)`, or a function `train(key, **hyperparameters)`
            that returns a dictionary of scalars or arrays `[steps]`.
        space: the settings: `grid(...)`, `zipped(...)`, their products and sums.
        seeds: number of seeds S.
        key: PRNG key; `jax.random.key(0)` by default.
        chunk: members (settings times seeds) in a block on each device. "auto" takes up to 64 on a CPU, 16 where they
            convolve, 4,096 elsewhere, and fewer where the compiled program needs more memory than there is.
        devices: how many local devices, or which; all by default.
        segment: epochs (or other advances of the run) between which the host sees the metrics.
        keep: "last" or "best" to return the trained weights too: those after the last epoch, or at each member's
            lowest `val_loss` (`loss` without test data). A pair of functions gives its carries.
        may_be_nan: metrics of which NaN and infinity are no divergence, such as a mean over what may be empty.
        progress: True for a bar, or a function of the epochs done and the epochs in all.
        store: a folder, or a URL that Zarr understands (with the extra `cloud`), that holds what is finished. The same
            call goes on after whatever ended it; more values on an axis, more settings or more seeds train what is
            new, in blocks of the same shape. `jaxlr.open` shows what is there at any time. SIGINT and SIGTERM end the
            sweep when the segment is done and saved.
        save_every: seconds after which what the block in training carries is saved too, in a local folder.
        force: delete what a store holds where it is another sweep.

    Returns:
        A Dataset with the dimensions `(<axes...>, seed, epoch)` (or `step`): the run's metrics, and for each member
        `status` (`ok`, `diverged`, `stopped`, or `unfinished` after an interrupt), `diverged_at` (first epoch with a
        metric that is not finite, 0 for never; the metrics are NaN from there on) and, where one did, `diverged_in`
        (that metric). Its attributes tell the versions, the
        device, the block's shape, the programs compiled, and the seconds spent tracing, compiling and running, of
        which `host_seconds` without waiting for a device. With `keep`, a pair of the Dataset and
        the weights, whose leading axes are `(<axes...>, seed)`.

    Raises:
        ValueError: a hyperparameter that nobody takes or that somebody lacks, a value out of range, or an argument
            below 1; a store that is damaged or holds another sweep.
        BlockingIOError: another process writes the store.
        TypeError: `run` or `space` is of the wrong kind, or a traced hyperparameter is used as a Python number.

    >>> import jax.numpy as jnp
    >>> def train(key, lr):
    ...     return {"loss": (1 - 2 * lr) ** jnp.arange(1.0, 6.0)}
    >>> from jaxlr.spaces import grid
    >>> ds = sweep(train, grid(lr=[0.1, 0.25]))
    >>> print(ds["loss"].sel(lr=0.25, seed=0).values)
    [0.5     0.25    0.125   0.0625  0.03125]
    """
    from jaxlr.results import label

    key = jax.random.key(0) if key is None else key
    _checks.key("key", key)
    given = as_run(run)
    report = _reporter(progress, given.length * len(space) * seeds)
    if store is not None:
        _checks.positive("save_every", save_every)
        if keep is not None:
            raise ValueError(f"keep must be left out with a store, which holds no weights; got {keep!r}")
        durable = Durable(store, save_every, force)
        return stored(given, space, seeds, key, chunk, devices, segment, may_be_nan, report, _spent, durable)
    traced, compiled, layout, cost = prepare(given, space, seeds, key, chunk, devices, segment, keep)
    members = Members(len(space), seeds, given.length)
    began = time.perf_counter()
    walk = segments(traced, compiled, layout, seeds)
    took = collect(walk, members, weights=_weights(given, keep), report=report)
    if took.interrupted:
        warnings.warn("the sweep was interrupted: what is there is returned", stacklevel=2)
    attributes = {
        "run": given.description,
        "backend": layout.devices[0].platform,
        "device": layout.devices[0].device_kind,
        "form": layout.reason,
        "chunk": ", then ".join(map(str, dict.fromkeys([layout.shape, *took.shapes]))),
        **_spent(cost.plus(took.cost), took, time.perf_counter() - began),
    }
    ds = label(
        space,
        members.arrays,
        members.finished,
        attributes,
        given.along,
        stride=given.stride,
        initial=members.initial,
        may_be_nan=may_be_nan,
    )
    if keep is None:
        return ds
    return ds, jax.tree.map(lambda a: a.reshape(*space.dims.values(), *a.shape[1:]), from_host(members.weights))


def _weights(run: Run, keep: str | None) -> Callable[[Carried], PyTree] | None:
    """What is kept of what a member carries at the end."""
    if keep is None:
        return None
    assert run.weights is not None
    of = run.weights
    return (lambda carried: carried.best) if keep == "best" else (lambda carried: of(carried.run))


def _spent(cost: Cost, took: Took, seconds: float) -> dict[str, Any]:
    """Where the time went: `host_seconds` is the part of `run_seconds` that no device was waited for."""
    running = seconds - took.cost.trace_seconds - took.cost.compile_seconds
    return {
        "compilations": cost.compilations,
        "trace_seconds": round(cost.trace_seconds, 3),
        "compile_seconds": round(cost.compile_seconds, 3),
        "run_seconds": round(running, 3),
        "host_seconds": round(running - took.device_seconds, 3),
    }


def plan(
    run: Trainable,
    space: Space,
    *,
    seeds: int = 1,
    chunk: int | Literal["auto"] = "auto",
    devices: Devices = None,
    segment: int = 100,
) -> Plan:
    """What `sweep` with the same arguments would do, without training.

    The programs are compiled, since only the compiler knows the memory; the sweep then finds them compiled.

    >>> from jaxlr.spaces import grid
    >>> p = plan(lambda key, lr, name: {"loss": lr}, grid(lr=[0.1, 0.2, 0.3], name=["a", "b"]), seeds=4, devices=1)
    >>> p.members, p.groups, p.compilations, p.shape, p.blocks
    (24, ({'name': 'a'}, {'name': 'b'}), 2, Shape(settings=4, seeds=4, devices=1), 2)
    """
    given = as_run(run)
    traced, compiled, layout, cost = prepare(given, space, seeds, jax.random.key(0), chunk, devices, segment, None)
    groups, shape = traced.groups, layout.shape
    return Plan(
        len(space),
        seeds,
        len(space) * seeds,
        tuple(group.static for group in groups),
        cost.compilations,
        layout.reason,
        shape,
        sum(math.ceil(len(group.rows) / shape.rows) for group in groups) * math.ceil(seeds / shape.seeds),
        max(program.memory() for program in compiled),
        cost.trace_seconds,
        cost.compile_seconds,
    )


def compile_ahead(
    run: Trainable,
    space: Space,
    *,
    seeds: int = 1,
    chunk: int | Literal["auto"] = "auto",
    devices: Devices = None,
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
    given = as_run(run)
    traced, layout = laid_out(given, space, seeds, jax.random.key(0), chunk, devices, segment, None)
    cost = programs.begin(traced, layout)
    return cost._replace(trace_seconds=cost.trace_seconds + traced.seconds)


def _reporter(progress: Progress, total: int) -> Callable[[int], None]:
    """A function to be told how many advances of all members are done."""
    if progress is False:
        return lambda done: None
    if progress is True:
        from tqdm.auto import tqdm

        bar = tqdm(total=total, unit=" epochs", unit_scale=True)

        def move(done: int) -> None:
            bar.update(done - bar.n)
            if done >= total:
                bar.close()

        return move
    tell = progress
    return lambda done: tell(done, total)
