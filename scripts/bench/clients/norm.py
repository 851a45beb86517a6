"""An Equinox net with batch normalisation: a module of one example, and a state beside it (`make_with_state`)."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import equinox
import jax
import numpy as np
import optax

import jaxlr
from scripts.bench.clients import conv
from scripts.bench.clients.program import Plain, Way, shuffled, ways_of

AXIS = {"learning_rate": np.geomspace(1e-4, 1e-2, 8)}


class Size(NamedTuple):
    """How large a training is."""

    epochs: int = 4
    examples: int = 256
    side: int = 16
    batch: int = 32
    channels: int = 16


class Net(equinox.Module):
    """Two convolutions with their statistics, and a dense layer."""

    convolutions: list[equinox.nn.Conv2d]
    norms: list[equinox.nn.BatchNorm]
    last: equinox.nn.Linear

    def __init__(self, size: Size, key: jax.Array) -> None:
        first, second, third = jax.random.split(key, 3)
        width = size.channels
        self.convolutions = [
            equinox.nn.Conv2d(1, width, 3, stride=2, padding=1, key=first),
            equinox.nn.Conv2d(width, width, 3, stride=2, padding=1, key=second),
        ]
        self.norms = [equinox.nn.BatchNorm(width, "batch", mode="batch") for _ in self.convolutions]
        self.last = equinox.nn.Linear(width * (size.side // 4) ** 2, 10, key=third)

    def __call__(self, x: jax.Array, state: equinox.nn.State) -> tuple[jax.Array, equinox.nn.State]:
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x, state = norm(convolution(x), state)
            x = jax.nn.relu(x)
        return self.last(x.ravel()), state


def images(size: Size) -> tuple[np.ndarray, ...]:
    """Those of the other convolutional net, channels first as Equinox has them."""
    x, y, x_test, y_test = conv.images(conv.Size(examples=size.examples, side=size.side))
    return x.transpose(0, 3, 1, 2), y, x_test.transpose(0, 3, 1, 2), y_test


def alone(size: Size) -> dict[str, Way]:
    """The program without jaxlr."""
    x, y, x_test, y_test = images(size)
    static = equinox.partition(equinox.nn.make_with_state(Net)(size, jax.random.key(0))[0], equinox.is_inexact_array)[1]

    def init(key: jax.Array, learning_rate: Any) -> Any:
        net, state = equinox.nn.make_with_state(Net)(size, key)
        params = equinox.filter(net, equinox.is_inexact_array)
        return params, state, optax.adam(learning_rate).init(params)

    def loss(params: Any, state: Any, x: jax.Array, y: jax.Array, train: bool) -> Any:
        net = equinox.combine(params, static)
        net = net if train else equinox.nn.inference_mode(net)
        logits, state = jax.vmap(net, axis_name="batch", in_axes=(0, None), out_axes=(0, None))(x, state)
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, y)
        return losses.mean(), (state, (logits.argmax(-1) == y).mean())

    def update(carry: Any, batch: Any, key: jax.Array, learning_rate: Any) -> Any:
        params, state, held = carry
        (value, (state, accuracy)), grads = jax.value_and_grad(loss, has_aux=True)(params, state, *batch, True)
        steps, held = optax.adam(learning_rate).update(grads, held)
        return (optax.apply_updates(params, steps), state, held), {"loss": value, "accuracy": accuracy}

    def test(carry: Any) -> dict[str, Any]:
        value, (_, accuracy) = loss(*carry[:2], x_test, y_test, False)
        return {"val_loss": value, "val_accuracy": accuracy}

    return ways_of(Plain(init, update, test, (x, y), size.batch, size.epochs))


def with_jaxlr(size: Size) -> Any:
    """What is handed to `jaxlr.sweep`."""
    task = jaxlr.tasks.classification(lambda key: equinox.nn.make_with_state(Net)(size, key), *images(size))
    order = functools.partial(shuffled, examples=size.examples)
    return jaxlr.experiment(task, optax.adam, epochs=size.epochs, batch_size=size.batch, order=order)
