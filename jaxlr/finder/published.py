"""What published learning-rate finders suggest on one curve of a range test: pure functions of rates and losses.

Each takes the rates and the raw minibatch losses of a range test, does its library's own smoothing, early stop and
trimming, and gives a `Suggestion`. Where the library would raise, or would name a rate although the loss it looks at
never falls, there is no rate but a reason.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from jaxlr import _checks

__all__ = [
    "PUBLISHED",
    "Suggestion",
    "fastai_minimum",
    "fastai_slide",
    "fastai_steep",
    "fastai_valley",
    "ignite",
    "keras_lr_finder",
    "lightning",
    "lightning_by_index",
    "torch_lr_finder",
]


class Suggestion(NamedTuple):
    """A rate, or why there is none.

    Attributes:
        rate: the learning rate suggested; None where the curve says nothing.
        reason: why there is none; empty where there is one.
    """

    rate: float | None
    reason: str = ""


def fastai_valley(rates: Any, losses: Any) -> Suggestion:
    """fastai's default: a rate one half into the longest valley.

    The longest strictly decreasing subsequence of L losses ends at position e (the first such end); with
    s = (e - start) / 3 and start = e - L, the rate at start + int(s) + int(s / 2).

    Args:
        rates: rising learning rates `[N]`.
        losses: raw minibatch losses `[N]`; NaN from where the training has diverged.

    Returns:
        The suggestion.

    Raises:
        ValueError: the curve is no curve: other shapes than `[N]`, or rates that do not rise.

    >>> rates = np.geomspace(1e-7, 10, 100)
    >>> round(fastai_valley(rates, 1 / (1 + 100 * rates)).rate, 4)
    0.0013

    Reference: fastai 2.7, `fastai.callback.schedule.valley`, on the curve that `lr_find` gives it.
    """
    return _on_curve(rates, losses, _fastai_curve, _valley)


def fastai_minimum(rates: Any, losses: Any) -> Suggestion:
    """fastai's `minimum`: a tenth of the rate with the lowest smoothed loss, `rates[argmin losses] / 10`.

    Arguments, returns and errors are those of `fastai_valley`.

    >>> rates = np.geomspace(1e-7, 10, 100)
    >>> round(fastai_minimum(rates, 1 / (1 + 100 * rates)).rate, 3)
    0.394

    Reference: fastai 2.7, `fastai.callback.schedule.minimum`.
    """
    return _on_curve(rates, losses, _fastai_curve, lambda lr, loss: lr[np.argmin(loss)] / 10)


def fastai_steep(rates: Any, losses: Any) -> Suggestion:
    """fastai's `steep`: the steepest fall by log rate, `argmin diff(losses) / diff(log rates)`.

    Arguments, returns and errors are those of `fastai_valley`.

    >>> rates = np.geomspace(1e-7, 10, 100)
    >>> round(fastai_steep(rates, 1 / (1 + 100 * rates)).rate, 3)
    0.055

    Reference: fastai 2.7, `fastai.callback.schedule.steep`.
    """
    return _on_curve(
        rates, losses, _fastai_curve, lambda lr, loss: lr[np.argmin(np.diff(loss) / np.diff(np.log(lr)))], least=2
    )


def fastai_slide(rates: Any, losses: Any) -> Suggestion:
    """fastai's `slide`: an interval of 15 points moves left from the end until the slopes of its ends agree.

    With g = `np.gradient(losses)`, while |g[r] - g[l]| > 0.005 both ends move left; the rate is the last left end
    that had moved.

    Arguments, returns and errors are those of `fastai_valley`.

    >>> rates = np.geomspace(1e-7, 10, 100)
    >>> round(fastai_slide(rates, 1 / (1 + 100 * rates)).rate, 3)
    0.242

    Reference: fastai 2.7, `fastai.callback.schedule.slide`.
    """
    return _on_curve(rates, losses, _fastai_curve, _slide, least=_SLIDE + 1)


def lightning(rates: Any, losses: Any) -> Suggestion:
    """Lightning since 2.5.3: the steepest fall by the rate itself, `argmin dL / d rate`.

    Arguments, returns and errors are those of `fastai_valley`.

    >>> rates = np.geomspace(1e-7, 10, 100)
    >>> round(lightning(rates, 1 / (1 + 100 * rates)).rate, 4)
    0.0011

    Reference: Lightning 2.5.3, `lightning.pytorch.tuner.lr_finder._LRFinder.suggestion`.
    """
    return _on_curve(rates, losses, _lightning_curve, lambda lr, loss: lr[np.argmin(np.gradient(loss, lr))], least=2)


def lightning_by_index(rates: Any, losses: Any) -> Suggestion:
    """Lightning up to 2.5.2: the steepest fall by the number of the step, `argmin dL / di`.

    Arguments, returns and errors are those of `fastai_valley`.

    >>> rates = np.geomspace(1e-7, 10, 100)
    >>> round(lightning_by_index(rates, 1 / (1 + 100 * rates)).rate, 3)
    0.066

    Reference: Lightning 2.5.2, `lightning.pytorch.tuner.lr_finder._LRFinder.suggestion`.
    """
    return _on_curve(rates, losses, _lightning_curve, _steepest_step, least=2)


def torch_lr_finder(rates: Any, losses: Any) -> Suggestion:
    """pytorch-lr-finder: the steepest fall of its smoothed curve by the number of the step.

    Arguments, returns and errors are those of `fastai_valley`.

    >>> rates = np.geomspace(1e-7, 10, 100)
    >>> round(torch_lr_finder(rates, 1 / (1 + 100 * rates)).rate, 3)
    0.045

    Reference: pytorch-lr-finder 0.2.2, `LRFinder.range_test` and `plot(suggest_lr=True)`.
    """
    return _on_curve(rates, losses, lambda lr, loss: _trimmed(*_twentieths(lr, loss), 10, 5), _steepest_step, least=2)


def ignite(rates: Any, losses: Any) -> Suggestion:
    """Ignite: the steepest central difference left of the lowest smoothed loss.

    Arguments, returns and errors are those of `fastai_valley`. The end points, which have no central difference,
    are never suggested.

    >>> rates = np.geomspace(1e-7, 10, 100)
    >>> round(ignite(rates, 1 / (1 + 100 * rates)).rate, 3)
    0.045

    Reference: PyTorch-Ignite 0.5, `ignite.handlers.lr_finder.FastaiLRFinder.lr_suggestion`.
    """
    return _on_curve(rates, losses, _ignite_curve, lambda lr, loss: lr[1:-1][np.argmin(loss[2:] - loss[:-2])], least=3)


def keras_lr_finder(rates: Any, losses: Any, *, window: int = 20) -> Suggestion:
    """keras_lr_finder: the steepest fall of the raw loss over a window, `argmin (L_i - L_(i-s)) / s`.

    Args:
        rates: rising learning rates `[N]`.
        losses: raw minibatch losses `[N]`; NaN from where the training has diverged.
        window: s, the length of its simple moving average; its documentation uses 20.

    Returns:
        The suggestion.

    Raises:
        ValueError: as for `fastai_valley`, or the window is below 1.

    >>> rates = np.geomspace(1e-7, 10, 100)
    >>> round(keras_lr_finder(rates, 1 / (1 + 100 * rates)).rate, 3)
    0.066

    Reference: github.com/surmenok/keras_lr_finder, `LRFinder.get_best_lr`.
    """
    _checks.count("window", window)

    def curve(lr: np.ndarray, loss: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The differences themselves, trimmed with the rates; zero where there is nothing to compare with."""
        end = _keras_end(loss)
        lr, loss = lr[:end], loss[:end]
        slopes = np.zeros(len(loss))
        slopes[window:] = (loss[window:] - loss[:-window]) / window
        return _trimmed(lr, slopes, 10, 5)

    def falls(slopes: np.ndarray) -> bool:
        return bool((slopes < 0).any())

    return _on_curve(rates, losses, curve, lambda lr, slopes: lr[np.nanargmin(slopes)], falls=falls)


