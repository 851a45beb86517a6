"""Written by hand in JAX, Flax and Optax, as the tutorials do it: batch-major, a scan over batches and epochs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen

from scripts.bench.points import BATCH, Points

__all__ = ["compiled_anew", "compiled_once", "training", "vmapped"]


class _Net(linen.Module):
    @linen.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = linen.relu(linen.Dense(50, kernel_init=linen.initializers.he_uniform())(x))
        return linen.Dense(3)(x)


def training(points: Points, epochs: int) -> Callable[[Any, jax.Array], tuple[jax.Array, ...]]:
    """`train(rate, key) -> train loss, test loss and test accuracy of each epoch [epochs]`."""
    net: Any = _Net()
    full, rest = divmod(len(points.x), BATCH)

    def loss(params: Any, x: jax.Array, y: jax.Array) -> jax.Array:
        logits = net.apply(params, x)
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

    def train(rate: Any, key: jax.Array) -> tuple[jax.Array, ...]:
        optimizer = optax.sgd(rate)
        params = net.init(key, points.x[:1])

        def update(carry: Any, batch: tuple[jax.Array, jax.Array]) -> tuple[Any, jax.Array]:
            params, state = carry
            value, grads = jax.value_and_grad(loss)(params, *batch)
            updates, state = optimizer.update(grads, state, params)
            return (optax.apply_updates(params, updates), state), value

        def epoch(carry: Any, key: jax.Array) -> tuple[Any, tuple[jax.Array, ...]]:
            order = jax.random.permutation(key, len(points.x))
            x, y = jnp.asarray(points.x)[order], jnp.asarray(points.y)[order]
            split = full * BATCH
            batches = x[:split].reshape(full, BATCH, -1), y[:split].reshape(full, BATCH)
            carry, losses = jax.lax.scan(update, carry, batches)
            if rest:
                carry, last = update(carry, (x[split:], y[split:]))
                losses = jnp.append(losses, last)
            logits = net.apply(carry[0], points.x_test)
            test_loss = optax.softmax_cross_entropy_with_integer_labels(logits, points.y_test).mean()
            accuracy = (logits.argmax(-1) == points.y_test).mean()
            return carry, (losses.mean(), test_loss, accuracy)

        carry = params, optimizer.init(params)
        return jax.lax.scan(epoch, carry, jax.random.split(key, epochs))[1]

    return train


def vmapped(points: Points, epochs: int) -> Callable[[np.ndarray], np.ndarray]:
    """All rates at once: `jit(vmap(train))`."""
    train = jax.jit(jax.vmap(training(points, epochs), (0, None)))
    return lambda rates: _last(train(jnp.asarray(rates, jnp.float32), jax.random.key(0)))


def compiled_once(points: Points, epochs: int) -> Callable[[np.ndarray], np.ndarray]:
    """`jit(train)`, called for one rate after the other."""
    train = jax.jit(training(points, epochs))
    return lambda rates: np.array([_last(train(jnp.float32(rate), jax.random.key(0))) for rate in rates])


def compiled_anew(points: Points, epochs: int) -> Callable[[np.ndarray], np.ndarray]:
    """`jit(train)` with the rate as a Python number inside, as a script for one run has it."""

    def one(rate: float) -> Any:
        train = training(points, epochs)
        return _last(jax.jit(lambda key: train(rate, key))(jax.random.key(0)))

    return lambda rates: np.array([one(float(rate)) for rate in rates])


def _last(curves: Any) -> np.ndarray:
    """The accuracy after the last epoch; all curves come to the host, as the sweep's do."""
    return np.asarray(jax.device_get(curves)[2])[..., -1]
