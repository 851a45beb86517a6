"""What the settings beside one say of it: the same training at a lower and at a higher rate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jaxlr.diagnosis.curve import Statistics

REACH = 12.0
"""Rates up to this many times higher or lower are neighbours: those of a grid of decades are."""

_LEARNT = 0.05
"""Losses below this share of the initial one are compared on the scale of that share."""

_NOTHING = 1e-12
"""Losses below this share of the initial one are zero."""


def beside(own: Sequence[Statistics | None], rates: np.ndarray, initial: float) -> list[dict[str, float]]:
    """For each of some trainings that differ in the rate alone, what its neighbours add to its statistics.

    `gain_higher` and `gain_lower` are the largest shares of the loss that a neighbour's higher or lower rate takes
    away, on the scale of at least a twentieth of the initial loss, from -1 to 1 (0 without such a neighbour, and then
    `has_higher` or `has_lower` is 0); `ratio_higher` and `ratio_lower` are the logarithms of this end over the best
    one there; `above_initial` is log(first block / initial loss), `peak_above_initial` the same of the highest block;
    `calmer_lower` is how much smaller the jitter is at the lower rate with the best end.

    Args:
        own: the statistics; None for a training that diverged.
        rates: their rates `[R]`.
        initial: the loss before training.
    """
    ends = np.array([np.inf if s is None else s.end for s in own])
    found = []
    for s, rate, end in zip(own, rates, ends, strict=True):
        row = {}
        for side, there in (
            ("higher", (rates > rate) & (rates <= rate * REACH)),
            ("lower", (rates < rate) & (rates >= rate / REACH)),
        ):
            best = int(np.argmin(np.where(there, ends, np.inf))) if there.any() else -1
            known = best >= 0 and bool(there[best])
            row[f"has_{side}"] = float(there.any())
            row[f"gain_{side}"] = _gain(end, ends[best], initial) if known else -1.0 * there.any()
            row[f"ratio_{side}"] = _ratio(end, ends[best], initial) if known else -3.0 * there.any()
            if side == "lower":
                other = own[best] if known else None
                row["calmer_lower"] = 0.0 if s is None or other is None else s.jitter - other.jitter
        row["above_initial"] = 0.0 if s is None else float(np.log(s.start / initial))
        row["peak_above_initial"] = 0.0 if s is None else float(np.log(s.start / initial) + s.rise)
        found.append(row)
    return found


def _gain(before: float, after: float, initial: float) -> float:
    if not np.isfinite(after):
        return -1.0
    if not np.isfinite(before):
        return 1.0
    return float(np.clip((before - after) / max(before, _LEARNT * initial), -1, 1))


def _ratio(before: float, after: float, initial: float) -> float:
    if not np.isfinite(after):
        return -3.0
    if not np.isfinite(before):
        return 3.0
    least = _NOTHING * initial
    return float(np.clip(np.log(max(before, least)) - np.log(max(after, least)), -3, 3))
