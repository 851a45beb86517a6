"""Schedules made of schedules. Each part may be any function of the step, an Optax schedule too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from .. import _checks
from . import _shapes, _twofloat
from ._arguments import (
    Count,
    Number,
    Schedule,
    as_count,
    as_float,
    as_schedule,
    as_schedules,
    as_step,
    count,
    float_dtype,
    number,
    sum_of_counts,
    value_at,
)
from ._progress import blend, progress, reverse
from .piecewise import from_table


def warmup(schedule: Schedule, steps: Count, init_value: Number = 0.0, *, shape: str = "linear") -> Partial:
    """A rise to a schedule's first value, then that schedule from its step 0.

    `lr(t) = init_value + (s(0) - init_value) * t / steps` for `t < steps`, then `s(t - steps)`.

    Args:
        schedule: the schedule `s`.
        steps: the length of the warm-up; with 0 there is none.
        init_value: the rate at step 0.
        shape: "linear", or one of `cooldown`'s, run backwards.

    Returns:
        The schedule, `step -> lr`.

    Raises:
        TypeError: `schedule` is not a function.
        ValueError: `steps` is not whole, `init_value` is negative or not finite, or `shape` is unknown.

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
        shape=_shapes.named(shape),
    )


def _warmup(schedule: Schedule, step: jax.Array, *, steps: Count, init_value: Number, shape: Partial) -> jax.Array:
    step, steps = as_step(step), as_count(steps)
    fall_backwards = shape(reverse(progress(step, steps)))
    first = value_at(schedule, jnp.zeros_like(step))
    warming = blend(first, as_float(init_value), fall_backwards)
    return jnp.where(step < steps, warming, value_at(schedule, jnp.maximum(step - steps, 0)))


def cooldown(
    schedule: Schedule,
    start: Count,
    steps: Count,
    end_value: Number = 0.0,
    *,
    shape: str = "linear",
    power: Number = 0.5,
    decay_rate: Number = 0.1,
) -> Partial:
    """Branch off a running schedule and end it.

    `lr(t) = end_value + (s(t) - end_value) * w((t - start) / steps)`, where `w` falls from 1 to 0, before
    `start` it is 1: "linear" `1 - x`, "cosine" `(1 + cos(pi * x)) / 2`, "1-sqrt" `1 - sqrt(x)`, "1-square" `1
    - x^2`, "power" `1 - x^power`, "exponential" `(r^x - r) / (1 - r)` with `r = decay_rate`.

    Args:
        schedule: the schedule `s`; if it falls on its own it goes on falling.
        start: the first step of the cooldown.
        steps: its length.
        end_value: the rate after it.
        shape: how it falls.
        power: for the shape of this name.
        decay_rate: for the exponential shape, between 0 and 1.

    Returns:
        The schedule, `step -> lr`.

    Raises:
        TypeError: `schedule` is not a function.
        ValueError: a number of steps is not whole, a number is out of range, or `shape` is unknown.

    Example:
        >>> from jaxlr.schedules import constant
        >>> schedule = cooldown(constant(1.0), start=100, steps=10)
        >>> [float(schedule(t)) for t in (99, 105, 110)]
        [1.0, 0.5, 0.0]

    Reference: Hägele et al., "Scaling Laws and Compute-Optimal Training Beyond Fixed Training Durations",
    arXiv:2405.18392.
    """
    return Partial(
        _cooldown,
        as_schedule("schedule", schedule),
        start=count("start", start),
        steps=count("steps", steps),
        end_value=number("end_value", end_value, _checks.non_negative),
        shape=_shapes.named(shape, power, decay_rate),
    )


def _cooldown(
    schedule: Schedule, step: jax.Array, *, start: Count, steps: Count, end_value: Number, shape: Partial
) -> jax.Array:
    step, start = as_step(step), as_count(start)
    rate = value_at(schedule, step)
    fall = shape(progress(jnp.maximum(step - start, 0), as_count(steps)))
    return jnp.where(step < start, rate, blend(rate, as_float(end_value), fall))


def join(schedules: Sequence[Schedule], boundaries: Sequence[Count] | jax.Array) -> Partial:
    """One schedule after another, each from its own step 0.

    `lr(t) = schedules[i](t - boundaries[i - 1])`, where `i` is the number of boundaries not above `t`.

    Args:
        schedules: in order.
        boundaries: the first step of each schedule but the first; not falling.

    Returns:
        The schedule, `step -> lr`.

    Raises:
        TypeError: one of `schedules` is not a function.
        ValueError: there is not one boundary less than schedules, or the boundaries fall.

    Example:
        >>> from jaxlr.schedules import constant, linear
        >>> schedule = join([constant(1.0), linear(0.5, 10)], [100])
        >>> [float(schedule(t)) for t in (99, 100, 105)]
        [1.0, 0.5, 0.25]

    Reference: Optax, `join_schedules`.
    """
    parts = as_schedules("schedules", schedules)
    steps = count("boundaries", boundaries)
    if steps.shape != (len(parts) - 1,):
        raise ValueError(f"boundaries must hold one step less than {len(parts)} schedules, got {boundaries!r}")
    if not isinstance(steps, jax.Array) and (np.diff(steps) < 0).any():
        raise ValueError(f"boundaries must not fall, got {boundaries!r}")
    return Partial(_join, parts, boundaries=steps)


