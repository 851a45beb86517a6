"""What a block carries while it is trained, kept by Orbax: two generations, each put in place when it is complete.

A generation counts when the file with the digest of its bytes is there, which is written last. It is compared before
Orbax reads anything.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxlr.store.places import Place

__all__ = ["State", "discard", "latest", "save"]

_KEPT = 2


class State(NamedTuple):
    """A block on its way.

    Attributes:
        rows: the rows of its settings in the store, `[n]`.
        seeds: `[m]`.
        done: advances made.
        leaves: what it carries, arrays `[n, m, ...]`.
        keys: of each leaf the kind of PRNG keys whose words it holds; "" for any other array.
        metrics: variable -> values so far `[n, m, done, ...]`.
        initial: variable -> values before the training `[n, m, ...]`.
    """

    rows: np.ndarray
    seeds: np.ndarray
    done: int
    leaves: Sequence[np.ndarray]
    keys: Sequence[str]
    metrics: Mapping[str, np.ndarray]
    initial: Mapping[str, np.ndarray]


def save(place: Place, state: State) -> None:
    """Keep a state beside the one before; a store that is no local folder keeps none."""
    if place.folder is None:
        return
    import orbax.checkpoint as ocp

    folder = _folder(place)
    generations = _generations(folder)
    number = generations[-1] + 1 if generations else 1
    with ocp.PyTreeCheckpointer() as checkpointer:
        checkpointer.save(folder / str(number), _packed(state), force=True)
    part = folder / f"{number}.part"
    part.write_text(_digest(folder / str(number)))
    part.replace(folder / f"{number}.digest")
    kept = {str(one) for one in (*generations[1 - _KEPT :], number)}
    for path in folder.iterdir():
        if path.stem not in kept:
            _remove(path)


def latest(place: Place) -> State | None:
    """The newest state that is whole; None where there is none."""
    if place.folder is None:
        return None
    folder = _folder(place)
    for number in reversed(_generations(folder)):
        try:
            return _restored(folder, number)
        except Exception as error:  # whatever its bytes lead a reader to
            warnings.warn(
                f"store {place.name}: what was saved of the block in training is damaged ({folder / str(number)}: "
                f"{' '.join(str(error).split())[:200]}); going on from an earlier state",
                stacklevel=2,
            )
    return None


def _restored(folder: Path, number: int) -> State:
    if (folder / f"{number}.digest").read_text() != _digest(folder / str(number)):
        raise ValueError("its bytes have changed")
    import orbax.checkpoint as ocp

    with ocp.PyTreeCheckpointer() as checkpointer:
        return _unpacked(checkpointer.restore(folder / str(number)))


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def discard(place: Place) -> None:
    """Forget the states: their block is finished."""
    if place.folder is not None:
        shutil.rmtree(_folder(place), ignore_errors=True)


def _folder(place: Place) -> Path:
    assert place.folder is not None
    return place.folder / "engine" / "carries"


def _generations(folder: Path) -> list[int]:
    """The numbers of those that are complete, the oldest first."""
    return sorted(int(path.stem) for path in folder.glob("*.digest") if path.stem.isdigit())


def _digest(folder: Path) -> str:
    """Of the names and bytes of all files below."""
    found = hashlib.blake2b(digest_size=16)
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            found.update(f"{path.relative_to(folder).as_posix()} {len(data)};".encode() + data)
    return found.hexdigest()


def _packed(state: State) -> dict[str, np.ndarray]:
    """All in one array of bytes, and what they mean in another."""
    arrays = [state.rows, state.seeds, *state.leaves, *state.metrics.values(), *state.initial.values()]
    data = b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)
    meaning = {
        "done": state.done,
        "keys": list(state.keys),
        "metrics": list(state.metrics),
        "initial": list(state.initial),
        "arrays": [(array.dtype.name, array.shape) for array in arrays],
    }
    return {"data": np.frombuffer(data, np.uint8), "meaning": np.frombuffer(json.dumps(meaning).encode(), np.uint8)}


def _unpacked(packed: Mapping[str, Any]) -> State:
    """The inverse of `_packed`."""
    words, data = (np.asarray(packed[name], np.uint8).tobytes() for name in ("meaning", "data"))
    meaning = json.loads(words)
    arrays, at = [], 0
    for name, shape in meaning["arrays"]:
        dtype = jnp.dtype(name)
        size = dtype.itemsize * int(np.prod(shape, dtype=np.int64))
        arrays.append(np.frombuffer(data[at : at + size], dtype).reshape(shape))
        at += size
    rows, seeds, *rest = arrays
    leaves, rest = rest[: len(meaning["keys"])], rest[len(meaning["keys"]) :]
    metrics = dict(zip(meaning["metrics"], rest, strict=False))
    initial = dict(zip(meaning["initial"], rest[len(metrics) :], strict=True))
    return State(rows, seeds, meaning["done"], leaves, meaning["keys"], metrics, initial)
