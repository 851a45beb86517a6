"""Exact arithmetic on steps: what keeps a float32 schedule right up to step 2^31 - 1.

A float32 holds 24 bits and a step count needs 31, so `step / decay_steps` in plain float32 loses up to all of the
difference between a step and the end of its schedule. A number that needs more is held in two floats; everything here
works in the float type that it is given.

Compilers may fuse `a * b + c` into one rounding. That breaks the textbook product, which subtracts a rounded product
from exact ones; here all four partial products are exact, so fusing changes nothing.

The larger functions are compiled on their own, so that a schedule that is called outside `jit` makes a few dozen calls
and not a few thousand.

Reference: T. J. Dekker, "A floating-point technique for extending the available precision", 1971.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any, NamedTuple, TypeVar, cast

import jax
import jax.numpy as jnp
import numpy as np

F = TypeVar("F", bound=Callable[..., Any])

MAX_STEP = 2**31 - 1

# A number is taken for a whole one if it is so within the digits that are known, and no further from it than this.
_CLOSE = 2.0**-6

_LN2 = Fraction("0.69314718055994530941723212145817656807550013436026")


def float_dtype() -> np.dtype[Any]:
    """float32, or float64 under x64."""
    return jnp.result_type(float)


def as_float(value: Any) -> jax.Array:
    """In the default float type."""
    return jnp.asarray(value, float_dtype())


def compiled(function: F) -> F:
    """`jax.jit`, with the type that the function has."""
    return cast(F, jax.jit(function))


class TwoFloat(NamedTuple):
    """The number `hi + lo`, where `hi` is that sum rounded to one float."""

    hi: jax.Array
    lo: jax.Array


def _rounded(x: jax.Array) -> jax.Array:
    """`x`, as a value that the compiler may not see through.

    XLA folds `(a + b) - a` where `a` is a constant, and with it the rounding error that is wanted. A barrier would
    stop it too, but cuts a schedule into dozens of kernels.
    """
    info = np.finfo(x.dtype)
    return jax.lax.reduce_precision(x, info.nexp, info.nmant)


def _once(x: TwoFloat) -> TwoFloat:
    """`x`, as a value that is computed once.

    XLA computes a long sum anew in each kernel that uses it, but not a division: here one by a 1 that it may not see.
    """
    barrier: Any = jax.lax.optimization_barrier
    one = barrier(jnp.ones((), x.hi.dtype))
    return TwoFloat(x.hi / one, x.lo / one)


def two_sum(a: jax.Array, b: jax.Array) -> TwoFloat:
    """`a + b` exactly."""
    s = _rounded(a + b)
    part = s - a
    return TwoFloat(s, (a - (s - part)) + (b - part))


def _renormalise(hi: jax.Array, lo: jax.Array) -> TwoFloat:
    s = _rounded(hi + lo)
    return TwoFloat(s, lo - (s - hi))


def _bits(dtype: np.dtype[Any]) -> Any:
    return jnp.uint64 if dtype == jnp.float64 else jnp.uint32


def _halves(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """`x` as two floats with half of its bits each. The derivative goes to the second half."""
    bits, low = _bits(x.dtype), 27 if x.dtype == jnp.float64 else 12
    mask = bits(2 ** (8 * x.dtype.itemsize) - 2**low)
    head = jax.lax.bitcast_convert_type(jax.lax.bitcast_convert_type(x, bits) & mask, x.dtype)
    return head, x - head


def two_product(a: jax.Array, b: jax.Array) -> TwoFloat:
    """`a * b` exactly (float32), or to 104 bits (float64)."""
    a, b = jnp.broadcast_arrays(a, b)
    (a1, a0), (b1, b0) = _halves(a), _halves(b)
    middle = two_sum(a1 * b0, a0 * b1)
    top = two_sum(a1 * b1, middle.hi)
    return _renormalise(top.hi, top.lo + (middle.lo + a0 * b0))


def from_count(n: jax.Array, dtype: np.dtype[Any]) -> TwoFloat:
    """An integer from 0 to 2^31 - 1, exactly."""
    low = n & 0xFFF
    return _renormalise((n - low).astype(dtype), low.astype(dtype))


def from_float(x: jax.Array) -> TwoFloat:
    return TwoFloat(x, jnp.zeros_like(x))


@compiled
def add(x: TwoFloat, y: TwoFloat) -> TwoFloat:
    hi = two_sum(x.hi, y.hi)
    lo = two_sum(x.lo, y.lo)
    first = _renormalise(hi.hi, hi.lo + lo.hi)
    return _renormalise(first.hi, first.lo + lo.lo)


def plus(x: TwoFloat, number: float) -> TwoFloat:
    return add(x, from_float(jnp.full_like(x.hi, number)))


def subtract(x: TwoFloat, y: TwoFloat) -> TwoFloat:
    return add(x, TwoFloat(-y.hi, -y.lo))


@compiled
def multiply(x: TwoFloat, y: TwoFloat) -> TwoFloat:
    product = two_product(x.hi, y.hi)
    return _renormalise(product.hi, product.lo + (x.hi * y.lo + x.lo * y.hi))


@compiled
def divide(x: TwoFloat, y: TwoFloat) -> TwoFloat:
    first = x.hi / y.hi
    rest = subtract(x, multiply(y, from_float(first)))
    return _renormalise(first, rest.hi / y.hi)


def scaled(x: TwoFloat, power_of_two: jax.Array | float) -> TwoFloat:
    return TwoFloat(x.hi * power_of_two, x.lo * power_of_two)


def choose(condition: jax.Array, x: TwoFloat, y: TwoFloat) -> TwoFloat:
    return TwoFloat(jnp.where(condition, x.hi, y.hi), jnp.where(condition, x.lo, y.lo))


def negative(x: TwoFloat) -> jax.Array:
    return (x.hi < 0) | ((x.hi == 0) & (x.lo < 0))


def floor(x: TwoFloat) -> TwoFloat:
    """The greatest integer not above `x`."""
    head = jnp.floor(x.hi)
    tail = jnp.where(head == x.hi, jnp.floor(x.lo), 0)
    return _renormalise(head, tail)


def nearest(x: TwoFloat) -> TwoFloat:
    """The integer closest to `x`."""
    return floor(plus(x, 0.5))


def fraction(x: TwoFloat) -> TwoFloat:
    return subtract(x, floor(x))


def to_count(x: TwoFloat) -> jax.Array:
    """A whole number from 0 on as int32, at most 2^31 - 1."""
    # The first part alone may be 2^31 or, in float32, reach it by rounding.
    over = x.hi >= 2.0**31
    head = jnp.where(over, MAX_STEP, jnp.where(over, 0, x.hi).astype(jnp.int32))
    tail = jnp.clip(x.lo, -(2.0**30), 2.0**30).astype(jnp.int32)
    return head + jnp.where(over, jnp.minimum(tail + 1, 0), tail)


def constant(value: Fraction, dtype: np.dtype[Any]) -> TwoFloat:
    hi = float(np.asarray(float(value), dtype))
    return TwoFloat(jnp.asarray(hi, dtype), jnp.asarray(float(value - Fraction(hi)), dtype))


def power_of_two(exponent: jax.Array, dtype: np.dtype[Any]) -> jax.Array:
    """`2^exponent` exactly, for an int32 within the range of the float type."""
    info, bits = np.finfo(dtype), _bits(dtype)
    biased = (exponent + (info.maxexp - 1)).astype(bits)
    return jax.lax.bitcast_convert_type(biased << bits(info.nmant), dtype)


def _multiple_of_ln2(n: jax.Array, dtype: np.dtype[Any]) -> TwoFloat:
    # The first part ends in zeros, so that its product with an exponent is exact.
    bits = 42 if dtype == jnp.float64 else 16
    head = Fraction(round(_LN2 * 2**bits), 2**bits)
    count = n.astype(dtype)
    return add(from_float(count * float(head)), multiply(from_float(count), constant(_LN2 - head, dtype)))


def _polynomial(x: TwoFloat, coefficients: list[Fraction], exact: int) -> TwoFloat:
    """`c[0] + c[1] * x + …`, of which the first terms need more than a float."""
    dtype = x.hi.dtype
    tail = jnp.zeros_like(x.hi)
    for c in reversed(coefficients[exact:]):
        tail = float(c) + x.hi * tail
    total = from_float(tail)
    for c in reversed(coefficients[:exact]):
        total = add(constant(c, dtype), multiply(x, total))
    return total


@compiled
def expm1(x: TwoFloat) -> TwoFloat:
    """`e^x - 1` within the range of the float type, right to about 2^-45 (float32) of its size."""
    dtype = x.hi.dtype
    exponent = jnp.rint(jax.lax.stop_gradient(x.hi) / float(_LN2)).astype(jnp.int32)
    rest = subtract(x, _multiple_of_ln2(exponent, dtype))
    terms = [Fraction(1, math.factorial(k)) for k in range(1, 20 if dtype == jnp.float64 else 14)]
    part = multiply(rest, _polynomial(rest, terms, 6))
    power = power_of_two(exponent, dtype)
    return add(scaled(part, power), two_sum(power, -jnp.ones_like(power)))


@compiled
def _log(x: TwoFloat) -> TwoFloat:
    """The natural logarithm of a positive number, right to about 2^-45 (float32) of its size."""
    dtype = x.hi.dtype
    info, bits = np.finfo(dtype), _bits(dtype)
    hi = jnp.maximum(x.hi, float(info.tiny))
    # The mantissa lies about 1, from sqrt(1/2) to sqrt(2).
    raised = jax.lax.bitcast_convert_type(jax.lax.stop_gradient(hi * float(np.sqrt(2.0))), bits)
    exponent = (raised >> bits(info.nmant)).astype(jnp.int32) - (info.maxexp - 1)
    above_one = plus(scaled(TwoFloat(hi, x.lo), power_of_two(-exponent, dtype)), -1.0)
    s = divide(above_one, plus(above_one, 2.0))
    square = multiply(s, s)
    series = _polynomial(square, [Fraction(2, 2 * k + 1) for k in range(20 if dtype == jnp.float64 else 9)], 4)
    return add(_multiple_of_ln2(exponent, dtype), multiply(s, series))


def _is_known(number: Any) -> bool:
    return isinstance(number, np.ndarray) and number.ndim == 0


def log(number: Any) -> TwoFloat:
    """The natural logarithm of a positive number, of all the digits that are known of it."""
    if isinstance(number, TwoFloat):
        return _log(number)
    if _is_known(number):
        return constant(_known_log(Fraction(float(number))), float_dtype())
    return _log(exact(number).two)


def log_one_minus(number: Any) -> TwoFloat:
    """The natural logarithm of `1 - number`."""
    if _is_known(number):
        return constant(_known_log(1 - Fraction(float(number))), float_dtype())
    return _log(subtract(from_float(as_float(1)), exact(number).two))


@functools.lru_cache(maxsize=1000)
def _known_log(number: Fraction) -> Fraction:
    context = Context(prec=45)
    return Fraction(context.divide(Decimal(number.numerator), Decimal(number.denominator)).ln(context))


def exp(x: TwoFloat) -> jax.Array:
    """`e^x`, rounded to one float; 0 or infinity out of range."""
    # Far out of range the low part is no longer small, and would turn the sign of 0 or infinity.
    inside = jnp.abs(x.hi) < (760.0 if x.hi.dtype == jnp.float64 else 120.0)
    return jnp.exp(x.hi) * (1 + jnp.where(inside, x.lo, 0))


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Exact:
    """A number of steps, or a factor of one, that is zero or more: int32 if it is whole, else two floats.

    Attributes:
        value: the number.
        slack: how far, relative, it may be from the one that was meant: float32 has no 1.1.
        start: the very start of a schedule. No length has passed there, not even one of zero steps.
    """

    value: jax.Array | TwoFloat
    slack: float = dataclasses.field(default=0.0, metadata={"static": True})
    start: bool = dataclasses.field(default=False, metadata={"static": True})

    @property
    def two(self) -> TwoFloat:
        return self.value if isinstance(self.value, TwoFloat) else from_count(self.value, float_dtype())

    @property
    def array(self) -> jax.Array:
        """int32 if it is whole, else a float: what functions from elsewhere are called with."""
        return self.value.hi if isinstance(self.value, TwoFloat) else jnp.asarray(self.value)

    @property
    def number(self) -> jax.Array:
        """The number rounded to one float."""
        return as_float(self.array)

    @property
    def positive(self) -> jax.Array:
        return jnp.greater(self.array, 0)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def tolerance(self) -> jax.Array:
        """`slack`, and 0 for a number such as 1.5 that floats have as it is."""
        scaled = self.number * 256
        return jnp.where(scaled == jnp.rint(scaled), 0, self.slack).astype(scaled.dtype)

    def map(self, function: Callable[[Any], jax.Array]) -> Exact:
        """The number with its arrays reshaped."""
        return dataclasses.replace(self, value=jax.tree.map(function, self.value))

    def __getitem__(self, index: Any) -> Exact:
        return self.map(lambda x: jnp.asarray(x)[index])

    def before(self, end: Any) -> jax.Array:
        """Whether this step comes before `end`."""
        end = exact(end)
        if self.start:
            return jnp.greater(end.array, 0)
        if _whole(self, end):
            return jnp.less(self.array, end.array)
        return negative(subtract(self.two, end.two))

    def since(self, start: Any) -> Exact:
        """The steps from `start` to this one, 0 before it."""
        start = exact(start)
        if self.start:
            return self
        if _whole(self, start):
            return Exact(jnp.maximum(self.array - start.array, 0))
        passed = subtract(self.two, start.two)
        return Exact(choose(negative(passed), from_float(jnp.zeros_like(passed.hi)), passed))

    def plus(self, by: Any) -> Exact:
        """The sum, at most 2^31 - 1 where it is whole."""
        by = exact(by)
        if _whole(self, by):
            return Exact(self.array + jnp.minimum(by.array, MAX_STEP - self.array))
        return Exact(add(self.two, by.two), max(self.slack, by.slack))

    def times(self, numerator: Any, denominator: Any) -> Exact:
        """The number times a fraction; of a denominator of 0, as far as numbers of steps go."""
        numerator, denominator = exact(numerator), exact(denominator)
        divisor = choose(denominator.positive, denominator.two, from_float(jnp.ones((), float_dtype())))
        product = divide(multiply(self.two, numerator.two), divisor)
        return Exact(choose(denominator.positive, product, from_count(jnp.asarray(MAX_STEP), float_dtype())))

    def upto(self, end: Any) -> Exact:
        """This step, or `end` if that is earlier."""
        return select(self.before(end), self, end)

    def over(self, length: Any) -> tuple[jax.Array, Exact]:
        """How often `length` fits (int32), and what is left over; 0 and all for a length of 0."""
        length = exact(length)
        if self.start:
            return jnp.zeros((), jnp.int32), self
        if _whole(self, length):
            divisor = jnp.maximum(length.array, 1)
            return self.array // divisor, Exact(self.array % divisor)
        whole = choose(length.positive, length.two, from_float(jnp.ones((), float_dtype())))
        count, rest = divided(self.two, whole, length.tolerance)
        return to_count(count), Exact(rest)


def _whole(*numbers: Exact) -> bool:
    return not any(isinstance(number.value, TwoFloat) for number in numbers)


def select(condition: jax.Array, a: Any, b: Any) -> Exact:
    """`a` where the condition holds, else `b`; the start of a schedule stays that."""
    a, b = exact(a), exact(b)
    if a.start:
        return cast(Exact, a)
    if _whole(a, b):
        return Exact(jnp.where(condition, a.array, b.array))
    return Exact(choose(condition, a.two, b.two), max(a.slack, b.slack))


START = Exact(cast(jax.Array, np.zeros((), np.int32)), start=True)


def exact(number: Any) -> Exact:
    """A leaf of a schedule with all the digits that are known of it."""
    if isinstance(number, Exact):
        return number
    if isinstance(number, int) or number.dtype.kind == "i":
        return Exact(jnp.asarray(number, jnp.int32))
    dtype = float_dtype()
    if isinstance(number, jax.Array):
        return Exact(from_float(jnp.maximum(as_float(number), 0)), float(np.finfo(dtype).eps))
    if is_whole(number):
        return Exact(jnp.asarray(np.rint(number), jnp.int32))
    hi = np.asarray(number, dtype)
    pair = TwoFloat(jnp.asarray(hi), jnp.asarray(number - hi, dtype))
    return Exact(pair, float(np.finfo(dtype).eps) if dtype == jnp.float64 else 2.0**-44)


def signed(number: Any) -> tuple[Exact, Exact]:
    """A leaf that may be negative as the difference of two numbers, one of which is 0."""
    if number.dtype.kind == "i":
        number = jnp.asarray(number)
        return exact(jnp.maximum(number, 0)), exact(jnp.maximum(-number, 0))
    if isinstance(number, jax.Array):
        return exact(number), exact(-number)
    return exact(np.maximum(number, 0)), exact(np.maximum(-number, 0))


def is_whole(number: np.ndarray) -> bool:
    """Whether known numbers are whole and small enough to count, within a few units in the last place.

    >>> is_whole(np.asarray(1.1 * 10)), is_whole(np.asarray(10.5))
    (True, False)
    """
    close = np.abs(number - np.rint(number)) <= 2 * np.spacing(np.abs(number).astype(np.float64))
    return bool((close & (np.abs(number) <= MAX_STEP)).all())


@compiled
def divided(x: TwoFloat, y: TwoFloat, tolerance: jax.Array) -> tuple[TwoFloat, TwoFloat]:
    """How often `y` fits into `x`, and the rest, which is none within a tolerance relative to the quotient."""
    # A quotient may be off by its last digits, but not its product with `y`.
    count = nearest(divide(x, y))
    rest = subtract(x, multiply(count, y))
    none = jnp.abs(rest.hi) <= jnp.minimum(tolerance * x.hi, _CLOSE * y.hi)
    late = negative(rest) & ~none
    count = choose(late, plus(count, -1.0), count)
    nothing = TwoFloat(*(x - jax.lax.stop_gradient(x) for x in rest))
    return count, choose(late, add(rest, y), choose(none, nothing, rest))


@compiled
def _part(total: Exact, part: Exact) -> jax.Array:
    product = multiply(total.two, part.two)
    count = nearest(product)
    late = subtract(product, count).hi < -jnp.minimum(part.tolerance * product.hi, _CLOSE)
    return to_count(choose(late, plus(count, -1.0), count))


def part_of(total: Any, part: Any) -> Exact:
    """`floor(total * part)`, where a product is whole if it is so within the digits that are known of `part`.

    >>> int(part_of(np.asarray(10), np.asarray(0.7)).array)
    7
    """
    return Exact(_part(exact(total), exact(part)))


class Cycle(NamedTuple):
    """Which of the growing cycles a step is in, from 0, the steps since it began, and its length."""

    number: jax.Array
    since: TwoFloat
    length: TwoFloat


def cycle_of(step: Exact, first: Any, multiplier: Any) -> Cycle:
    """The cycle that `step` is in, when the first lasts `first` steps and each `multiplier` times the last."""
    length, factor = exact(first), exact(multiplier)
    if _is_known(multiplier):
        if multiplier == 1:
            number, since = step.over(length)
            return Cycle(number, since.two, length.two)
        factor = dataclasses.replace(factor, slack=2.0**-52)
    return _cycle_of(step, length, factor, _above_one(multiplier), log(multiplier))


def _above_one(number: Any) -> TwoFloat:
    """`number - 1`, of all the digits that are known of it."""
    if _is_known(number):
        return constant(Fraction(float(number)) - 1, float_dtype())
    return plus(exact(number).two, -1.0)


@compiled
def _cycle_of(step: Exact, first: Exact, multiplier: Exact, growth: TwoFloat, log_multiplier: TwoFloat) -> Cycle:
    """An estimate of the number, the start of that cycle, then on which side of the start the step is.

    Cycle n starts at `S = first * (m^n - 1) / (m - 1)` and lasts `first + (m - 1) * S`.
    """
    now, dtype = step.two, float_dtype()
    one = from_float(jnp.ones((), dtype))
    period = choose(first.positive, first.two, one)
    # After a cycle that is 2^40 times as long as the first there is none.
    endless = multiplier.number > 2.0**40
    growth = choose(endless, scaled(one, 2.0**40), growth)
    log_factor = _once(choose(endless, constant(40 * _LN2, dtype), log_multiplier))
    level = growth.hi == 0

    slope = jnp.where(level, 1, growth.hi)
    cycles = now.hi / period.hi
    total = jnp.maximum(cycles * slope, -0.999)
    number = jnp.rint(jnp.where(level, cycles, jnp.log1p(total) / jnp.log1p(slope)))
    number = jax.lax.stop_gradient(jnp.minimum(number, 2.0**31 - 2**8))
    gained = multiply(period, _once(expm1(multiply(log_factor, from_float(number)))))
    # Without growth the sum is a product; its derivative by the multiplier is that of the sum.
    begin = multiply(period, two_sum(number, number * (number - 1) / 2 * growth.hi))
    begin = choose(level, begin, divide(gained, choose(level, one, growth)))

    # Where the cycles hardly grow there are many, and the estimate is off by thousands of them.
    off = subtract(now, begin).hi / add(period, multiply(growth, begin)).hi
    drift = jnp.rint(off - off * (off - 1) / 2 * growth.hi)
    drift = jax.lax.stop_gradient(jnp.where(jnp.abs(growth.hi) < 2.0**-12, drift, 0))
    length = add(period, multiply(growth, begin))
    begin = _once(add(begin, multiply(length, two_sum(drift, drift * (drift - 1) / 2 * growth.hi))))
    length = add(period, multiply(growth, begin))

    digits = 2.0**-48 if dtype == jnp.float64 else 2.0**-42
    allowed = begin.hi * (digits + first.tolerance + number * multiplier.tolerance)
    late = subtract(begin, now).hi > jnp.minimum(allowed, 0.5)
    # The cycle before lasts from `B` to here, and `B = (S - first) / m`.
    before = divide(subtract(begin, period), add(one, growth))
    length = _once(choose(late, subtract(begin, before), length))
    since = subtract(now, choose(late, before, begin))
    since = choose(negative(since), from_float(jnp.zeros_like(since.hi)), since)
    since = choose(negative(subtract(length, since)), length, since)
    return Cycle(number.astype(jnp.int32) + drift.astype(jnp.int32) - late.astype(jnp.int32), since, length)
