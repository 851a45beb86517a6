"""The Keras tutorial's claims as statistics of a study's curves, each with a threshold, judged seed by seed.

Thresholds were set on runs of real Keras 2.3.1, where each statistic was also computed: 12 seeds of every setting
(`keras` of a claim is how many of them met it). "Late" is the last quarter of the run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxlr import schedules

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["CLAIMS", "Claim", "Verdict", "judge"]

KERAS_SEEDS = 12
_HOLDS = 0.9
"""A claim holds when at least this share of the seeds meets its statistic."""


class Claim(NamedTuple):
    """A claim of the text.

    Attributes:
        number: its place in the text.
        study: the study whose curves it is judged on.
        text: what the text says.
        statistic: what is measured, and the threshold.
        met: Dataset of the study -> whether each seed meets it, `[S]`; one value where no seed plays a part.
        keras: how many of 12 seeds of real Keras meet it; None where no seed plays a part.
    """

    number: str
    study: str
    text: str
    statistic: str
    met: Callable[[xr.Dataset], np.ndarray]
    keras: int | None


class Verdict(NamedTuple):
    """A claim judged on a study: how many of the seeds meet it."""

    claim: Claim
    met: int
    seeds: int

    @property
    def holds(self) -> bool:
        return self.met >= _HOLDS * self.seeds

    @property
    def holds_in_keras(self) -> bool:
        return self.claim.keras is None or self.claim.keras >= _HOLDS * KERAS_SEEDS


def judge(study: str, ds: xr.Dataset) -> list[Verdict]:
    """Every claim about a study, judged on its curves.

    Args:
        study: the study's name.
        ds: its result.
    """
    verdicts = []
    for claim in CLAIMS:
        if claim.study == study:
            met = np.atleast_1d(claim.met(ds))
            verdicts.append(Verdict(claim, int(met.sum()), met.size))
    return verdicts


def _at(ds: xr.Dataset, metric: str, **setting: float | str) -> np.ndarray:
    """A metric's curves of one setting, `[S, E]`."""
    return ds[metric].sel(setting).transpose("seed", "epoch").values


def _final(ds: xr.Dataset, metric: str = "accuracy", **setting: float | str) -> np.ndarray:
    return _at(ds, metric, **setting)[:, -1]


