"""Decays that start again: cycle after cycle, each with its own length and height."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from . import _exact
from ._arguments import Base, Count, GrowingBase, Positive, Rate, Real, Steps
from ._exact import MAX_STEP, Exact, as_float, cycle_of, exact
from ._progress import Progress, blend, choose, cosine, one_minus_power, tanh, to_power
from ._schedule import schedule


def _cycle(step: Exact, decay_steps: Any, multiplier: Any) -> tuple[jax.Array, Progress]:
    """The number of the cycle, from 0, and how far it has come."""
    if step.start:
        return jnp.zeros((), jnp.int32), Progress(as_float(0), as_float(1))
    cycle = cycle_of(step, decay_steps, multiplier)
    done = _exact.divide(cycle.since, cycle.length).hi
    left = _exact.divide(_exact.subtract(cycle.length, cycle.since), cycle.length).hi
    empty = ~exact(decay_steps).positive
    over = Progress(as_float(1), as_float(0))
    return jnp.where(empty, MAX_STEP, cycle.number), choose(empty, over, Progress(done, left))


def compound(multiplier: Any, cycle: jax.Array) -> jax.Array:
    """`multiplier^cycle`"""
    if isinstance(multiplier, np.ndarray) and multiplier.ndim == 0 and multiplier == 1:
        return as_float(1)
    log = _exact.log(multiplier)
    power = _exact.exp(_exact.multiply(log, _exact.from_count(cycle, log.hi.dtype)))
    # Infinity times a rate of zero would be NaN.
    return jnp.minimum(power, float(np.finfo(power.dtype).max))


def cycle_at(step: Exact, steps: Any, multiplier: Any) -> tuple[jax.Array, Exact]:
    """The number of the cycle, from 0, and the step of the first cycle that the step is like."""
    if step.start or (isinstance(multiplier, np.ndarray) and multiplier == 1):
        return step.over(steps)
    cycle = cycle_of(step, steps, multiplier)
    first = exact(steps)
    within = _exact.divide(_exact.multiply(cycle.since, first.two), cycle.length)
    zero = _exact.from_float(jnp.zeros_like(within.hi))
    return jnp.where(first.positive, cycle.number, 0), Exact(_exact.choose(first.positive, within, zero))


def _while_cycling(cycle: jax.Array, num_cycles: Any, rate: jax.Array, end_value: Any) -> jax.Array:
    return rate if num_cycles is None else jnp.where(cycle < num_cycles, rate, end_value)


@schedule
def cosine_restarts(
    step: Exact,
    init_value: Rate,
    decay_steps: Steps,
    end_value: Rate = 0.0,
    period_multiplier: GrowingBase = 1.0,
    peak_multiplier: Base = 1.0,
    height_multiplier: Base = 1.0,
    num_cycles: Count | None = None,
    k_decay: Positive = 1.0,
) -> jax.Array:
    """Half a cosine wave, again and again: stochastic gradient descent with warm restarts.

    `lr(t) = end_value + (init_value * peak_multiplier^i - end_value) * height_multiplier^i
    * (1 + cos(pi * u^k_decay)) / 2`, where `i` is the number of the cycle, from 0, and `u` the part of it that is done.
    Cycle `i` lasts `decay_steps * period_multiplier^i` steps, and starts at its peak: the step at which one cycle ends
    is the first of the next.

    Args:
        init_value: the rate at step 0.
        decay_steps: steps of the first cycle.
        end_value: the rate that each cycle falls towards.
        period_multiplier: the length of each cycle relative to the one before, 1 or more.
        peak_multiplier: the first rate of each cycle relative to the one before.
        height_multiplier: the same for the height above `end_value`.
        num_cycles: cycles after which the rate stays at `end_value`; None: endless.
        k_decay: above 1 the rate stays high for longer.

    >>> schedule = cosine_restarts(1.0, 10, period_multiplier=1.5, peak_multiplier=0.5)
    >>> [float(schedule(t)) for t in (0, 10, 25)]
    [1.0, 0.5, 0.25]

    Reference: Loshchilov, Hutter, "SGDR", arXiv:1608.03983; `peak_multiplier` and `k_decay` are timm's,
    `height_multiplier` is TensorFlow's `m_mul`.
    """
    cycle, p = _cycle(step, decay_steps, period_multiplier)
    wave, height = cosine(one_minus_power(p, k_decay)), compound(height_multiplier, cycle)
    wave = Progress((1 - height) + height * wave.done, height * wave.left)
    rate = blend(init_value * compound(peak_multiplier, cycle), end_value, wave)
    return _while_cycling(cycle, num_cycles, rate, end_value)


@schedule
def polynomial_restarts(
    step: Exact,
    init_value: Rate,
    decay_steps: Steps,
    end_value: Rate = 0.0,
    power: Positive = 1.0,
    period_multiplier: GrowingBase = 1.0,
    peak_multiplier: Base = 1.0,
    num_cycles: Count | None = None,
    k_decay: Positive = 1.0,
) -> jax.Array:
    """A power of the time that is left, again and again.

    `lr(t) = end_value + (init_value * peak_multiplier^i - end_value) * (1 - u^k_decay)^power`, with the cycles of
    `cosine_restarts`.

    Args:
        init_value, decay_steps, end_value: as for `cosine_restarts`.
        power: 1 is a line, below 1 falls late, above 1 falls early.
        period_multiplier, peak_multiplier, num_cycles, k_decay: as for `cosine_restarts`.

    >>> schedule = polynomial_restarts(1.0, 10, peak_multiplier=0.5)
    >>> [float(schedule(t)) for t in (0, 5, 10)]
    [1.0, 0.5, 0.5]

    Reference: timm, `PolyLRScheduler`.
    """
    cycle, p = _cycle(step, decay_steps, period_multiplier)
    fall = to_power(one_minus_power(p, k_decay), power)
    rate = blend(init_value * compound(peak_multiplier, cycle), end_value, fall)
    return _while_cycling(cycle, num_cycles, rate, end_value)


@schedule
def tanh_restarts(
    step: Exact,
    init_value: Rate,
    decay_steps: Steps,
    end_value: Rate = 0.0,
    lower: Real = -7.0,
    upper: Real = 3.0,
    period_multiplier: GrowingBase = 1.0,
    peak_multiplier: Base = 1.0,
    num_cycles: Count | None = None,
) -> jax.Array:
    """Part of a hyperbolic tangent, again and again.

    `lr(t) = end_value + (init_value * peak_multiplier^i - end_value) / 2
    * (1 - tanh(lower * (1 - u) + upper * u))`, with the cycles of `cosine_restarts`.

    Args:
        init_value: close to the rate at step 0.
        decay_steps, end_value: as for `cosine_restarts`.
        lower: where on the tangent a cycle starts.
        upper: where it ends.
        period_multiplier, peak_multiplier, num_cycles: as for `cosine_restarts`.

    >>> round(float(tanh_restarts(1.0, 10, peak_multiplier=0.5)(17)), 6)
    0.25

    Reference: timm, `TanhLRScheduler`.
    """
    cycle, p = _cycle(step, decay_steps, period_multiplier)
    rate = blend(init_value * compound(peak_multiplier, cycle), end_value, tanh(p, lower, upper))
    return _while_cycling(cycle, num_cycles, rate, end_value)
