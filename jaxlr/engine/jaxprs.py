"""Traced programs, read and rewritten: what they contain, and convolutions as XLA's CPU backend runs them fast.

Outside a loop XLA gives every convolution the dimension order NHWC, and HWIO for the kernel; in the body of a loop it
does not, and a gradient by the kernel takes 40 to 70 times as long. `canonical` gives the order before XLA sees it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal
from jax.lax import ConvDimensionNumbers

__all__ = ["canonical", "constants", "contains", "equations", "inner"]


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
    """The program with every convolution in the order NHWC and HWIO, by explicit transpositions.

    >>> import jax, jax.numpy as jnp
    >>> def by_kernel(kernel, x):
    ...     return jax.grad(lambda k: jax.lax.conv(x, k, (1, 1), "SAME").sum())(kernel)
    >>> traced = jax.make_jaxpr(by_kernel)(jnp.ones((3, 2, 3, 3)), jnp.ones((4, 2, 8, 8)))
    >>> found = [e for e in equations(canonical(traced)) if e.primitive.name == "conv_general_dilated"]
    >>> {e.params["dimension_numbers"].lhs_spec for e in found}
    {(0, 3, 1, 2)}
    """
    if not contains(closed, {"conv_general_dilated"}):
        return closed
    types = [jax.ShapeDtypeStruct(v.aval.shape, v.aval.dtype, weak_type=v.aval.weak_type) for v in closed.jaxpr.invars]
    return jax.make_jaxpr(lambda *args: _evaluated(closed, args))(*types)


def _evaluated(closed: ClosedJaxpr, args: Sequence[Any]) -> list[Any]:
    """The program's values, its convolutions computed in the canonical order."""
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
            with equation.ctx.manager:
                out = equation.primitive.bind(*given, **equation.primitive.get_bind_params(params))
            out = out if equation.primitive.multiple_results else [out]
        known.update(zip(equation.outvars, out, strict=True))
    return [value(atom) for atom in jaxpr.outvars]


def _rewritten(value: Any) -> Any:
    if isinstance(value, ClosedJaxpr):
        return canonical(value)
    return canonical(ClosedJaxpr(value, ())).jaxpr if isinstance(value, Jaxpr) else value


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
