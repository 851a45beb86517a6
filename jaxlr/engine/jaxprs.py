"""Traced programs, read and rewritten: what they contain, and `canonical`, what XLA's CPU backend makes the best of.

Convolutions: outside a loop XLA gives every one the dimension order NHWC, and HWIO for the kernel; in the body of a
loop it does not, and a gradient by the kernel takes 40 to 70 times as long. They get the order before XLA sees them.

Factorisations: JAX's kernel for several matrices gives them to the threads of XLA's pool and waits in one of these.
Where as many such calls run at a time as the pool has threads, on one device too, they wait for ever. A single matrix
is factorised by the thread that asks, so they are factorised one by one.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal
from jax.lax import ConvDimensionNumbers

__all__ = ["FACTORISATIONS", "canonical", "constants", "contains", "equations", "inner"]

FACTORISATIONS = frozenset(
    {"cholesky", "eig", "eigh", "geqp3", "geqrf", "hessenberg", "householder_product", "lu", "ormqr", "qr", "schur"}
    | {"svd", "triangular_solve", "tridiagonal", "tridiagonal_solve"}
)
"""Primitives that call LAPACK."""


def equations(program: ClosedJaxpr | Jaxpr) -> Iterator[JaxprEqn]:
    """The equations of a traced program, those of inner programs too."""
    jaxpr = program.jaxpr if isinstance(program, ClosedJaxpr) else program
    for equation in jaxpr.eqns:
        yield equation
        for part in inner(equation):
            yield from equations(part)


def inner(equation: JaxprEqn) -> list[ClosedJaxpr | Jaxpr]:
    """The programs inside an equation: the bodies of loops, the branches of conditions."""
    return [leaf for leaf in jax.tree.leaves(equation.params, is_leaf=_is_program) if _is_program(leaf)]


def contains(program: ClosedJaxpr | Jaxpr, primitives: Collection[str]) -> bool:
    """Whether one of these primitives is in it."""
    return any(equation.primitive.name in primitives for equation in equations(program))


def constants(program: ClosedJaxpr) -> list[Any]:
    """The arrays that are compiled in, those of inner programs too."""
    found = list(program.consts)
    for equation in equations(program):
        for part in inner(equation):
            if isinstance(part, ClosedJaxpr):
                found += part.consts
    return found


def _is_program(value: Any) -> bool:
    return isinstance(value, (ClosedJaxpr, Jaxpr))


def canonical(closed: ClosedJaxpr) -> ClosedJaxpr:
    """The program with every convolution in the order NHWC and HWIO, by explicit transpositions; matrices one by one.

    >>> import jax, jax.numpy as jnp
    >>> def by_kernel(kernel, x):
    ...     return jax.grad(lambda k: jax.lax.conv(x, k, (1, 1), "SAME").sum())(kernel)
    >>> traced = jax.make_jaxpr(by_kernel)(jnp.ones((3, 2, 3, 3)), jnp.ones((4, 2, 8, 8)))
    >>> found = [e for e in equations(canonical(traced)) if e.primitive.name == "conv_general_dilated"]
    >>> {e.params["dimension_numbers"].lhs_spec for e in found}
    {(0, 3, 1, 2)}
    """
    if not contains(closed, {"conv_general_dilated", *FACTORISATIONS}):
        return closed
    types = [jax.ShapeDtypeStruct(v.aval.shape, v.aval.dtype, weak_type=v.aval.weak_type) for v in closed.jaxpr.invars]
    return jax.make_jaxpr(lambda *args: _evaluated(closed, args))(*types)


def _evaluated(closed: ClosedJaxpr, args: Sequence[Any]) -> list[Any]:
    """The program's values, computed in the canonical way."""
    jaxpr = closed.jaxpr
    known = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*closed.consts, *args], strict=True))

    def value(atom: Any) -> Any:
        return atom.val if isinstance(atom, Literal) else known[atom]

    for equation in jaxpr.eqns:
        given = [value(atom) for atom in equation.invars]
        if equation.primitive.name == "conv_general_dilated":
            out = [_convolved(*given, **equation.params)]
        else:
            params = {
                name: jax.tree.map(_rewritten, part, is_leaf=_is_program) for name, part in equation.params.items()
            }
            bind = functools.partial(equation.primitive.bind, **equation.primitive.get_bind_params(params))
            with equation.ctx.manager:
                one_by_one = equation.primitive.name in FACTORISATIONS
                out = _mapped(bind, given) if one_by_one else bind(*given)
            out = out if equation.primitive.multiple_results else [out]
        known.update(zip(equation.outvars, out, strict=True))
    return [value(atom) for atom in jaxpr.outvars]


def _rewritten(value: Any) -> Any:
    if isinstance(value, ClosedJaxpr):
        return canonical(value)
    return canonical(ClosedJaxpr(value, ())).jaxpr if isinstance(value, Jaxpr) else value


def _mapped(factorise: Callable[..., Any], given: Sequence[jax.Array]) -> Any:
    """A function of matrices, which lie along the last two axes, one after the other for each of the leading axes."""
    largest = max(given, key=jnp.ndim)
    leading = largest.shape[:-2]
    if not leading:
        return factorise(*given)
    flat = [array.reshape(math.prod(leading), *array.shape[len(leading) :]) for array in given]
    found = jax.lax.map(lambda args: factorise(*args), flat)
    return jax.tree.map(lambda array: array.reshape(*leading, *array.shape[1:]), found)


def _convolved(lhs: jax.Array, rhs: jax.Array, *, dimension_numbers: ConvDimensionNumbers, **params: Any) -> jax.Array:
    """`lax.conv_general_dilated` between transpositions."""
    batch, feature, *space = dimension_numbers.lhs_spec
    out_feature, in_feature, *window = dimension_numbers.rhs_spec
    order = tuple(range(1, lhs.ndim - 1))
    plain = ConvDimensionNumbers(
        (0, lhs.ndim - 1, *order), (lhs.ndim - 1, lhs.ndim - 2, *(i - 1 for i in order)), (0, lhs.ndim - 1, *order)
    )
    found = jax.lax.conv_general_dilated(
        lhs.transpose(batch, *space, feature),
        rhs.transpose(*window, in_feature, out_feature),
        dimension_numbers=plain,
        **params,
    )
    out_batch, out_feature, *out_space = dimension_numbers.out_spec
    places = (out_batch, *out_space, out_feature)
    return found.transpose(sorted(range(lhs.ndim), key=places.__getitem__))
