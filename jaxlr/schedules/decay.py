"""Decays: from a first value towards a lower one, as in TensorFlow, Keras, PyTorch and Optax."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from .. import _checks
from . import _twofloat
from ._arguments import Count, Flag, Number, as_count, as_float, as_step, count, flag, float_dtype, number
from ._progress import Progress, blend, part, progress, to_power
from ._twofloat import TwoFloat


def constant(init_value: Number) -> Partial:
    """The same rate at every step.

    `lr(t) = init_value`

    Args:
        init_value: the learning rate.

    Returns:
        The schedule, `step -> lr`.

    Raises:
        ValueError: `init_value` is negative or not finite.

    Example:
        >>> float(constant(0.5)(1000))
        0.5

    Reference: Optax, `constant_schedule`.
    """
    return Partial(_constant, init_value=number("init_value", init_value, _checks.non_negative))


def _constant(step: jax.Array, *, init_value: Number) -> jax.Array:
    return jnp.broadcast_to(as_float(init_value), as_step(step).shape)


def linear(init_value: Number, decay_steps: Count, end_value: Number = 0.0) -> Partial:
    """A straight line, then its end value.

    `lr(t) = init_value + (end_value - init_value) * min(t / decay_steps, 1)`

    Args:
        init_value: the rate at step 0.
        decay_steps: steps until `end_value`; with 0 the rate is `end_value` throughout.
        end_value: the rate from there on; it may be the higher one.

    Returns:
        The schedule, `step -> lr`.

    Raises:
        ValueError: a rate is negative or not finite, or `decay_steps` is not whole.

    Example:
        >>> float(linear(1.0, 10)(4))
        0.6000000238418579

    Reference: Optax, `linear_schedule`.
    """
    return Partial(
        _linear,
        init_value=number("init_value", init_value, _checks.non_negative),
        decay_steps=count("decay_steps", decay_steps),
        end_value=number("end_value", end_value, _checks.non_negative),
    )


def _linear(step: jax.Array, *, init_value: Number, decay_steps: Count, end_value: Number) -> jax.Array:
    p = progress(as_step(step), as_count(decay_steps))
    return blend(as_float(init_value), as_float(end_value), p)


def budgeted_linear(init_value: Number, decay_steps: Count) -> Partial:
    """A straight line to zero over the whole budget of steps.

    `lr(t) = init_value * max(1 - t / decay_steps, 0)`

    Args:
        init_value: the rate at step 0.
        decay_steps: all steps of the training.

    Returns:
        The schedule, `step -> lr`: `linear` with an end value of zero.

    Raises:
        ValueError: `init_value` is negative or not finite, or `decay_steps` is not whole.

    Example:
        >>> float(budgeted_linear(0.5, 100)(50))
        0.25

    Reference: Li, Yumer, Ramanan, "Budgeted Training", arXiv:1905.04753; Bergsma et al., "Straight to Zero",
    arXiv:2502.15938.
    """
    return linear(init_value, decay_steps)


def polynomial_decay(
    init_value: Number,
    decay_steps: Count,
    end_value: Number = 0.0,
    power: Number = 1.0,
    cycle: Flag = False,
) -> Partial:
    """A power of the time that is left.

    `lr(t) = end_value + (init_value - end_value) * (1 - t / T)^power`, with `t` at most `T`, where
    `T = decay_steps`, or with `cycle` the first multiple of it, from one on, that is not below `t`:
    `T = decay_steps * max(1, ceil(t / decay_steps))`.

    Args:
        init_value: the rate at step 0.
        decay_steps: steps until `end_value`.
        end_value: the rate at the end.
        power: 1 is a line, below 1 falls late, above 1 falls early.
        cycle: rise again after each multiple of `decay_steps`, to a lower height each time.

    Returns:
        The schedule, `step -> lr`.

    Raises:
        ValueError: a rate is negative or not finite, `power` is not positive, or `decay_steps` is not whole.

    Example:
        >>> float(polynomial_decay(1.0, 10, power=2.0)(5))
        0.25

    Reference: TensorFlow, `tf.compat.v1.train.polynomial_decay`. At a multiple of `decay_steps` the rate is
    `end_value`; the jump up comes one step later.
    """
    return Partial(
        _polynomial_decay,
        init_value=number("init_value", init_value, _checks.non_negative),
        decay_steps=count("decay_steps", decay_steps),
        end_value=number("end_value", end_value, _checks.non_negative),
        power=number("power", power, _checks.positive),
        cycle=flag("cycle", cycle),
    )


def _polynomial_decay(
    step: jax.Array, *, init_value: Number, decay_steps: Count, end_value: Number, power: Number, cycle: Flag
) -> jax.Array:
    step, decay_steps = as_step(step), as_count(decay_steps)
    # The multiple itself may not fit an int32; how many steps are left to it does.
    left = jnp.where(step > 0, -step % jnp.maximum(decay_steps, 1), decay_steps)
    cycled = part(step, left)
    p = progress(step, decay_steps)
    p = Progress(*(jnp.where(cycle & (decay_steps > 0), c, q) for c, q in zip(cycled, p, strict=True)))
    return blend(as_float(init_value), as_float(end_value), to_power(p, as_float(power)))


def _quotient(step: jax.Array, decay_steps: jax.Array, staircase: Flag) -> TwoFloat:
    """`step / decay_steps`, or its whole part."""
    whole = jnp.maximum(decay_steps, 1)
    stairs = _twofloat.from_count(step // whole, float_dtype())
    smooth = _twofloat.ratio(step, whole, float_dtype())
    return TwoFloat(*(jnp.where(staircase, a, b) for a, b in zip(stairs, smooth, strict=True)))


def _exponential(rate: TwoFloat, quotient: TwoFloat, decay_steps: jax.Array) -> jax.Array:
    """`exp(rate * quotient)`, where no decay steps stand for an endless quotient."""
    limit = jnp.where(rate.hi < 0, 0, jnp.where(rate.hi > 0, jnp.inf, 1)).astype(rate.hi.dtype)
    return jnp.where(decay_steps > 0, _twofloat.exp(_twofloat.multiply(rate, quotient)), limit)


def exponential_decay(
    init_value: Number,
    decay_steps: Count,
    decay_rate: Number,
    staircase: Flag = False,
    end_value: Number | None = None,
) -> Partial:
    """A constant factor for each period of steps.

    `lr(t) = init_value * decay_rate^(t / decay_steps)`, with `staircase` `floor(t / decay_steps)`.

    Args:
        init_value: the rate at step 0.
        decay_steps: steps in which the rate is multiplied by `decay_rate` once.
        decay_rate: the factor.
        staircase: multiply once at the end of each period instead of a little at each step.
        end_value: a bound that the rate does not pass: a floor when `decay_rate` is below 1, else a ceiling.
            None: no bound.

    Returns:
        The schedule, `step -> lr`.

    Raises:
        ValueError: `init_value` or `end_value` is negative or not finite, `decay_rate` is not positive, or
            `decay_steps` is not whole.

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
        decay_steps=count("decay_steps", decay_steps),
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
    decay_steps: Count,
    decay_rate: Number,
    staircase: Flag,
    end_value: Number,
) -> jax.Array:
    decay_steps, decay_rate, end_value = as_count(decay_steps), as_float(decay_rate), as_float(end_value)
    quotient = _quotient(as_step(step), decay_steps, staircase)
    rate = as_float(init_value) * _exponential(_twofloat.log(decay_rate), quotient, decay_steps)
    return jnp.where(decay_rate < 1, jnp.maximum(rate, end_value), jnp.minimum(rate, end_value))


