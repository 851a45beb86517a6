"""Members side by side or in turn: which is the faster form of a program, by rules on what it computes.

The rules were set by measurements (`python -m scripts.bench.forms`), not by timing while a sweep runs: the same sweep
gives the same bits on the same kind of machine.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn

from jaxlr.engine.jaxprs import inner

__all__ = ["Arithmetic", "arithmetic"]


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
    out = math.prod(equation.outvars[0].aval.shape) if equation.outvars else 0
    if equation.primitive.name == "dot_general":
        (contracted, _), _ = equation.params["dimension_numbers"]
        return 2.0 * out * math.prod(equation.invars[0].aval.shape[i] for i in contracted)
    if equation.primitive.name == "conv_general_dilated":
        _, features, *window = equation.params["dimension_numbers"].rhs_spec
        kernel = equation.invars[1].aval.shape
        return 2.0 * out * math.prod(kernel[i] for i in (features, *window))
    return 0.0


def _bytes(atom: object) -> float:
    aval = getattr(atom, "aval", None)
    shape, dtype = getattr(aval, "shape", ()), getattr(aval, "dtype", None)
    return float(math.prod(shape) * getattr(dtype, "itemsize", 4))
