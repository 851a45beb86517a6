"""From probabilities to a diagnosis, and what needs no probabilities."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from jaxlr.diagnosis import calibration, curve, verdicts

_SURE = 0.5
"""Below this probability of the best verdict, none is given."""

_ABOVE = 1.1
"""A loss that ends above this many times its start diverged."""

_LEARNT_BY_HEART = 0.95
"""Confidence that a training whose loss ends at zero is healthy; the others touch zero and leave it again."""


class Diagnosis(NamedTuple):
    """What a curve shows; see `diagnose`.

    Attributes:
        verdict: one of `VERDICTS`.
        confidence: probability that the verdict is right, from 0 to 1; for `cannot-tell`, of the likeliest verdict.
        evidence: the numbers that speak for it, and where they were seen.
        remedy: what to do.
    """

    verdict: str
    confidence: float
    evidence: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.verdict} ({self.confidence:.0%}): {self.evidence}. Remedy: {self.remedy}."


def fact(given: curve.Cleaned) -> Diagnosis | None:
    """What needs no judgement: divergence, a constant, too few points, a metric that rises like an accuracy."""
    losses = given.losses
    if given.diverged_at is not None:
        where = f"the loss is not finite from point {given.diverged_at + 1} of {given.points} on"
        if len(losses):
            where += f"; the last finite one is {losses[-1]:.3g}, {_times(losses[-1], losses[0])} the first"
        return Diagnosis("diverged", 0.99, where, verdicts.REMEDIES["diverged"])
    low, high, n = float(losses.min()), float(losses.max()), len(losses)
    if high == low:
        return Diagnosis("no-progress", 0.99, f"all {n} losses are {low:.3g}", verdicts.REMEDIES["no-progress"])
    if n < curve.FEWEST:
        return Diagnosis("cannot-tell", 0.0, f"{n} points show no shape", f"log the loss at least {curve.FEWEST} times")
    means = curve.blocks(losses)
    if _looks_like_accuracy(means):
        return Diagnosis(
            "cannot-tell",
            0.0,
            f"the values rise from {means[0]:.3g} to {means[-1]:.3g} and stay between 0 and 1, as an accuracy does",
            "give the loss, not a metric that is to rise; if this is the loss, it diverged",
        )
    return None


def _looks_like_accuracy(means: np.ndarray) -> bool:
    """Between 0 and 1, mostly rising, and slower at the end than at the beginning."""
    if means.min() < 0 or means.max() > 1 or means[-1] <= _ABOVE * means[0]:
        return False
    third = len(means) // 3
    first, last = means[third] - means[0], means[-1] - means[-third - 1]
    return bool(first > 0 and first >= last and means[-1] > 0.9 * means.max())


def _times(last: float, first: float) -> str:
    return f"{last / first:.3g} times" if first > 0 else "after"


def judged(found: curve.Statistics, more: Mapping[str, float], table: calibration.Scores) -> dict[str, float]:
    """The verdicts' probabilities: a loss that ends at zero leaves nothing to gain, any other gets scores."""
    if found.end == 0:
        return {"healthy": _LEARNT_BY_HEART, "oscillating": 1 - _LEARNT_BY_HEART}
    return verdicts.probabilities({**found._asdict(), **more}, table)


def with_overfitting(chances: dict[str, float], validation: dict[str, float]) -> dict[str, float]:
    """The verdicts' probabilities once the validation curve was seen."""
    share = verdicts.probabilities(validation, calibration.VALIDATED)["overfitting"]
    share *= 1 - chances.get("diverged", 0.0) - chances.get("no-progress", 0.0)
    return {**{name: chance * (1 - share) for name, chance in chances.items()}, "overfitting": share}


def concluded(chances: dict[str, float], note: str, evidence_for: Callable[[str], str]) -> Diagnosis:
    """The likeliest verdict; `cannot-tell`, with the experiment that would tell, where it is unlikely."""
    (first, chance), (second, other), *_ = sorted(chances.items(), key=lambda item: -item[1])
    if chance < _SURE:
        words = f"{note}{first} ({chance:.0%}) or {second} ({other:.0%}): {evidence_for(first)}"
        return Diagnosis("cannot-tell", chance, words, verdicts.experiment(first, second))
    return Diagnosis(first, chance, note + evidence_for(first), verdicts.REMEDIES[first])
