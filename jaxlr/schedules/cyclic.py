"""Triangles: rates that rise and fall again and again."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from . import _exact
from ._arguments import ComplementBase, Rate, Steps
from ._exact import MAX_STEP, Exact, exact, float_dtype, select
from ._progress import Progress, blend, choose, progress, reverse
from ._schedule import schedule


def _triangle(step: Exact, up_steps: Any, down_steps: Any) -> tuple[jax.Array, Progress]:
    """The number of the cycle, from 0, and how far from the peak the step is: `left` is 1 at the peak."""
    up, down = exact(up_steps), exact(up_steps if down_steps is None else down_steps)
    cycle, within = step.over(up.plus(down))
    if isinstance(up.value, jax.Array) and isinstance(down.value, jax.Array):
        # A cycle that is too long to count never ends.
        endless = up.value > MAX_STEP - down.value
        cycle, within = jnp.where(endless, 0, cycle), select(endless, step, within)
    rising = within.before(up)
    p = progress(select(rising, within, within.since(up)), select(rising, up, down))
    return cycle, choose(rising, reverse(p), p)


@schedule
def triangular(
    step: Exact, init_value: Rate, peak_value: Rate, up_steps: Steps, down_steps: Steps | None = None
) -> jax.Array:
    """Straight up and straight down, again and again.

    `lr(t) = init_value + (peak_value - init_value) * (1 - x)`, with `x` the distance from the peak: `1 - t / up_steps`
    on the way up, then `(t - up_steps) / down_steps`, `t` counted from the start of the cycle.

    Args:
        init_value: the rate between two triangles.
        peak_value: the rate at the first peak; swapped with `init_value` it is the momentum for such a rate.
        up_steps: steps up.
        down_steps: steps down; None: as many.

    Heights of one's own are a product: `add(constant(low), chain(triangular(0, high - low, n), f))` with a schedule `f`
    of the step, or `stretch(f, 2 * n)` with one of the cycle.

    >>> schedule = triangular(0.0, 1.0, 10)
    >>> [float(schedule(t)) for t in (0, 5, 10, 20)]
    [0.0, 0.5, 1.0, 0.0]

    Reference: Smith, "Cyclical Learning Rates for Training Neural Networks", arXiv:1506.01186; PyTorch,
    `CyclicLR`.
    """
    _, triangle = _triangle(step, up_steps, down_steps)
    return blend(peak_value, init_value, triangle)


def _lowered(triangle: Progress, height: jax.Array, lost: jax.Array) -> Progress:
    return Progress(triangle.done + triangle.left * lost, triangle.left * height)


@schedule
def triangular2(
    step: Exact, init_value: Rate, peak_value: Rate, up_steps: Steps, down_steps: Steps | None = None
) -> jax.Array:
    """Triangles of which each is half as high as the one before.

    `lr(t) = init_value + (peak_value - init_value) * (1 - x) / 2^i`, with `x` as for `triangular` and `i` the number of
    the cycle, from 0.

    Args:
        init_value, peak_value, up_steps, down_steps: as for `triangular`.

    >>> schedule = triangular2(0.0, 1.0, 10)
    >>> [float(schedule(t)) for t in (10, 30, 50)]
    [1.0, 0.5, 0.25]

    Reference: as for `triangular`; PyTorch, `CyclicLR(mode="triangular2")`.
    """
    cycle, triangle = _triangle(step, up_steps, down_steps)
    height = jnp.exp2(-cycle.astype(float_dtype()))
    return blend(peak_value, init_value, _lowered(triangle, height, 1 - height))


@schedule
def exp_range(
    step: Exact,
    init_value: Rate,
    peak_value: Rate,
    up_steps: Steps,
    down_steps: Steps | None = None,
    decay_rate: ComplementBase = 1.0,
) -> jax.Array:
    """Triangles under an exponential decay.

    `lr(t) = init_value + (peak_value - init_value) * (1 - x) * decay_rate^t`, with `x` as for `triangular`.

    Args:
        init_value, peak_value, up_steps, down_steps: as for `triangular`.
        decay_rate: the factor for each step, above 0 and at most 1.

    >>> schedule = exp_range(0.0, 1.0, 10, decay_rate=0.9)
    >>> round(float(schedule(10)), 6)
    0.348678

    Reference: as for `triangular`; PyTorch, `CyclicLR(mode="exp_range")`.
    """
    _, triangle = _triangle(step, up_steps, down_steps)
    log = _exact.multiply(_exact.log_one_minus(decay_rate), step.two)
    return blend(peak_value, init_value, _lowered(triangle, _exact.exp(log), -jnp.expm1(log.hi)))
