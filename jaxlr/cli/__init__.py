"""The command line: parse, call, print. One module for each group of commands.

JAX and everything heavy is imported inside the commands, so that `jaxlr --help` answers at once.
"""

from jaxlr.cli import bench, diagnose, find, runs, schedule, study, sweep
from jaxlr.cli.app import app, main

__all__ = ["app", "bench", "diagnose", "find", "main", "runs", "schedule", "study", "sweep"]
