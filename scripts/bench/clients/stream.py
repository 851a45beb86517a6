"""A dense net on batches that a loader makes on the host, as if the data did not fit in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen

import jaxlr
from scripts.bench.clients.program import Arrays, Way

AXIS = {"learning_rate": np.geomspace(1e-4, 1e-2, 8)}


class Size(NamedTuple):
    """How large a training is."""

    epochs: int = 3
    batches: int = 32
    batch: int = 64
    features: int = 256
    width: int = 128


class Net(linen.Module):
    """Two hidden layers."""

    width: int

    @linen.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for _ in range(2):
            x = linen.relu(linen.Dense(self.width)(x))
        return linen.Dense(10)(x)


class Loader:
    """A seed's batches of an epoch, shuffled."""

    def __init__(self, size: Size) -> None:
        rng = np.random.default_rng(0)
        self.size = size
        self.y = np.arange(size.batches * size.batch, dtype=np.int32) % 10
        self.x = rng.normal(size=(10, size.features)).astype(np.float32)[self.y]
        self.x += rng.normal(size=self.x.shape).astype(np.float32)

    def __call__(self, seed: int, epoch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        order = np.random.default_rng((seed, epoch)).permutation(len(self.y))
        for rows in order.reshape(self.size.batches, self.size.batch):
            yield self.x[rows], self.y[rows]


def alone(size: Size) -> dict[str, Way]:
    """The program without jaxlr: the loader is read once for each training, or once for all rates of a seed."""
    net, loader = Net(size.width), Loader(size)

    def init(key: jax.Array, learning_rate: Any) -> Any:
        params = net.init(jax.random.fold_in(key, 0), jnp.zeros((1, size.features)))
        return params, optax.adam(learning_rate).init(params)

    def update(carry: Any, x: jax.Array, y: jax.Array, learning_rate: Any) -> Any:
        def loss(params: Any) -> Any:
            logits = net.apply(params, x)
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, y)
            return losses.mean(), (logits.argmax(-1) == y).mean()

        params, state = carry
        (value, accuracy), grads = jax.value_and_grad(loss, has_aux=True)(params)
        steps, state = optax.adam(learning_rate).update(grads, state)
        return (optax.apply_updates(params, steps), state), {"loss": value, "accuracy": accuracy}

    begin, one = jax.jit(init), jax.jit(update)
    begin_all = jax.jit(jax.vmap(init, (None, 0)))
    together = jax.jit(jax.vmap(update, (0, None, None, 0)))

    def trained(begin: Any, update: Any, seed: int, value: Any) -> Arrays:
        carry, curves = begin(jax.random.fold_in(jax.random.key(0), seed), value), []
        for epoch in range(1, size.epochs + 1):
            seen = []
            for x, y in loader(seed, epoch):
                carry, metrics = update(carry, x, y, value)
                seen.append(metrics)
            curves.append({name: np.mean([metrics[name] for metrics in seen], axis=0) for name in seen[0]})
        return {name: np.stack([metrics[name] for metrics in curves], -1) for name in curves[0]}

    def loop(values: Sequence[float], seeds: int) -> Arrays:
        rows = [[trained(begin, one, seed, value) for seed in range(seeds)] for value in values]
        return {name: np.array([[metrics[name] for metrics in row] for row in rows]) for name in rows[0][0]}

    def vmap(values: Sequence[float], seeds: int) -> Arrays:
        found = [trained(begin_all, together, seed, jnp.asarray(values)) for seed in range(seeds)]
        return {name: np.stack([metrics[name] for metrics in found], 1) for name in found[0]}

    return {"vmap": vmap, "loop": loop}


def with_jaxlr(size: Size) -> Any:
    """What is handed to `jaxlr.sweep`."""
    loader = Loader(size)
    task = jaxlr.tasks.streamed(Net(size.width), jaxlr.tasks.cross_entropy, loader, length=size.batches)
    return jaxlr.experiment(task, optax.adam, epochs=size.epochs)
