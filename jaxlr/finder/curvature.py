"""The largest Hessian eigenvalue (the sharpness) of a loss, and the learning rates that it allows.

Gradient descent on a quadratic of curvature λ diverges for rates above 2 / λ. Along a training of a network with full
batches the sharpness rises until it hovers at that bound: the edge of stability.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from jaxlr import _checks
from jaxlr._types import Hyperparameters, Metrics, Optimizer, PyTree
from jaxlr.engine import sweep
from jaxlr.finder.measures import fixed_loss, on_fixed_batch
from jaxlr.finder.probes import short_run
from jaxlr.runs import Run
from jaxlr.spaces import grid
from jaxlr.tasks import Task

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Eigenpair", "follow", "largest_eigenvalue", "largest_stable_rate", "sharpness", "stability"]

ITERATIONS = 100
"""Iterations at most."""

_FEWEST = 6
"""Parameters from which the iteration works; the Hessian of fewer is written out."""


class Eigenpair(NamedTuple):
    """What the iteration found; see `largest_eigenvalue`.

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
    iterations: int = ITERATIONS,
) -> Eigenpair:
    """The largest (most positive) eigenvalue of a loss's Hessian, by LOBPCG on Hessian-vector products.

    A product costs about as much as two gradients; an iteration takes one.

    Args:
        loss: `params -> scalar`, twice differentiable.
        params: where.
        key: draws the first vector; `jax.random.key(0)` by default.
        iterations: iterations at most; it ends earlier where float32 does not tell more.

    Returns:
        The eigenvalue, its vector, and the residual.

    Raises:
        ValueError: fewer than one iteration.

    >>> import numpy as np
    >>> curvatures = jnp.array([3.0, 1.0, -5.0])
    >>> found = largest_eigenvalue(lambda w: (curvatures * w**2).sum() / 2, jnp.ones(3))
    >>> round(float(found.value), 2), np.abs(np.round(found.vector, 1)).tolist()
    (3.0, [1.0, 0.0, 0.0])

    Reference: Knyazev, "Toward the optimal preconditioned eigensolver", SIAM Journal on Scientific Computing 23
    (2001), as `jax.experimental.sparse.linalg.lobpcg_standard`; Pearlmutter, "Fast exact multiplication by the
    Hessian", Neural Computation 6 (1994).
    """
    from jax.experimental.sparse import linalg

    _checks.count("iterations", iterations)
    flat, unravel = ravel_pytree(params)
    # The Hessian is symmetric, so reverse mode twice gives the same product as forward over reverse, and it also works
    # for functions that define their own backward pass, which have no forward mode.
    backward = jax.vjp(jax.grad(lambda w: loss(unravel(w))), flat)[1]
    products: Callable[[jax.Array], jax.Array] = jax.vmap(lambda v: backward(v)[0], in_axes=1, out_axes=1)
    if flat.size < _FEWEST:
        hessian = products(jnp.eye(flat.size, dtype=flat.dtype))
        vectors = jnp.linalg.eigh(hessian).eigenvectors
        vector = vectors[:, -1]
    else:
        start = jax.random.normal(jax.random.key(0) if key is None else key, (flat.size, 1), flat.dtype)
        _, vectors, _ = linalg.lobpcg_standard(products, start, m=iterations)
        vector = vectors[:, 0]
    after = backward(vector)[0]
    value = vector @ after
    return Eigenpair(value, vector, jnp.linalg.norm(after - value * vector))


def sharpness(task: Task, params: PyTree, state: PyTree) -> Metrics:
    """`sharpness` and its `residual` on up to 1,024 training examples: to be recorded along a training.

    >>> import jax, numpy as np, optax
    >>> from jaxlr import experiment, grid, sweep, tasks
    >>> model = (lambda key: jax.random.normal(key, (2, 1)), lambda w, x: x @ w)
    >>> task = tasks.regression(model, np.eye(2), np.zeros((2, 1)))
    >>> run = experiment(task, optax.sgd, epochs=2, record=[sharpness])
    >>> sweep(run, grid(learning_rate=[0.1]))["sharpness"].values.round(3).tolist()
    [[[1.0, 1.0]]]
    """
    found = largest_eigenvalue(lambda weights: fixed_loss(task, weights, state), params)
    return {"sharpness": found.value, "residual": found.residual}


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


