"""What is read off a result: the best setting, a table, the final values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["Best", "best", "columns", "final", "maximised", "present", "table"]


class Best(NamedTuple):
    """The best setting of a sweep; see `best`.

    Attributes:
        setting: hyperparameter -> value, without those that are absent from the setting.
        value: mean of the metric over the seeds.
        spread: standard deviation over the seeds (ddof 1), NaN for one seed.
        seeds: number of seeds.
        edge: the swept numbers whose best value is the largest that was tried, or the smallest if that is not
            zero: the true best may lie beyond.
    """

    setting: dict[str, Any]
    value: float
    spread: float
    seeds: int
    edge: tuple[str, ...]

    def __str__(self) -> str:
        words = ", ".join(f"{name}={value}" for name, value in self.setting.items()) or "the only setting"
        seeds = f"± {self.spread:.2g} over {self.seeds} seeds" if self.seeds > 1 else "with one seed"
        found = f"{words}: {self.value:.4g} {seeds}"
        if self.edge:
            lies = "lies" if len(self.edge) == 1 else "lie"
            found += f"; {', '.join(self.edge)} {lies} on the edge of what was tried: look beyond it"
        return found


def best(ds: xr.Dataset, metric: str = "val_loss", *, mode: str | None = None) -> Best:
    """The setting with the best mean over the seeds at the last computed epoch.

    Settings with a seed that diverged or was not finished are out; NaN never wins. A training that stopped
    early counts with its last value.

    Args:
        ds: a result of `sweep`.
        metric: the variable to judge by.
        mode: "min" or "max"; by default "max" for names with `accuracy`, else "min".

    Raises:
        ValueError: the metric is unknown, or no setting is left to choose from.

    >>> import jax.numpy as jnp
    >>> from jaxlr import grid, sweep
    >>> ds = sweep(lambda key, lr: {"loss": (lr - 0.1) ** 2 + 0 * lr}, grid(lr=[0.01, 0.1, 1.0]), seeds=2)
    >>> best(ds, "loss").setting
    {'lr': 0.1}
    """
    values, tried = _flat(ds, metric), columns(ds)
    means = values.mean(axis=1)
    usable = np.isfinite(means)
    if not usable.any():
        raise ValueError(f"no setting has a finite {metric} for every seed: {_counts(ds)}")
    signed = -means if maximised(metric, mode) else means
    i = int(np.argmin(np.where(usable, signed, np.inf)))
    setting = {name: column[i].item() for name, column in tried.items() if present(column)[i]}
    seeds = values.shape[1]
    spread = float(values[i].std(ddof=1)) if seeds > 1 else float("nan")
    return Best(setting, float(means[i]), spread, seeds, _edges(tried, setting))


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
    for name in _metrics(ds):
        values = pd.DataFrame(_flat(ds, name).T)
        rows[name] = values.mean()
        if ds.sizes["seed"] > 1:
            rows[f"{name}_std"] = values.std()
    rows["diverged"] = (ds["status"] == "diverged").sum("seed").values.ravel()
    return pd.DataFrame(rows)


def columns(ds: xr.Dataset) -> dict[str, np.ndarray]:
    """Every hyperparameter's values `[settings]`, whatever the kind of space; the last dimension fastest."""
    one = ds["status"].isel(seed=0, drop=True)
    names = [name for name in ds.coords if name not in ("seed", "epoch", "step", "setting")]
    return {
        str(name): ds[name].broadcast_like(one).transpose(*one.dims).values.reshape(-1)
        for name in names
        if set(ds[name].dims) <= set(one.dims)
    }


def final(ds: xr.Dataset, metric: str) -> xr.DataArray:
    """The metric at the last computed epoch, `(<axes...>, seed)`; NaN where it diverged or is unfinished.

    Raises:
        ValueError: the metric is unknown.

    >>> from jaxlr import grid, sweep
    >>> ds = sweep(lambda key, lr: {"loss": lr**2}, grid(lr=[0.5, 1.0]))
    >>> final(ds, "loss").values.tolist()
    [[0.25], [1.0]]
    """
    if metric not in _metrics(ds):
        raise ValueError(f"metric must be one of {', '.join(_metrics(ds))}; got {metric!r}")
    values, status = ds[metric], ds["status"]
    for dim in set(values.dims) - set(status.dims):
        last = values.isel({dim: -1}, drop=True)
        if (status == "stopped").any():
            # After it stopped, a training has no values.
            back = values.isel({dim: slice(None, None, -1)}).notnull().argmax(str(dim))
            ended = values.isel({dim: values.sizes[dim] - 1 - back}).drop_vars([dim], errors="ignore")
            last = last.where(status != "stopped", ended)
        values = last
    return values.where(status.isin(["ok", "stopped"])).transpose(*status.dims)


def maximised(metric: str, mode: str | None = None) -> bool:
    """Whether larger is better: `mode` is "max", or the metric's name says accuracy.

    >>> maximised("val_accuracy"), maximised("val_loss"), maximised("reward", "max")
    (True, False, True)
    """
    if mode not in (None, "min", "max"):
        raise ValueError(f"mode must be 'min' or 'max', got {mode!r}")
    return "accuracy" in metric if mode is None else mode == "max"


def _metrics(ds: xr.Dataset) -> list[str]:
    """Variables with a value for each member, or one for each of its epochs or steps."""
    allowed = {*ds["status"].dims, "epoch", "step"}
    return [
        str(name)
        for name, values in ds.data_vars.items()
        if name not in ("status", "diverged_at") and set(ds["status"].dims) <= set(values.dims) <= allowed
    ]


def _flat(ds: xr.Dataset, metric: str) -> np.ndarray:
    """`final` as an array `[settings, seeds]` in double precision."""
    return final(ds, metric).values.reshape(-1, ds.sizes["seed"]).astype(np.float64)


def _counts(ds: xr.Dataset) -> str:
    names, counts = np.unique(ds["status"].values.astype(str), return_counts=True)
    return ", ".join(f"{count} {name}" for name, count in zip(names, counts, strict=True))


def present(column: np.ndarray) -> np.ndarray:
    """Where a hyperparameter is part of the setting: not where a concatenated space lacks it."""
    if column.dtype.kind in "bi":
        return np.ones(len(column), bool)
    return np.asarray(~np.isnan(column) if column.dtype.kind == "f" else column != "")


def _edges(tried: Mapping[str, np.ndarray], setting: Mapping[str, Any]) -> tuple[str, ...]:
    edges = []
    for name, value in setting.items():
        if tried[name].dtype.kind in "fi":
            values = np.unique(tried[name][present(tried[name])])
            # Nothing lies below zero momentum or decay: that is a bound, not an edge.
            bound = value == 0 and value == values[0]
            if len(values) > 1 and value in (values[0], values[-1]) and not bound:
                edges.append(name)
    return tuple(edges)
