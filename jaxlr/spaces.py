"""Spaces of hyperparameters: which settings a sweep trains.

A `Space` is a product of axes. An axis holds one or more named columns of equal length, so that hyperparameters can
move together. Numbers become traced arrays of the compiled program; strings, booleans, None, functions and whatever
`static` marks are static: one compilation for each of their values.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

__all__ = ["ABSENT", "Axis", "Group", "Space", "Static", "grid", "group", "static", "zipped"]

RESERVED = frozenset({"seed", "epoch", "key", "step", "setting", "status", "diverged_at", "rate"})
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

    `a * b` combines every setting of `a` with every setting of `b`. `a + b` trains the settings of both: one dimension
    `setting`, where a hyperparameter that only one of them has is absent from the other.

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
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"{name} must be given once in a space, got it {names.count(name)} times")
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
        forced = self.forced | other.forced
        if "setting" in self.dims and "setting" in other.dims:
            rows = [{**a, **b} for a in self.rows() for b in other.rows()]
            return Space((_table(rows),), forced)
        return Space((*self.axes, *other.axes), forced)

    def __add__(self, other: Space) -> Space:
        if not isinstance(other, Space):
            return NotImplemented
        return Space((_table([*self.rows(), *other.rows()]),), self.forced | other.forced)


def _table(rows: Sequence[Mapping[str, Any]]) -> Axis:
    names = dict.fromkeys(name for row in rows for name in row)
    return Axis("setting", {name: tuple(row.get(name, ABSENT) for row in rows) for name in names})


def grid(**axes: Any) -> Space:
    """Every combination of the given values; each list is a dimension, a single value is fixed.

    Args:
        **axes: hyperparameter -> a list, tuple, range or one-dimensional array of values, or one value.

    Raises:
        ValueError: there are no axes, one is empty, has several dimensions or holds a value twice.

    >>> space = grid(learning_rate=[0.1, 0.01], momentum=[0.0, 0.5, 0.9], nesterov=True)
    >>> len(space), space.dims
    (6, {'learning_rate': 2, 'momentum': 3})
    """
    if not axes:
        raise ValueError("grid must have at least one axis, got none")
    made = []
    for name, given in axes.items():
        values, single = _values(name, given)
        if len(set(map(label, values))) < len(values):
            raise ValueError(f"{name} must hold different values, got {given!r}")
        made.append(Axis(None if single else name, {name: values}))
    return Space(tuple(made), _forced(axes))


def zipped(**axes: Any) -> Space:
    """Hyperparameters that move together: the i-th setting takes the i-th value of each.

    Args:
        **axes: hyperparameter -> its values; all of one length.

    Raises:
        ValueError: there are no axes, or their lengths differ.

    >>> [row for row in zipped(learning_rate=[0.1, 0.01], momentum=[0.0, 0.9]).rows()]
    [{'learning_rate': 0.1, 'momentum': 0.0}, {'learning_rate': 0.01, 'momentum': 0.9}]
    """
    if not axes:
        raise ValueError("zipped must have at least one axis, got none")
    columns = {}
    for name, given in axes.items():
        columns[name], single = _values(name, given)
        if single:
            raise ValueError(f"{name} must be a list of values in zipped, got {given!r}")
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"zipped axes must have one length, got {lengths}")
    return Space((Axis("setting", columns),), _forced(axes))


def _forced(axes: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(name for name, given in axes.items() if isinstance(given, Static))


def _values(name: str, given: Any) -> tuple[tuple[Any, ...], bool]:
    """The values of an axis as the user meant them, and whether it was a single fixed value."""
    if isinstance(given, Static):
        given = given.values
    if isinstance(given, (np.ndarray, jax.Array)):
        if given.ndim > 1:
            raise ValueError(f"{name} must have one dimension, got the shape {given.shape}")
        values = tuple(_plain(value) for value in np.atleast_1d(np.asarray(given)))
        single = given.ndim == 0
    elif isinstance(given, (list, tuple, range)):
        values, single = tuple(_plain(value) for value in given), False
    else:
        values, single = (_plain(given),), True
    if not values:
        raise ValueError(f"{name} must have at least one value, got {given!r}")
    for value in values:
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{name} must be finite, got {value!r}")
    return values, single


def _plain(value: Any) -> Any:
    """NumPy and JAX scalars as Python's, a narrow float by its shortest decimal (float32 0.1 is 0.1)."""
    if isinstance(value, (np.ndarray, jax.Array)) and value.ndim == 0:
        value = np.asarray(value)[()]
    if isinstance(value, np.floating):
        return float(value) if value.dtype == np.float64 else float(str(value))
    if isinstance(value, (np.integer, np.bool_, np.str_)):
        return value.item()
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_pytree(value: Any) -> bool:
    """A hyperparameter made of arrays or numbers, such as one of our schedules: its leaves are traced."""
    leaves, tree = jax.tree.flatten(value)
    return not jax.tree_util.treedef_is_leaf(tree) and bool(leaves) and all(_is_numeric(leaf) for leaf in leaves)


