"""The numbers that speak for a verdict, in words."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from jaxlr.diagnosis.curve import Statistics


def evidence(verdict: str, found: Statistics, validation: Mapping[str, float] | None = None) -> str:
    """What was seen, the numbers that bear on the verdict first."""
    level = f"the loss went from {found.start:.3g} to {found.end:.3g}"
    falling = f"over the last two thirds it {_changed(found.fall_late * np.log(3))} for every tripling of the training"
    jitter = f"it jumps by {_percent(10**found.jitter)} from block to block in the second half"
    match verdict:
        case "diverged":
            return f"{level}, {np.exp(-found.drop):.3g} times the start"
        case "initial-rise":
            rise = f", after a peak of {np.exp(found.rise):.3g} times the start" if found.rise > 0.02 else ""
            return f"{level}{rise}; it {_changed(found.first)} within the first 3 % of the training; {falling}"
        case "late-rate-too-high":
            return f"{level}, nine tenths of it by {found.t90:.0%} of the training; {falling}, and {jitter}"
        case "slow":
            return f"{level}; {falling}, and nine tenths of the drop took {found.t90:.0%} of the training"
        case "oscillating":
            return f"{level}; {jitter}, {found.ups:.0%} of the steps there rise"
        case "no-progress":
            return f"{level}, a change of {np.expm1(-found.drop):+.1%}"
        case "overfitting" if validation is not None:
            return (
                f"the validation loss was lowest at {validation['best_at']:.0%} of the training and "
                f"{_changed(-validation['val_rise'])} until the end, while {level}"
            )
    return f"{level}; {falling}, and {jitter}"


def _changed(log_fall: float) -> str:
    """A fall of the logarithm as the share that it takes away; a rise with many digits as a multiple."""
    if log_fall < -np.log(10):
        return f"rose {np.exp(min(-log_fall, 700)):.3g}-fold"
    share = float(-np.expm1(-log_fall))
    return f"{'fell' if share >= 0 else 'rose'} by {_percent(abs(share))}"


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.095 else f"{share:.1%}"
