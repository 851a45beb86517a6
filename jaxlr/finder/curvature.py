"""The largest Hessian eigenvalue (the sharpness) of a loss, and the learning rates that it allows.

Gradient descent on a quadratic of curvature λ diverges for rates above 2 / λ. Along a training of a network with full
batches the sharpness rises until it hovers at that bound: the edge of stability.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from jaxlr import _checks, short_training
from jaxlr.short_training import Same
from jaxlr.spaces import grid
from jaxlr.sweeps import sweep
from jaxlr.tasks import Task

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Eigenpair", "follow", "largest_eigenvalue", "largest_stable_rate", "stability"]

PyTree = Any

ITERATIONS = 100
"""Hessian-vector products at most, in each of the two passes of the power iteration."""

_TOLERANCE = 1e-3
"""The iteration ends when the residual is below this share of the eigenvalue."""


class Eigenpair(NamedTuple):
    """What the power iteration found; see `largest_eigenvalue`.

    Attributes:
        value: the Rayleigh quotient λ, a scalar.
        vector: the unit vector v, all parameters in one array `[P]`.
        residual: |H v - λ v|: some eigenvalue is at most this far from `value`.
    """

    value: jax.Array
    vector: jax.Array
    residual: jax.Array


def largest_eigenvalue(
    loss: Callable[[PyTree], jax.Array],
    params: PyTree,
    *,
    key: jax.Array | None = None,
    start: jax.Array | None = None,
    iterations: int = ITERATIONS,
) -> Eigenpair:
    """The largest (most positive) eigenvalue of a loss's Hessian by power iteration on Hessian-vector products.

    v <- H v / |H v| finds the eigenvalue of the largest size. Where that is a negative one, -m, a second pass iterates
    on H + m I, whose dominant eigenvalue belongs to the largest of H. A product costs about as much as two gradients.
    Each pass ends when |H v - λ v| is below 0.001 of λ or of the shifted eigenvalue.

    Args:
        loss: `params -> scalar`, twice differentiable.
        params: where.
        key: draws the first vector; `jax.random.key(0)` by default.
        start: the first vector `[P]` instead, such as the last one along a training.
        iterations: products in each pass, at most.

    Returns:
        The eigenvalue, its vector, and the residual.

    Raises:
        ValueError: fewer than one iteration.

    >>> import numpy as np
    >>> curvatures = jnp.array([3.0, 1.0, -5.0])
    >>> found = largest_eigenvalue(lambda w: (curvatures * w**2).sum() / 2, jnp.ones(3))
    >>> round(float(found.value), 2), np.abs(np.round(found.vector, 1)).tolist()
    (3.0, [1.0, 0.0, 0.0])

    Reference: von Mises and Pollaczek-Geiringer (1929); Pearlmutter, "Fast exact multiplication by the Hessian",
    Neural Computation 6 (1994).
    """
    _checks.count("iterations", iterations)
    flat, unravel = ravel_pytree(params)
    # The Hessian is symmetric, so reverse mode twice gives the same product as forward over reverse, and it also works
    # for functions that define their own backward pass, which have no forward mode.
    backward = jax.vjp(jax.grad(lambda w: loss(unravel(w))), flat)[1]

    def product(v: jax.Array) -> jax.Array:
        return backward(v)[0]

    if start is None:
        start = jax.random.normal(jax.random.key(0) if key is None else key, flat.shape, flat.dtype)
    first = _unit(start, start)

    def one_pass(carry: tuple[jax.Array, jax.Array], _: None) -> tuple[tuple[jax.Array, jax.Array], Eigenpair]:
        pair = _iterate(product, *carry, iterations)
        # A negative eigenvector is no start for the largest eigenvalue's: it may be orthogonal to it.
        shift = jnp.maximum(-pair.value, 0)
        return (jnp.where(shift > 0, first, pair.vector), shift), pair

    passes = jax.lax.scan(one_pass, (first, jnp.zeros((), flat.dtype)), None, length=2)[1]
    return jax.tree.map(lambda each: each[-1], passes)


def _iterate(
    product: Callable[[jax.Array], jax.Array], start: jax.Array, shift: jax.Array, iterations: int
) -> Eigenpair:
    """Power iteration on H + shift I from a unit vector; the eigenvalue is that of H."""

    def going(state: tuple[jax.Array, Eigenpair, jax.Array]) -> jax.Array:
        count, pair, _ = state
        return (count < iterations) & ~(pair.residual <= _TOLERANCE * jnp.abs(pair.value + shift))

    def step(state: tuple[jax.Array, Eigenpair, jax.Array]) -> tuple[jax.Array, Eigenpair, jax.Array]:
        count, _, v = state
        after = product(v)
        value = v @ after
        pair = Eigenpair(value, v, jnp.linalg.norm(after - value * v))
        return count + 1, pair, _unit(after + shift * v, v)

    # The product stands here once: a network's is most of what there is to compile.
    unknown = Eigenpair(jnp.zeros((), start.dtype), start, jnp.full((), jnp.inf, start.dtype))
    return jax.lax.while_loop(going, step, (jnp.zeros((), jnp.int32), unknown, start))[1]


def _unit(v: jax.Array, otherwise: jax.Array) -> jax.Array:
    """`v` of length 1; where it has none (a zero Hessian), the vector that there was."""
    length = jnp.linalg.norm(v)
    return jnp.where(length > 0, v / jnp.where(length > 0, length, 1), otherwise)


def largest_stable_rate(sharpness: Any, momentum: Any = 0.0) -> jax.Array:
    """The learning rate above which gradient descent diverges on a quadratic: `2 (1 + momentum) / sharpness`.

    Args:
        sharpness: largest Hessian eigenvalue λ, any shape.
        momentum: β of heavy-ball momentum, `v <- β v + gradient`, as in `optax.sgd` and PyTorch.

    Returns:
        The rate; infinite where λ is not positive.

    Raises:
        ValueError: the momentum is not between 0 and 1.

    >>> largest_stable_rate(4.0).item(), round(largest_stable_rate(4.0, momentum=0.9).item(), 3)
    (0.5, 0.95)

    Reference: Polyak, "Some methods of speeding up the convergence of iteration methods" (1964).
    """
    _checks.between("momentum", momentum, 0, 1)
    sharpness = jnp.asarray(sharpness)
    return jnp.where(sharpness > 0, 2 * (1 + momentum) / jnp.where(sharpness > 0, sharpness, 1), jnp.inf)


def stability(task: Task, *, momentum: float = 0.0, replicas: int = 8, key: jax.Array | None = None) -> xr.Dataset:
    """The sharpness of the training loss at the initial weights, and the largest rate it allows.

    Args:
        task: the model and the data; the Hessian is that of the loss on up to 1,024 training examples, the evaluation
            batch of `range_test`.
        momentum: β of heavy-ball momentum.
        replicas: number of initial weights, those of `range_test` with the same key.
        key: PRNG key; `jax.random.key(0)` by default.

    Returns:
        A Dataset `(seed)`: `sharpness`, `residual` and `largest_stable_rate`.

    Raises:
        ValueError: the momentum is not between 0 and 1, or there are no replicas.
        TypeError: `task` is no task.

    >>> import jax, numpy as np
    >>> from jaxlr import tasks
    >>> model = (lambda key: jax.random.normal(key, (2, 1)), lambda w, x: x @ w)
    >>> task = tasks.regression(model, np.eye(2), np.zeros((2, 1)))
    >>> ds = stability(task, momentum=0.5, replicas=2)
    >>> ds["sharpness"].values.round(3).tolist(), ds["largest_stable_rate"].values.round(3).tolist()
    ([1.0, 1.0], [3.0, 3.0])
    """
    if not isinstance(task, Task):
        raise TypeError(f"task must be a jaxlr.tasks.Task, got {task!r}")
    _checks.between("momentum", momentum, 0, 1)
    return sweep(_initial(Same(task)), grid(momentum=float(momentum)), seeds=replicas, key=key, devices=1)


@functools.lru_cache(maxsize=16)
def _initial(same: Same) -> Callable[..., Any]:
    task = same.task

    def measure(key: jax.Array, momentum: jax.Array) -> dict[str, jax.Array]:
        params, state = short_training.initial(task, key)
        pair = largest_eigenvalue(lambda weights: short_training.evaluate(task, weights, state), params, key=key)
        rate = largest_stable_rate(pair.value, momentum)
        return {"sharpness": pair.value, "residual": pair.residual, "largest_stable_rate": rate}

    return measure


def follow(
    task: Task,
    optimizer: Callable[..., Any],
    rates: Sequence[float],
    *,
    steps: int = 500,
    every: int = 25,
    batch_size: int | None = None,
    replicas: int = 1,
    key: jax.Array | None = None,
    devices: int | None = None,
) -> xr.Dataset:
    """The sharpness along trainings at constant rates: does it hover at 2 / rate?

    Args:
        task: the model and the data; sharpness and loss are those on up to 1,024 training examples.
        optimizer: `learning_rate -> optax.GradientTransformation`.
        rates: learning rates.
        steps: updates of each training.
        every: updates between two measurements, a divisor of `steps`.
        batch_size: examples in an update; all of them by default, as the theory has it.
        replicas: trainings of each rate.
        key: PRNG key; `jax.random.key(0)` by default.
        devices: how many local devices; all by default.

    Returns:
        A Dataset with the dimensions `(learning_rate, seed, step)`, a step for each measurement, after the `updates
        (step)`: `loss` and `sharpness`.

    Raises:
        ValueError: a rate is not positive, or `every` does not divide `steps`.
        TypeError: `task` or `optimizer` is of the wrong kind.

    >>> import jax, numpy as np, optax
    >>> from jaxlr import tasks
    >>> model = (lambda key: jax.random.normal(key, (2, 1)), lambda w, x: x @ w)
    >>> task = tasks.regression(model, np.eye(2), np.zeros((2, 1)))
    >>> ds = follow(task, optax.sgd, [0.1], steps=20, every=10, devices=1)
    >>> ds["sharpness"].values.round(3).tolist(), ds["updates"].values.tolist()
    ([[[1.0, 1.0]]], [10, 20])

    Reference: Cohen et al., "Gradient descent on neural networks typically occurs at the edge of stability",
    arXiv:2103.00065.
    """
    batch_size = task.examples if batch_size is None and isinstance(task, Task) else batch_size
    short_training.check(task, optimizer, steps=steps, every=every, batch_size=batch_size, replicas=replicas)
    for rate in rates:
        _checks.positive("rates", rate)
    if steps % every:
        raise ValueError(f"every must divide steps, got {every} and {steps}")
    train = _followed(Same(task), optimizer, steps, every, batch_size)
    space = grid(learning_rate=[float(rate) for rate in rates])
    ds = sweep(train, space, seeds=replicas, key=key, devices=devices)
    return ds.assign_coords(updates=("step", every * ds["step"].values))


@functools.lru_cache(maxsize=16)
def _followed(same: Same, optimizer: Callable[..., Any], steps: int, every: int, batch_size: int) -> Callable[..., Any]:
    task = same.task

    def train(key: jax.Array, learning_rate: jax.Array) -> dict[str, jax.Array]:
        carry = short_training.start(task, optimizer, key, learning_rate)
        inputs = short_training.inputs(task, key, jnp.full(steps, learning_rate), batch_size)
        update = short_training.updating(task, optimizer, key)
        blocks = jax.tree.map(lambda leaf: leaf.reshape(steps // every, every, *leaf.shape[1:]), inputs)
        vector = jax.random.normal(key, ravel_pytree(carry[0])[0].shape)

        def block(loop: Any, batches: Any) -> Any:
            carry, vector = loop
            carry, _ = jax.lax.scan(update, carry, batches)
            params, state, _ = carry
            pair = largest_eigenvalue(
                lambda weights: short_training.evaluate(task, weights, state), params, start=vector
            )
            return (carry, pair.vector), {"loss": short_training.evaluate(task, params, state), "sharpness": pair.value}

        return jax.lax.scan(block, (carry, vector), blocks)[1]

    return train
