"""How far a schedule has come, as two numbers that stay precise at both ends."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from . import _twofloat
from ._arguments import MAX_COUNT, Flag, float_dtype
from ._twofloat import TwoFloat


class Progress(NamedTuple):
    """`done` from 0 to 1, and `left = 1 - done`; each has full relative precision.

    `1 - done` in floats would lose all digits near the end. As weights, `left` is that of the start value.
    """

    done: jax.Array
    left: jax.Array


def _length(length: jax.Array) -> TwoFloat:
    """A length of whole or fractional steps; 1 for 0, so that it can divide."""
    length = jnp.where(length > 0, length, 1)
    if jnp.issubdtype(length.dtype, jnp.floating):
        return _twofloat.from_float(length)
    return _twofloat.from_count(length, float_dtype())


@jax.jit
def progress(step: jax.Array, length: jax.Array) -> Progress:
    """The part of `length` steps that is done after `step` steps; all of it when `length` is 0."""
    whole, elapsed = _length(length), _twofloat.from_count(step, float_dtype())
    rest = _twofloat.subtract(whole, elapsed)
    running = (rest.hi > 0) & (length > 0)
    done = jnp.where(running, _twofloat.divide(elapsed, whole).hi, 1)
    return Progress(done, jnp.where(running, _twofloat.divide(rest, whole).hi, 0))


@jax.jit
def cycled(step: jax.Array, length: jax.Array) -> Progress:
    """The part that is done at `step` of the first multiple of `length`, one or more times, not below it."""
    whole, elapsed = _length(length), _twofloat.from_count(step, float_dtype())
    cycles = _twofloat.floor_divide(elapsed, whole)
    after = _twofloat.subtract(elapsed, _twofloat.multiply(cycles, whole))
    at_multiple = (after.hi == 0) & (step > 0)
    zero = _twofloat.from_float(jnp.zeros_like(after.hi))
    rest = _twofloat.choose(at_multiple, zero, _twofloat.subtract(whole, after))
    total = _twofloat.add(elapsed, rest)
    done = jnp.where(length > 0, _twofloat.divide(elapsed, total).hi, 1)
    return Progress(done, jnp.where(length > 0, _twofloat.divide(rest, total).hi, 0))


def blend(start: jax.Array, end: jax.Array, weights: Progress) -> jax.Array:
    """From `start` to `end`. Both weights are used as they are, so that a small value keeps its digits."""
    return start * weights.left + end * weights.done


def reverse(weights: Progress) -> Progress:
    return Progress(weights.left, weights.done)


def log_left(p: Progress) -> jax.Array:
    """The logarithm of `left`, and 0 where `left` is 0 (where the caller has to multiply by 0)."""
    early = p.done < 0.5
    near_one = jnp.log1p(-jnp.where(early, p.done, 0))
    return jnp.where(early, near_one, jnp.log(jnp.where(early | (p.left <= 0), 1, p.left)))


@jax.jit
def to_power(p: Progress, power: jax.Array) -> Progress:
    """`left^power` and one minus it. Exact, with the right derivative by `power`, at `power` 1."""
    log = log_left(p)
    factor = jnp.exp((power - 1) * log)
    left = p.left * factor
    done_above_one = p.done + p.left * -jnp.expm1((power - 1) * log)
    done = jnp.where(power < 1, -jnp.expm1(power * log), done_above_one)
    return Progress(jnp.where(left < 0.5, 1 - left, done), left)


class Cycle(NamedTuple):
    """Which cycle a step is in, counted from 0, and how far it has come in it."""

    number: jax.Array
    progress: Progress


def cycle_of(step: jax.Array, period: jax.Array, multiplier: jax.Array) -> Cycle:
    """The cycle that `step` is in, when the first lasts `period` steps and each `multiplier` times the last.

    Cycle i starts at `period * (1 + m + … + m^(i-1))`. The sums for i = 2^j come from doubling, without a
    subtraction or a logarithm, so a restart that falls on a step is found on that step.
    """
    return _cycle_of(step, period, jnp.asarray(multiplier, float_dtype()))


@jax.jit
def _cycle_of(step: jax.Array, period: jax.Array, multiplier: jax.Array) -> Cycle:
    dtype = multiplier.dtype
    bits = 31
    first = _twofloat.from_count(jnp.maximum(period, 1), dtype)
    one = _twofloat.from_float(jnp.ones((), dtype))
    limit = 2.0**40

    def capped(x: TwoFloat) -> TwoFloat:
        return TwoFloat(jnp.minimum(x.hi, limit), jnp.where(x.hi < limit, x.lo, 0))

    def double(carry: tuple[TwoFloat, TwoFloat], _: None) -> tuple[Any, Any]:
        power, total = carry
        following = (
            capped(_twofloat.multiply(power, power)),
            capped(_twofloat.multiply(total, _twofloat.add(one, power))),
        )
        return following, carry

    start: Any = (_twofloat.from_float(multiplier), _twofloat.from_float(jnp.ones_like(multiplier)))
    _, table = jax.lax.scan(double, start, None, length=bits)

    now = _twofloat.from_count(step, dtype)

    def descend(carry: Any, row: Any) -> tuple[Any, None]:
        index, power, total = carry
        bit, (row_power, row_total) = row
        further = _twofloat.add(total, _twofloat.multiply(power, row_total))
        room = _twofloat.subtract(now, _twofloat.multiply(first, further))
        fits = ~_twofloat.negative(room)
        carry = (
            jnp.where(fits, index | bit, index),
            _twofloat.choose(fits, capped(_twofloat.multiply(power, row_power)), power),
            _twofloat.choose(fits, further, total),
        )
        return carry, None

    shape = jnp.broadcast_shapes(step.shape, period.shape, multiplier.shape)
    zeros, ones = jnp.zeros(shape, dtype), jnp.ones(shape, dtype)
    bit = jnp.left_shift(1, jnp.arange(bits, dtype=jnp.int32))
    begin: Any = (jnp.zeros(shape, jnp.int32), TwoFloat(ones, zeros), TwoFloat(zeros, zeros))
    (index, power, total), _ = jax.lax.scan(descend, begin, (bit, table), reverse=True)
    length = _twofloat.multiply(first, power)
    since = _twofloat.subtract(now, _twofloat.multiply(first, total))
    done = _twofloat.divide(since, length).hi
    left = _twofloat.divide(_twofloat.subtract(length, since), length).hi
    empty = period == 0
    return Cycle(
        jnp.where(empty, MAX_COUNT, index),
        Progress(jnp.where(empty, 1, done), jnp.where(empty, 0, left)),
    )


@jax.jit
def periods(step: jax.Array, length: jax.Array, staircase: Flag) -> TwoFloat:
    """`step / length`, or its whole part; `length` 0 counts as 1."""
    elapsed, whole = _twofloat.from_count(step, float_dtype()), _length(length)
    stairs, smooth = _twofloat.floor_divide(elapsed, whole), _twofloat.divide(elapsed, whole)
    return _twofloat.choose(jnp.asarray(staircase), stairs, smooth)
