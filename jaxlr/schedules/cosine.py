"""Cosine decays: once, with restarts, and those that rise again."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from . import _exact
from ._arguments import Multiple, Positive, Rate, Steps
from ._exact import Exact, TwoFloat, as_float, exact
from ._progress import Progress, blend, choose, cosine, progress, reverse, to_power
from ._schedule import schedule


@schedule
def cosine_decay(
    step: Exact, init_value: Rate, decay_steps: Steps, end_value: Rate = 0.0, power: Positive = 1.0
) -> jax.Array:
    """Half a cosine wave, then its end value.

    `lr(t) = end_value + (init_value - end_value) * ((1 + cos(pi * min(t / decay_steps, 1))) / 2)^power`

    Args:
        init_value: the rate at step 0.
        decay_steps: steps until `end_value`.
        end_value: the rate from there on.
        power: an exponent on the wave.

    >>> round(float(cosine_decay(1.0, 10)(5)), 6)
    0.5

    Reference: Loshchilov, Hutter, "SGDR", arXiv:1608.03983; Optax for the exponent.
    """
    return blend(init_value, end_value, to_power(cosine(progress(step, decay_steps)), power))


@schedule
def cosine_annealing(step: Exact, init_value: Rate, decay_steps: Steps, end_value: Rate = 0.0) -> jax.Array:
    """A cosine that rises again, and falls again, for ever.

    `lr(t) = end_value + (init_value - end_value) * (1 + cos(pi * t / decay_steps)) / 2`

    Args:
        init_value: the rate at step 0 and after every `2 * decay_steps`.
        decay_steps: half the period, in steps.
        end_value: the lowest rate.

    >>> schedule = cosine_annealing(1.0, 10)
    >>> [float(schedule(t)) for t in (0, 10, 20)]
    [1.0, 0.0, 1.0]

    Reference: PyTorch, `CosineAnnealingLR`.
    """
    halves, within = step.over(decay_steps)
    falling = progress(within, decay_steps)
    rising = (halves % 2 == 1) & exact(decay_steps).positive
    return blend(init_value, end_value, cosine(choose(rising, reverse(falling), falling)))


def _fraction_of_product(x: jax.Array, n: jax.Array) -> TwoFloat:
    """The fractional part of a float times an integer: their product may need more bits than two floats."""
    total = _exact.from_float(jnp.zeros_like(x * n.astype(x.dtype)))
    for shift in (0, 11, 22):
        bits = ((n >> shift) & 0x7FF).astype(x.dtype)
        scaled = x * 2.0**shift
        piece = _exact.two_product(scaled - jnp.floor(scaled), bits)
        total = _exact.add(total, _exact.fraction(piece))
    return _exact.fraction(total)


@_exact.compiled
def _waves(step: Exact, length: Exact, waves: Exact) -> TwoFloat:
    """The fractional part of `waves * step / length`, for `step` up to `length`; of `waves` if the length is 0."""
    if step.start:
        return _exact.from_float(as_float(0))
    one = _exact.from_float(as_float(1))
    elapsed, whole = (_exact.choose(length.positive, steps.two, one) for steps in (step, length))
    _, rest = _exact.divided(_exact.multiply(elapsed, waves.two), whole, waves.tolerance)
    return _exact.divide(rest, whole)


def _height(phase: TwoFloat) -> Progress:
    """A whole cosine wave: `left = (1 + cos(2 pi * phase)) / 2`, for a phase from 0 to 1."""
    nearest_top = _exact.from_float(jnp.where(phase.hi < 0.5, 0.0, jnp.ones_like(phase.hi)))
    from_top = jnp.abs(_exact.subtract(phase, nearest_top).hi)
    from_bottom = jnp.abs(_exact.subtract(phase, _exact.from_float(jnp.full_like(phase.hi, 0.5))).hi)
    return Progress(jnp.sin(jnp.pi * from_top) ** 2, jnp.sin(jnp.pi * from_bottom) ** 2)


@schedule
def cosine_cycles(
    step: Exact, init_value: Rate, decay_steps: Steps, num_cycles: Multiple = 0.5, end_value: Rate = 0.0
) -> jax.Array:
    """So many waves of a cosine in `decay_steps`, which go on after them.

    `lr(t) = end_value + (init_value - end_value) * (1 + cos(2 * pi * num_cycles * t / decay_steps)) / 2`

    Args:
        init_value: the rate at step 0.
        decay_steps: steps of `num_cycles` waves.
        num_cycles: 0.5 falls once; the rate rises again past `decay_steps`.
        end_value: the lowest rate.

    >>> schedule = cosine_cycles(1.0, 10)
    >>> [float(schedule(t)) for t in (0, 10, 20)]
    [1.0, 0.0, 1.0]

    Reference: transformers, `get_cosine_schedule_with_warmup`.
    """
    if step.start:
        return jnp.asarray(init_value)
    turns, within = step.over(decay_steps)
    waves = exact(as_float(num_cycles))
    before = _fraction_of_product(waves.number, turns)
    phase = _exact.fraction(_exact.add(before, _waves(within, exact(decay_steps), waves)))
    return jnp.where(exact(decay_steps).positive, blend(init_value, end_value, _height(phase)), end_value)


@schedule
def cosine_hard_restarts(
    step: Exact, init_value: Rate, decay_steps: Steps, num_cycles: Multiple = 1.0, end_value: Rate = 0.0
) -> jax.Array:
    """So many falling half waves in `decay_steps`, then the end value.

    `lr(t) = end_value + (init_value - end_value) * (1 + cos(pi * (num_cycles * t / decay_steps mod 1))) / 2`
    for `t < decay_steps`, then `end_value`.

    Args:
        init_value: the rate at step 0 and at each restart.
        decay_steps: steps of all cycles.
        num_cycles: cycles in `decay_steps`.
        end_value: the rate at the end.

    >>> schedule = cosine_hard_restarts(1.0, 20, num_cycles=2)
    >>> [float(schedule(t)) for t in (0, 10, 20)]
    [1.0, 1.0, 0.0]

    Reference: transformers, `get_cosine_with_hard_restarts_schedule_with_warmup`.
    """
    phase = _waves(step.upto(decay_steps), exact(decay_steps), exact(num_cycles))
    left = _exact.subtract(_exact.from_float(jnp.ones_like(phase.hi)), phase)
    rate = blend(init_value, end_value, cosine(Progress(phase.hi, left.hi)))
    return rate if step.start else jnp.where(step.before(decay_steps), rate, end_value)


@schedule
def flat_cosine(
    step: Exact, init_value: Rate, flat_steps: Steps, decay_steps: Steps, end_value: Rate = 0.0
) -> jax.Array:
    """Flat, then half a cosine wave.

    `lr(t) = init_value` for `t < flat_steps`, then `cosine_decay(init_value, decay_steps, end_value)`.

    Args:
        init_value: the rate at the start.
        flat_steps: steps at that rate; fastai takes three quarters of the run.
        decay_steps: steps from there to `end_value`.
        end_value: the rate from there on.

    >>> schedule = flat_cosine(1.0, 75, 25)
    >>> [float(schedule(t)) for t in (0, 75, 100)]
    [1.0, 1.0, 0.0]

    Reference: fastai, `fit_flat_cos`.
    """
    rate = blend(init_value, end_value, cosine(progress(step.since(flat_steps), decay_steps)))
    return jnp.where(step.before(flat_steps), init_value, rate)


@schedule
def linear_cosine_decay(
    step: Exact,
    init_value: Rate,
    decay_steps: Steps,
    num_periods: Multiple = 0.5,
    alpha: Rate = 0.0,
    beta: Rate = 0.001,
) -> jax.Array:
    """A line times waves of a cosine.

    `lr(t) = init_value * ((alpha + 1 - u) * (1 + cos(2 * pi * num_periods * u)) / 2 + beta)`,
    `u = min(t / decay_steps, 1)`

    Args:
        init_value: the scale of the rate.
        decay_steps: steps of the decay.
        num_periods: waves in it.
        alpha: is added to the line.
        beta: is added to the product.

    >>> float(linear_cosine_decay(1.0, 10, beta=0.0)(10))
    0.0

    Reference: TensorFlow, `tf.compat.v1.train.linear_cosine_decay`; Bello et al., arXiv:1709.07417.
    """
    wave = _height(_waves(step.upto(decay_steps), exact(decay_steps), exact(num_periods)))
    return init_value * ((alpha + progress(step, decay_steps).left) * wave.left + beta)
