"""Stores looked at from outside: what is there, how far, how long it will take, whether it is whole."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxlr.store import arrays, manifest, reading
from jaxlr.store.lock import holder
from jaxlr.store.places import Given, Place, place
from jaxlr.store.reading import Contents
from jaxlr.store.writing import progress, writing

__all__ = ["Summary", "find", "retrain", "summary", "verify"]


class Summary(NamedTuple):
    """A store in a line.

    Attributes:
        name: where it lies.
        run: what is trained.
        dims: the swept dimensions and their sizes.
        settings: number of settings.
        seeds: number of seeds.
        finished: members that are finished.
        diverged: those of them that diverged.
        writer: the process that writes it, in words; "" for none.
        seconds_left: what the rest takes at the speed so far; None where that is not known.
    """

    name: str
    run: str
    dims: dict[str, int]
    settings: int
    seeds: int
    finished: int
    diverged: int
    writer: str
    seconds_left: float | None


def find(folders: Iterable[Path]) -> list[Path]:
    """The stores among folders and what lies directly in them.

    Raises:
        FileNotFoundError: a folder is not there.
    """
    found = []
    for folder in folders:
        if not folder.is_dir():
            raise FileNotFoundError(f"DIR must be a folder, got {folder}, which is not there")
        inside = [folder] if (folder / "zarr.json").exists() else sorted(folder.iterdir())
        found += [one for one in inside if one.is_dir() and (one / "zarr.json").exists()]
    return found


def summary(store: Given) -> Summary:
    """A store in a line; whatever writes it may go on.

    Raises:
        FileNotFoundError, ValueError: as `open`.
    """
    found = reading.contents(place(store))
    known, status = found.manifest, found.status
    finished, members = int((status > 0).sum()), status.size
    advances, seconds = progress(found.place)
    left = (members - finished) * known.length * seconds / advances if advances else None
    return Summary(
        found.place.name,
        known.run,
        known.dims,
        known.rows,
        known.seeds,
        finished,
        int((status == arrays.STATUS.index("diverged")).sum()),
        holder(found.place),
        left if finished < members else 0.0,
    )


def verify(store: Given) -> list[str]:
    """The damaged files of a store: every finished chunk is read and its checksum compared.

    Raises:
        FileNotFoundError, ValueError: as `open`; what tells of the whole store is damaged.
    """
    found, damaged = _readable(place(store))
    return damaged + arrays.damage(found.place, found.group, found.manifest, found.status, whole=True)


def retrain(store: Given) -> int:
    """Delete the damaged chunks and let their members be unfinished, so that the same call trains them anew.

    Returns:
        How many members may be trained anew: those of the damaged chunks.

    Raises:
        BlockingIOError, FileNotFoundError, ValueError: another process writes it, or as `verify`.
    """
    with writing(place(store)) as held:
        found, damaged = _readable(held.place)
        names = damaged + arrays.damage(found.place, found.group, found.manifest, found.status, whole=True)
        lost = {tuple(map(int, name.split("/c/")[1].split("/")[:2])) for name in names}
        status = arrays.opened(found.place, _writable(found.place), found.manifest, arrays.facts_in(found.manifest)[-1])
        for name in damaged:
            found.place.delete(name)
        for i, k in lost:
            status[arrays.members_of(found.manifest, i, k)] = np.uint8(0)
        for name in names:
            found.place.delete(name)
    return sum(found.status[arrays.members_of(found.manifest, i, k)].size for i, k in lost)


def _readable(where: Place) -> tuple[Contents, list[str]]:
    """A store whose chunks may be damaged, and the chunks of `status` that are."""
    known = manifest.read(where)
    if known is None:
        raise FileNotFoundError(f"store must be one that a sweep made, got {where.name}, where nothing is stored yet")
    import zarr

    group = zarr.open_group(where.zarr, mode="r", use_consolidated=False)
    status, damaged = arrays.readable_status(where, group, known)
    return Contents(where, group, known, arrays.read_table(where, group, known), status), damaged


def _writable(where: Place) -> Any:
    import zarr

    return zarr.open_group(where.zarr, mode="r+", use_consolidated=False)
