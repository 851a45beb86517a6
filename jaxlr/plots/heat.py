"""Two hyperparameters at once: the final metric as colours in their plane."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxlr.plots import settings
from jaxlr.plots.style import ceiling, describe, is_ladder, number, of_seeds, one_axes, shades, spans_decades
from jaxlr.results import columns, default_metric, maximised, present
from jaxlr.results.directions import Mode

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

_WRITTEN = 120
"""Most cells that have their value written in them."""


class _Cells(NamedTuple):
    """A table of the plane, `[rows, columns]`: the metric, and which cells were tried."""

    x: np.ndarray
    y: np.ndarray
    values: np.ndarray
    tried: np.ndarray


def heatmap(
    ds: xr.Dataset,
    x: str,
    y: str,
    metric: str | None = None,
    *,
    mode: Mode | None = None,
    title: str = "",
    ax: Axes | None = None,
) -> Figure:
    """The final metric as colours over two hyperparameters.

    A cell is the mean over the seeds at the last computed epoch; where other hyperparameters vary too, the best over
    them. The best cell is framed, one with a diverged seed in every setting is crossed, one that was not tried is
    empty. Settings that form no table, such as sampled ones, are points. The colours of losses end at three times their
    median, and ten times the lowest at least: those just short of diverging would flatten all others.

    Args:
        ds: a result of `sweep`.
        x: the horizontal hyperparameter, with several values.
        y: the vertical one.
        metric: the variable; by default `val_loss`, or `loss` without test data.
        mode: "min" or "max"; needed where the metric's name says neither loss, error nor accuracy.
        title: a line above.
        ax: where to draw; by default a new figure.

    Returns:
        The figure.

    Raises:
        ValueError: `x` or `y` is no hyperparameter with several values, both are the same, or the metric is unknown.

    >>> from jaxlr import grid, sweep
    >>> space = grid(lr=[0.1, 0.2, 0.3], momentum=[0.0, 0.9])
    >>> figure = heatmap(sweep(lambda key, lr, momentum: {"loss": lr + momentum}, space), "lr", "momentum")
    >>> [text.get_text() for text in figure.axes[0].texts][:3]
    ['0.1', '0.2', '0.3']
    """
    metric = default_metric(ds, metric)
    known = [name for name, column in columns(ds).items() if settings.varies(column)]
    for argument, name in (("x", x), ("y", y)):
        if name not in known:
            raise ValueError(
                f"{argument} must be a hyperparameter with several values, {', '.join(known) or 'none'}; got {name!r}"
            )
    if x == y:
        raise ValueError(f"x and y must be two hyperparameters, got {x!r} twice")
    values = settings.final_values(ds, metric).mean(axis=1)
    more = maximised(metric, mode)
    figure, ax = one_axes(ax, 6.4, 4.4)
    norm = _norm(values, more)
    cells = _cells(ds, x, y, values, more)
    if _is_table(cells, len(values)):
        _draw_table(ax, cells, norm, more)
    else:
        _draw_points(ax, columns(ds)[x], columns(ds)[y], values, norm, more)
    _color_bar(figure, ax, norm, values, metric, [name for name in settings.varying(ds) if name not in (x, y)])
    seeds = of_seeds("mean", ds.sizes["seed"])
    ax.set(xlabel=describe(x), ylabel=describe(y))
    ax.set_title(f"{title} ({seeds})" if title else seeds, fontsize=10)
    return figure


def _norm(values: np.ndarray, bounded: bool) -> Normalize:
    from matplotlib.colors import LogNorm, Normalize

    found = values[np.isfinite(values)]
    if not found.size:
        return Normalize(0, 1)
    if bounded:
        return Normalize(found.min(), found.max())
    top = ceiling(found)
    return (LogNorm if spans_decades(found, 5) else Normalize)(found.min(), top, clip=True)


def _cells(ds: xr.Dataset, x: str, y: str, values: np.ndarray, maximise: bool) -> _Cells:
    tried = columns(ds)
    here = present(tried[x]) & present(tried[y])
    (across, i), (up, j) = (_levels(tried[name][here]) for name in (x, y))
    table = np.full((len(up), len(across)), np.nan)
    touched = np.zeros(table.shape, bool)
    touched[j, i] = True
    choose = np.fmax if maximise else np.fmin
    for row, column, value in zip(j, i, values[here], strict=True):
        table[row, column] = choose(table[row, column], value)
    return _Cells(across, up, table, touched)


def _levels(column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The values and where each setting has its own: numbers in their order, words in that of the space."""
    levels, first, where = np.unique(column, return_index=True, return_inverse=True)
    if column.dtype.kind in "fi":
        return levels, where
    order = np.argsort(first)
    return levels[order], np.argsort(order)[where]


