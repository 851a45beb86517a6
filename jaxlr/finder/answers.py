"""Which learning rate: the range test read by every method, and one recommendation with its confidence.

`suggest` reads a range test alone. `find_lr` lets it bracket the rate and then decides by short trainings at constant
rates, which is what one wants to know in the end.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np

from jaxlr._types import Optimizer
from jaxlr.finder import probes
from jaxlr.finder.curves import Curves, Spread, by_methods
from jaxlr.tasks import Task

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["FoundRate", "Ranked", "Silence", "find_lr", "rank", "suggest"]

_MARGIN = 4.0
"""The recommendation of a range test lies this factor below the rate of the lowest loss."""

_NEAR = 2.0
"""Two rates within this factor count as the same answer."""

_RUNGS, _PER_DECADE = 6, 4
"""The ladder of the race: rungs to either side of the range test's recommendation, and rungs to a decade."""

_LEVEL = 0.05
"""Rates count in the recommendation when their loss is within this share of the fall from the initial loss."""

_WORTH = 0.1
"""Rates are worth sweeping when their loss is within this share."""

_SHIFTS = 2
"""How often a range or ladder is moved when the answer lies on its edge."""

_RESAMPLES = 200
"""Bootstrap samples of the seeds."""


_SHIFT = 1e4
"""By how much a range is moved."""

_LEAST_POINTS = 10
"""Points that a range test needs."""


class Silence(enum.Enum):
    """Why a finder recommends nothing."""

    SHORT = "the curve is too short: {points} of the {least} points that a range test needs"
    NOT_FINITE = "no loss is finite"
    FLAT = "the loss neither falls nor explodes"
    TOO_LOW = "the lowest loss is at the end of the curve: the rates do not go high enough"
    TOO_HIGH = "the loss explodes at the first rates: they do not start low enough"
    NEVER_FALLS = "the loss never falls before it explodes"
    RACE = "no rate of the race, {low:.2g} to {high:.2g}, lowers the loss by 2 %"


class FoundRate(NamedTuple):
    """A recommended learning rate and what it rests on; see `find_lr` and `suggest`.

    Attributes:
        recommendation: the rate, or None where nothing can be recommended.
        low: lower end of the range worth sweeping, or None.
        high: upper end.
        confidence: share of 200 bootstrap samples of the seeds whose recommendation is within a factor 2 of this
            one; NaN with one seed, 0 without a recommendation.
        reason: why there is no recommendation, or what is to be known of it; empty for nothing.
        suggestions: method -> its suggestions over the seeds.
        curve: the range test.
        race: the short trainings at constant rates, or None where there were none.
        cause: the reason as a member of `Silence` where there is no recommendation, else None.
    """

    recommendation: float | None
    low: float | None
    high: float | None
    confidence: float
    reason: str
    suggestions: dict[str, Spread]
    curve: xr.Dataset
    race: xr.Dataset | None
    cause: Silence | None

    def __str__(self) -> str:
        if self.recommendation is None:
            return f"no recommendation: {self.reason}"
        budget = "" if self.race is None else f" for {self.race.sizes['step']} updates"
        found = f"{self.recommendation:.2g}{budget}, sweep {self.low:.2g} to {self.high:.2g}"
        if np.isfinite(self.confidence):
            found += f"; {self.confidence:.0%} of resampled seeds agree"
        return f"{found}; {self.reason}" if self.reason else found


class Ranked(NamedTuple):
    """A rate's place in a race; see `rank`.

    Attributes:
        rate: the learning rate.
        loss: mean over the seeds of the loss reached, the initial one where that is lower or it diverged.
        confidence: share of the bootstrap samples of the seeds in which it is the best; NaN with one seed.
    """

    rate: float
    loss: float
    confidence: float


