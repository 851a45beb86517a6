"""Read and set the learning rate inside any Optax state.

Optax keeps hyperparameters in two places: in the state, where `optax.inject_hyperparams` puts them, or in a
closure, where nobody can read them. `current_lr` reads the first kind and asks for the second.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import ArrayLike

from jaxlr.plateau import AccumulateOnPlateauState, ScaleByPlateauState

__all__ = ["Rate", "current_lr", "injected", "with_lr"]

Rate: TypeAlias = ArrayLike | Callable[[Any], Any]
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
            "opt_state must hold a learning rate, got one without: build the optimizer with jaxlr.inject.injected("
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
            "jaxlr.inject.injected(optimizer, learning_rate=...)"
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
