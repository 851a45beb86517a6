"""Read and set the learning rate inside any Optax state; rates by parameter group.

Optax keeps hyperparameters in two places: in the state, where `optax.inject_hyperparams` puts them, or in a
closure, where nobody can read them. `current_lr` reads the first kind and asks for the second.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import partial
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import ArrayLike

from jaxlr import _checks
from jaxlr.plateau import AccumulateOnPlateauState, ScaleByPlateauState
from jaxlr.schedules import scale

Rate: TypeAlias = ArrayLike | Callable[[Any], Any]
Group: TypeAlias = Rate | Mapping[str, Any] | optax.GradientTransformation | None
_NAME = "learning_rate"


def injected(
    optimizer: Callable[..., optax.GradientTransformation], /, **hyperparameters: Any
) -> optax.GradientTransformationExtraArgs:
    """An optimizer whose given hyperparameters live in its state: scheduled there, read and set there.

        state.hyperparams[name] = schedule(t), or the number last set

    Only what is given is injected; the rest keeps the optimizer's defaults as plain numbers. The injected
    values are float32 (float64 under x64) whatever their and the parameters' type: an integer would round what is
    set later, and in bfloat16 Adam's `b2=0.999` would be 1.

    Args:
        optimizer: a factory, such as `optax.adam` or one of `jaxlr.optimizers`.
        hyperparameters: its keyword arguments. Numbers can be set later, with `with_lr` for the rate; every
            function is taken for a schedule, `step -> value`: bind other functions before, with
            `functools.partial`.

    Returns:
        An Optax transformation.

    Raises:
        TypeError: a keyword that the factory does not take.

    Example:
        >>> import jax.numpy as jnp, optax
        >>> from jaxlr.inject import current_lr, injected, with_lr
        >>> tx = injected(optax.sgd, learning_rate=0.1, momentum=optax.linear_schedule(0.95, 0.85, 10))
        >>> state = with_lr(tx.init(jnp.zeros(3)), 0.05)
        >>> round(float(current_lr(state)), 6)
        0.05

    Reference:
        Optax, `optax.inject_hyperparams`.
    """
    names = inspect.signature(optimizer).parameters
    unknown = sorted(set(hyperparameters) - set(names))
    if unknown and not any(p.kind is inspect.Parameter.VAR_KEYWORD for p in names.values()):
        called = getattr(optimizer, "__name__", repr(optimizer))
        raise TypeError(f"hyperparameters must be arguments of {called}, got {', '.join(unknown)}")
    fixed = [name for name in names if name not in hyperparameters]
    inner = optax.inject_hyperparams(optimizer, static_args=fixed, hyperparam_dtype=jnp.zeros((), float).dtype)(
        **{name: _floating(value) for name, value in hyperparameters.items()}
    )

    def init(params: optax.Params) -> Any:
        state = inner.init(params)
        # Copies: the state may be donated, the user's own arrays may not.
        return state._replace(hyperparams={name: jnp.array(value) for name, value in state.hyperparams.items()})

    def update(
        updates: optax.Updates, state: Any, params: optax.Params | None = None, **extra_args: Any
    ) -> tuple[optax.Updates, Any]:
        new_updates, new_state = inner.update(updates, state, params, **extra_args)
        return _cast_like(new_updates, updates), _cast_like(new_state, state)

    return optax.GradientTransformationExtraArgs(init, update)


def _floating(value: Any) -> Any:
    """Numbers of every type as floats, and schedules that return them: an integer's state would round what is set."""
    if isinstance(value, (bool, str, optax.schedules.StatefulSchedule)) or value is None:
        return value
    if callable(value):
        return lambda step: jnp.asarray(value(step), float)
    return jnp.asarray(value, float) if isinstance(value, jax.Array) else np.asarray(value, np.float64)


def _cast_like(tree: Any, like: Any) -> Any:
    """Floats in the type they had: float32 hyperparameters promote the small types that they meet."""

    def cast(new: Any, old: Any) -> Any:
        dtype = jnp.result_type(old)
        return new.astype(dtype) if jnp.issubdtype(dtype, jnp.floating) else new

    return jax.tree.map(cast, tree, like)


