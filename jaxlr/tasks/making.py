"""Tasks made of a model and arrays: classification, regression, a loss of one's own, and the tutorial's blobs.

Replace any part with `task._replace(...)`, for example the initial weights with
`task._replace(init=lambda key: my_params)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxlr import _checks
from jaxlr._types import PyTree
from jaxlr.tasks import models
from jaxlr.tasks.arrays import Data, any_array, columns, feature_major, float_array, gathered, label_array
from jaxlr.tasks.dense import MLP, class_scores
from jaxlr.tasks.task import Objective, Task, mean_loss

__all__ = [
    "blobs",
    "blobs_data",
    "classification",
    "cross_entropy",
    "mlp",
    "regression",
    "squared_error",
    "supervised",
]


def blobs() -> Task:
    """The three blobs of the Keras tutorial and its 2-50-3 ReLU network.

    `make_blobs(n_samples=1000, centers=3, n_features=2, cluster_std=2, random_state=2)` in float32: the first 500
    points to train on, the last 500 to test on. The network is `mlp((50,))`: he-uniform and glorot-uniform
    kernels, zero biases; the loss is the exact log-softmax cross-entropy.

    >>> task = blobs()
    >>> task.x.shape, task.y.shape, task.examples
    ((2, 500), (500,), 500)

    Reference: scikit-learn, `sklearn.datasets.make_blobs`; the data are bit-identical since version 0.19.
    """
    x, y = blobs_data()
    task = classification(mlp((50,)), x[:500], y[:500], x[500:], y[500:])
    return task._replace(name="blobs")


def blobs_data() -> tuple[np.ndarray, np.ndarray]:
    """The points `[1000, 2]` (float64) and labels `[1000]` of `blobs`.

    >>> x, y = blobs_data()
    >>> x.shape, y[:10].tolist()
    ((1000, 2), [2, 2, 2, 0, 1, 0, 1, 1, 2, 2])
    """
    # make_blobs's own draws, in its order: importing scikit-learn for them takes 1 s, a seventh of all studies.
    rng = np.random.RandomState(2)
    centers = rng.uniform(-10, 10, size=(3, 2))
    label = np.repeat(np.arange(3), [334, 333, 333])
    x = rng.normal(centers[label], 2)
    order = rng.permutation(1000)
    return x[order], label[order]


def mlp(widths: Sequence[int]) -> MLP:
    """A dense ReLU network in the form that trains fastest, for `classification` and `regression`.

    They give it its outputs. `tasks.dense` says what the form is and converts its weights to and from those of
    `flax.linen.Dense` layers.

    Args:
        widths: units of each hidden layer; none for a linear model.

    Raises:
        TypeError, ValueError: the widths are no list, or one is not an integer of at least 1.

    >>> import numpy as np
    >>> task = classification(mlp([16, 8]), np.zeros((10, 4)), np.arange(10) % 3)
    >>> {name: leaf.shape for name, leaf in task.init(jax.random.key(0)).items()}
    {'layer_0': (16, 5), 'layer_1': (8, 17), 'layer_2': (3, 9)}
    """
    if not isinstance(widths, (list, tuple)):
        raise TypeError(f"widths must be a list of integers, got {widths!r}")
    for width in widths:
        _checks.count("each of widths", width)
    return MLP(tuple(widths))


def classification(module: Any, x: Any, y: Any, x_test: Any = None, y_test: Any = None) -> Task:
    """A task with the softmax cross-entropy as its loss and the accuracy as its metric.

    Args:
        module: a model that gives logits `[B, K]`; see `models.model` for the forms it may have. A net of `mlp` is
            trained feature-major, which is faster; it gets as many outputs as there are classes.
        x: training inputs `[N, ...]`.
        y: training labels `[N]`, integers from 0.
        x_test: test inputs, or None.
        y_test: test labels, or None.

    Raises:
        ValueError: the arrays do not fit one another, hold NaN, or a label is out of range.
        TypeError: the labels are not integers, or `module` is not a model.

    >>> import numpy as np
    >>> task = classification(mlp((8,)), np.zeros((10, 4)), np.arange(10) % 3)
    >>> task.x.shape, task.x_test
    ((4, 10), None)
    """
    data = gathered(x, y, x_test, y_test, label_array)
    if not isinstance(module, MLP):
        return _task(module, cross_entropy, data)
    if module.outputs is None:
        module = module.clone(outputs=max(int(data.y.max()) + 1, 2))
    return _task(module, _feature_major_cross_entropy, feature_major(data), axis=-1)


def regression(module: Any, x: Any, y: Any, x_test: Any = None, y_test: Any = None) -> Task:
    """A task with the mean squared error as its loss.

    Args:
        module: a model that gives outputs `[B]` or `[B, D]`, the shape of `y`; see `models.model`. A net of `mlp` is
            trained feature-major; it gets `D` outputs.
        x: training inputs `[N, ...]`.
        y: training targets `[N]` or `[N, D]`.
        x_test: test inputs, or None.
        y_test: test targets, or None.

    Raises:
        ValueError: the arrays do not fit one another or the module's outputs, or hold NaN.
        TypeError: `module` is not a model.

    >>> import numpy as np
    >>> task = regression(mlp((8,)), np.zeros((10, 4)), np.zeros(10))
    >>> task.y.shape
    (1, 10)
    """
    data = gathered(x, y, x_test, y_test, float_array)
    if not isinstance(module, MLP):
        return _task(module, squared_error, data)
    y_test = None if data.y_test is None else columns(data.y_test)
    data = feature_major(data._replace(y=columns(data.y), y_test=y_test))
    if module.outputs is None:
        module = module.clone(outputs=data.y.shape[0])
    return _task(module, _feature_major_squared_error, data, axis=-1)


def supervised(module: Any, objective: Objective, x: Any, y: Any, x_test: Any = None, y_test: Any = None) -> Task:
    """A task with a loss and metrics of one's own.

    Args:
        module: a model; see `models.model` for the forms it may have.
        objective: `(outputs, y) -> (losses, metrics)`: the loss `[B]` of each example and a dictionary of values
            `[B]`, one for each example; both are averaged over the batch.
        x: training inputs `[N, ...]`, or a dictionary or tuple of them.
        y: training targets `[N, ...]`.
        x_test: test inputs, or None.
        y_test: test targets, or None.

    Raises:
        ValueError: the arrays do not fit one another or hold NaN, or the objective does not give `[B]`.
        TypeError: `module` is not a model.

    >>> import jax.numpy as jnp, numpy as np
    >>> from flax import linen
    >>> def huber(outputs, y):
    ...     error = jnp.abs(outputs[:, 0] - y)
    ...     return jnp.where(error < 1, error**2 / 2, error - 0.5), {"within_one": error < 1}
    >>> task = supervised(linen.Dense(1), huber, np.zeros((10, 4)), np.zeros(10))
    >>> task.examples
    10
    """
    return _task(module, objective, gathered(x, y, x_test, y_test, any_array))


def _task(module: Any, objective: Objective, data: Data, axis: int = 0) -> Task:
    one = jax.tree.map(lambda array: np.take(array, [0], axis=axis), data.x)
    built = models.model(module, jax.tree.map(jnp.asarray, one))
    _check_fit(built, objective, one, data, axis)
    x, x_test = (jax.tree.map(jnp.asarray, part) for part in (data.x, data.x_test))
    y_test = None if data.y_test is None else jnp.asarray(data.y_test)
    loss = mean_loss(built.apply, objective)
    return Task(built.init, loss, x, jnp.asarray(data.y), x_test, y_test, axis, built.init_state, apply=built.apply)


def _check_fit(built: models.Model, objective: Objective, one: PyTree, data: Data, axis: int) -> None:
    """Shapes of the model's outputs and of the objective's values, and the labels' range, without computing."""

    def predict(key: jax.Array, x: PyTree) -> PyTree:
        return built.apply(built.init(key), built.init_state(key), x, None)[0]

    key = jax.eval_shape(lambda: jax.random.key(0))
    target = np.take(data.y, [0], axis=axis)
    outputs = jax.eval_shape(predict, key, one)
    if objective in (cross_entropy, _feature_major_cross_entropy):
        if outputs.ndim != 2:
            raise ValueError(f"module must give logits [B, K], got the shape {outputs.shape} for one example")
        _check_label_range(data, classes=outputs.shape[1 + axis])
    if objective in (squared_error, _feature_major_squared_error) and outputs.shape != target.shape:
        raise ValueError(f"module must give outputs of the targets' shape {target.shape}, got {outputs.shape}")
    losses, metrics = jax.eval_shape(objective, outputs, target)
    for name, values in {"loss": losses, **metrics}.items():
        if values.shape != (1,):
            raise ValueError(f"objective must give {name} for each example, [B]; got {values.shape} for one example")


