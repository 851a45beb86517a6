"""Schedules made of schedules. Each part may be any function of the step, an Optax schedule too."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from . import _exact
from ._arguments import (
    Base,
    Boundaries,
    Count,
    Flag,
    Fraction,
    Function,
    GrowingBase,
    Inner,
    InnerArguments,
    InnerList,
    Map,
    Period,
    Positive,
    Rate,
    Real,
    Shape,
    Shift,
    Size,
    Steps,
)
from ._exact import START, Exact, as_float, exact, select
from ._progress import blend, progress, reverse, shaped
from ._schedule import alias, schedule
from .piecewise import from_table
from .restarts import compound, cycle_at


@schedule
def warmup(step: Exact, schedule: Inner, steps: Steps, init_value: Rate = 0.0, *, shape: Shape = "linear") -> jax.Array:
    """A rise to a schedule's first value, then that schedule from its step 0.

    `lr(t) = init_value + (s(0) - init_value) * t / steps` for `t < steps`, then `s(t - steps)`. If `s` is over at its
    step 0, having no steps itself, the rise is to the value that it would start from if it had any.

    Args:
        schedule: the schedule `s`.
        steps: the length of the warm-up.
        init_value: the rate at step 0. `offset(warmup(s, n), 1)` starts from one `n`th of the peak instead.
        shape: "linear", or one of `cooldown`'s, run backwards.

    >>> from jaxlr.schedules import cosine_decay
    >>> float(warmup(cosine_decay(1.0, 1000), 50)(25))
    0.5

    Reference: Goyal et al., "Accurate, Large Minibatch SGD", arXiv:1706.02677.
    """
    peak = schedule(START)
    fall_backwards = shaped(shape, reverse(progress(step, steps)))
    after = peak if step.start else schedule(step.since(steps))
    return jnp.where(step.before(steps), blend(peak, init_value, fall_backwards), after)


@schedule
def cooldown(
    step: Exact,
    schedule: Inner,
    start: Steps,
    steps: Steps,
    end_value: Rate = 0.0,
    *,
    shape: Shape = "linear",
    power: Positive = 0.5,
    decay_rate: Fraction = 0.1,
) -> jax.Array:
    """Branch off a running schedule and end it.

    `lr(t) = end_value + (s(t) - end_value) * w((t - start) / steps)`, where `w` falls from 1 to 0, before `start` it is
    1: "linear" `1 - x`, "cosine" `(1 + cos(pi * x)) / 2`, "1-sqrt" `1 - sqrt(x)`, "1-square" `1 - x^2`, "power"
    `1 - x^power`, "exponential" `(r^x - r) / (1 - r)` with `r = decay_rate`.

    Args:
        schedule: the schedule `s`; if it falls on its own it goes on falling.
        start: the first step of the cooldown.
        steps: its length.
        end_value: the rate after it.
        shape: how it falls.
        power: for the shape of this name.
        decay_rate: for the exponential shape, between 0 and 1.

    >>> from jaxlr.schedules import constant
    >>> schedule = cooldown(constant(1.0), start=100, steps=10)
    >>> [float(schedule(t)) for t in (99, 105, 110)]
    [1.0, 0.5, 0.0]

    Reference: Hägele et al., "Scaling Laws and Compute-Optimal Training Beyond Fixed Training Durations",
    arXiv:2405.18392.
    """
    rate = schedule(step)
    fall = shaped(shape, progress(step.since(start), steps), power, decay_rate)
    return jnp.where(step.before(start), rate, blend(rate, end_value, fall))


def _check_join(schedules: Any, boundaries: Any, continuous: Any) -> None:
    if boundaries.shape != (len(schedules) - 1,):
        raise ValueError(f"boundaries must hold one step less than {len(schedules)} schedules, got {boundaries.size}")


@schedule(check=_check_join)
def join(step: Exact, schedules: InnerList, boundaries: Boundaries, continuous: Flag = False) -> jax.Array:
    """One schedule after another, each from its own step 0.

    `lr(t) = c[i] * schedules[i](t - boundaries[i - 1])`, where `i` is the number of boundaries not above `t` and `c` is
    1; with `continuous` the factor by which a schedule starts at the rate that the one before it has come to.

    Args:
        schedules: in order.
        boundaries: the first step of each schedule but the first; not falling.
        continuous: scale each schedule to go on at the last rate; one that starts at 0 stays as it is.

    >>> from jaxlr.schedules import constant, linear
    >>> schedule = join([constant(1.0), linear(0.5, 10)], [100])
    >>> [float(schedule(t)) for t in (99, 100, 105)]
    [1.0, 0.5, 0.25]

    Reference: Optax, `join_schedules`.
    """
    first, *others = schedules
    rate, starts = first(step), exact(boundaries)
    last, before, factor = first, exact(0), as_float(1)
    for i, other in enumerate(others):
        if _may_hold(continuous):
            begin = other(START)
            ratio = factor * last(starts[i].since(before)) / jnp.where(begin > 0, begin, 1)
            factor = jnp.where(jnp.asarray(continuous) & (begin > 0), ratio, 1)
            last, before = other, starts[i]
        rate = jnp.where(step.before(starts[i]), rate, factor * other(step.since(starts[i])))
    return rate


def _may_hold(flag: Any) -> bool:
    """False for a flag that is known not to hold: what it asks for need not be computed."""
    return isinstance(flag, jax.Array) or bool(flag)


@schedule
def chain(step: Exact, *schedules: InnerArguments) -> jax.Array:
    """The product of schedules.

    `lr(t) = schedules[0](t) * schedules[1](t) * …`

    Args:
        schedules: at least one; a rate and its factors.

    >>> from jaxlr.schedules import linear, step_decay
    >>> float(chain(linear(1.0, 100), step_decay(1.0, 10))(50))
    0.015625

    Reference: PyTorch, `ChainedScheduler`.
    """
    first, *others = schedules
    rate = first(step)
    for other in others:
        rate = rate * other(step)
    return rate


@schedule
def add(step: Exact, *schedules: InnerArguments) -> jax.Array:
    """The sum of schedules.

    `lr(t) = schedules[0](t) + schedules[1](t) + …`

    Args:
        schedules: at least one; `constant(x)` as one of them is a floor that the others come down to.

    >>> from jaxlr.schedules import constant, inverse_sqrt
    >>> float(add(inverse_sqrt(1.0, 100), constant(0.125))(300))
    0.625
    """
    first, *others = schedules
    rate = first(step)
    for other in others:
        rate = rate + other(step)
    return rate


@schedule
def follow(step: Exact, schedule: Inner, peak_value: Positive, value: Rate, power: Positive = 1.0) -> jax.Array:
    """A value that follows a schedule: a weight decay that falls with the rate.

    `lr(t) = value * (s(t) / peak_value)^power`

    Args:
        schedule: the schedule `s` that is followed.
        peak_value: its rate where the value is `value`.
        value: the value there.
        power: 1 in proportion, 0.5 with the root.

    >>> from jaxlr.schedules import linear
    >>> float(follow(linear(0.25, 10), 0.25, 0.5, power=2.0)(5))
    0.125

    Reference: Loshchilov, Hutter, "Decoupled Weight Decay Regularization", arXiv:1711.05101, whose schedule multiplies
    rate and weight decay alike.
    """
    return value * (schedule(step) / peak_value) ** power


@schedule
def apply(step: Exact, schedule: Inner, function: Map) -> jax.Array:
    """A function of the rate.

    `lr(t) = f(s(t))`

    Args:
        schedule: the schedule `s`.
        function: `f`, any function that JAX can trace. In text only a schedule can be one, of the rate for the step.

    >>> import jax.numpy as jnp
    >>> from jaxlr.schedules import linear
    >>> float(apply(linear(1.0, 10), jnp.sqrt)(10 - 1.25 * 2))
    0.5
    """
    rate = schedule(step)
    return jnp.broadcast_to(as_float(function(rate)), rate.shape)


@schedule
def complement(step: Exact, schedule: Inner) -> jax.Array:
    """One minus a schedule, for decays that come closer and closer to 1: beta2, an average of weights.

    `lr(t) = max(1 - s(t), 0)`

    Args:
        schedule: the schedule `s`: `inverse_power(1, 1, 0.8)` for Adafactor's beta2, `inverse_power(1, g, p)` for the
            averages of Karras et al., `time_decay(0.9, 0.1)` for TensorFlow's `(1 + t) / (10 + t)`.

    >>> from jaxlr.schedules import time_decay
    >>> float(complement(time_decay(0.9, 0.1))(8))
    0.5

    Reference: Shazeer, Stern, "Adafactor", arXiv:1804.04235; TensorFlow, `ExponentialMovingAverage(num_updates)`.
    """
    return jnp.maximum(1 - schedule(step), 0)


@schedule
def noisy(step: Exact, schedule: Inner, amount: Fraction, seed: Count = 0) -> jax.Array:
    """A schedule with noise on it, the same each time.

    `lr(t) = s(t) * (1 + amount * u)`, where `u` is uniform from -1 to 1, another one for each whole step.

    Args:
        schedule: the schedule `s`.
        amount: the largest part of the rate that is added or taken away, at most 1.
        seed: a whole number; other seeds, other noise.

    >>> from jaxlr.schedules import constant
    >>> schedule = noisy(constant(1.0), 0.25)
    >>> all(0.75 <= float(schedule(t)) <= 1.25 for t in range(9)), bool(schedule(3) == schedule(3.5))
    (True, True)

    Reference: timm, `Scheduler(noise_range_t, noise_pct, noise_seed)`, whose noise is normal.
    """
    key, (number, _) = jax.random.key(seed), step.over(1)
    now = jnp.zeros_like(number) if step.start else number

    def uniform(count: jax.Array) -> jax.Array:
        # In float32 whatever the float type, so that x64 has the same noise.
        return jax.random.uniform(jax.random.fold_in(key, count), (), jnp.float32, -1.0, 1.0)

    noise = jax.vmap(uniform)(now.reshape(-1)).reshape(now.shape)
    return schedule(step) * (1 + amount * as_float(noise))


@schedule
def scale(step: Exact, schedule: Inner, factor: Rate) -> jax.Array:
    """A schedule times a number.

    `lr(t) = factor * s(t)`

    Args:
        schedule: the schedule `s`.
        factor: zero or more.

    >>> from jaxlr.schedules import linear
    >>> float(scale(linear(1.0, 10), 0.5)(5))
    0.25
    """
    return factor * schedule(step)


@schedule
def clamp(step: Exact, schedule: Inner, min_value: Rate = 0.0, max_value: Rate | None = None) -> jax.Array:
    """A schedule between two bounds.

    `lr(t) = min(max(s(t), min_value), max_value)`

    Args:
        schedule: the schedule `s`.
        min_value: the lowest rate.
        max_value: the highest rate; None: no bound.

    >>> from jaxlr.schedules import linear
    >>> float(clamp(linear(1.0, 10), min_value=0.25)(9))
    0.25
    """
    rate = jnp.maximum(schedule(step), min_value)
    return rate if max_value is None else jnp.minimum(rate, max_value)


@schedule
def offset(step: Exact, schedule: Inner, steps: Shift) -> jax.Array:
    """A schedule that starts further on, or later.

    `lr(t) = s(max(t + steps, 0))`

    Args:
        schedule: the schedule `s`.
        steps: steps to skip, as when a run resumes; below zero the first rate is held for so long.

    >>> from jaxlr.schedules import linear
    >>> float(offset(linear(1.0, 10), 4)(1)), float(offset(linear(1.0, 10), -4)(9))
    (0.5, 0.5)
    """
    skipped, delayed = _exact.signed(steps)
    later = schedule(step.plus(skipped).since(delayed))
    return jnp.where(skipped.positive, later, schedule(START)) if step.start else later


@schedule
def stretch(step: Exact, schedule: Inner, factor: Period) -> jax.Array:
    """A schedule that runs so many times as long.

    `lr(t) = s(floor(t / factor))`; a staircase in `factor`, so that its derivative by it is zero.

    Args:
        schedule: the schedule `s`.
        factor: above 1 longer, below 1 shorter; a whole number repeats each step so many times.

    >>> from jaxlr.schedules import linear
    >>> float(stretch(linear(1.0, 10), 3)(17))
    0.5
    """
    return schedule(step if step.start else Exact(step.over(factor)[0]))


@schedule
def repeat(
    step: Exact,
    schedule: Inner,
    steps: Steps,
    period_multiplier: GrowingBase = 1.0,
    peak_multiplier: Base = 1.0,
) -> jax.Array:
    """The first steps of a schedule, again and again: cycles, each with its own warm-up if the schedule has one.

    `lr(t) = peak_multiplier^i * s(u * steps)`, where `i` is the number of the cycle, from 0, and `u` the part of it
    that is done. Cycle `i` lasts `steps * period_multiplier^i` steps; with the same period for all, `s(t mod steps)`.

    Args:
        schedule: the schedule `s`.
        steps: the first period; with 0 the first rate is held.
        period_multiplier: the length of each cycle, and of all in it, relative to the one before; 1 or more.
        peak_multiplier: the rates of each cycle relative to the one before.

    >>> from jaxlr.schedules import linear, warmup
    >>> schedule = repeat(warmup(linear(1.0, 8), 2), 10, period_multiplier=2.0, peak_multiplier=0.5)
    >>> [float(schedule(t)) for t in (1, 2, 10, 12, 14, 30)]
    [0.5, 1.0, 0.0, 0.25, 0.5, 0.0]

    Reference: Loshchilov, Hutter, "SGDR", arXiv:1608.03983, for cycles that grow.
    """
    number, within = cycle_at(step, steps, period_multiplier)
    return compound(peak_multiplier, number) * schedule(within)


@schedule
def prolong(step: Exact, schedule: Inner, start: Steps, end: Steps, new_end: Steps) -> jax.Array:
    """A schedule that, from a step on, takes longer: a run that is resumed for more steps, without a jump.

    `lr(t) = s(t)` up to `start`, then `s(start + (t - start) * (end - start) / (new_end - start))`

    Args:
        schedule: the schedule `s`, which was made for `end` steps.
        start: the step from which the run is longer.
        end: the steps of the run as it was planned, after `start`.
        new_end: its steps now; fewer end it sooner.

    >>> from jaxlr.schedules import linear
    >>> schedule = prolong(linear(1.0, 10), 5, 10, 25)
    >>> [float(schedule(t)) for t in (4, 5, 15, 25)]
    [0.6000000238418579, 0.5, 0.25, 0.0]
    """
    if step.start:
        return schedule(step)
    planned, now = exact(end).since(start), exact(new_end).since(start)
    later = step.since(start).times(planned, now).plus(start)
    return schedule(select(step.before(start), step, later))


@schedule
def hold(step: Exact, schedule: Inner, steps: Steps) -> jax.Array:
    """A schedule that stands still from a step on.

    `lr(t) = s(min(t, steps))`

    Args:
        schedule: the schedule `s`.
        steps: the step whose rate is kept.

    >>> from jaxlr.schedules import linear
    >>> float(hold(linear(1.0, 10), 5)(8))
    0.5
    """
    return schedule(step.upto(steps))


@alias
def per_epoch(
    f: Function, steps_per_epoch: Period, *, num_epochs: Size | None = None, init_value: Real | None = None
) -> Partial:
    """A function of the epoch as a schedule of the step.

    `lr(t) = f(floor(t / steps_per_epoch))`, epochs from 0; with `init_value` `lr(e) = f(e, lr(e - 1))` and
    `lr(-1) = init_value`.

    Args:
        f: `epoch -> lr`, or with `init_value` `(epoch, lr) -> lr`.
        steps_per_epoch: steps in an epoch.
        num_epochs: call `f` once for each of so many epochs, with a Python integer, and hold the last rate after them:
            `f` may then be any Python function. None: `f` is traced by JAX.
        init_value: the rate that `f` is given for the first epoch; needs `num_epochs`.

    >>> schedule = per_epoch(lambda e, lr: lr if e < 2 else lr / 2, 10, num_epochs=5, init_value=1.0)
    >>> [float(schedule(t)) for t in (0, 19, 20, 39)]
    [1.0, 1.0, 0.5, 0.25]

    Reference: Keras, `LearningRateScheduler`.
    """
    if num_epochs is None:
        if init_value is not None:
            raise ValueError(f"init_value must come with num_epochs, got init_value={init_value!r} alone")
        return stretch(f, steps_per_epoch)
    rates: Any = []
    rate: Any = init_value
    for epoch in range(num_epochs):
        rate = f(epoch) if init_value is None else f(epoch, rate)
        rates.append(rate)
    if any(isinstance(rate, jax.Array) for rate in rates):
        rates = jnp.stack([as_float(rate) for rate in rates])
    return stretch(from_table(range(num_epochs), rates), steps_per_epoch)
