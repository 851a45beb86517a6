"""What is finished of a stored sweep, as a labelled Dataset whose numbers are read when they are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jaxlr.results.labels import meaning, rate_note
from jaxlr.store import arrays, manifest, places
from jaxlr.store.manifest import Manifest, Variable
from jaxlr.store.places import Place
from jaxlr.store.settings import Table

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Contents", "contents", "dataset", "open"]


class Contents(NamedTuple):
    """A store as it is now.

    Attributes:
        place: where it lies.
        group: as Zarr opened it.
        manifest: what it says of itself.
        table: its settings.
        status: of every member, as numbers `[rows, seeds]`.
    """

    place: Place
    group: Any
    manifest: Manifest
    table: Table
    status: np.ndarray


def open(store: places.Given) -> xr.Dataset:
    """The result of a sweep with `store=`, as far as it is finished; at any time, from any process.

    Numbers are read when they are asked for, so that a result of a million settings opens at once; `ds.load()` reads
    all of them. What is not finished is NaN (or 0) and has the status `unfinished`.

    Args:
        store: the folder or URL that the sweep was given.

    Returns:
        A Dataset as `sweep` returns it.

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: something else is there, or what is there is damaged.

    >>> import tempfile
    >>> from jaxlr import grid, sweep
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ds = sweep(lambda key, lr: {"loss": lr**2}, grid(lr=[0.5, 1.0]), store=folder + "/lr")
    ...     print(open(folder + "/lr")["loss"].values.tolist())
    [[0.25], [1.0]]
    """
    return dataset(contents(places.place(store)))


def contents(place: Place) -> Contents:
    """A store as it is now, every finished chunk in its place.

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: something else is there, or what is there is damaged.
    """
    import zarr

    known = manifest.read(place)
    if known is None:
        raise FileNotFoundError(f"store must be one that a sweep made, got {place.name}, where nothing is stored yet")
    group = zarr.open_group(place.zarr, mode="r", use_consolidated=False)
    status = arrays.read_status(place, group, known)
    gone = arrays.damage(place, group, known, status, whole=False)
    if gone:
        raise ValueError(f"store {place.name} is damaged: {gone[0]}{_and_more(gone)} is missing; {REMEDY}")
    return Contents(place, group, known, arrays.read_table(place, group, known), status)


REMEDY = "`jaxlr runs verify` lists what is damaged, and with --retrain lets the next sweep train it anew"


def _and_more(names: list[str]) -> str:
    return f" (and {len(names) - 1} more)" if len(names) > 1 else ""


def dataset(found: Contents, attributes: Mapping[str, Any] | None = None) -> xr.Dataset:
    """A store's contents as a result, its settings in the order of the space as it was last given."""
    import xarray as xr
    from xarray.core.indexing import LazilyIndexedArray

    known = found.manifest
    rows = np.empty(known.rows, np.int64)
    rows[found.table.positions] = np.arange(known.rows)
    sizes = tuple(known.dims.values())

    def lazy(variable: Variable) -> Any:
        array = arrays.opened(found.place, found.group, known, variable)
        dims = (*known.dims, "seed", *variable.dims)
        members = _members(found, variable, array, rows)
        return xr.Variable(dims, LazilyIndexedArray(members), meaning(variable.name))

    def fact(name: str, values: np.ndarray) -> Any:
        return xr.Variable((*known.dims, "seed"), values.reshape(*sizes, *values.shape[1:]), meaning(name))

    data = {variable.name: lazy(variable) for variable in known.variables}
    status = found.status[rows]
    data["status"] = fact("status", np.array(arrays.STATUS, "<U10")[status])
    at, where = (_fact(found, name)[rows] for name in ("diverged_at", "diverged_in"))
    ended = status > 0
    data["diverged_at"] = fact("diverged_at", np.where(ended, at, 0))
    if (at * ended).any():
        names = np.array(["", *(variable.name for variable in known.variables)])
        data["diverged_in"] = fact("diverged_in", names[np.where(ended, where, 0)])
    coords = _coordinates(found, rows)
    return xr.Dataset(data, coords, {**_origin(known), **known.attributes, **(attributes or {}), **_note(found, data)})


def _fact(found: Contents, name: str) -> np.ndarray:
    (variable,) = (one for one in arrays.facts_in(found.manifest) if one.name == name)
    array = arrays.opened(found.place, found.group, found.manifest, variable)
    try:
        return np.asarray(array[: found.manifest.rows, : found.manifest.seeds])
    except Exception as error:
        raise ValueError(f"store {found.place.name} is damaged: {name} cannot be read ({error}); {REMEDY}") from error


