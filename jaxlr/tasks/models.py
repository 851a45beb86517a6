"""Any model as three pure functions: `init`, `init_state`, `apply`.

Flax Linen modules, Flax NNX classes, Equinox modules and plain pairs of functions all become a `Model`, so that the
rest of the library knows one form. How a module is called is read off its signature: its mode, its keys, its state.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen

from jaxlr._types import PyTree

__all__ = ["Model", "model"]

_TRAINING = {
    "train": True,
    "training": True,
    "is_training": True,
    "deterministic": False,
    "is_eval": False,
    "eval": False,
    "inference": False,
    "use_running_average": False,
}
"""Names by which modules take their mode, with the value for training."""


class Model(NamedTuple):
    """A model as pure functions.

    Attributes:
        init: `key -> params`.
        init_state: `key -> state`, the mutable state; `()` for none.
        apply: `(params, state, x, key) -> (outputs, state)`; `key` is None when evaluating.
    """

    init: Callable[[jax.Array], PyTree]
    init_state: Callable[[jax.Array], PyTree]
    apply: Callable[[PyTree, PyTree, PyTree, jax.Array | None], tuple[PyTree, PyTree]]


def model(module: Any, x: PyTree) -> Model:
    """`module` as a `Model`.

    A module is called with the inputs: one array, the parts of a tuple one by one, or those of a dictionary by name
    where it has parameters of these names. It is told its mode where it takes `train`, `training`, `is_training`,
    `deterministic`, `is_eval`, `eval`, `inference` or `use_running_average`, and gets a key where it takes `rngs`
    (NNX) or an argument that ends in `key` or `rng`.

    Args:
        module: one of
            a Linen module; its random streams are found by asking it, and each draws from the update's key;
            an NNX class, or a function `rngs -> module`;
            a function `key -> module` whose parameter is called `key`, for modules that are pytrees and map one example
            (Equinox); it may give a pair of module and state, as `equinox.nn.make_with_state` does;
            a pair of functions `(init, apply)` with `init(key) -> params` and `apply(params, x) -> outputs`.
        x: an example input with a batch axis, for Linen's shape inference.

    Raises:
        TypeError: `module` has none of these forms, or takes an argument that nothing is known of. A built NNX module
            is refused: it has one initialisation, so every seed would start from the same weights.

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
    if _is_nnx(module):
        raise TypeError(
            "module must be an NNX class or a function `rngs -> module`, so that each seed draws its own weights; "
            f"got a built {type(module).__name__}"
        )
    if callable(module) and not isinstance(module, jax.Array):
        return _pytree(module, x) if _takes_key(module) else _nnx(module, x)
    raise TypeError(
        "module must be a Linen module, an NNX class or `rngs -> module`, a function `key -> module`, or a pair "
        f"(init, apply); got {module!r}"
    )


def _is_nnx(module: Any) -> bool:
    from flax import nnx

    return isinstance(module, nnx.Module)


def _takes_key(factory: Callable[..., Any]) -> bool:
    parameters = inspect.signature(factory).parameters
    return "key" in parameters and "rngs" not in parameters