def natural_exp_decay(
    init_value: Number, decay_steps: Count, decay_rate: Number, staircase: Flag = False
) -> Partial:
    """Exponential decay with the rate in the exponent.

    `lr(t) = init_value * exp(-decay_rate * t / decay_steps)`, with `staircase` `floor(t / decay_steps)`.

    Args:
        init_value: the rate at step 0.
        decay_steps: steps in which the rate is multiplied by `exp(-decay_rate)` once.
        decay_rate: zero or more.
        staircase: fall once at the end of each period instead of a little at each step.

    Returns:
        The schedule, `step -> lr`.

    Raises:
        ValueError: `init_value` or `decay_rate` is negative or not finite, or `decay_steps` is not whole.

    Example:
        >>> round(float(natural_exp_decay(1.0, 1, 0.5)(2)), 6)
        0.367879

    Reference: TensorFlow, `tf.compat.v1.train.natural_exp_decay`.
    """
    return Partial(
        _natural_exp_decay,
        init_value=number("init_value", init_value, _checks.non_negative),
        decay_steps=count("decay_steps", decay_steps),
        decay_rate=number("decay_rate", decay_rate, _checks.non_negative),
        staircase=flag("staircase", staircase),
    )


def _natural_exp_decay(
    step: jax.Array, *, init_value: Number, decay_steps: Count, decay_rate: Number, staircase: Flag
) -> jax.Array:
    decay_steps = as_count(decay_steps)
    quotient = _quotient(as_step(step), decay_steps, staircase)
    rate = _twofloat.from_float(-as_float(decay_rate))
    return as_float(init_value) * _exponential(rate, quotient, decay_steps)


