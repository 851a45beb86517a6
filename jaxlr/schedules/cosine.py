"""Cosine decays: once, with restarts, and those that rise again."""

from __future__ import annotations

import jax
from jax.tree_util import Partial

from .. import _checks
from . import _shapes
from ._arguments import Count, Number, as_count, as_float, as_step, count, number
from ._progress import blend, progress, to_power


def cosine_decay(
    init_value: Number, decay_steps: Count, end_value: Number = 0.0, power: Number = 1.0
) -> Partial:
    """Half a cosine wave, then its end value.

    `lr(t) = end_value + (init_value - end_value) * ((1 + cos(pi * min(t / decay_steps, 1))) / 2)^power`

    Args:
        init_value: the rate at step 0.
        decay_steps: steps until `end_value`.
        end_value: the rate from there on.
        power: an exponent on the wave.

    Returns:
        The schedule, `step -> lr`.

    Raises:
        ValueError: a rate is negative or not finite, `power` is not positive, or `decay_steps` is not whole.

    Example:
        >>> round(float(cosine_decay(1.0, 10)(5)), 6)
        0.5

    Reference: Loshchilov, Hutter, "SGDR", arXiv:1608.03983; Optax for the exponent.
    """
    return Partial(
        _cosine_decay,
        init_value=number("init_value", init_value, _checks.non_negative),
        decay_steps=count("decay_steps", decay_steps),
        end_value=number("end_value", end_value, _checks.non_negative),
        power=number("power", power, _checks.positive),
    )


def _cosine_decay(
    step: jax.Array, *, init_value: Number, decay_steps: Count, end_value: Number, power: Number
) -> jax.Array:
    wave = _shapes.cosine(progress(as_step(step), as_count(decay_steps)))
    return blend(as_float(init_value), as_float(end_value), to_power(wave, as_float(power)))
