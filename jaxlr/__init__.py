"""jaxlr: the learning-rate laboratory for JAX.

A whole grid of settings and seeds trains in one compiled program and comes back as labelled curves.

The names below are the public API. Each is loaded when it is first used (PEP 562), so that `import jaxlr` is quick
and loads neither matplotlib, scikit-learn, pandas nor xarray.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_MODULES = (
    "bench",
    "curvature",
    "data",
    "loss_curves",
    "mlp",
    "models",
    "optimizers",
    "plots",
    "schedules",
    "spaces",
    "studies",
    "suggestions",
    "tasks",
    "training",
)

_NAMES = {
    "Best": "results",
    "Check": "health",
    "Comparison": "comparison",
    "Diagnosis": "diagnosis",
    "Experiment": "training",
    "FoundRate": "finder",
    "Plan": "sweeps",
    "Space": "spaces",
    "accumulate_on_plateau": "accumulation",
    "accumulation_steps": "accumulation",
    "best": "results",
    "compare": "comparison",
    "current_lr": "inject",
    "descend": "probes",
    "diagnose": "diagnosis",
    "experiment": "training",
    "find_lr": "finder",
    "grid": "spaces",
    "initial_loss_check": "health",
    "injected": "inject",
    "ladder": "sampling",
    "load": "results",
    "log_range": "sampling",
    "log_uniform": "sampling",
    "marginal": "comparison",
    "overfit_check": "health",
    "per_group": "inject",
    "plan": "sweeps",
    "probe_lower": "health",
    "race": "probes",
    "range_test": "probes",
    "rank": "finder",
    "reduce_on_plateau": "plateau",
    "sampled": "sampling",
    "save": "results",
    "scale_by_plateau": "plateau",
    "static": "spaces",
    "suggest": "finder",
    "sweep": "sweeps",
    "table": "results",
    "trajectory": "trajectories",
    "uniform": "sampling",
    "with_lr": "inject",
    "zipped": "spaces",
}
"""Public name -> the module that defines it."""

__all__ = ["__version__", *_MODULES, *_NAMES]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _NAMES:
        return getattr(importlib.import_module(f"{__name__}.{_NAMES[name]}"), name)
    raise AttributeError(f"module 'jaxlr' has no attribute {name!r}; its public names are {', '.join(__all__)}")


def __dir__() -> list[str]:
    return list(__all__)