def _join(schedules: Sequence[Schedule], step: jax.Array, *, boundaries: Count) -> jax.Array:
    step, boundaries = as_step(step), as_count(boundaries)
    rate = value_at(schedules[0], step)
    for schedule, start in zip(schedules[1:], boundaries, strict=True):
        rate = jnp.where(step < start, rate, value_at(schedule, jnp.maximum(step - start, 0)))
    return rate


def chain(*schedules: Schedule) -> Partial:
    """The product of schedules.

    `lr(t) = schedules[0](t) * schedules[1](t) * …`

    Args:
        schedules: at least one; a rate and its factors.

    Returns:
        The schedule, `step -> lr`.

    Raises:
        TypeError: one of `schedules` is not a function.
        ValueError: there is none.

    Example:
        >>> from jaxlr.schedules import linear, step_decay
        >>> float(chain(linear(1.0, 100), step_decay(1.0, 10))(50))
        0.015625

    Reference: PyTorch, `ChainedScheduler`.
    """
    return Partial(_chain, as_schedules("schedules", schedules))


def _chain(schedules: Sequence[Schedule], step: jax.Array) -> jax.Array:
    step = as_step(step)
    rate = value_at(schedules[0], step)
    for schedule in schedules[1:]:
        rate = rate * value_at(schedule, step)
    return rate


def scale(schedule: Schedule, factor: Number) -> Partial:
    """A schedule times a number.

    `lr(t) = factor * s(t)`

    Args:
        schedule: the schedule `s`.
        factor: zero or more.

    Returns:
        The schedule, `step -> lr`.

    Raises:
        TypeError: `schedule` is not a function.
        ValueError: `factor` is negative or not finite.

    Example:
        >>> from jaxlr.schedules import linear
        >>> float(scale(linear(1.0, 10), 0.5)(5))
        0.25
    """
    return Partial(_scale, as_schedule("schedule", schedule), factor=number("factor", factor, _checks.non_negative))


def _scale(schedule: Schedule, step: jax.Array, *, factor: Number) -> jax.Array:
    return as_float(factor) * value_at(schedule, as_step(step))


def clamp(schedule: Schedule, min_value: Number = 0.0, max_value: Number | None = None) -> Partial:
    """A schedule between two bounds.

    `lr(t) = min(max(s(t), min_value), max_value)`

    Args:
        schedule: the schedule `s`.
        min_value: the lowest rate.
        max_value: the highest rate; None: no bound.

    Returns:
        The schedule, `step -> lr`.

    Raises:
        TypeError: `schedule` is not a function.
        ValueError: a bound is negative or not finite.

    Example:
        >>> from jaxlr.schedules import linear
        >>> float(clamp(linear(1.0, 10), min_value=0.25)(9))
        0.25
    """
    return Partial(
        _clamp,
        as_schedule("schedule", schedule),
        min_value=number("min_value", min_value, _checks.non_negative),
        max_value=np.asarray(np.inf) if max_value is None else number("max_value", max_value, _checks.non_negative),
    )


def _clamp(schedule: Schedule, step: jax.Array, *, min_value: Number, max_value: Number) -> jax.Array:
    rate = value_at(schedule, as_step(step))
    return jnp.minimum(jnp.maximum(rate, as_float(min_value)), as_float(max_value))


def offset(schedule: Schedule, steps: Count) -> Partial:
    """A schedule that starts further on, or later.

    `lr(t) = s(max(t + steps, 0))`

    Args:
        schedule: the schedule `s`.
        steps: steps to skip, as when a run resumes; below zero the first rate is held for so long.

    Returns:
        The schedule, `step -> lr`.

    Raises:
        TypeError: `schedule` is not a function.
        ValueError: `steps` is not whole.

    Example:
        >>> from jaxlr.schedules import linear
        >>> float(offset(linear(1.0, 10), 4)(1)), float(offset(linear(1.0, 10), -4)(9))
        (0.5, 0.5)
    """
    known = not isinstance(steps, jax.Array)
    skipped = count("steps", np.maximum(steps, 0) if known else jnp.maximum(steps, 0))
    delayed = count("steps", -np.minimum(steps, 0) if known else -jnp.minimum(steps, 0))
    return Partial(_offset, as_schedule("schedule", schedule), steps=skipped - delayed)


def _offset(schedule: Schedule, step: jax.Array, *, steps: Count) -> jax.Array:
    step, steps = as_step(step), as_count(steps)
    later = sum_of_counts(step, jnp.maximum(steps, 0))
    return value_at(schedule, jnp.where(steps < 0, jnp.maximum(step + jnp.minimum(steps, 0), 0), later))


