"""A small GPT whose embedding is its output layer too (Linen), on a text that repeats itself."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
from flax import linen

import jaxlr
from scripts.bench.clients.program import Plain, Way, shuffled, ways_of

AXIS = {"learning_rate": np.geomspace(1e-4, 1e-2, 8)}


class Size(NamedTuple):
    """How large a training is."""

    epochs: int = 2
    examples: int = 96
    context: int = 64
    batch: int = 16
    width: int = 64
    layers: int = 2
    heads: int = 4
    vocabulary: int = 64


class GPT(linen.Module):
    """Attention to what came before, in blocks with normalisation first."""

    size: Size

    @linen.compact
    def __call__(self, tokens: jax.Array) -> jax.Array:
        size = self.size
        embedding = linen.Embed(size.vocabulary, size.width)
        position = self.param("position", linen.initializers.normal(0.02), (tokens.shape[1], size.width))
        x, mask = embedding(tokens) + position[None], linen.make_causal_mask(tokens)
        for _ in range(size.layers):
            x += linen.MultiHeadDotProductAttention(size.heads)(linen.LayerNorm()(x), mask=mask)
            hidden = linen.gelu(linen.Dense(4 * size.width)(linen.LayerNorm()(x)))
            x += linen.Dense(size.width)(hidden)
        return embedding.attend(linen.LayerNorm()(x))


def text(size: Size) -> np.ndarray:
    """Tokens `[N, T + 1]`, each row counting on by a step of its own."""
    rng = np.random.default_rng(0)
    start, step = rng.integers(0, size.vocabulary, (2, size.examples, 1))
    return ((start + step * np.arange(size.context + 1)) % size.vocabulary).astype(np.int32)


def next_token(logits: jax.Array, tokens: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Each sequence's loss, the mean over its tokens `[N, T]`."""
    return optax.softmax_cross_entropy_with_integer_labels(logits, tokens).mean(-1), {}


def alone(size: Size) -> dict[str, Way]:
    """The program without jaxlr."""
    tokens, net = text(size), GPT(size)

    def init(key: jax.Array, learning_rate: Any) -> Any:
        params = net.init(key, tokens[:1, :-1])
        return params, optax.adamw(learning_rate).init(params)

    def loss(params: Any, tokens: jax.Array) -> jax.Array:
        logits = net.apply(params, tokens[:, :-1])
        return optax.softmax_cross_entropy_with_integer_labels(logits, tokens[:, 1:]).mean()

    def update(carry: Any, tokens: Any, key: jax.Array, learning_rate: Any) -> Any:
        params, state = carry
        value, grads = jax.value_and_grad(loss)(params, tokens)
        steps, state = optax.adamw(learning_rate).update(grads, state, params)
        return (optax.apply_updates(params, steps), state), {"loss": value}

    return ways_of(Plain(init, update, lambda carry: {}, tokens, size.batch, size.epochs))


def with_jaxlr(size: Size) -> Any:
    """What is handed to `jaxlr.sweep`."""
    tokens = text(size)
    task = jaxlr.tasks.supervised(GPT(size), next_token, tokens[:, :-1], tokens[:, 1:])
    order = functools.partial(shuffled, examples=size.examples)
    return jaxlr.experiment(task, optax.adamw, epochs=size.epochs, batch_size=size.batch, order=order)
