"""The values of an axis: what a user may give for one, what is compiled in, and what tells two values apart."""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

__all__ = [
    "ABSENT",
    "Distribution",
    "Static",
    "axis_values",
    "forced",
    "is_narrow",
    "is_number",
    "is_pytree",
    "label",
    "static",
]


class _Absent:
    """The value of a hyperparameter that a part of a concatenated space does not have."""

    def __repr__(self) -> str:
        return "absent"

    def __reduce__(self) -> str:
        # A copy or a pickle is the mark itself.
        return "ABSENT"


ABSENT = _Absent()


class Distribution(NamedTuple):
    """Where `sampled` draws a hyperparameter from; made by `uniform` and `log_uniform`."""

    low: float
    high: float
    log: bool


class Static(NamedTuple):
    """Values that are compiled in; see `static`."""

    values: Any


def static(values: Any) -> Static:
    """Mark an axis (or one value) as static: one compilation for each value.

    For integers that size arrays, such as a model's width.

    >>> from jaxlr.spaces import grid, group
    >>> space = grid(width=static([16, 32]), learning_rate=[0.1, 0.2, 0.3])
    >>> [(part.static["width"], len(part.rows)) for part in group(space)]
    [(16, 3), (32, 3)]
    """
    return Static(values)


def forced(axes: Mapping[str, Any]) -> frozenset[str]:
    """The names that `static` marked."""
    return frozenset(name for name, given in axes.items() if isinstance(given, Static))


def axis_values(name: str, given: Any) -> tuple[tuple[Any, ...], bool]:
    """The values of an axis as the user meant them, and whether it was a single fixed value.

    >>> axis_values("lr", np.array([0.1, 0.2])), axis_values("lr", 0.1)
    (((0.1, 0.2), False), ((0.1,), True))
    """
    if isinstance(given, Static):
        given = given.values
    if isinstance(given, Distribution):
        raise TypeError(
            f"{name} must be a list of values or one value, got {given!r}; to draw from it: sampled(n, ...)"
        )
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
        if is_number(value) and not math.isfinite(value):
            raise ValueError(f"{name} must be finite, got {value!r}")
    return values, single


def _array(value: Any) -> bool:
    return hasattr(value, "__array__") and not isinstance(value, np.generic)


def _plain(value: Any) -> Any:
    """Scalars of NumPy and JAX as Python's; but a narrow float stays what it is, so that it is trained to the bit."""
    if isinstance(value, (np.ndarray, jax.Array)) and value.ndim == 0:
        value = np.asarray(value)[()]
    if isinstance(value, (np.float64, np.integer, np.bool_, np.str_)):
        return value.item()
    return value


def is_number(value: Any) -> bool:
    """An integer or a float, of Python or a narrow one; no bool.

    >>> is_number(1), is_number(np.float32(0.1)), is_number(True)
    (True, True, False)
    """
    return (isinstance(value, (int, float)) and not isinstance(value, bool)) or is_narrow(value)


def is_narrow(value: Any) -> bool:
    """A NumPy float: one of less than double precision, since `axis_values` leaves no other."""
    return isinstance(value, np.generic) and bool(jnp.issubdtype(value.dtype, np.floating))


def is_pytree(value: Any) -> bool:
    """A hyperparameter made of arrays or numbers, such as one of our schedules: its leaves are traced."""
    if isinstance(value, (str, bool)) or is_number(value):
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
