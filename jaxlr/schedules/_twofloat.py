"""Two-float arithmetic: a number as the unevaluated sum of two floats, with about twice the digits.

A float32 holds 24 bits and a step count needs 31, so `step / decay_steps` in plain float32 loses up to all of
the difference between a step and the end of its schedule. Everything here works in the dtype it is given.

Compilers may fuse `a * b + c` into one rounding. That breaks the textbook product, which subtracts a rounded
product from exact ones; here all four partial products are exact, so fusing changes nothing.

The larger functions are compiled on their own, so that a schedule that is called outside `jit` makes a few
dozen calls and not a few thousand.

Reference: T. J. Dekker, "A floating-point technique for extending the available precision", 1971.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp


class TwoFloat(NamedTuple):
    """The number `hi + lo`, where `hi` is that sum rounded to one float."""

    hi: jax.Array
    lo: jax.Array


def two_sum(a: jax.Array, b: jax.Array) -> TwoFloat:
    """`a + b` exactly."""
    # XLA folds `(a + b) - a` where `a` is a constant, and with it the rounding error that is wanted here.
    s = jax.lax.optimization_barrier(a + b)
    part = s - a
    return TwoFloat(s, (a - (s - part)) + (b - part))


def _renormalise(hi: jax.Array, lo: jax.Array) -> TwoFloat:
    s = jax.lax.optimization_barrier(hi + lo)
    return TwoFloat(s, lo - (s - hi))


def _halves(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """`x` as two floats with half of its bits each. The derivative goes to the second half."""
    if x.dtype == jnp.float64:
        bits, mask = jnp.uint64, jnp.uint64(0xFFFFFFFFF8000000)
    else:
        bits, mask = jnp.uint32, jnp.uint32(0xFFFFF000)
    head = jax.lax.bitcast_convert_type(jax.lax.bitcast_convert_type(x, bits) & mask, x.dtype)
    return head, x - head


def two_product(a: jax.Array, b: jax.Array) -> TwoFloat:
    """`a * b` exactly (float32), or to 104 bits (float64)."""
    a, b = jnp.broadcast_arrays(a, b)
    a1, a0 = _halves(a)
    b1, b0 = _halves(b)
    middle = two_sum(a1 * b0, a0 * b1)
    top = two_sum(a1 * b1, middle.hi)
    return _renormalise(top.hi, top.lo + (middle.lo + a0 * b0))


def from_count(n: jax.Array, dtype: jnp.dtype) -> TwoFloat:
    """An integer from 0 to 2^31 - 1, exactly."""
    low = n & 0xFFF
    return _renormalise((n - low).astype(dtype), low.astype(dtype))


def from_float(x: jax.Array) -> TwoFloat:
    return TwoFloat(x, jnp.zeros_like(x))


@jax.jit
def add(x: TwoFloat, y: TwoFloat) -> TwoFloat:
    hi = two_sum(x.hi, y.hi)
    lo = two_sum(x.lo, y.lo)
    first = _renormalise(hi.hi, hi.lo + lo.hi)
    return _renormalise(first.hi, first.lo + lo.lo)


@jax.jit
def subtract(x: TwoFloat, y: TwoFloat) -> TwoFloat:
    return add(x, TwoFloat(-y.hi, -y.lo))


@jax.jit
def multiply(x: TwoFloat, y: TwoFloat) -> TwoFloat:
    product = two_product(x.hi, y.hi)
    return _renormalise(product.hi, product.lo + (x.hi * y.lo + x.lo * y.hi))


@jax.jit
def divide(x: TwoFloat, y: TwoFloat) -> TwoFloat:
    first = x.hi / y.hi
    rest = subtract(x, multiply(y, from_float(first)))
    return _renormalise(first, rest.hi / y.hi)


def ratio(n: jax.Array, d: jax.Array, dtype: jnp.dtype) -> TwoFloat:
    """The quotient of two integers, `d` above zero."""
    return divide(from_count(n, dtype), from_count(d, dtype))


def floor(x: TwoFloat) -> TwoFloat:
    """The greatest integer not above `x`."""
    head = jnp.floor(x.hi)
    tail = jnp.where(head == x.hi, jnp.floor(x.lo), 0)
    return _renormalise(head, tail)


@jax.jit
def floor_divide(x: TwoFloat, y: TwoFloat) -> TwoFloat:
    """The greatest integer whose product with `y` is not above `x`; both are zero or more, `y` above zero."""
    # A quotient may be off by its last digit, so that a whole one seems to lie below an integer.
    guess = floor(divide(x, y))
    rest = subtract(x, multiply(y, guess))
    one = from_float(jnp.ones_like(guess.hi))
    nearer = choose(negative(subtract(rest, y)), guess, add(guess, one))
    return choose(negative(rest), subtract(guess, one), nearer)


def choose(condition: jax.Array, x: TwoFloat, y: TwoFloat) -> TwoFloat:
    return TwoFloat(jnp.where(condition, x.hi, y.hi), jnp.where(condition, x.lo, y.lo))


def negative(x: TwoFloat) -> jax.Array:
    return (x.hi < 0) | ((x.hi == 0) & (x.lo < 0))


def _two_float(value: float, rest: float, dtype: jnp.dtype) -> TwoFloat:
    return TwoFloat(jnp.asarray(value, dtype), jnp.asarray(rest, dtype))


def _ln2(dtype: jnp.dtype) -> TwoFloat:
    # The first part ends in zeros, so that its product with an exponent is exact.
    if dtype == jnp.float64:
        return _two_float(6.93147180369123816490e-01, 1.90821492927058770002e-10, dtype)
    return _two_float(0.693145751953125, 1.4286068203094172e-06, dtype)


@jax.jit
def log(x: jax.Array) -> TwoFloat:
    """The natural logarithm of a positive float, right to about 2^-35 (float32) of its size."""
    dtype = x.dtype
    exponent = jnp.frexp(jax.lax.stop_gradient(x * jnp.sqrt(jnp.asarray(2.0, dtype))))[1] - 1
    mantissa = x * jnp.ldexp(jnp.ones_like(x), -exponent)
    one = jnp.ones_like(mantissa)
    s = divide(two_sum(mantissa, -one), two_sum(mantissa, one))
    square = multiply(s, s)
    terms = 9 if dtype == jnp.float64 else 4
    tail = jnp.zeros_like(mantissa)
    for k in reversed(range(terms)):
        tail = 1.0 / (2 * k + 5) + square.hi * tail
    third = divide(square, from_float(3 * one))
    series = add(add(from_float(one), third), from_float(square.hi * square.hi * tail))
    mantissa_log = multiply(TwoFloat(2 * s.hi, 2 * s.lo), series)
    count = exponent.astype(dtype)
    ln2 = _ln2(dtype)
    return add(TwoFloat(count * ln2.hi, count * ln2.lo), mantissa_log)


def exp(x: TwoFloat) -> jax.Array:
    """`e^x`, rounded to one float; 0 or infinity out of range."""
    # Far out of range the low part is no longer small, and would turn the sign of 0 or infinity.
    inside = jnp.abs(x.hi) < (760.0 if x.hi.dtype == jnp.float64 else 120.0)
    return jnp.exp(x.hi) * (1 + jnp.where(inside, x.lo, 0))


def to_count(x: TwoFloat) -> jax.Array:
    """A whole number from 0 on as int32, at most 2^31 - 1."""
    # The first part alone may be 2^31 or, in float32, reach it by rounding.
    over = x.hi >= 2.0**31
    head = jnp.where(over, 2**31 - 1, jnp.where(over, 0, x.hi).astype(jnp.int32))
    tail = jnp.clip(x.lo, -(2.0**30), 2.0**30).astype(jnp.int32)
    return head + jnp.where(over, jnp.minimum(tail + 1, 0), tail)
