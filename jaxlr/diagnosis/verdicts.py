"""From statistics to a verdict: additive scores for each verdict, evidence, and the remedy.

Each statistic gives each verdict a score, by straight lines between a few knots; the probability of a verdict is the
softmax of their sums. The knots and scores are in `calibration`, which `scripts/suites/diagnosis_fit.py` writes.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from jaxlr.diagnosis.calibration import Scores

VERDICTS = (
    "healthy",
    "initial-rise",
    "late-rate-too-high",
    "slow",
    "oscillating",
    "diverged",
    "no-progress",
    "overfitting",
    "cannot-tell",
)
"""All names, from the best news on."""

REMEDIES = {
    "healthy": "keep the rate",
    "initial-rise": "the first rate is too high: restart with a rate 3 to 10 times lower, or warm up over the first "
    "tenth of the steps",
    "late-rate-too-high": "the late rate is too high: go on from a late checkpoint (or redo the last third) with a "
    "rate 3 to 10 times lower, or anneal the rate to a hundredth by the end",
    "slow": "the rate is too low: restart with a rate 3 to 10 times higher",
    "oscillating": "the steps overshoot: lower the rate 3 to 10 times, or the momentum, and go on from here",
    "diverged": "restart with a rate 10 times lower; if it diverges within the first steps at a small rate too, check "
    "the data and the loss",
    "no-progress": "run a range test over many decades of rates; if none helps, see whether the model can learn a few "
    "examples by heart (overfit_check)",
    "overfitting": "no question of the rate: stop where the validation loss was lowest, and regularise or add data",
}
"""The table of the third text, and what it leaves out."""

_EXPERIMENTS = {
    frozenset({"healthy", "slow"}): "train the first tenth again at 3 times the rate: if it is below this curve at the "
    "same step, the rate was too low",
    frozenset({"healthy", "late-rate-too-high"}): "train the last tenth again at a tenth of the rate: if the loss "
    "falls, the late rate was too high",
    frozenset({"healthy", "initial-rise"}): "train the first tenth again at a third of the rate: if it ends below this "
    "curve, the first rate was too high",
}
_ANY_EXPERIMENT = (
    "train the first tenth again at a third and at 3 times the rate, and the last tenth again at a tenth of it: "
    "whichever falls below this curve says what was wrong"
)


def probabilities(statistics: Mapping[str, float], calibration: Scores) -> dict[str, float]:
    """Verdict -> probability, from the scores that the statistics give it."""
    scores = {
        verdict: bias
        + sum(
            float(np.interp(statistics[name], calibration.knots[name], values))
            for name, values in calibration.scores[verdict].items()
        )
        for verdict, bias in calibration.bias.items()
    }
    highest = max(scores.values())
    weights = {verdict: float(np.exp(score - highest)) for verdict, score in scores.items()}
    total = sum(weights.values())
    return {verdict: weight / total for verdict, weight in weights.items()}


def experiment(first: str, second: str) -> str:
    """What would tell two verdicts apart."""
    return _EXPERIMENTS.get(frozenset({first, second}), _ANY_EXPERIMENT)