class _Call(NamedTuple):
    """How a module is called.

    Attributes:
        modes: its arguments that are its mode, with the value for training.
        keys: its arguments that are keys.
        rngs: whether it takes NNX's streams.
        state: whether it takes its state.
        named: whether a dictionary of inputs is given by name.
    """

    modes: dict[str, bool]
    keys: tuple[str, ...]
    rngs: bool
    state: bool
    named: bool

    def inputs(self, x: PyTree) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Positional and named arguments for the inputs."""
        if self.named:
            return (), dict(x)
        return (tuple(x) if isinstance(x, (tuple, list)) else (x,)), {}

    def mode(self, training: bool) -> dict[str, bool]:
        return {name: value == training for name, value in self.modes.items()}


def _call_of(function: Callable[..., Any], x: PyTree) -> _Call:
    """How a module's `__call__` wants to be called.

    Raises:
        TypeError: it needs an argument that nothing is known of.
    """
    kinds = inspect.Parameter
    declared = inspect.signature(function).parameters.values()
    parameters = [p for p in declared if p.kind not in (kinds.VAR_POSITIONAL, kinds.VAR_KEYWORD)]
    # `linen.Sequential` takes `*args` for its first layer.
    takes_more = any(p.kind == kinds.VAR_POSITIONAL for p in declared)
    names = [p.name for p in parameters]
    modes = {name: value for name, value in _TRAINING.items() if name in names}
    keys = tuple(name for name in names if name.endswith(("key", "rng")))
    named = isinstance(x, Mapping) and set(x) <= set(names)
    taken = {*modes, *keys, "rngs", "state", *(x if named else ())}
    inputs = 0 if named else len(x) if isinstance(x, (tuple, list)) else 1
    left = [p for p in parameters if p.name not in taken]
    unknown = [p.name for p in left[inputs:] if p.default is kinds.empty]
    if unknown or (len(left) < inputs and not takes_more):
        got = ", ".join(names) or "nothing"
        raise TypeError(
            f"module must take its inputs, and perhaps its mode ({', '.join(_TRAINING)}), rngs, state and arguments "
            f"that end in key or rng; got one that takes {got}. Wrap it in a pair (init, apply) to call it yourself"
        )
    return _Call(modes, keys, "rngs" in names, "state" in names, named)


def _split(key: jax.Array, names: tuple[str, ...]) -> dict[str, jax.Array]:
    """A key for each name: the key itself for a single one."""
    return {name: key if i == 0 else jax.random.fold_in(key, i) for i, name in enumerate(names)}


def _evaluation_key() -> jax.Array:
    """What is drawn while evaluating, by modules that draw then too, is the same every time."""
    return jax.random.key(0)


def _linen(module: linen.Module, x: PyTree) -> Model:
    call = _call_of(module.__call__, x)
    args, named = call.inputs(x)

    def arguments(training: bool, key: jax.Array) -> dict[str, Any]:
        return {**call.mode(training), **_split(key, call.keys)}

    def variables(key: jax.Array, streams: tuple[str, ...]) -> dict[str, PyTree]:
        rngs = {"params": key, **{name: jax.random.fold_in(key, i + 1) for i, name in enumerate(streams)}}
        return dict(module.init(rngs, *args, **named, **arguments(False, key)))

    def run(
        params: PyTree, state: PyTree, x: PyTree, key: jax.Array | None, streams: tuple[str, ...]
    ) -> tuple[PyTree, PyTree]:
        training, own = key is not None, _evaluation_key() if key is None else key
        given, by_name = call.inputs(x)
        rngs = _split(own, streams) if training or streams != ("dropout",) else {}
        options: dict[str, Any] = {"mutable": list(state)} if training else {}
        found: Any = module.apply(
            {"params": params, **state}, *given, **by_name, **arguments(training, own), rngs=rngs, **options
        )
        return (found[0], {**state, **found[1]}) if training else (found, state)

    streams = _streams(variables, run, x)

    def init(key: jax.Array) -> PyTree:
        return variables(key, streams).get("params", {})

    def init_state(key: jax.Array) -> PyTree:
        return {name: value for name, value in variables(key, streams).items() if name != "params"}

    return Model(init, init_state, lambda params, state, x, key: run(params, state, x, key, streams))


def _streams(
    variables: Callable[[jax.Array, tuple[str, ...]], dict[str, PyTree]],
    run: Callable[[PyTree, PyTree, PyTree, jax.Array, tuple[str, ...]], Any],
    x: PyTree,
) -> tuple[str, ...]:
    """The names of a Linen module's random streams, `dropout` first: it is asked until it lacks none."""
    from flax.errors import InvalidRngError

    found: tuple[str, ...] = ("dropout",)

    def once(key: jax.Array, streams: tuple[str, ...]) -> Any:
        held = variables(key, streams)
        state = {name: value for name, value in held.items() if name != "params"}
        return run(held.get("params", {}), state, x, key, streams)

    while True:
        try:
            jax.eval_shape(lambda key, streams=found: once(key, streams), jax.random.key(0))
        except InvalidRngError as error:
            words = str(error).split('"')
            name = words[1] if len(words) > 2 else ""
            if not name or name in found:
                raise
            found = (*found, name)
        else:
            return found


