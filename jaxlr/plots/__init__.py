"""Pictures of results. The only part that draws: every function takes labelled arrays and returns a figure.

Figures are plain `matplotlib.figure.Figure` objects: save one with `figure.savefig(path)`. A function that draws one
panel takes `ax=` too, to draw on the caller's axes.
"""

from jaxlr.plots.benchmark import speed
from jaxlr.plots.boundaries import decision_boundaries
from jaxlr.plots.curves import overlay, panels, with_rate
from jaxlr.plots.final import final_against
from jaxlr.plots.finder import lr_range
from jaxlr.plots.heat import heatmap
from jaxlr.plots.parallel import parallel_coordinates
from jaxlr.plots.problems import contours, descents, scatter
from jaxlr.plots.rates import gallery, lines
from jaxlr.plots.style import COLORS, describe, number
from jaxlr.plots.verdicts import VERDICT_COLORS, diagnosed_curves, diagnosed_sweep

__all__ = [
    "COLORS",
    "VERDICT_COLORS",
    "contours",
    "decision_boundaries",
    "descents",
    "describe",
    "diagnosed_curves",
    "diagnosed_sweep",
    "final_against",
    "gallery",
    "heatmap",
    "lines",
    "lr_range",
    "number",
    "overlay",
    "panels",
    "parallel_coordinates",
    "scatter",
    "speed",
    "with_rate",
]
