"""What a store says of itself: the sweep that it holds, in the attributes of its group, under a digest of its own."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from typing import Any

from jaxlr.store.places import Place

__all__ = ["Manifest", "Variable", "differences", "read", "written"]

FORMAT = 1

_SAME = {
    "run": "run",
    "length": "length of a training",
    "along": "dimension of a training",
    "stride": "updates between two records",
    "key": "key",
    "chunk": "chunk",
    "may_be_nan": "may_be_nan",
}
"""What two sweeps in one store have in common, and how a message calls it."""


@dataclasses.dataclass(frozen=True)
class Variable:
    """An array of every member.

    Attributes:
        name: as a result calls it.
        dtype: its type.
        dims: dimensions within a member, the one along the training first.
        shape: their sizes.
        initial: computed before the training.
    """

    name: str
    dtype: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    initial: bool = False


@dataclasses.dataclass(frozen=True)
class Manifest:
    """A sweep in words and numbers.

    Attributes:
        run: what is trained, in words.
        length: advances of a training.
        along: the dimension that they make; None where the one advance is the whole training.
        stride: what an advance adds to its coordinate.
        key: the sweep's key, its kind and its words.
        chunk: members of a block as they were asked for.
        may_be_nan: metrics that say nothing of divergence.
        seeds: number of seeds.
        block: settings on each device and seeds of a block.
        in_turn: a device trains its members one after the other.
        dims: dimension -> size, of the space as it was last given.
        axes: hyperparameter -> its dimension; "" where it is fixed.
        rows: number of settings.
        programs: what is compiled in -> digests of the traced program and of the data in it.
        versions: of what computed the numbers.
        variables: what is recorded of each member.
        chunk_rows: settings in a chunk of an array.
        attributes: what else a result says of its sweep.
        generation: which table of the settings counts.
        table: its digest.
        format: of the store.
    """

    run: str
    length: int
    along: str | None
    stride: int
    key: tuple[Any, ...]
    chunk: str | int
    may_be_nan: tuple[str, ...]
    seeds: int
    block: tuple[int, int]
    in_turn: bool
    dims: dict[str, int]
    axes: dict[str, str]
    rows: int
    programs: dict[str, tuple[str, str]]
    versions: dict[str, str]
    variables: tuple[Variable, ...]
    chunk_rows: int
    attributes: dict[str, Any]
    generation: int = 0
    table: str = ""
    format: int = FORMAT


def differences(old: Manifest, new: Manifest) -> list[str]:
    """What keeps two sweeps from sharing a store, in words; whether their settings fit is another matter."""
    found = []
    for field, words in _SAME.items():
        a, b = getattr(old, field), getattr(new, field)
        if a != b:
            found.append(f"{words}: {_shown(a)} in the store, {_shown(b)} now")
    if new.seeds < old.seeds:
        found.append(f"seeds: {old.seeds} in the store, {new.seeds} now")
    if found:
        return found
    if old.variables != new.variables:
        names = [sorted(variable.name for variable in one.variables) for one in (old, new)]
        found.append(f"metrics or their shapes: {', '.join(names[0])} in the store, {', '.join(names[1])} now")
    for static in old.programs.keys() & new.programs.keys():
        (program, data), (now, data_now) = old.programs[static], new.programs[static]
        where = f" with {static}" if static else ""
        if data != data_now:
            found.append(f"data, or other arrays that are compiled in{where}")
        elif program != now and old.versions == new.versions:
            found.append(f"program{where}: the code, a constant or a type of a number is not what it was")
    return found


def _shown(value: Any) -> str:
    return repr(list(value)) if isinstance(value, tuple) else repr(value)


def written(manifest: Manifest) -> dict[str, Any]:
    """A manifest as attributes of a Zarr group."""
    plain = dataclasses.asdict(manifest)
    coordinates = " ".join(name for name in manifest.axes if " " not in name)
    return {"made_by": "jaxlr", "coordinates": coordinates, "manifest": plain, "manifest_digest": _digest(plain)}


def read(place: Place) -> Manifest | None:
    """The manifest of a store; None where nothing is there, or nothing finished: its making was interrupted.

    Raises:
        ValueError: something else is there, or it is damaged, or of another format.
    """
    data = place.read("zarr.json")
    if data is None:
        other = [name for name in place.names("") if not name.startswith("engine/")]
        if other:
            raise ValueError(
                f"store must be a new folder or one that a sweep made, got {place.name}, which holds {other[0]}"
            )
        return None
    try:
        attributes = json.loads(data)["attributes"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"store {place.name} is damaged: its zarr.json cannot be read ({error!r})") from error
    if not isinstance(attributes, dict) or "made_by" not in attributes:
        raise ValueError(f"store must be a new folder or one that a sweep made, got {place.name}, another Zarr group")
    if "manifest" not in attributes and "manifest_digest" not in attributes:
        return None
    plain = attributes.get("manifest")
    if not isinstance(plain, dict) or _digest(plain) != attributes.get("manifest_digest"):
        raise ValueError(f"store {place.name} is damaged: the manifest in its zarr.json is not what was written")
    if plain["format"] != FORMAT:
        raise ValueError(
            f"store {place.name} must have the format {FORMAT} of this version of jaxlr, got {plain['format']}: "
            f"use jaxlr {plain.get('versions', {}).get('jaxlr', 'as new as the one that wrote it')}"
        )
    return _restored(plain)


def _digest(plain: Any) -> str:
    words = json.dumps(plain, sort_keys=True)
    return hashlib.blake2b(words.encode(), digest_size=16).hexdigest()


def _restored(plain: dict[str, Any]) -> Manifest:
    def pair(values: Sequence[Any]) -> tuple[Any, Any]:
        first, second = values
        return first, second

    variables = tuple(
        Variable(**{**one, "dims": tuple(one["dims"]), "shape": tuple(one["shape"])}) for one in plain["variables"]
    )
    programs = {name: pair(digests) for name, digests in plain["programs"].items()}
    lists = {name: tuple(plain[name]) for name in ("key", "may_be_nan")}
    return Manifest(**{**plain, **lists, "block": pair(plain["block"]), "variables": variables, "programs": programs})
