"""What each setting came to: a metric at the end of training against a hyperparameter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from jaxlr.plots.style import COLORS, describe, new_figure, number
from jaxlr.results import columns, final, maximised, present

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DECADES = 1e5
"""Span of a logarithmic axis of losses: those just short of diverging would flatten all others."""


def final_against(ds: xr.Dataset, axis: str, metric: str = "val_loss", *, title: str = "") -> Figure:
    """A metric at the last computed epoch against a hyperparameter, with bands over the seeds.

    One line, the mean over the seeds, for each combination of the other hyperparameters, in a band from the
    lowest to the highest seed. The horizontal axis is logarithmic where the values span more than a decade,
    the vertical one where a loss does. The best setting is ringed; a setting with a seed that diverged is a
    gap in its line, with a cross below.

    Args:
        ds: a result of `sweep`.
        axis: a numeric hyperparameter with several values.
        metric: the variable.
        title: a line above.

    Raises:
        ValueError: the axis is no such hyperparameter, or the metric is unknown.

    >>> from jaxlr import grid, sweep
    >>> ds = sweep(lambda key, lr: {"loss": (lr - 0.1) ** 2}, grid(lr=[0.01, 0.1, 1.0]), seeds=2)
    >>> final_against(ds, "lr", "loss").axes[0].get_xscale()
    'log'
    """
    tried = columns(ds)
    numeric = [name for name, column in tried.items() if column.dtype.kind in "fi" and _varies(column)]
    if axis not in numeric:
        known = ", ".join(numeric) or "none here"
        raise ValueError(f"axis must be a number with several values, {known}; got {axis!r}")
    values = final(ds, metric).values.reshape(-1, ds.sizes["seed"])
    figure, axes = new_figure(1, 1, 6.4, 4.0)
    ax = axes[0, 0]
    families = _families({name: column for name, column in tried.items() if name != axis}, len(values))
    # Sampled settings share nothing with one another: they are points, not lines.
    joined = 2 * len(families) <= len(values)
    for i, (name, rows) in enumerate(families.items() if joined else [("", np.arange(len(values)))]):
        rows = rows[np.argsort(tried[axis][rows], kind="stable")]
        style = ("-", "--", ":")[i // len(COLORS) % 3] if joined else ""
        _final_line(ax, tried[axis][rows], values[rows], (i, style, name))
    _scale(ax, tried[axis], values, maximised(metric))
    _mark_best(ax, tried[axis], values.mean(axis=1), maximised(metric))
    if not np.isfinite(values).all():
        ax.plot([], [], "x", color="0.4", label="a seed diverged")
    if ax.get_legend_handles_labels()[1]:
        ax.legend(fontsize=8, frameon=False, ncols=1 + len(families) // 12 if joined else 1)
    seeds = f"mean and range of {ds.sizes['seed']} seeds" if ds.sizes["seed"] > 1 else "one seed"
    ax.set(xlabel=describe(axis), ylabel=f"final {describe(metric)}")
    ax.set_title(f"{title} ({seeds})" if title else seeds, fontsize=10)
    return figure


def _varies(column: np.ndarray) -> bool:
    return len(np.unique(column[present(column)])) > 1


def _families(others: Mapping[str, np.ndarray], n: int) -> dict[str, np.ndarray]:
    """The settings that differ in nothing but the horizontal axis, by what they share in words."""
    parts = []
    for name, column in others.items():
        there = present(column)
        if _varies(column) or not there.all():
            words = [f"{describe(name)} {number(value)}" for value in column.tolist()]
            parts.append([word if here else "" for word, here in zip(words, there, strict=True)])
    rows: dict[str, list[int]] = {}
    for i, shared in enumerate(zip(*parts, strict=True) if parts else [()] * n):
        rows.setdefault(", ".join(filter(None, shared)), []).append(i)
    return {name: np.array(members) for name, members in rows.items()}


def _final_line(ax: Axes, x: np.ndarray, values: np.ndarray, look: tuple[int, str, str]) -> None:
    """Values `[settings, seeds]` against `x [settings]`; NaN leaves a gap and a cross at the lower edge."""
    i, style, name = look
    color, mean = COLORS[i % len(COLORS)], values.mean(axis=1)
    low, high = values.min(axis=1), values.max(axis=1)
    ax.plot(x, mean, marker="o", linestyle=style, markersize=3.5, color=color, linewidth=1.3, label=name or None)
    if style and values.shape[1] > 1:
        ax.fill_between(x, low, high, color=color, alpha=0.18, linewidth=0)
    elif values.shape[1] > 1:
        ax.vlines(x, low, high, color=color, alpha=0.4, linewidth=1)
    gone = x[~np.isfinite(mean)]
    height = np.full(len(gone), 0.03 + 0.035 * (i % 8))
    crosses = ax.plot(gone, height, "x", color=color, markersize=5, markeredgewidth=1.3)
    crosses[0].set_transform(ax.get_xaxis_transform())


def _mark_best(ax: Axes, x: np.ndarray, means: np.ndarray, maximise: bool) -> None:
    if not np.isfinite(means).any():
        return
    at = int(np.nanargmax(means) if maximise else np.nanargmin(means))
    ax.plot(x[at], means[at], "o", markersize=11, markerfacecolor="none", markeredgecolor="black")
    text, away = f"best: {number(means[at])} at {number(x[at])}", 11 if maximise else -17
    ax.annotate(text, (x[at], means[at]), (0, away), textcoords="offset points", ha="center", fontsize=8)
    if ax.get_autoscaley_on():
        ax.margins(y=0.12)


def _scale(ax: Axes, x: np.ndarray, values: np.ndarray, bounded: bool) -> None:
    """Logarithmic axes where values above zero span more than a decade; room for all that was tried."""
    x = x[np.isfinite(x)]
    if x.min() > 0 and x.max() / x.min() > 10:
        ax.set_xscale("log")
        ax.set_xlim(x.min() / 1.5, x.max() * 1.5)
    found = values[np.isfinite(values)]
    if not bounded and found.size and found.min() > 0 and found.max() / found.min() > 10:
        ax.set_yscale("log")
        if found.max() / found.min() > _DECADES:
            ax.set_ylim(found.min() / 3, found.min() * _DECADES)
