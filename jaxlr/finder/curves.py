"""A range test's curves as arrays, and what every method suggests on them.

This library's own methods read the evaluation on the fixed batch, one curve for each seed; the published ones read
the loss of the batches, as they do at home.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxlr.finder import probes, published
from jaxlr.finder.published import Suggestion

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Curves", "Spread", "by_methods"]

_SAFETY = 4.0
"""Factor below the divergence edge."""


class Spread(NamedTuple):
    """One method's suggestions over the seeds.

    Attributes:
        rate: their median; None where fewer than half of the seeds have one.
        low: their 10 % quantile, None likewise.
        high: their 90 % quantile.
        seeds: how many seeds have a suggestion.
        reason: why there is none; empty where there is one.
    """

    rate: float | None
    low: float | None
    high: float | None
    seeds: int
    reason: str


class Curves(NamedTuple):
    """A range test as arrays.

    Attributes:
        rates: `[steps]`.
        batches: raw losses of the batches `[seeds, steps]`; the evaluations where those are all there is.
        losses: what this library's own methods read, NaN where it has exploded, `[seeds, steps]`.
        initial: losses before the first update `[seeds]`.
        first: position of the first explosion `[seeds]`, the number of steps for never.
    """

    rates: np.ndarray
    batches: np.ndarray
    losses: np.ndarray
    initial: np.ndarray
    first: np.ndarray

    @classmethod
    def of(cls, ds: xr.Dataset) -> Curves:
        """Read a range test's Dataset.

        Raises:
            ValueError: it has no rates that rise, or neither `loss` nor `eval_loss` by seed and step.
        """
        found = {name for name in ("loss", "eval_loss") if name in ds and set(ds[name].dims) == {"seed", "step"}}
        if not found or "rate" not in ds or ds["rate"].dims != ("step",):
            held = ", ".join(f"{name} {ds[name].dims}" for name in ds.variables)
            raise ValueError(f"ds must have rate (step) and loss or eval_loss (seed, step), got {held}")
        rates = ds["rate"].values.astype(np.float64)
        if not len(rates) or not np.isfinite(rates).all() or rates[0] <= 0 or (np.diff(rates) <= 0).any():
            raise ValueError(f"rate must hold positive rates that rise from step to step, got {rates}")
        values = {name: ds[name].transpose("seed", "step").values.astype(np.float64) for name in found}
        batches = values["loss" if "loss" in found else "eval_loss"]
        losses = values["eval_loss"] if "eval_loss" in found else _smoothed(batches)
        initial = ds["initial_loss"].values.astype(np.float64) if "initial_loss" in ds else losses[:, 0]
        gone = np.array([probes.exploded(*curve) for curve in zip(losses, initial, strict=True)])
        first = np.where(gone.any(axis=1), gone.argmax(axis=1), len(rates))
        return cls(rates, batches, np.where(gone, np.nan, losses), initial, first)

    def edge(self, seed: int) -> Suggestion:
        """The rate at which a seed explodes."""
        at = self.first[seed]
        if at == len(self.rates):
            return Suggestion(None, "the curve never explodes")
        if at == 0:
            return Suggestion(None, "the loss explodes with the first rate: the edge lies below")
        return Suggestion(float(self.rates[at]))

    def lowest(self, seed: int) -> Suggestion:
        """The rate of the lowest loss, where the loss has fallen by then."""
        losses = self.losses[seed]
        if not np.isfinite(losses).any():
            return Suggestion(None, "the loss explodes with every rate")
        at = int(np.nanargmin(losses))
        if not probes.falls(self.initial[seed], losses[at]):
            return Suggestion(None, "the loss never falls")
        return Suggestion(float(self.rates[at]))

    def steepest(self, seed: int) -> Suggestion:
        """The rate of the steepest fall by log rate, left of the lowest loss, the curve smoothed over a tenth."""
        lowest = self.lowest(seed)
        if lowest.rate is None:
            return lowest
        usable = (self.rates <= lowest.rate) & np.isfinite(self.losses[seed])
        if usable.sum() < 3:
            return Suggestion(None, "fewer than 3 points left of the lowest loss")
        rates, losses = self.rates[usable], _smoothed(self.losses[None, seed, usable])[0]
        return Suggestion(float(rates[np.argmin(np.gradient(losses, np.log(rates)))]))


def _smoothed(losses: np.ndarray) -> np.ndarray:
    """Centred means over a tenth of the points, along the last axis, of those that are finite; NaN where one is not."""
    there = np.isfinite(losses)
    reach = losses.shape[-1] // 20

    def sums(values: np.ndarray) -> np.ndarray:
        # Each window by itself: differences of running sums would lose all that follows a peak 1e16 times as high.
        padded = np.pad(values, ((0, 0), (reach, reach)))
        return np.asarray(np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=1).sum(axis=2))

    return np.where(there, sums(np.where(there, losses, 0.0)) / np.maximum(sums(there.astype(float)), 1), np.nan)


def _divided(by: float, found: Suggestion) -> Suggestion:
    return found if found.rate is None else Suggestion(found.rate / by)


def by_methods(curves: Curves) -> dict[str, Spread]:
    """Every method's suggestions over the seeds: this library's own, then the published ones.

    >>> rates = np.geomspace(1e-7, 10, 100)
    >>> loss = 1 / (1 + 100 * rates)[None]
    >>> found = by_methods(Curves(rates, loss, loss, loss[:, 0], np.array([100])))
    >>> round(found["minimum_over_10"].rate, 3), found["edge"].reason
    (1.0, 'the curve never explodes')
    """
    seeds = range(len(curves.losses))
    found = {
        "edge": [curves.edge(k) for k in seeds],
        "edge_over_4": [_divided(_SAFETY, curves.edge(k)) for k in seeds],
        "minimum_over_10": [_divided(10, curves.lowest(k)) for k in seeds],
        "steepest": [curves.steepest(k) for k in seeds],
    }
    for name, method in published.PUBLISHED.items():
        found[name] = [method(curves.rates, curves.batches[k]) for k in seeds]
    return {name: _spread(each) for name, each in found.items()}


def _spread(found: Sequence[Suggestion]) -> Spread:
    rates = [one.rate for one in found if one.rate is not None]
    if 2 * len(rates) < len(found) or not rates:
        reasons = [one.reason for one in found if one.rate is None]
        return Spread(None, None, None, len(rates), max(set(reasons), key=reasons.count))
    low, middle, high = (float(10**q) for q in np.quantile(np.log10(rates), (0.1, 0.5, 0.9)))
    return Spread(middle, low, high, len(rates), "")
