"""Modules as people write them: how they are called is read off their signatures."""

from __future__ import annotations

from typing import Any

import equinox
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx

from jaxlr.tasks.models import model

X = jnp.asarray(np.random.default_rng(0).normal(size=(6, 4)), jnp.float32)


class LinenMode(linen.Module):
    """Dropout, told by the word that a subclass takes."""

    def dropped(self, x: jax.Array, off: bool) -> jax.Array:
        return linen.Dropout(0.5, deterministic=off)(linen.Dense(8, name="dense")(x))


class Deterministic(LinenMode):
    @linen.compact
    def __call__(self, x: jax.Array, deterministic: bool) -> jax.Array:
        return self.dropped(x, deterministic)


class Training(LinenMode):
    @linen.compact
    def __call__(self, x: jax.Array, *, training: bool = False) -> jax.Array:
        return self.dropped(x, not training)


class IsEval(LinenMode):
    @linen.compact
    def __call__(self, x: jax.Array, is_eval: bool) -> jax.Array:
        return self.dropped(x, is_eval)


class Stream(linen.Module):
    """A stream of its own name, drawn from while training and evaluating."""

    @linen.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return linen.Dense(8)(x) + jax.random.normal(self.make_rng("noise"), (len(x), 8))


class WithRngs(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.dense, self.dropout = nnx.Linear(4, 8, rngs=rngs), nnx.Dropout(0.5)

    def __call__(self, x: jax.Array, rngs: nnx.Rngs) -> jax.Array:
        return self.dropout(self.dense(x), rngs=rngs)


class OwnRngs(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.dense, self.dropout = nnx.Linear(4, 8, rngs=rngs), nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.dropout(self.dense(x))


class WithKey(equinox.Module):
    """An Equinox module that maps one example and takes the key of its dropout."""

    dense: equinox.nn.Linear
    dropout: equinox.nn.Dropout

    def __init__(self, key: jax.Array) -> None:
        self.dense, self.dropout = equinox.nn.Linear(4, 8, key=key), equinox.nn.Dropout(0.5)

    def __call__(self, x: jax.Array, key: jax.Array) -> jax.Array:
        return self.dropout(self.dense(x), key=key)


DROPPING = {
    "linen, deterministic": Deterministic(),
    "linen, training": Training(),
    "linen, is_eval": IsEval(),
    "nnx, rngs": WithRngs,
    "equinox, key": WithKey,
}


def outputs(module: Any, x: Any, key: jax.Array | None) -> np.ndarray:
    built = model(module, jax.tree.map(lambda part: part[:1], x))
    start = jax.random.key(0)
    return np.asarray(built.apply(built.init(start), built.init_state(start), x, key)[0])


@pytest.mark.parametrize("name", DROPPING)
def test_it_drops_while_training_and_by_the_key_alone(name: str) -> None:
    module = DROPPING[name]
    first, again, other = (outputs(module, X, jax.random.key(k)) for k in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert 0.2 < (first == 0).mean() < 0.8
    assert len({tuple(row) for row in (first == 0).tolist()}) > 1, "every example drops its own"
    evaluated = outputs(module, X, None)
    assert (evaluated != 0).all()
    np.testing.assert_allclose(first[first != 0], 2 * evaluated[first != 0], rtol=1e-5)


def test_a_stream_of_ones_own_moves_on_with_the_state() -> None:
    built, key = model(OwnRngs, X[:1]), jax.random.key(0)
    params, state = built.init(key), built.init_state(key)
    first, after = built.apply(params, state, X, key)
    other, _ = built.apply(params, after, X, key)
    assert (first != other).any()


def test_a_stream_by_another_name_is_found() -> None:
    first, other = (outputs(Stream(), X, jax.random.key(k)) for k in (1, 2))
    assert (first != other).any()
    np.testing.assert_array_equal(outputs(Stream(), X, None), outputs(Stream(), X, None))


class Two(linen.Module):
    @linen.compact
    def __call__(self, left: jax.Array, right: jax.Array) -> jax.Array:
        return linen.Dense(2)(left) - 2 * linen.Dense(2)(right)


class ByKeys(linen.Module):
    @linen.compact
    def __call__(self, inputs: dict[str, jax.Array]) -> jax.Array:
        return Two()(inputs["left"], inputs["right"])


@pytest.mark.parametrize("x", [(X, X + 1), {"right": X + 1, "left": X}], ids=["tuple", "dictionary by name"])
def test_several_inputs_are_given_by_place_or_by_name(x: Any) -> None:
    np.testing.assert_array_equal(outputs(Two(), x, None), outputs(Two(), (X, X + 1), None))


def test_a_dictionary_goes_whole_to_a_single_argument() -> None:
    assert outputs(ByKeys(), {"left": X, "right": X + 1}, None).shape == (6, 2)


class Unknown(linen.Module):
    @linen.compact
    def __call__(self, x: jax.Array, temperature: float) -> jax.Array:
        return linen.Dense(2)(x) / temperature


def test_an_argument_that_nothing_is_known_of_is_named_with_a_way_out() -> None:
    with pytest.raises(TypeError, match=r"got one that takes x, temperature\. Wrap it in a pair \(init, apply\)"):
        model(Unknown(), X[:1])
