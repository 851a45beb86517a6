"""Rates against the step: schedules as named curves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxlr.plots.style import COLORS, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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
    figure, axes = new_figure(1, 1, 6.0, 3.6)
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
