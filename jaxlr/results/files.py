"""Results as files: NetCDF-4 with all that is needed to read them in a year."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from jaxlr.results.given import GIVEN
from jaxlr.results.origin import origin

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["load", "save"]

_SLASH = "\N{DIVISION SLASH}"
"""What stands for `/` in a name, which NetCDF keeps for groups."""

_SEAL = b"\njaxlr blake2b "
"""What the last line of a file begins with: a digest of all that stands before, which readers of HDF5 pass over."""

_DIGITS = 64

SEALED = len(_SEAL) + _DIGITS
"""Bytes of that line."""


def save(ds: xr.Dataset, path: str | Path, *, force: bool = False) -> Path:
    """Write a result as NetCDF-4, with all that is needed to read it in a year.

    Args:
        ds: a result.
        path: the file, usually `*.nc`; `~` is the home folder, and missing folders are made.
        force: replace an existing file.

    The file is written beside and put in place when it is complete: an interrupt leaves an old one as it is. It ends
    with a digest of its bytes, by which `load` knows a damaged one. A `/` in a name, such as `train/loss`, is written
    as U+2215 and read back as it was.

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
            digest = _digest(file, part.stat().st_size)
            file.write(_SEAL + digest)
            file.flush()
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
        ValueError: it is no NetCDF-4 file, or it is damaged: its bytes are not those that `save` wrote.
    """
    import xarray as xr

    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"path must be a file that save wrote, got {path}, which is not there")
    _check_seal(path)
    try:
        return _renamed(xr.load_dataset(path, engine="h5netcdf"), _SLASH, "/")
    except Exception as error:  # of a file without a seal, HDF5 raises whatever its bytes lead to
        raise ValueError(f"path must be a NetCDF-4 file that save wrote, got {path} ({error})") from error


def _check_seal(path: Path) -> None:
    """Raise where a file's digest is not that of its bytes; files of other makers and versions have none."""
    length = path.stat().st_size - SEALED
    with path.open("rb") as file:
        file.seek(max(length, 0))
        seal = file.read()
        if not seal.startswith(_SEAL):
            return
        file.seek(0)
        if seal[len(_SEAL) :] != _digest(file, length):
            raise ValueError(f"path must be a whole file, got {path}, which is damaged: its bytes have changed")


def _digest(file: BinaryIO, length: int) -> bytes:
    """Of the next bytes of a file, in hexadecimal digits."""
    digest = hashlib.blake2b(digest_size=_DIGITS // 2)
    while length > 0 and (piece := file.read(min(length, 2**20))):
        digest.update(piece)
        length -= len(piece)
    return digest.hexdigest().encode()
