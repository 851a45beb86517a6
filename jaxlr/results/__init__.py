"""Results as labelled arrays: an `xarray.Dataset` with the dimensions `(<axes...>, seed, epoch)`."""

from jaxlr.results.comparison import Comparison, compare, marginal
from jaxlr.results.files import load, save
from jaxlr.results.labels import label, text
from jaxlr.results.reading import Best, best, columns, final, maximised, present, table

__all__ = [
    "Best",
    "Comparison",
    "best",
    "columns",
    "compare",
    "final",
    "label",
    "load",
    "marginal",
    "maximised",
    "present",
    "save",
    "table",
    "text",
]