def per_group(
    optimizer: Callable[..., optax.GradientTransformation],
    groups: Mapping[str, Group],
    labels: Any,
) -> optax.GradientTransformationExtraArgs:
    """A learning rate, a schedule or an optimizer of its own for each group of parameters.

        updates[group] = optimizer(**groups[group]) of the parameters with that label

    Args:
        optimizer: a factory that takes `learning_rate`, for the groups without an optimizer of their own.
        groups: for each label its rate, a number or a schedule; a mapping of hyperparameters, as in
            `{"learning_rate": one_cycle, "momentum": its_twin}`; a transformation, the group's own optimizer; or None
            for parameters that are frozen. Numbers and schedules are injected.
        labels: a tree of labels that matches the parameters or is a prefix of them, by its keys where the containers
            are of another type (dictionaries for Flax NNX); or a function `params -> labels`, such as `by_path`.

    Returns:
        An Optax transformation, of which `current_lr` reads a rate for each label.

    Raises:
        ValueError: no groups; when the parameters are seen, one that has no label, or a label that is no group.

    Example:
        >>> import jax.numpy as jnp, optax
        >>> from jaxlr.inject import current_lr, per_group
        >>> tx = per_group(optax.adam, {"body": 1e-4, "head": 1e-2}, {"dense": "body", "out": "head"})
        >>> state = tx.init({"dense": jnp.zeros(3), "out": jnp.zeros(2)})
        >>> {label: round(float(rate), 6) for label, rate in current_lr(state).items()}
        {'body': 0.0001, 'head': 0.01}
        >>> muon = injected(optax.contrib.muon, learning_rate=0.02)
        >>> labels = by_path({"embed*": "frozen", "*kernel": "matrices"}, otherwise="rest")
        >>> tx = per_group(optax.adamw, {"matrices": muon, "rest": 3e-4, "frozen": None}, labels)

    Reference:
        Optax, `optax.multi_transform`; PyTorch's parameter groups; Jordan et al., "Muon: An optimizer for hidden
        layers", for one optimizer for the matrices and another for the rest.
    """
    if not groups:
        raise ValueError(f"groups must name at least one group, got {groups!r}")
    transformations = {label: _transformation(optimizer, given) for label, given in groups.items()}
    return optax.multi_transform(transformations, labels if callable(labels) else partial(_fitted, labels))


def _transformation(
    optimizer: Callable[..., optax.GradientTransformation], given: Group
) -> optax.GradientTransformation:
    if given is None:
        return optax.set_to_zero()
    if isinstance(given, optax.GradientTransformation):
        return given
    return injected(optimizer, **(given if isinstance(given, Mapping) else {_NAME: given}))


def _whole(node: Any) -> bool:
    """A parameter that is a container itself, a Flax NNX variable; and the place of one that another group has."""
    return hasattr(node, "get_value") or isinstance(node, optax.MaskedNode)


def _fitted(labels: Any, params: Any) -> Any:
    """A tree of labels in the containers of the parameters."""
    try:
        jax.tree.map(lambda label, below: None, labels, params)
    except ValueError:
        return jax.tree_util.tree_map_with_path(partial(_label_at, labels), params, is_leaf=_whole)
    return labels


def _label_at(labels: Any, path: tuple[Any, ...], param: Any) -> Any:
    if isinstance(param, optax.MaskedNode):
        return param
    for entry in path:
        if not isinstance(labels, (Mapping, list, tuple)):
            break
        key = next(getattr(entry, name) for name in ("key", "idx", "name") if hasattr(entry, name))
        try:
            labels = labels[key]
        except (KeyError, IndexError, TypeError):
            raise ValueError(f"labels must have one for every parameter, got none for {_words(path)}") from None
    return labels


def _words(path: tuple[Any, ...]) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")