def find_lr(
    task: Task,
    optimizer: Optimizer,
    *,
    low: float = 1e-7,
    high: float = 10.0,
    steps: int = 100,
    batch_size: int = 32,
    seeds: int = 8,
    key: jax.Array | None = None,
    devices: int | None = None,
) -> FoundRate:
    """Recommend a learning rate: a range test brackets it, a race of short trainings decides.

    The range test over K seeds gives a first recommendation r, see `suggest`. Then 13 rates from r / 32 to 32 r,
    four to a decade, train side by side for `steps` updates, each with K seeds that share weights and batches.
    A training scores with the lower of its first and last losses on the evaluation batch; with the first one where it
    diverged.
    With e the distance of a rate's mean score from the best, in units of the best one's fall from the initial loss, the
    recommendation is the geometric mean of the rates with the weights max(0, 1 - e / 0.05); the range goes from the
    lowest to the highest rate with e up to 0.1. Where the best is on the edge of the ladder, the ladder moves on, twice
    at most.

    The best rate depends on how long one trains: `steps` near the planned number of updates is the safest.

    Args:
        task: the model and the data.
        optimizer: `learning_rate -> optax.GradientTransformation`, as in a sweep: `optax.sgd` itself is one. Where it
            takes no `learning_rate` but one other keyword without a default, that is the rate.
        low: first rate of the range test; the range is moved by four decades, twice at most: down where the loss
            explodes at once, up where its lowest value is at the end, or where it neither falls nor explodes.
        high: last rate of the range test.
        steps: updates of the range test and of each training of the race.
        batch_size: examples in an update; at most all of them.
        seeds: trainings K of everything, with their own weights and batches.
        key: PRNG key; `jax.random.key(0)` by default.
        devices: how many local devices the race uses; all by default.

    Returns:
        The recommendation, the range worth sweeping, the confidence, every method's suggestions, the curves. The same
        task and optimizer again, with any key and range, compile nothing.

    Raises:
        ValueError: the optimizer needs more than a learning rate, the rates are not positive and rising, or a number is
            too small.
        TypeError: `task` or `optimizer` is of the wrong kind.

    >>> import jax, optax
    >>> from jaxlr import tasks
    >>> model = (lambda key: jax.random.normal(key, (2, 1)), lambda w, x: x @ w)
    >>> task = tasks.regression(model, np.eye(2), np.zeros((2, 1)))
    >>> found = find_lr(task, optax.sgd, steps=20, seeds=2, devices=1)
    >>> 0.1 < found.recommendation < 2, found.low < found.recommendation < found.high
    (True, True)

    Reference: the range test is that of Smith, arXiv:1506.01186; the rest is this library's own, measured by
    `python -m scripts.suites.finder_suite`.
    """
    sizes: dict[str, Any] = {"steps": steps, "batch_size": batch_size, "seeds": seeds, "key": key}
    first = _ranged(task, optimizer, low, high, sizes)
    if first.recommendation is None:
        return first
    ladder = first.recommendation * 10.0 ** (np.arange(-_RUNGS, _RUNGS + 1) / _PER_DECADE)
    run = probes.race(task, optimizer, ladder.tolist(), **sizes, devices=devices)
    for _ in range(_SHIFTS):
        scores = _Scores.of(run)
        at = int(np.argmin(scores.mean))
        if not scores.falls or 0 < at < len(scores.rates) - 1:
            break
        import xarray as xr

        ladder = ladder * 10.0 ** ((1 if at else -1) * len(ladder) / _PER_DECADE)
        more = probes.race(task, optimizer, ladder.tolist(), **sizes, devices=devices)
        run = xr.concat([run, more], "learning_rate", combine_attrs="override").sortby("learning_rate")
    return _raced(first, run)


