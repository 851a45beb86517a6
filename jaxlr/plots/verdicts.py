"""Diagnoses drawn: curves in the colours of their verdicts, and verdicts over the settings of a sweep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxlr.plots import settings
from jaxlr.plots.style import (
    ceiling,
    describe,
    new_figure,
    note_cut,
    number,
    of_seeds,
    one_axes,
    spans_decades,
    whole_steps,
)
from jaxlr.results import columns

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

VERDICT_COLORS = {
    "healthy": "#009E73",
    "initial-rise": "#D55E00",
    "late-rate-too-high": "#8E4585",
    "slow": "#E69F00",
    "oscillating": "#0072B2",
    "diverged": "#000000",
    "no-progress": "#7F7F7F",
    "overfitting": "#56B4E9",
    "cannot-tell": "#C8C8C8",
}
"""Green, red, purple and yellow for the four ideal curves of the textbook; the rest keep apart from them."""


_WRITTEN = 120
"""Most cells of a map that have a number in them."""


def diagnosed_curves(
    curves: Mapping[str, Any],
    verdicts: Mapping[str, str],
    *,
    val: Mapping[str, Any] | None = None,
    title: str = "",
    ax: Axes | None = None,
) -> Figure:
    """Loss curves over the course of the training, each in the colour of its verdict.

    Args:
        curves: name -> losses `[T]`.
        verdicts: name -> verdict, or a line of text that begins with one.
        val: name -> validation losses `[V]` of the same training, drawn dashed.
        title: a line above.
        ax: where to draw; by default a new figure.

    Raises:
        ValueError: a curve has no verdict.

    >>> figure = diagnosed_curves({"run": [2.0, 1.0, 0.5]}, {"run": "healthy"})
    >>> figure.axes[0].get_legend().get_texts()[0].get_text()
    'run: healthy'
    """
    missing = [name for name in curves if name not in verdicts]
    if missing:
        raise ValueError(f"verdicts must have one for every curve, got none for {missing[0]!r}")
    figure, ax = one_axes(ax, 6.4, 4.0)
    drawn = []
    for name, losses in curves.items():
        values = np.asarray(losses, float)
        drawn.append(values[np.isfinite(values)])
        x = np.linspace(0, 100, len(values))
        ax.plot(x, values, color=_color(verdicts[name]), linewidth=1.8, label=f"{name}: {verdicts[name]}")
        _mark_divergence(ax, x, values)
    for name, losses in (val or {}).items():
        x, values = np.linspace(0, 100, len(losses)), np.asarray(losses, float)
        ax.plot(x, values, "--", color=_color(verdicts[name]), linewidth=1.2, label=f"{name}: {describe('val_loss')}")
    _heights(ax, drawn)
    ax.set(xlabel="share of the training, %", ylabel="train loss" if val is None else "loss")
    ax.set_title(title, fontsize=10)
    ax.legend(fontsize=8, frameon=False)
    return figure


def _color(verdict: str) -> str:
    for name, color in VERDICT_COLORS.items():
        if verdict.startswith(name):
            return color
    raise ValueError(f"verdicts must begin with one of {', '.join(VERDICT_COLORS)}; got {verdict!r}")


def _mark_divergence(ax: Axes, x: np.ndarray, values: np.ndarray) -> None:
    finite = np.flatnonzero(np.isfinite(values))
    if len(finite) and finite[-1] < len(values) - 1:
        ax.plot(x[finite[-1]], values[finite[-1]], "x", color="black", markersize=7)


def _heights(ax: Axes, drawn: list[np.ndarray]) -> None:
    """All that is worth an axis: where every curve starts, and of losses that explode only their beginning."""
    values = np.concatenate(drawn)
    if not values.size:
        return
    top = max(ceiling(values), *(float(curve[0]) for curve in drawn if curve.size))
    if top < values.max():
        low = min(float(values.min()), 0.0)
        ax.set_ylim(low - 0.03 * (top - low), top * 1.05)
        note_cut(ax, values)


def diagnosed_sweep(ds: xr.Dataset, found: xr.Dataset, *, title: str = "") -> Figure:
    """A sweep with its verdicts: the curves in their colours, and the verdicts over the hyperparameters.

    On the left the training loss of every setting, the median over its seeds. On the right the final loss against the
    one hyperparameter that was swept; for two, a map of the verdicts with their confidence in per cent; otherwise how
    many settings got each verdict.

    Args:
        ds: a result of `sweep`.
        found: what `diagnose(ds)` says of it.
        title: a line above all.

    Raises:
        ValueError: `found` is the diagnosis of another result.

    >>> import jax.numpy as jnp
    >>> from jaxlr import diagnose, grid, sweep
    >>> ds = sweep(lambda key, lr: {"loss": (1 - lr) ** jnp.arange(20.0)}, grid(lr=[0.001, 0.01, 0.1, 0.5]))
    >>> [ax.get_xlabel() for ax in diagnosed_sweep(ds, diagnose(ds)).axes]
    ['step', 'lr']
    """
    verdicts = found["verdict"].values.ravel()
    if len(verdicts) != ds["status"].size // ds.sizes["seed"]:
        raise ValueError(f"found must be the diagnosis of the same settings, got {len(verdicts)} verdicts")
    figure, axes = new_figure(1, 2, 5.4, 4.2, sharex=False)
    left, right = axes[0]
    curves = settings.curves(ds, None, ["loss"])
    _draw_curves(left, curves, verdicts)
    over = list(settings.varying(ds))
    if len(over) == 1 and curves.values is not None:
        _draw_final(right, ds, over[0], curves.values, verdicts)
    elif len(over) == 2:
        _draw_map(right, columns(ds), over, verdicts, found["confidence"].values.ravel())
    else:
        _draw_counts(right, verdicts)
    handles = [
        right.plot([], [], "s", color=color, markersize=8, label=name)[0]
        for name, color in VERDICT_COLORS.items()
        if name in verdicts
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 6), fontsize=9, frameon=False)
    seeds = of_seeds("median", ds.sizes["seed"])
    figure.suptitle(f"{title} ({seeds})" if title else seeds, fontsize=10)
    return figure


def _draw_curves(ax: Axes, curves: settings.Curves, verdicts: np.ndarray) -> None:
    medians = curves.curves["loss"].median("seed", skipna=False)
    x = medians[curves.along].values
    for values, verdict in zip(medians.values, verdicts, strict=True):
        ax.plot(x, values, color=VERDICT_COLORS[str(verdict)], linewidth=1.4, alpha=0.9)
        _mark_divergence(ax, x, values)
    found = medians.values[np.isfinite(medians.values)]
    if spans_decades(found, 30):
        ax.set_yscale("log")
        first = medians.values[:, 0]
        ax.set_ylim(found.min() / 1.5, min(found.max() * 1.5, 10 * np.median(first[np.isfinite(first)])))
    note_cut(ax, found)
    whole_steps(ax)
    ax.set(xlabel=curves.along, ylabel=describe("loss"))


def _draw_final(ax: Axes, ds: xr.Dataset, name: str, values: np.ndarray, verdicts: np.ndarray) -> None:
    finals = np.median(settings.final_values(ds, "loss"), axis=1)
    order = np.argsort(values)
    ax.plot(values[order], finals[order], color="0.7", linewidth=1.0, zorder=1)
    colors = [VERDICT_COLORS[str(verdict)] for verdict in verdicts]
    ax.scatter(values, finals, c=colors, s=55, zorder=2)
    gone = values[~np.isfinite(finals)]
    if len(gone):
        ax.plot(gone, np.full(len(gone), 0.96), "x", color="black", transform=ax.get_xaxis_transform())
    if spans_decades(values):
        ax.set_xscale("log")
    if spans_decades(finals):
        ax.set_yscale("log")
    ax.set(xlabel=describe(name), ylabel=f"final {describe('loss')}")


def _draw_map(
    ax: Axes, tried: Mapping[str, np.ndarray], over: list[str], verdicts: np.ndarray, confidences: np.ndarray
) -> None:
    from matplotlib.patches import Rectangle

    (across, i), (up, j) = (np.unique(tried[name], return_inverse=True) for name in over)
    ax.grid(False)
    for x, y, verdict, confidence in zip(i, j, verdicts, confidences, strict=True):
        ax.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=VERDICT_COLORS[str(verdict)], edgecolor="white"))
        if len(verdicts) <= _WRITTEN:
            ink = "black" if verdict in ("slow", "cannot-tell", "overfitting") else "white"
            ax.text(x, y, f"{100 * confidence:.0f}", ha="center", va="center", fontsize=8, color=ink)
    ax.set_xticks(range(len(across)), [number(value) for value in across.tolist()], rotation=90 * (len(across) > 8))
    ax.set_yticks(range(len(up)), [number(value) for value in up.tolist()])
    ax.set(xlim=(-0.5, len(across) - 0.5), ylim=(-0.5, len(up) - 0.5))
    ax.set(xlabel=describe(over[0]), ylabel=describe(over[1]))
    if len(verdicts) <= _WRITTEN:
        ax.set_title("in the cells: the verdict's confidence in %", fontsize=8, loc="right")


def _draw_counts(ax: Axes, verdicts: np.ndarray) -> None:
    names = [name for name in VERDICT_COLORS if name in verdicts]
    counts = [int((verdicts == name).sum()) for name in names]
    ax.barh(names, counts, color=[VERDICT_COLORS[name] for name in names])
    ax.set(xlabel="settings")
    ax.invert_yaxis()
