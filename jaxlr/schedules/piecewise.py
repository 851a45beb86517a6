"""Schedules given by a table: constant between boundaries, or interpolated."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from ._arguments import Boundaries, Flag, Rate, Rates, Rising, Shape
from ._exact import Exact, TwoFloat, as_float, exact
from ._progress import blend, progress, shaped
from ._schedule import schedule


def _check_rows(name: str, values: Any, what: str, steps: Any, more: int = 0) -> None:
    if values.shape != (steps.size + more,):
        raise ValueError(f"{name} must hold {what} {steps.size} boundaries, got {values.size}")


def _passed(step: Exact, boundaries: Any, at_boundary: Any) -> jax.Array:
    """Which boundaries lie behind each step: a last axis longer than `step`."""
    ends = exact(boundaries).map(lambda x: jnp.reshape(x, (1,) * len(step.shape) + (-1,)))
    later = step[..., None]
    reached, passed = ~later.before(ends), ends.before(later)
    return jnp.where(at_boundary, reached, passed)


def _check_piecewise_constant(boundaries: Any, values: Any, at_boundary: Any) -> None:
    _check_rows("values", values, "one rate more than the", boundaries, 1)


@schedule(check=_check_piecewise_constant)
def piecewise_constant(step: Exact, boundaries: Boundaries, values: Rates, at_boundary: Flag = False) -> jax.Array:
    """One value up to each boundary, another after it.

    `lr(t) = values[i]`, where i is the number of boundaries below `t` (TensorFlow), or with `at_boundary` the number of
    boundaries not above `t` (Optax, PyTorch).

    Args:
        boundaries: steps, not falling.
        values: one rate more than boundaries.
        at_boundary: change at the boundary's step itself; False: at the step after it.

    >>> schedule = piecewise_constant([100, 200], [1.0, 0.5, 0.25])
    >>> [float(schedule(t)) for t in (100, 101, 201)]
    [1.0, 0.5, 0.25]

    Reference: TensorFlow, `tf.compat.v1.train.piecewise_constant`.
    """
    return as_float(values)[_passed(step, boundaries, at_boundary).sum(-1)]


def _check_multistep(init_value: Any, boundaries: Any, decay_rate: Any, at_boundary: Any) -> None:
    if decay_rate.ndim:
        _check_rows("decay_rate", decay_rate, "one factor for each of the", boundaries)


@schedule(check=_check_multistep)
def multistep(
    step: Exact, init_value: Rate, boundaries: Boundaries, decay_rate: Rate | Rates = 0.1, at_boundary: Flag = True
) -> jax.Array:
    """A factor at each boundary.

    `lr(t) = init_value * product of decay_rate over the boundaries not above t`; without `at_boundary`, below `t`.

    Args:
        init_value: the rate at step 0.
        boundaries: steps, not falling; a step that is named twice counts twice.
        decay_rate: one factor, or one for each boundary.
        at_boundary: change at the boundary's step itself; False: at the step after it.

    >>> schedule = multistep(1.0, [100, 200], 0.5)
    >>> [float(schedule(t)) for t in (99, 100, 200)]
    [1.0, 0.5, 0.25]

    Reference: PyTorch, `MultiStepLR`; Optax, `piecewise_constant_schedule` for separate factors.
    """
    passed = _passed(step, boundaries, at_boundary)
    return init_value * jnp.where(passed, jnp.broadcast_to(as_float(decay_rate), passed.shape), 1).prod(-1)


def _interpolated(step: Exact, knots: Exact, values: jax.Array, shape: str) -> jax.Array:
    if isinstance(step.value, TwoFloat) or isinstance(knots.value, TwoFloat):
        reached = _passed(step, knots, True).sum(-1)
    else:
        reached = jnp.searchsorted(knots.value, step.value, side="right")
    first = jnp.maximum(reached - 1, 0)
    last = jnp.minimum(first + 1, values.shape[0] - 1)
    p = progress(step.since(knots[first]), knots[last].since(knots[first]))
    return blend(values[first], values[last], shaped(shape, p))


def _check_piecewise_interpolate(init_value: Any, boundaries: Any, scales: Any, shape: str) -> None:
    _check_rows("scales", scales, "one factor for each of the", boundaries)


@schedule(check=_check_piecewise_interpolate)
def piecewise_interpolate(
    step: Exact, init_value: Rate, boundaries: Boundaries, scales: Rates, shape: Shape = "linear"
) -> jax.Array:
    """From one value to the next, which is reached at each boundary.

    `lr(boundaries[i]) = init_value * scales[0] * … * scales[i]`, interpolated between, held after the last.

    Args:
        init_value: the rate at step 0.
        boundaries: steps, not falling.
        scales: the factor that is reached at each boundary, relative to the one before.
        shape: "linear" or "cosine".

    >>> float(piecewise_interpolate(1.0, [10, 20], [0.5, 0.0])(15))
    0.25

    Reference: Optax, `piecewise_interpolate_schedule`.
    """
    knots = exact(boundaries).map(lambda x: jnp.pad(x, (1, 0)))
    factors = jnp.concatenate([jnp.reshape(as_float(init_value), 1), as_float(scales)])
    return _interpolated(step, knots, jnp.cumprod(factors), shape)


def _check_from_table(steps: Any, values: Any) -> None:
    if values.shape != steps.shape:
        raise ValueError(f"values must hold one rate for each of the {steps.size} steps, got {values.size}")


@schedule(check=_check_from_table)
def from_table(step: Exact, steps: Rising, values: Rates) -> jax.Array:
    """Straight lines between the rows of a table.

    `lr(steps[i]) = values[i]`, linear between, the first value before, the last one after.

    Args:
        steps: rising.
        values: the rate at each of the steps.

    >>> float(from_table([0, 10, 30], [0.0, 1.0, 0.5])(20))
    0.75
    """
    return _interpolated(step, exact(steps), as_float(values), "linear")
