"""What members carry, on the host: arrays that can be kept, cut, joined and given back to the devices."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from jaxlr._types import PyTree

__all__ = ["flattened", "from_host", "on_host", "restored"]


@functools.partial(jax.tree_util.register_dataclass, data_fields=["words"], meta_fields=["implementation"])
@dataclasses.dataclass(frozen=True)
class _Keys:
    """PRNG keys as their words, which NumPy can hold."""

    words: Any
    implementation: Any


def on_host(carried: PyTree) -> PyTree:
    """What devices carry as NumPy arrays.

    >>> import jax
    >>> [type(leaf).__name__ for leaf in jax.tree.leaves(on_host((jax.random.key(0), jax.numpy.ones(2))))]
    ['ndarray', 'ndarray']
    """

    def fetch(leaf: Any) -> Any:
        if jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return _Keys(np.asarray(jax.random.key_data(leaf)), jax.random.key_impl(leaf))
        return np.asarray(leaf)

    return jax.tree.map(fetch, carried)


def from_host(carried: PyTree) -> PyTree:
    """The inverse of `on_host`; other trees are left as they are.

    >>> import jax
    >>> from_host(on_host(jax.random.key(7))) == jax.random.key(7)
    Array(True, dtype=bool)
    """

    def give(leaf: Any) -> Any:
        return jax.random.wrap_key_data(leaf.words, impl=leaf.implementation) if isinstance(leaf, _Keys) else leaf

    return jax.tree.map(give, carried, is_leaf=lambda leaf: isinstance(leaf, _Keys))


def flattened(carried: PyTree) -> tuple[list[np.ndarray], list[str]]:
    """What devices carry as a list of NumPy arrays, and for each the kind of the PRNG keys whose words it holds or "".

    >>> leaves, keys = flattened({"key": jax.random.key(0), "w": np.ones(2)})
    >>> [leaf.shape for leaf in leaves], keys
    ([(2,), (2,)], ['threefry2x32', ''])
    """
    leaves = jax.tree.leaves(on_host(carried), is_leaf=lambda leaf: isinstance(leaf, _Keys))
    keys = [str(leaf.implementation) if isinstance(leaf, _Keys) else "" for leaf in leaves]
    return [leaf.words if isinstance(leaf, _Keys) else leaf for leaf in leaves], keys


def restored(types: PyTree, leaves: Sequence[np.ndarray], keys: Sequence[str]) -> PyTree:
    """The inverse of `flattened`, as `on_host` has it, in the structure of `types`.

    Raises:
        ValueError: the arrays do not fit the types.
    """
    wanted, tree = jax.tree.flatten(types)
    made = [_Keys(leaf, key) if key else leaf for leaf, key in zip(leaves, keys, strict=True)]
    if len(made) != len(wanted):
        raise ValueError(f"{len(wanted)} arrays are carried, got {len(made)}")
    for one, leaf, key in zip(wanted, leaves, keys, strict=True):
        if not key and (leaf.dtype != one.dtype or leaf.shape[2:] != one.shape[2:]):
            raise ValueError(f"{one.dtype} of {one.shape[2:]} is carried, got {leaf.dtype} of {leaf.shape[2:]}")
    return jax.tree.unflatten(tree, made)
