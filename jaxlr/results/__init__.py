"""Results as labelled arrays: a Dataset of xarray with the dimensions `(<axes...>, seed, epoch)`; what is read off."""

from jaxlr.results.choosing import Best, Cliff, best, weights
from jaxlr.results.comparison import Comparison, compare, marginal
from jaxlr.results.directions import default_metric, direction, maximised
from jaxlr.results.files import load, save
from jaxlr.results.labels import label, text
from jaxlr.results.members import columns, flat, metrics, present, setting_dims
from jaxlr.results.reading import final, reached, table

__all__ = [
    "Best",
    "Cliff",
    "Comparison",
    "best",
    "columns",
    "compare",
    "default_metric",
    "direction",
    "final",
    "flat",
    "label",
    "load",
    "marginal",
    "maximised",
    "metrics",
    "present",
    "reached",
    "save",
    "setting_dims",
    "table",
    "text",
    "weights",
]
