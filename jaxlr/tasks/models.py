"""Any model as three pure functions: `init`, `init_state`, `apply`.

Flax Linen modules, Flax NNX classes, Equinox modules and plain pairs of functions all become a `Model`, so that the
rest of the library knows one form.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen

__all__ = ["Model", "model"]

PyTree = Any
_EVALUATING = {"train": False, "training": False, "is_training": False, "deterministic": True}
"""Names by which Linen modules take their mode, with the value for evaluation."""


class Model(NamedTuple):
    """A model as pure functions.

    Attributes:
        init: `key -> params`.
        init_state: `key -> state`, the mutable state; `()` for none.
        apply: `(params, state, x, key) -> (outputs, state)`; `key` is None when evaluating.
    """

    init: Callable[[jax.Array], PyTree]
    init_state: Callable[[jax.Array], PyTree]
    apply: Callable[[PyTree, PyTree, jax.Array, jax.Array | None], tuple[jax.Array, PyTree]]


def model(module: Any, x: jax.Array) -> Model:
    """`module` as a `Model`.

    Args:
        module: one of
            a Linen module (its mode is given through `train`, `training`, `is_training` or `deterministic` if its
            `__call__` takes one of them; dropout draws from the stream `dropout`);
            an NNX class, or a function `rngs -> module`;
            a function `key -> module` whose parameter is called `key`, for modules that are pytrees and map one
            example (Equinox);
            a pair of functions `(init, apply)` with `init(key) -> params` and `apply(params, x) -> outputs`.
        x: an example input with a batch axis, for Linen's shape inference.

    Raises:
        TypeError: `module` has none of these forms. A built NNX module is refused: it has one initialisation, so
            every seed would start from the same weights.

    >>> import jax, jax.numpy as jnp
    >>> from flax import linen
    >>> m = model(linen.Dense(3), jnp.zeros((1, 2)))
    >>> key = jax.random.key(0)
    >>> outputs, state = m.apply(m.init(key), m.init_state(key), jnp.zeros((5, 2)), None)
    >>> outputs.shape, state
    ((5, 3), {})
    """
    if isinstance(module, linen.Module):
        return _linen(module, x)
    if isinstance(module, tuple) and len(module) == 2 and all(callable(part) for part in module):
        return _functions(*module)
    if _is_built_nnx(module):
        raise TypeError(
            "module must be an NNX class or a function `rngs -> module`, so that each seed draws its own weights; "
            f"got a built {type(module).__name__}"
        )
    if callable(module) and not isinstance(module, jax.Array):
        return _pytree(module) if _takes_key(module) else _nnx(module)
    raise TypeError(
        "module must be a Linen module, an NNX class or `rngs -> module`, a function `key -> module`, or a pair "
        f"(init, apply); got {module!r}"
    )


def _is_built_nnx(module: Any) -> bool:
    from flax import nnx

    return isinstance(module, nnx.Module)


def _takes_key(factory: Callable[..., Any]) -> bool:
    parameters = inspect.signature(factory).parameters
    return "key" in parameters and "rngs" not in parameters


def _linen(module: linen.Module, x: jax.Array) -> Model:
    accepted = inspect.signature(module.__call__).parameters
    modes: dict[str, Any] = {name: value for name, value in _EVALUATING.items() if name in accepted}

    def variables(key: jax.Array) -> dict[str, PyTree]:
        streams = {"params": key, "dropout": jax.random.fold_in(key, 1)}
        return dict(module.init(streams, x, **modes))

    def init(key: jax.Array) -> PyTree:
        return variables(key).get("params", {})

    def init_state(key: jax.Array) -> PyTree:
        return {name: value for name, value in variables(key).items() if name != "params"}

    def apply(params: PyTree, state: PyTree, x: jax.Array, key: jax.Array | None) -> tuple[jax.Array, PyTree]:
        if key is None:
            outputs: Any = module.apply({"params": params, **state}, x, **modes)
            return outputs, state
        flags: dict[str, Any] = {name: not value for name, value in modes.items()}
        outputs, new = module.apply({"params": params, **state}, x, **flags, rngs={"dropout": key}, mutable=list(state))
        return outputs, {**state, **new}

    return Model(init, init_state, apply)


def _nnx(factory: Callable[..., Any]) -> Model:
    from flax import nnx

    def build(key: jax.Array) -> Any:
        rngs = nnx.Rngs(key)
        takes_rngs = "rngs" in inspect.signature(factory).parameters
        built = factory(rngs=rngs) if takes_rngs else factory(rngs)
        if not isinstance(built, nnx.Module):
            raise TypeError(f"module must give an nnx.Module for its rngs, got {type(built).__name__}")
        return built

    def parts(built: Any) -> tuple[PyTree, PyTree]:
        # Pure arrays: a Variable remembers the trace that made it and cannot be written in another.
        split: Any = nnx.split(built, nnx.Param, ...)
        _, params, state = split
        return nnx.to_pure_dict(params), nnx.to_pure_dict(state)

    graph, *_ = nnx.split(nnx.eval_shape(lambda: build(jax.random.key(0))), nnx.Param, ...)

    def init(key: jax.Array) -> PyTree:
        return parts(build(key))[0]

    def init_state(key: jax.Array) -> PyTree:
        return parts(build(key))[1]

    def apply(params: PyTree, state: PyTree, x: jax.Array, key: jax.Array | None) -> tuple[jax.Array, PyTree]:
        built = nnx.merge(graph, params, state)
        if key is None:
            built.eval()
            return built(x), state
        built.train()
        outputs = built(x)
        return outputs, parts(built)[1]

    return Model(init, init_state, apply)


def _pytree(factory: Callable[..., Any]) -> Model:
    """A module that is a pytree and maps one example: its floating-point arrays are the parameters."""
    leaves, tree = jax.tree.flatten(factory(key=jax.random.key(0)))

    def trained(leaf: Any) -> bool:
        return isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jnp.inexact)

    fixed = [None if trained(leaf) else leaf for leaf in leaves]

    def init(key: jax.Array) -> PyTree:
        own = jax.tree.leaves(factory(key=key))
        return [leaf for leaf, other in zip(own, fixed, strict=True) if other is None]

    def apply(params: PyTree, state: PyTree, x: jax.Array, key: jax.Array | None) -> tuple[jax.Array, PyTree]:
        del key
        moving = iter(params)
        built = jax.tree.unflatten(tree, [next(moving) if leaf is None else leaf for leaf in fixed])
        return jax.vmap(built)(x), state

    return Model(init, lambda key: (), apply)


def _functions(init: Callable[..., PyTree], apply: Callable[..., jax.Array]) -> Model:
    return Model(init, lambda key: (), lambda params, state, x, key: (apply(params, x), state))