def stretch(schedule: Schedule, factor: Number) -> Partial:
    """A schedule that runs so many times as long.

    `lr(t) = s(floor(t / factor))`

    Args:
        schedule: the schedule `s`.
        factor: above 1 longer, below 1 shorter; a whole number repeats each step so many times.

    Returns:
        The schedule, `step -> lr`. It is a staircase in `factor`, so its derivative by it is zero.

    Raises:
        TypeError: `schedule` is not a function.
        ValueError: `factor` is not positive.

    Example:
        >>> from jaxlr.schedules import linear
        >>> float(stretch(linear(1.0, 10), 3)(17))
        0.5
    """
    return Partial(_stretch, as_schedule("schedule", schedule), factor=number("factor", factor, _checks.positive))


def _stretch(schedule: Schedule, step: jax.Array, *, factor: Number) -> jax.Array:
    now = _twofloat.from_count(as_step(step), float_dtype())
    inner = _twofloat.floor_divide(now, _twofloat.from_float(as_float(factor)))
    return value_at(schedule, _twofloat.to_count(inner))


def repeat(schedule: Schedule, steps: Count) -> Partial:
    """The first steps of a schedule, again and again.

    `lr(t) = s(t mod steps)`

    Args:
        schedule: the schedule `s`.
        steps: the period; with 0 the first rate is held.

    Returns:
        The schedule, `step -> lr`.

    Raises:
        TypeError: `schedule` is not a function.
        ValueError: `steps` is not whole.

    Example:
        >>> from jaxlr.schedules import linear
        >>> float(repeat(linear(1.0, 10), 10)(25))
        0.5
    """
    return Partial(_repeat, as_schedule("schedule", schedule), steps=count("steps", steps))


def _repeat(schedule: Schedule, step: jax.Array, *, steps: Count) -> jax.Array:
    return value_at(schedule, as_step(step) % jnp.maximum(as_count(steps), 1))


def hold(schedule: Schedule, steps: Count) -> Partial:
    """A schedule that stands still from a step on.

    `lr(t) = s(min(t, steps))`

    Args:
        schedule: the schedule `s`.
        steps: the step whose rate is kept.

    Returns:
        The schedule, `step -> lr`.

    Raises:
        TypeError: `schedule` is not a function.
        ValueError: `steps` is not whole.

    Example:
        >>> from jaxlr.schedules import linear
        >>> float(hold(linear(1.0, 10), 5)(8))
        0.5
    """
    return Partial(_hold, as_schedule("schedule", schedule), steps=count("steps", steps))


def _hold(schedule: Schedule, step: jax.Array, *, steps: Count) -> jax.Array:
    return value_at(schedule, jnp.minimum(as_step(step), as_count(steps)))


def per_epoch(
    f: Callable[..., Any],
    steps_per_epoch: Count,
    *,
    num_epochs: int | None = None,
    init_value: Number | None = None,
) -> Partial:
    """A function of the epoch as a schedule of the step.

    `lr(t) = f(floor(t / steps_per_epoch))`, epochs from 0; with `init_value`
    `lr(e) = f(e, lr(e - 1))` and `lr(-1) = init_value`.

    Args:
        f: `epoch -> lr`, or with `init_value` `(epoch, lr) -> lr`.
        steps_per_epoch: steps in an epoch.
        num_epochs: call `f` once for each of so many epochs, with a Python integer, and hold the last rate
            after them: `f` may then be any Python function. None: `f` is traced by JAX.
        init_value: the rate that `f` is given for the first epoch; needs `num_epochs`.

    Returns:
        The schedule, `step -> lr`.

    Raises:
        TypeError: `f` is not a function.
        ValueError: `steps_per_epoch` is not whole, or `init_value` comes without `num_epochs`.

    Example:
        >>> schedule = per_epoch(lambda e, lr: lr if e < 2 else lr / 2, 10, num_epochs=5, init_value=1.0)
        >>> [float(schedule(t)) for t in (0, 19, 20, 39)]
        [1.0, 1.0, 0.5, 0.25]

    Reference: Keras, `LearningRateScheduler`.
    """
    if not callable(f):
        raise TypeError(f"f must be a function of the epoch, got {f!r}")
    if num_epochs is None:
        if init_value is not None:
            raise ValueError(f"init_value must come with num_epochs, got init_value={init_value!r} alone")
        return stretch(f, count("steps_per_epoch", steps_per_epoch))
    _checks.count("num_epochs", num_epochs)
    rates = []
    rate: Any = init_value
    for epoch in range(num_epochs):
        rate = f(epoch) if init_value is None else f(epoch, rate)
        rates.append(rate)
    traced = any(isinstance(rate, jax.Array) for rate in rates)
    table = from_table(range(num_epochs), jnp.stack([as_float(r) for r in rates]) if traced else rates)
    return stretch(table, count("steps_per_epoch", steps_per_epoch))
