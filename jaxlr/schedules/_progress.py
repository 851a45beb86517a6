"""How far a schedule has come, as two numbers that stay precise at both ends, and the shapes that bend it."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from . import _exact
from ._exact import Exact, TwoFloat, as_float, exact, float_dtype


class Progress(NamedTuple):
    """`done` from 0 to 1, and `left = 1 - done`; each has full relative precision.

    `1 - done` in floats would lose all digits near the end. As weights, `left` is that of the start value.
    """

    done: jax.Array
    left: jax.Array


def progress(step: Exact, length: Any) -> Progress:
    """The part of `length` steps that is done after `step` steps; all of it when `length` is 0."""
    if step.start:
        return Progress(as_float(0), as_float(1))
    return _progress(step, exact(length))


@_exact.compiled
def _progress(step: Exact, length: Exact) -> Progress:
    elapsed, whole = step.two, _exact.choose(length.positive, length.two, _exact.from_float(as_float(1)))
    rest = _exact.subtract(whole, elapsed)
    running = (rest.hi > 0) & length.positive
    done = jnp.where(running, _exact.divide(elapsed, whole).hi, 1)
    return Progress(done, jnp.where(running, _exact.divide(rest, whole).hi, 0))


def choose(condition: Any, a: Progress, b: Progress) -> Progress:
    return Progress(jnp.where(condition, a.done, b.done), jnp.where(condition, a.left, b.left))


def blend(start: Any, end: Any, weights: Progress) -> jax.Array:
    """From `start` to `end`. Both weights are used as they are, so that a small value keeps its digits."""
    return jnp.asarray(start * weights.left + end * weights.done)


def reverse(p: Progress) -> Progress:
    return Progress(p.left, p.done)


def next_multiple(step: Exact, length: Any) -> Exact:
    """The first multiple of `length`, one or more times, that is not below `step`; 0 if `length` is."""
    return exact(length) if step.start else Exact(_next_multiple(step, exact(length)))


@_exact.compiled
def _next_multiple(step: Exact, length: Exact) -> TwoFloat:
    _, passed = step.over(length)
    on_multiple = ~passed.positive & step.positive & length.positive
    return _exact.choose(on_multiple, step.two, _exact.add(step.two, _exact.subtract(length.two, passed.two)))


def periods(step: Exact, length: Any, staircase: Any) -> TwoFloat:
    """`step / length`, or its whole part; `length` 0 counts as 1."""
    if step.start:
        return _exact.from_float(as_float(0))
    return _periods(step, exact(length), jnp.asarray(staircase))


@_exact.compiled
def _periods(step: Exact, length: Exact, staircase: jax.Array) -> TwoFloat:
    whole = _exact.choose(length.positive, length.two, _exact.from_float(as_float(1)))
    stairs = _exact.from_count(step.over(length)[0], float_dtype())
    return _exact.choose(staircase, stairs, _exact.divide(step.two, whole))


def _log_left(p: Progress) -> jax.Array:
    """The logarithm of `left`, and 0 where `left` is 0 (where the caller has to multiply by 0)."""
    early = p.done < 0.5
    near_one = jnp.log1p(-jnp.where(early, p.done, 0))
    return jnp.where(early, near_one, jnp.log(jnp.where(early | (p.left <= 0), 1, p.left)))


@_exact.compiled
def to_power(p: Progress, power: Any) -> Progress:
    """`left^power` and one minus it. Exact, with the right derivative by `power`, at `power` 1."""
    log = _log_left(p)
    left = p.left * jnp.exp((power - 1) * log)
    done_above_one = p.done + p.left * -jnp.expm1((power - 1) * log)
    done = jnp.where(power < 1, -jnp.expm1(power * log), done_above_one)
    return Progress(jnp.where(left < 0.5, 1 - left, done), left)


def cosine(p: Progress) -> Progress:
    """Half a cosine wave: `left = (1 + cos(pi * done)) / 2`, as sines that are precise at both ends."""
    quarter = jnp.pi / 2
    return Progress(jnp.sin(quarter * p.done) ** 2, jnp.sin(quarter * p.left) ** 2)


def one_minus_power(p: Progress, power: Any) -> Progress:
    """`left = 1 - done^power`."""
    return reverse(to_power(reverse(p), as_float(power)))


def exponential(p: Progress, decay_rate: Any) -> Progress:
    """`decay_rate^done`, shifted and scaled to go from 1 to 0; a line at a rate of 1."""
    rate = as_float(decay_rate)
    level = rate == 1
    log = jnp.log(jnp.where(level, 0.5, rate))
    whole = jnp.expm1(log)
    bent = Progress(jnp.expm1(p.done * log) / whole, -rate * jnp.expm1(-p.left * log) / whole)
    return choose(level, p, bent)


def tanh(p: Progress, lower: Any, upper: Any) -> Progress:
    """`left = (1 - tanh(z)) / 2` from `z = lower` to `z = upper`."""
    z = 2 * (lower * p.left + upper * p.done)
    return Progress(jax.nn.sigmoid(z), jax.nn.sigmoid(-z))


SHAPES = ("linear", "cosine", "1-sqrt", "1-square", "power", "exponential")


def shaped(shape: str, p: Progress, power: Any = 0.5, decay_rate: Any = 0.1) -> Progress:
    """The progress bent to one of `SHAPES`; `power` and `decay_rate` are for the shapes of these names."""
    match shape:
        case "cosine":
            return cosine(p)
        case "1-sqrt":
            return one_minus_power(p, 0.5)
        case "1-square":
            return one_minus_power(p, 2.0)
        case "power":
            return one_minus_power(p, power)
        case "exponential":
            return exponential(p, decay_rate)
    return p
