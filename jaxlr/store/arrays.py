"""The arrays of a store: one for each variable, `[rows, seeds, ...]`, in chunks that carry a checksum.

A chunk is some blocks of the engine. What an array is said to be in its own file is compared with the manifest before
anything of it is believed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from jaxlr.store.manifest import Manifest, Variable
from jaxlr.store.places import Place
from jaxlr.store.settings import Table, digest

__all__ = [
    "FACTS",
    "STATUS",
    "along",
    "chunk_rows",
    "create",
    "damage",
    "facts_in",
    "members_of",
    "needed",
    "opened",
    "read_status",
    "read_table",
    "readable_status",
    "runs",
    "stored_name",
    "write_coordinates",
    "write_table",
]

STATUS = ("unfinished", "ok", "diverged", "stopped")
"""What the numbers of `status` mean."""

FACTS = ("diverged_at", "diverged_in", "status")
"""What is known of each member beside its metrics. `status` is written last: with it a member is there."""

_MIB = 2**20
"""Bytes that a chunk of the largest metric has at most, where a block has fewer."""


def stored_name(name: str) -> str:
    """A name as Zarr can hold it, which keeps `/` for groups."""
    return name.replace("/", "\N{DIVISION SLASH}")


def facts_in(manifest: Manifest) -> tuple[Variable, ...]:
    """The arrays that every store has."""
    return tuple(Variable(name, "uint8" if name == "status" else "int32", (), ()) for name in FACTS)


def chunk_rows(variables: Sequence[Variable], block: tuple[int, int], rows: int, devices: int) -> int:
    """Settings in a chunk: whole blocks, as many as make a mebibyte of the largest metric, or the sweep."""
    settings = block[0] * devices
    largest = max((np.dtype(one.dtype).itemsize * int(np.prod(one.shape)) for one in variables), default=4)
    blocks = max(1, min(_MIB // max(largest * block[1] * settings, 1), -(-rows // settings)))
    return int(blocks * settings)


def create(place: Place, group: Any, manifest: Manifest, old: Manifest | None) -> None:
    """Make the arrays, empty; those of an older manifest are made longer."""
    for variable in (*manifest.variables, *facts_in(manifest)):
        shape = (manifest.rows, manifest.seeds, *variable.shape)
        name = stored_name(variable.name)
        if old is not None:
            array = opened(place, group, old, variable)
            array.resize(tuple(map(max, array.shape, shape)))
            continue
        _made(group, name, shape, _chunks(manifest, variable), variable, _attributes(manifest, variable))


def _made(
    group: Any,
    name: str,
    shape: tuple[int, ...],
    chunks: tuple[int, ...],
    variable: Variable,
    attributes: dict[str, Any],
) -> Any:
    from zarr.codecs import Crc32cCodec, ZstdCodec

    return group.create_array(
        name,
        shape=shape,
        chunks=chunks,
        dtype=variable.dtype,
        fill_value=_fill(variable),
        compressors=[ZstdCodec(level=1), Crc32cCodec()],
        dimension_names=("setting", "seed", *variable.dims),
        attributes=attributes,
        overwrite=True,
        config={"write_empty_chunks": True},
    )


def _chunks(manifest: Manifest, variable: Variable) -> tuple[int, ...]:
    return (manifest.chunk_rows, manifest.block[1], *(max(size, 1) for size in variable.shape))


def _fill(variable: Variable) -> Any:
    """What stands where nothing was written."""
    return np.nan if np.issubdtype(np.dtype(variable.dtype), np.inexact) else np.dtype(variable.dtype).type(0)


def _attributes(manifest: Manifest, variable: Variable) -> dict[str, Any]:
    """For whoever opens it with other tools; the flags are those of the CF conventions."""
    if variable.name == "status":
        return {"flag_values": list(range(len(STATUS))), "flag_meanings": " ".join(STATUS)}
    if variable.name == "diverged_in":
        names = [one.name.replace(" ", "_") for one in manifest.variables]
        return {"flag_values": list(range(len(names) + 1)), "flag_meanings": " ".join(["none", *names])}
    return {}


def opened(place: Place, group: Any, manifest: Manifest, variable: Variable) -> Any:
    """An array as it was made.

    Raises:
        ValueError: it is gone, or is not what the manifest says.
    """
    name = stored_name(variable.name)
    try:
        array = group[name]
        found = array.metadata.to_dict()
        wanted = (
            str(np.dtype(variable.dtype)),
            _chunks(manifest, variable),
            ("setting", "seed", *variable.dims),
            variable.shape,
            ["bytes", "zstd", "crc32c"],
        )
        codecs = [one["name"] for one in found["codecs"]]
        got = (str(array.dtype), tuple(array.chunks), tuple(found["dimension_names"]), tuple(array.shape[2:]), codecs)
        fill, plain = np.asarray(array.fill_value), found["codecs"][0].get("configuration", {})
        keys = json.dumps(found["chunk_key_encoding"], sort_keys=True, default=str)
    except Exception as error:
        raise ValueError(f"store {place.name} is damaged: the array {name} cannot be opened ({error!r})") from error
    same = np.array_equal(fill, np.asarray(_fill(variable)), equal_nan=fill.dtype.kind == "f")
    little = plain.get("endian", "little") in ("little", None) or getattr(plain.get("endian"), "value", "") == "little"
    if got != wanted or not same or not little or "default" not in keys or "/" not in keys:
        raise ValueError(f"store {place.name} is damaged: {name}/zarr.json is not what was written")
    if array.shape[0] < manifest.rows or array.shape[1] < manifest.seeds:
        raise ValueError(f"store {place.name} is damaged: the array {name} is smaller than the sweep")
    return array.with_config({"write_empty_chunks": True})


def read_status(place: Place, group: Any, manifest: Manifest) -> np.ndarray:
    """The status of every member as numbers, `[rows, seeds]`.

    Raises:
        ValueError: it is damaged.
    """
    array = opened(place, group, manifest, facts_in(manifest)[-1])
    try:
        found = np.asarray(array[: manifest.rows, : manifest.seeds])
    except Exception as error:
        raise ValueError(f"store {place.name} is damaged: status cannot be read ({error})") from error
    if found.size and found.max() >= len(STATUS):
        raise ValueError(f"store {place.name} is damaged: status holds {found.max()}")
    return found


def readable_status(place: Place, group: Any, manifest: Manifest) -> tuple[np.ndarray, list[str]]:
    """The status of every member, unfinished where its chunk cannot be read; and those chunks."""
    variable = facts_in(manifest)[-1]
    array = opened(place, group, manifest, variable)
    found, damaged = np.zeros((manifest.rows, manifest.seeds), np.uint8), []
    for i, k in needed(manifest, np.ones(found.shape)):
        at = members_of(manifest, i, k)
        try:
            found[at] = array[at][: manifest.rows - at[0].start, : manifest.seeds - at[1].start]
        except Exception:  # whatever the bytes lead the codecs to
            damaged.append(chunk_name(variable, i, k))
    return found, damaged


def members_of(manifest: Manifest, i: int, k: int) -> tuple[slice, slice]:
    """The rows and seeds of a chunk."""
    size, wide = manifest.chunk_rows, manifest.block[1]
    return slice(i * size, (i + 1) * size), slice(k * wide, (k + 1) * wide)


def needed(manifest: Manifest, status: np.ndarray) -> Iterator[tuple[int, int]]:
    """The chunks, by their places along rows and seeds, in which a member is finished."""
    size, wide = manifest.chunk_rows, manifest.block[1]
    for i in range(-(-status.shape[0] // size)):
        for k in range(-(-status.shape[1] // wide)):
            if status[members_of(manifest, i, k)].any():
                yield i, k


def chunk_name(variable: Variable, i: int, k: int) -> str:
    """The file of a chunk."""
    return "/".join([stored_name(variable.name), "c", str(i), str(k), *("0" for _ in variable.shape)])


def damage(place: Place, group: Any, manifest: Manifest, status: np.ndarray, *, whole: bool) -> list[str]:
    """The chunks of finished members that are gone or, with `whole`, that cannot be read; all of them are read then."""
    found = []
    for variable in (*manifest.variables, *facts_in(manifest)):
        array = opened(place, group, manifest, variable)
        there = set(place.names(f"{stored_name(variable.name)}/c/"))
        for i, k in needed(manifest, status):
            name = chunk_name(variable, i, k)
            if name not in there:
                found.append(name)
            elif whole:
                try:
                    array[members_of(manifest, i, k)]
                except Exception:  # whatever the bytes lead the codecs to
                    found.append(name)
    return found


def write_table(group: Any, generation: int, table: Table) -> None:
    """Write a table of the settings beside the older ones."""
    from zarr.codecs import Crc32cCodec

    inside = group.require_group("engine").create_group(f"settings-{generation}", overwrite=True)
    for name, column in {"identities": table.identities, "positions": table.positions}.items():
        inside.create_array(name, data=column, compressors=[Crc32cCodec()])
    for i, column in enumerate(table.columns.values()):
        inside.create_array(f"column-{i}", data=_storable(column), compressors=[Crc32cCodec()])


def _storable(column: np.ndarray) -> np.ndarray:
    return column.astype(np.dtypes.StringDType()) if column.dtype.kind == "U" else column


def read_table(place: Place, group: Any, manifest: Manifest) -> Table:
    """The table of the settings that counts.

    Raises:
        ValueError: it is damaged.
    """
    try:
        inside = group[f"engine/settings-{manifest.generation}"]
        columns = {name: _plain(inside[f"column-{i}"][:]) for i, name in enumerate(manifest.axes)}
        table = Table(np.asarray(inside["identities"][:]), np.asarray(inside["positions"][:]), columns)
        same = digest(table) == manifest.table
    except Exception as error:
        raise ValueError(f"store {place.name} is damaged: its settings cannot be read ({error!r})") from error
    if not same:
        raise ValueError(f"store {place.name} is damaged: its settings are not what was written")
    return table


def _plain(column: Any) -> np.ndarray:
    array = np.asarray(column)
    return np.array(array.tolist(), str) if array.dtype.kind in "TO" else array


def write_coordinates(group: Any, manifest: Manifest, table: Table) -> None:
    """The settings as coordinates of the arrays, for other tools; what counts here is the table."""
    from zarr.codecs import Crc32cCodec

    seeds = np.arange(manifest.seeds)
    columns = {name: ("setting", _storable(column)) for name, column in table.columns.items()}
    for name, (dim, column) in {**columns, "seed": ("seed", seeds), **along(manifest)}.items():
        group.create_array(
            stored_name(name), data=column, dimension_names=(dim,), compressors=[Crc32cCodec()], overwrite=True
        )


def along(manifest: Manifest) -> dict[str, tuple[str, np.ndarray]]:
    """The coordinate of the dimension along a training."""
    for one in manifest.variables:
        if not one.initial and one.dims:
            return {one.dims[0]: (one.dims[0], manifest.stride * np.arange(1, one.shape[0] + 1))}
    return {}


def runs(places: np.ndarray) -> list[tuple[int, int]]:
    """Ascending numbers as ranges.

    >>> runs(np.array([3, 4, 5, 9]))
    [(3, 6), (9, 10)]
    """
    breaks = np.flatnonzero(np.diff(places) != 1) + 1
    return [(int(part[0]), int(part[-1]) + 1) for part in np.split(places, breaks)]
