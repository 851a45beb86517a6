"""Rates against the step: schedules as named curves, and as a gallery."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxlr import _checks, schedules
from jaxlr.plots.style import COLORS, STYLES, new_figure, one_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def lines(
    curves: Mapping[str, Any],
    *,
    x: Any = None,
    title: str = "",
    xlabel: str = "step",
    ylabel: str = "learning rate",
    log: bool = False,
    ax: Axes | None = None,
) -> Figure:
    """Named curves in one panel, such as schedules tabulated over their steps.

    Args:
        curves: name -> values `[T]`.
        x: horizontal positions `[T]`; 0 to T - 1 by default.
        title: a line above.
        xlabel: horizontal axis.
        ylabel: vertical axis.
        log: a logarithmic vertical axis.
        ax: where to draw; by default a new figure.

    Returns:
        The figure.

    >>> figure = lines({"constant": [0.1, 0.1], "falling": [0.1, 0.05]})
    >>> len(figure.axes[0].lines)
    2
    """
    figure, ax = one_axes(ax, 6.0, 3.6)
    for i, (name, values) in enumerate(curves.items()):
        values = np.asarray(values)
        positions = np.arange(len(values)) if x is None else np.asarray(x)
        ax.plot(
            positions,
            values,
            color=COLORS[i % len(COLORS)],
            linestyle=STYLES[i % len(STYLES)],
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


def gallery(named: Mapping[str, schedules.Schedule], num_steps: int, *, columns: int = 4, title: str = "") -> Figure:
    """Schedules side by side, each over the same steps in a panel of its own, its rates from zero on.

    Args:
        named: name -> schedule, any function of the step that JAX can trace.
        num_steps: steps to draw.
        columns: panels side by side.
        title: a line above all.

    Returns:
        The figure.

    Raises:
        TypeError, ValueError: `num_steps` or `columns` is not an integer of at least 1, or there is no schedule.

    >>> figure = gallery({"linear": schedules.linear(0.1, 80), "cosine": schedules.cosine_decay(0.1, 80)}, 100)
    >>> [ax.get_title() for ax in figure.axes[:2]]
    ['linear', 'cosine']
    """
    _checks.count("num_steps", num_steps)
    _checks.count("columns", columns)
    if not named:
        raise ValueError("named must hold at least one schedule, got none")
    columns = min(columns, len(named))
    figure, axes = new_figure(-(-len(named) // columns), columns, 2.2, 1.6)
    for ax, (name, schedule) in zip(axes.flat, named.items(), strict=False):
        rates = np.asarray(schedules.tabulate(schedule, num_steps))
        ax.plot(rates, color=COLORS[0], linewidth=1.3)
        ax.set_ylim(min(0.0, 1.08 * rates.min()), 1.08 * rates.max() or 1.0)
        ax.set_title(name, fontsize=8)
        ax.tick_params(labelsize=7)
    for ax in axes.flat[len(named) :]:
        ax.set_visible(False)
    figure.supxlabel("step", fontsize=9)
    figure.supylabel("learning rate", fontsize=9)
    figure.suptitle(title, fontsize=10)
    return figure
