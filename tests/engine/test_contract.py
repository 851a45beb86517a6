"""What every kind of run promises, whoever made it: one contract for experiments, pairs of functions and functions."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import xarray as xr

import jaxlr
from jaxlr import experiment, grid, reduce_on_plateau, run_one, schedules, sweep, tasks
from jaxlr.engine.carries import from_host, on_host
from jaxlr.runs import Run, as_run

LENGTH = 6
RATES = [0.3, 0.1, 0.03, 0.01]
X = np.random.default_rng(0).normal(size=(24, 2)).astype(np.float32)
MODEL = (lambda key: jax.random.normal(key, (2, 2)), lambda params, x: x @ params)
TASK = tasks.classification(MODEL, X, np.arange(24) % 2, X[:10], np.arange(10) % 2)


def init(key: jax.Array, hp: Any) -> dict[str, jax.Array]:
    return {"w": jax.random.normal(key, (3,)), "key": jax.random.fold_in(key, 1), "updates": jnp.int32(0)}


def advance(carry: dict[str, jax.Array], key: jax.Array, hp: Any) -> tuple[dict[str, jax.Array], dict[str, Any]]:
    """Noisy descent on a bowl. The noise comes from the advance's key and from one that is carried."""
    noise = jax.random.normal(key, (3,)) + jax.random.normal(jax.random.fold_in(carry["key"], carry["updates"]), (3,))
    w = carry["w"] - hp["learning_rate"] * (2 * carry["w"] + 0.1 * noise)
    return {**carry, "w": w, "updates": carry["updates"] + 1}, {"loss": (w**2).sum(), "first": w[0]}


def train(key: jax.Array, learning_rate: jax.Array) -> dict[str, jax.Array]:
    """The whole training at once."""
    carry = init(key, {})
    keys = jax.random.split(key, LENGTH)
    return jax.lax.scan(lambda carry, key: advance(carry, key, {"learning_rate": learning_rate}), carry, keys)[1]


class Maker(NamedTuple):
    """A run, and the dimension of its curves with its coordinates."""

    run: Any
    dim: str
    coordinates: list[int]


def scheduled(learning_rate: Any) -> Any:
    return optax.sgd(schedules.cosine_decay(learning_rate, 20))


MAKERS = {
    "epochs": Maker(experiment(TASK, optax.sgd, epochs=LENGTH, batch_size=7), "epoch", [1, 2, 3, 4, 5, 6]),
    "updates": Maker(
        experiment(TASK, scheduled, updates=12, every=2, batch_size=7), "step", [2, 4, 6, 8, 10, 12]
    ),
    "plateau": Maker(
        experiment(
            TASK,
            optax.adam,
            plateau=reduce_on_plateau(factor=0.5, patience=1, min_delta=0.0, restore_best=True),
            epochs=LENGTH,
            batch_size=8,
        ),
        "epoch",
        [1, 2, 3, 4, 5, 6],
    ),
    "pair": Maker(jaxlr.run(init, advance, length=LENGTH), "epoch", [1, 2, 3, 4, 5, 6]),
    "pair along steps": Maker(jaxlr.run(init, advance, length=LENGTH, along="step"), "step", [1, 2, 3, 4, 5, 6]),
    "function": Maker(train, "step", [1, 2, 3, 4, 5, 6]),
}  # fmt: skip
NAMES = list(MAKERS)
CARRYING = [name for name in NAMES if name != "function"]


def swept(name: str, rates: list[float], **how: Any) -> Any:
    """A sweep in blocks of 2 settings x 2 seeds."""
    return sweep(MAKERS[name].run, grid(learning_rate=rates), **{"seeds": 2, "chunk": 4, "devices": 1, **how})


@functools.cache
def reference(name: str) -> xr.Dataset:
    return swept(name, RATES)


def assert_same(found: xr.Dataset, expected: xr.Dataset) -> None:
    """Every number to the bit."""
    assert set(found.data_vars) == set(expected.data_vars)
    for variable in expected.data_vars:
        np.testing.assert_array_equal(found[variable].values, expected[variable].values, err_msg=str(variable))


@pytest.mark.parametrize("name", NAMES)
def test_the_result_is_labelled(name: str) -> None:
    ds, maker = reference(name), MAKERS[name]
    assert dict(ds["loss"].sizes) == {"learning_rate": 4, "seed": 2, maker.dim: LENGTH}
    assert ds[maker.dim].values.tolist() == maker.coordinates
    assert ds["learning_rate"].values.tolist() == RATES
    assert ds["seed"].values.tolist() == [0, 1]
    assert ds["loss"].dtype == np.float32
    assert np.isfinite(ds["loss"]).all()
    assert (ds["status"] == "ok").all()


@pytest.mark.parametrize("name", NAMES)
def test_settings_share_their_seeds(name: str) -> None:
    """At rates that change no weight, settings differ in nothing and seeds differ."""
    losses = swept(name, [1e-30, 2e-30])["loss"]
    np.testing.assert_array_equal(losses.isel(learning_rate=0), losses.isel(learning_rate=1))
    assert not np.array_equal(losses.isel(seed=0), losses.isel(seed=1))


@pytest.mark.parametrize("name", NAMES)
def test_more_seeds_leave_the_earlier_ones(name: str) -> None:
    assert_same(swept(name, RATES, seeds=3, chunk=2).isel(seed=slice(2)), swept(name, RATES, chunk=2))


