"""The one-cycle policy, and the momentum that runs against it."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from .. import _checks
from . import _shapes, _twofloat
from ._arguments import Count, Flag, Number, as_count, as_float, as_step, count, flag, float_dtype, number
from ._progress import Progress, blend, progress
from ._twofloat import TwoFloat


@jax.jit
def _one_cycle_values(
    step: jax.Array,
    first: jax.Array,
    peak: jax.Array,
    last: jax.Array,
    total_steps: Count,
    pct_start: Number,
    three_phase: Flag,
    shape: Partial,
) -> jax.Array:
    """From `first` to `peak` to `last`, with three phases by way of `first` again."""
    dtype = float_dtype()
    total_steps, pct_start = as_count(total_steps), as_float(pct_start)
    end = _twofloat.from_count(jnp.maximum(total_steps - 1, 0), dtype)
    now = _twofloat.from_count(jnp.minimum(as_step(step), jnp.maximum(total_steps - 1, 0)), dtype)
    one = _twofloat.from_float(jnp.ones((), dtype))
    part = _twofloat.multiply(_twofloat.from_count(total_steps, dtype), _twofloat.from_float(pct_start))
    up = _twofloat.subtract(part, one)
    down = _twofloat.add(up, up)

    def phase(begin: TwoFloat, stop: TwoFloat) -> Progress:
        length = _twofloat.subtract(stop, begin)
        empty = length.hi <= 0
        length = TwoFloat(jnp.where(empty, 1, length.hi), jnp.where(empty, 0, length.lo))
        done = _twofloat.divide(_twofloat.subtract(now, begin), length).hi
        left = _twofloat.divide(_twofloat.subtract(stop, now), length).hi
        return shape(Progress(jnp.where(empty, 1, jnp.clip(done, 0, 1)), jnp.where(empty, 0, jnp.clip(left, 0, 1))))

    zero = _twofloat.from_float(jnp.zeros((), dtype))
    rising = blend(first, peak, phase(zero, up))
    falling = blend(peak, last, phase(up, end))
    returning = blend(peak, first, phase(up, down))
    fading = blend(first, last, phase(down, end))
    after_peak = jnp.where(three_phase, jnp.where(_not_after(now, down), returning, fading), falling)
    # A peak at or before step 0 leaves nothing to rise in.
    return jnp.where(_not_after(now, up) & (up.hi > 0), rising, after_peak)


def _not_after(a: TwoFloat, b: TwoFloat) -> jax.Array:
    return ~_twofloat.negative(_twofloat.subtract(b, a))


ONE_CYCLE_SHAPES = ("cosine", "linear")


def one_cycle(
    peak_value: Number,
    total_steps: Count,
    pct_start: Number = 0.3,
    div_factor: Number = 25.0,
    final_div_factor: Number = 1e4,
    *,
    shape: str = "cosine",
    three_phase: Flag = False,
) -> Partial:
    """Up to a peak and down to almost nothing, once in a run.

    From `first = peak_value / div_factor` at step 0 to `peak_value` at `pct_start * total_steps - 1` to
    `last = first / final_div_factor` at `total_steps - 1`; with `three_phase` by way of `first` again at
    `2 * (pct_start * total_steps - 1)`. In each phase, with `u` the part of it that is done:

    `lr = stop + (start - stop) * (1 + cos(pi * u)) / 2`, or with `shape="linear"` `stop + (start - stop) * (1
    - u)`

    Args:
        peak_value: the highest rate.
        total_steps: steps of the run.
        pct_start: the part of the run that goes up.
        div_factor: the peak relative to the first rate.
        final_div_factor: the first rate relative to the last.
        shape: "cosine" or "linear".
        three_phase: come back to the first rate before the last phase.

    Returns:
        The schedule, `step -> lr`.

    Raises:
        ValueError: a number is out of range, `total_steps` is not whole, or `shape` is unknown.

    Example:
        >>> schedule = one_cycle(1.0, 100, pct_start=0.5)
        >>> round(float(schedule(0)), 6), float(schedule(49)), round(float(schedule(99)), 9)
        (0.04, 1.0, 4e-06)

    Reference: Smith, Topin, "Super-Convergence", arXiv:1708.07120; PyTorch, `OneCycleLR`.
    """
    _checks.one_of("shape", shape, ONE_CYCLE_SHAPES)
    return Partial(
        _one_cycle,
        peak_value=number("peak_value", peak_value, _checks.non_negative),
        total_steps=count("total_steps", total_steps),
        pct_start=number("pct_start", pct_start, _part),
        div_factor=number("div_factor", div_factor, _checks.positive),
        final_div_factor=number("final_div_factor", final_div_factor, _checks.positive),
        shape=_shapes.named(shape),
        three_phase=flag("three_phase", three_phase),
    )


def _part(name: str, value: Number) -> None:
    _checks.between(name, value, 0.0, 1.0)


def _one_cycle(
    step: jax.Array,
    *,
    peak_value: Number,
    total_steps: Count,
    pct_start: Number,
    div_factor: Number,
    final_div_factor: Number,
    shape: Partial,
    three_phase: Flag,
) -> jax.Array:
    peak = as_float(peak_value)
    first = peak / as_float(div_factor)
    last = first / as_float(final_div_factor)
    return _one_cycle_values(step, first, peak, last, total_steps, pct_start, three_phase, shape)


def one_cycle_momentum(
    total_steps: Count,
    base_momentum: Number = 0.85,
    max_momentum: Number = 0.95,
    pct_start: Number = 0.3,
    *,
    shape: str = "cosine",
    three_phase: Flag = False,
) -> Partial:
    """The momentum that runs against `one_cycle`: lowest where the rate is highest.

    From `max_momentum` at step 0 to `base_momentum` at `pct_start * total_steps - 1`, and back to
    `max_momentum` at `total_steps - 1`, with `three_phase` at `2 * (pct_start * total_steps - 1)`; between as
    in `one_cycle`.

    Args:
        total_steps: steps of the run.
        base_momentum: the lowest momentum.
        max_momentum: the highest.
        pct_start: the part of the run in which the rate goes up.
        shape: "cosine" or "linear".
        three_phase: as in `one_cycle`.

    Returns:
        The schedule, `step -> momentum`.

    Raises:
        ValueError: a number is out of range, `total_steps` is not whole, or `shape` is unknown.

    Example:
        >>> schedule = one_cycle_momentum(100, 0.5, 1.0, pct_start=0.5)
        >>> [float(schedule(t)) for t in (0, 49, 99)]
        [1.0, 0.5, 1.0]

    Reference: Smith, Topin, "Super-Convergence", arXiv:1708.07120; PyTorch, `OneCycleLR`.
    """
    _checks.one_of("shape", shape, ONE_CYCLE_SHAPES)
    return Partial(
        _one_cycle_momentum,
        total_steps=count("total_steps", total_steps),
        base_momentum=number("base_momentum", base_momentum, _part),
        max_momentum=number("max_momentum", max_momentum, _part),
        pct_start=number("pct_start", pct_start, _part),
        shape=_shapes.named(shape),
        three_phase=flag("three_phase", three_phase),
    )


def _one_cycle_momentum(
    step: jax.Array,
    *,
    total_steps: Count,
    base_momentum: Number,
    max_momentum: Number,
    pct_start: Number,
    shape: Partial,
    three_phase: Flag,
) -> jax.Array:
    low, high = as_float(base_momentum), as_float(max_momentum)
    return _one_cycle_values(step, high, low, high, total_steps, pct_start, three_phase, shape)


def cosine_onecycle(
    peak_value: Number,
    total_steps: Count,
    pct_start: Number = 0.3,
    div_factor: Number = 25.0,
    final_div_factor: Number = 1e4,
) -> Partial:
    """Optax's one-cycle policy: its phases end on whole steps, one later than PyTorch's.

    From `first = peak_value / div_factor` at step 0 to `peak_value` at `floor(pct_start * total_steps)` to
    `first / final_div_factor` at `total_steps`, along half cosine waves as in `one_cycle`.

    Args:
        peak_value: the highest rate.
        total_steps: steps of the run.
        pct_start: the part of the run that goes up.
        div_factor: the peak relative to the first rate.
        final_div_factor: the first rate relative to the last.

    Returns:
        The schedule, `step -> lr`.

    Raises:
        ValueError: a number is out of range, or `total_steps` is not whole.

    Example:
        >>> schedule = cosine_onecycle(1.0, 100, pct_start=0.5)
        >>> round(float(schedule(0)), 6), float(schedule(50)), round(float(schedule(100)), 9)
        (0.04, 1.0, 4e-06)

    Reference: Optax, `cosine_onecycle_schedule`.
    """
    return Partial(
        _cosine_onecycle,
        peak_value=number("peak_value", peak_value, _checks.non_negative),
        total_steps=count("total_steps", total_steps),
        pct_start=number("pct_start", pct_start, _part),
        div_factor=number("div_factor", div_factor, _checks.positive),
        final_div_factor=number("final_div_factor", final_div_factor, _checks.positive),
    )


def _part_of_steps(total_steps: jax.Array, part: jax.Array) -> jax.Array:
    """`floor(part * total_steps)`, with the product as float64 has it."""
    product = _twofloat.multiply(_twofloat.from_count(total_steps, part.dtype), _twofloat.from_float(part))
    if part.dtype == jnp.float64:
        product = _twofloat.from_float(product.hi)
    return _twofloat.to_count(_twofloat.floor(product))


def _cosine_onecycle(
    step: jax.Array,
    *,
    peak_value: Number,
    total_steps: Count,
    pct_start: Number,
    div_factor: Number,
    final_div_factor: Number,
) -> jax.Array:
    step, total_steps, peak = as_step(step), as_count(total_steps), as_float(peak_value)
    first = peak / as_float(div_factor)
    top = _part_of_steps(total_steps, as_float(pct_start))
    rising = blend(first, peak, _shapes.cosine(progress(step, top)))
    fall = _shapes.cosine(progress(jnp.maximum(step - top, 0), total_steps - top))
    return jnp.where(step < top, rising, blend(peak, first / as_float(final_div_factor), fall))


def linear_onecycle(
    peak_value: Number,
    total_steps: Count,
    pct_start: Number = 0.3,
    pct_final: Number = 0.85,
    div_factor: Number = 25.0,
    final_div_factor: Number = 1e4,
) -> Partial:
    """Optax's one-cycle policy in three straight lines.

    From `first = peak_value / div_factor` at step 0 to `peak_value` at `floor(pct_start * total_steps)`, back
    to `first` at `floor(pct_final * total_steps)`, to `first / final_div_factor` at `total_steps`.

    Args:
        peak_value: the highest rate.
        total_steps: steps of the run.
        pct_start: the part of the run that goes up.
        pct_final: where in the run the last phase starts.
        div_factor: the peak relative to the first rate.
        final_div_factor: the first rate relative to the last.

    Returns:
        The schedule, `step -> lr`.

    Raises:
        ValueError: a number is out of range, or `total_steps` is not whole.

    Example:
        >>> schedule = linear_onecycle(1.0, 100, pct_start=0.5, div_factor=4.0)
        >>> [float(schedule(t)) for t in (0, 50, 85)]
        [0.25, 1.0, 0.25]

    Reference: Optax, `linear_onecycle_schedule`.
    """
    return Partial(
        _linear_onecycle,
        peak_value=number("peak_value", peak_value, _checks.non_negative),
        total_steps=count("total_steps", total_steps),
        pct_start=number("pct_start", pct_start, _part),
        pct_final=number("pct_final", pct_final, _part),
        div_factor=number("div_factor", div_factor, _checks.positive),
        final_div_factor=number("final_div_factor", final_div_factor, _checks.positive),
    )


def _linear_onecycle(
    step: jax.Array,
    *,
    peak_value: Number,
    total_steps: Count,
    pct_start: Number,
    pct_final: Number,
    div_factor: Number,
    final_div_factor: Number,
) -> jax.Array:
    step, total_steps, peak = as_step(step), as_count(total_steps), as_float(peak_value)
    first = peak / as_float(div_factor)
    top = _part_of_steps(total_steps, as_float(pct_start))
    back = jnp.maximum(top, _part_of_steps(total_steps, as_float(pct_final)))
    rising = blend(first, peak, progress(step, top))
    falling = blend(peak, first, progress(jnp.maximum(step - top, 0), back - top))
    last = first / as_float(final_div_factor)
    fading = blend(first, last, progress(jnp.maximum(step - back, 0), total_steps - back))
    return jnp.where(step < top, rising, jnp.where(step < back, falling, fading))
