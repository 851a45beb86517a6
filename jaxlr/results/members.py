"""A result's members by name, whatever the order of its dimensions: settings first, then seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["ALONG", "columns", "flat", "metrics", "present", "setting_dims"]

ALONG = ("epoch", "step")
"""Dimensions along a training."""

_FACTS = ("status", "diverged_at", "diverged_in")
"""Variables that are no metrics."""


def setting_dims(ds: xr.Dataset) -> tuple[str, ...]:
    """The dimensions that tell the settings apart."""
    return tuple(str(dim) for dim in ds["status"].dims if dim != "seed")


def flat(ds: xr.Dataset, values: xr.DataArray) -> np.ndarray:
    """An array of members as `[settings, seeds, ...]`, the last setting dimension fastest."""
    dims = (*setting_dims(ds), "seed")
    array = values.transpose(*dims, ...).values
    return np.asarray(array.reshape(-1, ds.sizes["seed"], *array.shape[len(dims) :]))


def columns(ds: xr.Dataset) -> dict[str, np.ndarray]:
    """Every hyperparameter's values `[settings]`, whatever the kind of space; the last dimension fastest."""
    one = ds["status"].isel(seed=0, drop=True)
    names = [name for name in ds.coords if name not in ("seed", "setting", *ALONG)]
    return {
        str(name): ds[name].broadcast_like(one).transpose(*one.dims).values.reshape(-1)
        for name in names
        if set(ds[name].dims) <= set(one.dims)
    }


def present(column: np.ndarray) -> np.ndarray:
    """Where a hyperparameter is part of the setting: not where a concatenated space lacks it."""
    if column.dtype.kind in "bi":
        return np.ones(len(column), bool)
    return np.asarray(~np.isnan(column) if column.dtype.kind == "f" else column != "")


def metrics(ds: xr.Dataset) -> list[str]:
    """Variables with a value for each member, or one for each of its epochs or steps."""
    members = set(ds["status"].dims)
    return [
        str(name)
        for name, values in ds.data_vars.items()
        if name not in _FACTS and members <= set(values.dims) <= {*members, *ALONG}
    ]