@pytest.mark.parametrize("segment", [1, 4, 50])
@pytest.mark.parametrize("name", NAMES)
def test_segments_of_any_length_give_the_same_bits(name: str, segment: int) -> None:
    assert_same(swept(name, RATES, segment=segment), reference(name))


@pytest.mark.parametrize("name", NAMES)
def test_neighbours_change_nothing_though_they_diverge(name: str) -> None:
    ds = swept(name, [1e38, *RATES, 3e38])
    assert (ds["status"].sel(learning_rate=[1e38, 3e38]) == "diverged").all()
    assert_same(ds.sel(learning_rate=RATES).drop_vars("diverged_in", errors="ignore"), reference(name))


@pytest.mark.parametrize("name", NAMES)
def test_one_alone_is_the_sweeps_up_to_rounding(name: str) -> None:
    metrics, carry = run_one(MAKERS[name].run, {"learning_rate": 0.1}, seed=1)
    ds = reference(name).sel(learning_rate=0.1, seed=1)
    for variable, values in metrics.items():
        np.testing.assert_allclose(np.ravel(values), ds[variable], rtol=1e-5, atol=1e-6, err_msg=variable)
    if name in CARRYING:
        _, kept = swept(name, RATES, keep="last")
        own = on_host(jax.tree.map(lambda leaf: leaf[1, 1], kept))
        expected = on_host(as_run(MAKERS[name].run).weights(carry))
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), own, expected)


@pytest.mark.parametrize("name", CARRYING)
def test_going_on_from_a_carry_on_the_host_gives_the_same_bits(name: str) -> None:
    run: Run = MAKERS[name].run
    seed_key, hp = jax.random.fold_in(jax.random.key(0), 1), {"learning_rate": jnp.float32(0.1)}
    step = jax.jit(lambda carry, number: run.advance(carry, run.key_of(seed_key, number), hp))
    carry = jax.jit(lambda: run.init(jax.random.fold_in(seed_key, 0), hp))()
    ways = []
    for through in (lambda carry: carry, lambda carry: from_host(on_host(carry))):
        now, rows = carry, []
        for number in range(1, LENGTH + 1):
            now, metrics = step(through(now), jnp.int32(number))
            rows.append(metrics["loss"])
        ways.append((on_host(now), np.array(rows)))
    jax.tree.map(np.testing.assert_array_equal, *ways)
    assert all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(ways[0][0]))


def test_a_plateau_is_among_them() -> None:
    assert (np.unique(reference("plateau")["rate"]).size) > len(RATES)


def test_keys_that_are_carried_are_kept_as_keys() -> None:
    _, kept = swept("pair", RATES, keep="last")
    for seed in range(2):
        first = jax.random.fold_in(jax.random.fold_in(jax.random.key(0), seed), 0)
        assert (kept["key"][:, seed] == jax.random.fold_in(first, 1)).all()


def test_a_function_keeps_no_weights() -> None:
    with pytest.raises(ValueError, match="keep must be left out for a training function"):
        swept("function", RATES, keep="last")


@pytest.mark.parametrize("name", ["epochs", "updates", "plateau"])
def test_the_best_weights_are_those_of_the_lowest_loss(name: str) -> None:
    ds, kept = swept(name, RATES, keep="best")
    ones = jnp.ones(10)
    for setting in range(4):
        for seed in range(2):
            weights = jax.tree.map(lambda leaf, at=(setting, seed): leaf[at], kept)
            again = TASK.loss(weights, (), TASK.x_test, TASK.y_test, ones, None)[0]
            assert float(again) == pytest.approx(float(ds["val_loss"][setting, seed].min()), rel=1e-5)


# Training counted in updates


def weights(task: tasks.Task, params: Any, state: Any) -> dict[str, Any]:
    return {"weights": params}


def by_updates(every: int, updates: int = 30, batch_size: int = 6, **more: Any) -> xr.Dataset:
    run = experiment(TASK, scheduled, updates=updates, every=every, batch_size=batch_size, **more)
    return sweep(run, grid(learning_rate=RATES), seeds=2, chunk=4, devices=1)


@pytest.mark.parametrize("every", [2, 5])
@pytest.mark.parametrize("batch_size", [6, 7])
def test_when_the_metrics_are_recorded_changes_nothing_of_the_training(batch_size: int, every: int) -> None:
    each, seldom = (by_updates(e, batch_size=batch_size, record=["step_loss", weights]) for e in (1, every))
    assert seldom["step"].values.tolist() == list(range(every, 31, every))
    for metric in ("weights", "val_loss", "val_accuracy", "rate"):
        np.testing.assert_array_equal(each[metric].sel(step=seldom["step"]), seldom[metric], err_msg=metric)
    # What is shown of a loss is rounded by the program that shows it.
    np.testing.assert_allclose(each["step_loss"].values.ravel(), seldom["step_loss"].values.ravel(), rtol=2e-7)


def test_where_the_batches_fill_the_epochs_the_updates_are_theirs() -> None:
    epochs = experiment(TASK, scheduled, epochs=5, batch_size=6, record=["step_loss"])
    ds = sweep(epochs, grid(learning_rate=RATES), seeds=2, chunk=4, devices=1)
    other = by_updates(4, 20, record=["step_loss"])
    for variable in ds.data_vars:
        np.testing.assert_array_equal(ds[variable].values, other[variable].values, err_msg=str(variable))
