"""Results as labelled arrays: from a sweep's arrays to a Dataset, and what is read off it.

A result is an `xarray.Dataset` with the dimensions `(<axes...>, seed, epoch)`; everything downstream is a
function of it.
"""

from __future__ import annotations

import datetime
import functools
import json
import os
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jaxlr import spaces
from jaxlr.spaces import ABSENT, Space

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = [
    "Best",
    "best",
    "columns",
    "final",
    "label",
    "load",
    "maximised",
    "present",
    "save",
    "table",
    "text",
]

_MEANINGS = {
    "loss": "training loss, running over the epoch, each batch before its update",
    "accuracy": "training accuracy, running over the epoch, each batch before its update",
    "val_loss": "loss over the test data after the epoch",
    "val_accuracy": "accuracy over the test data after the epoch",
    "rate": "learning rate of the epoch's last update; NaN where it is unknown",
    "status": "ok; diverged: a loss was not finite; stopped: ended early; unfinished: interrupted",
    "diverged_at": "first epoch or step with a loss that is not finite, counted from 1; 0 for never",
}
"""Variable -> what it holds, for whoever reads a file in a year."""


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

    Raises:
        ValueError: the arrays are of several lengths.
    """
    import xarray as xr

    loss = arrays.get("loss")
    status, diverged_at = _status(loss, finished, arrays.get("stopped"))
    kept = {name: _shown(name, values, loss, diverged_at) for name, values in arrays.items() if name != "stopped"}
    note = {}
    if "rate" in arrays and np.isnan(arrays["rate"][finished]).all():
        note["rate_note"] = (
            "unknown: the optimizer neither takes `learning_rate` nor holds it in its state nor comes with a schedule"
        )
    dims = space.dims

    def variable(name: str, values: np.ndarray) -> tuple[tuple[str, ...], np.ndarray, dict[str, str]]:
        shape = (*dims.values(), *values.shape[1:])
        meaning = {"description": _MEANINGS[name]} if name in _MEANINGS else {}
        return (*dims, "seed", along, "batch")[: len(shape)], values.reshape(shape), meaning

    kept.update(status=status, diverged_at=diverged_at)
    lengths = {values.shape[2] for values in kept.values() if values.ndim == 3}
    if len(lengths) > 1:
        raise ValueError(f"arrays of a training must have one length, got {sorted(lengths)}")
    coords = {**_coordinates(space), "seed": np.arange(len(status[0]))}
    if lengths:
        coords[along] = np.arange(1, lengths.pop() + 1)
    data = {name: variable(name, values) for name, values in kept.items()}
    return xr.Dataset(data, coords, {**_origin(), **attributes, **note})


def _status(loss: np.ndarray | None, finished: np.ndarray, stopped: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """`status` and `diverged_at` from the losses `[settings, seeds, T]` or `[settings, seeds]`.

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


def _shown(name: str, values: np.ndarray, loss: np.ndarray | None, diverged_at: np.ndarray) -> np.ndarray:
    if name.startswith("initial_") and values.ndim == 3:
        # Measured before the first update: one number, which every epoch repeats.
        return values[:, :, 0]
    return _masked(values, diverged_at) if loss is not None and values.shape == loss.shape else values


def _masked(values: np.ndarray, diverged_at: np.ndarray) -> np.ndarray:
    """NaN from the first non-finite loss on; integers have no NaN and stay."""
    if not np.issubdtype(values.dtype, np.floating):
        return values
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
    """Values as a coordinate; an absent one is NaN among numbers and empty among words."""
    present = [value for value in column if value is not ABSENT]
    if all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in present):
        if len(present) == len(column) and all(isinstance(value, int) for value in present):
            return np.array(column, np.int64)
        return np.array([np.nan if value is ABSENT else value for value in column], np.float64)
    if len(present) == len(column) and all(isinstance(value, bool) for value in present):
        return np.array(column)
    return np.array(_words(column))


def _words(column: tuple[Any, ...]) -> list[str]:
    """The values in words; different values of one text, such as two lambdas, are numbered."""
    known: dict[Any, str] = {}
    used: Counter[str] = Counter()
    for value in column:
        tag = spaces.label(value)
        if tag not in known:
            word = "" if value is ABSENT else text(value)
            used[word] += 1
            known[tag] = word if used[word] == 1 else f"{word} ({used[word]})"
    return [known[spaces.label(value)] for value in column]


def text(value: Any) -> str:
    """A hyperparameter that is no number, in words.

    >>> from jaxlr import schedules
    >>> text(schedules.cosine_decay(0.1, 1000)), text(max), text(functools.partial(max, key=len))
    ('cosine_decay(0.1, 1000)', 'max', 'max(key=len)')
    """
    import jax

    from jaxlr import schedules

    if isinstance(value, str):
        return value
    if isinstance(value, jax.tree_util.Partial):
        try:
            return schedules.format(value)
        except ValueError:  # a function from elsewhere
            pass
    if isinstance(value, (np.ndarray, jax.Array)):
        return np.array2string(np.asarray(value), separator=", ", max_line_width=10**6)
    if isinstance(value, functools.partial):
        parts = [*map(text, value.args), *(f"{name}={text(part)}" for name, part in value.keywords.items())]
        return f"{text(value.func)}({', '.join(parts)})"
    named = getattr(value, "__qualname__", None)
    # An address says nothing and would differ from run to run.
    return named or " ".join(re.sub(r" at 0x[0-9a-f]+", "", str(value)).split())


def _origin() -> dict[str, str]:
    """When and with what a result was made."""
    import jax
    import optax

    import jaxlr

    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return {"jaxlr": jaxlr.__version__, "jax": jax.__version__, "optax": optax.__version__, "created": now}


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
    return ~np.isnan(column) if column.dtype.kind == "f" else column != ""


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


def save(ds: xr.Dataset, path: str | Path, *, force: bool = False) -> Path:
    """Write a result as NetCDF-4, with all that is needed to read it in a year.

    Args:
        ds: a result.
        path: the file, usually `*.nc`.
        force: replace an existing file.

    The file is written beside and put in place when it is complete: an interrupt leaves an old one as it is.

    Returns:
        The path.

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
    attributes = {name: _storable(value) for name, value in {**_origin(), **ds.attrs}.items()}
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        ds.assign_attrs(attributes).to_netcdf(part, engine="h5netcdf")
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return path


def _storable(value: Any) -> Any:
    """An attribute as NetCDF can hold it: text and numbers, anything else as JSON."""
    if isinstance(value, (str, int, float, np.number)) and not isinstance(value, bool):
        return value
    return json.dumps(value, default=str)


def load(path: str | Path) -> xr.Dataset:
    """Read a result that `save` wrote, into memory. Nothing in the file is executed.

    Args:
        path: the file.

    Returns:
        The result.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no NetCDF-4 file.
    """
    import xarray as xr

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"path must be a file that save wrote, got {path}, which is not there")
    try:
        return xr.load_dataset(path, engine="h5netcdf")
    except OSError as error:
        raise ValueError(f"path must be a NetCDF-4 file that save wrote, got {path} ({error})") from error
