"""What members carry, on the host: arrays that can be kept, cut, joined and given back to the devices."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import numpy as np

from jaxlr._types import PyTree

__all__ = ["from_host", "on_host"]


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
