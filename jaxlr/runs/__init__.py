"""One training: what a run is, the experiment, the update, and who gets which hyperparameter."""

from jaxlr.runs.batches import Order, shuffle
from jaxlr.runs.protocol import Run, as_run, run
from jaxlr.runs.training import RECORDS, Carry, Recorder, experiment
from jaxlr.runs.updates import evaluate

__all__ = ["RECORDS", "Carry", "Order", "Recorder", "Run", "as_run", "evaluate", "experiment", "run", "shuffle"]
