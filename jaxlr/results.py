"""Results as labelled arrays: from a sweep's arrays to a Dataset, and what is read off it.

A result is an `xarray.Dataset` with the dimensions `(<axes...>, seed, epoch)`; everything downstream is a function of
it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jaxlr.spaces import ABSENT, Space

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["Best", "best", "label", "load", "save", "table"]


def label(
    space: Space,
    arrays: Mapping[str, np.ndarray],
    finished: np.ndarray,
    attributes: Mapping[str, Any],
    along: str,
) -> xr.Dataset:
    """A sweep's arrays `[settings, seeds]` and `[settings, seeds, T]` as a Dataset.

    Args:
        space: the settings, in the order of the arrays.
        arrays: variable -> values.
        finished: which members were trained to the end, `[settings, seeds]`.
        attributes: what is to be known of the sweep.
        along: name of the last dimension: `epoch` or `step`.
    """
    import xarray as xr

    loss = arrays.get("loss")
    status, diverged_at = _status(loss, finished, arrays.get("stopped"))
    kept = {
        name: _masked(values, diverged_at) if loss is not None and values.shape == loss.shape else values
        for name, values in arrays.items()
        if name != "stopped"
    }
    note = {}
    if "rate" in arrays and np.isnan(arrays["rate"][finished]).all():
        note["rate_note"] = (
            "unknown: the optimizer neither takes `learning_rate` nor holds it in its state nor comes with a schedule"
        )
    dims = space.dims

    def variable(values: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
        shape = (*dims.values(), *values.shape[1:])
        return (*dims, "seed", along)[: len(shape)], values.reshape(shape)

    kept.update(status=status, diverged_at=diverged_at)
    lengths = {values.shape[2] for values in kept.values() if values.ndim == 3}
    if len(lengths) > 1:
        raise ValueError(f"arrays of a training must have one length, got {sorted(lengths)}")
    coords = {**_coordinates(space), "seed": np.arange(len(status[0]))}
    if lengths:
        coords[along] = np.arange(1, lengths.pop() + 1)
    data = {name: variable(values) for name, values in kept.items()}
    return xr.Dataset(data, coords, {**_versions(), **attributes, **note})


def _status(
    loss: np.ndarray | None, finished: np.ndarray, stopped: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """`status` and `diverged_at` of every member, from its losses `[settings, seeds, T]` or `[settings, seeds]`.

    `stopped [settings, seeds, T]` marks the epochs that a training which ended early did not compute.
    """
    diverged_at = np.zeros(finished.shape, np.int32)
    status = np.full(finished.shape, "ok", "<U10")
    if stopped is not None:
        status[(stopped > 0).any(axis=2)] = "stopped"
    if loss is not None:
        bad = ~np.isfinite(loss.reshape(*finished.shape, -1))
        if stopped is not None:
            bad &= stopped.reshape(bad.shape) == 0
        diverged_at = np.where(bad.any(axis=2) & finished, bad.argmax(axis=2) + 1, 0).astype(np.int32)
    status[diverged_at > 0] = "diverged"
    status[~finished] = "unfinished"
    return status, diverged_at


def _masked(values: np.ndarray, diverged_at: np.ndarray) -> np.ndarray:
    """NaN from the first non-finite loss on."""
    steps = np.arange(1, (values.shape[2] if values.ndim == 3 else 1) + 1)
    gone = (diverged_at[..., None] > 0) & (steps >= diverged_at[..., None])
    return np.where(gone.reshape(values.shape), np.nan, values).astype(values.dtype)


def _coordinates(space: Space) -> dict[str, Any]:
    """Coordinates of every hyperparameter: on its dimension, or a scalar where it is fixed."""
    coords: dict[str, Any] = {}
    for axis in space.axes:
        for name, column in axis.columns.items():
            values = _column(column)
            coords[name] = values[0] if axis.dim is None else (axis.dim, values)
    return coords


def _column(column: tuple[Any, ...]) -> np.ndarray:
    present = [value for value in column if value is not ABSENT]
    if all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in present):
        if len(present) == len(column) and all(isinstance(value, int) for value in present):
            return np.array(column, np.int64)
        return np.array([np.nan if value is ABSENT else value for value in column], np.float64)
    if len(present) == len(column) and all(isinstance(value, bool) for value in present):
        return np.array(column)
    return np.array(["" if value is ABSENT else _text(value) for value in column])


def _text(value: Any) -> str:
    """A hyperparameter that is no number, in words."""
    if isinstance(value, str):
        return value
    return getattr(value, "__qualname__", None) or str(value)


def _versions() -> dict[str, str]:
    import jax
    import optax

    import jaxlr

    return {"jaxlr": jaxlr.__version__, "jax": jax.__version__, "optax": optax.__version__}


class Best(NamedTuple):
    """The best setting of a sweep; see `best`.

    Attributes:
        setting: hyperparameter -> value.
        value: mean of the metric over the seeds.
        spread: standard deviation over the seeds (ddof 1), NaN for one seed.
        seeds: number of seeds.
        edge: the swept hyperparameters whose best value is the first or last of its axis: the true best may lie
            beyond.
    """

    setting: dict[str, Any]
    value: float
    spread: float
    seeds: int
    edge: tuple[str, ...]

    def __str__(self) -> str:
        words = ", ".join(f"{name}={value}" for name, value in self.setting.items())
        text = f"{words}: {self.value:.4g} ± {self.spread:.2g} over {self.seeds} seeds"
        if self.edge:
            text += f"; {', '.join(self.edge)} lies on the edge of the grid: look beyond it"
        return text


def best(ds: xr.Dataset, metric: str = "val_loss", *, mode: str | None = None) -> Best:
    """The setting with the best mean over the seeds at the last epoch.

    Settings with a seed that diverged or was not finished are out; NaN never wins.

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
    final = _final(ds, metric)
    maximise = _maximise(metric, mode)
    means = final.mean("seed", skipna=False).where((ds["status"].isin(["ok", "stopped"])).all("seed"))
    if not np.isfinite(means).any():
        raise ValueError(f"no setting has a finite {metric} for every seed: {_counts(ds)}")
    index = means.argmax(...) if maximise else means.argmin(...)
    chosen = final.isel(index)
    setting = {name: _item(chosen[name]) for name in chosen.coords if name not in ("seed", "epoch", "step")}
    spread = float(chosen.std("seed", ddof=1)) if chosen.sizes["seed"] > 1 else float("nan")
    return Best(setting, float(means.isel(index)), spread, chosen.sizes["seed"], _edges(final, setting))


