"""Reading the loss curve: what it shows, with the evidence and the remedy.

`diagnose` judges one curve, or every setting of a sweep with its neighbours in view. The verdicts:

    healthy             a slide: no change of the rate takes a tenth off the final loss
    initial-rise        the first rate is too high: a lower one, or a warm-up, does better from the start
    late-rate-too-high  steep, then flat early: a lower rate at the end does better
    slow                the rate is too low: a higher one does better
    oscillating         the loss swings, and a lower rate takes the swing away
    diverged            not finite, or above where it began
    no-progress         nothing was learnt
    overfitting         stopping earlier does better on the validation data
    cannot-tell         none of them has a probability of a half; an experiment is named that would tell

How often they are right was measured on trainings whose rate was really changed (`scripts/diagnosis_report.py`, tables
in `notebooks/figures/diagnosis_suite.md`): of 2,384 curves of six tasks that were not tuned on, 69 % got a confidence
of 0.7 or more and 85 % of those were right, 73 and 93 % with the neighbours in view; of 1,436 curves of four more
tasks, judged last, 67 and 94 %, with the neighbours 83 and 94 %. Rare verdicts are the weak point:
`late-rate-too-high` and `oscillating` were seldom recognised in these.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from jaxlr.diagnosis import calibration, logs, settings, validation
from jaxlr.diagnosis.checks import Check, initial_loss_check, overfit_check, probe_lower
from jaxlr.diagnosis.curve import FEWEST, Cleaned, blocks, cleaned, has_natural_zero, statistics
from jaxlr.diagnosis.evidence import evidence
from jaxlr.diagnosis.judgement import Diagnosis, concluded, fact, judged, with_overfitting
from jaxlr.diagnosis.verdicts import VERDICTS

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["VERDICTS", "Check", "Diagnosis", "diagnose", "initial_loss_check", "overfit_check", "probe_lower"]

_UNCALIBRATED = 0.6
"""Most confidence where the loss has no natural zero: those curves were not part of the calibration."""


@overload
def diagnose(losses: xr.Dataset, *, val_losses: None = None, lr: str | None = None) -> xr.Dataset: ...


@overload
def diagnose(losses: Any, *, val_losses: Any = None, lr: Any = None) -> Diagnosis: ...


def diagnose(losses: Any, *, val_losses: Any = None, lr: Any = None) -> Any:
    """What a loss curve shows: verdict, confidence, evidence, remedy.

    The curve is cut into at most 50 blocks, so that neither the number of points nor minibatch noise matters, and
    described by statistics of the logarithm y of the block means: how far and when y fell, its fall `-dy/d ln t` for
    each e-fold of the training, its jitter from block to block, and others. Each gives each verdict a score; with
    s_v their sum for verdict v,

        P(v) = exp(s_v) / sum over w of exp(s_w)

    A result of `sweep` is judged setting by setting with the neighbours in view: what a lower and a higher rate did
    there. A rate that is too low looks healthy on its own, so this is the better judgement.

    Args:
        losses: training losses `[T]`, one for each epoch or step, evenly spaced; or a Keras `History` or its
            dictionary, which may hold `val_loss` and `lr` or `learning_rate` too; or a result of `sweep`. A NaN with a
            finite loss after it is a gap.
        val_losses: validation losses `[V]` over the same training; only with them is overfitting told.
        lr: learning rates `[T]`; with them an annealed rate is taken into account. For a result of `sweep`, the name
            of the hyperparameter that is the rate, where it is not called `learning_rate`, `lr`, `init_value`,
            `peak_value` or `max_value`.

    Returns:
        A `Diagnosis`. For a result of `sweep`, a Dataset with `verdict`, `confidence`, `evidence` and `remedy` over the
        settings, and `seed_verdict` and `seed_confidence` for each seed too.

    Raises:
        TypeError: the losses are no numbers.
        ValueError: fewer than two losses, rates of another length, or a result without a loss over epochs or steps.

    >>> import numpy as np
    >>> t = np.arange(1, 101)
    >>> found = diagnose(0.3 + 2 * np.exp(-t / 300))
    >>> found.verdict, found.confidence > 0.7
    ('slow', True)
    >>> diagnose([2.3, 1.9, 2.5, 40.0, float("nan")]).verdict
    'diverged'

    Reference: the rules of thumb of the deep-learning textbooks for reading a loss curve; the scores were fitted on
    trainings whose rate was changed (`scripts/diagnosis_suite.py`).
    """
    if _is_dataset(losses):
        if val_losses is not None:
            raise ValueError("val_losses must be left out for a result of sweep, which has its own val_loss")
        return settings.diagnosed(losses, lr)
    history = getattr(losses, "history", losses)
    if isinstance(history, Mapping):
        curve = logs.from_history(history)
        val_losses = curve.val_losses if val_losses is None else val_losses
        losses, lr = curve.losses, curve.lr if lr is None else lr
    val = None if val_losses is None else cleaned(val_losses).losses
    return _judged(cleaned(losses, lr), val)


def _is_dataset(losses: Any) -> bool:
    return hasattr(losses, "data_vars") and hasattr(losses, "coords")


def _judged(curve: Cleaned, val: np.ndarray | None) -> Diagnosis:
    known = fact(curve)
    if known is not None:
        return known
    natural = has_natural_zero(curve.losses)
    losses = curve.losses if natural else _shifted(curve.losses)
    found = statistics(losses, curve.lr)
    chances = judged(found, {}, calibration.ALONE)
    seen = None
    if val is not None and len(val) >= FEWEST and has_natural_zero(val):
        seen = validation.statistics(losses, val)
        chances = with_overfitting(chances, seen)
    if not natural:
        chances = {name: min(chance, _UNCALIBRATED) for name, chance in chances.items()}
    note = "" if natural else "losses without a natural zero were judged by their drop; "
    return concluded(chances, note, lambda verdict: evidence(verdict, found, seen))


def _shifted(losses: np.ndarray) -> np.ndarray:
    """With the lowest block at half of the range: such losses have no zero to be compared with."""
    means = blocks(losses)
    span = float(means.max() - means.min())
    return np.asarray(np.maximum(losses - means.min() + span / 2, span / 100))