def _check_label_range(data: Data, classes: int) -> None:
    for name, labels in (("y", data.y), ("y_test", data.y_test)):
        if labels is not None and labels.max() >= classes:
            hint = f"; they begin at {labels.min()}: give {name} - {labels.min()}" if labels.min() > 0 else ""
            raise ValueError(
                f"{name} must hold labels from 0 to {classes - 1} for {classes} logits, got {labels.max()}{hint}"
            )


def cross_entropy(logits: jax.Array, labels: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
    """The objective of `classification`: logits `[B, K]`, labels `[B]` -> losses and accuracy `[B]`.

    >>> losses, metrics = cross_entropy(jnp.zeros((1, 2)), jnp.array([0]))
    >>> print(losses, metrics)
    [0.6931472] {'accuracy': Array([1.], dtype=float32)}
    """
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
    return losses, {"accuracy": (jnp.argmax(logits, axis=-1) == labels).astype(losses.dtype)}


def _feature_major_cross_entropy(logits: jax.Array, labels: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
    losses, correct = class_scores(logits, labels)
    return losses, {"accuracy": correct}


def squared_error(outputs: jax.Array, y: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
    """The objective of `regression`: outputs and targets of one shape -> each example's mean of squares `[B]`.

    >>> print(squared_error(jnp.zeros((2, 1)), jnp.ones((2, 1))))
    (Array([1., 1.], dtype=float32), {})
    """
    return ((outputs - y) ** 2).reshape(len(y), -1).mean(axis=1), {}


def _feature_major_squared_error(outputs: jax.Array, y: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
    return ((outputs - y) ** 2).mean(axis=0), {}
