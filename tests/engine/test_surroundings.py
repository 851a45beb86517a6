"""What surrounds a sweep: keys, flags and transformations that it cannot do with, said before anything is trained."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxlr
from jaxlr import experiment, grid, run_one, sweep, tasks
from jaxlr.spaces.sampling import log_uniform

X = np.random.default_rng(0).normal(size=(20, 3))
TASK = tasks.classification((lambda key: jnp.zeros((3, 2)), lambda w, x: x @ w), X, np.arange(20) % 2)


def train(key: jax.Array, lr: jax.Array) -> dict[str, jax.Array]:
    return {"loss": lr * jax.random.normal(key) ** 2}


@pytest.mark.parametrize("key", [0, "0", np.float32(0), jnp.zeros(3, jnp.int32)])
def test_a_seed_is_no_key(key: Any) -> None:
    with pytest.raises(TypeError, match=r"key must be a PRNG key such as jax.random.key\(0\)"):
        sweep(train, grid(lr=[0.1]), key=key)


def test_a_key_of_the_old_kind_is_one() -> None:
    assert sweep(train, grid(lr=[0.1]), key=jax.random.PRNGKey(0))["status"].item() == "ok"


@pytest.mark.parametrize("surroundings", [jax.jit, jax.vmap])
def test_a_sweep_is_no_part_of_a_transformation(surroundings: Any) -> None:
    def inside(key: jax.Array) -> jax.Array:
        return jnp.asarray(sweep(train, grid(lr=[0.1]), key=key)["loss"].item())

    with pytest.raises(RuntimeError, match="a sweep must be called outside jit, vmap and grad"):
        surroundings(inside)(jax.random.split(jax.random.key(0)) if surroundings is jax.vmap else jax.random.key(0))


def test_without_jit_there_is_one_training_at_a_time() -> None:
    with jax.disable_jit():
        with pytest.raises(RuntimeError, match=r"jax_disable_jit must be off.*run_one\(run, setting, jit=False\)"):
            sweep(train, grid(lr=[0.1]))
        metrics, _ = run_one(experiment(TASK, optax.sgd, epochs=1), {"learning_rate": 0.1}, jit=False)
    assert metrics["loss"].shape == (1,)


@pytest.mark.parametrize("flag", ["jax_debug_nans", "jax_debug_infs"])
def test_nan_is_a_result_and_no_fault(flag: str) -> None:
    before = getattr(jax.config, flag)
    jax.config.update(flag, True)
    try:
        with pytest.raises(RuntimeError, match="jax_debug_nans and jax_debug_infs must be off"):
            sweep(train, grid(lr=[0.1]))
    finally:
        jax.config.update(flag, before)


def test_a_distribution_belongs_into_sampled() -> None:
    with pytest.raises((TypeError, ValueError), match="sampled"):
        grid(lr=log_uniform(1e-4, 1.0))


def test_a_rate_of_zero_is_a_control() -> None:
    run = experiment(TASK, optax.sgd, epochs=3, order=lambda key, epoch: jnp.arange(20), batch_size=20)
    ds = sweep(run, grid(learning_rate=[0.0, 0.1]), devices=1)
    assert len(np.unique(ds["loss"].sel(learning_rate=0.0))) == 1
    assert jaxlr.best(ds).setting == {"learning_rate": 0.1}


def test_numpy_integers_are_counts() -> None:
    run = experiment(TASK, optax.sgd, epochs=np.int64(2), batch_size=np.int32(10))
    assert sweep(run, grid(learning_rate=[0.1]), seeds=np.int64(2), chunk=np.int64(2))["loss"].shape == (1, 2, 2)
