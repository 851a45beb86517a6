"""The optimizers of Keras 2.3.1 as Optax transformations, with the defaults of that time; and all by name.

Each is a function from hyperparameters to an `optax.GradientTransformation`. Every hyperparameter may be a traced
array, and `learning_rate` may be a number or a schedule `step -> lr`. The state is a NamedTuple with `count` (updates
done, int32), `learning_rate` (the rate of the latest update) and the moments. The formulas were checked against runs
of Keras itself; they differ from Optax's where Keras does: the rate sits inside the velocity, epsilon outside the
root, accumulators start at zero.
"""

from __future__ import annotations

import ast
import functools
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
import optax.contrib

from jaxlr import _checks

__all__ = ["adadelta", "adagrad", "adam", "get", "named", "names", "rmsprop", "sgd"]

Rate = float | jax.Array | Callable[[jax.Array], jax.Array]
Number = float | jax.Array


class State(NamedTuple):
    """State of every optimizer here: `moments` is a tuple of pytrees shaped like the parameters."""

    count: jax.Array  # type: ignore[assignment]  # Optax's name, over the tuple's method
    learning_rate: jax.Array
    moments: tuple[Any, ...]


def _check_rate(learning_rate: Rate) -> None:
    if not callable(learning_rate):
        _checks.non_negative("learning_rate", learning_rate)


def _rule(
    learning_rate: Rate, moments: int, update: Callable[..., tuple[jax.Array, ...]]
) -> optax.GradientTransformationExtraArgs:
    """A transformation from one array's rule `update(rate, t, g, *moments) -> (step, *moments)`, t counted from 1."""

    def rate_at(count: jax.Array) -> jax.Array:
        value = learning_rate(count) if callable(learning_rate) else learning_rate
        # A copy: the state may be donated, the user's own array may not.
        return jnp.array(value, jnp.result_type(float))

    def init(params: optax.Params) -> State:
        count = jnp.zeros((), jnp.int32)
        return State(count, rate_at(count), tuple(jax.tree.map(jnp.zeros_like, params) for _ in range(moments)))

    def apply(grads: optax.Updates, state: State, params: Any = None, **extra_args: Any) -> tuple[optax.Updates, State]:
        del params, extra_args
        rate = rate_at(state.count)
        t = (state.count + 1).astype(rate.dtype)
        leaves, tree = jax.tree.flatten(grads)
        columns = [jax.tree.leaves(moment) for moment in state.moments]
        new = [
            tuple(jnp.asarray(value, g.dtype) for value in update(rate.astype(g.dtype), t, g, *old))
            for g, *old in zip(leaves, *columns, strict=True)
        ]
        if not new:  # a group without parameters
            return grads, state._replace(count=optax.safe_increment(state.count), learning_rate=rate)
        steps, *kept = [jax.tree.unflatten(tree, column) for column in zip(*new, strict=True)]
        return steps, State(optax.safe_increment(state.count), rate, tuple(kept))

    return optax.GradientTransformationExtraArgs(init, apply)


def sgd(
    learning_rate: Rate = 0.01, momentum: Number = 0.0, nesterov: bool = False
) -> optax.GradientTransformationExtraArgs:
    """Stochastic gradient descent with Keras's momentum.

    `v = momentum * v - rate * g`, `p = p + v`; with `nesterov`, `p = p + momentum * v - rate * g`. The rate is inside
    the velocity, so with a changing rate this differs from `optax.sgd`, which scales the trace afterwards.

    Args:
        learning_rate: rate of one update, zero or more, or a schedule `step -> lr` with steps counted from 0.
        momentum: share of the velocity that is kept, in [0, 1]. 0 is plain gradient descent.
        nesterov: look ahead along the velocity.

    Raises:
        ValueError: a plain number is out of its range.

    >>> import jax.numpy as jnp
    >>> tx = sgd(0.1, momentum=0.9)
    >>> state = tx.init(jnp.array([1.0]))
    >>> step, state = tx.update(jnp.array([2.0]), state)
    >>> step, state = tx.update(jnp.array([2.0]), state)
    >>> print(step, state.count)
    [-0.38] 2

    Reference: Keras 2.3.1, `keras/optimizers.py`, `SGD`.
    """
    _check_rate(learning_rate)
    _checks.between("momentum", momentum, 0, 1)
    if isinstance(momentum, (int, float)) and momentum == 0:
        # Without a velocity to carry, a training of the blobs takes four fifths of the time.
        return _rule(learning_rate, 0, lambda rate, t, g: (-rate * g,))

    def update(rate: jax.Array, t: jax.Array, g: jax.Array, v: jax.Array) -> tuple[jax.Array, ...]:
        v = momentum * v - rate * g
        return (momentum * v - rate * g if nesterov else v), v

    return _rule(learning_rate, 1, update)


