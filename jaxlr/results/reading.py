"""What is read off a result: the best setting, a table, the final values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import jax
import numpy as np

from jaxlr import _checks
from jaxlr._types import PyTree
from jaxlr.results.directions import Mode, default_metric, maximised
from jaxlr.results.given import as_given
from jaxlr.results.members import ALONG, columns, flat, metrics, present, setting_dims

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["Best", "best", "final", "reached", "table", "weights"]


class Best(NamedTuple):
    """The best setting of a sweep; see `best`.

    Attributes:
        setting: hyperparameter -> value as it was given to the space, without those that are absent from the setting.
            Of a result that was read from a file, what is no number, string or flag is its text.
        value: what the metric came to over the seeds.
        spread: standard deviation over the seeds (ddof 1), NaN for one seed.
        seeds: number of seeds.
        edge: the swept numbers whose best value is the largest that was tried, or the smallest if that is not
            zero: the true best may lie beyond.
        row: the setting's place among all, the last dimension fastest.
    """

    setting: dict[str, Any]
    value: float
    spread: float
    seeds: int
    edge: tuple[str, ...]
    row: int

    def __str__(self) -> str:
        from jaxlr.results.labels import text

        words = ", ".join(f"{name}={text(value)}" for name, value in self.setting.items()) or "the only setting"
        seeds = f"± {self.spread:.2g} over {self.seeds} seeds" if self.seeds > 1 else "with one seed"
        found = f"{words}: {self.value:.4g} {seeds}"
        if self.edge:
            lies = "lies" if len(self.edge) == 1 else "lie"
            found += f"; {', '.join(self.edge)} {lies} on the edge of what was tried: look beyond it"
        return found


def best(
    ds: xr.Dataset,
    metric: str | None = None,
    *,
    mode: Mode | None = None,
    at: Literal["last", "best"] = "last",
    over: Literal["mean", "median", "worst"] = "mean",
) -> Best:
    """The setting with the best metric over the seeds.

    Settings with a seed that diverged or was not finished are out; NaN never wins. A training that stopped early counts
    with its last value.

    Args:
        ds: a result of `sweep`.
        metric: the variable to judge by; `val_loss`, or `loss` where there are no test data.
        mode: "min" or "max"; needed where the metric's name says neither loss, error nor accuracy.
        at: each training counts with its value at the last computed epoch, or at its best one, whose weights are those
            of `sweep(keep="best")`.
        over: the seeds count with their mean, their median, or the worst of them.

    Raises:
        ValueError: the metric is unknown, its direction is not, or no setting is left to choose from.

    >>> import jax.numpy as jnp
    >>> from jaxlr import grid, sweep
    >>> ds = sweep(lambda key, lr: {"loss": (lr - 0.1) ** 2 + 0 * lr}, grid(lr=[0.01, 0.1, 1.0]), seeds=2)
    >>> best(ds).setting
    {'lr': 0.1}
    """
    _checks.one_of("at", at, ("last", "best"))
    _checks.one_of("over", over, ("mean", "median", "worst"))
    metric = default_metric(ds, metric)
    reach = final(ds, metric) if at == "last" else reached(ds, metric, mode=mode)
    more = maximised(metric, mode)
    values, tried = flat(ds, reach).astype(np.float64), columns(ds)
    scores = _over_seeds(values, over, more)
    usable = np.isfinite(scores)
    if not usable.any():
        raise ValueError(f"no setting has a finite {metric} for every seed: {_counts(ds)}")
    row = int(np.argmin(np.where(usable, -scores if more else scores, np.inf)))
    shown = {name: column[row].item() for name, column in tried.items() if present(column)[row]}
    seeds = values.shape[1]
    spread = float(values[row].std(ddof=1)) if seeds > 1 else float("nan")
    return Best(as_given(ds, shown), float(scores[row]), spread, seeds, _edges(tried, shown), row)


def _over_seeds(values: np.ndarray, over: str, more: bool) -> np.ndarray:
    """The seeds' values `[settings, seeds]` as one for each setting; NaN where a seed is."""
    if over == "worst":
        return np.asarray(values.min(axis=1) if more else values.max(axis=1))
    return np.asarray(np.median(values, axis=1) if over == "median" else values.mean(axis=1))


def weights(params: PyTree, ds: xr.Dataset, chosen: Best) -> PyTree:
    """The weights of one setting, its seeds as the leading axis, out of those that `sweep(keep=...)` gave.

    Args:
        params: the second of the pair.
        ds: the first, as it came.
        chosen: from `best(ds)`.

    Raises:
        ValueError: the weights are not those of this result.

    >>> import optax
    >>> from jaxlr import experiment, grid, sweep, tasks
    >>> run = experiment(tasks.blobs(), optax.sgd, epochs=2)
    >>> ds, params = sweep(run, grid(learning_rate=[0.1, 0.01]), seeds=3, keep="last")
    >>> weights(params, ds, best(ds))["layer_0"].shape
    (3, 50, 3)
    """
    dims = setting_dims(ds)
    shape = tuple(ds.sizes[dim] for dim in (*dims, "seed"))
    for leaf in jax.tree.leaves(params):
        if leaf.shape[: len(shape)] != shape:
            raise ValueError(f"params must have the leading axes {shape} of ds, got the shape {leaf.shape}")
    at = np.unravel_index(chosen.row, shape[:-1]) if dims else ()
    return jax.tree.map(lambda leaf: leaf[tuple(int(i) for i in at)], params)


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


def _counts(ds: xr.Dataset) -> str:
    names, counts = np.unique(ds["status"].values.astype(str), return_counts=True)
    return ", ".join(f"{count} {name}" for name, count in zip(names, counts, strict=True))


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
