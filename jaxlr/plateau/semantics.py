"""The rules of a plateau: what counts as better, and what follows, by default and in each library.

An *improved* rule is `(plateau, state, metric) -> bool`; a *step* rule is `(plateau, state, improved, event)
-> (value, wait, cooldown)`. The libraries' rules keep their faults on purpose: they are there to be compared
with.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxlr.plateau.state import Numbers, PlateauState, alike
from jaxlr.plateau.trend import falling


def as_float(value: ArrayLike) -> jax.Array:
    """`value` in the default float type, never weakly typed: a scan carries one type."""
    return jnp.asarray(value, float)


def as_scalar(name: str, value: ArrayLike) -> jax.Array:
    """One number in the default float type; frameworks hand a metric over as an array of shape `(1,)`, too."""
    array = as_float(value)
    if array.size != 1:
        raise ValueError(f"{name} must be a scalar, got an array of shape {array.shape}")
    return array.reshape(())


def _gain(plateau: Numbers, state: PlateauState, metric: jax.Array) -> jax.Array:
    """How much better the metric is than the best."""
    gain = state.best - metric if plateau.mode == "min" else metric - state.best
    # Where the metric comes straight out of a product, a CPU contracts product and difference into one fused
    # multiply-add: a metric equal to the best would then differ from it by the product's rounding.
    return jnp.where(metric == state.best, 0, gain)


def _improved_default(plateau: Numbers, state: PlateauState, metric: jax.Array) -> jax.Array:
    gain = _gain(plateau, state, metric)
    # rtol * inf is NaN for rtol = 0, and before the first metric any margin will do.
    size = jnp.where(jnp.isfinite(state.best), jnp.abs(state.best), 0.0)
    return gain > as_float(plateau.rtol) * size + as_float(plateau.atol)


def _improved_keras(plateau: Numbers, state: PlateauState, metric: jax.Array) -> jax.Array:
    delta = as_float(plateau.atol)
    better = metric + delta < state.best if plateau.mode == "min" else metric - delta > state.best
    return _exactly(better, plateau, state, metric, delta) | (state.updates == 0)


def _improved_library(plateau: Numbers, state: PlateauState, metric: jax.Array) -> jax.Array:
    rtol, atol = as_float(plateau.rtol), as_float(plateau.atol)
    if plateau.mode == "min":
        better = metric < (1 - rtol) * state.best - atol
    else:
        better = metric > (1 + rtol) * state.best + atol
    return _exactly(better, plateau, state, metric, rtol * state.best + atol)


def _exactly(
    better: jax.Array, plateau: Numbers, state: PlateauState, metric: jax.Array, margin: jax.Array
) -> jax.Array:
    """A library's comparison: as it is written in float64, on the exact difference in float32.

    The libraries compute in float64. A threshold rounded to float32 is off by as much as a `min_delta` of
    1e-7; the difference of two close numbers is not rounded at all.
    """
    if metric.dtype != jnp.float32:
        return better
    return jnp.where(jnp.isfinite(state.best), _gain(plateau, state, metric) > margin, better)


def _step_default(
    plateau: Numbers, state: PlateauState, improved: jax.Array, event: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    skipped = state.cooldown > 0
    bad = ~(improved | event | skipped)
    wait = jnp.where(improved | skipped, 0, jnp.maximum(state.wait, 0) + _count(bad))
    due = bad & jnp.greater_equal(*alike(wait, plateau.patience))
    if state.history is not None:
        due &= ~falling(state.history if plateau.mode == "min" else -state.history, plateau.patience)
    reduce = due & (state.value > as_float(plateau.min_value))
    value = jnp.where(reduce, _lowered(plateau, state.value), state.value)
    wait = jnp.where(reduce, 0, wait)
    cooldown = jnp.where(reduce, _count(plateau.cooldown), jnp.maximum(state.cooldown - 1, 0))
    if plateau.max_value is None:
        return value, wait, cooldown
    # Improving epochs in a row are counted below zero; an event neither adds to them nor ends them.
    good = improved & ~skipped
    wait = jnp.where(good, jnp.minimum(state.wait, 0) - 1, jnp.where(event & ~skipped, state.wait, wait))
    lift = good & jnp.greater_equal(*alike(-wait, plateau.patience)) & (state.value < as_float(plateau.max_value))
    return (
        jnp.where(lift, _raised(plateau, state.value), value),
        jnp.where(lift, 0, wait),
        jnp.where(lift, _count(plateau.warmup), cooldown),
    )


def _improved_greedy(plateau: Numbers, state: PlateauState, metric: jax.Array) -> jax.Array:
    # Nothing is looked at while it cools down or warms up.
    return _improved_library(plateau, state, metric) & (state.cooldown == 0)


def _step_greedy(
    plateau: Numbers, state: PlateauState, improved: jax.Array, event: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    skipped = state.cooldown > 0
    counted = jnp.where(improved, jnp.minimum(state.wait, 0) - 1, jnp.maximum(state.wait, 0) + 1)
    wait = jnp.where(skipped, 0, counted)
    lift, reduce = (jnp.greater(*alike(count, plateau.patience)) for count in (-wait, wait))
    lowered = jnp.maximum(_product(state.value, as_float(plateau.factor)), as_float(plateau.min_value))
    raised = _raised(plateau, state.value)
    aimed = jnp.where(lift, raised, jnp.where(reduce, lowered, state.value))
    cooldown = jnp.where(reduce, _count(plateau.cooldown), jnp.maximum(state.cooldown - 1, 0))
    return (
        jnp.where(jnp.abs(aimed - state.value) > as_float(plateau.eps), aimed, state.value),
        jnp.where(lift | reduce, 0, wait),
        jnp.where(lift, _count(plateau.warmup), cooldown),
    )


def _step_keras(
    plateau: Numbers, state: PlateauState, improved: jax.Array, event: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    # The counter goes down before it is asked: a cooldown of 1 is none.
    cooldown = jnp.maximum(state.cooldown - 1, 0)
    bad = ~improved & (cooldown == 0)
    wait = jnp.where(improved | (state.cooldown > 0), 0, state.wait) + _count(bad)
    floor = as_float(plateau.min_value)
    # Keras makes min_lr a NumPy float32: Keras 3 compares a Python float with it, Keras 2 a NumPy float64.
    rounded_floor = _rounded_to_float32(floor)
    compared = _rounded_to_float32(state.value) if plateau.semantics == "keras" else state.value
    reduce = bad & jnp.greater_equal(*alike(wait, plateau.patience)) & (compared > rounded_floor)
    return (
        jnp.where(reduce, jnp.maximum(_product(state.value, as_float(plateau.factor)), floor), state.value),
        jnp.where(reduce, 0, wait),
        jnp.where(reduce, _count(plateau.cooldown), cooldown),
    )


def _step_torch(
    plateau: Numbers, state: PlateauState, improved: jax.Array, event: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    wait = jnp.where(improved | (state.cooldown > 0), 0, state.wait + 1)
    due = jnp.greater(*alike(wait, plateau.patience))
    lowered = jnp.maximum(_product(state.value, as_float(plateau.factor)), as_float(plateau.min_value))
    applied = due & (state.value - lowered > as_float(plateau.eps))
    return (
        jnp.where(applied, lowered, state.value),
        jnp.where(due, 0, wait),
        jnp.where(due, _count(plateau.cooldown), jnp.maximum(state.cooldown - 1, 0)),
    )


def _step_optax(
    plateau: Numbers, state: PlateauState, improved: jax.Array, event: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    cooling = state.cooldown > 0
    wait = jnp.where(improved, 0, state.wait + 1)
    due = ~cooling & jnp.equal(*alike(wait, plateau.patience))
    value = jnp.where(due, _product(state.value, as_float(plateau.factor)), state.value)
    return (
        jnp.where(cooling, state.value, jnp.maximum(value, as_float(plateau.min_value))),
        jnp.where(due | cooling, 0, wait),
        jnp.where(due, _count(plateau.cooldown), jnp.maximum(state.cooldown - 1, 0)),
    )


def _rounded_to_float32(value: jax.Array) -> jax.Array:
    """What NumPy's float32 holds of a value; XLA would flush its subnormals, below 2^-126, to zero."""
    if value.dtype == jnp.float32:
        return value
    subnormal = jnp.round(value * 2.0**149) * 2.0**-149
    return jnp.where(jnp.abs(value) < 2.0**-126, subnormal, value.astype(jnp.float32).astype(value.dtype))


