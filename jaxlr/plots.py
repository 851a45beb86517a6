"""Pictures of results. The only module that draws: every function takes labelled arrays and returns a figure.

Figures are plain `matplotlib.figure.Figure` objects: save one with `figure.savefig(path)`. The colours are
the Okabe-Ito set, which stays distinct for colour-blind readers and in print.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from jaxlr.results import columns, final, maximised, present

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

__all__ = ["COLORS", "descents", "final_against", "lines", "panels", "scatter"]

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito: blue, vermilion, green, purple, orange, sky blue, black."""

_FLOOR = 1e-10
"""Smallest value on a logarithmic axis: rates below it change no weight."""

_DECADES = 1e5
"""Span of a logarithmic axis of losses: those just short of diverging would flatten all others."""

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


def _new(rows: int, columns: int, width: float, height: float, *, sharex: bool = True) -> tuple[Figure, np.ndarray]:
    figure = Figure(figsize=(width * columns, height * rows), dpi=130, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharex=sharex)
    for ax in axes.flat:
        _style(ax)
    return figure, axes


def _style(ax: Axes) -> None:
    ax.grid(True, color="0.88", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=8)


def _seeds(ax: Axes, values: xr.DataArray, color: str, name: str) -> None:
    """Every seed as a thin line and their median as a thick one: for values that span decades."""
    x, curves = values["epoch"].values, values.transpose("seed", "epoch").values
    ax.plot(x, curves.T, color=color, linewidth=0.6, alpha=0.45)
    ax.plot(x, np.median(curves, axis=0), color=color, linewidth=1.8, label=name)


def _band(ax: Axes, values: xr.DataArray, color: str, name: str) -> None:
    """The mean over the seeds as a line and the range of all seeds as a band."""
    x = values["epoch"].values
    mean = values.mean("seed").values
    ax.plot(x, mean, color=color, linewidth=1.3, label=name)
    if values.sizes["seed"] > 1:
        low, high = values.min("seed").values, values.max("seed").values
        ax.fill_between(x, low, high, color=color, alpha=0.18, linewidth=0)


def panels(
    ds: xr.Dataset,
    over: str,
    metrics: Sequence[str] = ("accuracy", "val_accuracy"),
    *,
    columns: int = 2,
    log: bool = False,
    title: str = "",
) -> Figure:
    """One panel for each value of a hyperparameter: the metrics against the epoch, with bands over seeds.

    The panels share their axes, so that heights compare at a glance.

    Args:
        ds: a result whose only swept dimension is `over`.
        over: the hyperparameter, a dimension of `ds`.
        metrics: variables `(over, seed, epoch)` to draw in every panel.
        columns: panels side by side.
        log: a logarithmic vertical axis, down to 1e-10, with every seed and their median as lines.
        title: a line above all.

    Raises:
        ValueError: `ds` has other dimensions than `over`, `seed` and `epoch`, or lacks a metric.
    """
    for metric in metrics:
        if metric not in ds or set(ds[metric].dims) != {over, "seed", "epoch"}:
            found = dict(ds[metric].sizes) if metric in ds else f"only {', '.join(map(str, ds.data_vars))}"
            raise ValueError(f"{metric} must have the dimensions {over}, seed, epoch; got {found}")
    values = ds[over].values
    rows = -(-len(values) // columns)
    figure, axes = _new(rows, columns, 3.6, 2.1)
    for i, (ax, value) in enumerate(zip(axes.flat, values, strict=False)):
        for metric, color in zip(metrics, COLORS, strict=False):
            (_seeds if log else _band)(ax, ds[metric].isel({over: i}), color, describe(metric))
        ax.set_title(f"{describe(over)} = {number(value)}", fontsize=9)
        if log:
            ax.set_yscale("log")
    for ax in axes.flat[len(values) :]:
        ax.set_visible(False)
    _share_heights(list(axes.flat[: len(values)]))
    for ax in axes[-1]:
        ax.set_xlabel("epoch", fontsize=9)
    for ax in axes[:, 0]:
        ax.set_ylabel(describe(metrics[0]) if len(metrics) == 1 else _common(metrics), fontsize=9)
    drawn = "median and each" if log else "mean and range"
    seeds = f"{drawn} of {ds.sizes['seed']} seeds" if ds.sizes["seed"] > 1 else "one seed"
    figure.suptitle(f"{title} ({seeds})" if title else seeds, fontsize=10)
    if len(metrics) > 1:
        handles, names = axes.flat[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=len(metrics), fontsize=9, frameon=False)
    return figure


def _common(metrics: Sequence[str]) -> str:
    words = {describe(metric).split()[-1] for metric in metrics}
    return words.pop() if len(words) == 1 else "value"


def _share_heights(axes: Sequence[Axes]) -> None:
    limits = np.array([ax.get_ylim() for ax in axes])
    low = limits[:, 0].min()
    for ax in axes:
        ax.set_ylim(max(low, _FLOOR) if ax.get_yscale() == "log" else low, limits[:, 1].max())


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
    figure, axes = _new(1, 1, 6.4, 4.0)
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


def lines(
    curves: Mapping[str, Any],
    *,
    x: Any = None,
    title: str = "",
    xlabel: str = "step",
    ylabel: str = "learning rate",
    log: bool = False,
) -> Figure:
    """Named curves in one panel, such as schedules tabulated over their steps.

    Args:
        curves: name -> values `[T]`.
        x: horizontal positions `[T]`; 0 to T - 1 by default.
        title: a line above.
        xlabel: horizontal axis.
        ylabel: vertical axis.
        log: a logarithmic vertical axis.

    >>> figure = lines({"constant": [0.1, 0.1], "falling": [0.1, 0.05]})
    >>> len(figure.axes[0].lines)
    2
    """
    figure, axes = _new(1, 1, 6.0, 3.6)
    ax = axes[0, 0]
    styles = ("-", "--", "-.", ":")
    for i, (name, values) in enumerate(curves.items()):
        values = np.asarray(values)
        positions = np.arange(len(values)) if x is None else np.asarray(x)
        ax.plot(
            positions,
            values,
            color=COLORS[i % len(COLORS)],
            linestyle=styles[i % 4],
            linewidth=1.6,
            label=name,
        )
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title)
    if log:
        ax.set_yscale("log")
    else:
        ax.set_ylim(bottom=min(0.0, ax.get_ylim()[0]))
    ax.legend(fontsize=8, frameon=False)
    return figure


