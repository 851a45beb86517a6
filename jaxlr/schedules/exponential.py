"""Exponential decays and warm-ups."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from . import _exact
from ._arguments import Base, Complement, Flag, Rate, Steps
from ._exact import Exact, TwoFloat, exact
from ._progress import periods
from ._schedule import alias, schedule


def _growth(log_rate: TwoFloat, step: Exact, decay_steps: Any, staircase: Any) -> jax.Array:
    """`exp(log_rate * step / decay_steps)`, where no decay steps stand for an endless quotient."""
    quotient = periods(step, decay_steps, staircase)
    growth = _exact.exp(_exact.multiply(log_rate, quotient))
    if step.start:
        return growth
    limit = jnp.where(log_rate.hi < 0, 0, jnp.where(log_rate.hi > 0, jnp.inf, 1)).astype(growth.dtype)
    return jnp.where(exact(decay_steps).positive, growth, limit)


@schedule
def exponential_decay(
    step: Exact,
    init_value: Rate,
    decay_steps: Steps,
    decay_rate: Base,
    staircase: Flag = False,
    end_value: Rate | None = None,
) -> jax.Array:
    """A constant factor for each period of steps.

    `lr(t) = init_value * decay_rate^(t / decay_steps)`, with `staircase` `floor(t / decay_steps)`.

    Args:
        init_value: the rate at step 0.
        decay_steps: steps in which the rate is multiplied by `decay_rate` once.
        decay_rate: the factor.
        staircase: multiply once at the end of each period instead of a little at each step.
        end_value: a bound that the rate does not pass: a floor when `decay_rate` is below 1, else a ceiling.
            None: no bound.

    >>> float(exponential_decay(1.0, 10, 0.5)(20))
    0.25

    Reference: TensorFlow, `tf.compat.v1.train.exponential_decay`; Optax for `end_value`.
    """
    rate = init_value * _growth(_exact.log(decay_rate), step, decay_steps, staircase)
    if end_value is None:
        return rate
    return jnp.where(decay_rate < 1, jnp.maximum(rate, end_value), jnp.minimum(rate, end_value))


@schedule
def natural_exp_decay(
    step: Exact, init_value: Rate, decay_steps: Steps, decay_rate: Rate, staircase: Flag = False
) -> jax.Array:
    """Exponential decay with the rate in the exponent.

    `lr(t) = init_value * exp(-decay_rate * t / decay_steps)`, with `staircase` `floor(t / decay_steps)`.

    Args:
        init_value: the rate at step 0.
        decay_steps: steps in which the rate is multiplied by `exp(-decay_rate)` once.
        decay_rate: zero or more.
        staircase: fall once at the end of each period instead of a little at each step.

    >>> round(float(natural_exp_decay(1.0, 1, 0.5)(2)), 6)
    0.367879

    Reference: TensorFlow, `tf.compat.v1.train.natural_exp_decay`.
    """
    log_rate = _exact.from_float(jnp.asarray(-decay_rate))
    return init_value * _growth(log_rate, step, decay_steps, staircase)


@alias
def step_decay(init_value: Rate, decay_steps: Steps, decay_rate: Base = 0.5) -> Partial:
    """Halve the rate after every so many steps: `exponential_decay` with `staircase`.

    `lr(t) = init_value * decay_rate^floor(t / decay_steps)`

    Args:
        init_value: the rate at step 0.
        decay_steps: steps between two falls.
        decay_rate: the factor.

    >>> schedule = step_decay(1.0, 10)
    >>> [float(schedule(t)) for t in (9, 10, 20)]
    [1.0, 0.5, 0.25]

    Reference: PyTorch, `StepLR`.
    """
    return exponential_decay(init_value, decay_steps, decay_rate, staircase=True)


@schedule
def untuned_exponential_warmup(step: Exact, peak_value: Rate, beta2: Complement = 0.999) -> jax.Array:
    """The warm-up that Adam's second moment asks for, without anything to tune.

    `lr(t) = peak_value * (1 - exp(-(1 - beta2) * (t + 1)))`

    Args:
        peak_value: the rate that is approached; with 1, a factor for `chain`.
        beta2: Adam's decay of the second moment, between 0 and 1.

    >>> round(float(untuned_exponential_warmup(1.0)(999)), 4)
    0.6321

    Reference: Ma, Yarats, "On the adequacy of untuned warmup for adaptive optimization", arXiv:1910.04209.
    """
    return peak_value * -jnp.expm1(-beta2 * step.plus(1).number)


@schedule
def untuned_linear_warmup(step: Exact, peak_value: Rate, beta2: Complement = 0.999) -> jax.Array:
    """The linear form of the warm-up that Adam's second moment asks for: `2 / (1 - beta2)` steps long.

    `lr(t) = peak_value * min(1, (1 - beta2) / 2 * (t + 1))`

    Args:
        peak_value: the rate after the warm-up; with 1, a factor for `chain`.
        beta2: Adam's decay of the second moment, between 0 and 1.

    >>> round(float(untuned_linear_warmup(1.0)(999)), 4)
    0.5

    Reference: Ma, Yarats, "On the adequacy of untuned warmup for adaptive optimization", arXiv:1910.04209.
    """
    return peak_value * jnp.minimum(1, beta2 / 2 * step.plus(1).number)
