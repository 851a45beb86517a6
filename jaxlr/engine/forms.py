"""Members side by side or in turn, and how many: the faster form of a program, by rules on what it computes.

The rules were set by measurements (`python -m scripts.bench.forms`), not by timing while a sweep runs: the same sweep
gives the same bits on the same kind of machine.

On a CPU, side by side wins while the products of a member are too small to be worth a call of their own; beyond, the
batched products are slower than plain ones, and a member's working set leaves the cache. Batched convolutions win too,
a few at a time. Other devices are filled by members side by side.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn

from jaxlr.engine.jaxprs import FACTORISATIONS, inner

__all__ = ["Arithmetic", "Form", "arithmetic", "choose"]

_CACHED_MEMBERS = 64
"""Members side by side on a CPU device: their working set stays in the cache of a core."""

_CONVOLVED_MEMBERS = 16
"""The same where they convolve."""

_MANY_MEMBERS = 4096
"""The same for other devices: a step of a small model is bound by launches until thousands fill them."""

_LARGE_PRODUCT = 2e6
"""Operations of a product from which on a CPU device trains its members in turn."""

_SHARED_LARGE_PRODUCT = 5e5
"""The same for several CPU devices: batched products ask for the threads that the others use."""


class Form(NamedTuple):
    """How members are trained.

    Attributes:
        members: at most so many make a block on a device.
        in_turn: one after the other, not side by side.
        reason: what made it so.
    """

    members: int
    in_turn: bool
    reason: str


def choose(starts: Sequence[ClosedJaxpr], advances: Sequence[ClosedJaxpr], platform: str, devices: int) -> Form:
    """The form for programs that begin and that advance a member each, on so many devices of a platform.

    >>> import jax, jax.numpy as jnp
    >>> traced = jax.make_jaxpr(lambda a: a @ a)(jnp.ones((4, 4)))
    >>> choose([], [traced], "cpu", 2)
    Form(members=64, in_turn=False, reason='side by side: products of 1.3e+02 operations')
    """
    if platform != "cpu":
        return Form(_MANY_MEMBERS, False, f"side by side: {platform}")
    names = {equation.primitive.name for program in (*starts, *advances) for equation, _ in _repeated(program, 1.0)}
    found = sorted(names & FACTORISATIONS)
    singly = f"; one matrix at a time: {', '.join(found)}" if found else ""
    if "conv_general_dilated" in names:
        return Form(_CONVOLVED_MEMBERS, False, f"side by side: convolutions{singly}")
    typical = max(arithmetic(program).typical for program in advances)
    in_turn = typical >= (_LARGE_PRODUCT if devices == 1 else _SHARED_LARGE_PRODUCT)
    words = f"products of {typical:.2g} operations" if typical else "no products"
    return Form(_CACHED_MEMBERS, in_turn, f"{'in turn' if in_turn else 'side by side'}: {words}{singly}")


class Arithmetic(NamedTuple):
    """What a traced program computes.

    Attributes:
        products: floating-point operations in matrix products and convolutions.
        typical: operations of the product in whose company half of them are done.
        moved: bytes that its operations read and write, as if none were fused.
    """

    products: float
    typical: float
    moved: float

    def __str__(self) -> str:
        return f"products {self.products:.2g}, typical {self.typical:.2g}, moved {self.moved:.2g} bytes"


def arithmetic(program: ClosedJaxpr) -> Arithmetic:
    """Count what a program computes; loops of unknown length count once.

    >>> import jax, jax.numpy as jnp
    >>> traced = jax.make_jaxpr(lambda a, b: a @ b)(jnp.ones((4, 8)), jnp.ones((8, 2)))
    >>> arithmetic(traced).products
    128.0
    """
    sizes, times, moved = [], [], 0.0
    for equation, repeats in _repeated(program, 1.0):
        work = _work(equation)
        moved += repeats * sum(_bytes(atom) for atom in (*equation.invars, *equation.outvars))
        if work:
            sizes.append(work)
            times.append(work * repeats)
    if not sizes:
        return Arithmetic(0.0, 0.0, moved)
    order = np.argsort(sizes)
    done = np.cumsum(np.array(times)[order])
    typical = float(np.array(sizes)[order][np.searchsorted(done, done[-1] / 2)])
    return Arithmetic(float(done[-1]), typical, moved)


def _repeated(program: ClosedJaxpr | Jaxpr, repeats: float) -> Iterator[tuple[JaxprEqn, float]]:
    """The equations that do the work, and how often."""
    jaxpr = program.jaxpr if isinstance(program, ClosedJaxpr) else program
    for equation in jaxpr.eqns:
        programs = inner(equation)
        if not programs:
            yield equation, repeats
        length = equation.params.get("length", 1) if equation.primitive.name == "scan" else 1
        for part in programs:
            yield from _repeated(part, repeats * length)


def _work(equation: JaxprEqn) -> float:
    """Operations of a product or a convolution; 0 for anything else."""
    out = math.prod(_shape(equation.outvars[0])) if equation.outvars else 0
    if equation.primitive.name == "dot_general":
        (contracted, _), _ = equation.params["dimension_numbers"]
        return float(2 * out * math.prod(_shape(equation.invars[0])[i] for i in contracted))
    if equation.primitive.name == "conv_general_dilated":
        _, features, *window = equation.params["dimension_numbers"].rhs_spec
        kernel = _shape(equation.invars[1])
        return float(2 * out * math.prod(kernel[i] for i in (features, *window)))
    return 0.0


def _bytes(atom: Any) -> float:
    return float(math.prod(_shape(atom)) * getattr(getattr(atom.aval, "dtype", None), "itemsize", 4))


def _shape(atom: Any) -> tuple[int, ...]:
    """What is no array, such as a token, has none."""
    return tuple(getattr(atom.aval, "shape", ()))