def table(ds: xr.Dataset) -> pd.DataFrame:
    """One row for each setting: its hyperparameters, and mean and deviation over the seeds of every final metric.

    Columns `<metric>` and `<metric>_std` at the last epoch, and the number of `diverged` seeds.

    >>> from jaxlr import grid, sweep
    >>> ds = sweep(lambda key, lr: {"loss": lr**2}, grid(lr=[0.5, 1.0]), seeds=2)
    >>> print(table(ds).to_string(index=False))
     lr  loss  loss_std  diverged
    0.5  0.25       0.0         0
    1.0  1.00       0.0         0
    """
    import pandas as pd

    metrics = [name for name, values in ds.data_vars.items() if name not in ("status", "diverged_at")]
    dims = [dim for dim in ds["status"].dims if dim != "seed"]
    flat = ds.stack(_row=dims) if dims else ds.expand_dims("_row")
    rows: dict[str, Any] = {name: _flat(flat, name) for name in ds.coords if name not in ("seed", "epoch", "step")}
    for name in metrics:
        final = _final(flat, str(name))
        rows[str(name)] = final.mean("seed").values
        if ds.sizes["seed"] > 1:
            rows[f"{name}_std"] = final.std("seed", ddof=1).values
    rows["diverged"] = (flat["status"] == "diverged").sum("seed").values
    return pd.DataFrame(rows)


def _flat(flat: xr.Dataset, name: Any) -> Any:
    values = flat[name]
    return values.values if "_row" in values.dims else [_item(values)] * flat.sizes["_row"]


def _final(ds: xr.Dataset, metric: str) -> xr.DataArray:
    """The metric at the last epoch, `(<axes...>, seed)`."""
    if metric not in ds.data_vars or metric in ("status", "diverged_at"):
        known = [str(name) for name in ds.data_vars if name not in ("status", "diverged_at")]
        raise ValueError(f"metric must be one of {', '.join(known)}; got {metric!r}")
    values = ds[metric]
    along = [dim for dim in ("epoch", "step") if dim in values.dims]
    return values.isel({dim: -1 for dim in along}, drop=True)


def _maximise(metric: str, mode: str | None) -> bool:
    if mode not in (None, "min", "max"):
        raise ValueError(f"mode must be 'min' or 'max', got {mode!r}")
    return "accuracy" in metric if mode is None else mode == "max"


def _item(value: Any) -> Any:
    return value.values.item()


def _counts(ds: xr.Dataset) -> str:
    names, counts = np.unique(ds["status"].values, return_counts=True)
    return ", ".join(f"{count} {name}" for name, count in zip(names, counts, strict=True))


def _edges(final: xr.DataArray, setting: Mapping[str, Any]) -> tuple[str, ...]:
    """Numeric hyperparameters with at least two values whose chosen one is the smallest or the largest."""
    edges = []
    for name, value in setting.items():
        values = np.unique(final[name].values)
        if values.dtype.kind in "fi" and len(values) > 1 and value in (values[0], values[-1]):
            edges.append(name)
    return tuple(edges)


def save(ds: xr.Dataset, path: str | Path, *, force: bool = False) -> Path:
    """Write a result as NetCDF-4, with all that is needed to read it in a year.

    Args:
        ds: a result.
        path: the file, usually `*.nc`.
        force: replace an existing file.

    Raises:
        FileExistsError: the file exists and `force` is not set.

    >>> import tempfile
    >>> from jaxlr import grid, sweep
    >>> ds = sweep(lambda key, lr: {"loss": lr**2}, grid(lr=[0.5, 1.0]))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     same = load(save(ds, folder + "/run.nc"))
    >>> bool((same["loss"] == ds["loss"]).all()), same.attrs == ds.attrs
    (True, True)
    """
    path = Path(path)
    if path.exists() and not force:
        raise FileExistsError(f"{path} exists; pass force=True (--force) to replace it")
    ds.to_netcdf(path, engine="h5netcdf")
    return path


def load(path: str | Path) -> xr.Dataset:
    """Read a result that `save` wrote, into memory. Nothing in the file is executed.

    Raises:
        FileNotFoundError: there is no such file.
    """
    import xarray as xr

    return xr.load_dataset(Path(path), engine="h5netcdf")
