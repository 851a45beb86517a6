"""Schedules given by a table: constant between boundaries, or interpolated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from .. import _checks
from ._arguments import Count, Flag, Number, as_count, as_float, as_step, count, flag, number


def _boundaries(boundaries: Sequence[int] | jax.Array) -> Any:
    array = count("boundaries", boundaries)
    if array.ndim != 1:
        raise ValueError(f"boundaries must be a list of steps, got {boundaries!r}")
    if not isinstance(array, jax.Array) and (np.diff(array) < 0).any():
        raise ValueError(f"boundaries must not fall, got {boundaries!r}")
    return array


def _passed(step: jax.Array, boundaries: jax.Array, at_boundary: Flag) -> jax.Array:
    """Which boundaries lie behind each step: a last axis longer than `step`."""
    later = step[..., None]
    return jnp.where(at_boundary, later >= boundaries, later > boundaries)


def piecewise_constant(
    boundaries: Sequence[int] | jax.Array, values: Sequence[float] | jax.Array, at_boundary: Flag = False
) -> Partial:
    """One value up to each boundary, another after it.

    `lr(t) = values[i]`, where i is the number of boundaries below `t` (TensorFlow), or with `at_boundary` the
    number of boundaries not above `t` (Optax, PyTorch).

    Args:
        boundaries: steps, not falling.
        values: one rate more than boundaries.
        at_boundary: change at the boundary's step itself; False: at the step after it.

    Returns:
        The schedule, `step -> lr`.

    Raises:
        ValueError: there is not one value more than boundaries, the boundaries fall, or a rate is negative.

    Example:
        >>> schedule = piecewise_constant([100, 200], [1.0, 0.5, 0.25])
        >>> [float(schedule(t)) for t in (100, 101, 201)]
        [1.0, 0.5, 0.25]

    Reference: TensorFlow, `tf.compat.v1.train.piecewise_constant`.
    """
    steps, rates = _boundaries(boundaries), number("values", values, _checks.non_negative)
    if rates.shape != (steps.shape[0] + 1,):
        raise ValueError(
            f"values must hold one rate more than the {steps.shape[0]} boundaries, got {values!r}"
        )
    return Partial(
        _piecewise_constant, boundaries=steps, values=rates, at_boundary=flag("at_boundary", at_boundary)
    )


def _piecewise_constant(
    step: jax.Array, *, boundaries: Count, values: Number, at_boundary: Flag
) -> jax.Array:
    index = _passed(as_step(step), as_count(boundaries), at_boundary).sum(-1)
    return as_float(values)[index]
