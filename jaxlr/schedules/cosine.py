"""Cosine decays: once, with restarts, and those that rise again."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from .. import _checks
from . import _shapes, _twofloat
from ._arguments import Count, Number, as_count, as_float, as_step, count, number
from ._progress import Progress, blend, progress, reverse, to_power
from ._twofloat import TwoFloat


def cosine_decay(init_value: Number, decay_steps: Count, end_value: Number = 0.0, power: Number = 1.0) -> Partial:
    """Half a cosine wave, then its end value.

    `lr(t) = end_value + (init_value - end_value) * ((1 + cos(pi * min(t / decay_steps, 1))) / 2)^power`

    Args:
        init_value: the rate at step 0.
        decay_steps: steps until `end_value`.
        end_value: the rate from there on.
        power: an exponent on the wave.

    Returns:
        The schedule, `step -> lr`.

    Raises:
        ValueError: a rate is negative or not finite, `power` is not positive, or `decay_steps` is not whole.

    Example:
        >>> round(float(cosine_decay(1.0, 10)(5)), 6)
        0.5

    Reference: Loshchilov, Hutter, "SGDR", arXiv:1608.03983; Optax for the exponent.
    """
    return Partial(
        _cosine_decay,
        init_value=number("init_value", init_value, _checks.non_negative),
        decay_steps=count("decay_steps", decay_steps),
        end_value=number("end_value", end_value, _checks.non_negative),
        power=number("power", power, _checks.positive),
    )


def _cosine_decay(
    step: jax.Array, *, init_value: Number, decay_steps: Count, end_value: Number, power: Number
) -> jax.Array:
    wave = _shapes.cosine(progress(as_step(step), as_count(decay_steps)))
    return blend(as_float(init_value), as_float(end_value), to_power(wave, as_float(power)))


def cosine_annealing(init_value: Number, decay_steps: Count, end_value: Number = 0.0) -> Partial:
    """A cosine that rises again, and falls again, for ever.

    `lr(t) = end_value + (init_value - end_value) * (1 + cos(pi * t / decay_steps)) / 2`

    Args:
        init_value: the rate at step 0 and after every `2 * decay_steps`.
        decay_steps: half the period, in steps.
        end_value: the lowest rate.

    Returns:
        The schedule, `step -> lr`.

    Raises:
        ValueError: a rate is negative or not finite, or `decay_steps` is not whole.

    Example:
        >>> schedule = cosine_annealing(1.0, 10)
        >>> [float(schedule(t)) for t in (0, 10, 20)]
        [1.0, 0.0, 1.0]

    Reference: PyTorch, `CosineAnnealingLR`.
    """
    return Partial(
        _cosine_annealing,
        init_value=number("init_value", init_value, _checks.non_negative),
        decay_steps=count("decay_steps", decay_steps),
        end_value=number("end_value", end_value, _checks.non_negative),
    )


def _cosine_annealing(step: jax.Array, *, init_value: Number, decay_steps: Count, end_value: Number) -> jax.Array:
    step, decay_steps = as_step(step), as_count(decay_steps)
    whole = jnp.maximum(decay_steps, 1)
    falling = progress(step % whole, decay_steps)
    rising = ((step // whole) % 2 == 1) & (decay_steps > 0)
    p = Progress(*(jnp.where(rising, r, f) for r, f in zip(reverse(falling), falling, strict=True)))
    return blend(as_float(init_value), as_float(end_value), _shapes.cosine(p))


def _fraction(x: TwoFloat) -> TwoFloat:
    return _twofloat.subtract(x, _twofloat.floor(x))


def _fraction_of_product(x: jax.Array, n: jax.Array) -> TwoFloat:
    """The fractional part of a float times an integer: their product may need more bits than two floats."""
    total = TwoFloat(jnp.zeros_like(x * n), jnp.zeros_like(x * n))
    for shift in (0, 11, 22):
        bits = ((n >> shift) & 0x7FF).astype(x.dtype)
        scaled = x * 2.0**shift
        piece = _twofloat.two_product(scaled - jnp.floor(scaled), bits)
        total = _twofloat.add(total, _fraction(piece))
    return _fraction(total)


@jax.jit
def _waves(num_cycles: jax.Array, step: jax.Array, length: jax.Array) -> TwoFloat:
    """The fractional part of `num_cycles * step / length`."""
    length = jnp.maximum(length, 1)
    whole = _twofloat.from_count(length, num_cycles.dtype)
    within = _twofloat.from_count(step % length, num_cycles.dtype)
    within = _twofloat.multiply(within, _twofloat.from_float(num_cycles))
    rest = _twofloat.subtract(within, _twofloat.multiply(_twofloat.floor_divide(within, whole), whole))
    turns = _fraction_of_product(num_cycles, step // length)
    return _fraction(_twofloat.add(turns, _twofloat.divide(rest, whole)))


@jax.jit
def _wave_height(phase: TwoFloat) -> Progress:
    """A whole cosine wave: `left = (1 + cos(2 pi * phase)) / 2`, for a phase from 0 to 1."""
    ones = jnp.ones_like(phase.hi)
    nearest_top = _twofloat.from_float(jnp.where(phase.hi < 0.5, 0 * ones, ones))
    from_top = jnp.abs(_twofloat.subtract(phase, nearest_top).hi)
    from_bottom = jnp.abs(_twofloat.subtract(phase, _twofloat.from_float(0.5 * ones)).hi)
    return Progress(jnp.sin(jnp.pi * from_top) ** 2, jnp.sin(jnp.pi * from_bottom) ** 2)


def cosine_cycles(init_value: Number, decay_steps: Count, num_cycles: Number = 0.5, end_value: Number = 0.0) -> Partial:
    """So many waves of a cosine in `decay_steps`, which go on after them.

    `lr(t) = end_value + (init_value - end_value) * (1 + cos(2 * pi * num_cycles * t / decay_steps)) / 2`

    Args:
        init_value: the rate at step 0.
        decay_steps: steps of `num_cycles` waves.
        num_cycles: 0.5 falls once; the rate rises again past `decay_steps`.
        end_value: the lowest rate.

    Returns:
        The schedule, `step -> lr`.

    Raises:
        ValueError: a number is negative or not finite, or `decay_steps` is not whole.

    Example:
        >>> schedule = cosine_cycles(1.0, 10)
        >>> [float(schedule(t)) for t in (0, 10, 20)]
        [1.0, 0.0, 1.0]

    Reference: transformers, `get_cosine_schedule_with_warmup`.
    """
    return Partial(
        _cosine_cycles,
        init_value=number("init_value", init_value, _checks.non_negative),
        decay_steps=count("decay_steps", decay_steps),
        num_cycles=number("num_cycles", num_cycles, _checks.non_negative),
        end_value=number("end_value", end_value, _checks.non_negative),
    )


def _cosine_cycles(
    step: jax.Array, *, init_value: Number, decay_steps: Count, num_cycles: Number, end_value: Number
) -> jax.Array:
    decay_steps, end_value = as_count(decay_steps), as_float(end_value)
    wave = _wave_height(_waves(as_float(num_cycles), as_step(step), decay_steps))
    return jnp.where(decay_steps > 0, blend(as_float(init_value), end_value, wave), end_value)


def cosine_hard_restarts(
    init_value: Number, decay_steps: Count, num_cycles: Number = 1.0, end_value: Number = 0.0
) -> Partial:
    """So many falling half waves in `decay_steps`, then the end value.

    `lr(t) = end_value + (init_value - end_value) * (1 + cos(pi * (num_cycles * t / decay_steps mod 1))) / 2`
    for `t < decay_steps`, then `end_value`.

    Args:
        init_value: the rate at step 0 and at each restart.
        decay_steps: steps of all cycles.
        num_cycles: cycles in `decay_steps`.
        end_value: the rate at the end.

    Returns:
        The schedule, `step -> lr`.

    Raises:
        ValueError: a number is negative or not finite, or `decay_steps` is not whole.

    Example:
        >>> schedule = cosine_hard_restarts(1.0, 20, num_cycles=2)
        >>> [float(schedule(t)) for t in (0, 10, 20)]
        [1.0, 1.0, 0.0]

    Reference: transformers, `get_cosine_with_hard_restarts_schedule_with_warmup`.
    """
    return Partial(
        _cosine_hard_restarts,
        init_value=number("init_value", init_value, _checks.non_negative),
        decay_steps=count("decay_steps", decay_steps),
        num_cycles=number("num_cycles", num_cycles, _checks.non_negative),
        end_value=number("end_value", end_value, _checks.non_negative),
    )


def _cosine_hard_restarts(
    step: jax.Array, *, init_value: Number, decay_steps: Count, num_cycles: Number, end_value: Number
) -> jax.Array:
    step, decay_steps, end_value = as_step(step), as_count(decay_steps), as_float(end_value)
    phase = _waves(as_float(num_cycles), step, decay_steps)
    left = _twofloat.subtract(_twofloat.from_float(jnp.ones_like(phase.hi)), phase)
    wave = _shapes.cosine(Progress(phase.hi, left.hi))
    return jnp.where(step < decay_steps, blend(as_float(init_value), end_value, wave), end_value)


def flat_cosine(init_value: Number, flat_steps: Count, decay_steps: Count, end_value: Number = 0.0) -> Partial:
    """Flat, then half a cosine wave.

    `lr(t) = init_value` for `t < flat_steps`, then `cosine_decay(init_value, decay_steps, end_value)`.

    Args:
        init_value: the rate at the start.
        flat_steps: steps at that rate; fastai takes three quarters of the run.
        decay_steps: steps from there to `end_value`.
        end_value: the rate from there on.

    Returns:
        The schedule, `step -> lr`.

    Raises:
        ValueError: a rate is negative or not finite, or a number of steps is not whole.

    Example:
        >>> schedule = flat_cosine(1.0, 75, 25)
        >>> [float(schedule(t)) for t in (0, 75, 100)]
        [1.0, 1.0, 0.0]

    Reference: fastai, `fit_flat_cos`.
    """
    return Partial(
        _flat_cosine,
        init_value=number("init_value", init_value, _checks.non_negative),
        flat_steps=count("flat_steps", flat_steps),
        decay_steps=count("decay_steps", decay_steps),
        end_value=number("end_value", end_value, _checks.non_negative),
    )


def _flat_cosine(
    step: jax.Array, *, init_value: Number, flat_steps: Count, decay_steps: Count, end_value: Number
) -> jax.Array:
    step, flat_steps, init_value = as_step(step), as_count(flat_steps), as_float(init_value)
    falling = progress(jnp.maximum(step - flat_steps, 0), as_count(decay_steps))
    rate = blend(init_value, as_float(end_value), _shapes.cosine(falling))
    return jnp.where(step < flat_steps, init_value, rate)


def linear_cosine_decay(
    init_value: Number,
    decay_steps: Count,
    num_periods: Number = 0.5,
    alpha: Number = 0.0,
    beta: Number = 0.001,
) -> Partial:
    """A line times waves of a cosine.

    `lr(t) = init_value * ((alpha + 1 - u) * (1 + cos(2 * pi * num_periods * u)) / 2 + beta)`,
    `u = min(t / decay_steps, 1)`

    Args:
        init_value: the scale of the rate.
        decay_steps: steps of the decay.
        num_periods: waves in it.
        alpha: is added to the line.
        beta: is added to the product.

    Returns:
        The schedule, `step -> lr`.

    Raises:
        ValueError: a number is negative or not finite, or `decay_steps` is not whole.

    Example:
        >>> float(linear_cosine_decay(1.0, 10, beta=0.0)(10))
        0.0

    Reference: TensorFlow, `tf.compat.v1.train.linear_cosine_decay`; Bello et al., arXiv:1709.07417.
    """
    return Partial(
        _linear_cosine_decay,
        init_value=number("init_value", init_value, _checks.non_negative),
        decay_steps=count("decay_steps", decay_steps),
        num_periods=number("num_periods", num_periods, _checks.non_negative),
        alpha=number("alpha", alpha, _checks.non_negative),
        beta=number("beta", beta, _checks.non_negative),
    )


def _linear_cosine_decay(
    step: jax.Array,
    *,
    init_value: Number,
    decay_steps: Count,
    num_periods: Number,
    alpha: Number,
    beta: Number,
) -> jax.Array:
    step, decay_steps, num_periods = as_step(step), as_count(decay_steps), as_float(num_periods)
    elapsed = jnp.where(decay_steps > 0, jnp.minimum(step, decay_steps), 1)
    wave = _wave_height(_waves(num_periods, elapsed, decay_steps)).left
    line = as_float(alpha) + progress(step, decay_steps).left
    return as_float(init_value) * (line * wave + as_float(beta))
