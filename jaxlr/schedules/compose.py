"""Schedules made of schedules. Each part may be any function of the step, an Optax schedule too."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from .. import _checks
from ._arguments import (
    Count,
    Number,
    Schedule,
    as_count,
    as_float,
    as_schedule,
    as_step,
    count,
    number,
    value_at,
)
from ._progress import blend, progress, reverse


def warmup(schedule: Schedule, steps: Count, init_value: Number = 0.0) -> Partial:
    """A line up to a schedule's first value, then that schedule from its step 0.

    `lr(t) = init_value + (s(0) - init_value) * t / steps` for `t < steps`, then `s(t - steps)`.

    Args:
        schedule: the schedule `s`.
        steps: the length of the warm-up; with 0 there is none.
        init_value: the rate at step 0.

    Returns:
        The schedule, `step -> lr`.

    Raises:
        TypeError: `schedule` is not a function.
        ValueError: `steps` is not a whole number, or `init_value` is negative or not finite.

    Example:
        >>> from jaxlr.schedules import cosine_decay
        >>> float(warmup(cosine_decay(1.0, 1000), 50)(25))
        0.5

    Reference: Goyal et al., "Accurate, Large Minibatch SGD", arXiv:1706.02677.
    """
    return Partial(
        _warmup,
        as_schedule("schedule", schedule),
        steps=count("steps", steps),
        init_value=number("init_value", init_value, _checks.non_negative),
    )


def _warmup(schedule: Schedule, step: jax.Array, *, steps: Count, init_value: Number) -> jax.Array:
    step, steps = as_step(step), as_count(steps)
    rise = reverse(progress(step, steps))
    peak = value_at(schedule, jnp.zeros_like(step))
    warming = blend(peak, as_float(init_value), rise)
    return jnp.where(step < steps, warming, value_at(schedule, jnp.maximum(step - steps, 0)))