def suggest(ds: xr.Dataset) -> FoundRate:
    """One recommendation, with a confidence and a range, from a range test alone.

    Let m be the median over the seeds of the rate at which the loss is lowest. The recommendation is m / 4, the
    range m / 40 to m. The evaluation on the fixed batch is read where there is one, else the loss of the batches,
    smoothed over a tenth of the curve.

    Args:
        ds: `range_test(...)`, or a Dataset with `loss (seed, step)` and the coordinate `rate (step)`, and perhaps
            `eval_loss (seed, step)` and `initial_loss (seed)`.

    Returns:
        The recommendation, or None with a reason: the loss never falls by 2 %, the curve has fewer than 10 points, or
        its lowest loss is at the end.

    Raises:
        ValueError: `ds` has no such variables.

    >>> import xarray as xr
    >>> rates = np.geomspace(1e-6, 1, 61)
    >>> loss = np.where(rates < 0.1, 1 / (1 + 50 * rates), 1e6)
    >>> ds = xr.Dataset({"eval_loss": (("seed", "step"), [loss]), "rate": ("step", rates)}).set_coords("rate")
    >>> round(suggest(ds).recommendation, 3), suggest(ds * 0 + 1).reason
    (0.02, 'the loss neither falls nor explodes')

    Reference: this library's own; the margin was chosen on 13 of the 27 combinations of `scripts.suites.finder_suite`.
    """
    curves = Curves.of(ds)
    methods = by_methods(curves)
    lowest = np.array([own.rate or np.nan for own in map(curves.lowest, range(len(curves.losses)))])
    cause = _no_answer(curves, lowest)
    if cause is not None:
        reason = cause.value.format(points=len(curves.rates), least=_LEAST_POINTS)
        return FoundRate(None, None, None, 0.0, reason, methods, ds, None, cause)
    rate = _median(lowest) / _MARGIN
    samples = [_median(lowest[chosen]) / _MARGIN for chosen in _resampled(len(lowest))]
    return FoundRate(rate, rate / 10, rate * _MARGIN, _agreement(samples, rate), "", methods, ds, None, None)


def rank(ds: xr.Dataset) -> list[Ranked]:
    """The rates of a race, the best first, each with the confidence that it is the best.

    A training counts with the lower of its first and last losses on the evaluation batch; with the first one where it
    diverged. The confidence is the share of 200 bootstrap samples of the seeds whose mean is lowest at the rate. The
    seeds share their weights and batches between the rates, so a sample compares like with like.

    Args:
        ds: what `race` returned.

    Returns:
        A place for each rate.

    Raises:
        ValueError: `ds` is no race.

    >>> import xarray as xr
    >>> dims = ("learning_rate", "seed")
    >>> ds = xr.Dataset({"eval_loss": (dims, [[0.5, 0.4], [0.1, 0.45]]), "initial_loss": (dims, np.ones((2, 2)))})
    >>> [(place.rate, round(place.loss, 3)) for place in rank(ds.assign_coords(learning_rate=[0.1, 0.3]))]
    [(0.3, 0.275), (0.1, 0.45)]

    Reference: Efron, "Bootstrap methods: another look at the jackknife", Annals of Statistics 7 (1979).
    """
    for name in ("eval_loss", "initial_loss"):
        if name not in ds or set(ds[name].dims) != {"learning_rate", "seed"} or "learning_rate" not in ds.coords:
            held = ", ".join(map(str, ds.variables)) or "nothing"
            raise ValueError(f"ds must have {name} (learning_rate, seed), as a race gives it; got {held}")
    scores = _Scores.of(ds)
    means = np.array([scores.chosen(chosen).mean for chosen in _resampled(len(scores.initial))])
    wins = np.bincount(means.argmin(axis=1), minlength=len(scores.rates)) / len(means) if len(means) else np.nan
    shares = np.broadcast_to(wins, scores.rates.shape)
    order = np.argsort(scores.mean, kind="stable")
    return [Ranked(float(scores.rates[i]), float(scores.mean[i]), float(shares[i])) for i in order]


def _ranged(task: Task, optimizer: Optimizer, low: float, high: float, sizes: dict[str, Any]) -> FoundRate:
    """The recommendation of a range test, moved up or down while the answer lies outside."""
    for _ in range(_SHIFTS + 1):
        found = suggest(probes.range_test(task, optimizer, low=low, high=high, **sizes))
        if found.cause in (Silence.TOO_LOW, Silence.FLAT):
            low, high = low * _SHIFT, high * _SHIFT
        elif found.cause is Silence.TOO_HIGH:
            low, high = low / _SHIFT, high / _SHIFT
        else:
            break
    return found


