"""Spaces of hyperparameters: which settings a sweep trains.

A `Space` is a product of axes. An axis holds one or more named columns of equal length, so that
hyperparameters can move together. Numbers, and pytrees of numbers such as schedules, become traced arrays of
the compiled program; strings, booleans, None, functions and whatever `static` marks are static: one
compilation for each of their values.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

__all__ = [
    "ABSENT",
    "Axis",
    "Group",
    "Space",
    "Static",
    "axis_values",
    "grid",
    "group",
    "label",
    "static",
    "zipped",
]

RESERVED = frozenset(
    {"seed", "epoch", "key", "step", "setting", "status", "diverged_at", "rate"}
    | {"loss", "accuracy", "val_loss", "val_accuracy"}
)
"""Names of a result's dimensions and variables, which no hyperparameter may take."""


class _Absent:
    """The value of a hyperparameter that a part of a concatenated space does not have."""

    def __repr__(self) -> str:
        return "absent"


ABSENT = _Absent()


class Static(NamedTuple):
    """Values that are compiled in; see `static`."""

    values: Any


def static(values: Any) -> Static:
    """Mark an axis (or one value) as static: one compilation for each value.

    For integers that size arrays, such as a model's width.

    >>> space = grid(width=static([16, 32]), learning_rate=[0.1, 0.2, 0.3])
    >>> [(part.static["width"], len(part.rows)) for part in group(space)]
    [(16, 3), (32, 3)]
    """
    return Static(values)


class Axis(NamedTuple):
    """One axis of a space: columns of equal length.

    Attributes:
        dim: name of the dimension in a result; None for a single fixed row.
        columns: hyperparameter -> its values along the axis.
    """

    dim: str | None
    columns: Mapping[str, tuple[Any, ...]]

    @property
    def size(self) -> int:
        return len(next(iter(self.columns.values())))


@dataclasses.dataclass(frozen=True)
class Space:
    """Settings to train, as a product of axes; made by `grid`, `zipped` and their products and sums.

    `a * b` combines every setting of `a` with every setting of `b`. `a + b` trains the settings of both: one
    dimension `setting`, where a hyperparameter that only one of them has is absent from the other.

    >>> space = grid(lr=[0.1, 0.01]) * zipped(momentum=[0.0, 0.9], nesterov=[False, True])
    >>> len(space), space.dims
    (4, {'lr': 2, 'setting': 2})
    >>> len(grid(lr=[0.1, 0.01]) + grid(lr=[0.3], momentum=[0.5, 0.9]))
    4
    """

    axes: tuple[Axis, ...]
    forced: frozenset[str] = frozenset()
    """Names that `static` marked."""

    def __post_init__(self) -> None:
        names = [name for axis in self.axes for name in axis.columns]
        _check_once(names)
        for name in names:
            if name in RESERVED:
                raise ValueError(f"{name!r} is reserved for results and cannot be a hyperparameter; rename it")

    @property
    def names(self) -> tuple[str, ...]:
        """The hyperparameters, in the order of the axes."""
        return tuple(name for axis in self.axes for name in axis.columns)

    @property
    def dims(self) -> dict[str, int]:
        """Dimensions of a result: name -> number of values."""
        return {axis.dim: axis.size for axis in self.axes if axis.dim is not None}

    def __len__(self) -> int:
        return math.prod(axis.size for axis in self.axes)

    def rows(self) -> Iterator[dict[str, Any]]:
        """The settings, the last axis fastest; absent hyperparameters are left out."""
        for index in itertools.product(*(range(axis.size) for axis in self.axes)):
            yield {
                name: column[i]
                for i, axis in zip(index, self.axes, strict=True)
                for name, column in axis.columns.items()
                if column[i] is not ABSENT
            }

    def __mul__(self, other: Space) -> Space:
        if not isinstance(other, Space):
            return NotImplemented
        _check_once([*self.names, *other.names])
        mine, theirs = self._zipped, other._zipped
        axes = (*self.axes, *other.axes)
        if mine is not None and theirs is not None:
            both = _combined(mine, theirs)
            axes = tuple(both if axis is mine else axis for axis in axes if axis is not theirs)
        return Space(axes, self.forced | other.forced)

    @property
    def _zipped(self) -> Axis | None:
        return next((axis for axis in self.axes if axis.dim == "setting"), None)

    def __add__(self, other: Space) -> Space:
        if not isinstance(other, Space):
            return NotImplemented
        return Space((_table([*self.rows(), *other.rows()]),), self.forced | other.forced)


