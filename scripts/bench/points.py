"""The points that all train on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from jaxlr.tasks import blobs_data

__all__ = ["BATCH", "Points", "load"]

BATCH = 32
"""Examples in an update."""


class Points(NamedTuple):
    """The blobs: 500 points to train on and 500 to test on.

    Attributes:
        x: `[500, 2]`, float32.
        y: labels `[500]`, int32.
        x_test: `[500, 2]`, float32.
        y_test: labels `[500]`, int32.
    """

    x: np.ndarray
    y: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


def load() -> Points:
    """The points of `jaxlr.tasks.blobs`.

    >>> load().x.shape
    (500, 2)
    """
    x, y = blobs_data()
    x, y = x.astype(np.float32), y.astype(np.int32)
    return Points(x[:500], y[:500], x[500:], y[500:])
