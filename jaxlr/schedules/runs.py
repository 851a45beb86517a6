"""Whole runs: warm-up, a stable phase, and an end."""

from __future__ import annotations

from typing import Any

from jax.tree_util import Partial

from ._arguments import Positive, Rate, Shape, Steps
from ._schedule import alias
from .compose import chain, cooldown, join, offset, repeat, warmup
from .cosine import cosine_decay
from .decay import constant
from .exponential import exponential_decay


@alias
def wsd(
    peak_value: Rate,
    warmup_steps: Steps,
    stable_steps: Steps,
    decay_steps: Steps,
    init_value: Rate = 0.0,
    end_value: Rate = 0.0,
    *,
    shape: Shape = "linear",
) -> Partial:
    """Warm-up, stable, decay.

    `lr(t) = warmup(cooldown(constant(peak_value), stable_steps, decay_steps, end_value), warmup_steps, init_value)`

    Args:
        peak_value: the rate of the stable phase.
        warmup_steps: steps from `init_value` up to it.
        stable_steps: steps at it.
        decay_steps: steps down to `end_value`.
        init_value: the rate at step 0.
        end_value: the rate at the end.
        shape: how it falls, see `cooldown`: "linear", "cosine", "1-sqrt", "1-square" or "exponential".

    >>> schedule = wsd(1.0, 10, 80, 10, shape="1-sqrt")
    >>> [float(schedule(t)) for t in (5, 50, 100)]
    [0.5, 1.0, 0.0]

    Reference: Hu et al., "MiniCPM", arXiv:2404.06395; Hägele et al., arXiv:2405.18392 for "1-sqrt".
    """
    stable = cooldown(constant(peak_value), stable_steps, decay_steps, end_value, shape=shape)
    return warmup(stable, warmup_steps, init_value)


@alias
def trapezoid(peak_value: Rate, warmup_steps: Steps, stable_steps: Steps, decay_steps: Steps) -> Partial:
    """Up from zero, flat, and down to zero, in straight lines: `wsd` with its defaults.

    `lr(t) = peak_value * min(t / warmup_steps, 1, (warmup_steps + stable_steps + decay_steps - t) / decay_steps)`

    Args:
        peak_value: the rate of the flat phase.
        warmup_steps: steps up.
        stable_steps: steps at the peak.
        decay_steps: steps down.

    >>> schedule = trapezoid(1.0, 10, 80, 10)
    >>> [float(schedule(t)) for t in (5, 50, 95)]
    [0.5, 1.0, 0.5]

    Reference: Xing et al., "A Walk with SGD", arXiv:1802.08770.
    """
    return wsd(peak_value, warmup_steps, stable_steps, decay_steps)


@alias
def knee(peak_value: Rate, warmup_steps: Steps, explore_steps: Steps, decay_steps: Steps) -> Partial:
    """Explore at a high rate, then exploit: warm-up, flat, linear to zero; a `trapezoid` by another name.

    `lr(t) = peak_value * min(t / warmup_steps, 1)` for `t < warmup_steps + explore_steps`, then
    `peak_value * (1 - (t - warmup_steps - explore_steps) / decay_steps)`

    Args:
        peak_value: the rate of the exploration.
        warmup_steps: steps up to it.
        explore_steps: steps at it, about half of the run.
        decay_steps: steps down to zero.

    >>> schedule = knee(1.0, 0, 50, 50)
    >>> [float(schedule(t)) for t in (0, 49, 75)]
    [1.0, 1.0, 0.5]

    Reference: Iyer et al., "Wide-minima Density Hypothesis and the Explore-Exploit Learning Rate Schedule",
    arXiv:2003.03977.
    """
    return wsd(peak_value, warmup_steps, explore_steps, decay_steps)