def _late(curves: np.ndarray) -> np.ndarray:
    return curves[:, -max(curves.shape[1] // 4, 1) :]


def _wobble(ds: xr.Dataset, metric: str, **setting: float | str) -> np.ndarray:
    """Standard deviation over the late epochs, `[S]`."""
    return np.asarray(_late(_at(ds, metric, **setting)).std(axis=1))


def _reaches(curves: np.ndarray, level: float) -> np.ndarray:
    """First epoch (from 1) at which each curve is at least `level`, infinity for never."""
    there = curves >= level
    return np.where(there.any(axis=1), there.argmax(axis=1) + 1.0, np.inf)


def _epoch(curves: np.ndarray, epoch: int) -> np.ndarray:
    """Values at an epoch of the text's 200, or at the same share of a shorter or longer run."""
    return curves[:, max(round(epoch / 200 * curves.shape[1]) - 1, 0)]


def _oscillates(ds: xr.Dataset) -> np.ndarray:
    wild, calm = (_wobble(ds, "val_accuracy", learning_rate=rate) for rate in (1.0, 0.1))
    return (wild >= 0.032) & (wild > calm)


def _learns_nothing(rate: float) -> Callable[[xr.Dataset], np.ndarray]:
    def met(ds: xr.Dataset) -> np.ndarray:
        curves = _at(ds, "accuracy", learning_rate=rate)
        return np.asarray(np.abs(curves[:, -1] - curves[:, 0]) <= 0.035)

    return met


def _learn_little(ds: xr.Dataset) -> np.ndarray:
    return (_final(ds, learning_rate=1e-4) < 0.7) & (_final(ds, learning_rate=1e-5) < 0.7)


def _smaller_is_slower(ds: xr.Dataset) -> np.ndarray:
    first, second, third = (_reaches(_at(ds, "accuracy", learning_rate=rate), 0.65) for rate in (0.1, 0.01, 1e-3))
    return (first < second) & (second < third)


def _learns_well(rate: float) -> Callable[[xr.Dataset], np.ndarray]:
    return lambda ds: _final(ds, learning_rate=rate) >= 0.77


def _moderate_is_good(ds: xr.Dataset) -> np.ndarray:
    train, test = (_late(_at(ds, name, learning_rate=0.1)).mean(axis=1) for name in ("accuracy", "val_accuracy"))
    return np.asarray((train >= 0.8) & (test >= 0.8))


def _momentum_is_fast(momentum: float) -> Callable[[xr.Dataset], np.ndarray]:
    return lambda ds: _epoch(_at(ds, "accuracy", momentum=momentum), 50) >= _final(ds, momentum=0.0) - 0.02


def _momentum_is_steady(ds: xr.Dataset) -> np.ndarray:
    plain = _wobble(ds, "val_accuracy", momentum=0.0)
    return np.asarray(np.all([_wobble(ds, "val_accuracy", momentum=m) < plain for m in (0.5, 0.9, 0.99)], axis=0))


def _decay_curve(ds: xr.Dataset) -> np.ndarray:
    rate = schedules.time_decay(0.01, 0.1)
    return np.array(float(rate(50)) < 0.002 and 0.0004 <= float(rate(199)) < 0.0005)


def _decay_ends(ds: xr.Dataset) -> np.ndarray:
    ends = {0.1: 3.1e-5, 1e-4: 0.0075}
    return np.array(all(abs(float(schedules.time_decay(0.01, d)(3199)) / end - 1) < 0.02 for d, end in ends.items()))


def _decay_is_poor(ds: xr.Dataset) -> np.ndarray:
    none = _final(ds, decay=0.0)
    return (_final(ds, decay=0.1) < none - 0.05) & (_final(ds, decay=0.01) < none - 0.05)


def _small_decay_is_best(ds: xr.Dataset) -> np.ndarray:
    big, middle, small, tiny, none = (
        _late(_at(ds, "accuracy", decay=d)).mean(axis=1) for d in (0.1, 0.01, 1e-3, 1e-4, 0.0)
    )
    return np.asarray((big < middle) & (middle < small) & (small < tiny) & (np.abs(tiny - none) <= 0.015))


def _drops_soon(ds: xr.Dataset) -> np.ndarray:
    return _epoch(_at(ds, "rate", patience=2), 26) <= 1.01e-4


def _drops_once(ds: xr.Dataset) -> np.ndarray:
    rates = _at(ds, "rate", patience=15)
    return np.asarray((np.diff(rates, axis=1) < 0).sum(axis=1) == 1)


def _ends_near(patience: int, accuracy: float) -> Callable[[xr.Dataset], np.ndarray]:
    return lambda ds: np.abs(_final(ds, patience=patience) - accuracy) <= 0.035


def _converges_before_150(ds: xr.Dataset) -> np.ndarray:
    curves = _at(ds, "accuracy", patience=10)
    outside = np.abs(curves - curves[:, -1:]) > 0.01
    settled = curves.shape[1] - outside[:, ::-1].argmax(axis=1) + 1
    return np.asarray((settled >= 0.6 * curves.shape[1]) & (settled <= 0.8 * curves.shape[1]))


def _stays_unsteady(ds: xr.Dataset) -> np.ndarray:
    return _wobble(ds, "accuracy", patience=15) > 2 * _wobble(ds, "accuracy", patience=5)


def _patient_is_better(ds: xr.Dataset) -> np.ndarray:
    two, five, ten, fifteen = (_final(ds, patience=p) for p in (2, 5, 10, 15))
    return np.asarray(np.minimum(ten, fifteen) > np.maximum(two, five))


def _sgd_is_slow(ds: xr.Dataset) -> np.ndarray:
    curves = _at(ds, "accuracy", optimizer="sgd")
    return (_epoch(curves, 50) < 0.79) & (curves[:, -1] >= 0.77)


def _sgd_wobbles(ds: xr.Dataset) -> np.ndarray:
    return _wobble(ds, "val_accuracy", optimizer="sgd") > _wobble(ds, "accuracy", optimizer="sgd")


def _adaptive_is_steady(ds: xr.Dataset) -> np.ndarray:
    sgd = _wobble(ds, "val_accuracy", optimizer="sgd")
    return np.asarray(
        np.all([_wobble(ds, "val_accuracy", optimizer=name) < sgd for name in ("rmsprop", "adagrad", "adam")], axis=0)
    )


def _adaptive_is_fast(name: str) -> Callable[[xr.Dataset], np.ndarray]:
    def met(ds: xr.Dataset) -> np.ndarray:
        return _reaches(_at(ds, "accuracy", optimizer=name), 0.8) < _reaches(_at(ds, "accuracy", optimizer="sgd"), 0.8)

    return met


def _alike(ds: xr.Dataset) -> np.ndarray:
    return np.asarray(np.abs(_final(ds, optimizer="rmsprop") - _final(ds, optimizer="adam")) <= 0.02)


def _learned_by_50(ds: xr.Dataset) -> np.ndarray:
    early = [_epoch(_at(ds, "accuracy", optimizer=name), 50) for name in ("rmsprop", "adam")]
    return (early[0] >= 0.8) & (early[1] >= 0.8)


def _claims(study: str, *rows: tuple[str, str, str, Callable[[xr.Dataset], np.ndarray], int | None]) -> list[Claim]:
    return [Claim(number, study, text, statistic, met, keras) for number, text, statistic, met, keras in rows]


CLAIMS: tuple[Claim, ...] = (
    *_claims(
        "learning-rate",
        (
            "1",
            "A rate of 1.0 is too large: the accuracy oscillates.",
            "late deviation of the test accuracy at 1.0 is at least 0.032, and above that at 0.1",
            _oscillates,
            12,
        ),
        ("2a", "A rate of 1e-7 learns nothing.", "train accuracy changes by at most 0.035", _learns_nothing(1e-7), 12),
        ("2b", "A rate of 1e-6 learns nothing.", "train accuracy changes by at most 0.035", _learns_nothing(1e-6), 11),
        ("2c", "Rates of 1e-4 and 1e-5 learn little.", "final train accuracy below 0.70 at both", _learn_little, 12),
        (
            "3a",
            "Of 0.1, 0.01 and 0.001 the smaller rate learns more slowly.",
            "train accuracy 0.65 is reached later at each smaller rate",
            _smaller_is_slower,
            12,
        ),
        ("3b", "A rate of 0.1 learns well.", "final train accuracy at least 0.77", _learns_well(0.1), 12),
        ("3c", "A rate of 0.01 learns well.", "final train accuracy at least 0.77", _learns_well(0.01), 12),
        ("3d", "A rate of 0.001 learns well.", "final train accuracy at least 0.77", _learns_well(1e-3), 0),
        (
            "4",
            "The moderate rate 0.1 performs well on train and test data.",
            "late mean of both accuracies at least 0.80",
            _moderate_is_good,
            12,
        ),
    ),
    *_claims(
        "momentum",
        (
            "5a",
            "Momentum 0.9 needs about 50 epochs for what none needs 200 for.",
            "train accuracy at epoch 50 at least that of momentum 0 at the end, less 0.02",
            _momentum_is_fast(0.9),
            11,
        ),
        (
            "5b",
            "Momentum 0.99 needs about 50 epochs for what none needs 200 for.",
            "train accuracy at epoch 50 at least that of momentum 0 at the end, less 0.02",
            _momentum_is_fast(0.99),
            8,
        ),
        (
            "6",
            "With momentum the test accuracy is steadier, in all cases.",
            "late deviation of the test accuracy with 0.5, 0.9 and 0.99 below that with 0",
            _momentum_is_steady,
            12,
        ),
    ),
    *_claims(
        "decay",
        (
            "7",
            "Decay 0.1 takes the rate below 0.002 within 50 updates and to about 0.0004 at 200.",
            "0.01 / (1 + 0.1 t) below 0.002 at t = 50, and 0.0004 to one digit at t = 199 (it is 0.00048)",
            _decay_curve,
            None,
        ),
        (
            "8",
            "After 3,200 updates decay 0.1 ends at 3.1e-5 and decay 1e-4 at 0.0075.",
            "the formula at t = 3199, within 2 %",
            _decay_ends,
            None,
        ),
        (
            "9",
            "Decays 0.1 and 0.01 are too aggressive and perform poorly.",
            "final train accuracy of both at least 0.05 below that without decay",
            _decay_is_poor,
            12,
        ),
        (
            "10",
            "The smaller the decay the better, and 1e-4 is like none.",
            "late train accuracy rises from 0.1 to 1e-4, which is within 0.015 of no decay",
            _small_decay_is_best,
            11,
        ),
    ),
    *_claims(
        "plateau",
        (
            "11",
            "Patience 2 takes the rate to its minimum within 25 epochs.",
            "rate at most 1e-4 after 25 epochs (there is no minimum: it falls on)",
            _drops_soon,
            10,
        ),
        ("12", "Patience 15 lowers the rate only once.", "exactly one drop in 200 epochs", _drops_once, 4),
        ("13a", "Patience 2 ends near 65 %.", "final train accuracy within 0.035 of 0.65", _ends_near(2, 0.65), 12),
        ("13b", "Patience 5 ends near 75 %.", "final train accuracy within 0.035 of 0.75", _ends_near(5, 0.75), 7),
        (
            "14",
            "Patience 10 converges just before epoch 150.",
            "train accuracy stays within 0.01 of its end from an epoch between 120 and 160 on",
            _converges_before_150,
            4,
        ),
        (
            "15",
            "Patience 15 keeps the accuracy unsteady.",
            "late deviation of the train accuracy more than twice that of patience 5",
            _stays_unsteady,
            12,
        ),
        (
            "16",
            "Patience 10 and 15 do better than 2 and 5.",
            "the worse of 10 and 15 ends above the better of 2 and 5",
            _patient_is_better,
            12,
        ),
    ),
    *_claims(
        "optimizers",
        (
            "17a",
            "SGD at 0.01 needs nearly all 200 epochs.",
            "train accuracy below 0.79 at epoch 50, and at least 0.77 at the end",
            _sgd_is_slow,
            12,
        ),
        (
            "17b",
            "SGD at 0.01 is volatile, on the test data more than on the train data.",
            "late deviation of the test accuracy above that of the train accuracy",
            _sgd_wobbles,
            12,
        ),
        (
            "18a",
            "The three adaptive methods are much less volatile.",
            "late deviation of the test accuracy of each below that of SGD",
            _adaptive_is_steady,
            12,
        ),
        ("18b", "RMSprop learns faster.", "reaches train accuracy 0.80 before SGD", _adaptive_is_fast("rmsprop"), 12),
        ("18c", "Adagrad learns faster.", "reaches train accuracy 0.80 before SGD", _adaptive_is_fast("adagrad"), 9),
        ("18d", "Adam learns faster.", "reaches train accuracy 0.80 before SGD", _adaptive_is_fast("adam"), 12),
        ("19a", "RMSprop and Adam perform alike.", "final train accuracies within 0.02 of each other", _alike, 11),
        (
            "19b",
            "RMSprop and Adam have learned within 50 epochs.",
            "train accuracy of both at least 0.80 at epoch 50",
            _learned_by_50,
            1,
        ),
    ),
)
