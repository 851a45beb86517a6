"""Decays that start again: cycle after cycle, each with its own length and height."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from .. import _checks
from . import _shapes, _twofloat
from ._arguments import MAX_COUNT, Count, Number, as_count, as_float, as_step, count, number
from ._progress import Cycle, Progress, blend, cycle_of, to_power


def _one_or_more(name: str, value: Number) -> None:
    _checks.between(name, value, 1.0, float("inf"))


def _shared(
    init_value: Number,
    decay_steps: Count,
    end_value: Number,
    period_multiplier: Number,
    peak_multiplier: Number,
    num_cycles: Count | None,
) -> dict[str, Number | Count]:
    return {
        "init_value": number("init_value", init_value, _checks.non_negative),
        "decay_steps": count("decay_steps", decay_steps),
        "end_value": number("end_value", end_value, _checks.non_negative),
        "period_multiplier": number("period_multiplier", period_multiplier, _one_or_more),
        "peak_multiplier": number("peak_multiplier", peak_multiplier, _checks.positive),
        "num_cycles": count("num_cycles", MAX_COUNT if num_cycles is None else num_cycles),
    }


def _cycle(step: jax.Array, decay_steps: Count, period_multiplier: Number) -> Cycle:
    return cycle_of(as_step(step), as_count(decay_steps), as_float(period_multiplier))


def _compound(multiplier: Number, cycle: jax.Array) -> jax.Array:
    """`multiplier^cycle`"""
    log = _twofloat.log(as_float(multiplier))
    power = _twofloat.exp(_twofloat.multiply(log, _twofloat.from_count(cycle, log.hi.dtype)))
    # Infinity times a rate of zero would be NaN.
    return jnp.minimum(power, jnp.finfo(power.dtype).max)


def cosine_restarts(
    init_value: Number,
    decay_steps: Count,
    end_value: Number = 0.0,
    period_multiplier: Number = 1.0,
    peak_multiplier: Number = 1.0,
    height_multiplier: Number = 1.0,
    num_cycles: Count | None = None,
    k_decay: Number = 1.0,
) -> Partial:
    """Half a cosine wave, again and again: stochastic gradient descent with warm restarts.

    `lr(t) = end_value + (init_value * peak_multiplier^i - end_value) * height_multiplier^i
    * (1 + cos(pi * u^k_decay)) / 2`, where `i` is the number of the cycle, from 0, and `u` the part of it
    that is done. Cycle `i` lasts `decay_steps * period_multiplier^i` steps, and starts at its peak: the step
    at which one cycle ends is the first of the next.

    Args:
        init_value: the rate at step 0.
        decay_steps: steps of the first cycle.
        end_value: the rate that each cycle falls towards.
        period_multiplier: the length of each cycle relative to the one before, 1 or more.
        peak_multiplier: the first rate of each cycle relative to the one before.
        height_multiplier: the same for the height above `end_value`.
        num_cycles: cycles after which the rate stays at `end_value`; None: endless.
        k_decay: above 1 the rate stays high for longer.

    Returns:
        The schedule, `step -> lr`.

    Raises:
        ValueError: a number is negative or not finite, `period_multiplier` is below 1, or a count is not
            whole.

    Example:
        >>> schedule = cosine_restarts(1.0, 10, period_multiplier=1.5, peak_multiplier=0.5)
        >>> [float(schedule(t)) for t in (0, 10, 25)]
        [1.0, 0.5, 0.25]

    Reference: Loshchilov, Hutter, "SGDR", arXiv:1608.03983; `peak_multiplier` and `k_decay` are timm's,
    `height_multiplier` is TensorFlow's `m_mul`.
    """
    shared = _shared(init_value, decay_steps, end_value, period_multiplier, peak_multiplier, num_cycles)
    return Partial(
        _cosine_restarts,
        **shared,
        height_multiplier=number("height_multiplier", height_multiplier, _checks.positive),
        k_decay=number("k_decay", k_decay, _checks.positive),
    )


def _cosine_restarts(
    step: jax.Array,
    *,
    init_value: Number,
    decay_steps: Count,
    end_value: Number,
    period_multiplier: Number,
    peak_multiplier: Number,
    height_multiplier: Number,
    num_cycles: Count,
    k_decay: Number,
) -> jax.Array:
    cycle = _cycle(step, decay_steps, period_multiplier)
    wave = _shapes.cosine(_shapes.one_minus_power(cycle.progress, power=k_decay))
    height = _compound(height_multiplier, cycle.number)
    wave = Progress((1 - height) + height * wave.done, height * wave.left)
    peak = as_float(init_value) * _compound(peak_multiplier, cycle.number)
    end_value = as_float(end_value)
    return jnp.where(cycle.number < as_count(num_cycles), blend(peak, end_value, wave), end_value)


def polynomial_restarts(
    init_value: Number,
    decay_steps: Count,
    end_value: Number = 0.0,
    power: Number = 1.0,
    period_multiplier: Number = 1.0,
    peak_multiplier: Number = 1.0,
    num_cycles: Count | None = None,
    k_decay: Number = 1.0,
) -> Partial:
    """A power of the time that is left, again and again.

    `lr(t) = end_value + (init_value * peak_multiplier^i - end_value) * (1 - u^k_decay)^power`, where `i` is
    the number of the cycle, from 0, and `u` the part of it that is done. Cycle `i` lasts
    `decay_steps * period_multiplier^i` steps.

    Args:
        init_value: the rate at step 0.
        decay_steps: steps of the first cycle.
        end_value: the rate that each cycle falls towards.
        period_multiplier: the length of each cycle relative to the one before, 1 or more.
        peak_multiplier: the first rate of each cycle relative to the one before.
        power: 1 is a line, below 1 falls late, above 1 falls early.
        num_cycles: cycles after which the rate stays at `end_value`; None: endless.
        k_decay: above 1 the rate stays high for longer.

    Returns:
        The schedule, `step -> lr`.

    Raises:
        ValueError: a number is negative or not finite, `period_multiplier` is below 1, or a count is not
            whole.

    Example:
        >>> schedule = polynomial_restarts(1.0, 10, peak_multiplier=0.5)
        >>> [float(schedule(t)) for t in (0, 5, 10)]
        [1.0, 0.5, 0.5]

    Reference: timm, `PolyLRScheduler`.
    """
    shared = _shared(init_value, decay_steps, end_value, period_multiplier, peak_multiplier, num_cycles)
    return Partial(
        _polynomial_restarts,
        **shared,
        power=number("power", power, _checks.positive),
        k_decay=number("k_decay", k_decay, _checks.positive),
    )


def _polynomial_restarts(
    step: jax.Array,
    *,
    init_value: Number,
    decay_steps: Count,
    end_value: Number,
    power: Number,
    period_multiplier: Number,
    peak_multiplier: Number,
    num_cycles: Count,
    k_decay: Number,
) -> jax.Array:
    cycle = _cycle(step, decay_steps, period_multiplier)
    fall = to_power(_shapes.one_minus_power(cycle.progress, power=k_decay), as_float(power))
    peak = as_float(init_value) * _compound(peak_multiplier, cycle.number)
    end_value = as_float(end_value)
    return jnp.where(cycle.number < as_count(num_cycles), blend(peak, end_value, fall), end_value)


def tanh_restarts(
    init_value: Number,
    decay_steps: Count,
    end_value: Number = 0.0,
    lower: Number = -7.0,
    upper: Number = 3.0,
    period_multiplier: Number = 1.0,
    peak_multiplier: Number = 1.0,
    num_cycles: Count | None = None,
) -> Partial:
    """Part of a hyperbolic tangent, again and again.

    `lr(t) = end_value + (init_value * peak_multiplier^i - end_value) / 2
    * (1 - tanh(lower * (1 - u) + upper * u))`, where `i` is the number of the cycle, from 0, and `u` the part
    of it that is done. Cycle `i` lasts `decay_steps * period_multiplier^i` steps.

    Args:
        init_value: close to the rate at step 0.
        decay_steps: steps of the first cycle.
        end_value: the rate that each cycle falls towards.
        period_multiplier: the length of each cycle relative to the one before, 1 or more.
        peak_multiplier: the first rate of each cycle relative to the one before.
        lower: where on the tangent a cycle starts.
        upper: where it ends.
        num_cycles: cycles after which the rate stays at `end_value`; None: endless.

    Returns:
        The schedule, `step -> lr`.

    Raises:
        ValueError: a number is negative or not finite, `period_multiplier` is below 1, or a count is not
            whole.

    Example:
        >>> round(float(tanh_restarts(1.0, 10, peak_multiplier=0.5)(17)), 6)
        0.25

    Reference: timm, `TanhLRScheduler`.
    """
    shared = _shared(init_value, decay_steps, end_value, period_multiplier, peak_multiplier, num_cycles)
    return Partial(_tanh_restarts, **shared, lower=number("lower", lower), upper=number("upper", upper))


def _tanh_restarts(
    step: jax.Array,
    *,
    init_value: Number,
    decay_steps: Count,
    end_value: Number,
    lower: Number,
    upper: Number,
    period_multiplier: Number,
    peak_multiplier: Number,
    num_cycles: Count,
) -> jax.Array:
    cycle = _cycle(step, decay_steps, period_multiplier)
    fall = _shapes.tanh(cycle.progress, lower=lower, upper=upper)
    peak = as_float(init_value) * _compound(peak_multiplier, cycle.number)
    end_value = as_float(end_value)
    return jnp.where(cycle.number < as_count(num_cycles), blend(peak, end_value, fall), end_value)