def _no_answer(curves: Curves, lowest: np.ndarray) -> Silence | None:
    """Why a range test says nothing; None where it does."""
    points = len(curves.rates)
    if points < _LEAST_POINTS:
        return Silence.SHORT
    if not np.isfinite(curves.initial).any() or not np.isfinite(curves.batches).any():
        return Silence.NOT_FINITE
    if 2 * np.isfinite(lowest).sum() < len(lowest):
        first = np.median(curves.first)
        if first == points:
            return Silence.FLAT
        # A loss that explodes before a tenth of the curve had no rate at which it could fall.
        return Silence.TOO_HIGH if first < points / 10 else Silence.NEVER_FALLS
    return Silence.TOO_LOW if np.nanmedian(lowest) >= curves.rates[-2] else None


class _Scores(NamedTuple):
    """The race as numbers: how far each training got.

    Attributes:
        rates: `[rates]`, rising.
        each: loss after the race, at most the initial one, `[rates, seeds]`.
        initial: loss before it, `[seeds]`.
    """

    rates: np.ndarray
    each: np.ndarray
    initial: np.ndarray

    @classmethod
    def of(cls, run: xr.Dataset) -> _Scores:
        last, first = (
            run[name].transpose("learning_rate", "seed").values.astype(np.float64)
            for name in ("eval_loss", "initial_loss")
        )
        initial = np.nanmean(first, axis=0)
        reached = np.where(np.isfinite(last), np.minimum(last, initial), initial)
        return cls(run["learning_rate"].values, reached, initial)

    @property
    def mean(self) -> np.ndarray:
        return np.asarray(self.each.mean(axis=1))

    @property
    def falls(self) -> bool:
        return bool(probes.falls(self.initial.mean(), self.mean.min()))

    @property
    def excess(self) -> np.ndarray:
        """How far each rate is behind the best, as a share of the best one's fall from the initial loss."""
        return np.asarray((self.mean - self.mean.min()) / (self.initial.mean() - self.mean.min()))

    def within(self, share: float) -> tuple[float, float]:
        """The lowest and the highest rate that are behind by no more than a share."""
        good = self.rates[self.excess <= share]
        return float(good[0]), float(good[-1])

    def middle(self) -> float:
        """The geometric mean of the good rates, the better ones weighing more: no rate tips the answer alone."""
        weights = np.maximum(0, 1 - self.excess / _LEVEL)
        return float(np.exp(np.average(np.log(self.rates), weights=weights)))

    def chosen(self, seeds: np.ndarray) -> _Scores:
        return self._replace(each=self.each[:, seeds], initial=self.initial[seeds])


def _raced(first: FoundRate, run: xr.Dataset) -> FoundRate:
    """The race's recommendation in the place of the range test's."""
    scores = _Scores.of(run)
    if not scores.falls:
        reason = Silence.RACE.value.format(low=scores.rates[0], high=scores.rates[-1])
        return FoundRate(None, None, None, 0.0, reason, first.suggestions, first.curve, run, Silence.RACE)
    rate, (low, high) = scores.middle(), scores.within(_WORTH)
    rung = 10 ** (1 / _PER_DECADE)
    samples = [scores.chosen(chosen).middle() for chosen in _resampled(len(scores.initial))]
    best = int(np.argmin(scores.mean))
    reason = "the best rate is on the edge of what was tried" if best in (0, len(scores.rates) - 1) else ""
    return first._replace(
        recommendation=rate,
        low=min(low, rate / rung),
        high=max(high, rate * rung),
        confidence=_agreement(samples, rate),
        reason=reason,
        race=run,
    )


def _median(rates: np.ndarray) -> float:
    """Median in log rate of those that are there."""
    there = rates[np.isfinite(rates)]
    return float(10 ** np.median(np.log10(there))) if len(there) else float("nan")


def _resampled(seeds: int) -> list[np.ndarray]:
    """Bootstrap samples of the seeds, the same every time."""
    rng = np.random.default_rng(0)
    return list(rng.integers(0, seeds, (_RESAMPLES, seeds))) if seeds > 1 else []


def _agreement(samples: Sequence[float], rate: float) -> float:
    if not samples:
        return float("nan")
    return float(np.mean(np.abs(np.log(np.array(samples) / rate)) <= np.log(_NEAR)))
