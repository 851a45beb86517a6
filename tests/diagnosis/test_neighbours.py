"""`diagnose` on a sweep: neighbours in view, every kind of space, what is recorded and what is not."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxlr import diagnose, experiment, grid, plots, reduce_on_plateau, results, sampled, sweep, zipped
from jaxlr.diagnosis import VERDICTS
from jaxlr.spaces import Space, log_range, log_uniform

T = np.arange(1, 61)


def descent(rate: float, seed: int = 0) -> np.ndarray:
    """Gradient descent on directions of many curvatures: faster with the rate, until it explodes at 2."""
    curvatures = np.geomspace(1, 1e-4, 9)
    noise = 1 + 0.003 * np.random.default_rng(seed).normal(size=len(T))
    return (0.02 + ((1 - rate * curvatures) ** (2 * T[:, None])).mean(axis=1)) * noise


def made(space: Space, curves: list[np.ndarray], **more: np.ndarray) -> xr.Dataset:
    """A result `[settings, 1 seed, T]`."""
    arrays = {"loss": np.array(curves)[:, None], **more}
    return results.label(space, arrays, np.ones((len(curves), 1), bool), {}, "epoch")


RATES = log_range(1e-4, 10, 6)


@pytest.fixture(scope="module")
def rates() -> xr.Dataset:
    return made(grid(lr=RATES), [descent(rate) for rate in RATES])


def test_low_rates_are_slow_and_the_highest_diverges(rates: xr.Dataset) -> None:
    found = diagnose(rates)
    assert found["verdict"].dims == ("lr",)
    assert set(found["verdict"].values[:3]) <= {"no-progress", "slow"}
    assert found["verdict"].values[2] == "slow"
    assert found["verdict"].values[-1] == "diverged"
    assert found.attrs["rate"] == "lr"
    assert "a higher rate ends" in str(found["evidence"].values[1])


def test_neighbours_change_the_verdict(rates: xr.Dataset) -> None:
    """The same curve with a higher rate beside it that is far better, and with one that is far worse."""
    curve, better, worse = descent(0.01), descent(0.1), np.full(len(T), 3.0) + np.sin(T)
    low = diagnose(made(grid(lr=[0.01, 0.1]), [curve, better])).isel(lr=0)
    best = diagnose(made(grid(lr=[0.001, 0.01, 0.1]), [descent(0.001), curve, worse])).isel(lr=1)
    assert low["verdict"] == "slow"
    assert low["confidence"] > 0.95 > best["confidence"], "the same verdict, but not as sure"


def test_order_and_scale_do_not_matter(rates: xr.Dataset) -> None:
    found = diagnose(rates)
    backwards = rates.isel(lr=slice(None, None, -1))
    xr.testing.assert_identical(diagnose(backwards)["verdict"].isel(lr=slice(None, None, -1)), found["verdict"])
    scaled = rates.assign(loss=rates["loss"] * 1e6)
    np.testing.assert_allclose(diagnose(scaled)["confidence"], found["confidence"], atol=1e-6)


def test_families_do_not_mix() -> None:
    """Another momentum is another family: its settings are judged as in a sweep of their own."""
    space = grid(lr=RATES, momentum=[0.0, 0.9])
    curves = [descent(rate * (1 + 2 * (m > 0)), seed=int(m > 0)) for rate in RATES for m in (0.0, 0.9)]
    whole = diagnose(made(space, curves))
    part = diagnose(made(grid(lr=RATES), curves[::2]))
    assert whole["verdict"].dims == ("lr", "momentum")
    assert whole["verdict"].sel(momentum=0).values.tolist() == part["verdict"].values.tolist()
    np.testing.assert_allclose(whole["confidence"].sel(momentum=0), part["confidence"])


@pytest.mark.parametrize(
    "space",
    [
        zipped(lr=RATES, n=[1, 2, 3, 4, 5, 6]),
        grid(lr=RATES[:3]) + grid(lr=RATES[3:], momentum=[0.9]),
        sampled(6, lr=log_uniform(1e-4, 10)),
        grid(other=[1, 2, 3, 4, 5, 6]),
        grid(name=["a", "b", "c", "d", "e", "f"]),
    ],
)
def test_every_kind_of_space(space: Space) -> None:
    ds = made(space, [descent(rate) for rate in RATES])
    found = diagnose(ds)
    assert found["verdict"].sizes == {dim: ds.sizes[dim] for dim in found["verdict"].dims}
    assert set(found["verdict"].values.ravel()) <= set(VERDICTS)
    assert found["seed_verdict"].dims == (*found["verdict"].dims, "seed")
    plots.diagnosed_sweep(ds, found).draw_without_rendering()


def test_the_rate_by_another_name(rates: xr.Dataset) -> None:
    renamed = rates.rename(lr="eta")
    assert "by itself" in diagnose(renamed).attrs["rate"]
    xr.testing.assert_equal(diagnose(renamed, lr="eta")["confidence"], diagnose(rates)["confidence"].rename(lr="eta"))
    with pytest.raises(ValueError, match="lr must be a hyperparameter of positive numbers, one of lr; got 'eta'"):
        diagnose(rates, lr="eta")


def test_diverged_seeds() -> None:
    curves = np.stack([np.stack([descent(0.5, seed) for seed in range(4)])] * 2)
    curves[1, :3, 10:] = np.nan
    curves[1, 3] = descent(0.5)
    ds = results.label(grid(lr=[0.5, 1.0]), {"loss": curves}, np.ones((2, 4), bool), {}, "epoch")
    found = diagnose(ds)
    assert found["verdict"].values[1] == "diverged"
    assert found["seed_verdict"].values[1, :3].tolist() == ["diverged"] * 3
    assert "3 of 4 seeds" in str(found["evidence"].values[1])
    whole = curves.copy()
    whole[1] = np.nan
    gone = results.label(grid(lr=[0.5, 1.0]), {"loss": whole}, np.ones((2, 4), bool), {}, "epoch")
    assert diagnose(gone)["verdict"].values[1] == "diverged"


def test_stopped_and_unfinished() -> None:
    curves = np.stack([descent(0.1), descent(0.5)])[:, None]
    stopped = np.zeros_like(curves)
    stopped[1, 0, 40:] = 1
    curves[1, 0, 40:] = np.nan
    arrays = {"loss": curves, "stopped": stopped}
    found = diagnose(results.label(grid(lr=[0.1, 0.5]), arrays, np.ones((2, 1), bool), {}, "epoch"))
    assert found["verdict"].values[1] != "diverged"
    done = np.array([[True], [False]])
    unfinished = diagnose(results.label(grid(lr=[0.1, 0.5]), {"loss": curves}, done, {}, "epoch"))
    assert unfinished["verdict"].values[1] == "cannot-tell"
    assert "not finished" in str(unfinished["evidence"].values[1])


def test_a_sweep_of_trainings_with_validation_and_rate() -> None:
    from jaxlr import tasks

    rng = np.random.default_rng(0)
    y = np.arange(80) % 2
    x = rng.normal(size=(80, 10)) + 0.7 * y[:, None]
    task = tasks.classification(tasks.MLP((32,)), x[:30], y[:30], x[30:], y[30:])
    ds = sweep(experiment(task, optax.adam, epochs=60), grid(learning_rate=[1e-3, 0.03]), seeds=2, devices=1)
    found = diagnose(ds)
    assert found["verdict"].sel(learning_rate=1e-3) == "slow"
    assert found["verdict"].sel(learning_rate=0.03) == "overfitting"
    assert "validation loss was lowest" in str(found["evidence"].sel(learning_rate=0.03).values)


def test_a_plateau_that_stops() -> None:
    from jaxlr import tasks

    run = experiment(
        tasks.classification(tasks.MLP((4,)), np.eye(12), np.arange(12) % 2),
        optax.sgd,
        epochs=12,
        plateau=lambda: reduce_on_plateau(patience=1, factor=0.01, min_delta=10.0, min_value=1e-3, stop=True),
    )
    found = diagnose(sweep(run, grid(learning_rate=[0.01, 0.1]), devices=1))
    assert set(found["verdict"].values) <= set(VERDICTS) - {"diverged"}


def test_a_function_of_ones_own_with_negative_losses() -> None:
    def train(key: jax.Array, lr: jax.Array) -> dict[str, jax.Array]:
        return {"loss": -3 + jnp.exp(-lr * jnp.arange(40.0))}

    found = diagnose(sweep(train, grid(lr=[0.001, 0.01, 0.1]), devices=1))
    assert found["verdict"].values[0] in ("slow", "no-progress")


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.data())
def test_whatever_float32_losses_can_be_is_judged(data: st.DataObject) -> None:
    """Neighbours at zero, at the largest numbers, never finite: no warning, no error."""
    points = data.draw(st.integers(9, 150))
    positive = st.floats(0, width=32, allow_infinity=False)
    kinds = (positive, st.floats(-30, 30).map(np.exp2), st.floats(-37, 38).map(lambda power: 10**power), st.just(0.0))
    some = st.one_of(*(st.lists(kind, min_size=points, max_size=points) for kind in kinds))
    curves = [np.array(data.draw(some)) for _ in range(3)]
    curves[data.draw(st.integers(0, 2))][data.draw(st.integers(0, points - 1)) :] = data.draw(st.floats(width=32))
    ds = made(grid(lr=[0.01, 0.1, 1.0]), curves)
    for initial in (None, data.draw(positive)):
        known = ds if initial is None else ds.assign(initial_loss=xr.full_like(ds["status"], initial, float))
        found = diagnose(known)
        assert set(found["verdict"].values) <= set(VERDICTS)
        assert ((found["confidence"] >= 0) & (found["confidence"] <= 1)).all()


def test_a_rate_that_learns_by_heart_does_not_change_the_scale() -> None:
    """In float32 a cross-entropy can end at exactly zero; the other settings are judged as beside a tiny one."""
    learnt = np.where(T < 30, descent(0.5), 0.0)
    curves = [descent(rate) for rate in RATES[:4]]
    zero = diagnose(made(grid(lr=[*RATES[:4], 0.5]), [*curves, learnt]))
    tiny = diagnose(made(grid(lr=[*RATES[:4], 0.5]), [*curves, np.maximum(learnt, 1e-9)]))
    assert zero["verdict"].values[:4].tolist() == tiny["verdict"].values[:4].tolist()
    np.testing.assert_allclose(zero["confidence"][:4], tiny["confidence"][:4], atol=1e-6)
    assert "slow" in zero["verdict"].values[:4]
    assert zero["verdict"].values[4] == "healthy"


def test_a_neighbour_from_1e19_does_not_hide_the_others() -> None:
    """Losses without a natural zero are shifted by the scale of the sweep, not by that of its worst setting."""
    curves = [descent(rate) - 1 for rate in RATES[:4]]
    alone = diagnose(made(grid(lr=RATES[:4]), curves))
    wild = np.r_[1e19, np.full(len(T) - 1, 1e18)]
    beside = diagnose(made(grid(lr=[*RATES[:4], 1e6]), [*curves, wild]))
    assert alone["verdict"].values[2] == "slow"
    assert beside["verdict"].values[:4].tolist() == alone["verdict"].values.tolist()


def test_short_trainings_cannot_tell() -> None:
    found = diagnose(made(grid(lr=[0.1, 0.2]), [np.array([2.0, 1.0, 0.5])] * 2))
    assert found["verdict"].values.tolist() == ["cannot-tell"] * 2


def test_bad_results(rates: xr.Dataset) -> None:
    with pytest.raises(ValueError, match="a loss over epochs or steps, got accuracy"):
        diagnose(xr.Dataset({"accuracy": ("epoch", [0.1, 0.2])}))
    final = sweep(lambda key, lr: {"loss": lr}, grid(lr=[0.1, 0.2]), devices=1)
    with pytest.raises(ValueError, match="a loss over epochs or steps"):
        diagnose(final)
    with pytest.raises(ValueError, match="at least 2 epochs or steps, got 1"):
        diagnose(rates.isel(epoch=slice(1)))
    with pytest.raises(ValueError, match="val_losses must be left out"):
        diagnose(rates, val_losses=[1.0, 2.0])
