"""One writer: who holds a store, and whether that process still lives.

On one machine the system's own lock on the file tells, which goes when its holder goes. A holder on another machine,
or of a store that is no folder, shows by writing the time that it lives.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from jaxlr.store.places import Place

__all__ = ["LOCK", "held", "holder"]

LOCK = "engine/lock"
_SILENT = 300.0
"""Seconds without a sign of life from which a holder elsewhere counts as dead."""

_BEAT = 30.0
"""Seconds between two signs of life."""


@contextlib.contextmanager
def held(place: Place) -> Iterator[Callable[[], None]]:
    """Hold a store; gives a function that is to be called now and then, as a sign of life.

    Raises:
        BlockingIOError: another process holds it.
    """
    with _file(place, place.folder / LOCK) if place.folder is not None else contextlib.nullcontext():
        holder = _parsed(place.read(LOCK))
        if holder is not None and _lives(holder, here=place.folder is not None):
            raise _refusal(place, holder)
        since, last = time.time(), 0.0

        def beat() -> None:
            nonlocal last
            if time.time() - last > _BEAT:
                last = time.time()
                me = {"host": socket.gethostname(), "process": os.getpid(), "since": since, "seen": last}
                _write(place, json.dumps(me).encode())

        beat()
        try:
            yield beat
        finally:
            # A folder that vanished holds nobody off.
            with contextlib.suppress(OSError):
                _write(place, b"")


def holder(place: Place) -> str:
    """The process that holds a store, in words; "" for none."""
    found = _parsed(place.read(LOCK))
    if found is None or not (_locked(place.folder / LOCK) if place.folder is not None else _lives(found, here=False)):
        return ""
    return f"process {found.get('process')} on {found.get('host')}"


def _locked(path: Path) -> bool:
    """Whether the system's lock on a file is held."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _write(place: Place, data: bytes) -> None:
    """In place: a file that was replaced would be another one than the one that is locked."""
    if place.folder is None:
        place.write(LOCK, data)
    else:
        with (place.folder / LOCK).open("r+b") as file:
            file.write(data)
            file.truncate()


@contextlib.contextmanager
def _file(place: Place, path: Path) -> Iterator[None]:
    """The system's lock on a file."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise type(error)(
            error.errno, f"store must be a folder that can be written: {error.strerror}", place.name
        ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _refusal(place, _parsed(path.read_bytes()) or {}) from None
        yield
    finally:
        os.close(descriptor)


def _refusal(place: Place, holder: dict[str, Any]) -> BlockingIOError:
    who = f"process {holder.get('process', 'unknown')} on {holder.get('host', 'this machine')}"
    wait = "wait for it, or give another store (jaxlr.open reads it meanwhile)"
    return BlockingIOError(f"store {place.name} is being written by {who}; {wait}")


def _parsed(data: bytes | None) -> dict[str, Any] | None:
    """Who holds it; None for nobody, or for what cannot be read: its writer was killed."""
    try:
        found = json.loads(data or b"null")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _lives(holder: dict[str, Any], *, here: bool) -> bool:
    """Whether a holder is alive; `here`, the system's lock would have shown one on this machine."""
    if holder.get("host") == socket.gethostname():
        return not here and holder.get("process") != os.getpid() and Path(f"/proc/{holder.get('process')}").exists()
    return time.time() - float(holder.get("seen", 0.0)) < _SILENT
