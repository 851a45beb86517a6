"""Sharpness: against dense eigenvalues, the rates it allows against gradient descent itself, the edge of stability."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.flatten_util import ravel_pytree

from jaxlr import tasks
from jaxlr.finder import curvature
from jaxlr.finder.measures import fixed_loss
from tests.support.counting import compiled_programs


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31 - 1), st.sampled_from([-8.0, -1.0, 0.0, 1.0, 8.0]))
def test_the_largest_eigenvalue_of_any_quadratic(seed: int, offset: float) -> None:
    """Also where the eigenvalue of the largest size is negative: an offset of -8 makes all of them so."""
    matrix = np.random.default_rng(seed).normal(size=(6, 6)).astype(np.float32)
    matrix = (matrix + matrix.T) / 2 + offset * np.eye(6, dtype=np.float32)
    found = _of_quadratic(jnp.asarray(matrix))
    dense = np.linalg.eigvalsh(matrix)
    # The Rayleigh quotient's error is at most its residual, and it cannot exceed the largest eigenvalue.
    assert found.value <= dense[-1] + 1e-4 * np.abs(dense).max()
    assert found.value >= dense[-1] - 0.02 * (dense[-1] - dense[0]) - 1e-4
    assert np.abs(dense - float(found.value)).min() <= float(found.residual) + 1e-4 * np.abs(dense).max()


@jax.jit
def _of_quadratic(matrix: jax.Array) -> curvature.Eigenpair:
    return curvature.largest_eigenvalue(lambda w: w @ matrix @ w / 2, jnp.ones(6), iterations=300)


def test_a_zero_hessian_has_the_eigenvalue_zero() -> None:
    found = curvature.largest_eigenvalue(lambda w: w.sum(), jnp.ones(4))
    assert found.value == 0
    assert found.residual == 0
    assert np.isfinite(found.vector).all()


def test_against_the_dense_hessian_of_a_network() -> None:
    """A tasks.MLP on few inputs has a backward pass of its own."""
    rng = np.random.default_rng(0)
    task = tasks.classification(tasks.MLP((6,), 3), rng.normal(size=(40, 2)), rng.integers(0, 3, 40))
    ds = curvature.stability(task, momentum=0.5, seeds=2)

    @jax.jit
    def hessian(key: jax.Array) -> jax.Array:
        params, state = task.init(key), task.init_state(key)
        flat, unravel = ravel_pytree(params)
        return jax.jacrev(jax.grad(lambda w: fixed_loss(task, unravel(w), state)))(flat)

    for seed in range(2):
        dense = np.linalg.eigvalsh(hessian(jax.random.fold_in(jax.random.fold_in(jax.random.key(0), seed), 0)))
        assert ds["sharpness"].values[seed] == pytest.approx(dense[-1], rel=1e-3)
        assert ds["largest_stable_rate"].values[seed] == pytest.approx(3 / dense[-1], rel=1e-3)
    assert ds.sizes == {"seed": 2}
    with compiled_programs() as again:
        curvature.stability(task, momentum=0.9, seeds=2, key=jax.random.key(5))
    assert "advance" not in again


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
@pytest.mark.parametrize(("factor", "converges"), [(0.95, True), (1.05, False)])
def test_descent_on_a_quadratic_converges_below_the_rate_and_not_above(
    momentum: float, factor: float, converges: bool
) -> None:
    sharpness = 3.0
    rate = factor * float(curvature.largest_stable_rate(sharpness, momentum))
    tx = optax.sgd(rate, momentum=momentum or None)
    w, state = jnp.float32(1.0), None
    state = tx.init(w)

    def step(carry, _):
        w, state = carry
        updates, state = tx.update(sharpness * w, state)
        return (w + updates, state), None

    (w, _), _ = jax.lax.scan(step, (w, state), None, length=400)
    assert (abs(w) < 0.01) == converges


def test_without_positive_curvature_every_rate_is_stable() -> None:
    assert np.isinf(curvature.largest_stable_rate(jnp.array([0.0, -1.0]))).all()


class _Smooth(linen.Module):
    @linen.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for _ in range(2):
            x = jnp.tanh(linen.Dense(20)(x))
        return linen.Dense(1)(x)


def test_sharpness_rises_to_the_edge_of_stability_and_hovers_there() -> None:
    """Full-batch descent on a Chebyshev polynomial: at 2 / rate after a while, far below at a rate too low for it."""
    x = np.linspace(-1, 1, 20)[:, None]
    task = tasks.regression(_Smooth(), x, np.cos(4 * np.arccos(x)))
    ds = curvature.follow(task, optax.sgd, [0.005, 0.05, 0.1], steps=3000, every=100, devices=1)
    share = ds["sharpness"].isel(seed=0) * ds["learning_rate"] / 2
    late = share.isel(step=slice(-5, None))
    assert (share.isel(step=0) < 0.7).all()
    for rate in (0.05, 0.1):
        assert ((late.sel(learning_rate=rate) > 0.9) & (late.sel(learning_rate=rate) < 1.1)).all()
    assert (share.sel(learning_rate=0.005) < 0.2).all()
    assert (ds["loss"].isel(step=-1) < ds["loss"].isel(step=0)).all()
    assert ds["step"].values[-1] == 3000


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda task: curvature.follow(task, optax.sgd, [0.1], steps=10, every=3), ValueError, "every must divide"),
        (lambda task: curvature.follow(task, optax.sgd, [-0.1]), ValueError, "rates must be positive"),
        (lambda task: curvature.follow(task, 0.1, [0.1]), TypeError, "optimizer must be a function"),
        (lambda task: curvature.follow("blobs", optax.sgd, [0.1]), TypeError, "task must be"),
        (lambda task: curvature.stability("blobs"), TypeError, "task must be"),
        (lambda task: curvature.stability(task, momentum=1.5), ValueError, "momentum must be between"),
        (lambda task: curvature.largest_stable_rate(1.0, -0.5), ValueError, "momentum must be between"),
        (lambda task: curvature.largest_eigenvalue(jnp.sum, jnp.ones(2), iterations=0), ValueError, "iterations"),
    ],
)
def test_bad_arguments_are_clear_errors_before_compiling(blobs, call, error, words: str) -> None:
    with compiled_programs() as compiled, pytest.raises(error, match=words):
        call(blobs)
    assert "advance" not in compiled
