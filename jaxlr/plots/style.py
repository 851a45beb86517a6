"""One look for every figure: colours, words, numbers as text, and new figures with their axes.

The colours are the Okabe-Ito set, which stays distinct for colour-blind readers and in print. Figures have an opaque
white background, so that they are legible on a dark page too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito: blue, vermilion, green, purple, orange, sky blue, black."""

_NAMES = {
    "accuracy": "train accuracy",
    "val_accuracy": "test accuracy",
    "loss": "train loss",
    "val_loss": "test loss",
    "rate": "learning rate",
}


def describe(name: str) -> str:
    """A variable's or hyperparameter's name in words.

    >>> describe("val_loss"), describe("weight_decay")
    ('test loss', 'weight decay')
    """
    return _NAMES.get(name, name.replace("_", " "))


def number(value: Any) -> str:
    """A number as short as it reads well.

    >>> number(0.01), number(1e-05), number(1.0), number("adam")
    ('0.01', '1e-5', '1', 'adam')
    """
    if isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool):
        text = f"{value:.4g}"
        mantissa, e, exponent = text.partition("e")
        return f"{mantissa}e{int(exponent)}" if e else text
    return str(value)


def new_figure(
    rows: int, columns: int, width: float, height: float, *, sharex: bool = True
) -> tuple[Figure, np.ndarray]:
    figure = Figure(figsize=(width * columns, height * rows), dpi=130, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharex=sharex)
    for ax in axes.flat:
        plain(ax)
    return figure, axes


def plain(ax: Axes) -> None:
    ax.grid(True, color="0.88", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=8)
