"""Functions of `record`: what they say of the weights, epoch after epoch."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxlr
from jaxlr import experiment, grid, sweep, tasks
from jaxlr.tasks import Task

X = np.random.default_rng(0).normal(size=(20, 2))
TASK = tasks.classification(
    (lambda key: jax.random.normal(key, (2, 2)), lambda params, x: x @ params), X, np.arange(20) % 2
)


def weights(task: Task, params: Any, state: Any) -> dict[str, Any]:
    return {"weights": params, "size": optax.tree.norm(params)}


def first_logits(task: Task, params: Any, state: Any) -> dict[str, Any]:
    return {"logits": task.x[:3] @ params}


@pytest.fixture(scope="module")
def recorded() -> tuple[Any, Any]:
    run = experiment(TASK, optax.sgd, epochs=4, batch_size=8, record=[weights, "initial", first_logits])
    return sweep(run, grid(learning_rate=[0.1, 0.01], momentum=0.9), seeds=3, keep="last", devices=1)


def test_the_values_after_every_epoch_have_dimensions_of_their_own(recorded: tuple[Any, Any]) -> None:
    ds, _ = recorded
    assert dict(ds["weights"].sizes) == {"learning_rate": 2, "seed": 3, "epoch": 4, "weights_0": 2, "weights_1": 2}
    assert dict(ds["logits"].sizes) == {"learning_rate": 2, "seed": 3, "epoch": 4, "logits_0": 3, "logits_1": 2}
    assert dict(ds["size"].sizes) == {"learning_rate": 2, "seed": 3, "epoch": 4}
    np.testing.assert_allclose(ds["size"], np.sqrt((ds["weights"] ** 2).sum(["weights_0", "weights_1"])), rtol=1e-6)
    np.testing.assert_allclose(ds["logits"], np.asarray(TASK.x[:3]) @ ds["weights"].values, rtol=1e-4, atol=1e-6)


def test_the_last_weights_are_those_that_are_kept(recorded: tuple[Any, Any]) -> None:
    ds, kept = recorded
    np.testing.assert_array_equal(ds["weights"].isel(epoch=-1), kept)
    assert not np.array_equal(ds["weights"].isel(epoch=-2), kept)


def test_before_the_first_update_they_are_the_initial_ones_whatever_the_rate(recorded: tuple[Any, Any]) -> None:
    first = recorded[0]["initial_weights"]
    assert first.shape == (2, 3, 2, 2)
    np.testing.assert_array_equal(first.isel(learning_rate=0), first.isel(learning_rate=1))
    for seed in range(3):
        own = jax.random.fold_in(jax.random.fold_in(jax.random.key(0), seed), 0)
        np.testing.assert_allclose(first.isel(learning_rate=0, seed=seed), TASK.init(own), rtol=1e-6)
    assert {"initial_size", "initial_logits", "initial_loss"} <= set(recorded[0].data_vars)


def test_recording_changes_nothing(recorded: tuple[Any, Any]) -> None:
    plain = experiment(TASK, optax.sgd, epochs=4, batch_size=8)
    ds = sweep(plain, grid(learning_rate=[0.1, 0.01], momentum=0.9), seeds=3, devices=1)
    np.testing.assert_allclose(recorded[0]["loss"], ds["loss"], rtol=1e-5)


def test_along_updates_too() -> None:
    run = experiment(TASK, optax.sgd, updates=6, every=2, batch_size=8, record=[weights])
    ds, kept = sweep(run, grid(learning_rate=[0.1]), keep="last", devices=1)
    assert ds["weights"].dims == ("learning_rate", "seed", "step", "weights_0", "weights_1")
    assert ds["step"].values.tolist() == [2, 4, 6]
    np.testing.assert_array_equal(ds["weights"].sel(step=6), kept)


@pytest.mark.parametrize(
    ("record", "error", "words"),
    [
        ("initial", TypeError, "record must be a list of names and functions, got 'initial'"),
        ([weights, 3], TypeError, r"record must hold names and functions \(task, params, state\), got 3"),
        (["rates"], ValueError, "record must be one of initial"),
    ],
)
def test_what_cannot_be_recorded_is_found_at_once(record: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        experiment(TASK, optax.sgd, epochs=1, record=record)


def test_a_function_that_gives_no_dictionary_is_named() -> None:
    run = experiment(TASK, optax.sgd, epochs=1, record=[lambda task, params, state: jnp.sum(params)])
    with pytest.raises(TypeError, match="a function of record must return a dictionary of arrays"):
        jaxlr.sweep(run, grid(learning_rate=[0.1]), devices=1)