def by_path(patterns: Mapping[str, str], otherwise: str | None = None) -> Callable[[Any], Any]:
    """Labels of parameters by patterns of their paths, for `per_group` and `optax.multi_transform`.

        label = patterns[the first pattern that the path matches], or `otherwise`

    Args:
        patterns: pattern -> label. A path is the parameter's keys joined by slashes, such as `blocks/0/kernel`. In a
            pattern `*` stands for any characters, slashes too, `?` for one, `[01]` for one of these.
        otherwise: the label of the rest; None: there must be no rest.

    Returns:
        `params -> labels`, a tree of labels.

    Raises:
        ValueError: no patterns; when the parameters are seen, one that no pattern matches, or a pattern that matches
            none.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxlr.inject import by_path
        >>> params = {"embed": jnp.zeros((9, 2)), "blocks": [{"kernel": jnp.zeros((2, 2)), "bias": jnp.zeros(2)}]}
        >>> by_path({"embed*": "frozen", "*kernel": "matrices"}, otherwise="rest")(params)
        {'blocks': [{'bias': 'rest', 'kernel': 'matrices'}], 'embed': 'frozen'}

    Reference:
        Python, `fnmatch`; axlearn and T5X choose parameters so.
    """
    if not patterns:
        raise ValueError(f"patterns must hold at least one, got {patterns!r}")

    def of_path(path: str) -> str:
        for pattern, label in patterns.items():
            if fnmatchcase(path, pattern):
                return label
        if otherwise is None:
            raise ValueError(f"patterns must match every parameter or otherwise be given, got none for {path}")
        return otherwise

    def labels(params: Any) -> Any:
        paths = [_words(path) for path, _ in jax.tree_util.tree_flatten_with_path(params, is_leaf=_whole)[0]]
        for pattern in patterns:
            if paths and not any(fnmatchcase(path, pattern) for path in paths):
                raise ValueError(f"patterns must match a parameter each, got {pattern!r} for {', '.join(paths)}")
        return jax.tree_util.tree_map_with_path(
            lambda path, param: param if isinstance(param, optax.MaskedNode) else of_path(_words(path)),
            params,
            is_leaf=_whole,
        )

    return labels


def layerwise_decay(
    learning_rate: Rate, decay: ArrayLike, layers: Sequence[str]
) -> tuple[dict[str, Rate], Callable[[Any], Any]]:
    """Rates that are the lower the further a layer is from the output, as groups and labels for `per_group`.

        rate[layers[i]] = learning_rate * decay^(n - i) of n layers,    rate["rest"] = learning_rate

    Args:
        learning_rate: the rate or schedule of what no pattern matches, such as a new head.
        decay: the factor for each layer, such as 0.75; it may be traced.
        layers: patterns of paths, see `by_path`, from the input to the output.

    Returns:
        The groups, by pattern, and the labels.

    Raises:
        ValueError: no layers; a decay that is negative.

    Example:
        >>> import jax.numpy as jnp, optax
        >>> from jaxlr.inject import current_lr, layerwise_decay, per_group
        >>> params = {"embed": jnp.zeros(2), "blocks": [jnp.zeros(2), jnp.zeros(2)], "head": jnp.zeros(2)}
        >>> tx = per_group(optax.adamw, *layerwise_decay(1.0, 0.5, ["embed*", "blocks/0*", "blocks/1*"]))
        >>> {label: float(rate) for label, rate in current_lr(tx.init(params)).items()}
        {'embed*': 0.125, 'blocks/0*': 0.25, 'blocks/1*': 0.5, 'rest': 1.0}

    Reference:
        Clark et al., "ELECTRA", arXiv:2003.10555; Bao et al., "BEiT", arXiv:2106.08254.
    """
    _checks.non_negative("decay", decay)
    labels = by_path(dict(zip(layers, layers, strict=True)), otherwise="rest")
    base: Any = decay
    factors = {layer: base ** (len(layers) - i) for i, layer in enumerate(layers)}
    return {layer: _scaled(learning_rate, factor) for layer, factor in factors.items()} | {
        "rest": learning_rate
    }, labels


