"""Lengths in other units than steps: parts of the run, epochs, samples, tokens."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks

UNITS = ("run", "epoch", "sample", "token", "step")
"""What lengths may be measured in."""


@functools.partial(jax.tree_util.register_dataclass, data_fields=["amounts"], meta_fields=[])
@dataclasses.dataclass(frozen=True, eq=False)
class Length:
    """A number of steps that is not known until the run is: a sum of multiples of `UNITS`.

    `0.03 * run`, `run - 500`, `2 * epoch`, `1e9 * token`

    A list of them is one, whose amounts are arrays.

    Attributes:
        amounts: unit -> how many.
    """

    amounts: dict[str, Any]

    __array_ufunc__ = None  # NumPy's numbers leave their products with it to it

    @property
    def shape(self) -> tuple[int, ...]:
        return np.shape(next(iter(self.amounts.values())))

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))

    def __mul__(self, factor: Any) -> Length:
        if isinstance(factor, Length):
            raise TypeError(f"a length must be multiplied by a number, got {factor!r}")
        return Length({unit: amount * _amount(factor) for unit, amount in self.amounts.items()})

    __rmul__ = __mul__

    def __truediv__(self, divisor: Any) -> Length:
        if isinstance(divisor, Length):
            raise TypeError(f"a length must be divided by a number, got {divisor!r}")
        _checks.positive("divisor of a length", divisor)
        return Length({unit: amount / _amount(divisor) for unit, amount in self.amounts.items()})

    def __neg__(self) -> Length:
        return self * -1

    def __add__(self, other: Any) -> Length:
        others = (other if isinstance(other, Length) else of_steps(other)).amounts
        total = {unit: self.amounts.get(unit, 0.0) + others.get(unit, 0.0) for unit in UNITS}
        return Length({unit: total[unit] for unit in UNITS if unit in {*self.amounts, *others}})

    __radd__ = __add__

    def __sub__(self, other: Any) -> Length:
        return self + -(other if isinstance(other, Length) else of_steps(other))

    def __rsub__(self, other: Any) -> Length:
        return (-self).__add__(other)

    def __repr__(self) -> str:
        if self.ndim:
            return f"[{', '.join(repr(item) for item in self.items())}]"
        terms = [_term(self.amounts[unit], unit) for unit in UNITS if unit in self.amounts]
        return " + ".join(terms).replace("+ -", "- ")

    def items(self) -> list[Length]:
        """One for each place of a list."""
        return [
            Length({unit: amount[i] for unit, amount in self.amounts.items() if not _is_zero(amount[i])} or {"step": 0})
            for i in range(self.size)
        ]

    def steps(self, sizes: Mapping[str, Any]) -> Any:
        """The number of steps, when a unit has so many steps as `sizes` says."""
        total = functools.reduce(_plus, [_times(amount, sizes[unit]) for unit, amount in self.amounts.items()])
        return total if isinstance(total, jax.Array) else total.tolist()


def of_steps(number: Any) -> Length:
    return Length({"step": _amount(number)})


def as_length(value: Any) -> Length | None:
    """A length, or a list in which there is one; None for plain numbers."""
    if isinstance(value, Length):
        return value
    if not isinstance(value, (list, tuple)) or not any(isinstance(item, Length) for item in value):
        return None
    items = [item if isinstance(item, Length) else of_steps(item) for item in value]
    amounts = {unit: [item.amounts.get(unit, np.float64(0)) for item in items] for unit in UNITS}
    # At least one unit, even of a list of zeros.
    used = [unit for unit in UNITS if not all(map(_is_zero, amounts[unit]))] or ["step"]
    return Length({unit: _stacked(amounts[unit]) for unit in used})


def _stacked(amounts: list[Any]) -> Any:
    if any(isinstance(amount, jax.Array) for amount in amounts):
        return jnp.stack([jnp.asarray(amount, float) for amount in amounts])
    return np.stack(amounts)


def _amount(number: Any) -> Any:
    """A known number with all its digits, or a traced one."""
    _checks.finite("factor of a length", number)
    return jnp.asarray(number, float) if isinstance(number, jax.Array) else np.asarray(number, np.float64)


def _times(a: Any, b: Any) -> Any:
    known = not (isinstance(a, jax.Array) or isinstance(b, jax.Array))
    return np.float64(a) * np.float64(b) if known else jnp.asarray(a, float) * jnp.asarray(b, float)


def _plus(a: Any, b: Any) -> Any:
    known = not (isinstance(a, jax.Array) or isinstance(b, jax.Array))
    return a + b if known else jnp.asarray(a, float) + jnp.asarray(b, float)


def _is_zero(amount: Any) -> bool:
    return not isinstance(amount, jax.Array) and float(amount) == 0


def _term(amount: Any, unit: str) -> str:
    if isinstance(amount, jax.core.Tracer):
        return f"{amount} * {unit}"
    number = float(amount)
    words = repr(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)
    if unit == "step":
        return words
    return {"1": unit, "-1": f"-{unit}"}.get(words, f"{words} * {unit}")
