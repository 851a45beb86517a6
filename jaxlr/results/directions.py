"""Which way a metric is better, and which metric a result is judged by."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Mode", "default_metric", "direction", "maximised"]

Mode: TypeAlias = Literal["min", "max"]

_LESS = {"loss", "error", "err", "nll", "perplexity", "ppl", "mse", "rmse", "mae", "cost", "regret", "cross_entropy"}
_MORE = {"accuracy", "acc"}


def direction(metric: str) -> Mode | None:
    """What a metric's name says: "min" of a loss or an error, "max" of an accuracy, None where it does not tell.

    >>> direction("val_loss"), direction("val_accuracy"), direction("episode_return")
    ('min', 'max', None)
    """
    words = set(re.split(r"[\W_\d]+", metric.lower())) | {metric.lower()}
    if words & _MORE:
        return "max"
    return "min" if words & _LESS else None


def maximised(metric: str, mode: str | None = None) -> bool:
    """Whether larger is better: what `mode` says, else the metric's name.

    Raises:
        ValueError: neither says so.

    >>> maximised("val_accuracy"), maximised("val_loss"), maximised("reward", "max")
    (True, False, True)
    """
    if mode not in (None, "min", "max"):
        raise ValueError(f"mode must be 'min' or 'max', got {mode!r}")
    known = mode or direction(metric)
    if known is None:
        raise ValueError(f"mode must be 'min' or 'max' for {metric!r}, whose name does not say which is better")
    return known == "max"


def default_metric(ds: xr.Dataset, metric: str | None) -> str:
    """The metric asked for; by default `val_loss`, or `loss` where there are no test data.

    Raises:
        ValueError: none is asked for and there is neither.
    """
    from jaxlr.results.members import metrics

    if metric is not None:
        return metric
    known = metrics(ds)
    for name in ("val_loss", "loss"):
        if name in known:
            return name
    raise ValueError(f"metric must be given for a result without a loss, one of {', '.join(known)}; got None")
