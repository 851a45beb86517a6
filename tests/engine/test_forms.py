"""The form that members are trained in: by what their program computes, never by a clock."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import ClosedJaxpr, jaxpr_as_fun

import jaxlr
from jaxlr import grid, plan
from jaxlr.engine.jaxprs import FACTORISATIONS, canonical, equations

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
def test_what_is_factorised_one_by_one_is_said(name: str) -> None:
    given = plan(factorising(name), grid(lr=[0.1, 0.2, 0.3, 0.4]), devices=2)
    assert "; one matrix at a time: " in given.form
    assert given.shape.devices == 2


@pytest.mark.parametrize("name", LINEAR)
def test_no_call_factorises_several_matrices(name: str) -> None:
    """Of one matrix a call does not wait for the threads that others hold, and the numbers are the same."""
    keys, rates = jax.random.split(jax.random.key(0), 6).reshape(2, 3), jnp.arange(1.0, 3.0)
    mapped = jax.vmap(jax.vmap(factorising(name), (0, None)))
    program = jax.make_jaxpr(lambda *args: mapped(*args)["loss"])(keys, rates)
    alone = canonical(program)
    assert most_axes(program) > 2 or name == "orthogonal"
    assert most_axes(alone) == 2
    np.testing.assert_allclose(jaxpr_as_fun(alone)(keys, rates)[0], mapped(keys, rates)["loss"], rtol=1e-5)


def most_axes(program: ClosedJaxpr) -> int:
    """Axes of what is factorised."""
    found = [e for e in equations(program) if e.primitive.name in FACTORISATIONS]
    return max(len(atom.aval.shape) for equation in found for atom in equation.invars)


def test_a_factorisation_inside_loops_and_conditions_and_its_gradient_are_rewritten_too() -> None:
    def loss(a: jax.Array) -> jax.Array:
        def body(i: jax.Array, a: jax.Array) -> jax.Array:
            return jax.lax.cond(i > 1, jnp.linalg.inv, lambda a: a, a)

        return jax.lax.fori_loop(0, 3, body, a).sum() + jnp.linalg.slogdet(a)[1]

    many = jax.vmap(positive)(jax.random.split(jax.random.key(0), 3))
    for function in (jax.vmap(loss), jax.vmap(lambda a: jax.jvp(loss, (a,), (a,))[1])):
        alone = canonical(jax.make_jaxpr(function)(many))
        assert most_axes(alone) == 2
        np.testing.assert_allclose(jaxpr_as_fun(alone)(many)[0], function(many), rtol=1e-4)


def test_a_sweep_that_factorises_is_the_function_itself() -> None:
    train, rates = factorising("inv"), [0.1, 0.2, 0.3]
    ds = jaxlr.sweep(train, grid(lr=rates), seeds=2, devices=2)
    assert "one matrix at a time: lu" in ds.attrs["form"]
    keys = [jax.random.fold_in(jax.random.key(0), seed) for seed in range(2)]
    expected = [[float(train(key, jnp.float32(lr))["loss"]) for key in keys] for lr in rates]
    np.testing.assert_allclose(ds["loss"], expected, rtol=1e-4)


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
