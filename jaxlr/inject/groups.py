"""Rates and optimizers by parameter group: groups by path, layer-wise decay, width multipliers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import partial
from typing import Any, TypeAlias

import jax
import numpy as np
import optax
from jax.typing import ArrayLike

from jaxlr import _checks
from jaxlr.inject.rates import Rate, injected
from jaxlr.schedules import scale

__all__ = ["by_path", "layerwise_decay", "per_group", "width_multipliers"]

Group: TypeAlias = Rate | Mapping[str, Any] | optax.GradientTransformation | None


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
    return injected(optimizer, **(given if isinstance(given, Mapping) else {"learning_rate": given}))


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
