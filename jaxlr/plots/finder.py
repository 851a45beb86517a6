"""The picture of a learning-rate finder: loss against rate, and what every method makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from jaxlr.finder import FoundRate, suggest
from jaxlr.plots.style import COLORS, ceiling, number, of_seeds, plain, spans_decades

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

_ROW = 0.19
"""Height of a method's row, in inches."""


def lr_range(found: Any, *, bounds: Mapping[str, float] | None = None, title: str = "") -> Figure:
    """Loss against the learning rate of a range test, the race, the recommendation, and every method's suggestion.

    Above, each seed's evaluation is a thin line and their median a thick one; the final losses of the race are
    points; the range worth sweeping is shaded. Below, each method's median over the seeds is a dot on the 10 to
    90 % range of the seeds.

    Args:
        found: what `find_lr` or `suggest` returned, or a range test's Dataset.
        bounds: name -> rate, further rates to mark, such as `{"2/λ": 0.3}`.
        title: a line above.

    Returns:
        The figure.

    Raises:
        ValueError: a Dataset is no range test.
        TypeError: a bound is no number.

    >>> import xarray as xr
    >>> rates = np.geomspace(1e-6, 1, 61)
    >>> loss = np.where(rates < 0.1, 1 / (1 + 50 * rates), np.nan)
    >>> ds = xr.Dataset({"eval_loss": (("seed", "step"), [loss]), "rate": ("step", rates)}).set_coords("rate")
    >>> figure = lr_range(ds, bounds={"2/λ": 0.3})
    >>> figure.axes[0].get_xscale(), len(figure.axes)
    ('log', 2)

    Reference: the picture is that of Smith, arXiv:1506.01186.
    """
    if not isinstance(found, FoundRate):
        found = suggest(found)
    marks = {name: float(rate) for name, rate in (bounds or {}).items()}
    methods = list(found.suggestions)
    below = _ROW * (len(methods) + 1)
    figure = Figure(figsize=(7.0, 3.6 + below), dpi=130, layout="constrained")
    above, strip = figure.subplots(2, 1, sharex=True, height_ratios=[3.6, below])
    for ax in (above, strip):
        plain(ax)
    _curves(above, found)
    _recommended(above, strip, found)
    for i, (name, rate) in enumerate(marks.items()):
        for ax in (above, strip):
            label = f"{name} = {number(float(f'{rate:.2g}'))}" if ax is above else None
            ax.axvline(rate, color=COLORS[3 + i % 3], linestyle=":", linewidth=1.6, label=label)
    _methods(strip, found)
    above.set_xscale("log")
    above.set_ylabel("loss", fontsize=9)
    strip.set_xlabel("learning rate", fontsize=9)
    figure.legend(*above.get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    silent = "" if found.recommendation else f"no recommendation: {found.reason}"
    above.set_title("\n".join(filter(None, (title, silent))), fontsize=10)
    return figure


def _curves(ax: Axes, found: FoundRate) -> None:
    ds: xr.Dataset = found.curve
    name = "eval_loss" if "eval_loss" in ds else "loss"
    rates, losses = ds["rate"].values, ds[name].transpose("seed", "step").values.astype(np.float64)
    losses = np.where(np.isfinite(losses), losses, np.nan)
    shown = of_seeds("median and each", len(losses))
    ax.plot(rates, losses.T, color=COLORS[0], linewidth=0.6, alpha=0.4)
    ax.plot(rates, _medians(losses), color=COLORS[0], linewidth=1.8, label=f"range test, {shown}")
    drawn, tried = [losses.ravel()], rates
    if found.race is not None:
        ends = found.race["eval_loss"].transpose("learning_rate", "seed").values.astype(np.float64)
        means = np.where(np.isfinite(ends), ends, np.nan).mean(axis=1)
        steps = found.race.sizes["step"]
        style: dict[str, Any] = {"color": COLORS[1], "linewidth": 1.2, "markersize": 4}
        ax.plot(found.race["learning_rate"].values, means, "o-", label=f"{steps} updates at one rate, mean", **style)
        drawn.append(means)
        tried = np.concatenate([rates, found.race["learning_rate"].values])
    ax.set_xlim(tried.min() / 1.5, tried.max() * 1.5)
    values = np.concatenate(drawn)
    values = values[np.isfinite(values)]
    if not values.size:
        return
    top = 1.1 * max(ceiling(values), float(np.nanmax(losses[:, 0], initial=values.min())))
    if spans_decades(values):
        ax.set_yscale("log")
        ax.set_ylim(values.min() / 1.2, top)
        ax.tick_params(which="minor", labelsize=6)
    elif values.min() < top:
        ax.set_ylim(values.min() - 0.05 * (top - values.min()), top)


def _medians(losses: np.ndarray) -> np.ndarray:
    """The median over the seeds, an exploded one counting as high; NaN where half of them have exploded."""
    medians = np.median(np.where(np.isnan(losses), np.inf, losses), axis=0)
    return np.where(np.isfinite(medians), medians, np.nan)


def _recommended(above: Axes, strip: Axes, found: FoundRate) -> None:
    if found.recommendation is None or found.low is None or found.high is None:
        return
    for ax in (above, strip):
        words = f"recommended: {found.recommendation:.2g}" if ax is above else None
        spread = f"worth sweeping: {found.low:.2g} to {found.high:.2g}" if ax is above else None
        ax.axvline(found.recommendation, color="black", linewidth=1.4, label=words)
        ax.axvspan(found.low, found.high, color=COLORS[2], alpha=0.15, linewidth=0, label=spread)


def _methods(ax: Axes, found: FoundRate) -> None:
    """A row for each method, the first on top; an empty one says why nothing is suggested in a word."""
    names = list(found.suggestions)
    for y, spread in enumerate(found.suggestions.values()):
        if spread.rate is None or spread.low is None or spread.high is None:
            ax.text(0.01, y, "none", transform=ax.get_yaxis_transform(), fontsize=6.5, color="0.4", va="center")
            continue
        ax.plot([spread.low, spread.high], [y, y], color=COLORS[0], linewidth=2, alpha=0.4)
        ax.plot(spread.rate, y, "o", color=COLORS[0], markersize=4)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.set_yticks(range(len(names)), [name.replace("_", " ") for name in names], fontsize=7)
