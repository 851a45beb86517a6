"""The engine on models and trainings that are nobody's blobs, each over 16 rates and 4 seeds."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen, nnx

import jaxlr
from jaxlr import experiment, grid, sweep, tasks

RATES = np.geomspace(1e-4, 3.0, 16)
SEEDS = 4


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    return images[:240].reshape(-1, 8, 8, 1) / 16, labels[:240]


class LinenConv(linen.Module):
    """A convolution, batch statistics, dropout."""

    @linen.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        x = linen.Conv(6, (3, 3), strides=2)(x)
        x = linen.relu(linen.BatchNorm(use_running_average=not train, momentum=0.8)(x))
        x = linen.Dropout(0.1, deterministic=not train)(x.reshape(len(x), -1))
        return linen.Dense(10)(x)


class NnxConv(nnx.Module):
    """The same net in NNX."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.conv = nnx.Conv(1, 6, (3, 3), strides=2, rngs=rngs)
        self.norm = nnx.BatchNorm(6, momentum=0.8, rngs=rngs)
        self.dropout = nnx.Dropout(0.1, rngs=rngs)
        self.last = nnx.Linear(96, 10, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = nnx.relu(self.norm(self.conv(x)))
        return self.last(self.dropout(x.reshape(len(x), -1)))


def equinox_mlp(key: jax.Array) -> Any:
    import equinox

    net = equinox.nn.MLP(64, 10, 16, 1, key=key)
    return equinox.nn.Sequential([equinox.nn.Lambda(jnp.ravel), net])


MODELS = {"linen": LinenConv(), "nnx": NnxConv, "equinox": equinox_mlp}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_swept_in_one_program(digits: tuple, name: str) -> None:
    x, y = digits
    task = tasks.classification(MODELS[name], x[:200], y[:200], x[200:], y[200:])
    run = experiment(task, optax.adam, epochs=4, batch_size=25)
    ds = sweep(run, grid(learning_rate=RATES), seeds=SEEDS, devices=1)
    assert ds.attrs["compilations"] == 1
    assert ds["val_accuracy"].sizes == {"learning_rate": 16, "seed": 4, "epoch": 4}
    best = jaxlr.best(ds, "val_accuracy")
    assert best.value > 0.6
    assert 3e-3 < best.setting["learning_rate"] < 0.3
    first = ds["val_accuracy"].sel(learning_rate=best.setting["learning_rate"]).isel(epoch=0)
    assert len(np.unique(first)) > 1, "seeds differ"


def recurrent(key: jax.Array, learning_rate: jax.Array) -> dict[str, jax.Array]:
    """A tanh recurrence learns to repeat the first bit of a sequence: pure JAX, its own data, its own loop."""
    weights_key, data_key = jax.random.split(key)
    bits = jax.random.bernoulli(data_key, shape=(64, 6, 1)).astype(jnp.float32)
    shapes = {"hidden": (8, 8), "input": (1, 8), "output": (8, 1)}
    keys = jax.random.split(weights_key, 3)
    params = {name: 0.4 * jax.random.normal(k, shape) for k, (name, shape) in zip(keys, shapes.items(), strict=True)}
    optimizer = optax.adam(learning_rate)

    def loss(params: Any) -> jax.Array:
        def cell(state: jax.Array, x: jax.Array) -> tuple[jax.Array, None]:
            return jnp.tanh(state @ params["hidden"] + x @ params["input"]), None

        state, _ = jax.lax.scan(cell, jnp.zeros((64, 8)), bits.transpose(1, 0, 2))
        return optax.sigmoid_binary_cross_entropy(state @ params["output"], bits[:, 0]).mean()

    def step(carry: Any, _: None) -> tuple[Any, jax.Array]:
        params, state = carry
        value, grads = jax.value_and_grad(loss)(params)
        updates, state = optimizer.update(grads, state)
        return (optax.apply_updates(params, updates), state), value

    return {"loss": jax.lax.scan(step, (params, optimizer.init(params)), None, length=150)[1]}


def test_a_recurrent_training_of_ones_own() -> None:
    ds = sweep(recurrent, grid(learning_rate=RATES), seeds=SEEDS, devices=1)
    assert ds["loss"].sizes == {"learning_rate": 16, "seed": 4, "step": 150}
    final = ds["loss"].isel(step=-1).mean("seed")
    assert float(final.min()) < 0.1
    assert float(final.isel(learning_rate=0)) > 0.5
    one = recurrent(jax.random.fold_in(jax.random.key(0), 2), float(RATES[7]))["loss"]
    np.testing.assert_allclose(ds["loss"].isel(learning_rate=7, seed=2), one, rtol=2e-3, atol=1e-4)


def test_an_own_objective_and_metrics() -> None:
    x = np.random.default_rng(0).normal(size=(60, 3))
    y = x @ [1.0, -2.0, 0.5]

    def huber(outputs: jax.Array, y: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        error = jnp.abs(outputs[:, 0] - y)
        return jnp.where(error < 1, error**2 / 2, error - 0.5), {"within_half": error < 0.5}

    task = tasks.supervised(linen.Dense(1), huber, x, y, x[:20], y[:20])
    ds = sweep(experiment(task, optax.adam, epochs=12, batch_size=10), grid(learning_rate=RATES), seeds=4, devices=1)
    assert {"within_half", "val_within_half"} <= set(ds.data_vars)
    assert jaxlr.best(ds, "val_loss").value < 0.05


def test_regression_has_no_accuracy() -> None:
    x = np.random.default_rng(0).normal(size=(60, 3))
    task = tasks.regression(linen.Dense(1), x, x[:, :1], x[:20], x[:20, :1])
    ds = sweep(experiment(task, optax.sgd, epochs=5), grid(learning_rate=[0.1]), devices=1)
    assert set(ds.data_vars) == {"loss", "val_loss", "rate", "status", "diverged_at"}
    assert (ds["loss"].isel(epoch=-1) < ds["loss"].isel(epoch=0)).all()


def test_plateau_numbers_are_traced_axes_and_equal_the_loop() -> None:
    x = np.random.default_rng(0).normal(size=(40, 3))
    y = (x[:, 0] > 0).astype(int)
    task = tasks.classification(linen.Dense(2), x[:30], y[:30], x[30:], y[30:])
    order = lambda key, epoch: jnp.arange(30)  # noqa: E731

    def run(**fixed: Any) -> jaxlr.runs.Run:
        def plateau(patience: Any = 1, factor: Any = 0.5, cooldown: Any = 0) -> Any:
            given = {"patience": patience, "factor": factor, "cooldown": cooldown, **fixed}
            return jaxlr.reduce_on_plateau(min_delta=0.02, **given)

        return experiment(task, optax.sgd, plateau=plateau, epochs=15, batch_size=15, order=order)

    axes = {"patience": [1, 2, 4], "factor": [0.1, 0.5], "cooldown": [0, 2]}
    ds = sweep(run(), grid(learning_rate=[0.5], **axes), chunk=1, devices=1)
    assert ds.attrs["compilations"] == 1
    assert len(np.unique(ds["rate"].values.round(9).reshape(12, -1), axis=0)) > 6, "the axes matter"
    for patience in axes["patience"]:
        for factor in axes["factor"]:
            for cooldown in axes["cooldown"]:
                setting = {"patience": patience, "factor": factor, "cooldown": cooldown}
                one = sweep(run(**setting), grid(learning_rate=[0.5]), chunk=1, devices=1)
                np.testing.assert_allclose(ds["rate"].sel(setting), one["rate"], rtol=1e-6)
                np.testing.assert_allclose(ds["loss"].sel(setting), one["loss"], rtol=1e-5)
