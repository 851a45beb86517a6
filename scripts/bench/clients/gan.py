"""A generative adversarial net that learns a ring of eight clusters; its own pair of functions, two optimizers."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen

import jaxlr
from scripts.bench.clients.program import Way, whole

AXIS = {"learning_rate": np.geomspace(1e-4, 1e-2, 8)}


class Size(NamedTuple):
    """How large a training is."""

    epochs: int = 10
    updates: int = 20
    batch: int = 128
    width: int = 64
    latent: int = 8


class Net(linen.Module):
    """Two hidden layers."""

    width: int
    outputs: int

    @linen.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for _ in range(2):
            x = linen.leaky_relu(linen.Dense(self.width)(x))
        return linen.Dense(self.outputs)(x)


def ring(key: jax.Array, size: int) -> jax.Array:
    """Points of eight clusters on a circle."""
    where, noise = jax.random.split(key)
    angle = jax.random.randint(where, (size,), 0, 8).astype(jnp.float32) * (jnp.pi / 4)
    return jnp.stack([jnp.cos(angle), jnp.sin(angle)], -1) + 0.05 * jax.random.normal(noise, (size, 2))


def pair(size: Size) -> tuple[Any, Any]:
    """`init(key, hp)` and `advance(carry, key, hp)`, an epoch."""
    generator, critic = Net(size.width, 2), Net(size.width, 1)

    def optimizers(hp: Any) -> tuple[Any, Any]:
        return optax.adam(hp["learning_rate"], b1=0.5), optax.adam(2 * hp["learning_rate"], b1=0.5)

    def init(key: jax.Array, hp: Any) -> Any:
        first, second = jax.random.split(key)
        nets = (generator.init(first, jnp.zeros((1, size.latent))), critic.init(second, jnp.zeros((1, 2))))
        return nets, tuple(optimizer.init(net) for optimizer, net in zip(optimizers(hp), nets, strict=True))

    def made(params: Any, key: jax.Array) -> jax.Array:
        return generator.apply(params, jax.random.normal(key, (size.batch, size.latent)))

    def g_loss(params: Any, judge: Any, key: jax.Array) -> jax.Array:
        return jax.nn.softplus(-critic.apply(judge, made(params, key))).mean()

    def d_loss(judge: Any, params: Any, key: jax.Array, real: jax.Array) -> jax.Array:
        fake = critic.apply(judge, made(params, key))
        return (jax.nn.softplus(-critic.apply(judge, real)) + jax.nn.softplus(fake)).mean()

    def advance(carry: Any, key: jax.Array, hp: Any) -> Any:
        def update(carry: Any, key: jax.Array) -> Any:
            (params, judge), (state, judges) = carry
            optimizer, other = optimizers(hp)
            data_key, noise_key, other_key = jax.random.split(key, 3)
            d, grads = jax.value_and_grad(d_loss)(judge, params, noise_key, ring(data_key, size.batch))
            steps, judges = other.update(grads, judges)
            judge = optax.apply_updates(judge, steps)
            g, grads = jax.value_and_grad(g_loss)(params, judge, other_key)
            steps, state = optimizer.update(grads, state)
            return ((optax.apply_updates(params, steps), judge), (state, judges)), {"g_loss": g, "d_loss": d}

        carry, seen = jax.lax.scan(update, carry, jax.random.split(key, size.updates))
        return carry, {name: values.mean() for name, values in seen.items()}

    return init, advance


def alone(size: Size) -> dict[str, Way]:
    """The program without jaxlr."""
    init, advance = pair(size)

    def train(key: jax.Array, learning_rate: Any) -> Any:
        hp = {"learning_rate": learning_rate}

        def epoch(carry: Any, number: jax.Array) -> Any:
            return advance(carry, jax.random.fold_in(key, number), hp)

        return jax.lax.scan(epoch, init(jax.random.fold_in(key, 0), hp), jnp.arange(1, size.epochs + 1))[1]

    return whole(train)


def with_jaxlr(size: Size) -> Any:
    """What is handed to `jaxlr.sweep`."""
    return jaxlr.run(*pair(size), length=size.epochs)