@alias
def tri_stage(
    peak_value: Positive,
    warmup_steps: Steps,
    hold_steps: Steps,
    decay_steps: Steps,
    init_value: Rate = 0.0,
    end_value: Positive | None = None,
) -> Partial:
    """Linear up, flat, exponential down.

    `lr(t) = warmup(join([constant(peak_value), exponential_decay(peak_value, decay_steps, end_value / peak_value,
    end_value=end_value)], [hold_steps]), warmup_steps, init_value)`

    Args:
        peak_value: the rate of the flat phase.
        warmup_steps: steps up to it.
        hold_steps: steps at it.
        decay_steps: steps down to `end_value`.
        init_value: the rate at step 0.
        end_value: the rate at the end, above zero; None: a hundredth of the peak.

    >>> schedule = tri_stage(1.0, 10, 80, 10)
    >>> [round(float(schedule(t)), 6) for t in (5, 50, 95, 100)]
    [0.5, 1.0, 0.1, 0.01]

    Reference: Park et al., "SpecAugment", arXiv:1904.08779; fairseq, `tri_stage`.
    """
    end = peak_value * 0.01 if end_value is None else end_value
    fall = exponential_decay(peak_value, decay_steps, end / peak_value, end_value=end)
    return warmup(join([constant(peak_value), fall], [hold_steps]), warmup_steps, init_value)


@alias
def infinite(
    peak_value: Rate,
    constant_value: Positive,
    warmup_steps: Steps,
    cooldown_steps: Steps,
    constant_steps: Steps,
    anneal_steps: Steps,
    init_value: Rate = 0.0,
    end_value: Positive | None = None,
) -> Partial:
    """Up, along half a cosine wave to a constant rate that may last for ever, and an exponential end.

    `lr(t) = warmup(chain(cosine_decay(peak_value, cooldown_steps, constant_value), offset(exponential_decay(1,
    anneal_steps, r, end_value=r), -(cooldown_steps + constant_steps))), warmup_steps, init_value)`, where `r` is
    `end_value / constant_value`

    Args:
        peak_value: the highest rate.
        constant_value: the rate of the constant phase.
        warmup_steps: steps up to the peak.
        cooldown_steps: steps down to the constant rate.
        constant_steps: steps at it; training may go on from any of them.
        anneal_steps: steps down to `end_value`.
        init_value: the rate at step 0.
        end_value: the rate at the end, above zero; None: a hundredth of the constant one.

    >>> schedule = infinite(1.0, 0.5, 10, 40, 40, 10)
    >>> [round(float(schedule(t)), 6) for t in (5, 10, 30, 60, 90, 95, 100)]
    [0.5, 1.0, 0.75, 0.5, 0.5, 0.05, 0.005]

    Reference: Ibrahim et al., "Simple and Scalable Strategies to Continually Pre-train Large Language Models",
    arXiv:2403.08763.
    """
    fall = 0.01 if end_value is None else end_value / constant_value
    down = cosine_decay(peak_value, cooldown_steps, constant_value)
    before: Any = cooldown_steps
    anneal = offset(exponential_decay(1.0, anneal_steps, fall, end_value=fall), -(before + constant_steps))
    return warmup(chain(down, anneal), warmup_steps, init_value)


@alias
def wsd_s(
    peak_value: Rate,
    warmup_steps: Steps,
    stable_steps: Steps,
    decay_steps: Steps,
    end_value: Rate = 0.0,
    *,
    shape: Shape = "linear",
) -> Partial:
    """Warm-up once, then stable and decay again and again: each decay ends in a model that the next phase goes on from.

    `lr(t) = warmup(repeat(cooldown(constant(peak_value), stable_steps, decay_steps, end_value), stable_steps +
    decay_steps), warmup_steps)`

    Args:
        peak_value: the rate of the stable phases.
        warmup_steps: steps up to it from zero.
        stable_steps: steps at it, each time.
        decay_steps: steps down to `end_value`, each time.
        end_value: the rate that each decay comes down to.
        shape: how it falls, see `cooldown`.

    >>> schedule = wsd_s(1.0, 10, 80, 20)
    >>> [float(schedule(t)) for t in (5, 50, 100, 110, 200)]
    [0.5, 1.0, 0.5, 1.0, 0.5]

    Reference: Wen et al., "Understanding Warmup-Stable-Decay Learning Rates", arXiv:2410.05192.
    """
    stable = cooldown(constant(peak_value), stable_steps, decay_steps, end_value, shape=shape)
    start: Any = stable_steps
    return warmup(repeat(stable, start + decay_steps), warmup_steps)
