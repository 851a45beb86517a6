"""Rates in other people's optimizer states: read, set, and by parameter group."""

from jaxlr.inject.groups import by_path, layerwise_decay, per_group, width_multipliers
from jaxlr.inject.rates import current_lr, injected, with_lr

__all__ = [
    "by_path",
    "current_lr",
    "injected",
    "layerwise_decay",
    "per_group",
    "width_multipliers",
    "with_lr",
]