PUBLISHED: dict[str, Callable[[Any, Any], Suggestion]] = {
    "fastai_valley": fastai_valley,
    "fastai_slide": fastai_slide,
    "fastai_minimum": fastai_minimum,
    "fastai_steep": fastai_steep,
    "lightning": lightning,
    "lightning_by_index": lightning_by_index,
    "torch_lr_finder": torch_lr_finder,
    "ignite": ignite,
    "keras_lr_finder": keras_lr_finder,
}
"""Name -> method."""

_SLIDE = 15
_SLOPES_AGREE = 0.005

Curve = tuple[np.ndarray, np.ndarray]


def _falls(losses: np.ndarray) -> bool:
    """Whether a value is below the one before it, by more than the rounding of an average of equal losses."""
    least = 1e-12 * np.max(np.abs(losses[np.isfinite(losses)]), initial=0)
    return bool((np.diff(losses) < -least).any())


def _on_curve(
    rates: Any,
    losses: Any,
    prepare: Callable[[np.ndarray, np.ndarray], Curve],
    choose: Callable[[np.ndarray, np.ndarray], Any],
    *,
    least: int = 1,
    falls: Callable[[np.ndarray], bool] = _falls,
) -> Suggestion:
    """A method's choice on the curve as its library prepares it, or why there is none."""
    lr, loss = np.asarray(rates, np.float64), np.asarray(losses, np.float64)
    if lr.ndim != 1 or lr.shape != loss.shape:
        raise ValueError(f"rates and losses must be arrays [N] of one length, got {lr.shape} and {loss.shape}")
    if not (np.isfinite(lr).all() and (lr > 0).all() and (np.diff(lr) > 0).all()):
        raise ValueError("rates must be positive and rise from point to point, got rates that do not")
    if not np.isfinite(loss).any():
        return Suggestion(None, "no loss is finite" if len(loss) else "the curve has no points")
    lr, loss = prepare(lr, loss)
    if len(loss) < least:
        points = "point" if len(loss) == 1 else "points"
        return Suggestion(None, f"{len(loss)} {points} left after the early stop and trimming, needs {least}")
    if not falls(loss):
        return Suggestion(None, "the loss never falls")
    return Suggestion(float(choose(lr, loss)))


