"""Where a store lies: a local folder, a URL that Zarr understands, or one of Zarr's own stores."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

__all__ = ["Given", "Place", "place"]

Given: TypeAlias = str | os.PathLike[str] | Any
"""A path, a URL such as `s3://bucket/lr`, or a store of Zarr's."""


class Place(NamedTuple):
    """A place of named bytes.

    Attributes:
        name: as it is called in messages.
        zarr: as Zarr knows it.
        folder: on this machine; None for other places.
    """

    name: str
    zarr: Any
    folder: Path | None

    def read(self, name: str) -> bytes | None:
        """The bytes of that name; None where there are none."""
        if self.folder is not None:
            try:
                return (self.folder / name).read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                return None
        from zarr.core.buffer import default_buffer_prototype
        from zarr.core.sync import sync

        found = sync(self.zarr.get(name, default_buffer_prototype()))
        return None if found is None else bytes(found.to_bytes())

    def write(self, name: str, data: bytes) -> None:
        """Put bytes there, all at once."""
        from zarr.core.buffer import default_buffer_prototype
        from zarr.core.sync import sync

        sync(self.zarr.set(name, default_buffer_prototype().buffer.from_bytes(data)))

    def names(self, prefix: str) -> list[str]:
        """Everything below."""
        if self.folder is not None and not self.folder.exists():
            return []
        from zarr.core.sync import sync

        async def listed() -> list[str]:
            return [str(name) async for name in self.zarr.list_prefix(prefix)]

        return sync(listed())

    def delete(self, name: str) -> None:
        """Delete bytes that may be there."""
        from zarr.core.sync import sync

        sync(self.zarr.delete(name))

    def delete_all(self, below: str) -> None:
        """Delete whatever is there; `""` for everything."""
        from zarr.core.sync import sync

        sync(self.zarr.delete_dir(below))


def place(given: Given) -> Place:
    """The place that is meant.

    Raises:
        TypeError: it is neither a path nor a URL nor a store of Zarr's.
        ValueError: it is a file.
        ImportError: a URL, without the extra `cloud`.
    """
    from zarr.abc.store import Store
    from zarr.storage import FsspecStore, LocalStore

    if isinstance(given, Store):
        return Place(str(given), given, None)
    if not isinstance(given, (str, os.PathLike)):
        raise TypeError(f"store must be a folder, a URL or a store of Zarr's, got {given!r}")
    if "://" in os.fspath(given):
        try:
            return Place(os.fspath(given), FsspecStore.from_url(os.fspath(given)), None)
        except ImportError as error:
            raise ImportError(
                f"store at {given} must have its file system: pip install 'jaxlr[cloud]' ({error})"
            ) from None
    folder = Path(given).expanduser().absolute()
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"store must be a folder, got the file {folder}")
    return Place(os.fspath(given), LocalStore(folder), folder)
