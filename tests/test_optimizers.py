"""Keras 2.3.1's optimizers against their formulas in NumPy float64, as Optax transformations."""

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

from jaxlr import optimizers, schedules

GRADIENTS = np.random.default_rng(0).normal(size=(12, 3)) * [1.0, 1e-3, 30.0]
EPSILON = 1e-7


def keras_sgd(momentum: float, nesterov: bool) -> Callable[..., Any]:
    def step(t: int, g: np.ndarray, slots: list, rate: float) -> np.ndarray:
        slots[0] = momentum * slots[0] - rate * g
        return momentum * slots[0] - rate * g if nesterov else slots[0]

    return step


def keras_rmsprop(t: int, g: np.ndarray, slots: list, rate: float) -> np.ndarray:
    slots[0] = 0.9 * slots[0] + 0.1 * g**2
    return -rate * g / (np.sqrt(slots[0]) + EPSILON)


def keras_adagrad(t: int, g: np.ndarray, slots: list, rate: float) -> np.ndarray:
    slots[0] = slots[0] + g**2
    return -rate * g / (np.sqrt(slots[0]) + EPSILON)


def keras_adam(t: int, g: np.ndarray, slots: list, rate: float) -> np.ndarray:
    slots[0] = 0.9 * slots[0] + 0.1 * g
    slots[1] = 0.999 * slots[1] + 0.001 * g**2
    return -rate * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) * slots[0] / (np.sqrt(slots[1]) + EPSILON)


def keras_adadelta(t: int, g: np.ndarray, slots: list, rate: float) -> np.ndarray:
    slots[0] = 0.95 * slots[0] + 0.05 * g**2
    update = g * np.sqrt(slots[1] + EPSILON) / np.sqrt(slots[0] + EPSILON)
    slots[1] = 0.95 * slots[1] + 0.05 * update**2
    return -rate * update


CASES = {
    "sgd": (optimizers.sgd(), keras_sgd(0.0, False), 0.01),
    "momentum": (optimizers.sgd(0.1, momentum=0.9), keras_sgd(0.9, False), 0.1),
    "nesterov": (optimizers.sgd(0.1, momentum=0.9, nesterov=True), keras_sgd(0.9, True), 0.1),
    "rmsprop": (optimizers.rmsprop(), keras_rmsprop, 0.001),
    "adagrad": (optimizers.adagrad(), keras_adagrad, 0.01),
    "adam": (optimizers.adam(), keras_adam, 0.001),
    "adadelta": (optimizers.adadelta(), keras_adadelta, 1.0),
}


@pytest.mark.parametrize("name", CASES)
def test_steps_are_keras(name: str) -> None:
    transformation, keras, rate = CASES[name]
    slots: list = [np.zeros(3), np.zeros(3)]
    params = jnp.zeros(3)
    state = transformation.init(params)
    for t, g in enumerate(GRADIENTS, 1):
        step, state = transformation.update(jnp.asarray(g, jnp.float32), state, params)
        np.testing.assert_allclose(step, keras(t, g, slots, rate), rtol=2e-5, atol=1e-12)
        assert float(state.learning_rate) == pytest.approx(rate)
        assert int(state.count) == t


def test_the_rate_is_inside_the_velocity() -> None:
    schedule = schedules.time_decay(0.1, 0.5)
    ours = optimizers.sgd(schedule, momentum=0.9)
    optaxs = optax.sgd(schedule, momentum=0.9)
    slots: list = [np.zeros(3)]
    state, other = ours.init(jnp.zeros(3)), optaxs.init(jnp.zeros(3))
    for t, g in enumerate(GRADIENTS):
        step, state = ours.update(jnp.asarray(g, jnp.float32), state)
        trace, other = optaxs.update(jnp.asarray(g, jnp.float32), other)
        np.testing.assert_allclose(step, keras_sgd(0.9, False)(t, g, slots, 0.1 / (1 + 0.5 * t)), rtol=1e-5, atol=1e-9)
    assert np.abs(step - trace).max() > 1e-3, "with a changing rate Optax's momentum is another"


def test_a_plain_momentum_of_zero_carries_no_velocity() -> None:
    plain, traced = optimizers.sgd(0.1), optimizers.sgd(0.1, momentum=jnp.float32(0))
    state, other = plain.init(jnp.zeros(3)), traced.init(jnp.zeros(3))
    for g in GRADIENTS:
        step, state = plain.update(jnp.asarray(g, jnp.float32), state)
        same, other = traced.update(jnp.asarray(g, jnp.float32), other)
        np.testing.assert_array_equal(step, same)
    assert (len(state.moments), len(other.moments)) == (0, 1)


