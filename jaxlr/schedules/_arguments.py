"""The kinds of arguments that schedules take: what is checked, what becomes a leaf, what a formula sees of it.

A formula names the kind of each argument in its annotation. Numbers that are known keep their float64 digits as
leaves: for printing, for x64, and because a schedule that is not an argument of a compiled function can use them all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, NamedTuple, TypeAlias, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from .. import _checks
from . import _exact
from ._curve import Curve, Word
from ._exact import MAX_STEP, Exact, as_float, float_dtype
from ._length import Length, as_length
from ._progress import SHAPES

Schedule = Callable[[Any], jax.Array]
"""A step count, or an array of them, to the learning rate there.

A schedule from elsewhere that is a part of another is called with int32 steps, with float ones where a number of
steps before it has a fraction or is a traced float.
"""


def plain(leaf: Any) -> Any:
    """A Python number, or a list; a float32 by its shortest decimal, so that 0.1 stays 0.1."""
    if isinstance(leaf, jax.core.Tracer):
        raise ValueError(f"schedule must have known numbers, to be written as text; got {leaf!r}")
    array = np.asarray(leaf)
    if array.ndim:
        return [plain(item) for item in array]
    return float(str(array[()])) if array.dtype == np.float32 else array.item()


class Kind(NamedTuple):
    """A kind of argument.

    Attributes:
        leaf: check what was given, by the argument's name, and make the leaf of it.
        inside: what the formula is given of a leaf.
        given: what makes such a leaf again, for text.
    """

    leaf: Callable[[str, Any], Any]
    inside: Callable[[Any], Any]
    given: Callable[[Any], Any] = plain


def _as_is(leaf: Any) -> Any:
    return leaf


def _gathered(value: Any) -> Any:
    """A sequence that holds a traced number becomes one traced array."""
    if isinstance(value, (list, tuple)) and any(isinstance(item, jax.Array) for item in value):
        if any(jnp.issubdtype(jnp.result_type(item), jnp.floating) for item in value):
            return jnp.stack([as_float(item) for item in value])
        return jnp.stack([_whole(jnp.asarray(item), -MAX_STEP) for item in value])
    return value


def _whole(array: jax.Array, low: int = 0) -> jax.Array:
    """Integers of any type as int32, from `low` to 2^31 - 1."""
    if array.dtype == bool:
        return array.astype(jnp.int32)
    info = cast(Any, jnp.iinfo)(array.dtype)
    return jnp.clip(array, max(low, int(info.min)), min(MAX_STEP, int(info.max))).astype(jnp.int32)


def _number(check: Callable[[str, Any], None]) -> Callable[[str, Any], Any]:
    """The leaf of a float argument, or of a sequence of them."""

    def leaf(name: str, value: Any) -> Any:
        value = _gathered(value)
        check(name, value)
        if isinstance(value, jax.Array):
            return as_float(value)
        _checks.fits(name, value, float_dtype())
        return np.asarray(value, np.float64)

    return leaf


def _steps(check: Callable[[str, Any], None], low: int = 0) -> Callable[[str, Any], Any]:
    """The leaf of a number of steps, or of a sequence of them: int32 if whole, else float."""

    def leaf(name: str, value: Any) -> Any:
        value = _gathered(value)
        check(name, value)
        if isinstance(value, jax.Array):
            return as_float(value) if jnp.issubdtype(value.dtype, jnp.floating) else _whole(value, low)
        array = np.asarray(value, np.float64)
        if (np.abs(array) > MAX_STEP).any():
            raise ValueError(f"{name} must be a number of steps of at most {MAX_STEP}, got {value!r}")
        _checks.fits(name, value, float_dtype())
        return np.rint(array).astype(np.int32) if _exact.is_whole(array) else array

    return leaf


def _count(name: str, value: Any) -> Any:
    leaf = _steps(_checks.non_negative)(name, value)
    if isinstance(leaf, jax.Array):
        return jnp.rint(leaf).astype(jnp.int32)
    if leaf.dtype != np.int32:
        raise ValueError(f"{name} must be a whole number, got {value!r}")
    return leaf


def _boundaries(name: str, value: Any) -> Any:
    leaf = _steps(_checks.non_negative)(name, value)
    if leaf.ndim != 1:
        raise ValueError(f"{name} must be a list of steps, got {value!r}")
    if not isinstance(leaf, jax.Array) and (np.diff(leaf) < 0).any():
        raise ValueError(f"{name} must not fall, got {value!r}")
    return leaf


def _rising(name: str, value: Any) -> Any:
    leaf = _boundaries(name, value)
    if not leaf.size or (not isinstance(leaf, jax.Array) and (np.diff(leaf) <= 0).any()):
        raise ValueError(f"{name} must hold at least one step and rise, got {value!r}")
    return leaf


def _or_length(leaf: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    """A number of steps, or a length that is not known yet and checked when it is."""

    def either(name: str, value: Any) -> Any:
        length = as_length(value)
        return leaf(name, value) if length is None else length

    return either


def _flag(name: str, value: Any) -> Any:
    if isinstance(value, jax.Array):
        return value.astype(bool)
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return np.asarray(value)


def _required(requirement: str, ok: Callable[[np.ndarray], Any]) -> Callable[[str, Any], None]:
    """A check of known numbers."""

    def check(name: str, value: Any) -> None:
        _checks.finite(name, value)
        if not isinstance(value, jax.Array) and not np.all(ok(np.asarray(value, np.float64))):
            raise ValueError(f"{name} must be {requirement}, got {value!r}")

    return check


def _complement(check: Callable[[str, Any], None]) -> Callable[[str, Any], Any]:
    """The leaf `1 - value`: float32 has no room for the nines of 0.999."""

    def leaf(name: str, value: Any) -> Any:
        number = _number(check)(name, value)
        return np.asarray(1 - number) if isinstance(number, np.ndarray) else 1 - number

    return leaf


def _from_complement(leaf: Any) -> float:
    """The shortest decimal that has this complement."""
    kept = plain(leaf)
    short = float(f"{1 - kept:.15g}")
    return short if 1 - short == kept else 1 - kept


def _word(options: Sequence[str]) -> Callable[[str, Any], Word]:
    def leaf(name: str, value: Any) -> Word:
        _checks.one_of(name, value, options)
        return Word(value)

    return leaf


def _schedule(name: str, value: Any) -> Partial:
    """A schedule as a pytree. A plain function, such as an Optax schedule, is part of its structure."""
    if not callable(value):
        raise TypeError(f"{name} must be a schedule (a function of the step), got {value!r}")
    return value if isinstance(value, Partial) else cast(Any, Partial)(value)


def _schedules(name: str, values: Any) -> tuple[Partial, ...]:
    if not values:
        raise ValueError(f"{name} must hold at least one schedule, got {values!r}")
    return tuple(_schedule(f"{name}[{i}]", value) for i, value in enumerate(values))


def _function(name: str, value: Any) -> Any:
    if not callable(value):
        raise TypeError(f"{name} must be a function of the epoch, got {value!r}")
    return value


def _size(name: str, value: Any) -> Any:
    _checks.count(name, value)
    return value


def part_at(schedule: Schedule) -> Schedule:
    """A part of a schedule as its formula calls it: with an exact step."""
    if isinstance(schedule, Curve):
        return schedule

    def at(step: Exact) -> jax.Array:
        # Rates from elsewhere may be integers, and one for all steps.
        return jnp.broadcast_to(as_float(schedule(step.array)), step.shape)

    return at


def _parts_at(schedules: Sequence[Schedule]) -> list[Schedule]:
    return [part_at(schedule) for schedule in schedules]


Number: TypeAlias = float | jax.Array
Numbers: TypeAlias = Sequence[Number] | jax.Array

_rate = _number(_checks.non_negative)
_positive = _number(_checks.positive)
_between = _required("between 0 and 1", lambda x: (x >= 0) & (x <= 1))
_above_zero = _required("above 0 and at most 1", lambda x: (x > 0) & (x <= 1))

# Floats: learning rates, factors, exponents.
Rate = Annotated[Number, Kind(_rate, as_float)]
Rates = Annotated[Numbers, Kind(_rate, as_float)]
Positive = Annotated[Number, Kind(_positive, as_float)]
Real = Annotated[Number, Kind(_number(_checks.finite), as_float)]
Falling = Annotated[Number, Kind(_number(_required("zero or less", lambda x: x <= 0)), as_float)]
AboveHalf = Annotated[Number, Kind(_number(_required("above 0.5", lambda x: x > 0.5)), as_float)]
Fraction = Annotated[Number, Kind(_number(_between), as_float)]

# Floats of which the formula wants every digit: parts and multiples of numbers of steps, and bases of large powers.
# The complements are close to 1, and the formula is given one minus them.
Part = Annotated[Number, Kind(_number(_between), _as_is)]
Multiple = Annotated[Number, Kind(_rate, _as_is)]
Base = Annotated[Number, Kind(_positive, _as_is)]
GrowingBase = Annotated[Number, Kind(_number(_required("1 or more", lambda x: x >= 1)), _as_is)]
ComplementBase = Annotated[Number, Kind(_complement(_above_zero), _as_is, _from_complement)]
Complement = Annotated[Number, Kind(_complement(_between), as_float, _from_complement)]

# Numbers of steps, and of other things that are whole.
Steps = Annotated[Number | Length, Kind(_or_length(_steps(_checks.non_negative)), _as_is)]
Shift = Annotated[Number | Length, Kind(_or_length(_steps(_checks.finite, -MAX_STEP)), _as_is)]
Timescale = Annotated[Number | Length, Kind(_or_length(_positive), as_float)]
Period = Annotated[Number | Length, Kind(_or_length(_positive), _as_is)]
Boundaries = Annotated[Numbers | Sequence[Number | Length], Kind(_or_length(_boundaries), _as_is)]
Rising = Annotated[Numbers | Sequence[Number | Length], Kind(_or_length(_rising), _as_is)]
Count = Annotated[Number, Kind(_count, lambda leaf: jnp.asarray(leaf, jnp.int32))]
Size = Annotated[int, Kind(_size, _as_is)]

# Choices and functions. `FUNCTION` is called while the schedule is made.
FUNCTION = Kind(_function, _as_is)
Flag = Annotated[bool | jax.Array, Kind(_flag, _as_is)]
Shape = Annotated[str, Kind(_word(SHAPES), _as_is, str)]
CycleShape = Annotated[str, Kind(_word(("cosine", "linear")), _as_is, str)]
Inner = Annotated[Schedule, Kind(_schedule, part_at, _as_is)]
InnerList = Annotated[Sequence[Schedule], Kind(_schedules, _parts_at, _as_is)]
InnerArguments = Annotated[Schedule, Kind(_schedules, _parts_at, _as_is)]
Function = Annotated[Callable[..., Any], FUNCTION]
Map = Annotated[Callable[[Any], Any], Kind(_schedule, _as_is, _as_is)]


def as_step(step: Any) -> Exact:
    """A step of any type as an exact one from 0 to 2^31 - 1: negative ones count as 0, later ones as the last."""
    if isinstance(step, Exact):
        return step
    if not isinstance(step, jax.Array):
        step = step.__jax_array__() if hasattr(step, "__jax_array__") else _gathered(step)
    if not isinstance(step, jax.Array):
        return _known_step(step)
    if jnp.issubdtype(step.dtype, jnp.floating):
        number = as_float(step)
        last = _exact.from_count(jnp.asarray(MAX_STEP, jnp.int32), number.dtype)
        return Exact(_exact.choose(number >= MAX_STEP, last, _exact.from_float(jnp.maximum(number, 0))))
    return Exact(_whole(step))


def _known_step(step: Any) -> Exact:
    array = np.asarray(min(max(step, 0), MAX_STEP) if isinstance(step, int) else step)
    if array.dtype == bool or jnp.issubdtype(array.dtype, jnp.floating):
        array = array.astype(np.float64)
    if array.dtype.kind not in "iuf":
        raise TypeError(f"step must be a number or an array of numbers, got {step!r}")
    if array.dtype.kind in "iu":
        return Exact(jnp.asarray(np.minimum(np.maximum(array, 0).astype(np.uint64), MAX_STEP).astype(np.int32)))
    array = np.clip(array, 0, MAX_STEP)
    if not np.isnan(array).any():
        return _exact.exact(array)
    hi = array.astype(float_dtype())
    return Exact(_exact.TwoFloat(jnp.asarray(hi), jnp.asarray(array - hi, float_dtype())))
