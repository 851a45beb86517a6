"""Statistics of a validation curve beside its training curve."""

from __future__ import annotations

import numpy as np

from jaxlr.diagnosis.curve import blocks


def statistics(losses: np.ndarray, val_losses: np.ndarray) -> dict[str, float]:
    """What tells overfitting: both curves are finite and cover the same training.

    `val_rise` is log(end / lowest) of the validation loss, whose blocks are averaged with their neighbours; `best_at`
    the share of the training where it is lowest; `train_after` the fall of log(training loss) from there on.
    """
    train, val = (np.log(np.maximum(blocks(x), 1e-3 * max(x[0], 1e-300))) for x in (losses, val_losses))
    smooth = np.convolve(np.pad(val, 1, mode="edge"), np.ones(3) / 3, mode="valid")
    last = max(len(val) // 20, 2)
    end = float(val[-last:].mean())
    best = int(np.argmin(smooth))
    at = (best + 0.5) / len(val)
    there = float(np.interp(at, (np.arange(len(train)) + 0.5) / len(train), train))
    return {
        "val_rise": max(end - float(smooth[best]), 0.0),
        "best_at": at,
        "train_after": there - float(train[-max(len(train) // 20, 2) :].mean()),
    }
