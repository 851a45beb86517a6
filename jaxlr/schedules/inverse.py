"""Decays with a power of the time, which never end."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from . import _exact
from ._arguments import Base, Falling, Flag, Positive, Rate, Steps, Timescale
from ._exact import Exact, as_float, exact
from ._progress import periods, progress
from ._schedule import schedule


@schedule
def inverse_time_decay(
    step: Exact, init_value: Rate, decay_steps: Steps, decay_rate: Rate, staircase: Flag = False
) -> jax.Array:
    """Decay with one over the time.

    `lr(t) = init_value / (1 + decay_rate * t / decay_steps)`, with `staircase` `floor(t / decay_steps)`.

    Args:
        init_value: the rate at step 0.
        decay_steps: the period of `decay_rate`, in steps.
        decay_rate: zero or more; with 1 the rate is halved after `decay_steps`.
        staircase: fall once at the end of each period instead of a little at each step.

    >>> float(inverse_time_decay(1.0, 10, 1.0)(10))
    0.5

    Reference: TensorFlow, `tf.compat.v1.train.inverse_time_decay`.
    """
    rate = init_value / (1 + decay_rate * periods(step, decay_steps, staircase).hi)
    if step.start:
        return rate
    return jnp.where(exact(decay_steps).positive | (decay_rate == 0), rate, 0)


@schedule
def time_decay(step: Exact, init_value: Rate, decay: Rate) -> jax.Array:
    """Keras's `SGD(decay=…)`: inverse time decay for each update.

    `lr(t) = init_value / (1 + decay * t)`

    Args:
        init_value: the rate of the first update, step 0.
        decay: zero or more, for each step.

    >>> float(time_decay(0.01, 0.1)(10))
    0.004999999888241291

    Reference: Keras 2, `SGD(learning_rate, decay)`; newer versions ignore the argument.
    """
    return init_value / (1 + decay * step.number)


@schedule
def inverse_sqrt(step: Exact, init_value: Rate, timescale: Timescale) -> jax.Array:
    """Decay with one over the square root of the time.

    `lr(t) = init_value * sqrt(timescale / (t + timescale))`

    Args:
        init_value: the rate at step 0, or after a `warmup`.
        timescale: steps after which the rate has fallen by the square root of 2; often the warm-up's length.

    >>> float(inverse_sqrt(1.0, 100)(300))
    0.5

    Reference: Zhai et al., "Scaling Vision Transformers", arXiv:2106.04560; transformers,
    `get_inverse_sqrt_schedule`.
    """
    return init_value / jnp.sqrt(1 + step.number / as_float(timescale))


@schedule
def inverse_power(step: Exact, init_value: Rate, timescale: Timescale, power: Positive) -> jax.Array:
    """Decay with one over a power of the time.

    `lr(t) = init_value * (1 + t / timescale)^(-power)`

    Args:
        init_value: the rate at step 0, or after a `warmup`.
        timescale: the unit of the time, in steps.
        power: 1 is inverse time decay, 0.5 the inverse square root.

    >>> float(inverse_power(1.0, 100, 2.0)(100))
    0.25

    Reference: timm, `WSDLRScheduler(stable_fn="power")`.
    """
    return init_value * jnp.exp(-power * jnp.log1p(step.number / as_float(timescale)))


@schedule
def noam(step: Exact, model_size: Positive, warmup_steps: Steps, factor: Rate = 1.0) -> jax.Array:
    """The Transformer's schedule: a linear warm-up, then one over the square root of the time.

    `lr(t) = factor * model_size^-0.5 * min((t + 1)^-0.5, (t + 1) * warmup_steps^-1.5)`

    Args:
        model_size: the width of the model.
        warmup_steps: the length of the warm-up.
        factor: scales the whole.

    >>> round(float(noam(512, 4000)(3999)), 8)
    0.00069877

    Reference: Vaswani et al., "Attention Is All You Need", arXiv:1706.03762.
    """
    updates, warm = step.plus(1), exact(warmup_steps)
    since_start = jnp.where(updates.before(warm), warm.number, updates.number)
    return factor * progress(updates, warm).done / jnp.sqrt(model_size * since_start)


@schedule
def power_scheduler(
    step: Exact,
    peak_value: Rate,
    batch_size: Positive,
    tokens_per_step: Base,
    amplitude: Rate = 4.6,
    power: Falling = -0.51,
) -> jax.Array:
    """A power of the tokens seen, whatever the length of the run, below a ceiling.

    `lr(t) = min(peak_value, amplitude * batch_size * (t * tokens_per_step)^power)`

    The paper puts a `warmup` before it and a `cooldown` after it.

    Args:
        peak_value: the ceiling.
        batch_size: sequences in a step.
        tokens_per_step: tokens in a step.
        amplitude: the factor `a` of the paper.
        power: the exponent `b` of the paper, zero or less.

    >>> round(float(power_scheduler(0.02, 128, 4e6)(10_000)), 6)
    0.002306

    Reference: Shen et al., "Power Scheduler", arXiv:2408.13359.
    """
    steps = _exact.choose(step.positive, step.two, _exact.from_float(jnp.ones_like(step.number)))
    tokens_log = _exact.add(_exact.log(steps), _exact.log(tokens_per_step))
    fall = _exact.exp(_exact.multiply(tokens_log, _exact.from_float(jnp.asarray(power))))
    return jnp.where(step.positive, jnp.minimum(peak_value, amplitude * batch_size * fall), peak_value)
