"""What a schedule is given: step counts as int32, values in the default float type, schedules as pytrees."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from .. import _checks

Schedule = Callable[[Any], jax.Array]
"""A step count, or an array of them, to the learning rate there."""

Number = float | jax.Array
"""An argument with a fractional part: a number, or an array that may be traced."""

Count = int | jax.Array
"""An argument that counts steps: an integer, or an array that may be traced."""

Flag = bool | jax.Array
"""An argument that is true or false, or an array that may be traced."""

MAX_COUNT = 2**31 - 1


def float_dtype() -> jnp.dtype:
    """float32, or float64 under x64."""
    return jnp.result_type(float)


def as_float(value: Any) -> jax.Array:
    return jnp.asarray(value, float_dtype())


def _gathered(value: Any) -> Any:
    """A sequence that holds a traced number becomes one traced array."""
    if isinstance(value, (list, tuple)) and any(isinstance(item, jax.Array) for item in value):
        return jnp.stack([jnp.asarray(item) for item in value])
    return value


def number(name: str, value: Any, check: Callable[[str, Any], None] = _checks.finite) -> Any:
    """A float leaf. Known numbers keep their float64 digits, for printing and for x64."""
    value = _gathered(value)
    check(name, value)
    return as_float(value) if isinstance(value, jax.Array) else np.asarray(value, np.float64)


def count(name: str, value: Any) -> Any:
    """A step-count leaf, int32, zero or more. Whole floats are taken: sweeps make them."""
    value = _gathered(value)
    _checks.non_negative(name, value)
    if isinstance(value, jax.Array):
        whole = jnp.rint(value) if jnp.issubdtype(value.dtype, jnp.floating) else value
        return jnp.clip(whole, 0, MAX_COUNT).astype(jnp.int32)
    array = np.asarray(value)
    if (array != np.rint(array)).any() or (array > MAX_COUNT).any():
        raise ValueError(f"{name} must be a whole number of steps of at most {MAX_COUNT}, got {value!r}")
    return array.astype(np.int32)


def period(name: str, value: Any) -> Any:
    """A length in steps that need not be whole: an int32 leaf if it is, else a float leaf."""
    known = not isinstance(value, jax.Array)
    whole = float(value).is_integer() if known and np.ndim(value) == 0 else not known and value.dtype.kind in "iu"
    return count(name, value) if whole else number(name, value, _checks.non_negative)


def flag(name: str, value: Any) -> Any:
    """A boolean leaf."""
    if isinstance(value, jax.Array):
        return value.astype(bool)
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return np.asarray(value)


def as_schedule(name: str, value: Any) -> Partial:
    """A schedule as a pytree. A plain function, such as an Optax schedule, is part of its structure."""
    if not callable(value):
        raise TypeError(f"{name} must be a schedule (a function of the step), got {value!r}")
    return value if isinstance(value, Partial) else Partial(value)


def as_schedules(name: str, values: Sequence[Any]) -> tuple[Partial, ...]:
    if not values:
        raise ValueError(f"{name} must hold at least one schedule, got {values!r}")
    return tuple(as_schedule(f"{name}[{i}]", value) for i, value in enumerate(values))


def as_step(step: Any) -> jax.Array:
    """A step as int32 from 0 to 2^31 - 1: negative steps count as 0, later ones as the last."""
    step = jnp.asarray(step)
    if jnp.issubdtype(step.dtype, jnp.floating):
        step = jnp.floor(step)
    return jnp.clip(step, 0, MAX_COUNT).astype(jnp.int32)


def as_period(value: Any) -> jax.Array:
    """Whole periods stay integers."""
    array = jnp.asarray(value)
    return as_float(array) if jnp.issubdtype(array.dtype, jnp.floating) else as_count(array)


def as_count(value: Any) -> jax.Array:
    return jnp.asarray(value, jnp.int32)


def sum_of_counts(a: jax.Array, b: jax.Array) -> jax.Array:
    """`a + b`, at most 2^31 - 1."""
    return a + jnp.minimum(b, MAX_COUNT - a)


def value_at(schedule: Schedule, step: jax.Array) -> jax.Array:
    """The rate of any schedule in the default float type: Optax's may return an integer."""
    return jnp.broadcast_to(as_float(schedule(step)), jnp.shape(step))
