"""A convolutional net of images in Flax NNX, whose call takes the `rngs` of its dropout."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
from flax import nnx

import jaxlr
from scripts.bench.clients.program import Plain, Way, shuffled, ways_of

AXIS = {"learning_rate": np.geomspace(1e-4, 1e-2, 8)}


class Size(NamedTuple):
    """How large a training is."""

    epochs: int = 4
    examples: int = 256
    side: int = 16
    batch: int = 32
    channels: int = 8


class Net(nnx.Module):
    """Two convolutions and two dense layers."""

    def __init__(self, size: Size, rngs: nnx.Rngs) -> None:
        self.first = nnx.Conv(1, size.channels, (3, 3), strides=2, rngs=rngs)
        self.second = nnx.Conv(size.channels, 2 * size.channels, (3, 3), strides=2, rngs=rngs)
        self.dropout = nnx.Dropout(0.25)
        self.hidden = nnx.Linear(2 * size.channels * (size.side // 4) ** 2, 64, rngs=rngs)
        self.last = nnx.Linear(64, 10, rngs=rngs)

    def __call__(self, x: jax.Array, rngs: nnx.Rngs) -> jax.Array:
        for conv in (self.first, self.second):
            x = nnx.relu(conv(x))
        x = nnx.relu(self.hidden(x.reshape(len(x), -1)))
        return self.last(self.dropout(x, rngs=rngs))


def images(size: Size) -> tuple[np.ndarray, ...]:
    """Ten noisy patterns: train and test inputs and labels."""
    rng = np.random.default_rng(0)
    y = np.arange(size.examples) % 10
    x = rng.normal(size=(10, size.side, size.side, 1))[y] + rng.normal(size=(size.examples, size.side, size.side, 1))
    x, y, test = x.astype(np.float32), y.astype(np.int32), size.examples // 4
    return x, y, x[:test] + np.float32(0.1), y[:test]


def alone(size: Size) -> dict[str, Way]:
    """The program without jaxlr."""
    x, y, x_test, y_test = images(size)
    graph, _ = nnx.split(Net(size, nnx.Rngs(0)))

    def init(key: jax.Array, learning_rate: Any) -> Any:
        params = nnx.state(Net(size, nnx.Rngs(key)), nnx.Param)
        return params, optax.adam(learning_rate).init(params)

    def loss(params: Any, x: jax.Array, y: jax.Array, key: jax.Array, train: bool) -> Any:
        net = nnx.merge(graph, params)
        net.set_attributes(deterministic=not train)
        logits = net(x, rngs=nnx.Rngs(key))
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, y)
        return losses.mean(), (logits.argmax(-1) == y).mean()

    def update(carry: Any, batch: Any, key: jax.Array, learning_rate: Any) -> Any:
        params, state = carry
        (value, accuracy), grads = jax.value_and_grad(loss, has_aux=True)(params, *batch, key, True)
        steps, state = optax.adam(learning_rate).update(grads, state)
        return (optax.apply_updates(params, steps), state), {"loss": value, "accuracy": accuracy}

    def test(carry: Any) -> dict[str, Any]:
        value, accuracy = loss(carry[0], x_test, y_test, jax.random.key(0), False)
        return {"val_loss": value, "val_accuracy": accuracy}

    return ways_of(Plain(init, update, test, (x, y), size.batch, size.epochs))


def with_jaxlr(size: Size) -> Any:
    """What is handed to `jaxlr.sweep`."""
    task = jaxlr.tasks.classification(lambda rngs: Net(size, rngs), *images(size))
    order = functools.partial(shuffled, examples=size.examples)
    return jaxlr.experiment(task, optax.adam, epochs=size.epochs, batch_size=size.batch, order=order)
