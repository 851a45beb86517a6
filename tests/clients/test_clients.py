"""Other people's programs: a sweep gives what the program gives alone, in each of the ways it is run by hand."""

from __future__ import annotations

import functools
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

import jaxlr
from scripts.bench.clients import CLIENTS, conv, gan, gpt, norm, ppo, program, stream, vae
from scripts.bench.clients.__main__ import lines
from tests.support.strict import relaxed

SIZES = {
    "PPO, orthogonal": ppo.Size(updates=3, environments=4, steps=8, passes=2, minibatches=2, width=8),
    "NNX, convolutions and dropout": conv.Size(examples=40, side=8, batch=8, channels=2),
    "beta-VAE": vae.Size(examples=40, pixels=16, width=8, latent=2, batch=8),
    "small GPT": gpt.Size(examples=16, context=8, batch=4, width=8, layers=1, heads=2, vocabulary=11),
    "GAN": gan.Size(epochs=3, updates=3, batch=16, width=8, latent=2),
    "Equinox, BatchNorm": norm.Size(examples=40, side=8, batch=8, channels=2),
    "streamed data": stream.Size(epochs=2, batches=4, batch=8, features=6, width=8),
}
BITWISE = ("PPO, orthogonal", "GAN")
"""What is no experiment is the program itself, mapped over its members."""

SEEDS = 2


def values_of(name: str) -> tuple[str, list[float]]:
    ((axis, values),) = CLIENTS[name].AXIS.items()
    return axis, [float(value) for value in values[2:6:2]]


@functools.cache
def swept(name: str) -> xr.Dataset:
    axis, values = values_of(name)
    run = CLIENTS[name].with_jaxlr(SIZES[name])
    return jaxlr.sweep(run, jaxlr.grid(**{axis: values}), seeds=SEEDS, devices=1)


@functools.cache
def by_hand(name: str) -> dict[str, program.Way]:
    return CLIENTS[name].alone(SIZES[name])


def compared(name: str, found: dict[str, np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Each metric by hand, and as the sweep gives it."""
    own = set(swept(name).data_vars) - {"status", "diverged_at", "rate"}
    assert set(found) == own
    return [(found[metric], swept(name)[metric].values) for metric in sorted(own)]


@pytest.mark.slow
@pytest.mark.parametrize("name", CLIENTS)
def test_a_sweep_gives_what_the_program_gives_alone(name: str) -> None:
    swept(name)
    for alone, ours in compared(name, relaxed(by_hand(name)["loop"])(values_of(name)[1], SEEDS)):
        np.testing.assert_allclose(ours, alone, rtol=2e-4, atol=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", BITWISE)
def test_what_is_no_experiment_is_bitwise_what_vmap_gives(name: str) -> None:
    for alone, ours in compared(name, by_hand(name)["vmap"](values_of(name)[1], SEEDS)):
        np.testing.assert_array_equal(ours, alone)


def test_a_loader_is_read_as_by_hand() -> None:
    name = "streamed data"
    for way, train in by_hand(name).items():
        for alone, ours in compared(name, train(values_of(name)[1], SEEDS)):
            np.testing.assert_allclose(ours, alone, rtol=1e-5, atol=1e-6, err_msg=way)


def test_a_gan_is_judged_by_what_its_own_metrics_say() -> None:
    ds = swept("GAN")
    assert set(ds.data_vars) == {"g_loss", "d_loss", "status", "diverged_at"}
    assert (ds["status"] == "ok").all()
    with pytest.raises(ValueError, match="metric must be given for a result without a loss"):
        jaxlr.best(ds)
    assert jaxlr.best(ds, "g_loss").value == pytest.approx(float(ds["g_loss"].isel(epoch=-1).mean("seed").min()))


@pytest.mark.parametrize("name", ["g_loss", "d_loss"])
def test_the_one_metric_that_is_not_finite_marks_its_member(name: str) -> None:
    init, advance = gan.pair(SIZES["GAN"])

    def failing(carry: Any, key: Any, hp: Any) -> Any:
        carry, metrics = advance(carry, key, hp)
        return carry, metrics | {name: jnp.where(hp["learning_rate"] < 1, metrics[name], jnp.nan)}

    run, space = jaxlr.run(init, failing, length=2), jaxlr.grid(learning_rate=[1e-3, 2.0])
    ds = jaxlr.sweep(run, space, seeds=2, devices=1)
    assert ds["status"].values.tolist() == [["ok", "ok"], ["diverged", "diverged"]]
    assert set(ds["diverged_in"].values[1]) == {name}
    assert jaxlr.table(ds)["diverged"].tolist() == [0, 2]
    allowed = jaxlr.sweep(run, space, seeds=2, devices=1, may_be_nan=[name])
    assert (allowed["status"] == "ok").all()


@pytest.mark.slow
def test_a_return_is_better_when_it_is_larger_but_does_not_say_so() -> None:
    ds = swept("PPO, orthogonal")
    with pytest.raises(ValueError, match="mode must be 'min' or 'max' for 'episode_return'"):
        jaxlr.best(ds, "episode_return")
    final = ds["episode_return"].isel(step=-1).mean("seed")
    assert jaxlr.best(ds, "episode_return", mode="max").value == pytest.approx(float(final.max()))
    with pytest.raises(ValueError, match="mode must be"):
        jaxlr.marginal(ds, "learning_rate", "episode_return")


def test_beta_weighs_the_divergence() -> None:
    size = SIZES["beta-VAE"]._replace(epochs=30)
    ds = jaxlr.sweep(vae.with_jaxlr(size), jaxlr.grid(beta=[0.1, 10.0]), seeds=2, devices=1)
    last = ds.isel(epoch=-1).mean("seed")
    np.testing.assert_allclose(last["loss"], last["reconstruction"] + last["beta"] * last["divergence"], rtol=1e-4)
    assert last["divergence"].values[0] > last["divergence"].values[1]
    assert ds.attrs["compilations"] == 1


def test_statistics_of_a_batch_are_used_when_testing() -> None:
    ds = swept("Equinox, BatchNorm")
    assert np.isfinite(ds["val_loss"]).all()
    assert (ds["val_loss"] != ds["loss"]).all()


@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_needs_a_few_lines(name: str) -> None:
    assert lines(CLIENTS[name]) <= 6
