"""Checks of arguments: raise with the argument's name, what was required and what was received.

Numbers, NumPy arrays and sequences of numbers are checked. A `jax.Array`, traced or not, passes unread: inside a
compiled program its value is unknown, and outside one reading it would wait for the device.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np


def _known(value: Any) -> bool:
    return not isinstance(value, jax.Array)


def _require(ok: bool, name: str, requirement: str, value: Any) -> None:
    if not ok:
        raise ValueError(f"{name} must be {requirement}, got {value!r}")


def _array(value: Any) -> np.ndarray:
    """`value` as NumPy has it; Python's integers beyond 64 bits as floats."""
    array = np.asarray(value)
    if array.dtype == object and array.size and all(type(item) is int for item in array.flat):
        most = int(np.finfo(np.float64).max)
        return np.array([float(item) if abs(item) <= most else np.inf for item in array.flat]).reshape(array.shape)
    return array


def real(name: str, value: Any) -> None:
    """`value` is a number, an array or a sequence of numbers: not a string, a bool or None."""
    if not _known(value):
        return
    array = _array(value)
    if array.dtype == bool or not np.issubdtype(array.dtype, np.number):
        raise TypeError(f"{name} must be a number, got {value!r}")


def finite(name: str, value: Any) -> None:
    """Every number in `value` is finite."""
    real(name, value)
    if _known(value):
        _require(bool(np.isfinite(_array(value)).all()), name, "finite", value)


def fits(name: str, value: Any, dtype: Any) -> None:
    """No number in `value` becomes infinity or zero in a float type. Finite numbers are expected."""
    if _known(value):
        info, size = np.finfo(dtype), np.abs(np.asarray(value, np.float64))
        ok = ((size == 0) | (size >= info.tiny)) & (size <= info.max)
        _require(bool(ok.all()), name, f"zero or {info.tiny:.3g} to {info.max:.3g} in size, to fit {info.dtype}", value)


def positive(name: str, value: Any) -> None:
    """Every number in `value` is finite and above zero."""
    finite(name, value)
    if _known(value):
        _require(bool((np.asarray(value) > 0).all()), name, "positive", value)


def non_negative(name: str, value: Any) -> None:
    """Every number in `value` is finite and not below zero."""
    finite(name, value)
    if _known(value):
        _require(bool((np.asarray(value) >= 0).all()), name, "zero or more", value)


def between(name: str, value: Any, low: float, high: float) -> None:
    """Every number in `value` lies in the closed interval [low, high]."""
    finite(name, value)
    if _known(value):
        array = np.asarray(value)
        _require(bool(((array >= low) & (array <= high)).all()), name, f"between {low} and {high}", value)


def count(name: str, value: Any, *, minimum: int = 1) -> None:
    """`value` is one Python or NumPy integer, at least `minimum`: a size that shapes a program."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be an integer of at least {minimum}, got {value!r}")
    _require(bool(value >= minimum), name, f"an integer of at least {minimum}", value)


def key(name: str, value: Any) -> None:
    """`value` is one PRNG key, of a new or the old kind."""
    dtype, shape = getattr(value, "dtype", None), getattr(value, "shape", None)
    typed = dtype is not None and jax.numpy.issubdtype(dtype, jax.dtypes.prng_key) and shape == ()
    if not typed and not (dtype == np.uint32 and shape is not None and len(shape) == 1):
        raise TypeError(f"{name} must be a PRNG key such as jax.random.key(0), got {value!r}")


def one_of(name: str, value: Any, options: Sequence[str]) -> None:
    """`value` is one of the names in `options`."""
    if value not in options:
        raise ValueError(f"{name} must be one of {', '.join(options)}; got {value!r}")