def rmsprop(
    learning_rate: Rate = 0.001, rho: Number = 0.9, epsilon: Number = 1e-7
) -> optax.GradientTransformationExtraArgs:
    """RMSprop: the gradient over a moving root mean square.

    `a = rho * a + (1 - rho) * g^2`, `p = p - rate * g / (sqrt(a) + epsilon)`; `a` starts at 0, no bias correction.

    Args:
        learning_rate: rate of one update, zero or more, or a schedule `step -> lr`.
        rho: share of the mean square that is kept, in [0, 1].
        epsilon: added outside the root, zero or more.

    Raises:
        ValueError: a plain number is out of its range.

    >>> import jax.numpy as jnp
    >>> tx = rmsprop(0.01)
    >>> step, _ = tx.update(jnp.array([4.0]), tx.init(jnp.array([1.0])))
    >>> print(step.round(4))
    [-0.0316]

    Reference: Keras 2.3.1, `keras/optimizers.py`, `RMSprop`.
    """
    _check_rate(learning_rate)
    _checks.between("rho", rho, 0, 1)
    _checks.non_negative("epsilon", epsilon)

    def update(rate: jax.Array, t: jax.Array, g: jax.Array, a: jax.Array) -> tuple[jax.Array, ...]:
        a = rho * a + (1 - rho) * g**2
        return -rate * g / (jnp.sqrt(a) + epsilon), a

    return _rule(learning_rate, 1, update)


def adagrad(learning_rate: Rate = 0.01, epsilon: Number = 1e-7) -> optax.GradientTransformationExtraArgs:
    """Adagrad: the gradient over the root of the sum of its squares.

    `a = a + g^2`, `p = p - rate * g / (sqrt(a) + epsilon)`; `a` starts at 0. Later libraries start it at 0.1, which is
    another experiment.

    Args:
        learning_rate: rate of one update, zero or more, or a schedule `step -> lr`.
        epsilon: added outside the root, zero or more.

    Raises:
        ValueError: a plain number is out of its range.

    >>> import jax.numpy as jnp
    >>> tx = adagrad(0.01)
    >>> step, _ = tx.update(jnp.array([4.0]), tx.init(jnp.array([1.0])))
    >>> print(step.round(4))
    [-0.01]

    Reference: Keras 2.3.1, `keras/optimizers.py`, `Adagrad`.
    """
    _check_rate(learning_rate)
    _checks.non_negative("epsilon", epsilon)

    def update(rate: jax.Array, t: jax.Array, g: jax.Array, a: jax.Array) -> tuple[jax.Array, ...]:
        a = a + g**2
        return -rate * g / (jnp.sqrt(a) + epsilon), a

    return _rule(learning_rate, 1, update)


def adam(
    learning_rate: Rate = 0.001, beta_1: Number = 0.9, beta_2: Number = 0.999, epsilon: Number = 1e-7
) -> optax.GradientTransformationExtraArgs:
    """Adam in the "epsilon hat" form.

    `m = beta_1 * m + (1 - beta_1) * g`, `v = beta_2 * v + (1 - beta_2) * g^2`,
    `p = p - rate * sqrt(1 - beta_2^t) / (1 - beta_1^t) * m / (sqrt(v) + epsilon)`, t counted from 1.

    Args:
        learning_rate: rate of one update, zero or more, or a schedule `step -> lr`.
        beta_1: share of the mean gradient that is kept, in [0, 1].
        beta_2: share of the mean square that is kept, in [0, 1].
        epsilon: added to the uncorrected root, zero or more.

    Raises:
        ValueError: a plain number is out of its range.

    >>> import jax.numpy as jnp
    >>> tx = adam(0.01)
    >>> step, _ = tx.update(jnp.array([4.0]), tx.init(jnp.array([1.0])))
    >>> print(step.round(4))
    [-0.01]

    Reference: Keras 2.3.1, `keras/optimizers.py`, `Adam`; Kingma and Ba, arXiv 1412.6980, end of section 2.
    """
    _check_rate(learning_rate)
    _checks.between("beta_1", beta_1, 0, 1)
    _checks.between("beta_2", beta_2, 0, 1)
    _checks.non_negative("epsilon", epsilon)

    def update(rate: jax.Array, t: jax.Array, g: jax.Array, m: jax.Array, v: jax.Array) -> tuple[jax.Array, ...]:
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g**2
        correction = jnp.sqrt(1 - beta_2**t) / (1 - beta_1**t)
        wide = t.dtype  # of the correction: near 1, a narrow type has no numbers for it
        return -rate.astype(wide) * correction * m.astype(wide) / (jnp.sqrt(v) + epsilon).astype(wide), m, v

    return _rule(learning_rate, 2, update)


