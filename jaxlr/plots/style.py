"""One look for every figure: colours, words, numbers as text, and axes to draw on.

The colours are the Okabe-Ito set, which stays distinct for colour-blind readers and in print; ordered values take
theirs from cividis, without its palest end. Figures have an opaque white background, so that they are legible on a
dark page too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito: blue, vermilion, green, purple, orange, sky blue, black."""

STYLES = ("-", "--", "-.", ":")
"""Line styles, for more lines than colours."""

DECADES = 1e5
"""Span of a logarithmic axis of losses: those just short of diverging would flatten all others."""

_NAMES = {
    "accuracy": "train accuracy",
    "val_accuracy": "validation accuracy",
    "loss": "train loss",
    "val_loss": "validation loss",
    "rate": "learning rate",
}


def describe(name: str) -> str:
    """A variable's or hyperparameter's name in words.

    >>> describe("val_loss"), describe("weight_decay")
    ('validation loss', 'weight decay')
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


def spans_decades(values: np.ndarray, least: float = 10) -> bool:
    """Whether numbers are positive and span more than a factor `least`, so that they want a logarithmic axis.

    >>> spans_decades(np.array([0.01, 1.0])), spans_decades(np.array([0.0, 1.0])), spans_decades(np.array([1.0, 2.0]))
    (True, False, False)
    """
    found = values[np.isfinite(values)]
    return bool(found.size and found.min() > 0 and found.max() / found.min() > least)


def is_ladder(values: np.ndarray) -> bool:
    """Whether values want a logarithmic axis: a linear one would squeeze half of them into its first quarter.

    >>> is_ladder(np.array([0.001, 0.01, 0.1])), is_ladder(np.array([0.01, 0.3, 0.6, 0.9]))
    (True, False)
    """
    found = values[np.isfinite(values)]
    return spans_decades(found) and bool(np.median(found) - found.min() < (found.max() - found.min()) / 4)


def ceiling(values: np.ndarray) -> float:
    """The highest value worth an axis: of positive losses just short of diverging, far below the highest.

    >>> ceiling(np.array([0.4, 0.5, 0.6])), ceiling(np.array([0.5, 1.0, 1e9]))
    (0.6, 5.0)
    """
    found = values[np.isfinite(values)]
    if not found.size:
        return 1.0
    highest = float(found.max())
    return min(highest, max(10 * float(found.min()), 3 * float(np.median(found)))) if found.min() > 0 else highest


def of_seeds(statistic: str, seeds: int) -> str:
    """What a line shows of its seeds, for a title.

    >>> of_seeds("mean and range", 10), of_seeds("mean and range", 1)
    ('mean and range of 10 seeds', 'one seed')
    """
    return f"{statistic} of {seeds} seeds" if seeds > 1 else "one seed"


def shades() -> Colormap:
    """Dark blue to ochre for ordered values: even in lightness, legible on white."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("shades", mpl.colormaps["cividis"](np.linspace(0, 0.87, 64)))


def ordered(count: int) -> list[Any]:
    """Colours for so many values in their order.

    >>> [mpl.colors.to_hex(color) for color in ordered(3)]
    ['#00224e', '#6f7073', '#dcc859']
    """
    return list(shades()(np.linspace(0, 1, count)))


def whole_steps(ax: Axes, most: int | Literal["auto"] = "auto") -> None:
    """Ticks at whole epochs or steps: at most `most`, or as many as fit."""
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(most, integer=True, steps=[1, 2, 5, 10]))


def note_cut(ax: Axes, drawn: np.ndarray) -> None:
    """Say above the axes how far what was drawn goes on beyond them."""
    found, (_, top) = drawn[np.isfinite(drawn)], ax.get_ylim()
    if found.size and found.max() > top:
        ax.annotate(
            f"cut off: up to {number(float(found.max()))} \N{UPWARDS ARROW}",
            (1, 1),
            xycoords="axes fraction",
            ha="right",
            va="bottom",
            fontsize=7,
            color="0.35",
        )


def new_figure(
    rows: int, columns: int, width: float, height: float, *, sharex: bool = True
) -> tuple[Figure, np.ndarray]:
    """A figure and its axes `[rows, columns]`, each `width` by `height` inches."""
    figure = Figure(figsize=(width * columns, height * rows), dpi=130, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharex=sharex)
    for ax in axes.flat:
        plain(ax)
    return figure, axes


def one_axes(ax: Axes | None, width: float, height: float) -> tuple[Figure, Axes]:
    """The caller's axes in this style, or those of a new figure; with the figure that they are on."""
    if ax is None:
        figure, axes = new_figure(1, 1, width, height)
        return figure, axes[0, 0]
    plain(ax)
    figure = ax.figure.figure  # of a subfigure, the whole
    assert isinstance(figure, Figure)
    return figure, ax


def plain(ax: Axes) -> None:
    """A light grid below, no box, small numbers."""
    ax.grid(True, color="0.88", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=8)
