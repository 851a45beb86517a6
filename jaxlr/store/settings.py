"""The settings of a store: what tells each from every other, and where each one's numbers lie.

A setting keeps its row for ever, whatever space it stands in later: rows are in the order in which settings were first
trained. What tells it is a number made of its hyperparameters alone.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxlr.results import text
from jaxlr.spaces import ABSENT, Space
from jaxlr.spaces.values import is_number, is_pytree

__all__ = ["Table", "digest", "identities"]


class Table(NamedTuple):
    """The rows of a store.

    Attributes:
        identities: what tells the settings, `[rows]`.
        positions: the place of each in the space as it was last given, the last dimension fastest, `[rows]`.
        columns: hyperparameter -> its label in each, `[rows]`.
    """

    identities: np.ndarray
    positions: np.ndarray
    columns: dict[str, np.ndarray]


def digest(table: Table) -> str:
    """Of all that stands in a table."""
    found = hashlib.blake2b(digest_size=16)
    for name, column in {"": table.identities, " ": table.positions, **table.columns}.items():
        words = column.dtype.kind not in "biuf"
        found.update(f"{name}:{'words' if words else column.dtype.str}:{len(column)};".encode())
        found.update("\0".join(column.tolist()).encode() if words else np.ascontiguousarray(column).tobytes())
    return found.hexdigest()


def identities(space: Space) -> np.ndarray:
    """What tells each setting from every other, whatever space it stands in: 64 bits, `[settings]`.

    The sum over its hyperparameters of a hash of name and value; a setting that stands there twice is two.

    >>> from jaxlr import grid
    >>> small, large = identities(grid(lr=[0.1, 0.2], m=0.9)), identities(grid(m=[0.9, 0.5], lr=[0.3, 0.2, 0.1]))
    >>> [int(i) in large.tolist() for i in small], len(set(large.tolist()))
    ([True, True], 6)
    """
    total = np.zeros(len(space), np.uint64)
    places = np.unravel_index(np.arange(len(space)), [axis.size for axis in space.axes])
    for axis, at in zip(space.axes, places, strict=True):
        own = np.zeros(axis.size, np.uint64)
        for name, column in axis.columns.items():
            own += _hashes(name, column)
        total += own[at]
    _, where, counts = np.unique(total, return_inverse=True, return_counts=True)
    if (counts > 1).any():
        order = np.argsort(where, kind="stable")
        again = np.arange(len(total)) - np.repeat(np.cumsum(counts) - counts, counts)
        total[order] += _mixed(again.astype(np.uint64)) * (again > 0)
    return total


def _hashes(name: str, column: Sequence[Any]) -> np.ndarray:
    """Of each value of a column; 0 where it is absent."""
    start = _hash(name)
    if all(map(is_number, column)):
        return _mixed(np.array([float(value) for value in column]).view(np.uint64) ^ start)
    made = []
    for value in column:
        if value is ABSENT:
            made.append(np.uint64(0))
        elif is_number(value):
            made.append(_mixed(np.array([float(value)]).view(np.uint64) ^ start)[0])
        else:
            made.append(_mixed(np.array([_hash(_token(value))]) ^ start)[0])
    return np.array(made, np.uint64)


def _token(value: Any) -> str:
    """What a value that is no number is, the same in every process."""
    if isinstance(value, (str, bool)) or value is None:
        return f"{type(value).__name__} {value!r}"
    if is_pytree(value):
        leaves, tree = jax.tree.flatten(value)
        parts = [f"{array.dtype}{array.shape}{array.tobytes().hex()}" for array in map(np.asarray, leaves)]
        return f"{re.sub(' at 0x[0-9a-f]+', '', str(tree))} {' '.join(parts)}"
    return text(value)


def _hash(word: str) -> np.uint64:
    return np.uint64(int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "little"))


def _mixed(bits: np.ndarray) -> np.ndarray:
    """SplitMix64's last step: every bit depends on every bit."""
    bits = bits + np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(bits ^ (bits >> np.uint64(31)))
