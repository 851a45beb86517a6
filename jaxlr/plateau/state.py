"""What a plateau rule is made of, and what it remembers between two metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

__all__ = ["Numbers", "PlateauState", "alike"]


class PlateauState(NamedTuple):
    """What a plateau remembers between two metrics: scalars, and the last metrics where a trend is asked for.

    Floats have the default float type whatever the parameters' type: float32, or float64 under x64.
    """

    value: jax.Array
    """What is being reduced: the learning rate, or its multiplier."""
    best: jax.Array
    """The best metric so far."""
    wait: jax.Array
    """Bad epochs since the last improvement or reduction, int32; with `max_value`, below zero, improving ones in a
    row."""
    cooldown: jax.Array
    """Epochs of cooldown left, int32."""
    updates: jax.Array
    """Metrics seen, int32."""
    reductions: jax.Array
    """Reductions so far, int32."""
    nan_events: jax.Array
    """Metrics that were NaN so far (by default also infinities that would be best for ever), int32."""
    reduced: jax.Array
    """Whether the latest metric led to a reduction."""
    improved: jax.Array
    """Whether the latest metric was a new best."""
    at_floor: jax.Array
    """Whether the value has reached `min_value`."""
    history: jax.Array | None
    """The latest metrics, oldest first, NaN where there is none yet; None without `trend`."""


@dataclass(frozen=True)
class Numbers:
    """A plateau rule's arguments; `Plateau` adds what it does with them."""

    factor: ArrayLike
    patience: ArrayLike
    rtol: ArrayLike
    atol: ArrayLike
    cooldown: ArrayLike
    min_value: ArrayLike
    eps: ArrayLike
    max_value: ArrayLike | None
    warmup: ArrayLike | None
    mode: str
    semantics: str
    trend: bool
    restore_best: bool
    stop: bool
    window: int


def alike(a: ArrayLike, b: ArrayLike) -> tuple[jax.Array, jax.Array]:
    """Both in the type that holds the numbers of either: a patience or an accumulation size may be a traced float."""
    with jax.numpy_dtype_promotion("standard"):  # the strict one is no answer to which type that is
        dtype = jnp.promote_types(jnp.result_type(a), jnp.result_type(b))
    return jnp.asarray(a, dtype), jnp.asarray(b, dtype)
