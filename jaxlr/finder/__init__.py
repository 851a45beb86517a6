"""Which learning rate: range test, race, descending probe, curvature, and one recommendation with its confidence.

`published` has what other libraries' finders suggest on a curve, `curvature` the sharpness.
"""

from jaxlr.finder import curvature, published
from jaxlr.finder.answers import FoundRate, Ranked, Silence, find_lr, rank, suggest
from jaxlr.finder.curves import Spread
from jaxlr.finder.probes import Descent, descend, race, range_test

__all__ = [
    "Descent",
    "FoundRate",
    "Ranked",
    "Silence",
    "Spread",
    "curvature",
    "descend",
    "find_lr",
    "published",
    "race",
    "range_test",
    "rank",
    "suggest",
]
