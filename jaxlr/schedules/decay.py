"""Decays to an end value: lines, powers, and what bends them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from ._arguments import AboveHalf, Flag, Positive, Rate, Real, Steps
from ._exact import Exact, choose, exact
from ._progress import Progress, blend, next_multiple, progress, tanh, to_power
from ._schedule import alias, schedule


@schedule
def constant(step: Exact, init_value: Rate) -> jax.Array:
    """The same rate at every step.

    `lr(t) = init_value`

    Args:
        init_value: the learning rate.

    >>> float(constant(0.5)(1000))
    0.5

    Reference: Optax, `constant_schedule`.
    """
    return jnp.broadcast_to(init_value, step.shape)


@schedule
def linear(step: Exact, init_value: Rate, decay_steps: Steps, end_value: Rate = 0.0) -> jax.Array:
    """A straight line, then its end value.

    `lr(t) = init_value + (end_value - init_value) * min(t / decay_steps, 1)`

    Args:
        init_value: the rate at step 0.
        decay_steps: steps until `end_value`.
        end_value: the rate from there on; it may be the higher one.

    >>> float(linear(1.0, 10)(4))
    0.6000000238418579

    Reference: Optax, `linear_schedule`.
    """
    return blend(init_value, end_value, progress(step, decay_steps))


@alias
def budgeted_linear(init_value: Rate, decay_steps: Steps) -> Partial:
    """A straight line to zero over the whole budget of steps: `linear` with an end value of zero.

    `lr(t) = init_value * max(1 - t / decay_steps, 0)`

    Args:
        init_value: the rate at step 0.
        decay_steps: all steps of the training.

    >>> float(budgeted_linear(0.5, 100)(50))
    0.25

    Reference: Li, Yumer, Ramanan, "Budgeted Training", arXiv:1905.04753; Bergsma et al., "Straight to Zero",
    arXiv:2502.15938.
    """
    return linear(init_value, decay_steps)


@schedule
def polynomial_decay(
    step: Exact,
    init_value: Rate,
    decay_steps: Steps,
    end_value: Rate = 0.0,
    power: Positive = 1.0,
    cycle: Flag = False,
) -> jax.Array:
    """A power of the time that is left.

    `lr(t) = end_value + (init_value - end_value) * (1 - t / T)^power`, with `t` at most `T`, where
    `T = decay_steps`, or with `cycle` the first multiple of it, from one on, that is not below `t`:
    `T = decay_steps * max(1, ceil(t / decay_steps))`.

    Args:
        init_value: the rate at step 0.
        decay_steps: steps until `end_value`.
        end_value: the rate at the end.
        power: 1 is a line, below 1 falls late, above 1 falls early.
        cycle: rise again after each multiple of `decay_steps`, to a lower height each time.

    >>> float(polynomial_decay(1.0, 10, power=2.0)(5))
    0.25

    Reference: TensorFlow, `tf.compat.v1.train.polynomial_decay`. At a multiple of `decay_steps` the rate is
    `end_value`; the jump up comes one step later.
    """
    end = choose(jnp.asarray(cycle), next_multiple(step, decay_steps).two, exact(decay_steps).two)
    return blend(init_value, end_value, to_power(progress(step, Exact(end)), power))


@alias
def power_decay(init_value: Rate, decay_steps: Steps, beta: AboveHalf, end_value: Rate = 0.0) -> Partial:
    """The decay of the power-law theory of cooldowns: `polynomial_decay` with the power `2 * beta - 1`.

    `lr(t) = end_value + (init_value - end_value) * (1 - t / decay_steps)^(2 * beta - 1)`

    Args:
        init_value: the rate at step 0.
        decay_steps: steps until `end_value`.
        beta: above 0.5; 1 is a line.
        end_value: the rate from there on.

    >>> float(power_decay(1.0, 10, beta=1.5)(5))
    0.25

    Reference: arXiv:2602.06797.
    """
    return polynomial_decay(init_value, decay_steps, end_value, 2 * beta - 1)


@schedule
def rex(step: Exact, init_value: Rate, decay_steps: Steps, end_value: Rate = 0.0) -> jax.Array:
    """Reflected exponential: a line that bends down towards the end.

    `lr(t) = end_value + (init_value - end_value) * (1 - u) / (1 - u / 2)`, `u = min(t / decay_steps, 1)`

    Args:
        init_value: the rate at step 0.
        decay_steps: steps until `end_value`.
        end_value: the rate from there on.

    >>> round(float(rex(1.0, 10)(5)), 6)
    0.666667

    Reference: Chen, Wolfe, Kyrillidis, "REX: Revisiting Budgeted Training", arXiv:2107.04197.
    """
    done, left = progress(step, decay_steps)
    return blend(init_value, end_value, Progress(done / (1 + left), 2 * left / (1 + left)))


@schedule
def tanh_decay(
    step: Exact,
    init_value: Rate,
    decay_steps: Steps,
    end_value: Rate = 0.0,
    lower: Real = -7.0,
    upper: Real = 3.0,
) -> jax.Array:
    """Part of a hyperbolic tangent: long flat, a fall, flat again.

    `lr(t) = end_value + (init_value - end_value) / 2 * (1 - tanh(lower * (1 - u) + upper * u))`,
    `u = min(t / decay_steps, 1)`

    Args:
        init_value: close to the rate at step 0.
        decay_steps: steps of the decay.
        end_value: close to the rate at the end.
        lower: where on the tangent the schedule starts.
        upper: where it ends.

    >>> round(float(tanh_decay(1.0, 10)(7)), 6)
    0.5

    Reference: Hsueh, Li, Wu, "Stochastic Gradient Descent with Hyperbolic-Tangent Decay", arXiv:1806.01593.
    """
    return blend(init_value, end_value, tanh(progress(step, decay_steps), lower, upper))