def _epsilon(value: jax.Array) -> float:
    return float(np.finfo(value.dtype).eps)


def _count(value: ArrayLike | None) -> jax.Array:
    return jnp.asarray(0 if value is None else value).astype(jnp.int32)


def _lowered(plateau: Numbers, value: jax.Array) -> jax.Array:
    """`value * factor`, but the floor itself from a few roundings above it."""
    floor = as_float(plateau.min_value)
    product = _product(value, as_float(plateau.factor))
    near = floor * (1 + 16 * _epsilon(value))
    return jnp.where(product <= near, floor, product)


def _raised(plateau: Numbers, value: jax.Array) -> jax.Array:
    """`value / factor`, but the ceiling itself from a few roundings below it; a value above it stays."""
    quotient = value / as_float(plateau.factor)
    if plateau.max_value is None:
        return quotient
    ceiling = as_float(plateau.max_value)
    near = ceiling * (1 - 16 * _epsilon(value))
    return jnp.maximum(value, jnp.where(quotient >= near, ceiling, quotient))


def _product(value: jax.Array, factor: jax.Array) -> jax.Array:
    """`value * factor`; in float32 what the product in double precision is rounded to, as in Keras.

    0.1 is no float32, 10 is: where the reciprocal is a whole number, dividing by it is exact to the last bit.
    """
    if value.dtype != jnp.float32:
        return value * factor
    reciprocal = 1 / factor
    whole = jnp.round(reciprocal)
    # A divisor that hangs on the value: XLA would turn a division by a broadcast number into a product.
    quotient = value / jnp.where(value > 0, whole, 1.0)
    near = jnp.abs(reciprocal - whole) <= 4 * _epsilon(value) * whole
    return jnp.where(near, quotient, value * factor)


_Improved = Callable[[Numbers, PlateauState, jax.Array], jax.Array]
_Step = Callable[[Numbers, PlateauState, jax.Array, jax.Array], tuple[jax.Array, jax.Array, jax.Array]]

IMPROVED: dict[str, _Improved] = {
    "default": _improved_default,
    "greedy": _improved_greedy,
    "keras": _improved_keras,
    "keras2": _improved_library,
    "torch": _improved_library,
    "optax": _improved_library,
}
STEP: dict[str, _Step] = {
    "default": _step_default,
    "greedy": _step_greedy,
    "keras": _step_keras,
    "keras2": _step_keras,
    "torch": _step_torch,
    "optax": _step_optax,
}