def inverse_time_decay(
    init_value: Number, decay_steps: Count, decay_rate: Number, staircase: Flag = False
) -> Partial:
    """Decay with one over the time.

    `lr(t) = init_value / (1 + decay_rate * t / decay_steps)`, with `staircase` `floor(t / decay_steps)`.

    Args:
        init_value: the rate at step 0.
        decay_steps: the period of `decay_rate`, in steps.
        decay_rate: zero or more; with 1 the rate is halved after `decay_steps`.
        staircase: fall once at the end of each period instead of a little at each step.

    Returns:
        The schedule, `step -> lr`.

    Raises:
        ValueError: `init_value` or `decay_rate` is negative or not finite, or `decay_steps` is not whole.

    Example:
        >>> float(inverse_time_decay(1.0, 10, 1.0)(10))
        0.5

    Reference: TensorFlow, `tf.compat.v1.train.inverse_time_decay`.
    """
    return Partial(
        _inverse_time_decay,
        init_value=number("init_value", init_value, _checks.non_negative),
        decay_steps=count("decay_steps", decay_steps),
        decay_rate=number("decay_rate", decay_rate, _checks.non_negative),
        staircase=flag("staircase", staircase),
    )


def _inverse_time_decay(
    step: jax.Array, *, init_value: Number, decay_steps: Count, decay_rate: Number, staircase: Flag
) -> jax.Array:
    init_value, decay_rate, decay_steps = as_float(init_value), as_float(decay_rate), as_count(decay_steps)
    rate = init_value / (1 + decay_rate * _quotient(as_step(step), decay_steps, staircase).hi)
    return jnp.where((decay_steps > 0) | (decay_rate == 0), rate, 0)


def time_decay(init_value: Number, decay: Number) -> Partial:
    """Keras's `SGD(decay=…)`: inverse time decay for each update.

    `lr(t) = init_value / (1 + decay * t)`

    Args:
        init_value: the rate of the first update, step 0.
        decay: zero or more, for each step.

    Returns:
        The schedule, `step -> lr`.

    Raises:
        ValueError: an argument is negative or not finite.

    Example:
        >>> float(time_decay(0.01, 0.1)(10))
        0.004999999888241291

    Reference: Keras 2, `SGD(learning_rate, decay)`; newer versions ignore the argument.
    """
    return Partial(
        _time_decay,
        init_value=number("init_value", init_value, _checks.non_negative),
        decay=number("decay", decay, _checks.non_negative),
    )


def _time_decay(step: jax.Array, *, init_value: Number, decay: Number) -> jax.Array:
    return as_float(init_value) / (1 + as_float(decay) * as_step(step))
