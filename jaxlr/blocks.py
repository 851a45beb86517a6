"""Training a group of settings block by block: memory holds one block, the host's arrays take what it gives.

The device computes a segment of epochs while the host reads the one before. Where a device runs out of memory, what is
left goes on in smaller blocks.
"""

from __future__ import annotations

import time
import warnings
from collections import deque
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxlr import programs
from jaxlr.programs import Cost, Layout, Program, Run, Shape
from jaxlr.spaces import Group
from jaxlr.training import Experiment

__all__ = ["Work", "train"]

PyTree = Any
Arrays = dict[str, np.ndarray]
Report = Callable[[int], None]


class Work:
    """What a sweep has computed so far, on the host."""

    def __init__(self, settings: int, seeds: int, report: Report) -> None:
        self.arrays: Arrays = {}
        self.params: PyTree = None
        self.finished = np.zeros((settings, seeds), bool)
        self.report = report
        self.shapes: list[Shape] = []
        self.cost = Cost()
        self.device_seconds = 0.0

    def on_device(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call what gives devices work or waits for it, and count the time."""
        began = time.perf_counter()
        try:
            return function(*args)
        finally:
            self.device_seconds += time.perf_counter() - began

    def store(self, settings: np.ndarray, seeds: np.ndarray, out: Arrays, params: PyTree) -> None:
        """Put a block's arrays `[settings, seeds, ...]` where they belong; padding repeats a member."""
        at = np.ix_(settings, seeds)

        def put(whole: np.ndarray | None, values: np.ndarray) -> np.ndarray:
            if whole is None:
                empty = np.nan if np.issubdtype(values.dtype, np.inexact) else 0
                whole = np.full((*self.finished.shape, *values.shape[2:]), empty, values.dtype)
            whole[at] = values
            return whole

        self.arrays = {name: put(self.arrays.get(name), values) for name, values in out.items()}
        if params is not None:
            nothing = jax.tree.map(lambda _: None, params)
            old = nothing if self.params is None else self.params
            leaves, tree = jax.tree.flatten(params)
            kept = jax.tree.leaves(old, is_leaf=lambda leaf: leaf is None)
            self.params = jax.tree.unflatten(tree, [put(a, b) for a, b in zip(kept, leaves, strict=True)])
        self.finished[at] = True


def train(run: Run, group: Group, program: Program, layout: Layout, key: jax.Array, work: Work) -> bool:
    """Train a group block by block; False when the user interrupted it and something is finished.

    Where a device runs out of memory, what is left goes on with half the block.
    """
    rows = np.arange(len(group.rows))
    seeds = np.arange(work.finished.shape[1])
    left = deque((rows, part) for part in _parts(seeds, layout.shape.seeds))
    while left:
        settings, inner = left.popleft()
        shape = layout.shape
        if len(inner) > shape.seeds:
            left.extendleft((settings, part) for part in reversed(_parts(inner, shape.seeds)))
            continue
        now, later = settings[: shape.rows], settings[shape.rows :]
        try:
            out, params = _run_block(run, program, group, layout, key, _padded(now, shape.rows), inner, work)
        except KeyboardInterrupt:
            if work.finished.any():
                return False
            raise
        except jax.errors.JaxRuntimeError as error:
            half = shape.halved()
            if half is None or not _is_out_of_memory(error):
                raise
            program, layout = _smaller(run, group, layout._replace(shape=half), key, work)
            left.appendleft((settings, inner))
            continue
        work.store(group.rows[_padded(now, shape.rows)], _padded(inner, shape.seeds), out, params)
        if len(later):
            left.appendleft((later, inner))
    return True


def _is_out_of_memory(error: Exception) -> bool:
    return "RESOURCE_EXHAUSTED" in str(error) or "out of memory" in str(error).lower()


def _smaller(run: Run, group: Group, layout: Layout, key: jax.Array, work: Work) -> tuple[Program, Layout]:
    warnings.warn(f"a device ran out of memory: going on with blocks of {layout.shape}", stacklevel=4)
    (program,), cost = programs.compiled(run, [group], layout, key)
    work.cost = work.cost.plus(cost)
    work.shapes.append(layout.shape)
    return program, layout


def _parts(positions: np.ndarray, size: int) -> list[np.ndarray]:
    return [positions[start : start + size] for start in range(0, len(positions), size)]


def _padded(positions: np.ndarray, size: int) -> np.ndarray:
    """To `size` positions, the last one repeated."""
    return np.pad(positions, (0, size - len(positions)), mode="edge")


def _run_block(
    run: Run,
    program: Program,
    group: Group,
    layout: Layout,
    key: jax.Array,
    rows: np.ndarray,
    seeds: np.ndarray,
    work: Work,
) -> tuple[Arrays, PyTree]:
    """A block's whole training: its metrics `[settings, seeds, ...]`, and its weights where they are kept."""
    new = len(np.unique(rows)) * len(seeds)
    traced = jax.tree.map(lambda leaf: leaf[rows], group.traced)
    block = programs.numbered(traced, rows.astype(np.int32))
    args = (key, _padded(seeds, layout.shape.seeds).astype(np.int32), block)
    if not isinstance(run, Experiment):
        out = work.on_device(jax.device_get, work.on_device(program.advance, *args))
        work.report(new)
        return out, None
    assert program.start is not None
    carried, parts = work.on_device(program.start, *args), []
    pending: tuple[int, dict[str, jax.Array]] | None = None
    for first in range(0, run.epochs, layout.segment):
        count = min(layout.segment, run.epochs - first)
        carried, metrics = work.on_device(program.advance, carried, *args, np.int32(first), np.int32(count))
        # The device computes this segment while the host reads the one before.
        parts += _read(pending, work, new)
        pending = count, metrics
    parts += _read(pending, work, new)
    out = {name: np.moveaxis(np.concatenate([part[name] for part in parts]), 0, 2) for name in parts[0]}
    kept = {"last": carried.run.params, "best": carried.best, None: None}[layout.keep]
    return out, jax.tree.map(np.asarray, kept)


def _read(pending: tuple[int, dict[str, jax.Array]] | None, work: Work, members: int) -> list[Arrays]:
    """The metrics of a segment on the host, once they are there."""
    if pending is None:
        return []
    count, metrics = pending
    part = {name: value[:count] for name, value in work.on_device(jax.device_get, metrics).items()}
    work.report(count * members)
    return [part]
