"""Curves over the epochs, with bands over the seeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from jaxlr.plots.style import COLORS, describe, new_figure, number

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FLOOR = 1e-10
"""Smallest value on a logarithmic axis: rates below it change no weight."""


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
    figure, axes = new_figure(rows, columns, 3.6, 2.1)
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
