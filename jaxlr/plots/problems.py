"""The problems themselves: points of a plane with their classes, and descents on a one-dimensional cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from jaxlr.plots.style import COLORS, new_figure, number

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure


def scatter(x: np.ndarray, labels: np.ndarray, *, title: str = "") -> Figure:
    """Points of a plane `[N, 2]` coloured by their class `[N]`.

    >>> import numpy as np
    >>> figure = scatter(np.zeros((4, 2)), np.array([0, 1, 0, 1]))
    >>> len(figure.axes[0].collections)
    2
    """
    figure, axes = new_figure(1, 1, 5.2, 4.2)
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
    figure, axes = new_figure(1, len(rates), 3.4, 3.0, sharex=False)
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
