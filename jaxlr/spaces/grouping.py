"""The settings of a space, gathered by what must be compiled in: what one compiled program can train."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxlr.spaces.algebra import Axis, Space
from jaxlr.spaces.values import ABSENT, is_number, is_pytree, label

__all__ = ["Group", "group"]


class Group(NamedTuple):
    """Settings that one compiled program can train.

    Attributes:
        static: hyperparameter -> the value compiled in.
        traced: hyperparameter -> values of all rows: an array `[n]`, or a pytree of arrays `[n, ...]`.
        rows: positions of the settings in the space, `[n]`.
    """

    static: dict[str, Any]
    traced: dict[str, Any]
    rows: np.ndarray


def group(space: Space, static_names: frozenset[str] = frozenset()) -> list[Group]:
    """The settings of a space, gathered by what must be compiled in.

    A numeric axis is float32 when any of its values is a float, int32 when all are integers.

    Args:
        space: the settings.
        static_names: hyperparameters that are static whatever their values.

    >>> from jaxlr.spaces import grid
    >>> parts = group(grid(name=["sgd", "adam"], learning_rate=[0.1, 1]))
    >>> [(part.static, part.traced["learning_rate"].dtype.name, part.rows.tolist()) for part in parts]
    [({'name': 'sgd'}, 'float32', [0, 1]), ({'name': 'adam'}, 'float32', [2, 3])]
    """
    always = space.forced | static_names
    kinds = {name: _kind(column, name in always) for axis in space.axes for name, column in axis.columns.items()}
    positions = np.unravel_index(np.arange(len(space)), [axis.size for axis in space.axes])
    return [_gathered(space, kinds, positions, rows) for rows in _alike(space, kinds, positions)]


def _alike(space: Space, kinds: Mapping[str, str], positions: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Rows of the space with one signature, in the order of their first rows."""
    codes = np.zeros(len(space), int)
    for axis, at in zip(space.axes, positions, strict=True):
        numbers: dict[Hashable, int] = {}
        own = np.array([numbers.setdefault(_signature(axis, i, kinds), len(numbers)) for i in range(axis.size)])
        codes = np.unique(codes * len(numbers) + own[at], return_inverse=True)[1]
    order = np.argsort(codes, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(codes[order])) + 1)
    return sorted(parts, key=lambda rows: int(rows[0]))


def _gathered(space: Space, kinds: Mapping[str, str], positions: Sequence[np.ndarray], rows: np.ndarray) -> Group:
    fixed: dict[str, Any] = {}
    traced: dict[str, Any] = {}
    for axis, at in zip(space.axes, positions, strict=True):
        used, where = np.unique(at[rows], return_inverse=True)
        for name, column in axis.columns.items():
            values = [column[i] for i in used]
            if values[0] is ABSENT:
                continue
            if kinds[name] == "static":
                fixed[name] = values[0]
            else:
                stacked = _stack(name, values, kinds[name])
                traced[name] = jax.tree.map(lambda leaf, where=where: leaf[where], stacked)
    return Group(fixed, traced, rows)


def _kind(column: Sequence[Any], forced: bool) -> str:
    present = [value for value in column if value is not ABSENT]
    if forced:
        return "static"
    if all(is_number(value) for value in present):
        return "int" if all(isinstance(value, int) for value in present) else "float"
    return "pytree" if all(is_pytree(value) for value in present) else "static"


def _signature(axis: Axis, i: int, kinds: Mapping[str, str]) -> Hashable:
    """What the i-th row of an axis has compiled in: static values, shapes of pytrees, its names."""
    parts: list[Hashable] = []
    for name, column in axis.columns.items():
        value = column[i]
        if value is ABSENT:
            parts.append(None)
        elif kinds[name] == "static":
            parts.append(label(value))
        elif kinds[name] == "pytree":
            leaves, tree = jax.tree.flatten(value)
            parts.append((tree, tuple(np.shape(leaf) for leaf in leaves)))
        else:
            parts.append(kinds[name])
    return tuple(parts)


def _stack(name: str, values: Sequence[Any], kind: str) -> Any:
    if kind == "pytree":
        return jax.tree.map(lambda *leaves: _narrow(name, np.stack([np.asarray(leaf) for leaf in leaves])), *values)
    return _narrow(name, np.array(values, float) if kind == "float" else np.array(values))


def _narrow(name: str, array: np.ndarray) -> np.ndarray:
    """To JAX's own types: float64 only where x64 is on, integers as int32."""
    if array.dtype == np.float64:
        return _as_float(name, array)
    if array.dtype.kind == "O" or array.dtype in (np.int64, np.uint64):
        limit = np.iinfo(np.int32)
        if array.min() < limit.min or array.max() > limit.max:
            worst = max(array.min(), array.max(), key=abs)
            raise ValueError(f"{name} must fit a 32-bit integer ({limit.min} to {limit.max}), got {worst}")
        return array.astype(np.int32)
    return array


def _as_float(name: str, array: np.ndarray) -> np.ndarray:
    """In the default float type, in which every finite value must be finite and none but zero be zero."""
    dtype = jax.dtypes.canonicalize_dtype(np.float64)
    with np.errstate(over="ignore", under="ignore"):
        cast = array.astype(dtype)
    lost = (np.isfinite(array) & ~np.isfinite(cast)) | ((array != 0) & (cast == 0))
    if lost.any():
        least, most = np.finfo(dtype).smallest_subnormal, np.finfo(dtype).max
        raise ValueError(
            f"{name} must fit {dtype.name} (zero, or {least:.3g} to {most:.3g} in size), got {array[lost][0]!r}; "
            "jax_enable_x64 has a wider range"
        )
    return cast
