"""Plateaus inside an Optax chain: updates scaled down when a metric stands still."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from jaxlr import _checks
from jaxlr.plateau.rule import Plateau, whole_number
from jaxlr.plateau.semantics import as_float, as_scalar
from jaxlr.plateau.state import PlateauState, alike

__all__ = ["ScaleByPlateauState", "observe", "scale_by_plateau"]


class ScaleByPlateauState(NamedTuple):
    """State of `scale_by_plateau`: the plateau's, and the average that is being gathered for it."""

    plateau: PlateauState
    average: jax.Array
    """Mean of the finite values of the unfinished window."""
    gathered: jax.Array
    """Values in the unfinished window, int32."""
    finite: jax.Array
    """How many of them are finite, int32."""


def scale_by_plateau(
    plateau: Plateau, *, accumulation_size: ArrayLike = 1, metric: str = "value"
) -> optax.GradientTransformationExtraArgs:
    """Scale the updates down when the metric given to `update(..., value=)` stands still.

        updates <- updates * state.plateau.value,    a multiplier that starts at 1

    Put it after the optimizer. It scales updates, which for an optimizer that keeps the rate inside its
    velocity (Keras's SGD with momentum) is not the same as lowering the rate: there, set the rate itself with
    `with_lr`.

    Args:
        plateau: from `reduce_on_plateau`; its `min_value` is a multiple of the rate.
        accumulation_size: how many values make one metric, their mean. 1 for a metric of an epoch; for the
            loss of each batch more, such as the number of batches in an epoch. A value that is not finite is
            left out of the mean and counted in `nan_events`; with `semantics="optax"` it voids the mean.

        metric: the keyword of `update` that the metric comes by, such as `"val_loss"`: several plateaus in a chain may
            watch one each.

    Returns:
        An Optax transformation. Its `update` takes `value=`, the metric, a scalar; a step without one (or
        with None) leaves the plateau as it is, so that an epoch's metric can be given once an epoch.

    Raises:
        ValueError, TypeError: `accumulation_size` is not a whole number of at least 1.

    Example:
        >>> import jax.numpy as jnp, optax
        >>> from jaxlr.plateau import reduce_on_plateau, scale_by_plateau
        >>> tx = optax.chain(optax.sgd(1.0), scale_by_plateau(reduce_on_plateau(factor=0.5, patience=1)))
        >>> params = jnp.zeros(())
        >>> state = tx.init(params)
        >>> for loss in (1.0, 1.0):
        ...     updates, state = tx.update(jnp.ones(()), state, params, value=loss)
        >>> print(updates)
        -0.5
        >>> watching = scale_by_plateau(reduce_on_plateau(), metric="val_loss")
        >>> updates, state = watching.update(updates, watching.init(params), val_loss=0.5, val_accuracy=0.9)

    Reference:
        Optax, `optax.contrib.reduce_on_plateau`, whose average and order of events these are.
    """
    _checks.positive("accumulation_size", accumulation_size)
    whole_number("accumulation_size", accumulation_size)

    def init(params: optax.Params) -> ScaleByPlateauState:
        del params
        counts = (jnp.zeros((), jnp.int32) for _ in range(2))
        return ScaleByPlateauState(plateau.init(1.0), as_float(0.0), *counts)

    def update(
        updates: optax.Updates,
        state: ScaleByPlateauState,
        params: optax.Params | None = None,
        **extra_args: Any,
    ) -> tuple[optax.Updates, ScaleByPlateauState]:
        del params
        if extra_args.get(metric) is not None:
            state = observe(plateau, accumulation_size, state, extra_args[metric])
        scale = state.plateau.value
        return jax.tree.map(lambda update: jnp.multiply(*alike(scale, update)).astype(update.dtype), updates), state

    return optax.GradientTransformationExtraArgs(init, update)


def observe(
    plateau: Plateau, accumulation_size: ArrayLike, state: ScaleByPlateauState, value: ArrayLike
) -> ScaleByPlateauState:
    """One more value of the average; the plateau is updated with it when `accumulation_size` are in.

    Args:
        plateau: the rule.
        accumulation_size: how many values make one metric.
        state: what has been gathered.
        value: a scalar.

    Returns:
        The state, in which `plateau.reduced` and `plateau.improved` are False unless a window ended here.

    Raises:
        ValueError: `value` is more than one number.
    """
    value, gathered = as_scalar("value", value).astype(state.average.dtype), state.gathered + 1
    # Optax takes the mean of what there is.
    counts = jnp.isfinite(value) | (plateau.semantics == "optax")
    finite = state.finite + counts.astype(jnp.int32)
    total = state.finite.astype(value.dtype) * state.average + jnp.where(counts, value, 0)
    average = total / jnp.maximum(finite, 1).astype(value.dtype)
    full = jnp.equal(*alike(gathered, accumulation_size))
    no = jnp.zeros_like(full)
    waiting = state.plateau._replace(reduced=no, improved=no)
    # Where no value is finite, the rule judges the last one.
    metric = jnp.where(finite > 0, average, value)
    plateau_state = jax.tree.map(partial(jnp.where, full), plateau.update(state.plateau, metric), waiting)
    left_out = (~counts & ((finite > 0) | ~full)).astype(jnp.int32)
    return ScaleByPlateauState(
        plateau=plateau_state._replace(nan_events=plateau_state.nan_events + left_out),
        average=jnp.where(full, 0.0, average),
        gathered=jnp.where(full, 0, gathered),
        finite=jnp.where(full, 0, finite),
    )
