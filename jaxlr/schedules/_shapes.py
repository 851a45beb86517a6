"""Shapes of a decay: how far the value has fallen, by how far the time has come."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from .. import _checks
from ._arguments import Number, as_float, number
from ._progress import Progress, reverse, to_power


def linear(p: Progress) -> Progress:
    return p


def cosine(p: Progress) -> Progress:
    """Half a cosine wave: `left = (1 + cos(pi * done)) / 2`, as sines that are precise at both ends."""
    quarter = jnp.pi / 2
    return Progress(jnp.sin(quarter * p.done) ** 2, jnp.sin(quarter * p.left) ** 2)


def one_minus_power(p: Progress, *, power: Number) -> Progress:
    """`left = 1 - done^power`."""
    return reverse(to_power(reverse(p), as_float(power)))


def exponential(p: Progress, *, decay_rate: Number) -> Progress:
    """`decay_rate^done`, shifted and scaled to go from 1 to 0."""
    rate = as_float(decay_rate)
    log = jnp.log(rate)
    whole = jnp.expm1(log)
    return Progress(jnp.expm1(p.done * log) / whole, -rate * jnp.expm1(-p.left * log) / whole)


def tanh(p: Progress, *, lower: Number, upper: Number) -> Progress:
    """`left = (1 - tanh(z)) / 2` from `z = lower` to `z = upper`."""
    z = 2 * (as_float(lower) * p.left + as_float(upper) * p.done)
    return Progress(jax.nn.sigmoid(z), jax.nn.sigmoid(-z))


NAMES = ("linear", "cosine", "1-sqrt", "1-square", "power", "exponential")


def named(shape: str, power: Number = 0.5, decay_rate: Number = 0.1) -> Partial:
    """A shape by its name; `power` and `decay_rate` are for the shapes of these names."""
    _checks.one_of("shape", shape, NAMES)
    if shape == "linear":
        return Partial(linear)
    if shape == "cosine":
        return Partial(cosine)
    if shape == "exponential":
        return Partial(exponential, decay_rate=number("decay_rate", decay_rate, _inside_unit_interval))
    exponents: dict[str, Number] = {"1-sqrt": 0.5, "1-square": 2.0, "power": power}
    return Partial(one_minus_power, power=number("power", exponents[shape], _checks.positive))


def _inside_unit_interval(name: str, value: Number) -> None:
    _checks.between(name, value, 0.0, 1.0)
    _checks.positive(name, value)