def width_multipliers(
    learning_rate: Rate, params: Any, base: Any, *, rule: str = "adam"
) -> tuple[dict[str, Rate], Any]:
    """Rates that stay right when a model gets wider (muP), as groups and labels for `per_group`.

        multiplier = 1 / fan_in       "adam", a matrix of which both sides are wider than in the base model; else 1
        multiplier = fan_out / fan_in "sgd", such a matrix;  the ratio itself where one side is wider;  else 1

    with `fan_in` and `fan_out` the ratios of the first and the last side that is wider. This is the part of the
    parametrisation that concerns rates: initial weights with a variance of 1 / fan_in, and an output divided by the
    ratio of widths, are the model's.

    Args:
        learning_rate: the rate or schedule that is right for the base model.
        params: the parameters, or their shapes as `jax.eval_shape` gives them.
        base: those of the base model, whose rate is known: a tree of the same structure.
        rule: "adam" for it and its like, "sgd" for SGD.

    Returns:
        The groups, by multiplier as text, and the labels.

    Raises:
        ValueError: the trees or the ranks of their arrays differ, or more than two sides are wider.

    Example:
        >>> import jax.numpy as jnp, optax
        >>> from jaxlr.inject import current_lr, per_group, width_multipliers
        >>> def model(width):
        ...     return {"in": jnp.zeros((8, width)), "hidden": jnp.zeros((width, width)), "out": jnp.zeros((width, 3))}
        >>> tx = per_group(optax.adam, *width_multipliers(1.0, model(256), model(64)))
        >>> {label: float(rate) for label, rate in current_lr(tx.init(model(256))).items()}
        {'0.25': 0.25, '1': 1.0}

    Reference:
        Yang et al., "Tensor Programs V", arXiv:2203.03466, table 8; the package mup, `MuAdam` and `MuSGD`.
    """
    _checks.one_of("rule", rule, ("adam", "sgd"))
    structures: Any = [jax.tree.structure(tree, is_leaf=_whole) for tree in (params, base)]
    if structures[0] != structures[1]:
        raise ValueError("base must be a tree of the same structure as params, got another")
    multipliers = jax.tree.map(lambda wide, narrow: _multiplier(wide, narrow, rule), params, base, is_leaf=_whole)
    labels = jax.tree.map(lambda multiplier: f"{multiplier:g}", multipliers)
    pairs = zip(jax.tree.leaves(labels), jax.tree.leaves(multipliers), strict=True)
    return {label: _scaled(learning_rate, multiplier) for label, multiplier in sorted(pairs)}, labels


def _multiplier(wide: Any, narrow: Any, rule: str) -> float:
    """What a parameter's rate is multiplied by, from its shape and that in the base model."""
    shape, base = _shape(wide), _shape(narrow)
    ratios = [a / b for a, b in zip(shape, base, strict=False) if a != b]
    if len(shape) != len(base) or len(ratios) > 2:
        raise ValueError(f"base must differ from params in at most two sides of an array, got {base} for {shape}")
    match rule, ratios:
        case "adam", [fan_in, _]:
            return 1 / fan_in
        case "sgd", [fan_in, fan_out]:
            return fan_out / fan_in
        case "sgd", [ratio]:
            return ratio
    return 1.0


def _shape(leaf: Any) -> tuple[int, ...]:
    return np.shape(leaf.get_value() if hasattr(leaf, "get_value") else leaf)


def _scaled(rate: Any, factor: Any) -> Any:
    return scale(rate, factor) if callable(rate) else rate * factor


def current_lr(opt_state: Any, learning_rate: Rate | None = None) -> Any:
    """The learning rate in force: the one that the latest update used, or before any, that the first will
    use.

        rate = product of the rates and of the plateaus' scales that the state holds

    Works under `jit`, on the state of any chain or wrapper, also on a Flax NNX `optimizer.opt_state`.

    Args:
        opt_state: an Optax state that holds its rate: `injected`, `optax.inject_hyperparams`, `per_group`, or
            one of `jaxlr.optimizers`.
        learning_rate: the number or schedule that the optimizer was built with, for a state that does not
            hold it: `optax.adam(schedule)` keeps the count of steps, `optax.adam(1e-3)` nothing.

    Returns:
        A scalar of the default float type; after `optax.multi_transform` or `per_group` a dict with one for
        each label, NaN for a group that holds none, and again a dict for a group that has groups itself.

    Raises:
        ValueError: the state holds no rate and none is given, or it is not clear which count or group is
            meant.

    Example:
        >>> import jax.numpy as jnp, optax
        >>> from jaxlr.inject import current_lr
        >>> schedule = optax.linear_schedule(1.0, 0.0, 4)
        >>> tx = optax.adam(schedule)
        >>> state = tx.init(jnp.zeros(2))
        >>> for _ in range(3):
        ...     _, state = tx.update(jnp.ones(2), state)
        >>> float(current_lr(state, schedule))
        0.5
    """
    found = _find(opt_state)
    rate = _rate(found, learning_rate)
    if rate is None:
        raise ValueError(
            "opt_state must hold a learning rate, got one without: build the optimizer with jaxlr.injected("
            "optimizer, learning_rate=...), or hand current_lr the rate or schedule that it was built with"
        )
    return rate


