"""Options that several commands share, and texts of options as values: lists and ranges of numbers, layer widths."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from typing import Annotated, Any

import typer

__all__ = ["Data", "Kind", "Model", "Optimizer", "Target", "loaded", "momentum_of", "numbers", "task_of", "widths"]

Data = Annotated[
    str,
    typer.Option(
        help="blobs, breast_cancer, diabetes, digits, iris, wine; a table FILE.csv, .tsv, .csv.gz or .parquet; or "
        "FILE.npz with the arrays x, y and perhaps x_test, y_test."
    ),
]
Target = Annotated[
    str | None, typer.Option(help="The table's column to predict; by default target, label or y, or else the last.")
]
Kind = Annotated[
    str | None, typer.Option("--task", help="classification or regression, where the target does not say it right.")
]
Optimizer = Annotated[
    str,
    typer.Option(
        help='An optimizer of Optax, such as sgd, muon or "adamw(weight_decay=0.1)"; or of Keras 2.3.1: keras:sgd, '
        "keras:rmsprop, keras:adagrad, keras:adam, keras:adadelta."
    ),
]
Model = Annotated[str, typer.Option(help="Units of each hidden layer of a ReLU network.")]


def loaded(data: str, target: str | None, kind: str | None) -> tuple[Any, list[str]]:
    """The data, and in lines what was understood of them."""
    from jaxlr import tasks

    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always", UserWarning)
        found = tasks.load(data, target=target, kind=kind)
    return found, [f"{data}: {found}", *(str(note.message) for note in notes)]


def task_of(table: Any, units: tuple[int, ...]) -> Any:
    """A ReLU network on a table; a class may be among the rows kept for validation alone."""
    from jaxlr import tasks

    net = tasks.mlp(units)
    if table.kind == "classification":
        net = net.clone(outputs=max(2, 1 + int(max(table.y.max(), table.y_test.max()))))
    return getattr(tasks, table.kind)(net, *table[:4])


def numbers(option: str, text: str) -> list[float]:
    """The values of an axis: `0.1`, `0,0.9` or `LOW:HIGH:N:log` (`lin` for even steps).

    >>> numbers("--lr", "1e-4:1:5:log"), numbers("--momentum", "0,0.9"), numbers("--momentum", "0:1:3:lin")
    ([0.0001, 0.001, 0.01, 0.1, 1.0], [0.0, 0.9], [0.0, 0.5, 1.0])
    """
    import numpy as np

    from jaxlr.spaces import log_range

    parts = text.split(":")
    try:
        if len(parts) == 1:
            return [float(part) for part in text.split(",")]
        low, high, count, spacing = parts
        bounds, n = (float(low), float(high)), int(count)
        if spacing not in ("log", "lin"):
            raise ValueError(f"the spacing must be log or lin, got {spacing!r}")
        if n < 2:
            raise ValueError(f"the range must have at least 2 values, got {n}")
        return log_range(*bounds, n) if spacing == "log" else np.linspace(*bounds, n).tolist()
    except ValueError as error:
        forms = "a number, a list such as 0.1,0.01 or a range such as 1e-4:1:25:log"
        raise ValueError(f"{option} must be {forms}; got {text!r} ({error})") from error


def widths(option: str, text: str) -> tuple[int, ...]:
    """Units of the hidden layers, such as `50,50`.

    >>> widths("--model", "50,50")
    (50, 50)
    """
    try:
        found = tuple(int(part) for part in text.split(","))
    except ValueError:
        found = ()
    if not found or min(found) < 1:
        raise ValueError(f"{option} must be the units of the hidden layers, such as 50,50; got {text!r}")
    return found


def momentum_of(optimizer: Callable[..., Any], text: str) -> str:
    """The argument that is the optimizer's momentum: Adam's is the decay of its mean gradient."""
    taken = inspect.signature(optimizer).parameters
    for name in ("momentum", "b1", "beta_1"):
        if name in taken:
            return name
    raise ValueError(f"--momentum must go with an optimizer that has one, such as sgd or adam; got {text}")
