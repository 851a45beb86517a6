"""What is read off a result: a table, the final values, the best along each training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from jaxlr.results.directions import Mode, maximised
from jaxlr.results.members import ALONG, columns, flat, metrics, setting_dims

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["final", "reached", "table"]


def table(ds: xr.Dataset) -> pd.DataFrame:
    """One row for each setting: its hyperparameters; mean and deviation of each final metric over the seeds.

    Columns `<metric>` and, with several seeds, `<metric>_std` at the last computed epoch, and the number of
    `diverged` seeds, which the means leave out.

    >>> from jaxlr import grid, sweep
    >>> ds = sweep(lambda key, lr: {"loss": lr**2}, grid(lr=[0.5, 1.0]), seeds=2)
    >>> print(table(ds).to_string(index=False))
     lr  loss  loss_std  diverged
    0.5  0.25       0.0         0
    1.0  1.00       0.0         0
    """
    import pandas as pd

    rows: dict[str, Any] = dict(columns(ds))
    for name in metrics(ds):
        values = pd.DataFrame(flat(ds, final(ds, name)).astype(np.float64).T)
        rows[name] = values.mean()
        if ds.sizes["seed"] > 1:
            rows[f"{name}_std"] = values.std()
    rows["diverged"] = (flat(ds, ds["status"]) == "diverged").sum(axis=1)
    return pd.DataFrame(rows)


def final(ds: xr.Dataset, metric: str) -> xr.DataArray:
    """The metric at the last computed epoch, `(<axes...>, seed)`; NaN where it diverged or is unfinished.

    Raises:
        ValueError: the metric is unknown.

    >>> from jaxlr import grid, sweep
    >>> ds = sweep(lambda key, lr: {"loss": lr**2}, grid(lr=[0.5, 1.0]))
    >>> final(ds, "loss").values.tolist()
    [[0.25], [1.0]]
    """
    values, status = _metric(ds, metric), ds["status"]
    for dim in set(values.dims) - set(status.dims):
        last = values.isel({dim: -1}, drop=True)
        if (status == "stopped").any():
            # After it stopped, a training has no values.
            back = values.isel({dim: slice(None, None, -1)}).notnull().argmax(str(dim))
            ended = values.isel({dim: values.sizes[dim] - 1 - back}).drop_vars([dim], errors="ignore")
            last = last.where(status != "stopped", ended)
        values = last
    return _of_members(ds, values)


def reached(ds: xr.Dataset, metric: str, *, mode: Mode | None = None) -> xr.DataArray:
    """The best value of the metric along each training, `(<axes...>, seed)`; NaN where it diverged or is unfinished.

    Raises:
        ValueError: the metric is unknown, or its direction is not.

    >>> import jax.numpy as jnp
    >>> from jaxlr import grid, sweep
    >>> ds = sweep(lambda key, lr: {"loss": lr * jnp.array([3.0, 1.0, 2.0])}, grid(lr=[0.5, 1.0]))
    >>> reached(ds, "loss").values.tolist()
    [[0.5], [1.0]]
    """
    values = _metric(ds, metric)
    along = [dim for dim in values.dims if dim in ALONG]
    more = maximised(metric, mode)
    return _of_members(ds, (values.max(along) if more else values.min(along)) if along else values)


def _metric(ds: xr.Dataset, metric: str) -> xr.DataArray:
    known = metrics(ds)
    if metric not in known:
        raise ValueError(f"metric must be one of {', '.join(known)}; got {metric!r}")
    return ds[metric]


def _of_members(ds: xr.Dataset, values: xr.DataArray) -> xr.DataArray:
    """Of those that are finished and did not diverge, the settings' dimensions first."""
    return values.where(ds["status"].isin(["ok", "stopped"])).transpose(*setting_dims(ds), "seed")
