"""Statistics of one loss curve that do not change with its scale or its number of points."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

BLOCKS = 50
"""A curve is judged by the means of this many blocks: they average noise, and the number of points drops out."""

FEWEST = 8
"""Shorter curves show no shape."""

_CALM = 1e-3
"""Least jitter that is told from none."""

_NOISY = 4
"""Points in a block from which their noise can be told from the jitter of the blocks."""

_TINY = 1e-3
"""Losses below this share of the start are taken for this share: logarithms of nothing mean nothing."""


class Cleaned(NamedTuple):
    """A curve that can be judged.

    Attributes:
        losses: the finite losses `[T]`, without gaps, up to where it ended or diverged.
        lr: the learning rates at them `[T]`, or None.
        diverged_at: the position in the given curve from which on nothing is finite, or None.
        points: number of points that were given.
    """

    losses: np.ndarray
    lr: np.ndarray | None
    diverged_at: int | None
    points: int


def cleaned(losses: Any, lr: Any = None) -> Cleaned:
    """Check a curve, leave out its gaps and cut it where it diverged.

    A value that is not finite is a gap when a finite one follows, and divergence when none does.

    Raises:
        TypeError: the losses or rates are no numbers.
        ValueError: they are not one curve of at least two points, or of different lengths.
    """
    values = numbers("losses", losses)
    rates = None if lr is None else numbers("lr", lr)
    if rates is not None and len(rates) != len(values):
        raise ValueError(f"lr must have one rate for each of the {len(values)} losses, got {len(rates)}")
    finite = np.isfinite(values)
    ended = int(np.flatnonzero(finite)[-1]) + 1 if finite.any() else 0
    kept = values[finite]
    if rates is not None:
        rates = rates[finite]
        known = np.isfinite(rates) & (rates >= 0)
        rates = rates if known.all() and rates.size and rates.max() > 0 else None
    return Cleaned(kept, rates, ended if ended < len(values) else None, len(values))


def numbers(name: str, values: Any) -> np.ndarray:
    """One curve of at least two points as float64."""
    try:
        array = np.asarray(values)
        array = array if array.dtype.kind in "fiu" else array.astype(float)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} must be a sequence of numbers, got {values!r:.60}") from error
    if array.ndim != 1 or len(array) < 2:
        raise ValueError(f"{name} must be one curve of at least 2 numbers, got the shape {array.shape}")
    return array.astype(float)


def blocks(values: np.ndarray) -> np.ndarray:
    """Means of at most `BLOCKS` blocks of equal length."""
    if len(values) <= BLOCKS:
        return values
    # Blocks may share a point: counted in fiftieths of a point, a curve of 51 points is evenly spaced too. Each block
    # is summed by itself: differences of running sums would lose all that follows a peak 1e16 times as high.
    edges = np.arange(BLOCKS + 1) * len(values)
    cuts = np.union1d(np.arange(len(values)) * BLOCKS, edges)
    pieces = values[cuts[:-1] // BLOCKS] * np.diff(cuts)
    return np.add.reduceat(pieces, np.searchsorted(cuts, edges[:-1])) / len(values)


def has_natural_zero(losses: np.ndarray) -> bool:
    """Whether they start above zero and do not go below it, so that their ratios mean something."""
    return bool(losses[0] > 0 and losses.min() >= 0)


class Statistics(NamedTuple):
    """What is read off a curve; y is the logarithm of its block means, u the share of the training from 0 to 1.

    Attributes:
        start: the first block mean.
        end: the mean of the last twentieth of the blocks.
        drop: y at the start minus y at the end.
        rise: the highest y minus y at the start.
        first: fall of y in the first 3 % of the training.
        early: fall of y in the first 10 %.
        fall_early: fall of y for each e-fold of the accumulated rate, between a fortieth and a ninth of it.
        fall_middle: the same between a ninth and a third.
        fall_late: the same over the last two thirds.
        levelling: what the last quarter would have fallen at the pace of `fall_late`, minus what it fell.
        signal: fall of y over the second half by a straight line, in units of `jitter`; signed log(1 + size).
        jitter: log10 of the deviation of y from block to block over the second half, at least 0.1 %, without what the
            noise inside the blocks explains.
        ups: share of rising steps among the blocks of the second half.
        alternation: lag-1 correlation of those steps; -0.5 for independent noise, -1 for a regular zigzag.
        t90: the share of the training after which nine tenths of the drop had been reached.
        above_best: y at the end minus the lowest y.
    """

    start: float
    end: float
    drop: float
    rise: float
    first: float
    early: float
    fall_early: float
    fall_middle: float
    fall_late: float
    levelling: float
    signal: float
    jitter: float
    ups: float
    alternation: float
    t90: float
    above_best: float


def statistics(losses: np.ndarray, lr: np.ndarray | None = None) -> Statistics:
    """The statistics of a cleaned curve of losses that has a natural zero.

    The time is the accumulated rate where the rates are known: three times the rate then is three times the time.
    """
    means = blocks(losses)
    n = len(means)
    u = (np.arange(n) + 0.5) / n
    rates = np.ones(n) if lr is None else np.maximum(blocks(lr), 1e-9 * lr.max())
    time = np.cumsum(rates) - rates / 2
    time = time / time[-1]
    last = max(n // 20, 2)
    start, end = float(means[0]), float(means[-last:].mean())
    y = np.log(np.maximum(means, _TINY * start))
    y_end = np.log(max(end, _TINY * start))
    late = _fall(time, y, 1 / 3, 1.0)
    middle = _fall(time, y, 1 / 9, 1 / 3, late)
    tail = -_slope(u[u >= 0.75], y[u >= 0.75]) / 4
    half = y[u >= 0.5]
    jitter = _jitter(half, _noise(losses, _TINY * start))
    steps = np.diff(half)
    moved = steps - steps.mean()
    falling = -_slope(np.arange(len(half), dtype=float), half) * len(half) / jitter
    low = min(y_end, float(y.min()))
    reached = np.flatnonzero(y <= y[0] - 0.9 * (y[0] - low))
    return Statistics(
        start=start,
        end=end,
        drop=float(y[0] - y_end),
        rise=float(np.log(means.max()) - np.log(start)),
        first=float(y[0] - np.interp(0.03, u, y)),
        early=float(y[0] - np.interp(0.1, u, y)),
        fall_early=_fall(time, y, 1 / 40, 1 / 9, middle),
        fall_middle=middle,
        fall_late=late,
        levelling=late * np.log(time[-1] / time[u >= 0.75][0]) - tail,
        signal=float(np.sign(falling) * np.log1p(abs(falling))),
        jitter=float(np.log10(jitter)),
        ups=float((steps > 0).mean()),
        alternation=float((moved[1:] * moved[:-1]).sum() / max((moved**2).sum(), 1e-12)),
        t90=float(u[reached[0]]) if len(reached) else 1.0,
        above_best=y_end - low,
    )


def _slope(x: np.ndarray, y: np.ndarray) -> float:
    """Of the least-squares line."""
    x = x - x.mean()
    size = float((x**2).sum())
    return float((x * (y - y.mean())).sum() / size) if size > 1e-12 else 0.0


def _fall(time: np.ndarray, y: np.ndarray, low: float, high: float, otherwise: float = 0.0) -> float:
    """Fall of `y` for each e-fold of `time` between two shares of it."""
    here = (time >= low) & (time <= high)
    return -_slope(np.log(time[here]), y[here]) if here.sum() >= 3 else otherwise


def _jitter(y: np.ndarray, noise: float) -> float:
    """Deviation of the values from their neighbours', by first differences without their mean, beyond the noise."""
    steps = np.diff(y)
    size = float(np.mean((steps - steps.mean()) ** 2)) / 2
    return float(max(np.sqrt(max(size - noise**2, 0.0)), _CALM))


def _noise(losses: np.ndarray, least: float) -> float:
    """Deviation of a block's mean by the noise of the points in it, relative to the mean over the second half."""
    half = losses[len(losses) // 2 :]
    each = len(losses) / BLOCKS
    if each < _NOISY:
        return 0.0
    return float(np.sqrt(np.mean(np.diff(half / max(half.mean(), least)) ** 2) / 2 / each))
