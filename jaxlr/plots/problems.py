"""The problems themselves: points of a plane with their classes, and descents on costs of one and two variables."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxlr.plots.style import COLORS, describe, new_figure, number, one_axes

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def scatter(x: np.ndarray, labels: np.ndarray, *, title: str = "", ax: Axes | None = None) -> Figure:
    """Points of a plane, coloured by their class.

    Args:
        x: the points `[N, 2]`.
        labels: their classes `[N]`.
        title: a line above.
        ax: where to draw; by default a new figure.

    Returns:
        The figure.

    >>> import numpy as np
    >>> figure = scatter(np.zeros((4, 2)), np.array([0, 1, 0, 1]))
    >>> len(figure.axes[0].collections)
    2
    """
    figure, ax = one_axes(ax, 5.2, 4.2)
    markers = "os^Dv"
    for i, label in enumerate(np.unique(labels)):
        chosen = labels == label
        color, marker = COLORS[i % len(COLORS)], markers[i % len(markers)]
        ax.scatter(
            x[chosen, 0],
            x[chosen, 1],
            s=14,
            color=color,
            marker=marker,
            alpha=0.7,
            linewidths=0,
            label=f"class {label}",
        )
    ax.set(xlabel="first feature", ylabel="second feature", title=title)
    ax.legend(fontsize=8, frameon=False)
    return figure


def descents(cost: Any, paths: xr.DataArray, *, title: str = "") -> Figure:
    """Gradient descent on a one-dimensional cost: one panel for each learning rate.

    Args:
        cost: function of an array of positions.
        paths: positions `(learning_rate, step)`.
        title: a line above all.

    Returns:
        The figure.

    >>> import xarray as xr
    >>> paths = xr.DataArray([[1.0, 0.8, 0.6]], {"learning_rate": [0.1]}, ("learning_rate", "step"))
    >>> [ax.get_title() for ax in descents(np.square, paths).axes]
    ['learning rate = 0.1']
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


def contours(
    cost: Callable[[Any, Any], Any], x: xr.DataArray, y: xr.DataArray, *, columns: int = 3, title: str = ""
) -> Figure:
    """Paths on the contour lines of a cost of two variables: one panel for each value of what was swept.

    Contour lines stand at equal steps of the square root of the cost above its lowest value in the picture, so that
    those of a quadratic cost are evenly spaced. Paths that leave the picture are cut off at its edge.

    Args:
        cost: `(x, y) -> cost`, for arrays.
        x: positions `(<swept>, step)`.
        y: positions, of the same dimensions.
        columns: panels side by side.
        title: a line above all.

    Returns:
        The figure.

    Raises:
        ValueError: the positions have not the same two dimensions, of which the last is `step`.

    >>> import jax.numpy as jnp
    >>> from jaxlr import grid, sweep
    >>> def descend(key, lr):
    ...     return {"x": (1 - lr) ** jnp.arange(5.0), "y": (1 - 3 * lr) ** jnp.arange(5.0)}
    >>> ds = sweep(descend, grid(lr=[0.1, 0.5])).isel(seed=0)
    >>> [ax.get_title() for ax in contours(lambda x, y: x**2 + 3 * y**2, ds["x"], ds["y"]).axes]
    ['lr = 0.1', 'lr = 0.5']
    """
    if x.dims != y.dims or len(x.dims) != 2 or x.dims[1] != "step":
        raise ValueError(f"x and y must have the dimensions (<swept>, step), got {x.dims} and {y.dims}")
    over = str(x.dims[0])
    names = [number(value) for value in x[over].values.tolist()]
    columns = min(columns, len(names))
    figure, axes = new_figure(-(-len(names) // columns), columns, 3.2, 2.8)
    reach = 1.25 * max(np.abs(x.values[:, 0]).max(), np.abs(y.values[:, 0]).max())
    ground = np.linspace(-reach, reach, 120)
    plane = np.asarray(cost(*np.meshgrid(ground, ground)))
    levels = plane.min() + np.linspace(0, 1, 13)[1:] ** 2 * (plane.max() - plane.min())
    for i, (ax, name) in enumerate(zip(axes.flat, names, strict=False)):
        ax.contour(ground, ground, plane, levels=levels, colors="0.75", linewidths=0.8)
        ax.plot(x.values[i], y.values[i], "o-", color=COLORS[1], markersize=3, linewidth=1.0)
        ax.plot(x.values[i, :1], y.values[i, :1], "o", color=COLORS[0], markersize=6)
        ax.set(xlim=(-reach, reach), ylim=(-reach, reach))
        ax.set_title(f"{describe(over)} = {name}", fontsize=9)
        ax.grid(False)
    for ax in axes.flat[len(names) :]:
        ax.set_visible(False)
    figure.suptitle(title, fontsize=10)
    return figure
