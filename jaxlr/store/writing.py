"""Writing a sweep: whole members, gathered until a chunk is full, `status` last."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from jaxlr.results.labels import Judged, coordinates
from jaxlr.spaces import Space
from jaxlr.store import arrays, manifest
from jaxlr.store.lock import LOCK, held
from jaxlr.store.manifest import Manifest
from jaxlr.store.places import Place
from jaxlr.store.settings import Table, digest, identities

__all__ = ["PROGRESS", "Store", "progress", "writing"]

PROGRESS = "engine/progress"
"""Advances that were trained and the seconds that it took, for whoever asks how long it will take."""


class Store:
    """A store that this process writes.

    Attributes:
        place: where it lies.
        known: what it said of itself before; None for a new one.
        rows: the row of each setting of the space `[settings]`, once `begin` was called.
        finished: which members are there `[settings, seeds]`.
    """

    def __init__(self, place: Place, known: Manifest | None, beat: Callable[[], None]) -> None:
        self.place, self.known = place, known
        self._beat = beat
        self._pending: list[tuple[np.ndarray, np.ndarray, Judged, Mapping[str, np.ndarray]]] = []
        self._waiting = 0
        self._began = time.monotonic()
        self._advances = 0
        self._earlier = progress(place)

    def missing(self, space: Space) -> list[dict[str, Any]]:
        """Settings of the store that a space lacks."""
        assert self.known is not None
        table = arrays.read_table(self.place, self._open("r"), self.known)
        lost = np.flatnonzero(~np.isin(table.identities, identities(space)))
        return [{name: column[i].item() for name, column in table.columns.items()} for i in lost]

    def clear(self) -> None:
        """Delete all but who holds it: the manifest first, without which nothing else counts."""
        self._open("r+").attrs.put({"made_by": "jaxlr"})
        for name in self.place.names(""):
            if name not in ("zarr.json", LOCK):
                self.place.delete(name)
        self.known, self._earlier = None, (0, 0.0)

    def begin(self, wanted: Manifest, space: Space, order: np.ndarray) -> None:
        """Make the store, or make it larger, for the settings of a space: rows that are there stay as they are.

        Args:
            wanted: what it is to hold.
            space: the settings.
            order: their places in the order in which they are trained.
        """
        own = identities(space)
        old, known = None, self.known
        if known is not None:
            old = arrays.read_table(self.place, self._open("r"), known)
        before = np.empty(0, np.uint64) if old is None else old.identities
        ordered = np.concatenate([before, own[order][~np.isin(own[order], before)]])
        by_number = np.argsort(own)
        positions = by_number[np.searchsorted(own[by_number], ordered)]
        columns = {name: column[positions] for name, column in _columns(space).items()}
        table = Table(ordered, positions, columns)
        self.rows = np.empty(len(own), np.int64)
        self.rows[positions] = np.arange(len(own))
        wanted = dataclasses.replace(wanted, rows=len(own), table=digest(table), generation=1)
        if known is not None:
            wanted = dataclasses.replace(
                wanted,
                generation=known.generation + 1,
                chunk_rows=known.chunk_rows,
                attributes=known.attributes,
                programs={**known.programs, **wanted.programs},
            )
        with self.failing():
            if known is None or (known.table, known.seeds) != (wanted.table, wanted.seeds):
                self._enlarge(wanted, table)
            elif (same := dataclasses.replace(wanted, generation=known.generation)) != known:
                self._commit(same)
                self._consolidate()
        assert self.known is not None
        self.manifest = self.known
        self.group = self._open("r+")
        status = arrays.read_status(self.place, self.group, self.manifest)
        self.finished = (status > 0)[self.rows]
        self._arrays = {
            one.name: arrays.opened(self.place, self.group, self.manifest, one)
            for one in (*self.manifest.variables, *arrays.facts_in(self.manifest))
        }

    def _enlarge(self, wanted: Manifest, table: Table) -> None:
        """Room for more members; until the manifest is written the store is what it was."""
        import zarr

        if self.place.read("zarr.json") is None:
            zarr.create_group(self.place.zarr, attributes={"made_by": "jaxlr"})
        group = self._open("r+")
        arrays.create(self.place, group, wanted, self.known)
        arrays.write_table(group, wanted.generation, table)
        self._commit(wanted)
        arrays.write_coordinates(group, wanted, table)
        self._consolidate()

    def _commit(self, wanted: Manifest) -> None:
        self._open("r+").update_attributes(manifest.written(wanted))
        self.known = wanted

    def _consolidate(self) -> None:
        """A copy of what the arrays are, for other tools: they open the group at once. Nothing here reads it."""
        import zarr

        with warnings.catch_warnings():
            # That the copy is no part of Zarr's format yet, and that the lock is no array.
            warnings.simplefilter("ignore")
            zarr.consolidate_metadata(self.place.zarr)

    def _open(self, mode: Any) -> Any:
        import zarr

        return zarr.open_group(self.place.zarr, mode=mode, use_consolidated=False)

    def advanced(self, advances: int) -> None:
        """So many advances were made: for the time that is left, and as a sign of life."""
        self._advances += advances
        self._beat()

    def add(self, settings: np.ndarray, seeds: np.ndarray, judged: Judged, initial: Mapping[str, np.ndarray]) -> None:
        """Members that are finished; they are written when a chunk is full, or with `flush`."""
        self._pending.append((self.rows[settings], seeds, judged, initial))
        self._waiting += len(settings) * len(seeds)
        if self._waiting >= self.manifest.chunk_rows * self.manifest.block[1]:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        if self._pending and self.place.read("zarr.json") is None:
            self._pending = []
            raise FileNotFoundError(f"store {self.place.name} has vanished while it was written")
        alike: dict[bytes, list[tuple[np.ndarray, np.ndarray, Judged, Mapping[str, np.ndarray]]]] = {}
        for one in self._pending:
            alike.setdefault(one[1].tobytes(), []).append(one)
        with self.failing():
            for members in alike.values():
                self._write(members)
            self._pending, self._waiting = [], 0
            if alike:
                self._tell()

    @contextlib.contextmanager
    def failing(self) -> Iterator[None]:
        """What the system says when writing fails, with what that means.

        Raises:
            OSError: of the same kind.
        """
        try:
            yield
        except OSError as error:
            why = f"store {self.place.name} cannot be written: {error.strerror or error}"
            safe = "what was finished before is safe, and the same call goes on when it can"
            raise type(error)(error.errno, f"{why}; {safe}") from error

    def _write(self, members: list[tuple[np.ndarray, np.ndarray, Judged, Mapping[str, np.ndarray]]]) -> None:
        """Members of the same seeds, their rows joined."""
        rows = np.concatenate([one[0] for one in members])
        order, seeds = np.argsort(rows), members[0][1]
        names = [variable.name for variable in self.manifest.variables]
        code = {name: i for i, name in enumerate(["", *names])}
        words = {word: i for i, word in enumerate(arrays.STATUS)}
        parts = [
            {
                **judged.arrays,
                **initial,
                "diverged_at": self.manifest.stride * judged.first,
                "diverged_in": np.vectorize(code.__getitem__, otypes=[np.int32])(judged.where),
                "status": np.vectorize(words.__getitem__, otypes=[np.uint8])(judged.status),
            }
            for _, _, judged, initial in members
        ]
        for name in (*names, *arrays.FACTS):
            values = np.concatenate([part[name] for part in parts])[order]
            done = 0
            for low, high in arrays.runs(rows[order]):
                taken = 0
                for first, last in arrays.runs(seeds):
                    self._arrays[name][low:high, first:last] = values[
                        done : done + high - low, taken : taken + last - first
                    ]
                    taken += last - first
                done += high - low

    def _tell(self) -> None:
        """How far, and how fast."""
        advances, seconds = self._earlier
        now = {"advances": advances + self._advances, "seconds": seconds + time.monotonic() - self._began}
        self.place.write(PROGRESS, json.dumps(now).encode())


def progress(place: Place) -> tuple[int, float]:
    """Advances that were trained so far, and the seconds that it took."""
    try:
        found = json.loads(place.read(PROGRESS) or b"{}")
        return int(found.get("advances", 0)), float(found.get("seconds", 0.0))
    except (ValueError, TypeError, AttributeError):  # it tells nothing but the time that is left
        return 0, 0.0


def _columns(space: Space) -> dict[str, np.ndarray]:
    """Hyperparameter -> its label in every setting, the last dimension fastest."""
    places = np.unravel_index(np.arange(len(space)), [axis.size for axis in space.axes])
    labels = coordinates(space)
    found = {}
    for axis, at in zip(space.axes, places, strict=True):
        for name in axis.columns:
            column = labels[name][1] if axis.dim is not None else np.asarray([labels[name]])
            found[name] = column[at]
    return found


@contextlib.contextmanager
def writing(place: Place) -> Iterator[Store]:
    """Hold a store while this process writes it; what waits is written at the end, whatever ended it.

    Raises:
        BlockingIOError: another process writes it.
        ValueError: something else is there, or it is damaged.
    """
    manifest.read(place)  # nothing is put into what is no store
    with held(place) as beat:
        store = Store(place, manifest.read(place), beat)
        try:
            yield store
        except BaseException:
            # What is finished is kept; but the reason is what counts, not that this failed too.
            with contextlib.suppress(Exception):
                store.flush()
            raise
        store.flush()
