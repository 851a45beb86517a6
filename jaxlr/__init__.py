"""jaxlr: the learning-rate laboratory for JAX.

A whole grid of settings and seeds trains in one compiled program and comes back as labelled curves.

The names below are the public API; whatever else is public stands in the public modules. Each is loaded when it is
first used (PEP 562), so that `import jaxlr` is quick and loads neither matplotlib, scikit-learn, pandas nor xarray.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

_NAMES = {
    "Space": "spaces",
    "best": "results",
    "compare": "results",
    "diagnose": "diagnosis",
    "experiment": "runs",
    "find_lr": "finder",
    "grid": "spaces",
    "load": "results",
    "marginal": "results",
    "open": "store",
    "plan": "engine",
    "reduce_on_plateau": "plateau",
    "run": "runs",
    "run_one": "engine",
    "sampled": "spaces",
    "save": "results",
    "static": "spaces",
    "sweep": "engine",
    "table": "results",
    "weights": "results",
    "zipped": "spaces",
}
"""Public name -> the module that it is taken from."""

_MODULES = (
    "cli",
    "diagnosis",
    "engine",
    "finder",
    "inject",
    "optimizers",
    "plateau",
    "plots",
    "results",
    "runs",
    "schedules",
    "spaces",
    "store",
    "studies",
    "tasks",
)

__all__ = [
    "Space",
    "__version__",
    "best",
    "cli",
    "compare",
    "diagnose",
    "diagnosis",
    "engine",
    "experiment",
    "find_lr",
    "finder",
    "grid",
    "inject",
    "load",
    "marginal",
    "open",
    "optimizers",
    "plan",
    "plateau",
    "plots",
    "reduce_on_plateau",
    "results",
    "run",
    "run_one",
    "runs",
    "sampled",
    "save",
    "schedules",
    "spaces",
    "static",
    "store",
    "studies",
    "sweep",
    "table",
    "tasks",
    "weights",
    "zipped",
]

if TYPE_CHECKING:
    # The face that type checkers see; a test holds it and the names above together.
    from jaxlr import (
        cli,
        diagnosis,
        engine,
        finder,
        inject,
        optimizers,
        plateau,
        plots,
        results,
        runs,
        schedules,
        spaces,
        store,
        studies,
        tasks,
    )
    from jaxlr.diagnosis import diagnose
    from jaxlr.engine import plan, run_one, sweep
    from jaxlr.finder import find_lr
    from jaxlr.plateau import reduce_on_plateau
    from jaxlr.results import best, compare, load, marginal, save, table, weights
    from jaxlr.runs import experiment, run
    from jaxlr.spaces import Space, grid, sampled, static, zipped
    from jaxlr.store import open
else:

    def __getattr__(name: str) -> Any:
        if name in _MODULES:
            return importlib.import_module(f"{__name__}.{name}")
        if name in _NAMES:
            return getattr(importlib.import_module(f"{__name__}.{_NAMES[name]}"), name)
        raise AttributeError(f"module 'jaxlr' has no attribute {name!r}; its public names are {', '.join(__all__)}")


def __dir__() -> list[str]:
    return list(__all__)
