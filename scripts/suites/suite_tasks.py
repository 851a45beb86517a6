"""The suite: nine small tasks, three optimizers each, on which finders and diagnoses are judged.

Every task takes a few hundred updates, so that a sweep of 25 rates and 8 seeds runs in seconds to a minute on one CPU
core. Nothing is downloaded: the data come with scikit-learn or are drawn from a fixed seed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen

from jaxlr import tasks
from jaxlr.tasks import Task

__all__ = ["OPTIMIZERS", "TASKS", "Case", "case", "cases"]


class Case(NamedTuple):
    """One combination of the suite.

    Attributes:
        name: `task/optimizer`.
        task: the model and the data; without test data of its own.
        optimizer: `learning_rate -> optax.GradientTransformation`.
        epochs: the stated budget, passes over the training data.
        batch_size: examples in an update.
    """

    name: str
    task: Task
    optimizer: Callable[..., optax.GradientTransformation]
    epochs: int
    batch_size: int


def _momentum(learning_rate: Any) -> optax.GradientTransformation:
    return optax.sgd(learning_rate, momentum=0.9)


def _sgd(learning_rate: Any) -> optax.GradientTransformation:
    return optax.sgd(learning_rate)


def _adam(learning_rate: Any) -> optax.GradientTransformation:
    return optax.adam(learning_rate)


OPTIMIZERS: dict[str, Callable[..., optax.GradientTransformation]] = {
    "sgd": _sgd,
    "momentum": _momentum,
    "adam": _adam,
}
"""Plain gradient descent, momentum 0.9, and Adam: the learning rate is their only argument."""


def blobs() -> Task:
    """The Keras tutorial's three blobs and its 2-50-3 network."""
    return tasks.blobs()._replace(x_test=None, y_test=None)


def moons() -> Task:
    """Two half moons with noise, a 2-32-32-2 network."""
    from sklearn.datasets import make_moons

    x, y = make_moons(n_samples=400, noise=0.15, random_state=0)
    return tasks.classification(tasks.mlp((32, 32)), x, y)


def wine_raw() -> Task:
    """Wine as measured: features from 0.1 to 1,700, the case in which a usual rate fails."""
    from sklearn.datasets import load_wine

    x, y = load_wine(return_X_y=True)
    return tasks.classification(tasks.mlp((32,)), x, y)


def wine() -> Task:
    """Wine, standardised."""
    from sklearn.datasets import load_wine

    x, y = load_wine(return_X_y=True)
    return tasks.classification(tasks.mlp((32,)), (x - x.mean(axis=0)) / x.std(axis=0), y)


def digits() -> Task:
    """The 8 x 8 digits, pixels from 0 to 1, a 64-32-10 network."""
    x, y = _digits(1000)
    return tasks.classification(tasks.mlp((32,)), x, y)


class _Convolutional(linen.Module):
    """Two strided 3 x 3 convolutions and a linear layer."""

    @linen.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for channels in (8, 16):
            x = linen.relu(linen.Dense(channels)(_patches(x)))
        return linen.Dense(10)(x.reshape(len(x), -1))


def _patches(x: jax.Array) -> jax.Array:
    """The 3 x 3 surroundings of every second pixel: `[B, H, W, C]` to `[B, H/2, W/2, 9 C]`.

    A convolution is a matrix product with these; XLA's own, mapped over kernels, is many times slower on a CPU.
    """
    _, height, width, _ = x.shape
    x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    shifted = [x[:, i : i + height : 2, j : j + width : 2] for i in range(3) for j in range(3)]
    return jnp.concatenate(shifted, axis=-1)


def digits_convolutional() -> Task:
    """Digits as images `[8, 8, 1]`, a small convolutional network."""
    x, y = _digits(512)
    return tasks.classification(_Convolutional(), x.reshape(-1, 8, 8, 1), y)


def _digits(n: int) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return x[:n] / 16, y[:n]


def diabetes() -> Task:
    """Diabetes progression, standardised, as a regression with a 10-32-1 network."""
    from sklearn.datasets import load_diabetes

    x, y = load_diabetes(return_X_y=True)
    x, y = ((values - values.mean(axis=0)) / values.std(axis=0) for values in (x, y))
    return tasks.regression(tasks.mlp((32,)), x, y)


def ill_conditioned() -> Task:
    """A linear model with a Hessian of condition number 1e4, each direction with the same share of the loss."""
    rng = np.random.default_rng(0)
    n, d = 256, 12
    eigenvalues = np.geomspace(1, 1e-4, d)
    basis = np.linalg.qr(rng.normal(size=(n, d)))[0] * np.sqrt(n / 2)
    rotation = np.linalg.qr(rng.normal(size=(d, d)))[0]
    x = basis * np.sqrt(eigenvalues)
    y = x @ (rng.choice([-1.0, 1.0], d) / np.sqrt(eigenvalues)) + 0.1 * rng.normal(size=n)
    return tasks.regression((lambda key: 0.01 * jax.random.normal(key, (d, 1)), _linear), x @ rotation, y[:, None])


def _linear(w: jax.Array, x: jax.Array) -> jax.Array:
    return x @ w


class _Recurrent(linen.Module):
    """16 recurrent tanh units that read symbols `[B, T]` and give logits for the last `recalled` positions."""

    symbols: int
    recalled: int

    @linen.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        hidden = linen.RNN(linen.SimpleCell(16))(jax.nn.one_hot(x, self.symbols + 1))
        return linen.Dense(self.symbols)(hidden[:, -self.recalled :])


def copying() -> Task:
    """The copy task: three symbols of four, three blanks, then the three are asked for."""
    rng = np.random.default_rng(0)
    n, symbols, length, delay = 160, 4, 3, 3
    y = rng.integers(0, symbols, (n, length)).astype(np.int32)
    x = np.concatenate([y, np.full((n, delay + length), symbols, np.int32)], axis=1)
    return tasks.supervised(_Recurrent(symbols, length), _recall, x, y)


def _recall(logits: jax.Array, y: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, y).mean(axis=-1)
    return losses, {"accuracy": (jnp.argmax(logits, axis=-1) == y).mean(axis=-1)}


TASKS: dict[str, tuple[Callable[[], Task], int, int]] = {
    "blobs": (blobs, 20, 32),
    "moons": (moons, 40, 32),
    "wine_raw": (wine_raw, 60, 32),
    "wine": (wine, 60, 32),
    "digits": (digits, 15, 32),
    "digits_convolutional": (digits_convolutional, 15, 32),
    "diabetes": (diabetes, 20, 32),
    "ill_conditioned": (ill_conditioned, 40, 32),
    "copying": (copying, 40, 32),
}
"""Task -> its builder, epochs of a training, and the batch size."""


@functools.cache
def _built(name: str) -> Task:
    return TASKS[name][0]()._replace(name=name)


def case(task: str, optimizer: str) -> Case:
    """One combination by its names; the task is built once, so that its programs are compiled once."""
    _, epochs, batch_size = TASKS[task]
    return Case(f"{task}/{optimizer}", _built(task), OPTIMIZERS[optimizer], epochs, batch_size)


def cases() -> list[Case]:
    """All 27 combinations."""
    return [case(task, optimizer) for task in TASKS for optimizer in OPTIMIZERS]