def _origin(known: Manifest) -> dict[str, str]:
    return {name: known.versions[name] for name in ("jaxlr", "jax", "optax")}


def _note(found: Contents, data: Mapping[str, Any]) -> dict[str, str]:
    """Why the rates are unknown, judged by the first member that is finished."""
    ended = np.argwhere(data["status"].values.reshape(-1, found.manifest.seeds) != "unfinished")
    if "rate" not in data or not len(ended):
        return {}
    place, seed = ended[0]
    at = np.unravel_index(place, tuple(found.manifest.dims.values())) if found.manifest.dims else ()
    return rate_note(np.asarray(data["rate"][(*map(int, at), int(seed))].values))


def _coordinates(found: Contents, rows: np.ndarray) -> dict[str, Any]:
    """Hyperparameters on their dimensions, seeds, and the dimension along a training."""
    known = found.manifest
    coords: dict[str, Any] = {}
    sizes = tuple(known.dims.values())
    for name, dim in known.axes.items():
        column = found.table.columns[name][rows]
        if not dim:
            coords[name] = column[0]
            continue
        at = list(known.dims).index(dim)
        along = column.reshape(sizes)[tuple(slice(None) if i == at else 0 for i in range(len(sizes)))]
        coords[name] = (dim, along)
    return {**coords, "seed": np.arange(known.seeds), **{name: one for name, (_, one) in arrays.along(known).items()}}


def _members(found: Contents, variable: Variable, array: Any, rows: np.ndarray) -> Any:
    """A variable of all members in the space's shape, that reads what is asked for."""
    from xarray.backends import BackendArray
    from xarray.core import indexing

    sizes = tuple(found.manifest.dims.values())
    inner = (found.manifest.seeds, *variable.shape)

    class Members(BackendArray):
        shape = (*sizes, *inner)
        dtype = np.dtype(variable.dtype)

        def __getitem__(self, key: Any) -> Any:
            return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, read)

        def __reduce__(self) -> tuple[Any, ...]:
            return _members, (found, variable, array, rows)

    def read(key: tuple[Any, ...]) -> np.ndarray:
        places = [np.arange(size)[one] for size, one in zip(sizes, key, strict=False)]
        picked = np.arange(len(rows)).reshape(sizes)[np.ix_(*map(np.atleast_1d, places))] if sizes else np.array([0])
        within = [_selected(one, size) for one, size in zip(key[len(sizes) :], inner, strict=True)]
        try:
            values = _rows(array, rows[picked.ravel()], found.manifest.chunk_rows, within)
        except Exception as error:
            raise ValueError(
                f"store {found.place.name} is damaged: {variable.name} cannot be read ({error}); {REMEDY}"
            ) from error
        return values.reshape((*(len(one) for one in places if one.ndim), *values.shape[1:]))

    return Members()


class _Selected(NamedTuple):
    """What is asked for along one dimension: what is read, and what is taken of it; None where nothing is left."""

    read: slice | int
    take: np.ndarray | slice | None


def _selected(one: Any, size: int) -> _Selected:
    if isinstance(one, (int, np.integer)):
        return _Selected(int(one), None)
    picked = np.arange(size)[one]
    if not len(picked):
        return _Selected(slice(0, 0), slice(None))
    low, high = int(picked.min()), int(picked.max()) + 1
    plain = len(picked) == high - low and bool((np.diff(picked) > 0).all())
    return _Selected(slice(low, high), slice(None) if plain else picked - low)


def _rows(array: Any, wanted: np.ndarray, step: int, within: list[_Selected]) -> np.ndarray:
    """Rows of an array, chunk by chunk: no more than one is in memory beside what was asked for."""

    def read(low: int, high: int) -> np.ndarray:
        part = np.asarray(array[(slice(low, high), *(one.read for one in within))])
        takes = [one.take for one in within if one.take is not None]
        for axis, take in enumerate(takes, start=1):
            part = part[(*(slice(None),) * axis, take)]
        return part

    empty = read(0, 0)
    result = np.empty((len(wanted), *empty.shape[1:]), empty.dtype)
    chunks = wanted // step
    for chunk in np.unique(chunks):
        here = np.flatnonzero(chunks == chunk)
        low, high = int(wanted[here].min()), int(wanted[here].max()) + 1
        result[here] = read(low, high)[wanted[here] - low]
    return result