@pytest.mark.parametrize("name", optimizers.names)
def test_every_number_may_be_traced(name: str) -> None:
    factory = getattr(optimizers, name)
    numbers = {
        key: parameter.default
        for key, parameter in inspect.signature(factory).parameters.items()
        if isinstance(parameter.default, float)
    }

    def first_step(**given: Any) -> jax.Array:
        transformation = factory(**given)
        return transformation.update(jnp.array([0.5]), transformation.init(jnp.zeros(1)))[0]

    for key, value in numbers.items():
        values = jnp.array([value, value / 2 + 0.1])
        batched = jax.jit(jax.vmap(lambda v, key=key: first_step(**{key: v})))(values)
        looped = jnp.stack([first_step(**{key: float(v)}) for v in values])
        np.testing.assert_allclose(batched, looped, rtol=1e-5)


@pytest.mark.parametrize("name", optimizers.names)
def test_bfloat16_parameters_stay_so(name: str) -> None:
    params = {"w": jnp.ones(3, jnp.bfloat16)}
    transformation = optimizers.get(name, 0.1)
    state = transformation.init(params)
    for _ in range(2):
        step, new = transformation.update({"w": jnp.ones(3, jnp.bfloat16)}, state, params)
        assert jax.tree.map(lambda a: a.dtype, new) == jax.tree.map(lambda a: a.dtype, state)
        params, state = optax.apply_updates(params, step), new
    assert params["w"].dtype == jnp.bfloat16
    assert state.learning_rate.dtype == jnp.float32


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: optimizers.sgd(-0.1), "learning_rate must be zero or more, got -0.1"),
        (lambda: optimizers.adam(float("nan")), "learning_rate must be finite, got nan"),
        (lambda: optimizers.sgd(0.1, momentum=1.5), "momentum must be between 0 and 1, got 1.5"),
        (lambda: optimizers.rmsprop(rho=-0.1), "rho must be between 0 and 1"),
        (lambda: optimizers.adagrad(epsilon=-1), "epsilon must be zero or more, got -1"),
        (lambda: optimizers.get("adamw"), "name must be one of adadelta, adagrad, adam, rmsprop, sgd; got 'adamw'"),
    ],
)
def test_bad_input(build: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


def known_to_optax() -> list[str]:
    return sorted(optimizers._of_optax())


@pytest.mark.filterwarnings("ignore:`optimistic_adam` is deprecated")
@pytest.mark.parametrize("name", [*known_to_optax(), *(f"keras:{name}" for name in optimizers.names)])
def test_every_name_gives_what_it_names(name: str) -> None:
    factory = optimizers.named(name)
    assert "learning_rate" in inspect.signature(factory).parameters
    plain = name.removeprefix("keras:")
    module = optimizers if plain != name else (optax if plain in vars(optax) else optax.contrib)
    assert factory.func is getattr(module, plain)


def test_all_of_the_face_of_optax_is_named() -> None:
    assert {"sgd", "adam", "adamw", "lbfgs", "lion", "muon", "prodigy", "schedule_free_adamw"} < set(known_to_optax())
    assert len(known_to_optax()) > 35


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("adamw", {}),
        (
            " adamw( weight_decay=0.1, nesterov=True, mask=None ) ",
            {"weight_decay": 0.1, "nesterov": True, "mask": None},
        ),
        ("keras:sgd(momentum=-0)", {"momentum": 0}),
        ("adafactor(decay_offset=-3)", {"decay_offset": -3}),
    ],
)
def test_arguments_in_the_text(text: str, expected: dict[str, Any]) -> None:
    assert optimizers.named(text).keywords == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "adam()()",
        "adamw(0.1)",
        "adamw(b3=1)",
        "adamw(mask=print)",
        "adamw(**{'b1': 1})",
        "keras:lion",
        "keras:",
        "optax.adam",
        "scale_by_adam",
        "adam(b1=(lambda: 1)())",
        "(" * 5000,
        "adam(b1=" + "-" * 50_000 + "1)",
        "adam\0",
    ],
)
def test_hostile_names_are_value_errors(text: str) -> None:
    with pytest.raises(ValueError, match="must"):
        optimizers.named(text)
