"""Before anything trains: every check, the layout of the blocks, and their compiled programs."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

import jax
import jax.numpy as jnp

from jaxlr._types import Metrics
from jaxlr.engine import forms, programs
from jaxlr.engine import layout as blocks
from jaxlr.engine.layout import Layout, Shape
from jaxlr.engine.programs import Cost, Program, Traced
from jaxlr.runs import Run
from jaxlr.spaces import Space
from jaxlr.spaces import group as grouped
from jaxlr.spaces.values import is_number

__all__ = ["Devices", "Trainable", "fitting", "laid_out", "prepare"]

Trainable: TypeAlias = Run | Callable[..., Metrics]
"""What can be swept: a run, or a function `train(key, **hyperparameters)`."""

Devices: TypeAlias = int | Sequence[jax.Device] | None


def prepare(
    run: Run,
    space: Space,
    seeds: int,
    key: jax.Array,
    chunk: int | Literal["auto"],
    devices: Devices,
    segment: int,
    keep: str | None,
) -> tuple[Traced, list[Program], Layout, Cost]:
    """Check everything, lay out the blocks and compile: the groups traced, their programs, the layout, what it took."""
    traced, layout = laid_out(run, space, seeds, key, chunk, devices, segment, keep)
    compiled, layout, cost = fitting(traced, layout, adapt=chunk == "auto")
    return traced, compiled, layout, cost._replace(trace_seconds=cost.trace_seconds + traced.seconds)


def laid_out(
    run: Run,
    space: Space,
    seeds: int,
    key: jax.Array,
    chunk: int | Literal["auto"],
    devices: Devices,
    segment: int,
    keep: str | None,
) -> tuple[Traced, Layout]:
    """Every check that needs no compilation, the groups traced, and the layout of their blocks."""
    if not isinstance(space, Space):
        raise TypeError(f"space must be made by grid(...), zipped(...) and their products and sums, got {space!r}")
    _check_surroundings(key)
    blocks.check(seeds, chunk, segment, keep)
    used = blocks.chosen(devices)
    groups = grouped(space, run.static_names)
    rows = list(space.rows())
    for group in groups:
        for setting in _corners([rows[i] for i in group.rows]):
            run.check(setting)
    if keep is not None and run.weights is None:
        raise ValueError(f"keep must be left out for a training function, whose weights are its own; got {keep!r}")
    traced = programs.traced(run, groups, key, keep)
    starts = [member.start.program for member in traced.members]
    advances = [member.advance.program for member in traced.members]
    form = forms.choose(starts, advances, used[0].platform, len(used))
    sizes = [len(group.rows) for group in groups]
    segment = segment if run.feed is None else 1  # what an advance is fed is all that is on the device
    return traced, blocks.lay_out(sizes, seeds, chunk, used, form, segment, keep)


def _check_surroundings(key: jax.Array) -> None:
    """A sweep is compiled ahead and looped over on the host.

    Raises:
        RuntimeError: inside a transformation, or under a flag, with which that cannot be.
    """
    alone = "; to step through one training: run_one(run, setting, jit=False)"
    if isinstance(key, jax.core.Tracer) or isinstance(jnp.zeros(()) + 0, jax.core.Tracer):
        raise RuntimeError("a sweep must be called outside jit, vmap and grad: it compiles and maps what it is given")
    if _flag("jax_disable_jit"):
        raise RuntimeError(f"a sweep is compiled, so jax_disable_jit must be off, got it on{alone}")
    if _flag("jax_debug_nans") or _flag("jax_debug_infs"):
        raise RuntimeError(
            "NaN and infinity are results of a sweep, of the members that diverge: jax_debug_nans and jax_debug_infs "
            f"must be off, got one of them on{alone}"
        )


def _flag(name: str) -> bool:
    """A flag of JAX as it is here and now, within its context managers (a name that type checkers do not know)."""
    return bool(getattr(jax.config, name))


def _corners(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first setting, and those with the smallest and the largest value of each number: enough for range checks."""
    corners = [rows[0]]
    for name, first in rows[0].items():
        if is_number(first):
            for choose in (min, max):
                row = choose(rows, key=operator.itemgetter(name))
                if row not in corners:
                    corners.append(row)
    return corners


def fitting(traced: Traced, layout: Layout, *, adapt: bool) -> tuple[list[Program], Layout, Cost]:
    """The groups' programs, of a block small enough for the devices' memory.

    Raises:
        ValueError: it is too large, and `adapt` is not set.
    """
    cost, room = Cost(), programs.room(layout.devices[0], len(layout.devices))
    while True:
        compiled, more = programs.compiled(traced, layout)
        cost, need, shape = cost.plus(more), max(program.memory() for program in compiled), layout.shape
        smaller = _fraction(shape, room / need) if need > room else shape
        if smaller == shape:
            return compiled, layout, cost
        if not adapt:
            raise ValueError(
                f'chunk must be left at "auto" or be less than {shape.settings * shape.seeds}: '
                f"it needs {need:.2g} bytes on each device, of which {room:.2g} are free"
            )
        layout = layout.of_shape(smaller)


def _fraction(shape: Shape, part: float) -> Shape:
    """Halved, and again to about a part of its members: compiling each shape on the way would take minutes."""
    wanted = shape.settings * shape.seeds * part
    smaller = shape.halved() or shape
    while smaller.settings * smaller.seeds > max(wanted, 1):
        smaller = smaller.halved() or smaller
    return smaller
