"""Many trainings: blocks of one shape, their compiled programs, the walk over their segments, and the sweep."""

from jaxlr.engine.alone import run_one
from jaxlr.engine.collecting import Members, collect
from jaxlr.engine.layout import Layout, Shape
from jaxlr.engine.preparing import prepare
from jaxlr.engine.programs import Cost
from jaxlr.engine.segments import Block, Decision, Segment, segments
from jaxlr.engine.sweeps import Plan, compile_ahead, plan, sweep

__all__ = [
    "Block",
    "Cost",
    "Decision",
    "Layout",
    "Members",
    "Plan",
    "Segment",
    "Shape",
    "collect",
    "compile_ahead",
    "plan",
    "prepare",
    "run_one",
    "segments",
    "sweep",
]