def _debiased(losses: np.ndarray, beta: float, extra: int) -> np.ndarray:
    """Exponential moving average from zero, divided by 1 - beta^(t + extra) at the t-th value."""
    averages, average = np.empty(len(losses)), 0.0
    for i, loss in enumerate(losses):
        average = beta * average + (1 - beta) * loss
        averages[i] = average / (1 - beta ** (i + 1 + extra))
    return averages


def _stop(losses: np.ndarray, factor: float) -> int:
    """Points up to and with the first above `factor` times the best so far."""
    # NaN compares false, as it does in the libraries: it neither stops the test nor becomes the best.
    best = np.fmin.accumulate(losses)
    stopped = losses > factor * best
    return int(np.argmax(stopped)) + 1 if stopped.any() else len(losses)


def _trimmed(rates: np.ndarray, losses: np.ndarray, begin: int, end: int) -> Curve:
    return rates[begin:-end], losses[begin:-end]


def _fastai_curve(rates: np.ndarray, losses: np.ndarray) -> Curve:
    tested = len(losses)
    smooth = _debiased(losses, 0.98, 0)
    end = _stop(smooth, 4)
    rates, smooth = _trimmed(rates[:end], smooth[:end], tested // 10, 5)
    gone = np.isnan(smooth)
    cut = int(np.argmax(gone)) if gone.any() else len(smooth)
    return rates[:cut], smooth[:cut]


def _lightning_curve(rates: np.ndarray, losses: np.ndarray) -> Curve:
    # It counts the step before it smooths: the first average is divided by 1 - beta^2.
    smooth = _debiased(losses, 0.98, 1)
    end = _stop(smooth, 4)
    rates, smooth = _trimmed(rates[:end], smooth[:end], 10, 1)
    kept = np.isfinite(smooth)
    return rates[kept], smooth[kept]


def _twentieths(rates: np.ndarray, losses: np.ndarray) -> Curve:
    """Each value weighs a twentieth, the first seeds the average; cut after five times the best."""
    smooth = losses.copy()
    for i in range(1, len(smooth)):
        smooth[i] = 0.05 * losses[i] + 0.95 * smooth[i - 1]
    end = _stop(smooth, 5)
    return rates[:end], smooth[:end]


def _ignite_curve(rates: np.ndarray, losses: np.ndarray) -> Curve:
    rates, smooth = _twentieths(rates, losses)
    end = int(np.argmin(smooth)) + 1
    return rates[:end], smooth[:end]


def _keras_end(losses: np.ndarray) -> int:
    """Points up to and with the first that is NaN or above four times the best; the first six never stop it."""
    best = np.fmin.accumulate(np.append(1e9, losses))[:-1]
    stopped = np.isnan(losses) | (losses > 4 * best)
    stopped[:6] = False
    return int(np.argmax(stopped)) + 1 if stopped.any() else len(losses)


def _steepest_step(rates: np.ndarray, losses: np.ndarray) -> float:
    return float(rates[np.argmin(np.gradient(losses))])


def _valley(rates: np.ndarray, losses: np.ndarray) -> float:
    lengths = np.ones(len(losses), int)
    for i in range(1, len(losses)):
        higher = losses[:i] > losses[i]
        if higher.any():
            lengths[i] = 1 + lengths[:i][higher].max()
    length, end = int(lengths.max()), int(np.argmax(lengths))
    start = end - length
    third = length / 3
    return float(rates[start + int(third) + int(third / 2)])


def _slide(rates: np.ndarray, losses: np.ndarray) -> float:
    slopes = np.gradient(losses)
    right, left = -1, -1 - _SLIDE
    rate = rates[left]
    while left >= -len(losses) and abs(slopes[right] - slopes[left]) > _SLOPES_AGREE:
        rate = rates[left]
        right, left = right - 1, left - 1
    return float(rate)