def stability(task: Task, *, momentum: float = 0.0, seeds: int = 8, key: jax.Array | None = None) -> xr.Dataset:
    """The sharpness of the training loss at the initial weights, and the largest rate it allows.

    Args:
        task: the model and the data; the Hessian is that of the loss on up to 1,024 training examples, the evaluation
            batch of `range_test`.
        momentum: β of heavy-ball momentum.
        seeds: number of initial weights, those of a sweep with the same key.
        key: PRNG key; `jax.random.key(0)` by default.

    Returns:
        A Dataset `(seed)`: `sharpness`, `residual` and `largest_stable_rate`.

    Raises:
        ValueError: the momentum is not between 0 and 1, or there are no seeds.
        TypeError: `task` is no task.

    >>> import jax, numpy as np
    >>> from jaxlr import tasks
    >>> model = (lambda key: jax.random.normal(key, (2, 1)), lambda w, x: x @ w)
    >>> task = tasks.regression(model, np.eye(2), np.zeros((2, 1)))
    >>> ds = stability(task, momentum=0.5, seeds=2)
    >>> ds["sharpness"].values.round(3).tolist(), ds["largest_stable_rate"].values.round(3).tolist()
    ([1.0, 1.0], [3.0, 3.0])
    """
    if not isinstance(task, Task):
        raise TypeError(f"task must be a jaxlr.tasks.Task, got {task!r}")
    _checks.between("momentum", momentum, 0, 1)
    ds = sweep(_untrained(task), grid(momentum=float(momentum)), seeds=seeds, key=key, devices=1)
    rates = largest_stable_rate(ds["sharpness"].values, momentum)
    return ds.assign(largest_stable_rate=("seed", jax.device_get(rates)))


def _untrained(task: Task) -> Run:
    """The initial weights of an experiment's seeds, and what is measured of them."""

    def init(key: jax.Array, hp: Hyperparameters) -> tuple[PyTree, PyTree]:
        del hp
        return task.init(key), task.init_state(key)

    def measure(weights: tuple[PyTree, PyTree], key: Any, hp: Hyperparameters) -> tuple[PyTree, Metrics]:
        del key, hp
        return weights, sharpness(task, *weights)

    return Run(init, measure, 1, along=None, description="sharpness", made_of=(*task, "sharpness"), pure=True)


def follow(
    task: Task,
    optimizer: Optimizer,
    rates: Sequence[float],
    *,
    steps: int = 500,
    every: int = 25,
    batch_size: int | None = None,
    seeds: int = 1,
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
        seeds: trainings of each rate.
        key: PRNG key; `jax.random.key(0)` by default.
        devices: how many local devices; all by default.

    Returns:
        A Dataset with the dimensions `(learning_rate, seed, step)`, a step being the updates done: `loss`, `sharpness`
        and its `residual`.

    Raises:
        ValueError: a rate is not positive, or `every` does not divide `steps`.
        TypeError: `task` or `optimizer` is of the wrong kind.

    >>> import jax, numpy as np, optax
    >>> from jaxlr import tasks
    >>> model = (lambda key: jax.random.normal(key, (2, 1)), lambda w, x: x @ w)
    >>> task = tasks.regression(model, np.eye(2), np.zeros((2, 1)))
    >>> ds = follow(task, optax.sgd, [0.1], steps=20, every=10, devices=1)
    >>> ds["sharpness"].values.round(3).tolist(), ds["step"].values.tolist()
    ([[[1.0, 1.0]]], [10, 20])

    Reference: Cohen et al., "Gradient descent on neural networks typically occurs at the edge of stability",
    arXiv:2103.00065.
    """
    size = task.examples if batch_size is None and isinstance(task, Task) else batch_size
    run = short_run(
        task, optimizer, steps, 1 if size is None else size, every=every, record=[on_fixed_batch, sharpness]
    )
    for rate in rates:
        _checks.positive("rates", rate)
    space = grid(learning_rate=[float(rate) for rate in rates])
    ds = sweep(run, space, seeds=seeds, key=key, devices=devices)
    return ds[["eval_loss", "sharpness", "residual", "status", "diverged_at"]].rename(eval_loss="loss")
