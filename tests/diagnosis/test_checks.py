"""Checks by small sweeps: what passes, what fails, and that each compiles once."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen

from jaxlr import experiment, optimizers, schedules, tasks
from jaxlr.diagnosis import initial_loss_check, overfit_check, probe_lower
from tests.support.counting import compiled_programs


def small(classes: int = 3) -> tasks.Task:
    rng = np.random.default_rng(0)
    y = np.arange(60) % classes
    return tasks.classification(tasks.MLP((16,)), rng.normal(size=(60, 5)) + y[:, None], y)


def test_a_model_that_learns_by_heart_passes() -> None:
    with compiled_programs() as names:
        check = overfit_check(small(), optax.adam, examples=12, epochs=120, learning_rates=[1e-3, 0.03])
    assert check.passed
    assert check.numbers["ratio"] < 0.05
    assert check.numbers["learning_rate"] == 0.03
    assert str(check).startswith("passed: 12 examples")
    assert names.count("advance") == 1


def test_a_model_that_cannot_see_its_inputs_fails() -> None:
    blind = (lambda key: jnp.zeros(3), lambda params, x: jnp.broadcast_to(params, (len(x), 3)))
    task = tasks.classification(blind, np.random.default_rng(0).normal(size=(30, 2)), np.arange(30) % 3)
    check = overfit_check(task, optax.adam, examples=40, epochs=60, learning_rates=[0.1])
    assert not check.passed
    assert check.explanation.startswith("30 examples")
    assert "look for a fault" in check.explanation


def test_the_initial_loss_of_zero_weights_is_chance() -> None:
    task = tasks.classification(linen.Dense(4, kernel_init=linen.initializers.zeros), np.ones((8, 3)), np.arange(8) % 4)
    check = initial_loss_check(task)
    assert check.passed
    assert check.numbers["initial"] == pytest.approx(np.log(4), rel=1e-5)


def test_inputs_of_a_thousand_fail_the_initial_loss() -> None:
    y = np.arange(30) % 3
    x = 1000 * np.random.default_rng(0).normal(size=(30, 4))
    check = initial_loss_check(tasks.classification(tasks.MLP((8,)), x, y))
    assert not check.passed
    assert "higher than chance" in check.explanation


def test_a_regression_is_compared_with_its_variance() -> None:
    x = np.random.default_rng(0).normal(size=(40, 2))
    task = tasks.regression(linen.Dense(1, kernel_init=linen.initializers.zeros), x, 3 * x[:, :1])
    check = initial_loss_check(task)
    assert check.passed
    assert check.numbers["expected"] == pytest.approx(9 * x[:, 0].var(), rel=1e-4)


def test_an_expected_loss_of_ones_own() -> None:
    check = initial_loss_check(small(), expected=100.0)
    assert not check.passed
    assert "lower than chance" in check.explanation
    with pytest.raises(ValueError, match="expected must be positive"):
        initial_loss_check(small(), expected=0.0)


def noisy_line(key: jax.Array) -> tasks.Task:
    """A line through noisy points: at a high rate the loss stays where the noise of the batches holds it."""
    x = jax.random.normal(key, (64, 4))
    y = x.sum(axis=1, keepdims=True) + jax.random.normal(jax.random.fold_in(key, 1), (64, 1))
    model = (lambda key: jnp.zeros((4, 1)), lambda w, x: x @ w)
    return tasks.regression(model, np.asarray(x), np.asarray(y))


def test_a_rate_that_is_too_high_late_fails() -> None:
    run = experiment(noisy_line(jax.random.key(0)), optimizers.sgd, epochs=24, batch_size=2)
    with compiled_programs() as names:
        check = probe_lower(run, {"learning_rate": 0.1}, seeds=4)
    assert not check.passed
    assert check.numbers["stuck"] == 1
    assert check.numbers["gain_10"] > 0.1
    assert check.numbers["lower_10"] < check.numbers["kept"]
    assert len([name for name in names if "train" in name or "advance" in name]) <= 1


def test_a_rate_that_is_low_passes() -> None:
    run = experiment(noisy_line(jax.random.key(0)), optax.sgd, epochs=24, batch_size=2)
    check = probe_lower(run, {"learning_rate": 0.001}, seeds=2)
    assert check.passed
    assert check.numbers["stuck"] == 0


def test_before_the_change_all_trainings_are_one() -> None:
    """The probe is the experiment itself: the loss at the change is that of a sweep with the same seeds."""
    from jaxlr import grid, sweep

    run = experiment(noisy_line(jax.random.key(0)), optax.sgd, schedule=schedules.time_decay, epochs=8)
    check = probe_lower(run, {"init_value": 0.05, "decay": 0.01}, rate="init_value", seeds=2)
    ds = sweep(run, grid(init_value=[0.05], decay=0.01), seeds=2, devices=1)
    assert check.numbers["at_change"] == pytest.approx(float(ds["loss"].sel(epoch=4).mean()), rel=1e-5)
    assert check.numbers["kept"] == pytest.approx(float(ds["loss"].sel(epoch=8).mean()), rel=1e-5)


@pytest.mark.parametrize(
    ("setting", "options", "words"),
    [
        ({}, {}, "setting must have learning_rate"),
        ({"learning_rate": -1.0}, {}, "learning_rate must be positive"),
        ({"learning_rate": 0.1}, {"times": (0.5,)}, "times must be numbers above 1"),
        ({"learning_rate": 0.1}, {"times": ()}, "times must be numbers above 1"),
        ({"learning_rate": 0.1}, {"after": 1.0}, "after must leave epochs"),
        ({"learning_rate": 0.1}, {"after": 0.0}, "after must leave epochs"),
        ({"learning_rate": 0.1, "nothing": 1.0}, {}, "nothing"),
    ],
)
def test_bad_probes(setting: dict, options: dict, words: str) -> None:
    run = experiment(noisy_line(jax.random.key(0)), optax.sgd, epochs=4)
    with pytest.raises(ValueError, match=words):
        probe_lower(run, setting, **options)


def test_a_name_that_is_not_the_rate_is_refused() -> None:
    run = experiment(noisy_line(jax.random.key(0)), optax.sgd, epochs=4)
    with pytest.raises(ValueError, match="which does not"):
        probe_lower(run, {"learning_rate": 0.1, "momentum": 0.9}, rate="momentum", seeds=1)
