"""What each setting came to: a metric at the end of training against a hyperparameter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jaxlr.plots import settings
from jaxlr.plots.style import (
    COLORS,
    STYLES,
    describe,
    is_ladder,
    note_cut,
    number,
    of_seeds,
    one_axes,
    ordered,
    spans_decades,
)
from jaxlr.results import columns, default_metric, maximised, present
from jaxlr.results.directions import Mode

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def final_against(
    ds: xr.Dataset,
    axis: str,
    metric: str | None = None,
    *,
    mode: Mode | None = None,
    title: str = "",
    ax: Axes | None = None,
) -> Figure:
    """A metric at the last computed epoch against a hyperparameter, with bands over the seeds.

    One line, the mean over the seeds, for each combination of the other hyperparameters, in a band from the
    lowest to the highest seed. The horizontal axis is logarithmic where the values span more than a decade,
    the vertical one where a loss does. The best setting is ringed, with the 95 % interval of its mean,
    `mean ± t(0.975, S - 1) std / sqrt(S)` over its S seeds; a setting with a seed that diverged is a gap in its line,
    with a cross at the bad end of the axis. Where one did, the stable region is shaded: the values around the best, on
    its line, with which no seed diverged.

    Args:
        ds: a result of `sweep`.
        axis: a numeric hyperparameter with several values.
        metric: the variable; by default `val_loss`, or `loss` without test data.
        mode: "min" or "max"; needed where the metric's name says neither loss, error nor accuracy.
        title: a line above.
        ax: where to draw; by default a new figure.

    Returns:
        The figure.

    Raises:
        ValueError: the axis is no such hyperparameter, or the metric is unknown.

    >>> from jaxlr import grid, sweep
    >>> ds = sweep(lambda key, lr: {"loss": (lr - 0.1) ** 2}, grid(lr=[0.01, 0.1, 1.0]), seeds=2)
    >>> final_against(ds, "lr", "loss").axes[0].get_xscale()
    'log'
    """
    tried, metric = columns(ds), default_metric(ds, metric)
    numeric = [name for name, column in tried.items() if column.dtype.kind in "fi" and settings.varies(column)]
    if axis not in numeric:
        known = ", ".join(numeric) or "none here"
        raise ValueError(f"axis must be a number with several values, {known}; got {axis!r}")
    values = settings.final_values(ds, metric)
    more = maximised(metric, mode)
    figure, ax = one_axes(ax, 6.4, 4.0)
    families = _families(ds, axis)
    # Sampled settings share nothing with one another: they are points, not lines.
    joined = 2 * len(families) <= len(values)
    colors = _colors(ds, axis, families)
    for i, (name, rows) in enumerate(families.items() if joined else [("", np.arange(len(values)))]):
        rows = rows[np.argsort(tried[axis][rows], kind="stable")]
        style = STYLES[i // len(COLORS) % len(STYLES)] if joined else ""
        _final_line(ax, tried[axis][rows], values[rows], _Look(colors[i], style, name))
        _cross_out(ax, tried[axis][rows], values[rows], colors[i], i % 8, more)
    _scale(ax, tried[axis], values, more)
    note_cut(ax, values)
    best = _mark_best(ax, tried[axis], values, more)
    if joined and best is not None:
        _shade_stable(ax, tried[axis], values, families, best)
    if not np.isfinite(values).all():
        ax.plot([], [], "x", color="0.4", label="a seed diverged")
    if ax.get_legend_handles_labels()[1]:
        ax.legend(fontsize=8, frameon=False, ncols=1 + len(families) // 12 if joined else 1)
    seeds = of_seeds("mean and range", ds.sizes["seed"])
    ax.set(xlabel=describe(axis), ylabel=f"final {describe(metric)}")
    ax.set_title(f"{title} ({seeds})" if title else seeds, fontsize=10)
    return figure


class _Look(NamedTuple):
    """A line's colour, its style (none for points) and its name."""

    color: Any
    style: str
    name: str


def _families(ds: xr.Dataset, axis: str) -> dict[str, np.ndarray]:
    """The settings that differ in nothing but the horizontal axis, by what they share in words, numbers rising."""
    others = {name: column for name, column in settings.varying(ds).items() if name != axis}
    rows: dict[str, list[int]] = {}
    for i, shared in enumerate(settings.in_words(others, len(columns(ds)[axis]))):
        rows.setdefault(shared, []).append(i)
    families = {name: np.array(members) for name, members in rows.items()}
    numbers = _numbers(others, families)
    return families if numbers is None else dict(sorted(families.items(), key=lambda one: numbers[one[0]]))


