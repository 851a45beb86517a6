"""Spaces of hyperparameters: which settings a sweep trains.

A `Space` is a product of axes. An axis holds one or more named columns of equal length, so that
hyperparameters can move together.
"""

from __future__ import annotations

import dataclasses
import inspect
import itertools
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxlr.spaces.values import ABSENT, axis_values, forced, is_number, label

__all__ = ["Axis", "Space", "grid", "zipped"]

RESERVED = frozenset(
    {"seed", "epoch", "key", "step", "setting", "status", "diverged_at", "rate"}
    | {"loss", "accuracy", "val_loss", "val_accuracy"}
)
"""Names of a result's dimensions and variables, which no hyperparameter may take."""


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

    def where(self, condition: Callable[..., Any]) -> Space:
        """The settings for which a condition holds, along one dimension `setting`.

        Args:
            condition: a function of the hyperparameters that it names; a setting that lacks one of them is kept.

        Raises:
            ValueError: it names what is no hyperparameter, or no setting is left.

        >>> space = grid(lr=[0.1, 0.01], momentum=[0.0, 0.9]).where(lambda lr, momentum: lr / (1 - momentum) <= 0.2)
        >>> list(space.rows())
        [{'lr': 0.1, 'momentum': 0.0}, {'lr': 0.01, 'momentum': 0.0}, {'lr': 0.01, 'momentum': 0.9}]
        """
        named = [p.name for p in inspect.signature(condition).parameters.values() if p.kind is not p.VAR_KEYWORD]
        for name in named:
            if name not in self.names:
                raise ValueError(f"condition must name hyperparameters, {', '.join(self.names)}; got {name!r}")
        rows = [
            row for row in self.rows() if not set(named) <= set(row) or condition(**{name: row[name] for name in named})
        ]
        if not rows:
            raise ValueError(f"condition must hold for a setting at least, got none of {len(self)}")
        return Space((_table(rows),), self.forced)

    @property
    def _zipped(self) -> Axis | None:
        return next((axis for axis in self.axes if axis.dim == "setting"), None)

    def __add__(self, other: Space) -> Space:
        if not isinstance(other, Space):
            return NotImplemented
        both = Space((_table([*self.rows(), *other.rows()]),), self.forced | other.forced)
        _warn_of_doubles(both)
        return both


def _check_once(names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{name} must be given once in a space, got it {names.count(name)} times")


def _warn_of_doubles(space: Space) -> None:
    """A setting that stands there twice is trained twice."""
    (axis,) = space.axes
    codes = np.stack([_codes(column) for column in axis.columns.values()])
    _, first, counts = np.unique(codes, axis=1, return_index=True, return_counts=True)
    doubles = np.flatnonzero(counts > 1)
    if len(doubles):
        example = next(itertools.islice(space.rows(), int(first[doubles[0]]), None))
        warnings.warn(f"{len(doubles)} settings stand in the space more than once, such as {example}", stacklevel=4)


def _codes(column: tuple[Any, ...]) -> np.ndarray:
    """A number for each of the different values of a column, `[n]`."""
    if all(map(is_number, column)):
        return np.unique(np.array(column, float), return_inverse=True)[1]
    numbers: dict[Any, int] = {}
    return np.array([numbers.setdefault(label(value), len(numbers)) for value in column])


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
        if len({value if is_number(value) else label(value) for value in values}) < len(values):
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
    space = Space((Axis("setting", columns),), forced(axes))
    _warn_of_doubles(space)
    return space