def _is_numeric(leaf: Any) -> bool:
    return isinstance(leaf, (int, float, np.ndarray, np.number, jax.Array))


def label(value: Any) -> Hashable:
    """What tells two values of an axis apart."""
    try:
        hash(value)
    except TypeError:
        return repr(value)
    return (type(value).__name__, value)


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
    >>> [(part.static, part.traced["learning_rate"].tolist(), part.rows.tolist()) for part in parts]
    [({'name': 'sgd'}, [0.10000000149011612, 1.0], [0, 1]), ({'name': 'adam'}, [0.10000000149011612, 1.0], [2, 3])]
    """
    kinds = {
        name: _kind(column, name in space.forced | static_names)
        for axis in space.axes
        for name, column in axis.columns.items()
    }
    gathered: dict[Hashable, list[tuple[int, dict[str, Any]]]] = {}
    for i, row in enumerate(space.rows()):
        signature = tuple((name, kinds[name], _signature(value, kinds[name])) for name, value in row.items())
        gathered.setdefault(signature, []).append((i, row))
    groups = []
    for members in gathered.values():
        rows = [row for _, row in members]
        fixed = {name: value for name, value in rows[0].items() if kinds[name] == "static"}
        traced = {
            name: _stack([row[name] for row in rows], kinds[name]) for name in rows[0] if kinds[name] != "static"
        }
        groups.append(Group(fixed, traced, np.array([i for i, _ in members])))
    return groups


def _kind(column: Sequence[Any], forced: bool) -> str:
    present = [value for value in column if value is not ABSENT]
    if forced:
        return "static"
    if all(_is_number(value) for value in present):
        return "int" if all(isinstance(value, int) for value in present) else "float"
    return "pytree" if all(_is_pytree(value) for value in present) else "static"


def _signature(value: Any, kind: str) -> Hashable:
    if kind == "static":
        return label(value)
    return jax.tree.structure(value) if kind == "pytree" else None


def _stack(values: Sequence[Any], kind: str) -> Any:
    if kind == "pytree":
        return jax.tree.map(lambda *leaves: _narrow(np.stack([np.asarray(leaf) for leaf in leaves])), *values)
    return _narrow(np.array(values, float if kind == "float" else int))


def _narrow(array: np.ndarray) -> np.ndarray:
    """To JAX's own types: float64 and int64 only where x64 is on."""
    if array.dtype == np.float64:
        return array.astype(jax.dtypes.canonicalize_dtype(np.float64))
    if array.dtype == np.int64:
        limit = np.iinfo(np.int32)
        if array.size and (array.min() < limit.min or array.max() > limit.max):
            raise ValueError(f"an integer hyperparameter must fit int32, got {array.tolist()}")
        return array.astype(np.int32)
    return array
