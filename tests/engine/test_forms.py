"""The form that members are trained in: by what their program computes, never by a clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pytest

import jaxlr
from jaxlr import grid, plan

LINEAR: dict[str, Callable[[jax.Array], jax.Array]] = {
    "cholesky": lambda a: jnp.linalg.cholesky(a),
    "det": lambda a: jnp.linalg.det(a),
    "eigh": lambda a: jnp.linalg.eigh(a)[0],
    "inv": lambda a: jnp.linalg.inv(a),
    "qr": lambda a: jnp.linalg.qr(a)[1],
    "solve": lambda a: jnp.linalg.solve(a, a[0]),
    "svd": lambda a: jnp.linalg.svd(a)[1],
    "orthogonal": lambda a: jax.random.orthogonal(jax.random.key(0), len(a)),
}


def positive(key: jax.Array) -> jax.Array:
    """A matrix that has every factorisation."""
    a = jax.random.normal(key, (4, 4))
    return a @ a.T + jnp.eye(4)


def factorising(name: str) -> Callable[..., dict[str, jax.Array]]:
    def train(key: jax.Array, lr: jax.Array) -> dict[str, jax.Array]:
        return {"loss": lr * LINEAR[name](positive(key)).sum()}

    return train


@pytest.mark.parametrize("name", LINEAR)
def test_what_factorises_runs_on_one_device_and_says_so(name: str) -> None:
    given = plan(factorising(name), grid(lr=[0.1, 0.2, 0.3, 0.4]))
    assert given.shape.devices == 1
    assert "on one device: several would wait for each other in" in given.form


@pytest.mark.parametrize("place", ["start", "a condition in a loop"])
def test_a_factorisation_is_seen_wherever_it_is(place: str) -> None:
    def init(key: jax.Array, hp: Any) -> jax.Array:
        return jnp.linalg.inv(positive(key)) if place == "start" else positive(key)

    def advance(carry: jax.Array, key: jax.Array, hp: Any) -> Any:
        def body(i: jax.Array, a: jax.Array) -> jax.Array:
            return jax.lax.cond(i > 1, jnp.linalg.inv if place != "start" else (lambda a: a), lambda a: a, a)

        carry = jax.lax.fori_loop(0, 3, body, carry)
        return carry, {"loss": hp["lr"] * carry.sum()}

    assert plan(jaxlr.run(init, advance, length=2), grid(lr=[0.1, 0.2])).shape.devices == 1


def test_the_attributes_and_a_warning_say_it_where_devices_were_asked_for() -> None:
    with pytest.warns(UserWarning, match="devices: the sweep runs side by side"):
        ds = jaxlr.sweep(factorising("qr"), grid(lr=[0.1, 0.2]), devices=2)
    assert "on one device" in ds.attrs["form"]


def multiplying(size: int) -> Callable[..., dict[str, jax.Array]]:
    def train(key: jax.Array, lr: jax.Array) -> dict[str, jax.Array]:
        a = lr * jax.random.normal(key, (size, size))
        return {"loss": (a @ a).sum()}

    return train


@pytest.mark.parametrize(
    ("size", "devices", "form"),
    [(8, 1, "side by side"), (72, 1, "side by side"), (72, 2, "in turn"), (128, 1, "in turn")],
)
def test_large_products_are_computed_in_turn(size: int, devices: int, form: str) -> None:
    given = plan(multiplying(size), grid(lr=[0.1, 0.2, 0.3, 0.4]), devices=devices)
    assert given.form.startswith(f"{form}: products of")
    assert given.shape.devices == devices


def test_convolutions_are_computed_a_few_at_a_time() -> None:
    def train(key: jax.Array, lr: jax.Array) -> dict[str, jax.Array]:
        kernel = lr * jax.random.normal(key, (3, 3, 1, 2))
        out = jax.lax.conv_general_dilated(
            jnp.ones((2, 8, 8, 1)), kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        return {"loss": out.sum()}

    given = plan(train, grid(lr=[0.01 * k for k in range(1, 41)]), devices=1)
    assert given.form == "side by side: convolutions"
    assert given.shape.settings <= 16


@pytest.mark.parametrize(("settings", "seeds"), [(21, 3), (65, 1), (7, 10), (64, 3)])
def test_blocks_are_even(settings: int, seeds: int) -> None:
    """Less than a sixth of what is computed is thrown away."""
    given = plan(multiplying(4), grid(lr=[0.01 * k for k in range(1, settings + 1)]), seeds=seeds, devices=1)
    members = given.blocks * given.shape.settings * given.shape.seeds
    assert settings * seeds <= members < 1.2 * settings * seeds


@pytest.mark.parametrize("devices", [1, 2])
def test_members_in_turn_are_those_side_by_side_up_to_rounding(devices: int) -> None:
    run, space = multiplying(128), grid(lr=[0.1, 0.2, 0.3, 0.4])
    ds = jaxlr.sweep(run, space, seeds=2, devices=devices)
    assert ds.attrs["form"].startswith("in turn")
    for i, lr in enumerate([0.1, 0.2, 0.3, 0.4]):
        for seed in range(2):
            alone = run(jax.random.fold_in(jax.random.key(0), seed), jnp.float32(lr))["loss"]
            assert float(ds["loss"][i, seed]) == pytest.approx(float(alone), rel=1e-3, abs=1e-2)
