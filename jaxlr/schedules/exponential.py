"""Exponential decays and warm-ups."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from .. import _checks
from . import _twofloat
from ._arguments import (
    Count,
    Flag,
    Number,
    as_float,
    as_period,
    as_step,
    flag,
    float_dtype,
    number,
    period,
    sum_of_counts,
)
from ._progress import periods
from ._twofloat import TwoFloat


def exponential(rate: TwoFloat, quotient: TwoFloat, decay_steps: jax.Array) -> jax.Array:
    """`exp(rate * quotient)`, where no decay steps stand for an endless quotient."""
    limit = jnp.where(rate.hi < 0, 0, jnp.where(rate.hi > 0, jnp.inf, 1)).astype(rate.hi.dtype)
    return jnp.where(decay_steps > 0, _twofloat.exp(_twofloat.multiply(rate, quotient)), limit)


def exponential_decay(
    init_value: Number,
    decay_steps: Number,
    decay_rate: Number,
    staircase: Flag = False,
    end_value: Number | None = None,
) -> Partial:
    """A constant factor for each period of steps.

    `lr(t) = init_value * decay_rate^(t / decay_steps)`, with `staircase` `floor(t / decay_steps)`.

    Args:
        init_value: the rate at step 0.
        decay_steps: steps in which the rate is multiplied by `decay_rate` once, whole or not.
        decay_rate: the factor.
        staircase: multiply once at the end of each period instead of a little at each step.
        end_value: a bound that the rate does not pass: a floor when `decay_rate` is below 1, else a ceiling.
            None: no bound.

    Returns:
        The schedule, `step -> lr`.

    Raises:
        ValueError: `init_value` or `end_value` is negative or not finite, `decay_rate` is not positive, or
            `decay_steps` is negative.

    Example:
        >>> float(exponential_decay(1.0, 10, 0.5)(20))
        0.25

    Reference: TensorFlow, `tf.compat.v1.train.exponential_decay`; Optax for `end_value`.
    """
    bound = 0.0 if end_value is None else number("end_value", end_value, _checks.non_negative)
    rate = number("decay_rate", decay_rate, _checks.positive)
    ceiling = jnp.inf if end_value is None else bound
    return Partial(
        _exponential_decay,
        init_value=number("init_value", init_value, _checks.non_negative),
        decay_steps=period("decay_steps", decay_steps),
        decay_rate=rate,
        staircase=flag("staircase", staircase),
        end_value=_pick(rate, bound, ceiling),
    )


def _pick(decay_rate: Number, below_one: Number, above_one: Number) -> Number:
    traced = any(isinstance(x, jax.Array) for x in (decay_rate, below_one, above_one))
    return (jnp if traced else np).where(decay_rate < 1, below_one, above_one)


def _exponential_decay(
    step: jax.Array,
    *,
    init_value: Number,
    decay_steps: Number,
    decay_rate: Number,
    staircase: Flag,
    end_value: Number,
) -> jax.Array:
    decay_steps, decay_rate, end_value = as_period(decay_steps), as_float(decay_rate), as_float(end_value)
    quotient = periods(as_step(step), decay_steps, staircase)
    rate = as_float(init_value) * exponential(_twofloat.log(decay_rate), quotient, decay_steps)
    return jnp.where(decay_rate < 1, jnp.maximum(rate, end_value), jnp.minimum(rate, end_value))


def natural_exp_decay(init_value: Number, decay_steps: Number, decay_rate: Number, staircase: Flag = False) -> Partial:
    """Exponential decay with the rate in the exponent.

    `lr(t) = init_value * exp(-decay_rate * t / decay_steps)`, with `staircase` `floor(t / decay_steps)`.

    Args:
        init_value: the rate at step 0.
        decay_steps: steps in which the rate is multiplied by `exp(-decay_rate)` once, whole or not.
        decay_rate: zero or more.
        staircase: fall once at the end of each period instead of a little at each step.

    Returns:
        The schedule, `step -> lr`.

    Raises:
        ValueError: `init_value` or `decay_rate` is negative or not finite, or `decay_steps` is negative.

    Example:
        >>> round(float(natural_exp_decay(1.0, 1, 0.5)(2)), 6)
        0.367879

    Reference: TensorFlow, `tf.compat.v1.train.natural_exp_decay`.
    """
    return Partial(
        _natural_exp_decay,
        init_value=number("init_value", init_value, _checks.non_negative),
        decay_steps=period("decay_steps", decay_steps),
        decay_rate=number("decay_rate", decay_rate, _checks.non_negative),
        staircase=flag("staircase", staircase),
    )


def _natural_exp_decay(
    step: jax.Array, *, init_value: Number, decay_steps: Number, decay_rate: Number, staircase: Flag
) -> jax.Array:
    decay_steps = as_period(decay_steps)
    quotient = periods(as_step(step), decay_steps, staircase)
    rate = _twofloat.from_float(-as_float(decay_rate))
    return as_float(init_value) * exponential(rate, quotient, decay_steps)


def step_decay(init_value: Number, decay_steps: Count, decay_rate: Number = 0.5) -> Partial:
    """Halve the rate after every so many steps.

    `lr(t) = init_value * decay_rate^floor(t / decay_steps)`

    Args:
        init_value: the rate at step 0.
        decay_steps: steps between two falls.
        decay_rate: the factor.

    Returns:
        The schedule, `step -> lr`: `exponential_decay` with `staircase`.

    Raises:
        ValueError: `init_value` is negative or not finite, `decay_rate` is not positive, or `decay_steps` is
            not whole.

    Example:
        >>> schedule = step_decay(1.0, 10)
        >>> [float(schedule(t)) for t in (9, 10, 20)]
        [1.0, 0.5, 0.25]

    Reference: PyTorch, `StepLR`.
    """
    return exponential_decay(init_value, decay_steps, decay_rate, staircase=True)


def untuned_exponential_warmup(peak_value: Number, beta2: Number = 0.999) -> Partial:
    """The warm-up that Adam's second moment asks for, without anything to tune.

    `lr(t) = peak_value * (1 - exp(-(1 - beta2) * (t + 1)))`

    Args:
        peak_value: the rate that is approached; with 1, a factor for `chain`.
        beta2: Adam's decay of the second moment, between 0 and 1.

    Returns:
        The schedule, `step -> lr`.

    Raises:
        ValueError: `peak_value` is negative or not finite, or `beta2` is not between 0 and 1.

    Example:
        >>> round(float(untuned_exponential_warmup(1.0)(999)), 4)
        0.6321

    Reference: Ma, Yarats, "On the adequacy of untuned warmup for adaptive optimization", arXiv:1910.04209.
    """
    return Partial(
        _untuned_exponential_warmup,
        peak_value=number("peak_value", peak_value, _checks.non_negative),
        beta2=number("beta2", beta2, _unit_interval),
    )


def _unit_interval(name: str, value: Number) -> None:
    _checks.between(name, value, 0.0, 1.0)


def _untuned_exponential_warmup(step: jax.Array, *, peak_value: Number, beta2: Number) -> jax.Array:
    updates = sum_of_counts(as_step(step), jnp.int32(1)).astype(float_dtype())
    return as_float(peak_value) * -jnp.expm1(-(1 - as_float(beta2)) * updates)


def untuned_linear_warmup(peak_value: Number, beta2: Number = 0.999) -> Partial:
    """The linear form of the warm-up that Adam's second moment asks for: `2 / (1 - beta2)` steps long.

    `lr(t) = peak_value * min(1, (1 - beta2) / 2 * (t + 1))`

    Args:
        peak_value: the rate after the warm-up; with 1, a factor for `chain`.
        beta2: Adam's decay of the second moment, between 0 and 1.

    Returns:
        The schedule, `step -> lr`.

    Raises:
        ValueError: `peak_value` is negative or not finite, or `beta2` is not between 0 and 1.

    Example:
        >>> round(float(untuned_linear_warmup(1.0)(999)), 4)
        0.5

    Reference: Ma, Yarats, "On the adequacy of untuned warmup for adaptive optimization", arXiv:1910.04209.
    """
    return Partial(
        _untuned_linear_warmup,
        peak_value=number("peak_value", peak_value, _checks.non_negative),
        beta2=number("beta2", beta2, _unit_interval),
    )


def _untuned_linear_warmup(step: jax.Array, *, peak_value: Number, beta2: Number) -> jax.Array:
    updates = sum_of_counts(as_step(step), jnp.int32(1)).astype(float_dtype())
    return as_float(peak_value) * jnp.minimum(1, (1 - as_float(beta2)) / 2 * updates)