def _nnx(factory: Callable[..., Any], x: PyTree) -> Model:
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

    abstract = nnx.eval_shape(lambda: build(jax.random.key(0)))
    graph, *_ = nnx.split(abstract, nnx.Param, ...)
    call = _call_of(abstract.__call__, x)

    def init(key: jax.Array) -> PyTree:
        return parts(build(key))[0]

    def init_state(key: jax.Array) -> PyTree:
        return parts(build(key))[1]

    def apply(params: PyTree, state: PyTree, x: PyTree, key: jax.Array | None) -> tuple[PyTree, PyTree]:
        built, training = nnx.merge(graph, params, state), key is not None
        if training:
            built.train()
        else:
            built.eval()
        own = _evaluation_key() if key is None else key
        args, named = call.inputs(x)
        options: dict[str, Any] = {"rngs": nnx.Rngs(own)} if call.rngs else {}
        outputs = built(*args, **named, **call.mode(training), **_split(own, call.keys), **options)
        return (outputs, parts(built)[1]) if training else (outputs, state)

    return Model(init, init_state, apply)


def _pytree(factory: Callable[..., Any], x: PyTree) -> Model:
    """A module that is a pytree and maps one example: its floating-point arrays are the parameters.

    It may come with a state, which its call takes and gives back, one for the whole batch (Equinox).
    """
    made = factory(key=jax.random.key(0))
    with_state = isinstance(made, tuple)
    first = made[0] if with_state else made
    leaves, tree = jax.tree.flatten(first)
    fixed = [None if _is_trained(leaf) else leaf for leaf in leaves]
    call = _call_of(first.__call__, x)
    axis = next(_axis_names(first), "batch")

    def module_of(made: Any) -> Any:
        return made[0] if with_state else made

    def init(key: jax.Array) -> PyTree:
        own = jax.tree.leaves(module_of(factory(key=key)))
        return [leaf for leaf, other in zip(own, fixed, strict=True) if other is None]

    def init_state(key: jax.Array) -> PyTree:
        return factory(key=key)[1] if with_state else ()

    def apply(params: PyTree, state: PyTree, x: PyTree, key: jax.Array | None) -> tuple[PyTree, PyTree]:
        moving = iter(params)
        built = jax.tree.unflatten(tree, [next(moving) if leaf is None else leaf for leaf in fixed])
        built = _inferring(built) if key is None else built
        keys = jax.random.split(_evaluation_key() if key is None else key, len(jax.tree.leaves(x)[0]))

        def one(x: PyTree, own: jax.Array) -> Any:
            args, named = call.inputs(x)
            # Equinox allows a state to be used once.
            args = (*args, jax.tree.map(lambda leaf: leaf, state)) if with_state else args
            return built(*args, **named, **call.mode(key is not None), **_split(own, call.keys))

        found = jax.vmap(one, axis_name=axis, out_axes=(0, None) if with_state else 0)(x, keys)
        outputs, new = found if with_state else (found, state)
        return outputs, state if key is None else new

    return Model(init, init_state, apply)


def _is_trained(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and bool(jnp.issubdtype(leaf.dtype, jnp.inexact))


def _axis_names(module: Any) -> Iterator[str]:
    """The names of the batch's axis that a module's parts ask for, such as those of Equinox's BatchNorm."""
    if dataclasses.is_dataclass(module):
        for field in dataclasses.fields(module):
            value = getattr(module, field.name, None)
            if field.name == "axis_name" and isinstance(value, str):
                yield value
            else:
                yield from _axis_names(value)
    elif isinstance(module, (list, tuple)):
        for part in module:
            yield from _axis_names(part)


def _inferring(module: Any) -> Any:
    """An Equinox module in its evaluation mode; another as it is."""
    if not type(module).__module__.startswith("equinox") and not any(
        base.__module__.startswith("equinox") for base in type(module).__mro__
    ):
        return module
    import equinox

    return equinox.nn.inference_mode(module)


def _functions(init: Callable[..., PyTree], apply: Callable[..., PyTree]) -> Model:
    return Model(init, lambda key: (), lambda params, state, x, key: (apply(params, x), state))
