"""dlib's test for a descent: is a noisy sequence still falling?"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtr
from jax.typing import ArrayLike

from jaxlr.plateau.state import alike

_CONFIDENCE = 0.51


def falling(history: jax.Array, length: ArrayLike) -> jax.Array:
    """Whether the last `length` numbers of `history` are descending, by dlib's test.

    A line is fitted to them by least squares; with slope b, residual variance s^2 = RSS / (n - 2) and
    SE^2 = 12 s^2 / (n^3 - n), they fall where

        P(slope < 0) = Phi(-b / SE) >= 0.51

    for all of them, or without the highest tenth of them.

    Args:
        history: `[window]` numbers, oldest first, NaN where there is none.
        length: how many of the latest to look at; at least 3 are.

    Returns:
        A boolean scalar; False where there are fewer than 3 numbers.

    Reference:
        dlib, `count_steps_without_decrease` and `count_steps_without_decrease_robust`.
    """
    (window,) = history.shape
    recent = jnp.greater_equal(*alike(jnp.arange(window), window - jnp.maximum(length, 3)))
    used = recent & ~jnp.isnan(history)
    ascending = jnp.sort(jnp.where(used, history, jnp.inf))
    # The rank of the highest number kept, 0.9 (n - 1) rounded half up, in integers.
    highest = (9 * (used.sum() - 1) + 5) // 10
    kept = used & (history <= ascending[jnp.maximum(highest, 0)])
    return (_descent(history, used) >= _CONFIDENCE) | (_descent(history, kept) >= _CONFIDENCE)


def _descent(history: jax.Array, used: jax.Array) -> jax.Array:
    """Probability that the line through the used numbers, taken as evenly spaced, goes down."""
    n = used.sum()
    count = jnp.maximum(n, 3).astype(history.dtype)
    place = (jnp.cumsum(used) - 1).astype(float)
    time = jnp.where(used, place - (n - 1) / 2, 0.0).astype(history.dtype)
    # Differences from the last number keep float32 exact enough for the flat end of a long curve.
    height = jnp.where(used, history - history[-1], 0.0)
    height = jnp.where(used, height - height.sum() / count, 0.0)
    spread = (count**3 - count) / 12
    slope = (time * height).sum() / spread
    residual = jnp.where(used, height - slope * time, 0.0)
    error = jnp.sqrt((residual**2).sum() / (count - 2) / spread)
    sure = jnp.where(slope < 0, 1.0, jnp.where(slope > 0, 0.0, 0.5))
    probability = jnp.where(error > 0, ndtr(-slope / jnp.where(error > 0, error, 1.0)), sure)
    return jnp.where(n < 3, 0.0, probability)