def _is_table(cells: _Cells, count: int) -> bool:
    """Words make a table of any settings; numbers do where most cells were tried, or a value was tried twice."""
    if cells.x.dtype.kind not in "fi" or cells.y.dtype.kind not in "fi":
        return True
    return bool(2 * cells.tried.sum() >= cells.tried.size) or len(cells.x) + len(cells.y) <= count // 2


def _draw_table(ax: Axes, cells: _Cells, norm: Normalize, maximise: bool) -> None:
    from matplotlib.patches import Rectangle

    rows, across = cells.values.shape
    ax.grid(False)
    colors = shades()
    ax.pcolormesh(np.arange(across + 1) - 0.5, np.arange(rows + 1) - 0.5, cells.values, cmap=colors, norm=norm)
    size = 8 if cells.values.size <= _WRITTEN // 2 else 6
    for (j, i), value in np.ndenumerate(cells.values):
        if np.isnan(value) and cells.tried[j, i]:
            ax.plot(i, j, "x", color="0.45", markersize=7)
        elif np.isfinite(value) and cells.values.size <= _WRITTEN:
            ax.text(i, j, _short(value), ha="center", va="center", fontsize=size, color=_ink(colors(norm(value))))
    ax.set_xticks(range(across), [number(value) for value in cells.x.tolist()])
    ax.set_yticks(range(rows), [number(value) for value in cells.y.tolist()])
    ax.tick_params(axis="x", labelrotation=0 if across <= 12 else 90)
    ax.set(xlim=(-0.5, across - 0.5), ylim=(-0.5, rows - 0.5))
    if np.isfinite(cells.values).any():
        at = (np.nanargmax if maximise else np.nanargmin)(cells.values)
        j, i = np.unravel_index(at, cells.values.shape)
        ax.add_patch(Rectangle((i - 0.5, j - 0.5), 1, 1, fill=False, edgecolor="#D55E00", linewidth=2.2, clip_on=False))


def _short(value: float) -> str:
    """Three digits, or the order of magnitude of what does not fit into a cell."""
    return f"{value:.3g}" if 1e-3 < abs(value) < 1e4 or value == 0 else number(float(f"{value:.0e}"))


def _ink(color: tuple[float, ...]) -> str:
    """Black or white, whichever is legible on the colour: by its relative luminance."""
    return "black" if float(np.dot(color[:3], (0.2126, 0.7152, 0.0722))) > 0.45 else "white"


def _draw_points(ax: Axes, x: np.ndarray, y: np.ndarray, values: np.ndarray, norm: Normalize, maximise: bool) -> None:
    good = np.isfinite(values)
    ax.scatter(x[good], y[good], c=values[good], cmap=shades(), norm=norm, s=45, edgecolors="white", linewidths=0.5)
    ax.plot(x[~good], y[~good], "x", color="0.45", markersize=6)
    if good.any():
        best = int((np.nanargmax if maximise else np.nanargmin)(values))
        ax.plot(x[best], y[best], "o", markersize=12, markerfacecolor="none", markeredgecolor="#D55E00", mew=2)
    if is_ladder(x):
        ax.set_xscale("log")
    if is_ladder(y):
        ax.set_yscale("log")


def _color_bar(figure: Figure, ax: Axes, norm: Normalize, values: np.ndarray, metric: str, others: list[str]) -> None:
    from matplotlib.cm import ScalarMappable

    words = f"final {describe(metric)}"
    if others:
        words += f", best over {', '.join(map(describe, others))}"
    beyond = norm.vmax is not None and bool((values > norm.vmax).any())
    bar = figure.colorbar(ScalarMappable(norm, shades()), ax=ax, label=words, extend="max" if beyond else "neither")
    bar.ax.tick_params(which="both", labelsize=8)