def with_lr(opt_state: Any, value: ArrayLike | Mapping[str, ArrayLike]) -> Any:
    """The same state with the learning rate set to `value`: `current_lr` reads it, and the next update uses
    it.

        injected rate = value / product of the plateaus' scales

    Args:
        opt_state: an Optax state with an injected number as `learning_rate` (`injected`,
            `optax.inject_hyperparams`, `per_group`).
        value: the rate; for groups one for all, or a mapping from labels to rates, which leaves the other
            groups. Groups that hold no rate stay as they are.

    Returns:
        A state of the same structure and types; a rate that was an integer is a float from then on.

    Raises:
        ValueError: the state has no injected rate, has several in one chain, or a schedule would overwrite
            it.

    Example:
        >>> import jax.numpy as jnp, optax
        >>> from jaxlr.inject import current_lr, injected, with_lr
        >>> tx = injected(optax.adam, learning_rate=1e-3)
        >>> state = with_lr(tx.init(jnp.zeros(2)), 1e-4)
        >>> round(float(current_lr(state)), 6)
        0.0001
    """
    found = _find(opt_state)
    settable = found.injections + sum(any(one.can_be_set() for one in groups.values()) for groups in found.groups)
    if settable != 1:
        raise ValueError(
            f"opt_state must hold one injected learning rate, got {settable}: build the optimizer with "
            "jaxlr.injected(optimizer, learning_rate=...)"
        )
    return _set(opt_state, value, found.scale())


@dataclass
class _Found:
    """What bears on the rate in one state, groups apart."""

    rates: list[jax.Array] = field(default_factory=list)
    injections: int = 0
    scales: list[jax.Array] = field(default_factory=list)
    counts: list[jax.Array] = field(default_factory=list)
    groups: list[dict[str, _Found]] = field(default_factory=list)

    def scale(self) -> jax.Array:
        return _product(self.scales)

    def within(self) -> Iterator[_Found]:
        """What was found in each group."""
        for groups in self.groups:
            yield from groups.values()

    def holds(self) -> bool:
        """Whether there is a rate, or the count of its schedule, here or in a group."""
        return bool(self.rates or self.counts) or any(group.holds() for group in self.within())

    def can_be_set(self) -> bool:
        """Whether there is an injected rate, here or in a group."""
        return bool(self.injections) or any(group.can_be_set() for group in self.within())

    def add(self, other: _Found) -> None:
        self.rates += other.rates
        self.injections += other.injections
        self.scales += other.scales
        self.counts += other.counts
        self.groups += other.groups


def _find(state: Any) -> _Found:
    found = _Found()
    fields = getattr(state, "_fields", ())
    if "hyperparams" in fields and _NAME in state.hyperparams:
        found.rates.append(_number(state.hyperparams[_NAME]))
        found.injections += 1
        # The injected rate is the one that the optimizer inside records or counts, if it does.
        found.scales += _find(state.inner_state).scales
    elif isinstance(state, ScaleByPlateauState):
        found.scales.append(_number(state.plateau.value))
    elif isinstance(state, optax.contrib.ReduceLROnPlateauState):
        found.scales.append(_number(state.scale))
    elif isinstance(state, AccumulateOnPlateauState):
        found.add(_find(state.multi_steps))
    elif isinstance(state, optax.ScaleByScheduleState):
        found.counts.append(_number(state.count, int))
    elif "inner_states" in fields:
        found.groups.append({label: _find(inner) for label, inner in state.inner_states.items()})
    elif _NAME in fields:
        found.rates.append(_number(getattr(state, _NAME)))
    else:
        for child in _children(state):
            found.add(_find(child))
    return found


