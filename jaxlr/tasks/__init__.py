"""Tasks: a model, its loss, and the data to train and test it on.

A `Task` is a NamedTuple of pure functions and arrays. Build one with `blobs`, `classification`, `regression`,
`supervised` or `streamed`; replace any part with `task._replace(...)`. `load` reads a table of one's own.
"""

from jaxlr.tasks.dense import MLP, from_dense, to_dense
from jaxlr.tasks.making import (
    blobs,
    blobs_data,
    classification,
    cross_entropy,
    mlp,
    regression,
    squared_error,
    supervised,
)
from jaxlr.tasks.models import Model, model
from jaxlr.tasks.streams import streamed
from jaxlr.tasks.tables import NAMES, Table, load
from jaxlr.tasks.task import Objective, Task, mean_loss

__all__ = [
    "MLP",
    "NAMES",
    "Model",
    "Objective",
    "Table",
    "Task",
    "blobs",
    "blobs_data",
    "classification",
    "cross_entropy",
    "from_dense",
    "load",
    "mean_loss",
    "mlp",
    "model",
    "regression",
    "squared_error",
    "streamed",
    "supervised",
    "to_dense",
]
