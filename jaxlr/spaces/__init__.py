"""Spaces of hyperparameters: which settings a sweep trains.

`grid` and `zipped` make a space, `*` and `+` combine them, `sampled` draws one. Numbers, and pytrees of numbers such as
schedules, become traced arrays of the compiled program; strings, booleans, None, functions and whatever `static` marks
are static: one compilation for each of their values.
"""

from jaxlr.spaces.algebra import Axis, Space, grid, zipped
from jaxlr.spaces.grouping import Group, group
from jaxlr.spaces.sampling import ladder, log_range, log_uniform, sampled, uniform
from jaxlr.spaces.values import ABSENT, Distribution, Static, static

__all__ = [
    "ABSENT",
    "Axis",
    "Distribution",
    "Group",
    "Space",
    "Static",
    "grid",
    "group",
    "ladder",
    "log_range",
    "log_uniform",
    "sampled",
    "static",
    "uniform",
    "zipped",
]