def _check_once(names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{name} must be given once in a space, got it {names.count(name)} times")


def _combined(a: Axis, b: Axis) -> Axis:
    """Every row of `a` with every row of `b`, the latter fastest: a result has one dimension `setting`."""
    first = {name: tuple(value for value in column for _ in range(b.size)) for name, column in a.columns.items()}
    return Axis("setting", first | {name: column * a.size for name, column in b.columns.items()})


def _table(rows: Sequence[Mapping[str, Any]]) -> Axis:
    names = dict.fromkeys(name for row in rows for name in row)
    return Axis("setting", {name: tuple(row.get(name, ABSENT) for row in rows) for name in names})


def grid(**axes: Any) -> Space:
    """Every combination of the given values; each list is a dimension, a single value is fixed.

    Args:
        **axes: hyperparameter -> a list, tuple, range or one-dimensional array of values, or one value.

    Raises:
        ValueError: there are no axes, a name is reserved, an axis is empty, has several dimensions, holds a
            value twice or one that is not finite.
        TypeError: an axis is a set, an iterator or the like, whose order or length is unknown.

    >>> space = grid(learning_rate=[0.1, 0.01], momentum=[0.0, 0.5, 0.9], nesterov=True)
    >>> len(space), space.dims
    (6, {'learning_rate': 2, 'momentum': 3})
    """
    if not axes:
        raise ValueError("grid must have at least one axis, got none")
    made = []
    for name, given in axes.items():
        values, single = axis_values(name, given)
        if len({value if _is_number(value) else label(value) for value in values}) < len(values):
            raise ValueError(f"{name} must hold different values, got {given!r}")
        made.append(Axis(None if single else name, {name: values}))
    return Space(tuple(made), forced(axes))


def zipped(**axes: Any) -> Space:
    """Hyperparameters that move together: the i-th setting takes the i-th value of each.

    Args:
        **axes: hyperparameter -> its values; all of one length.

    Raises:
        ValueError: there are no axes, their lengths differ, or as for `grid`.

    >>> [row for row in zipped(learning_rate=[0.1, 0.01], momentum=[0.0, 0.9]).rows()]
    [{'learning_rate': 0.1, 'momentum': 0.0}, {'learning_rate': 0.01, 'momentum': 0.9}]
    """
    if not axes:
        raise ValueError("zipped must have at least one axis, got none")
    columns = {}
    for name, given in axes.items():
        columns[name], single = axis_values(name, given)
        if single:
            raise ValueError(f"{name} must be a list of values in zipped, got {given!r}")
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"zipped axes must have one length, got {lengths}")
    return Space((Axis("setting", columns),), forced(axes))


def forced(axes: Mapping[str, Any]) -> frozenset[str]:
    """The names that `static` marked."""
    return frozenset(name for name, given in axes.items() if isinstance(given, Static))


def axis_values(name: str, given: Any) -> tuple[tuple[Any, ...], bool]:
    """The values of an axis as the user meant them, and whether it was a single fixed value.

    >>> axis_values("lr", np.array([0.1, 0.2], np.float32)), axis_values("lr", 0.1)
    (((0.1, 0.2), False), ((0.1,), True))
    """
    if isinstance(given, Static):
        given = given.values
    unordered = isinstance(given, (Iterator, Collection)) and not isinstance(given, (Sequence, Mapping))
    if unordered and not _array(given):
        raise TypeError(f"{name} must be a list of values or one value, got a {type(given).__name__}")
    if _array(given):
        array = np.asarray(given)
        if array.ndim > 1:
            raise ValueError(f"{name} must have one dimension, got the shape {array.shape}")
        values, single = tuple(_plain(value) for value in np.atleast_1d(array)), array.ndim == 0
    elif isinstance(given, (list, tuple, range)) and not hasattr(given, "_fields"):
        values, single = tuple(_plain(value) for value in given), False
    else:
        values, single = (_plain(given),), True
    if not values:
        raise ValueError(f"{name} must have at least one value, got {given!r}")
    for value in values:
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{name} must be finite, got {value!r}")
    return values, single


def _array(value: Any) -> bool:
    return hasattr(value, "__array__") and not isinstance(value, np.generic)


def _plain(value: Any) -> Any:
    """NumPy and JAX scalars as Python's.

    A narrow float becomes the shortest decimal within 2e-6 of it: float32 0.1 is 0.1, and so is each value of a
    `jnp.logspace`, which misses its decades by some units in the last place.
    """
    if isinstance(value, (np.ndarray, jax.Array)) and value.ndim == 0:
        value = np.asarray(value)[()]
    if isinstance(value, np.generic) and jnp.issubdtype(value.dtype, np.floating):
        return float(value) if value.dtype == np.float64 else _short(float(value))
    if isinstance(value, (np.integer, np.bool_, np.str_)):
        return value.item()
    return value


def _short(value: float) -> float:
    rounded = (float(f"{value:.{digits}g}") for digits in range(1, 10))
    return next((near for near in rounded if abs(near - value) <= 2e-6 * abs(value)), value)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_pytree(value: Any) -> bool:
    """A hyperparameter made of arrays or numbers, such as one of our schedules: its leaves are traced."""
    if isinstance(value, (str, bool, int, float)):
        return False
    leaves = jax.tree.leaves(value)
    return bool(leaves) and all(_is_numeric(leaf) for leaf in leaves)


def _is_numeric(leaf: Any) -> bool:
    if isinstance(leaf, (np.ndarray, np.generic, jax.Array)):
        return jnp.issubdtype(leaf.dtype, np.number) or leaf.dtype == bool
    return isinstance(leaf, (int, float))


def label(value: Any) -> Hashable:
    """What tells two values of an axis apart: type and value, structure and parts, an array's content."""
    if isinstance(value, (np.ndarray, jax.Array)):
        array = np.asarray(value)
        return array.shape, array.dtype.str, array.tobytes()
    leaves, tree = jax.tree.flatten(value)
    if not jax.tree_util.treedef_is_leaf(tree):
        return tree, tuple(map(label, leaves))
    try:
        hash(value)
    except TypeError:
        return repr(value)
    return type(value).__name__, value


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
    if all(_is_number(value) for value in present):
        return "int" if all(isinstance(value, int) for value in present) else "float"
    return "pytree" if all(_is_pytree(value) for value in present) else "static"


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
        return array.astype(jax.dtypes.canonicalize_dtype(np.float64))
    if array.dtype.kind == "O" or array.dtype in (np.int64, np.uint64):
        limit = np.iinfo(np.int32)
        if array.min() < limit.min or array.max() > limit.max:
            worst = max(array.min(), array.max(), key=abs)
            raise ValueError(f"{name} must fit a 32-bit integer ({limit.min} to {limit.max}), got {worst}")
        return array.astype(np.int32)
    return array
