"""A variational autoencoder whose weight of the divergence, beta, is swept (Linen)."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen

import jaxlr
from scripts.bench.clients.program import Plain, Way, shuffled, ways_of

AXIS = {"beta": [0.1, 0.3, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0]}
RATE = 1e-3


class Size(NamedTuple):
    """How large a training is."""

    epochs: int = 4
    examples: int = 512
    pixels: int = 784
    width: int = 256
    latent: int = 16
    batch: int = 64


class Autoencoder(linen.Module):
    """An encoder to a normal distribution, a draw of it, and a decoder to logits of pixels."""

    size: Size

    @linen.compact
    def __call__(self, x: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        size = self.size
        hidden = linen.relu(linen.Dense(size.width)(x))
        mean, log_variance = linen.Dense(size.latent)(hidden), linen.Dense(size.latent)(hidden)
        drawn = mean + jnp.exp(0.5 * log_variance) * jax.random.normal(key, mean.shape)
        return linen.Dense(size.pixels)(linen.relu(linen.Dense(size.width)(drawn))), mean, log_variance


def objective(outputs: Any, pixels: jax.Array, beta: Any = 1.0) -> tuple[jax.Array, dict[str, jax.Array]]:
    """The negative bound on the likelihood of each example, its divergence weighed, and its two terms."""
    logits, mean, log_variance = outputs
    reconstruction = optax.sigmoid_binary_cross_entropy(logits, pixels).sum(-1)
    divergence = 0.5 * (jnp.exp(log_variance) + mean**2 - 1 - log_variance).sum(-1)
    return reconstruction + beta * divergence, {"reconstruction": reconstruction, "divergence": divergence}


def images(size: Size) -> tuple[np.ndarray, np.ndarray]:
    """Black-and-white pictures with a few causes: to train on, and to test on."""
    rng = np.random.default_rng(0)
    causes = rng.normal(size=(size.examples * 5 // 4, 4)) @ rng.normal(size=(4, size.pixels))
    pixels = (causes > 0).astype(np.float32)
    return pixels[: size.examples], pixels[size.examples :]


def alone(size: Size) -> dict[str, Way]:
    """The program without jaxlr."""
    pixels, test_pixels = images(size)
    net, optimizer = Autoencoder(size), optax.adam(RATE)

    def init(key: jax.Array, beta: Any) -> Any:
        params = net.init(key, pixels[:1], key)["params"]
        return params, optimizer.init(params), jnp.asarray(beta, float)

    def loss(params: Any, pixels: jax.Array, key: jax.Array, beta: Any) -> Any:
        losses, terms = objective(net.apply({"params": params}, pixels, key), pixels, beta)
        return losses.mean(), {"loss": losses.mean()} | {name: term.mean() for name, term in terms.items()}

    def update(carry: Any, pixels: Any, key: jax.Array, beta: Any) -> Any:
        params, state, _ = carry
        grads, metrics = jax.grad(loss, has_aux=True)(params, pixels, key, beta)
        steps, state = optimizer.update(grads, state)
        return (optax.apply_updates(params, steps), state, carry[2]), metrics

    def test(carry: Any) -> dict[str, Any]:
        metrics = loss(carry[0], test_pixels, jax.random.key(0), carry[2])[1]
        return {f"val_{name}": value for name, value in metrics.items()}

    return ways_of(Plain(init, update, test, pixels, size.batch, size.epochs))


def with_jaxlr(size: Size) -> Any:
    """What is handed to `jaxlr.sweep`."""
    x, x_test = images(size)
    task = jaxlr.tasks.supervised(Autoencoder(size), objective, x, x, x_test, x_test)
    order = functools.partial(shuffled, examples=size.examples)
    adam = functools.partial(optax.adam, RATE)
    return jaxlr.experiment(task, adam, objective=objective, epochs=size.epochs, batch_size=size.batch, order=order)
