"""Pictures of results. The only part that draws: every function takes labelled arrays and returns a figure.

Figures are plain `matplotlib.figure.Figure` objects: save one with `figure.savefig(path)`.
"""

from jaxlr.plots.curves import panels
from jaxlr.plots.final import final_against
from jaxlr.plots.problems import descents, scatter
from jaxlr.plots.rates import lines
from jaxlr.plots.style import COLORS, describe, number

__all__ = ["COLORS", "descents", "describe", "final_against", "lines", "number", "panels", "scatter"]
