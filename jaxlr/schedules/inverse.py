"""Decays with a power of the time, which never end."""

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
    as_count,
    as_float,
    as_period,
    as_step,
    count,
    flag,
    float_dtype,
    number,
    period,
    sum_of_counts,
)
from ._progress import periods, progress


def inverse_time_decay(init_value: Number, decay_steps: Number, decay_rate: Number, staircase: Flag = False) -> Partial:
    """Decay with one over the time.

    `lr(t) = init_value / (1 + decay_rate * t / decay_steps)`, with `staircase` `floor(t / decay_steps)`.

    Args:
        init_value: the rate at step 0.
        decay_steps: the period of `decay_rate`, in steps, whole or not.
        decay_rate: zero or more; with 1 the rate is halved after `decay_steps`.
        staircase: fall once at the end of each period instead of a little at each step.

    Returns:
        The schedule, `step -> lr`.

    Raises:
        ValueError: `init_value` or `decay_rate` is negative or not finite, or `decay_steps` is negative.

    Example:
        >>> float(inverse_time_decay(1.0, 10, 1.0)(10))
        0.5

    Reference: TensorFlow, `tf.compat.v1.train.inverse_time_decay`.
    """
    return Partial(
        _inverse_time_decay,
        init_value=number("init_value", init_value, _checks.non_negative),
        decay_steps=period("decay_steps", decay_steps),
        decay_rate=number("decay_rate", decay_rate, _checks.non_negative),
        staircase=flag("staircase", staircase),
    )


def _inverse_time_decay(
    step: jax.Array, *, init_value: Number, decay_steps: Number, decay_rate: Number, staircase: Flag
) -> jax.Array:
    init_value, decay_rate, decay_steps = as_float(init_value), as_float(decay_rate), as_period(decay_steps)
    rate = init_value / (1 + decay_rate * periods(as_step(step), decay_steps, staircase).hi)
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


def inverse_sqrt(init_value: Number, timescale: Number) -> Partial:
    """Decay with one over the square root of the time.

    `lr(t) = init_value * sqrt(timescale / (t + timescale))`

    Args:
        init_value: the rate at step 0, or after a `warmup`.
        timescale: steps after which the rate has fallen by the square root of 2; often the warm-up's length.

    Returns:
        The schedule, `step -> lr`.

    Raises:
        ValueError: `init_value` is negative or not finite, or `timescale` is not positive.

    Example:
        >>> float(inverse_sqrt(1.0, 100)(300))
        0.5

    Reference: Zhai et al., "Scaling Vision Transformers", arXiv:2106.04560; transformers,
    `get_inverse_sqrt_schedule`.
    """
    return Partial(
        _inverse_sqrt,
        init_value=number("init_value", init_value, _checks.non_negative),
        timescale=number("timescale", timescale, _checks.positive),
    )


def _inverse_sqrt(step: jax.Array, *, init_value: Number, timescale: Number) -> jax.Array:
    return as_float(init_value) / jnp.sqrt(1 + as_step(step) / as_float(timescale))


def inverse_power(init_value: Number, timescale: Number, power: Number) -> Partial:
    """Decay with one over a power of the time.

    `lr(t) = init_value * (1 + t / timescale)^(-power)`

    Args:
        init_value: the rate at step 0, or after a `warmup`.
        timescale: the unit of the time, in steps.
        power: 1 is inverse time decay, 0.5 the inverse square root.

    Returns:
        The schedule, `step -> lr`.

    Raises:
        ValueError: `init_value` is negative or not finite, or `timescale` or `power` is not positive.

    Example:
        >>> float(inverse_power(1.0, 100, 2.0)(100))
        0.25

    Reference: timm, `WSDLRScheduler(stable_fn="power")`.
    """
    return Partial(
        _inverse_power,
        init_value=number("init_value", init_value, _checks.non_negative),
        timescale=number("timescale", timescale, _checks.positive),
        power=number("power", power, _checks.positive),
    )


