"""Results as files: NetCDF-4 with all that is needed to read them in a year."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxlr.results.given import GIVEN
from jaxlr.results.origin import origin

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["load", "save"]

_SLASH = "\N{DIVISION SLASH}"
"""What stands for `/` in a name, which NetCDF keeps for groups."""


def save(ds: xr.Dataset, path: str | Path, *, force: bool = False) -> Path:
    """Write a result as NetCDF-4, with all that is needed to read it in a year.

    Args:
        ds: a result.
        path: the file, usually `*.nc`; `~` is the home folder, and missing folders are made.
        force: replace an existing file.

    The file is written beside and put in place when it is complete: an interrupt leaves an old one as it is. A `/` in a
    name, such as `train/loss`, is written as U+2215 and read back as it was.

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
    path = Path(path).expanduser()
    if path.exists() and not force:
        raise FileExistsError(f"{path} exists; pass force=True (--force) to replace it")
    path.parent.mkdir(parents=True, exist_ok=True)
    attributes = {name: _storable(value) for name, value in {**origin(), **ds.attrs}.items() if name != GIVEN}
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    stored = ds.copy()
    stored.attrs = attributes
    try:
        _renamed(stored, "/", _SLASH).to_netcdf(part, engine="h5netcdf")
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return path


def _renamed(ds: xr.Dataset, old: str, new: str) -> xr.Dataset:
    """With something else in the place of a character of the names."""
    names = {name: str(name).replace(old, new) for name in (*ds.variables, *ds.dims) if old in str(name)}
    return ds.rename(names)


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

    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"path must be a file that save wrote, got {path}, which is not there")
    try:
        return _renamed(xr.load_dataset(path, engine="h5netcdf"), _SLASH, "/")
    except OSError as error:
        raise ValueError(f"path must be a NetCDF-4 file that save wrote, got {path} ({error})") from error
