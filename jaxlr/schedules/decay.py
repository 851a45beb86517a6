"""Decays to an end value: lines, powers, and what bends them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from .. import _checks
from . import _shapes
from ._arguments import (
    Count,
    Flag,
    Number,
    as_count,
    as_float,
    as_period,
    as_step,
    count,
    flag,
    number,
    period,
)
from ._progress import Progress, blend, cycled, progress, to_power


def constant(init_value: Number) -> Partial:
    """The same rate at every step.

    `lr(t) = init_value`

    Args:
        init_value: the learning rate.

    Returns:
        The schedule, `step -> lr`.

    Raises:
        ValueError: `init_value` is negative or not finite.

    Example:
        >>> float(constant(0.5)(1000))
        0.5

    Reference: Optax, `constant_schedule`.
    """
    return Partial(_constant, init_value=number("init_value", init_value, _checks.non_negative))


def _constant(step: jax.Array, *, init_value: Number) -> jax.Array:
    return jnp.broadcast_to(as_float(init_value), as_step(step).shape)


def linear(init_value: Number, decay_steps: Count, end_value: Number = 0.0) -> Partial:
    """A straight line, then its end value.

    `lr(t) = init_value + (end_value - init_value) * min(t / decay_steps, 1)`

    Args:
        init_value: the rate at step 0.
        decay_steps: steps until `end_value`; with 0 the rate is `end_value` throughout.
        end_value: the rate from there on; it may be the higher one.

    Returns:
        The schedule, `step -> lr`.

    Raises:
        ValueError: a rate is negative or not finite, or `decay_steps` is not whole.

    Example:
        >>> float(linear(1.0, 10)(4))
        0.6000000238418579

    Reference: Optax, `linear_schedule`.
    """
    return Partial(
        _linear,
        init_value=number("init_value", init_value, _checks.non_negative),
        decay_steps=count("decay_steps", decay_steps),
        end_value=number("end_value", end_value, _checks.non_negative),
    )


def _linear(step: jax.Array, *, init_value: Number, decay_steps: Count, end_value: Number) -> jax.Array:
    p = progress(as_step(step), as_count(decay_steps))
    return blend(as_float(init_value), as_float(end_value), p)


def budgeted_linear(init_value: Number, decay_steps: Count) -> Partial:
    """A straight line to zero over the whole budget of steps.

    `lr(t) = init_value * max(1 - t / decay_steps, 0)`

    Args:
        init_value: the rate at step 0.
        decay_steps: all steps of the training.

    Returns:
        The schedule, `step -> lr`: `linear` with an end value of zero.

    Raises:
        ValueError: `init_value` is negative or not finite, or `decay_steps` is not whole.

    Example:
        >>> float(budgeted_linear(0.5, 100)(50))
        0.25

    Reference: Li, Yumer, Ramanan, "Budgeted Training", arXiv:1905.04753; Bergsma et al., "Straight to Zero",
    arXiv:2502.15938.
    """
    return linear(init_value, decay_steps)


def polynomial_decay(
    init_value: Number,
    decay_steps: Number,
    end_value: Number = 0.0,
    power: Number = 1.0,
    cycle: Flag = False,
) -> Partial:
    """A power of the time that is left.

    `lr(t) = end_value + (init_value - end_value) * (1 - t / T)^power`, with `t` at most `T`, where
    `T = decay_steps`, or with `cycle` the first multiple of it, from one on, that is not below `t`:
    `T = decay_steps * max(1, ceil(t / decay_steps))`.

    Args:
        init_value: the rate at step 0.
        decay_steps: steps until `end_value`; need not be whole.
        end_value: the rate at the end.
        power: 1 is a line, below 1 falls late, above 1 falls early.
        cycle: rise again after each multiple of `decay_steps`, to a lower height each time.

    Returns:
        The schedule, `step -> lr`.

    Raises:
        ValueError: a rate is negative or not finite, `power` is not positive, or `decay_steps` is not whole.

    Example:
        >>> float(polynomial_decay(1.0, 10, power=2.0)(5))
        0.25

    Reference: TensorFlow, `tf.compat.v1.train.polynomial_decay`. At a multiple of `decay_steps` the rate is
    `end_value`; the jump up comes one step later.
    """
    return Partial(
        _polynomial_decay,
        init_value=number("init_value", init_value, _checks.non_negative),
        decay_steps=period("decay_steps", decay_steps),
        end_value=number("end_value", end_value, _checks.non_negative),
        power=number("power", power, _checks.positive),
        cycle=flag("cycle", cycle),
    )


def _polynomial_decay(
    step: jax.Array, *, init_value: Number, decay_steps: Number, end_value: Number, power: Number, cycle: Flag
) -> jax.Array:
    step, decay_steps = as_step(step), as_period(decay_steps)
    once, again = progress(step, decay_steps), cycled(step, decay_steps)
    p = Progress(jnp.where(cycle, again.done, once.done), jnp.where(cycle, again.left, once.left))
    return blend(as_float(init_value), as_float(end_value), to_power(p, as_float(power)))


def power_decay(init_value: Number, decay_steps: Count, beta: Number, end_value: Number = 0.0) -> Partial:
    """The decay of the power-law theory of cooldowns.

    `lr(t) = end_value + (init_value - end_value) * (1 - t / decay_steps)^(2 * beta - 1)`

    Args:
        init_value: the rate at step 0.
        decay_steps: steps until `end_value`.
        beta: above 0.5; 1 is a line.
        end_value: the rate from there on.

    Returns:
        The schedule, `step -> lr`: `polynomial_decay` with the power `2 * beta - 1`.

    Raises:
        ValueError: a rate is negative or not finite, `beta` is not above 0.5, or `decay_steps` is not whole.

    Example:
        >>> float(power_decay(1.0, 10, beta=1.5)(5))
        0.25

    Reference: arXiv:2602.06797.
    """
    _checks.real("beta", beta)
    if not isinstance(beta, jax.Array) and not np.all(np.asarray(beta) > 0.5):
        raise ValueError(f"beta must be above 0.5, got {beta!r}")
    return polynomial_decay(init_value, decay_steps, end_value, 2 * beta - 1)


def rex(init_value: Number, decay_steps: Count, end_value: Number = 0.0) -> Partial:
    """Reflected exponential: a line that bends down towards the end.

    `lr(t) = end_value + (init_value - end_value) * (1 - u) / (1 - u / 2)`, `u = min(t / decay_steps, 1)`

    Args:
        init_value: the rate at step 0.
        decay_steps: steps until `end_value`.
        end_value: the rate from there on.

    Returns:
        The schedule, `step -> lr`.

    Raises:
        ValueError: a rate is negative or not finite, or `decay_steps` is not whole.

    Example:
        >>> round(float(rex(1.0, 10)(5)), 6)
        0.666667

    Reference: Chen, Wolfe, Kyrillidis, "REX: Revisiting Budgeted Training", arXiv:2107.04197.
    """
    return Partial(
        _rex,
        init_value=number("init_value", init_value, _checks.non_negative),
        decay_steps=count("decay_steps", decay_steps),
        end_value=number("end_value", end_value, _checks.non_negative),
    )


def _rex(step: jax.Array, *, init_value: Number, decay_steps: Count, end_value: Number) -> jax.Array:
    done, left = progress(as_step(step), as_count(decay_steps))
    weights = Progress(done / (1 + left), 2 * left / (1 + left))
    return blend(as_float(init_value), as_float(end_value), weights)


def tanh_decay(
    init_value: Number,
    decay_steps: Count,
    end_value: Number = 0.0,
    lower: Number = -7.0,
    upper: Number = 3.0,
) -> Partial:
    """Part of a hyperbolic tangent: long flat, a fall, flat again.

    `lr(t) = end_value + (init_value - end_value) / 2 * (1 - tanh(lower * (1 - u) + upper * u))`,
    `u = min(t / decay_steps, 1)`

    Args:
        init_value: close to the rate at step 0.
        decay_steps: steps of the decay.
        end_value: close to the rate at the end.
        lower: where on the tangent the schedule starts.
        upper: where it ends.

    Returns:
        The schedule, `step -> lr`.

    Raises:
        ValueError: a rate is negative or not finite, or `decay_steps` is not whole.

    Example:
        >>> round(float(tanh_decay(1.0, 10)(7)), 6)
        0.5

    Reference: Hsueh, Li, Wu, "Stochastic Gradient Descent with Hyperbolic-Tangent Decay", arXiv:1806.01593.
    """
    return Partial(
        _tanh_decay,
        init_value=number("init_value", init_value, _checks.non_negative),
        decay_steps=count("decay_steps", decay_steps),
        end_value=number("end_value", end_value, _checks.non_negative),
        lower=number("lower", lower),
        upper=number("upper", upper),
    )


def _tanh_decay(
    step: jax.Array,
    *,
    init_value: Number,
    decay_steps: Count,
    end_value: Number,
    lower: Number,
    upper: Number,
) -> jax.Array:
    p = progress(as_step(step), as_count(decay_steps))
    weights = _shapes.tanh(p, lower=as_float(lower), upper=as_float(upper))
    return blend(as_float(init_value), as_float(end_value), weights)
