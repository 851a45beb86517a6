"""A schedule as numbers."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from .. import _checks
from ._arguments import Schedule, value_at


def tabulate(schedule: Schedule, num_steps: int) -> jax.Array:
    """The rate at each of the first steps.

    `table[t] = schedule(t)` for `t = 0, …, num_steps - 1`

    Args:
        schedule: any function of the step that JAX can trace.
        num_steps: how many steps.

    Returns:
        An array of shape `(num_steps,)`.

    Raises:
        TypeError, ValueError: `num_steps` is not an integer of at least 1.

    Example:
        >>> from jaxlr.schedules import linear
        >>> tabulate(linear(1.0, 4), 3).tolist()
        [1.0, 0.75, 0.5]
    """
    _checks.count("num_steps", num_steps)
    return jax.vmap(lambda step: value_at(schedule, step))(jnp.arange(num_steps, dtype=jnp.int32))
