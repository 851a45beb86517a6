"""What is read off a result does not depend on the order of its dimensions, and files keep what people name."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import jaxlr
from jaxlr import grid, sweep


def train(key: jax.Array, lr: jax.Array, momentum: jax.Array) -> dict[str, jax.Array]:
    noise = jax.random.normal(key, (5,))
    return {"loss": (lr - 0.1) ** 2 + (momentum - 0.5) ** 2 + 0.01 * noise, "train/loss": noise}


@pytest.fixture(scope="module")
def ds() -> xr.Dataset:
    return sweep(train, grid(lr=[0.01, 0.1, 1.0], momentum=[0.0, 0.5]), seeds=4)


ORDERS = [("seed", "step", "momentum", "lr"), ("step", "momentum", "seed", "lr"), ("momentum", "seed", "lr", "step")]


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
def test_any_order_of_dimensions_gives_the_same(ds: xr.Dataset, order: tuple[str, ...]) -> None:
    turned = ds.transpose(*order)
    assert jaxlr.best(turned).setting == jaxlr.best(ds).setting == {"lr": 0.1, "momentum": 0.5}
    assert jaxlr.best(turned).value == jaxlr.best(ds).value
    columns = ["lr", "momentum"]
    sorted_ = [jaxlr.table(one).sort_values(columns)[sorted(jaxlr.table(ds))] for one in (turned, ds)]
    pd.testing.assert_frame_equal(*(one.reset_index(drop=True) for one in sorted_))
    settings = {"lr": 0.1, "momentum": 0.5}, {"lr": 0.01, "momentum": 0.5}
    assert str(jaxlr.compare(turned, *settings)) == str(jaxlr.compare(ds, *settings))
    xr.testing.assert_allclose(jaxlr.marginal(turned, "lr"), jaxlr.marginal(ds, "lr"))


def test_a_name_with_a_slash_is_saved_and_read_back(ds: xr.Dataset, tmp_path: Path) -> None:
    path = jaxlr.save(ds, tmp_path / "not" / "there" / "yet.nc")
    xr.testing.assert_equal(jaxlr.load(path).drop_vars("status"), ds.drop_vars("status"))


def test_the_home_folder_may_be_a_tilde(ds: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert jaxlr.save(ds, "~/runs/one.nc") == tmp_path / "runs" / "one.nc"
    np.testing.assert_array_equal(jaxlr.load("~/runs/one.nc")["loss"], ds["loss"])


def test_narrow_floats_are_stored(tmp_path: Path) -> None:
    half = sweep(lambda key, lr: {"loss": jnp.bfloat16(0.5) * jnp.asarray(lr, jnp.bfloat16)}, grid(lr=[0.5, 1.0]))
    assert half["loss"].dtype == np.float32
    np.testing.assert_array_equal(jaxlr.load(jaxlr.save(half, tmp_path / "half.nc"))["loss"], half["loss"])
