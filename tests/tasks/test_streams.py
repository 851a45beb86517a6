"""A stream from a loader: what it gives is what the same data give in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen

import jaxlr
from jaxlr import experiment, grid, run_one, sweep, tasks

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(24, 3)).astype(np.float32), (np.arange(24) % 2).astype(np.int32)
RATES = [0.3, 0.1, 0.03, 0.01]
ORDERS = np.stack([[np.random.default_rng((seed, e)).permutation(24) for e in range(1, 9)] for seed in range(2)])
"""Of each seed and epoch."""


def batches(seed: int, epoch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for rows in ORDERS[seed, epoch - 1].reshape(6, 4):
        yield X[rows], Y[rows]


def streamed(given: Any = batches, **how: Any) -> tasks.Task:
    return tasks.streamed(linen.Dense(2), tasks.cross_entropy, given, **{"length": 6, **how})


def order(key: jax.Array, epoch: jax.Array) -> jax.Array:
    """The stream's, found by the seed that an epoch's key comes from."""
    seeds = jax.vmap(lambda seed: jax.random.fold_in(jax.random.key(0), seed))(jnp.arange(2))
    keys = jax.vmap(lambda seed: jax.random.key_data(jax.random.fold_in(seed, epoch)))(seeds)
    seed = jnp.argmax((keys == jax.random.key_data(key)[None]).all(1))
    return jnp.asarray(ORDERS, jnp.int32)[seed, epoch - 1]


IN_MEMORY = tasks.classification(linen.Dense(2), X, Y)


def assert_alike(found: Any, expected: Any) -> None:
    for name in ("loss", "accuracy"):
        np.testing.assert_allclose(found[name].values, expected[name].values, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("devices", [1, 2])
def test_a_stream_is_the_same_data_in_memory(devices: int) -> None:
    space = grid(learning_rate=RATES)
    ds = sweep(experiment(streamed(), optax.adam, epochs=3), space, seeds=2, devices=devices)
    memory = experiment(IN_MEMORY, optax.adam, epochs=3, batch_size=4, order=order)
    assert_alike(ds, sweep(memory, space, seeds=2, devices=devices))


def test_a_stream_is_the_same_bits_on_any_number_of_devices_and_in_blocks() -> None:
    run = experiment(streamed(), optax.adam, epochs=3)
    one, two = (sweep(run, grid(learning_rate=RATES), seeds=2, devices=devices, chunk=2) for devices in (1, 2))
    np.testing.assert_array_equal(one["loss"], two["loss"])


@pytest.mark.parametrize("every", [3, 12])
def test_records_every_few_updates(every: int) -> None:
    space = grid(learning_rate=RATES[:2])
    ds = sweep(experiment(streamed(), optax.sgd, updates=12, every=every), space, seeds=2, devices=1)
    assert ds["step"].values.tolist() == list(range(every, 13, every))
    memory = experiment(IN_MEMORY, optax.sgd, updates=12, every=every, batch_size=4, order=order)
    assert_alike(ds, sweep(memory, space, seeds=2, devices=1))


def test_one_alone() -> None:
    run = experiment(streamed(), optax.sgd, epochs=3)
    ds = sweep(run, grid(learning_rate=RATES), seeds=2, devices=1)
    metrics, carry = run_one(run, {"learning_rate": 0.1}, seed=1)
    np.testing.assert_allclose(metrics["loss"], ds["loss"].sel(learning_rate=0.1, seed=1), rtol=1e-5)
    assert int(carry.step) == 18


def test_a_loader_is_read_once_for_all_settings() -> None:
    reads: list[tuple[int, int]] = []

    def counted(seed: int, epoch: int) -> Iterator[Any]:
        reads.append((seed, epoch))
        yield from batches(seed, epoch)

    run = experiment(streamed(counted), optax.sgd, epochs=2)
    reads.clear()
    sweep(run, grid(learning_rate=np.geomspace(0.01, 0.1, 8)), seeds=2, devices=1)
    assert sorted(reads) == [(0, 1), (0, 2), (1, 1), (1, 2)]


def test_an_iterable_is_the_same_for_all_seeds() -> None:
    loader = list(batches(0, 1))
    shared = tasks.streamed((lambda key: jnp.zeros((3, 2)), lambda w, x: x @ w), tasks.cross_entropy, loader)
    ds = sweep(experiment(shared, optax.sgd, epochs=2), grid(learning_rate=[0.1]), seeds=2, devices=1)
    np.testing.assert_array_equal(ds["loss"].isel(seed=0), ds["loss"].isel(seed=1))


def test_a_smaller_last_batch_counts_with_its_own_mean() -> None:
    ragged = [(X[:10], Y[:10]), (X[10:20], Y[10:20]), (X[20:], Y[20:])]
    space = grid(learning_rate=[0.1])
    ds = sweep(experiment(streamed(ragged, length=None), optax.sgd, epochs=2), space, devices=1)
    memory = experiment(IN_MEMORY, optax.sgd, epochs=2, batch_size=10, order=lambda key, epoch: jnp.arange(24))
    assert_alike(ds, sweep(memory, space, devices=1))


@pytest.mark.slow
def test_a_rate_is_found_for_a_stream() -> None:
    assert jaxlr.find_lr(streamed(), optax.sgd, steps=20, seeds=2) is not None


def short(seed: int, epoch: int) -> Iterator[Any]:
    return iter(list(batches(seed, epoch))[: 6 if epoch == 1 else 4])


def growing(seed: int, epoch: int) -> Iterator[Any]:
    return (((X, Y) if i == 3 else batch) for i, batch in enumerate(batches(seed, epoch)))


def wider(seed: int, epoch: int) -> Iterator[Any]:
    return (((np.ones((4, 5), np.float32), Y[:4]) if i == 3 else batch) for i, batch in enumerate(batches(seed, epoch)))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (short, "must give 6 batches in every epoch, got 4 in epoch 2"),
        (growing, "must hold 4 examples as the first or fewer, got 24"),
        (wider, "must hold examples of the shape"),
    ],
)
def test_batches_that_do_not_fit_are_named(given: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sweep(experiment(streamed(given), optax.sgd, epochs=2), grid(learning_rate=[0.1]), devices=1)


@pytest.mark.parametrize(
    ("given", "how", "error", "message"),
    [
        (batches, {"length": None}, ValueError, "length must be given"),
        (iter([(X, Y)]), {}, TypeError, "can be read again"),
        (3, {}, TypeError, "must be a function"),
        ([X], {}, TypeError, "pairs"),
        ([], {"length": 1}, TypeError, "pairs"),
        (batches, {"x_test": X}, ValueError, "given together"),
    ],
)
def test_bad_streams(given: Any, how: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        streamed(given, **how)


def test_a_stream_has_its_own_size_and_order() -> None:
    with pytest.raises(ValueError, match="order must be left out for a stream"):
        experiment(streamed(), optax.sgd, epochs=1, order=order)
    with pytest.raises(ValueError, match="batch_size"):
        sweep(experiment(streamed(), optax.sgd, epochs=1), grid(learning_rate=[0.1], batch_size=[2, 4]), devices=1)
