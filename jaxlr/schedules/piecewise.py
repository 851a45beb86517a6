"""Schedules given by a table: constant between boundaries, or interpolated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from .. import _checks
from . import _shapes
from ._arguments import Count, Flag, Number, as_count, as_float, as_step, count, flag, number
from ._progress import blend, progress


def _boundaries(boundaries: Sequence[int] | jax.Array) -> Any:
    array = count("boundaries", boundaries)
    if array.ndim != 1:
        raise ValueError(f"boundaries must be a list of steps, got {boundaries!r}")
    if not isinstance(array, jax.Array) and (np.diff(array) < 0).any():
        raise ValueError(f"boundaries must not fall, got {boundaries!r}")
    return array


def _passed(step: jax.Array, boundaries: jax.Array, at_boundary: Flag) -> jax.Array:
    """Which boundaries lie behind each step: a last axis longer than `step`."""
    later = step[..., None]
    return jnp.where(at_boundary, later >= boundaries, later > boundaries)


def piecewise_constant(
    boundaries: Sequence[int] | jax.Array, values: Sequence[float] | jax.Array, at_boundary: Flag = False
) -> Partial:
    """One value up to each boundary, another after it.

    `lr(t) = values[i]`, where i is the number of boundaries below `t` (TensorFlow), or with `at_boundary` the
    number of boundaries not above `t` (Optax, PyTorch).

    Args:
        boundaries: steps, not falling.
        values: one rate more than boundaries.
        at_boundary: change at the boundary's step itself; False: at the step after it.

    Returns:
        The schedule, `step -> lr`.

    Raises:
        ValueError: there is not one value more than boundaries, the boundaries fall, or a rate is negative.

    Example:
        >>> schedule = piecewise_constant([100, 200], [1.0, 0.5, 0.25])
        >>> [float(schedule(t)) for t in (100, 101, 201)]
        [1.0, 0.5, 0.25]

    Reference: TensorFlow, `tf.compat.v1.train.piecewise_constant`.
    """
    steps, rates = _boundaries(boundaries), number("values", values, _checks.non_negative)
    if rates.shape != (steps.shape[0] + 1,):
        raise ValueError(f"values must hold one rate more than the {steps.shape[0]} boundaries, got {values!r}")
    return Partial(_piecewise_constant, boundaries=steps, values=rates, at_boundary=flag("at_boundary", at_boundary))


def _piecewise_constant(step: jax.Array, *, boundaries: Count, values: Number, at_boundary: Flag) -> jax.Array:
    index = _passed(as_step(step), as_count(boundaries), at_boundary).sum(-1)
    return as_float(values)[index]


def multistep(
    init_value: Number,
    boundaries: Sequence[int] | jax.Array,
    decay_rate: Number | Sequence[float] = 0.1,
    at_boundary: Flag = True,
) -> Partial:
    """A factor at each boundary.

    `lr(t) = init_value * product of decay_rate over the boundaries not above t`; without `at_boundary`, below
    `t`.

    Args:
        init_value: the rate at step 0.
        boundaries: steps, not falling; a step that is named twice counts twice.
        decay_rate: one factor, or one for each boundary.
        at_boundary: change at the boundary's step itself; False: at the step after it.

    Returns:
        The schedule, `step -> lr`.

    Raises:
        ValueError: the boundaries fall, there are not as many factors as boundaries, or a number is negative.

    Example:
        >>> schedule = multistep(1.0, [100, 200], 0.5)
        >>> [float(schedule(t)) for t in (99, 100, 200)]
        [1.0, 0.5, 0.25]

    Reference: PyTorch, `MultiStepLR`; Optax, `piecewise_constant_schedule` for separate factors.
    """
    steps, rates = _boundaries(boundaries), number("decay_rate", decay_rate, _checks.non_negative)
    if rates.ndim and rates.shape != steps.shape:
        raise ValueError(f"decay_rate must hold one factor for each of {steps.shape[0]} steps, got {decay_rate!r}")
    return Partial(
        _multistep,
        init_value=number("init_value", init_value, _checks.non_negative),
        boundaries=steps,
        decay_rate=rates,
        at_boundary=flag("at_boundary", at_boundary),
    )


def _multistep(
    step: jax.Array, *, init_value: Number, boundaries: Count, decay_rate: Number, at_boundary: Flag
) -> jax.Array:
    passed = _passed(as_step(step), as_count(boundaries), at_boundary)
    return as_float(init_value) * jnp.where(passed, as_float(decay_rate), 1).prod(-1)


def _interpolated(step: jax.Array, knots: jax.Array, values: jax.Array, shape: Partial) -> jax.Array:
    first = jnp.maximum(jnp.searchsorted(knots, step, side="right") - 1, 0)
    last = jnp.minimum(first + 1, knots.shape[0] - 1)
    p = progress(jnp.maximum(step - knots[first], 0), knots[last] - knots[first])
    return blend(values[first], values[last], shape(p))


def piecewise_interpolate(
    init_value: Number,
    boundaries: Sequence[int] | jax.Array,
    scales: Sequence[float] | jax.Array,
    shape: str = "linear",
) -> Partial:
    """From one value to the next, which is reached at each boundary.

    `lr(boundaries[i]) = init_value * scales[0] * … * scales[i]`, interpolated between, held after the last.

    Args:
        init_value: the rate at step 0.
        boundaries: steps, not falling.
        scales: the factor that is reached at each boundary, relative to the one before.
        shape: "linear" or "cosine".

    Returns:
        The schedule, `step -> lr`.

    Raises:
        ValueError: there are not as many scales as boundaries, the boundaries fall, or a number is negative.

    Example:
        >>> float(piecewise_interpolate(1.0, [10, 20], [0.5, 0.0])(15))
        0.25

    Reference: Optax, `piecewise_interpolate_schedule`.
    """
    steps, factors = _boundaries(boundaries), number("scales", scales, _checks.non_negative)
    if factors.shape != steps.shape:
        raise ValueError(f"scales must hold one factor for each of {steps.shape[0]} boundaries, got {scales!r}")
    return Partial(
        _piecewise_interpolate,
        init_value=number("init_value", init_value, _checks.non_negative),
        boundaries=steps,
        scales=factors,
        shape=_shapes.named(shape),
    )


def _piecewise_interpolate(
    step: jax.Array, *, init_value: Number, boundaries: Count, scales: Number, shape: Partial
) -> jax.Array:
    knots = jnp.concatenate([jnp.zeros(1, jnp.int32), as_count(boundaries)])
    factors = jnp.concatenate([as_float(init_value)[None], as_float(scales)])
    return _interpolated(as_step(step), knots, jnp.cumprod(factors), shape)


def from_table(steps: Sequence[int] | jax.Array, values: Sequence[float] | jax.Array) -> Partial:
    """Straight lines between the rows of a table.

    `lr(steps[i]) = values[i]`, linear between, the first value before, the last one after.

    Args:
        steps: rising.
        values: the rate at each of the steps.

    Returns:
        The schedule, `step -> lr`.

    Raises:
        ValueError: the steps do not rise, there are not as many values as steps, or a rate is negative.

    Example:
        >>> float(from_table([0, 10, 30], [0.0, 1.0, 0.5])(20))
        0.75
    """
    knots, rates = _boundaries(steps), number("values", values, _checks.non_negative)
    if knots.shape[0] == 0 or (not isinstance(knots, jax.Array) and (np.diff(knots) <= 0).any()):
        raise ValueError(f"steps must hold at least one step and rise, got {steps!r}")
    if rates.shape != knots.shape:
        raise ValueError(f"values must hold one rate for each of the {knots.shape[0]} steps, got {values!r}")
    return Partial(_from_table, steps=knots, values=rates)


def _from_table(step: jax.Array, *, steps: Count, values: Number) -> jax.Array:
    return _interpolated(as_step(step), as_count(steps), as_float(values), Partial(_shapes.linear))
