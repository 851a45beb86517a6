"""Curves along the training, with bands over the seeds: in panels, overlaid, and with the rate below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxlr.plots import settings
from jaxlr.plots.style import (
    COLORS,
    DECADES,
    STYLES,
    describe,
    is_ladder,
    new_figure,
    note_cut,
    of_seeds,
    one_axes,
    ordered,
    shades,
    spans_decades,
    whole_steps,
)
from jaxlr.results import default_metric, direction

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure

_FLOOR = 1e-10
"""Smallest value on a logarithmic axis: rates below it change no weight."""

_MOST = 200
"""Most curves that are drawn into one panel."""

_NAMED = 2 * len(COLORS)
"""Most curves that a legend tells apart."""


def _seeds(ax: Axes, values: xr.DataArray, color: Any, name: str | None, style: str = "-") -> None:
    """Every seed as a thin line and their median as a thick one: for values that span decades.

    Of an even number of seeds it is the lower of the two in the middle: a rate that some seed had.
    """
    curves = values.transpose("seed", ...)
    x = values[str(curves.dims[1])].values
    ax.plot(x, curves.values.T, color=color, linewidth=0.6, alpha=0.45)
    median = np.quantile(curves.values, 0.5, axis=0, method="lower")
    ax.plot(x, median, color=color, linewidth=1.8, linestyle=style, label=name)


def _line(ax: Axes, values: xr.DataArray, color: Any, name: str | None, style: str = "-") -> None:
    """The median over the seeds alone, where bands of many settings would hide one another."""
    x = values[str(values.dims[-1])].values
    ax.plot(x, values.median("seed", skipna=False).values, color=color, linewidth=1.3, linestyle=style, label=name)


def _band(ax: Axes, values: xr.DataArray, color: Any, name: str | None, style: str = "-") -> None:
    """The mean over the seeds as a line and the range of all seeds as a band."""
    curves = values.transpose("seed", ...)
    x = values[str(curves.dims[1])].values
    ax.plot(x, curves.mean("seed").values, color=color, linewidth=1.3, linestyle=style, label=name)
    if values.sizes["seed"] > 1:
        low, high = values.min("seed").values, values.max("seed").values
        ax.fill_between(x, low, high, color=color, alpha=0.18, linewidth=0)


def panels(
    ds: xr.Dataset,
    over: str,
    metrics: Sequence[str] | None = None,
    *,
    columns: int = 2,
    log: bool = False,
    title: str = "",
) -> Figure:
    """One panel for each value of a hyperparameter: the metrics along the training, with bands over seeds.

    The panels share their axes, so that heights compare at a glance.

    Args:
        ds: a result of `sweep`.
        over: the hyperparameter; it must tell the settings apart. Settings that lack it are left out.
        metrics: variables along `epoch` or `step` to draw in every panel; by default the train and the test accuracy,
            or losses where there is no accuracy.
        columns: panels side by side.
        log: a logarithmic vertical axis, down to 1e-10, with every seed and their median as lines.
        title: a line above all.

    Returns:
        The figure.

    Raises:
        ValueError: `over` is no hyperparameter or several settings have one value of it, or a metric is no curve.

    >>> import jax.numpy as jnp
    >>> from jaxlr import grid, sweep
    >>> ds = sweep(lambda key, lr: {"loss": lr ** jnp.arange(5.0)}, grid(lr=[0.1, 0.2, 0.3]), seeds=2)
    >>> [ax.get_title() for ax in panels(ds, "lr", ["loss"]).axes[:3]]
    ['lr = 0.1', 'lr = 0.2', 'lr = 0.3']
    """
    metrics = _pair(ds) if metrics is None else list(metrics)
    found = settings.curves(ds, over, metrics)
    rows = -(-len(found.names) // columns)
    figure, axes = new_figure(rows, columns, 3.6, 2.1)
    # Beside such scales there is no exponent for a title to avoid; looking for one is a fifth of the time of drawing.
    height = 1.0 if log or all(direction(metric) == "max" for metric in metrics) else None
    for i, (ax, value) in enumerate(zip(axes.flat, found.names, strict=False)):
        for metric, color in zip(metrics, COLORS, strict=False):
            (_seeds if log else _band)(ax, found.curves[metric].isel(setting=i), color, describe(metric))
        ax.set_title(f"{found.over} = {value}", fontsize=9, y=height)
        whole_steps(ax, 5)
        if log:
            ax.set_yscale("log")
    for ax in axes.flat[len(found.names) :]:
        ax.set_visible(False)
    _share_heights(list(axes.flat[: len(found.names)]))
    for ax in axes[:, 1:].flat:
        ax.tick_params(labelleft=False)
    for ax in axes.flat[len(found.names) - min(columns, len(found.names)) : len(found.names)]:
        ax.set_xlabel(found.along, fontsize=9)
        ax.tick_params(labelbottom=True)
    for ax in axes[:, 0]:
        ax.set_ylabel(describe(metrics[0]) if len(metrics) == 1 else _common(metrics), fontsize=9)
    seeds = of_seeds("median and each" if log else "mean and range", ds.sizes["seed"])
    figure.suptitle(f"{title} ({seeds})" if title else seeds, fontsize=10)
    if len(metrics) > 1:
        handles, names = axes.flat[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=len(metrics), fontsize=9, frameon=False)
    return figure


def _pair(ds: xr.Dataset) -> list[str]:
    """The train and the validation accuracy, or losses; those that there are."""
    for pair in (("accuracy", "val_accuracy"), ("loss", "val_loss")):
        there = [name for name in pair if name in ds]
        if there:
            return there
    return [default_metric(ds, None)]


def _common(metrics: Sequence[str]) -> str:
    words = {describe(metric).split()[-1] for metric in metrics}
    return words.pop() if len(words) == 1 else "value"


def _share_heights(axes: Sequence[Axes]) -> None:
    limits = np.array([ax.get_ylim() for ax in axes])
    low = limits[:, 0].min()
    for ax in axes:
        ax.set_ylim(max(low, _FLOOR) if ax.get_yscale() == "log" else low, limits[:, 1].max())


def overlay(
    ds: xr.Dataset,
    over: str | None = None,
    metric: str | None = None,
    *,
    log: bool = False,
    title: str = "",
    ax: Axes | None = None,
) -> Figure:
    """The curves of all settings in one panel: up to seven with bands over the seeds, more as medians.

    Three values of one number or more are coloured in their order, more than seven with a bar of colours beside; other
    settings have a colour each and a line in the legend. Of more than 200 settings, 200 are drawn, evenly spaced in
    what they came to.

    Args:
        ds: a result of `sweep`.
        over: the hyperparameter that names the curves; it must tell the settings apart, and settings that lack it are
            left out. None names each setting by all that varies.
        metric: a variable along `epoch` or `step`; by default `val_loss`, or `loss` without test data.
        log: a logarithmic vertical axis; up to seven settings then have the median and each seed as lines.
        title: a line above.
        ax: where to draw; by default a new figure.

    Returns:
        The figure.

    Raises:
        ValueError: `over` is no hyperparameter or several settings have one value of it, or the metric is no curve.

    >>> import jax.numpy as jnp
    >>> from jaxlr import grid, sweep
    >>> ds = sweep(lambda key, lr: {"loss": lr ** jnp.arange(5.0)}, grid(lr=[0.1, 0.2, 0.3]), seeds=2)
    >>> [text.get_text() for text in overlay(ds).axes[0].get_legend().get_texts()]
    ['0.1', '0.2', '0.3']
    """
    metric = default_metric(ds, metric)
    whole = settings.curves(ds, over, [metric])
    found = settings.thinned(whole, metric, _MOST)
    figure, ax = one_axes(ax, 6.4, 4.0)
    _explain(figure, [ax], found, _draw_all(ax, found, metric, log))
    ax.set(xlabel=found.along, ylabel=describe(metric))
    whole_steps(ax)
    ax.set_title(_title(title, found, log, len(whole.names)), fontsize=10)
    return figure


def _title(title: str, found: settings.Curves, log: bool, of: int) -> str:
    drawn = "median" if len(found.names) > len(COLORS) else "median and each" if log else "mean and range"
    (values, *_) = found.curves.values()
    words = of_seeds(drawn, values.sizes["seed"])
    if len(found.names) < of:
        words = f"{len(found.names)} of {of:,} settings, {words}"
    return f"{title} ({words})" if title else words


def _draw_all(ax: Axes, found: settings.Curves, metric: str, log: bool) -> ScalarMappable | None:
    """Every setting's curve, named in the legend or coloured by its number; then what the colours mean."""
    curves, colors = found.curves[metric], _ordered_colors(found)
    draw = _line if len(found.names) > len(COLORS) else _seeds if log or metric == "rate" else _band
    if colors is None:
        named = len(found.names) <= _NAMED
        for place, i in enumerate(_rising(found)):
            style = STYLES[place // len(COLORS) % len(STYLES)]
            label = found.names[i] if named else None
            draw(ax, curves.isel(setting=i), _color(found, place), label, style)
    else:
        assert found.values is not None
        for i in np.argsort(found.values, kind="stable"):
            draw(ax, curves.isel(setting=int(i)), colors.to_rgba(found.values[i]), None)
    _fit_height(ax, curves.values, metric, log)
    if metric != "rate":
        note_cut(ax, curves.median("seed").values if draw is _line else curves.values)
    return colors


def _rising(found: settings.Curves) -> list[int]:
    """The settings in the order of their number, where one tells them apart."""
    if found.values is None:
        return list(range(len(found.names)))
    return [int(i) for i in np.argsort(found.values, kind="stable")]


def _color(found: settings.Curves, place: int) -> Any:
    """Ordered colours for three values of a number or more, distinct ones for anything else."""
    if found.values is not None and len(found.names) > 2:
        return ordered(len(found.names))[place]
    return COLORS[place % len(COLORS)]


def _ordered_colors(found: settings.Curves) -> ScalarMappable | None:
    """Number -> colour, where one number tells more settings apart than there are distinct colours."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LogNorm, Normalize

    values = found.values
    if values is None or len(values) <= len(COLORS):
        return None
    return ScalarMappable((LogNorm if is_ladder(values) else Normalize)(values.min(), values.max()), shades())


def _explain(figure: Figure, axes: Sequence[Axes], found: settings.Curves, colors: ScalarMappable | None) -> None:
    """A legend, or a bar of colours beside all axes."""
    if colors is not None:
        figure.colorbar(colors, ax=list(axes), label=found.over).ax.tick_params(labelsize=8)
    elif 1 < len(found.names) <= _NAMED:
        beside: dict[str, Any] = (
            {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)} if len(found.names) > len(COLORS) else {}
        )
        axes[0].legend(title=found.over, title_fontsize=8, fontsize=8, frameon=False, **beside)


def _fit_height(ax: Axes, values: np.ndarray, metric: str, log: bool) -> None:
    """Losses `[setting, seed, along]` just short of diverging do not flatten all others; rates stand on a floor."""
    found = values[np.isfinite(values)]
    if log:
        ax.set_yscale("log")
    if direction(metric) == "max" or not found.size:
        return
    if log:
        low, high = ax.get_ylim()
        found = found[found > 0]
        typical = float(np.median(found)) if found.size else 1.0
        top = high if metric == "rate" else min(high, typical * DECADES**0.5)
        ax.set_ylim(max(low, _FLOOR if metric == "rate" else typical / DECADES), top)
        return
    drawn = np.median(values, axis=1, keepdims=True) if len(values) > len(COLORS) else values
    highest = np.where(np.isfinite(drawn), drawn, -np.inf).max(axis=(1, 2))
    usual = float(np.median(highest))
    if metric != "rate" and highest.max() > 10 * usual > 0:
        ax.set_ylim(min(float(found.min()), 0), 1.5 * usual)


def with_rate(
    ds: xr.Dataset,
    over: str | None = None,
    metric: str | None = None,
    *,
    log: bool = False,
    title: str = "",
) -> Figure:
    """The curves of all settings and, below them on the same epochs, the learning rate that each used.

    Args:
        ds: a result of `sweep` with the variable `rate`.
        over: the hyperparameter that names the curves, as in `overlay`.
        metric: the variable above; by default `val_loss`, or `loss` without test data.
        log: a logarithmic vertical axis for the metric. The rates have one where they span more than a decade.
        title: a line above.

    Returns:
        The figure.

    Raises:
        ValueError: the rate is not in the result or unknown, or as for `overlay`.

    >>> import jax.numpy as jnp
    >>> from jaxlr import grid, sweep
    >>> def train(key, lr):
    ...     return {"loss": lr ** jnp.arange(5.0), "rate": jnp.full(5, lr)}
    >>> [ax.get_ylabel() for ax in with_rate(sweep(train, grid(lr=[0.1, 0.2]))).axes]
    ['train loss', 'learning rate']
    """
    metric = default_metric(ds, metric)
    whole = settings.curves(ds, over, [metric, "rate"])
    found = settings.thinned(whole, metric, _MOST)
    rates = found.curves["rate"].values
    if not np.isfinite(rates).any():
        raise ValueError(f"the rate must be known to be drawn; here it is {ds.attrs.get('rate_note', 'NaN')}")
    figure, axes = new_figure(2, 1, 6.4, 2.6)
    above, below = axes[:, 0]
    above.get_gridspec().set_height_ratios([2, 1])
    colors = _draw_all(above, found, metric, log)
    # Seeds drop their rates at different epochs: a mean over them would show rates that none of them used.
    _draw_all(below, found, "rate", spans_decades(rates[rates > 0]))
    _explain(figure, [above, below], found, colors)
    above.set(ylabel=describe(metric))
    above.set_title(_title(title, found, log, len(whole.names)), fontsize=10)
    below.set(xlabel=found.along, ylabel=describe("rate"))
    whole_steps(below)
    return figure
