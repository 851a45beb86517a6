"""The benchmark's measurements."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jaxlr.plots.style import COLORS, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def speed(result: Mapping[str, Any]) -> Figure:
    """The cost of a setting against their number, and how much longer the rivals take.

    Args:
        result: what `jaxlr bench` or `python -m scripts.bench` wrote.

    Returns:
        The figure: one panel, or two where rivals were timed. Whiskers run from the least to the largest ratio.

    >>> row = {"settings": 256, "ms_per_setting": 5.0}
    >>> figure = speed({"scaling": [row], "machine": {"device": "cpu", "devices": 2}, "epochs": 200})
    >>> len(figure.axes)
    1
    """
    rivals = sorted(result.get("rivals", []), key=lambda row: row["ratio"]["median"])
    figure, axes = new_figure(1, 2 if rivals else 1, 5.6, 3.8, sharex=False)
    ax, rows = axes[0, 0], result["scaling"]
    ax.plot([row["settings"] for row in rows], [row["ms_per_setting"] for row in rows], "o-", color=COLORS[0])
    costs = [row["ms_per_setting"] for row in rows]
    for row, cost, following in zip(rows, costs, [*costs[1:], 0.0], strict=True):
        place = (3, 6) if following <= cost else (3, -13)  # beside the line, which is not steep where it rises
        ax.annotate(f"{cost:.1f}", (row["settings"], cost), place, textcoords="offset points", fontsize=8)
    ax.set(xscale="log", yscale="log", xlabel="settings in one sweep", ylabel="ms a setting")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter("{x:,g}")
    ax.yaxis.set_minor_formatter("")
    ax.margins(x=0.1, y=0.25)
    machine = result["machine"]
    ax.set_title(f"{result['epochs']} epochs, {machine['devices']} x {machine['device']}", fontsize=9)
    if rivals:
        _draw_rivals(axes[0, 1], rivals)
    return figure


def _draw_rivals(ax: Any, rivals: list[Mapping[str, Any]]) -> None:
    """A bar for each rival, the fastest on top, its words inside the panel above the bar."""
    for i, row in enumerate(rivals):
        ratio = row["ratio"]
        whiskers = [[ratio["median"] - ratio["low"]], [ratio["high"] - ratio["median"]]]
        ax.barh(i, ratio["median"], height=0.34, color=COLORS[5], xerr=whiskers, error_kw={"elinewidth": 1})
        words = f"{row['name']}: {ratio['median']:.{1 if ratio['median'] < 100 else 0}f}"
        ax.annotate(words, (1, i), (2, 11), textcoords="offset points", va="center", fontsize=7.5)
    ax.axvline(1, color=COLORS[6], linewidth=1)
    ax.set(xscale="log", xlabel="time for one setting, 256 settings in one sweep = 1", yticks=[])
    ax.set_ylim(len(rivals) - 0.5, -0.9)
    ax.set_xlim(left=min(0.8, *(row["ratio"]["low"] for row in rivals)))
    ax.set_title("Other ways to train the same", fontsize=9)