def _inverse_power(step: jax.Array, *, init_value: Number, timescale: Number, power: Number) -> jax.Array:
    time = as_step(step) / as_float(timescale)
    return as_float(init_value) * jnp.exp(-as_float(power) * jnp.log1p(time))


def noam(model_size: Number, warmup_steps: Count, factor: Number = 1.0) -> Partial:
    """The Transformer's schedule: a linear warm-up, then one over the square root of the time.

    `lr(t) = factor * model_size^-0.5 * min((t + 1)^-0.5, (t + 1) * warmup_steps^-1.5)`

    Args:
        model_size: the width of the model.
        warmup_steps: the length of the warm-up; with 0 there is none.
        factor: scales the whole.

    Returns:
        The schedule, `step -> lr`.

    Raises:
        ValueError: `model_size` is not positive, `warmup_steps` is not whole, or `factor` is negative.

    Example:
        >>> round(float(noam(512, 4000)(3999)), 8)
        0.00069877

    Reference: Vaswani et al., "Attention Is All You Need", arXiv:1706.03762.
    """
    return Partial(
        _noam,
        model_size=number("model_size", model_size, _checks.positive),
        warmup_steps=count("warmup_steps", warmup_steps),
        factor=number("factor", factor, _checks.non_negative),
    )


def _noam(step: jax.Array, *, model_size: Number, warmup_steps: Count, factor: Number) -> jax.Array:
    warmup_steps = as_count(warmup_steps)
    updates = sum_of_counts(as_step(step), jnp.int32(1))
    rise = progress(updates, warmup_steps).done
    since_start = jnp.maximum(updates, warmup_steps).astype(float_dtype())
    return as_float(factor) * rise / jnp.sqrt(as_float(model_size) * since_start)


def power_scheduler(
    peak_value: Number,
    batch_size: Number,
    tokens_per_step: Number,
    amplitude: Number = 4.6,
    power: Number = -0.51,
) -> Partial:
    """A power of the tokens seen, whatever the length of the run, below a ceiling.

    `lr(t) = min(peak_value, amplitude * batch_size * (t * tokens_per_step)^power)`

    Args:
        peak_value: the ceiling.
        batch_size: sequences in a step.
        tokens_per_step: tokens in a step.
        amplitude: the factor `a` of the paper.
        power: the exponent `b` of the paper, below zero.

    Returns:
        The schedule, `step -> lr`. The paper puts a `warmup` before it and a `cooldown` after it.

    Raises:
        ValueError: `peak_value` or `amplitude` is negative, a count is not positive, or `power` is above
            zero.

    Example:
        >>> round(float(power_scheduler(0.02, 128, 4e6)(10_000)), 6)
        0.002306

    Reference: Shen et al., "Power Scheduler", arXiv:2408.13359.
    """
    _checks.finite("power", power)
    if not isinstance(power, jax.Array) and not np.all(np.asarray(power) <= 0):
        raise ValueError(f"power must be zero or less, got {power!r}")
    return Partial(
        _power_scheduler,
        peak_value=number("peak_value", peak_value, _checks.non_negative),
        batch_size=number("batch_size", batch_size, _checks.positive),
        tokens_per_step=number("tokens_per_step", tokens_per_step, _checks.positive),
        amplitude=number("amplitude", amplitude, _checks.non_negative),
        power=number("power", power),
    )


def _power_scheduler(
    step: jax.Array,
    *,
    peak_value: Number,
    batch_size: Number,
    tokens_per_step: Number,
    amplitude: Number,
    power: Number,
) -> jax.Array:
    step, peak_value = as_step(step), as_float(peak_value)
    steps_log = _twofloat.log(jnp.maximum(step, 1).astype(float_dtype()))
    tokens_log = _twofloat.add(steps_log, _twofloat.log(as_float(tokens_per_step)))
    fall = _twofloat.exp(_twofloat.multiply(tokens_log, _twofloat.from_float(as_float(power))))
    rate = as_float(amplitude) * as_float(batch_size) * fall
    return jnp.where(step > 0, jnp.minimum(peak_value, rate), peak_value)
