"""Every optimizer of Optax through the engine: swept over its rate, the rate recorded, a plateau obeyed."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
import pytest

import jaxlr
from jaxlr import experiment, grid, optimizers, reduce_on_plateau, sweep, tasks

RATES = [0.1, 0.02]
X = np.random.default_rng(0).normal(size=(24, 2)).astype(np.float32)


def start(key: jax.Array) -> dict[str, jax.Array]:
    return {"w": jax.random.normal(key, (2, 2)), "b": jnp.zeros(2)}


TASK = tasks.classification((start, lambda params, x: x @ params["w"] + params["b"][None]), X, np.arange(24) % 2)


def factories(module: Any) -> dict[str, Callable[..., Any]]:
    """The public functions of a module that take a learning rate."""
    return {
        name: function
        for name, function in vars(module).items()
        if inspect.isfunction(function)
        and not name.startswith("_")
        and "learning_rate" in inspect.signature(function).parameters
    }


EVERY = {
    **factories(optax),
    **factories(optax.contrib),
    **{name: getattr(optimizers, name) for name in optimizers.names},
}
PARTS = {name for name in EVERY if name.startswith("scale_by_")}
"""Links of a chain, no optimizers."""

MORE = {
    "dpsgd": "wants a gradient for each example, a clipping norm, noise and a seed",
    "schedule_free": "wraps another optimizer, which has to be given the rate too",
    "sophia": "wants the loss as a function of the weights alone, to estimate its curvature",
}
"""Optimizers to which a rate is not enough -> why."""

FREE = {"cocob", "dadapt_adamw", "dog", "prodigy"}
"""Optimizers that find the size of their steps themselves, from nearly nothing: a rate is one factor of it."""

QUICK = {"sgd", "adam", "lion", "muon"}
OPTIMIZERS = [
    name if name in QUICK else pytest.param(name, marks=pytest.mark.slow)
    for name in sorted(set(EVERY) - PARTS - set(MORE))
]


def swept(optimizer: Any, **more: Any) -> Any:
    plateau = reduce_on_plateau(factor=0.5, patience=1, min_delta=1e9)
    run = experiment(TASK, optimizer, plateau=plateau, epochs=4, batch_size=12, **more)
    return sweep(run, grid(learning_rate=RATES), devices=1).isel(seed=0)


@pytest.mark.filterwarnings("ignore:Specifying a key will be required", "ignore:`optimistic_adam` is deprecated")
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_is_swept_and_obeys_a_plateau(name: str) -> None:
    ds = swept(EVERY[name])
    assert ds.attrs["compilations"] == 1
    # No epoch is ever good enough: the first sets the best, each later one halves the rate.
    np.testing.assert_allclose(ds["rate"], np.outer(RATES, [1, 1, 0.5, 0.25]), rtol=1e-6)
    losses = ds["loss"].values
    assert np.isfinite(losses).all()
    if name not in FREE:
        assert (np.diff(losses, axis=1) != 0).all(), "every epoch changes the weights"
        assert (losses[0] != losses[1]).any(), "the rate matters"


def test_all_of_optax_is_here() -> None:
    known = {name for name in dir(optax) if not name.startswith("_")}
    assert {"sgd", "adam", "adamw", "lbfgs", "lion", "adafactor"} <= set(factories(optax)) <= known
    assert {"muon", "prodigy", "schedule_free_adamw"} <= set(factories(optax.contrib))
    assert len(EVERY) > 40


@pytest.mark.parametrize(
    ("name", "words"),
    [("dpsgd", "must have l2_norm_clip"), ("sophia", "obj_fn"), ("schedule_free", "must have base_opt")],
)
def test_those_that_need_more_say_so(name: str, words: str) -> None:
    assert name in MORE
    with pytest.raises(ValueError, match=words):
        swept(EVERY[name])


def test_a_wrapped_optimizer_is_given_the_rate_twice() -> None:
    def schedule_free(learning_rate: Any) -> optax.GradientTransformation:
        return optax.contrib.schedule_free(optax.sgd(learning_rate), learning_rate)

    np.testing.assert_allclose(swept(schedule_free)["rate"], np.outer(RATES, [1, 1, 0.5, 0.25]), rtol=1e-6)


def test_a_rate_by_another_name_is_swept_and_not_guessed() -> None:
    """Polyak's step is at most `max_learning_rate`; what it is only the optimizer knows."""
    run = experiment(TASK, optax.polyak_sgd, epochs=2, batch_size=12)
    ds = sweep(run, grid(max_learning_rate=RATES), devices=1, may_be_nan=["rate"])
    assert np.isnan(ds["rate"]).all()
    assert (ds["loss"].isel(epoch=1) < ds["loss"].isel(epoch=0)).all()


def test_updates_that_are_gathered_by_another_optimizer() -> None:
    def gathered(learning_rate: Any) -> Any:
        return optax.MultiSteps(optax.sgd(learning_rate), every_k_schedule=2)

    ds = swept(gathered)
    np.testing.assert_allclose(ds["rate"], np.outer(RATES, [1, 1, 0.5, 0.25]), rtol=1e-6)
    # Two batches of 12 make one step by the mean gradient of all 24 examples.
    whole = experiment(TASK, optax.sgd, epochs=4, batch_size=24)
    other = jaxlr.sweep(whole, grid(learning_rate=RATES), devices=1).isel(seed=0)
    np.testing.assert_allclose(ds["loss"].isel(epoch=[0, 1]), other["loss"].isel(epoch=[0, 1]), rtol=1e-5)
