"""Many hyperparameters at once: parallel coordinates."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxlr.plots import settings
from jaxlr.plots.style import COLORS, ceiling, describe, is_ladder, number, of_seeds, one_axes, shades
from jaxlr.results import default_metric, maximised, present
from jaxlr.results.directions import Mode

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ABSENT = -0.12
"""Height of a hyperparameter that a setting does not have, below the axis."""


class _Scale(NamedTuple):
    """A vertical axis of its own: heights in [0, 1] of the values, and its ticks."""

    heights: np.ndarray
    ticks: list[tuple[float, str]]


def parallel_coordinates(
    ds: xr.Dataset, metric: str | None = None, *, mode: Mode | None = None, title: str = "", ax: Axes | None = None
) -> Figure:
    """One vertical axis for each hyperparameter, the final metric as the last; one line for each setting.

    Lines are coloured by their rank, the better the darker; the best is vermilion. A setting with a diverged seed is
    dotted and ends above the last axis (below it where more is better). The axis of a loss ends at three times the
    median, and ten times the lowest at least: what lies higher stands at its end. Axes of positive numbers over more
    than a decade are logarithmic; what a setting of a concatenated space lacks is below its axis.

    Args:
        ds: a result of `sweep` in which at least one hyperparameter varies.
        metric: the variable; by default `val_loss`, or `loss` without test data.
        mode: "min" or "max"; needed where the metric's name says neither loss, error nor accuracy.
        title: a line above.
        ax: where to draw; by default a new figure.

    Returns:
        The figure.

    Raises:
        ValueError: no hyperparameter varies, or the metric is unknown.

    >>> from jaxlr import grid, sweep
    >>> space = grid(lr=[0.1, 0.2, 0.3], momentum=[0.0, 0.9])
    >>> figure = parallel_coordinates(sweep(lambda key, lr, momentum: {"loss": lr + momentum}, space))
    >>> [text.get_text() for text in figure.axes[0].get_xticklabels()]
    ['lr', 'momentum', 'final train loss']
    """
    metric, varying = default_metric(ds, metric), settings.varying(ds)
    if not varying:
        raise ValueError("parallel coordinates must have a hyperparameter that varies, got a single setting")
    values = settings.final_values(ds, metric).mean(axis=1)
    more = maximised(metric, mode)
    lost = ~np.isfinite(values)
    scales = [_scale(column) for column in varying.values()]
    top = np.nanmax(values, initial=-np.inf) if more else ceiling(values)
    last = _scale(np.minimum(values, top), few=0)
    beyond = _ABSENT if more else 1 - _ABSENT
    heights = np.stack([*(scale.heights for scale in scales), np.where(lost, beyond, last.heights)])
    figure, ax = one_axes(ax, max(5.0, 1.6 * len(heights)), 4.0)
    _draw_lines(ax, heights, values, lost, more)
    for i, scale in enumerate([*scales, last]):
        _draw_scale(ax, i, scale, absent=bool((heights[i] == _ABSENT).any()) and i < len(scales))
    if lost.any():
        ax.text(len(scales) + 0.06, beyond, "a seed diverged", fontsize=7, va="center")
    ax.set_xticks(range(len(heights)), [*map(describe, varying), f"final {describe(metric)}"], fontsize=9)
    ax.set(yticks=[], xlim=(-0.15, len(scales) + 0.55), ylim=_room(heights))
    ax.grid(False)
    ax.spines[:].set_visible(False)
    ax.tick_params(axis="x", length=0)
    words = f"{len(values)} settings, {of_seeds('mean', ds.sizes['seed'])}"
    ax.set_title(f"{title} ({words})" if title else words, fontsize=10)
    return figure


def _room(heights: np.ndarray) -> tuple[float, float]:
    """Limits around the axes and what stands beyond them."""
    return min(0.0, heights.min()) - 0.05, max(1.0, heights.max()) + 0.05


def _scale(column: np.ndarray, few: int = 9) -> _Scale:
    """Where each value stands on its axis, and the ticks: every value of a few, else round ones."""
    from matplotlib.ticker import LogLocator, MaxNLocator

    here = present(column) if column.dtype.kind != "f" else np.isfinite(column)
    levels = np.unique(column[here])
    if column.dtype.kind in "fi":
        positions = levels.astype(float)
        log = is_ladder(positions)
        low, high = (positions[0], positions[-1]) if len(levels) else (0.0, 1.0)
        if len(levels) <= few:
            marks = positions
        else:
            between = (1.0, 2.0, 5.0) if high < 100 * low else (1.0,)
            locator = LogLocator(subs=between, numticks=7) if log else MaxNLocator(5)
            marks = np.array([mark for mark in locator.tick_values(low, high) if low <= mark <= high])

        def height(of: np.ndarray) -> np.ndarray:
            a, b, x = (np.log(low), np.log(high), np.log(of)) if log else (low, high, of)
            return (x - a) / (b - a) if b > a else np.full(len(of), 0.5)

        heights = np.full(len(column), _ABSENT)
        heights[here] = height(column[here].astype(float))
        return _Scale(heights, [(float(h), number(mark)) for h, mark in zip(height(marks), marks, strict=True)])
    places = np.linspace(0, 1, len(levels)) if len(levels) > 1 else np.array([0.5])
    heights = np.full(len(column), _ABSENT)
    heights[here] = places[np.searchsorted(levels, column[here])]
    return _Scale(heights, [(float(h), str(level)) for h, level in zip(places, levels.tolist(), strict=True)])


def _draw_lines(ax: Axes, heights: np.ndarray, values: np.ndarray, lost: np.ndarray, maximise: bool) -> None:
    """The worst first, so that the better lie on top."""
    x = np.arange(len(heights))
    ax.plot(x, heights[:, lost], ":", color="0.6", linewidth=0.9)
    order = np.flatnonzero(~lost)
    order = order[np.argsort(values[order], kind="stable")]
    order = order if maximise else order[::-1]
    thin = 1.2 if len(values) <= 60 else 0.7
    for rank, i in enumerate(order):
        best = rank == len(order) - 1
        color = COLORS[1] if best else shades()(1 - rank / len(order))
        ax.plot(x, heights[:, i], color=color, linewidth=2.4 if best else thin, alpha=1.0 if best else 0.7)


def _draw_scale(ax: Axes, i: int, scale: _Scale, absent: bool) -> None:
    ax.plot([i, i], [0, 1], color="0.25", linewidth=1, zorder=2.5)
    marks = [*scale.ticks, (_ABSENT, "absent")] if absent else scale.ticks
    for height, text in marks:
        ax.plot([i, i + 0.03], [height, height], color="0.25", linewidth=1, zorder=2.5)
        ax.annotate(
            text,
            (i + 0.03, height),
            (2, 0),
            textcoords="offset points",
            va="center",
            fontsize=7,
            bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.6},
            zorder=3,
        )