def scatter(x: np.ndarray, labels: np.ndarray, *, title: str = "") -> Figure:
    """Points of a plane `[N, 2]` coloured by their class `[N]`.

    >>> import numpy as np
    >>> figure = scatter(np.zeros((4, 2)), np.array([0, 1, 0, 1]))
    >>> len(figure.axes[0].collections)
    2
    """
    figure, axes = _new(1, 1, 5.2, 4.2)
    ax = axes[0, 0]
    markers = "os^Dv"
    for i, label in enumerate(np.unique(labels)):
        chosen = labels == label
        color, marker = COLORS[i % len(COLORS)], markers[i % len(markers)]
        ax.scatter(*x[chosen].T, s=14, color=color, marker=marker, alpha=0.7, linewidths=0, label=f"class {label}")
    ax.set(xlabel="first feature", ylabel="second feature", title=title)
    ax.legend(fontsize=8, frameon=False)
    return figure


def descents(cost: Any, paths: xr.DataArray, *, title: str = "") -> Figure:
    """Gradient descent on a one-dimensional cost: one panel for each learning rate.

    Args:
        cost: function of an array of positions.
        paths: positions `(learning_rate, step)`.
        title: a line above all.
    """
    rates = paths["learning_rate"].values
    figure, axes = _new(1, len(rates), 3.4, 3.0, sharex=False)
    for ax, rate in zip(axes.flat, rates, strict=True):
        path = paths.sel(learning_rate=rate).values
        reach = np.abs(path).max() * 1.15
        ground = np.linspace(-reach, reach, 200)
        ax.plot(ground, cost(ground), color="0.6", linewidth=1.2)
        ax.plot(path, cost(path), "o-", color=COLORS[1], markersize=3.5, linewidth=1.0)
        ax.plot(path[:1], cost(path[:1]), "o", color=COLORS[0], markersize=7)
        ax.set_title(f"learning rate = {number(rate)}", fontsize=9)
        ax.set_xlabel("position", fontsize=9)
    axes[0, 0].set_ylabel("cost", fontsize=9)
    figure.suptitle(title, fontsize=10)
    return figure