def _numbers(others: Mapping[str, np.ndarray], families: Mapping[str, np.ndarray]) -> dict[str, float] | None:
    """The number that tells each family from the others, if one does."""
    if len(others) != 1:
        return None
    (column,) = others.values()
    if column.dtype.kind not in "fi" or not present(column).all():
        return None
    return {name: float(column[rows[0]]) for name, rows in families.items()}


def _colors(ds: xr.Dataset, axis: str, families: Mapping[str, np.ndarray]) -> list[Any]:
    """Ordered colours for the values of a number, distinct ones for anything else."""
    others = {name: column for name, column in settings.varying(ds).items() if name != axis}
    if _numbers(others, families) is not None and len(families) > 2:
        return ordered(len(families))
    return [COLORS[i % len(COLORS)] for i in range(max(len(families), 1))]


def _final_line(ax: Axes, x: np.ndarray, values: np.ndarray, look: _Look) -> None:
    """Values `[settings, seeds]` against `x [settings]`; NaN leaves a gap."""
    color, mean = look.color, values.mean(axis=1)
    low, high = values.min(axis=1), values.max(axis=1)
    ax.plot(x, mean, "o", linestyle=look.style, markersize=3.5, color=color, linewidth=1.3, label=look.name or None)
    if look.style and values.shape[1] > 1:
        ax.fill_between(x, low, high, color=color, alpha=0.18, linewidth=0)
    elif values.shape[1] > 1:
        ax.vlines(x, low, high, color=color, alpha=0.4, linewidth=1)


def _cross_out(ax: Axes, x: np.ndarray, values: np.ndarray, color: Any, place: int, more: bool) -> None:
    """A cross for each setting with a lost seed, where the worst values are: at the top for a loss."""
    gone, away = x[~np.isfinite(values.mean(axis=1))], 0.03 + 0.035 * place
    height = np.full(len(gone), away if more else 1 - away)
    ax.plot(gone, height, "x", color=color, markersize=5, markeredgewidth=1.3, transform=ax.get_xaxis_transform())


def _mark_best(ax: Axes, x: np.ndarray, values: np.ndarray, maximise: bool) -> int | None:
    """A ring, the interval and words for the best row, which is returned; None where every row has a lost seed."""
    from scipy import stats

    means = values.mean(axis=1)
    if not np.isfinite(means).any():
        return None
    at = int(np.nanargmax(means) if maximise else np.nanargmin(means))
    seeds, beside = values.shape[1], means[at]
    if seeds > 1:
        half = stats.t.ppf(0.975, seeds - 1) * values[at].std(ddof=1) / np.sqrt(seeds)
        words = "95 % interval of the mean"
        ax.errorbar(x[at], means[at], half, color="black", capsize=3, linewidth=1.2, zorder=3, label=words)
        end = means[at] + (half if maximise else -half)
        beside = end if end > 0 or ax.get_yscale() == "linear" else means[at]
    ax.plot(x[at], means[at], "o", markersize=11, markerfacecolor="none", markeredgecolor="black")
    text, away = f"best: {number(means[at])} at {number(x[at])}", 11 if maximise else -17
    ax.annotate(text, (x[at], beside), (0, away), textcoords="offset points", ha="center", fontsize=8)
    if ax.get_autoscaley_on():
        ax.margins(y=0.12)
    return at


def _shade_stable(ax: Axes, x: np.ndarray, values: np.ndarray, families: Mapping[str, np.ndarray], best: int) -> None:
    """The values around the best one, among settings that share all else, with which every seed finished."""
    ((name, rows),) = [(name, rows) for name, rows in families.items() if best in rows]
    rows = rows[np.argsort(x[rows], kind="stable")]
    finite = np.isfinite(values[rows]).all(axis=1)
    if finite.all():
        return
    at = int(np.flatnonzero(rows == best)[0])
    lost = np.flatnonzero(~finite)
    first = max((i + 1 for i in lost if i < at), default=0)
    last = min((i - 1 for i in lost if i > at), default=len(rows) - 1)
    words = f"no seed diverged, {name}" if name else "no seed diverged"
    ax.axvspan(x[rows[first]], x[rows[last]], color="0.5", alpha=0.12, linewidth=0, label=words, zorder=0)


def _scale(ax: Axes, x: np.ndarray, values: np.ndarray, bounded: bool) -> None:
    """Logarithmic axes where values above zero span more than a decade; room for all that was tried."""
    x = x[np.isfinite(x)]
    if is_ladder(x):
        ax.set_xscale("log")
        ax.set_xlim(x.min() / 1.5, x.max() * 1.5)
    found = values[np.isfinite(values)]
    if not bounded and spans_decades(found):
        ax.set_yscale("log")
        top = max(100 * found.min(), 30 * float(np.median(found)))
        if found.max() > top:
            # Room for the words below the best, whatever the span.
            ax.set_ylim(found.min() / max(2.0, (top / found.min()) ** 0.1), top)
