"""Triangles: rates that rise and fall again and again."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from .. import _checks
from . import _twofloat
from ._arguments import (
    MAX_COUNT,
    Count,
    Number,
    as_count,
    as_float,
    as_step,
    count,
    float_dtype,
    number,
    sum_of_counts,
)
from ._progress import Progress, blend, progress


def _triangle(step: jax.Array, up_steps: jax.Array, down_steps: jax.Array) -> tuple[jax.Array, Progress]:
    """The number of the cycle, from 0, and how far from the peak the step is: `left` is 1 at the peak."""
    total = jnp.maximum(sum_of_counts(up_steps, down_steps), 1)
    # A cycle that is too long to count never ends.
    endless = up_steps > MAX_COUNT - down_steps
    cycle = jnp.where(endless, 0, step // total)
    within = jnp.where(endless, step, step % total)
    rise, fall = progress(within, up_steps), progress(jnp.maximum(within - up_steps, 0), down_steps)
    done = jnp.where(within < up_steps, rise.left, fall.done)
    left = jnp.where(within < up_steps, rise.done, fall.left)
    return cycle, Progress(done, left)


def _triangular_arguments(
    init_value: Number, peak_value: Number, up_steps: Count, down_steps: Count | None
) -> dict[str, Number | Count]:
    return {
        "init_value": number("init_value", init_value, _checks.non_negative),
        "peak_value": number("peak_value", peak_value, _checks.non_negative),
        "up_steps": count("up_steps", up_steps),
        "down_steps": count("down_steps", up_steps if down_steps is None else down_steps),
    }


def triangular(init_value: Number, peak_value: Number, up_steps: Count, down_steps: Count | None = None) -> Partial:
    """Straight up and straight down, again and again.

    `lr(t) = init_value + (peak_value - init_value) * (1 - x)`,
    with `x` the distance from the peak: `1 - t / up_steps` on the way up, then `(t - up_steps) / down_steps`,
    `t` counted from the start of the cycle, and `i` the number of the cycle, from 0.

    Args:
        init_value: the rate between two triangles.
        peak_value: the rate at the first peak; swapped with `init_value` it is the momentum for such a rate.
        up_steps: steps up.
        down_steps: steps down; None: as many.

    Returns:
        The schedule, `step -> lr`.

    Raises:
        ValueError: a rate is negative or not finite, or a number of steps is not whole.

    Example:
        >>> schedule = triangular(0.0, 1.0, 10)
        >>> [float(schedule(t)) for t in (0, 5, 10, 20)]
        [0.0, 0.5, 1.0, 0.0]

    Reference: Smith, "Cyclical Learning Rates for Training Neural Networks", arXiv:1506.01186; PyTorch,
    `CyclicLR`.
    """
    return Partial(
        _triangular,
        **_triangular_arguments(init_value, peak_value, up_steps, down_steps),
    )


def _triangular(
    step: jax.Array, *, init_value: Number, peak_value: Number, up_steps: Count, down_steps: Count
) -> jax.Array:
    _, triangle = _triangle(as_step(step), as_count(up_steps), as_count(down_steps))
    return blend(as_float(peak_value), as_float(init_value), triangle)


def triangular2(init_value: Number, peak_value: Number, up_steps: Count, down_steps: Count | None = None) -> Partial:
    """Triangles of which each is half as high as the one before.

    `lr(t) = init_value + (peak_value - init_value) * (1 - x) / 2^i`,
    with `x` the distance from the peak: `1 - t / up_steps` on the way up, then `(t - up_steps) / down_steps`,
    `t` counted from the start of the cycle, and `i` the number of the cycle, from 0.

    Args:
        init_value: the rate between two triangles.
        peak_value: the rate at the first peak; swapped with `init_value` it is the momentum for such a rate.
        up_steps: steps up.
        down_steps: steps down; None: as many.

    Returns:
        The schedule, `step -> lr`.

    Raises:
        ValueError: a rate is negative or not finite, or a number of steps is not whole.

    Example:
        >>> schedule = triangular2(0.0, 1.0, 10)
        >>> [float(schedule(t)) for t in (10, 30, 50)]
        [1.0, 0.5, 0.25]

    Reference: Smith, "Cyclical Learning Rates for Training Neural Networks", arXiv:1506.01186; PyTorch,
    `CyclicLR(mode="triangular2")`.
    """
    return Partial(
        _triangular2,
        **_triangular_arguments(init_value, peak_value, up_steps, down_steps),
    )


def _triangular2(
    step: jax.Array, *, init_value: Number, peak_value: Number, up_steps: Count, down_steps: Count
) -> jax.Array:
    cycle, triangle = _triangle(as_step(step), as_count(up_steps), as_count(down_steps))
    height = jnp.exp2(-cycle.astype(float_dtype()))
    return blend(as_float(peak_value), as_float(init_value), _lowered(triangle, height, 1 - height))


def _lowered(triangle: Progress, height: jax.Array, lost: jax.Array) -> Progress:
    return Progress(triangle.done + triangle.left * lost, triangle.left * height)


def exp_range(
    init_value: Number,
    peak_value: Number,
    up_steps: Count,
    down_steps: Count | None = None,
    decay_rate: Number = 1.0,
) -> Partial:
    """Triangles under an exponential decay.

    `lr(t) = init_value + (peak_value - init_value) * (1 - x) * decay_rate^t`,
    with `x` the distance from the peak: `1 - t / up_steps` on the way up, then `(t - up_steps) / down_steps`,
    `t` counted from the start of the cycle, and `i` the number of the cycle, from 0.

    Args:
        init_value: the rate between two triangles.
        peak_value: the rate at the first peak; swapped with `init_value` it is the momentum for such a rate.
        up_steps: steps up.
        down_steps: steps down; None: as many.
        decay_rate: the factor for each step, between 0 and 1.

    Returns:
        The schedule, `step -> lr`.

    Raises:
        ValueError: a rate is negative or not finite, or a number of steps is not whole, or
            `decay_rate` is not between 0 and 1.

    Example:
        >>> schedule = exp_range(0.0, 1.0, 10, decay_rate=0.9)
        >>> round(float(schedule(10)), 6)
        0.348678

    Reference: Smith, "Cyclical Learning Rates for Training Neural Networks", arXiv:1506.01186; PyTorch,
    `CyclicLR(mode="exp_range")`.
    """
    return Partial(
        _exp_range,
        **_triangular_arguments(init_value, peak_value, up_steps, down_steps),
        decay_rate=number("decay_rate", decay_rate, _rate),
    )


def _rate(name: str, value: Number) -> None:
    _checks.between(name, value, 0.0, 1.0)
    _checks.positive(name, value)


def _exp_range(
    step: jax.Array,
    *,
    init_value: Number,
    peak_value: Number,
    up_steps: Count,
    down_steps: Count,
    decay_rate: Number,
) -> jax.Array:
    step = as_step(step)
    _, triangle = _triangle(step, as_count(up_steps), as_count(down_steps))
    log = _twofloat.log(as_float(decay_rate))
    log = _twofloat.multiply(log, _twofloat.from_count(step, float_dtype()))
    lowered = _lowered(triangle, _twofloat.exp(log), -jnp.expm1(log.hi))
    return blend(as_float(peak_value), as_float(init_value), lowered)
