"""Reduce on plateau, as pure state machines: the rule, other libraries' semantics, inside Optax, and batch growth."""

from jaxlr.plateau.growth import (
    AccumulateOnPlateauState,
    AccumulateState,
    accumulate,
    accumulate_on_plateau,
    accumulation_steps,
)
from jaxlr.plateau.rule import SEMANTICS, Plateau, reduce_on_plateau
from jaxlr.plateau.scaling import ScaleByPlateauState, observe, scale_by_plateau
from jaxlr.plateau.state import PlateauState

__all__ = [
    "SEMANTICS",
    "AccumulateOnPlateauState",
    "AccumulateState",
    "Plateau",
    "PlateauState",
    "ScaleByPlateauState",
    "accumulate",
    "accumulate_on_plateau",
    "accumulation_steps",
    "observe",
    "reduce_on_plateau",
    "scale_by_plateau",
]