def adadelta(
    learning_rate: Rate = 1.0, rho: Number = 0.95, epsilon: Number = 1e-7
) -> optax.GradientTransformationExtraArgs:
    """Adadelta: the gradient scaled by the ratio of the root mean squares of past steps and past gradients.

    `a = rho * a + (1 - rho) * g^2`, `u = g * sqrt(d + epsilon) / sqrt(a + epsilon)`, `p = p - rate * u`,
    `d = rho * d + (1 - rho) * u^2`; `a` and `d` start at 0.

    Args:
        learning_rate: factor of the step, zero or more, or a schedule `step -> lr`.
        rho: share of both mean squares that is kept, in [0, 1].
        epsilon: added inside both roots, zero or more.

    Raises:
        ValueError: a plain number is out of its range.

    >>> import jax.numpy as jnp
    >>> tx = adadelta()
    >>> step, _ = tx.update(jnp.array([4.0]), tx.init(jnp.array([1.0])))
    >>> print(step.round(5))
    [-0.00141]

    Reference: Keras 2.3.1, `keras/optimizers.py`, `Adadelta`; Zeiler, arXiv 1212.5701.
    """
    _check_rate(learning_rate)
    _checks.between("rho", rho, 0, 1)
    _checks.non_negative("epsilon", epsilon)

    def update(rate: jax.Array, t: jax.Array, g: jax.Array, a: jax.Array, d: jax.Array) -> tuple[jax.Array, ...]:
        a = rho * a + (1 - rho) * g**2
        u = g * jnp.sqrt(d + epsilon) / jnp.sqrt(a + epsilon)
        return -rate * u, a, rho * d + (1 - rho) * u**2

    return _rule(learning_rate, 2, update)


_BY_NAME: dict[str, Callable[..., optax.GradientTransformationExtraArgs]] = {
    "adadelta": adadelta,
    "adagrad": adagrad,
    "adam": adam,
    "rmsprop": rmsprop,
    "sgd": sgd,
}

names: tuple[str, ...] = tuple(_BY_NAME)
"""The names that `get` knows."""


def get(name: str, learning_rate: Rate | None = None, **hyperparameters: Any) -> optax.GradientTransformationExtraArgs:
    """The optimizer called `name`, with Keras 2.3.1's defaults for whatever is not given.

    Args:
        name: one of `names`.
        learning_rate: a number or a schedule; None is the optimizer's own default.
        **hyperparameters: passed to the optimizer.

    Raises:
        ValueError: the name is unknown, or a plain number is out of its range.
        TypeError: the optimizer does not take one of `hyperparameters`.

    >>> import jax.numpy as jnp
    >>> print(get("adam").init(jnp.zeros(1)).learning_rate)
    0.001
    """
    _checks.one_of("name", name, names)
    if learning_rate is not None:
        hyperparameters["learning_rate"] = learning_rate
    return _BY_NAME[name](**hyperparameters)


def named(text: str) -> functools.partial[optax.GradientTransformation]:
    """The factory of the optimizer that a text names: one of Optax, or after `keras:` one of this module.

    `named("adamw(weight_decay=0.1)")(learning_rate=lr) = optax.adamw(lr, weight_decay=0.1)`

    Args:
        text: a name of `optax` or `optax.contrib`, perhaps with keyword arguments as Python would write them: numbers,
            True or False, None, strings, lists. Nothing is evaluated, so the text may come from anywhere.

    Returns:
        The factory with these arguments; it takes `learning_rate` and the others.

    Raises:
        ValueError: there is no such optimizer, or it does not take one of the arguments.

    >>> import jax.numpy as jnp
    >>> lion = named("lion(b1=0.95)")(learning_rate=0.1)
    >>> step, _ = lion.update(jnp.array([4.0]), lion.init(jnp.zeros(1)), jnp.zeros(1))
    >>> print(step)
    [-0.1]
    """
    name, given = _call(text)
    known = {f"keras:{key}": factory for key, factory in _BY_NAME.items()} | _of_optax()
    if name not in known:
        raise ValueError(f"optimizer must be one of {', '.join(sorted(known))}; got {text!r}")
    taken = inspect.signature(known[name]).parameters
    unknown = sorted(set(given) - set(taken))
    if unknown:
        raise ValueError(f"{name} must get arguments among {', '.join(taken)}; got {', '.join(unknown)}")
    return functools.partial(known[name], **given)


def _of_optax() -> dict[str, Callable[..., optax.GradientTransformation]]:
    """Optax's functions of a learning rate that are optimizers, not links of a chain."""
    return {
        name: function
        for module in (optax.contrib, optax)
        for name, function in vars(module).items()
        if inspect.isfunction(function)
        and not name.startswith(("_", "scale_by_"))
        and "learning_rate" in inspect.signature(function).parameters
    }


def _call(text: str) -> tuple[str, dict[str, Any]]:
    """The name in a text such as `keras:sgd(momentum=0.9)`, and its keyword arguments."""
    prefix = "keras:" if text.startswith("keras:") else ""
    try:
        match ast.parse(text.removeprefix(prefix).strip(), mode="eval").body:
            case ast.Name(id=name):
                given = {}
            case ast.Call(func=ast.Name(id=name), args=[], keywords=keywords):
                given = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in keywords}
            case _:
                raise ValueError("neither a name nor a call of one")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"optimizer must be a name such as 'adamw(weight_decay=0.1)', got {text[:80]!r}") from error
    return prefix + name, given