def _children(state: Any) -> Iterator[Any]:
    if isinstance(state, (tuple, list)):
        yield from state
    elif isinstance(state, dict):
        yield from state.values()


def _number(leaf: Any, dtype: type = float) -> jax.Array:
    # A Flax NNX optimizer wraps each leaf in a variable.
    return jnp.asarray(leaf.get_value() if hasattr(leaf, "get_value") else leaf, dtype)


def _product(factors: list[jax.Array]) -> jax.Array:
    return jnp.prod(jnp.stack(factors), axis=0) if factors else jnp.ones((), float)


def _rate(found: _Found, given: Any) -> Any:
    if len(found.groups) > 1:
        # Groups of a transformation without rates, such as weight decay for some parameters, are nobody's.
        groups = [one for one in found.groups if any(group.holds() for group in one.values())]
        if len(groups) > 1:
            raise ValueError(f"opt_state must have its groups in one place, got {len(groups)}")
        found = replace(found, groups=groups)
    if isinstance(given, Mapping) and not found.groups:
        raise ValueError(f"learning_rate must be a number or a schedule where there are no groups, got {given!r}")
    if found.rates:
        rate = _product(found.rates)
    elif found.groups:
        rate = jnp.ones((), float)
    elif given is None:
        return None
    elif callable(given):
        if len(found.counts) != 1:
            raise ValueError(f"opt_state must hold one schedule's count, got {len(found.counts)}")
        rate = jnp.asarray(given(jnp.maximum(found.counts[0] - 1, 0)), float)
    else:
        rate = jnp.asarray(given, float)
    rate = rate * found.scale()
    if not found.groups:
        return rate
    by_label = given if isinstance(given, Mapping) else dict.fromkeys(found.groups[0], given)
    rates = {label: _rate(group, by_label.get(label)) for label, group in found.groups[0].items()}
    if all(of_group is None for of_group in rates.values()):
        return None
    return {
        label: jnp.full((), jnp.nan, float) if of_group is None else jax.tree.map(rate.__mul__, of_group)
        for label, of_group in rates.items()
    }


def _set(state: Any, value: Any, scale: jax.Array) -> Any:
    fields = getattr(state, "_fields", ())
    if "hyperparams" in fields and _NAME in state.hyperparams:
        if _NAME in getattr(state, "hyperparams_states", {}):
            raise ValueError("learning_rate must be an injected number, got a schedule, which would undo the change")
        rate = _like(state.hyperparams[_NAME], jnp.asarray(value, float) / scale)
        return state._replace(hyperparams={**state.hyperparams, _NAME: rate})
    if "inner_states" in fields:
        if not _find(state).can_be_set():
            return state
        return state._replace(inner_states=_set_groups(state.inner_states, value, scale))
    if hasattr(state, "_fields"):
        return type(state)(*(_set(child, value, scale) for child in state))
    if isinstance(state, (tuple, list)):
        return type(state)(_set(child, value, scale) for child in state)
    if isinstance(state, dict):
        new = copy.copy(state)
        new.update({key: _set(child, value, scale) for key, child in state.items()})
        return new
    return state


def _set_groups(groups: Mapping[str, Any], value: Any, scale: jax.Array) -> dict[str, Any]:
    by_label = value if isinstance(value, Mapping) else dict.fromkeys(groups, value)
    unknown = [label for label in by_label if label not in groups]
    if unknown:
        raise ValueError(
            f"value must be for groups among {', '.join(map(str, groups))}; got {', '.join(map(str, unknown))}"
        )
    return {
        label: _set(group, by_label[label], scale * _find(group).scale()) if label in by_label else group
        for label, group in groups.items()
    }


def _like(leaf: Any, value: jax.Array) -> Any:
    number = leaf.get_value() if hasattr(leaf, "get_value") else leaf
    dtype = jnp.result_type(number)
    value = value.astype(dtype if jnp.issubdtype(dtype, jnp.floating) else float)
    return leaf.replace(value) if hasattr(leaf, "get_value") else value
