"""The one-cycle policy, and the momentum that runs against it."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from . import _exact
from ._arguments import CycleShape, Flag, Part, Positive, Rate, Steps
from ._curve import Word
from ._exact import Exact, TwoFloat, as_float, exact, part_of, select
from ._progress import Progress, blend, cosine, progress, shaped
from ._schedule import schedule


@_exact.compiled
def _phases(
    step: Exact, first: Any, peak: Any, last: Any, total: Exact, pct_start: Exact, three_phase: Any, shape: Word
) -> jax.Array:
    """From `first` to `peak` to `last`, with three phases by way of `first` again."""
    three_phase = jnp.asarray(three_phase)
    zero, one = _exact.from_float(as_float(0)), _exact.from_float(as_float(1))
    last_step = total.since(1)
    now, end = step.upto(last_step).two, last_step.two
    up = _exact.subtract(_exact.multiply(total.two, pct_start.two), one)
    down = _exact.add(up, up)
    # A peak at or before step 0 leaves nothing to rise in.
    rising = _not_after(now, up) & (up.hi > 0)
    fading = ~rising & three_phase & ~_not_after(now, down)
    begin = _exact.choose(rising, zero, _exact.choose(fading, down, up))
    stop = _exact.choose(rising, up, _exact.choose(three_phase & ~fading, down, end))
    begin_value = jnp.where(rising | fading, first, peak)
    stop_value = jnp.where(rising, peak, jnp.where(three_phase & ~fading, first, last))
    rate = blend(begin_value, stop_value, shaped(shape, _between(now, begin, stop)))
    # A run of no length at all would start at its first value.
    return jnp.where(exact(1).before(total), rate, first) if step.start else rate


def _between(now: TwoFloat, begin: TwoFloat, stop: TwoFloat) -> Progress:
    """How far a phase has come; all of it if it is empty."""
    length = _exact.subtract(stop, begin)
    empty = length.hi <= 0
    length = _exact.choose(empty, _exact.from_float(as_float(1)), length)
    done = _exact.divide(_exact.subtract(now, begin), length).hi
    left = _exact.divide(_exact.subtract(stop, now), length).hi
    return Progress(jnp.where(empty, 1, jnp.clip(done, 0, 1)), jnp.where(empty, 0, jnp.clip(left, 0, 1)))


def _not_after(a: TwoFloat, b: TwoFloat) -> jax.Array:
    return ~_exact.negative(_exact.subtract(b, a))


@schedule
def one_cycle(
    step: Exact,
    peak_value: Rate,
    total_steps: Steps,
    pct_start: Part = 0.3,
    div_factor: Positive = 25.0,
    final_div_factor: Positive = 1e4,
    *,
    shape: CycleShape = "cosine",
    three_phase: Flag = False,
) -> jax.Array:
    """Up to a peak and down to almost nothing, once in a run.

    From `first = peak_value / div_factor` at step 0 to `peak_value` at `pct_start * total_steps - 1` to
    `last = first / final_div_factor` at `total_steps - 1`; with `three_phase` by way of `first` again at
    `2 * (pct_start * total_steps - 1)`. In each phase, with `u` the part of it that is done:

    `lr = stop + (start - stop) * (1 + cos(pi * u)) / 2`, or with `shape="linear"` `stop + (start - stop) * (1 - u)`

    Args:
        peak_value: the highest rate.
        total_steps: steps of the run.
        pct_start: the part of the run that goes up.
        div_factor: the peak relative to the first rate.
        final_div_factor: the first rate relative to the last.
        shape: "cosine" or "linear".
        three_phase: come back to the first rate before the last phase.

    >>> schedule = one_cycle(1.0, 100, pct_start=0.5)
    >>> round(float(schedule(0)), 6), float(schedule(49)), round(float(schedule(99)), 9)
    (0.04, 1.0, 4e-06)

    Reference: Smith, Topin, "Super-Convergence", arXiv:1708.07120; PyTorch, `OneCycleLR`.
    """
    first = peak_value / div_factor
    last, total, part = first / final_div_factor, exact(total_steps), exact(pct_start)
    return _phases(step, first, peak_value, last, total, part, three_phase, Word(shape))


@schedule
def one_cycle_momentum(
    step: Exact,
    total_steps: Steps,
    base_momentum: Rate = 0.85,
    max_momentum: Rate = 0.95,
    pct_start: Part = 0.3,
    *,
    shape: CycleShape = "cosine",
    three_phase: Flag = False,
) -> jax.Array:
    """The momentum that runs against `one_cycle`: lowest where the rate is highest.

    From `max_momentum` at step 0 to `base_momentum` at `pct_start * total_steps - 1`, and back to `max_momentum` at
    `total_steps - 1`, with `three_phase` at `2 * (pct_start * total_steps - 1)`; between as in `one_cycle`.

    Args:
        base_momentum: the lowest momentum, zero or more.
        max_momentum: the highest.
        total_steps, pct_start, shape, three_phase: as for `one_cycle`.

    >>> schedule = one_cycle_momentum(100, 0.5, 1.0, pct_start=0.5)
    >>> [float(schedule(t)) for t in (0, 49, 99)]
    [1.0, 0.5, 1.0]

    Reference: as for `one_cycle`.
    """
    low, high, total, part = base_momentum, max_momentum, exact(total_steps), exact(pct_start)
    return _phases(step, high, low, high, total, part, three_phase, Word(shape))


@schedule
def cosine_onecycle(
    step: Exact,
    peak_value: Rate,
    total_steps: Steps,
    pct_start: Part = 0.3,
    div_factor: Positive = 25.0,
    final_div_factor: Positive = 1e4,
) -> jax.Array:
    """Optax's one-cycle policy: its phases end on whole steps, one later than PyTorch's.

    From `first = peak_value / div_factor` at step 0 to `peak_value` at `floor(pct_start * total_steps)` to
    `first / final_div_factor` at `total_steps`, along half cosine waves as in `one_cycle`.

    Args:
        peak_value, total_steps, pct_start, div_factor, final_div_factor: as for `one_cycle`.

    >>> schedule = cosine_onecycle(1.0, 100, pct_start=0.5)
    >>> round(float(schedule(0)), 6), float(schedule(50)), round(float(schedule(100)), 9)
    (0.04, 1.0, 4e-06)

    Reference: Optax, `cosine_onecycle_schedule`.
    """
    first = peak_value / div_factor
    top = part_of(total_steps, pct_start)
    rising = step.before(top)
    p = progress(select(rising, step, step.since(top)), select(rising, top, exact(total_steps).since(top)))
    begin, stop = jnp.where(rising, first, peak_value), jnp.where(rising, peak_value, first / final_div_factor)
    rate = blend(begin, stop, cosine(p))
    return jnp.where(exact(total_steps).positive, rate, first) if step.start else rate


@schedule
def linear_onecycle(
    step: Exact,
    peak_value: Rate,
    total_steps: Steps,
    pct_start: Part = 0.3,
    pct_final: Part = 0.85,
    div_factor: Positive = 25.0,
    final_div_factor: Positive = 1e4,
) -> jax.Array:
    """Optax's one-cycle policy in three straight lines.

    From `first = peak_value / div_factor` at step 0 to `peak_value` at `floor(pct_start * total_steps)`, back to
    `first` at `floor(pct_final * total_steps)`, to `first / final_div_factor` at `total_steps`.

    Args:
        peak_value, total_steps, pct_start: as for `one_cycle`.
        pct_final: where in the run the last phase starts.
        div_factor, final_div_factor: as for `one_cycle`.

    >>> schedule = linear_onecycle(1.0, 100, pct_start=0.5, div_factor=4.0)
    >>> [float(schedule(t)) for t in (0, 50, 85)]
    [0.25, 1.0, 0.25]

    Reference: Optax, `linear_onecycle_schedule`.
    """
    first = peak_value / div_factor
    top, total = part_of(total_steps, pct_start), exact(total_steps)
    back = select(part_of(total, pct_final).before(top), top, part_of(total, pct_final))
    rising, falling = step.before(top), step.before(back)
    begun = select(rising, 0, select(falling, top, back))
    length = select(rising, top, select(falling, back.since(top), total.since(back)))
    begin = jnp.where(rising | ~falling, first, peak_value)
    stop = jnp.where(rising, peak_value, jnp.where(falling, first, first / final_div_factor))
    return blend(begin, stop, progress(step.since(begun), length))
