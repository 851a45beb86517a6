"""Tasks: a model, its loss, and the data to train and test it on.

A `Task` is a NamedTuple of pure functions and arrays. Build one with `blobs`, `classification`, `regression` or
`supervised`; replace any part with `task._replace(...)`, for example the initial weights with
`task._replace(init=lambda key: my_params)`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxlr import _checks, models
from jaxlr.mlp import MLP, class_scores

__all__ = ["Task", "blobs", "classification", "mlp", "regression", "supervised"]

PyTree = Any
Objective = Callable[[jax.Array, jax.Array], tuple[jax.Array, dict[str, jax.Array]]]


def _stateless(key: jax.Array) -> PyTree:
    del key
    return ()


class Task(NamedTuple):
    """What is trained: pure functions and arrays.

    Attributes:
        init: `key -> params`, the initial weights.
        loss: `(params, state, x, y, weight, key) -> (loss, metrics, state)`. `weight [B]` counts the examples of a
            padded batch (1 or 0); the loss and each metric are weighted means, scalars. `key` is None when evaluating
            (no dropout, running averages as they are) and a PRNG key when training.
        x: training inputs, examples along `axis`.
        y: training targets, examples along `axis`.
        x_test: test inputs, or None.
        y_test: test targets, or None.
        axis: the examples' axis of all four arrays: 0, or -1 for feature-major data.
        init_state: `key -> state`, the initial mutable state (batch statistics, ...); `()` for none.
        name: a word for tables and attributes.
    """

    init: Callable[[jax.Array], PyTree]
    loss: Callable[..., tuple[jax.Array, dict[str, jax.Array], PyTree]]
    x: jax.Array
    y: jax.Array
    x_test: jax.Array | None = None
    y_test: jax.Array | None = None
    axis: int = 0
    init_state: Callable[[jax.Array], PyTree] = _stateless
    name: str = "task"

    @property
    def examples(self) -> int:
        """Number of training examples."""
        return self.x.shape[self.axis]


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

    They give it its outputs. `jaxlr.mlp` says what the form is and converts its weights to and from those of
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
    data = _data(x, y, x_test, y_test, _label_array)
    if not isinstance(module, MLP):
        return _task(module, _cross_entropy, data)
    if module.outputs is None:
        module = module.clone(outputs=max(int(data.y.max()) + 1, 2))
    return _task(module, _feature_major_cross_entropy, _transposed(data), axis=-1)


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
    data = _data(x, y, x_test, y_test, _float_array)
    if not isinstance(module, MLP):
        return _task(module, _squared_error, data)
    y_test = None if data.y_test is None else _columns(data.y_test)
    data = _transposed(data._replace(y=_columns(data.y), y_test=y_test))
    if module.outputs is None:
        module = module.clone(outputs=data.y.shape[0])
    return _task(module, _feature_major_squared_error, data, axis=-1)


def supervised(module: Any, objective: Objective, x: Any, y: Any, x_test: Any = None, y_test: Any = None) -> Task:
    """A task with a loss and metrics of one's own.

    Args:
        module: a model; see `models.model` for the forms it may have.
        objective: `(outputs, y) -> (losses, metrics)`: the loss `[B]` of each example and a dictionary of values
            `[B]`, one for each example; both are averaged over the batch.
        x: training inputs `[N, ...]`.
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
    return _task(module, objective, _data(x, y, x_test, y_test, _any_array))


class _Data(NamedTuple):
    x: np.ndarray
    y: np.ndarray
    x_test: np.ndarray | None
    y_test: np.ndarray | None


def _task(module: Any, objective: Objective, data: _Data, axis: int = 0) -> Task:
    one = np.take(data.x, [0], axis=axis)
    built = models.model(module, jnp.asarray(one))
    _check_fit(built, objective, one, data, axis)

    def loss(
        params: PyTree, state: PyTree, x: jax.Array, y: jax.Array, weight: jax.Array, key: jax.Array | None
    ) -> tuple[jax.Array, dict[str, jax.Array], PyTree]:
        outputs, state = built.apply(params, state, x, key)
        losses, metrics = objective(outputs, y)
        total = weight.sum()
        means = {name: (values * weight).sum() / total for name, values in metrics.items()}
        return (losses * weight).sum() / total, means, state

    return Task(
        built.init,
        loss,
        jnp.asarray(data.x),
        jnp.asarray(data.y),
        None if data.x_test is None else jnp.asarray(data.x_test),
        None if data.y_test is None else jnp.asarray(data.y_test),
        axis,
        built.init_state,
    )


def _check_fit(built: models.Model, objective: Objective, one: np.ndarray, data: _Data, axis: int) -> None:
    """Shapes of the model's outputs and of the objective's values, and the labels' range, without computing."""

    def predict(key: jax.Array, x: jax.Array) -> jax.Array:
        return built.apply(built.init(key), built.init_state(key), x, None)[0]

    key = jax.eval_shape(lambda: jax.random.key(0))
    target = np.take(data.y, [0], axis=axis)
    outputs = jax.eval_shape(predict, key, one)
    if objective in (_cross_entropy, _feature_major_cross_entropy):
        if outputs.ndim != 2:
            raise ValueError(f"module must give logits [B, K], got the shape {outputs.shape} for one example")
        _check_label_range(data, classes=outputs.shape[1 + axis])
    if objective in (_squared_error, _feature_major_squared_error) and outputs.shape != target.shape:
        raise ValueError(f"module must give outputs of the targets' shape {target.shape}, got {outputs.shape}")
    losses, metrics = jax.eval_shape(objective, outputs, target)
    for name, values in {"loss": losses, **metrics}.items():
        if values.shape != (1,):
            raise ValueError(f"objective must give {name} for each example, [B]; got {values.shape} for one example")


def _check_label_range(data: _Data, classes: int) -> None:
    for name, labels in (("y", data.y), ("y_test", data.y_test)):
        if labels is not None and labels.max() >= classes:
            raise ValueError(
                f"{name} must hold labels from 0 to {classes - 1} for {classes} logits, got {labels.max()}"
            )


def _cross_entropy(logits: jax.Array, labels: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
    return losses, {"accuracy": (jnp.argmax(logits, axis=-1) == labels).astype(losses.dtype)}


def _feature_major_cross_entropy(logits: jax.Array, labels: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
    losses, correct = class_scores(logits, labels)
    return losses, {"accuracy": correct}


def _squared_error(outputs: jax.Array, y: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
    return ((outputs - y) ** 2).reshape(len(y), -1).mean(axis=1), {}


def _feature_major_squared_error(outputs: jax.Array, y: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
    return ((outputs - y) ** 2).mean(axis=0), {}


def _data(x: Any, y: Any, x_test: Any, y_test: Any, target: Callable[[str, Any], np.ndarray]) -> _Data:
    """The four arrays, checked: finite, as many targets as inputs, test examples of the same shape as train."""
    if (x_test is None) != (y_test is None):
        raise ValueError("x_test and y_test must be given together, got only one of them")
    train = _pair("", x, y, target)
    if x_test is None:
        return _Data(*train, None, None)
    test = _pair("_test", x_test, y_test, target)
    for name, first, second in zip("xy", train, test, strict=True):
        if first.shape[1:] != second.shape[1:]:
            raise ValueError(
                f"{name}_test must have examples of the shape of {name}'s, {first.shape[1:]}; got {second.shape[1:]}"
            )
    return _Data(*train, *test)


def _pair(suffix: str, x: Any, y: Any, target: Callable[[str, Any], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    inputs, targets = _any_array(f"x{suffix}", x), target(f"y{suffix}", y)
    if len(inputs) != len(targets):
        raise ValueError(f"x{suffix} and y{suffix} must be of one length, got {len(inputs)} and {len(targets)}")
    return inputs, targets


def _any_array(name: str, value: Any) -> np.ndarray:
    """Integers stay what they are; other numbers become the default float type."""
    array = np.asarray(value)
    if array.ndim == 0 or array.shape[0] == 0:
        raise ValueError(f"{name} must be an array with at least one example, got the shape {array.shape}")
    if not np.issubdtype(array.dtype, np.number) and array.dtype != bool:
        raise TypeError(f"{name} must be an array of numbers, got the type {array.dtype}")
    bad = int(np.size(array) - np.isfinite(array).sum())
    if bad:
        raise ValueError(f"{name} must be finite, got {bad} values that are NaN or infinite")
    return array.astype(jnp.result_type(float)) if np.issubdtype(array.dtype, np.floating) else array


def _float_array(name: str, value: Any) -> np.ndarray:
    return _any_array(name, value).astype(jnp.result_type(float))


def _label_array(name: str, value: Any) -> np.ndarray:
    labels = _any_array(name, value)
    if labels.ndim != 1:
        raise ValueError(f"{name} must be labels [N], got the shape {labels.shape}")
    if not np.issubdtype(labels.dtype, np.integer):
        raise TypeError(f"{name} must be integer labels, got the type {labels.dtype}")
    if labels.min() < 0:
        raise ValueError(f"{name} must be labels from 0, got {labels.min()}")
    return labels.astype(np.int32)


def _columns(targets: np.ndarray) -> np.ndarray:
    return targets[:, None] if targets.ndim == 1 else targets


def _transposed(data: _Data) -> _Data:
    """Feature-major: the examples' axis last."""
    if data.x.ndim != 2:
        raise ValueError(f"x must be [N, features] for a net of tasks.mlp, got the shape {data.x.shape}")

    def turned(array: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(array.T)

    return _Data(
        turned(data.x),
        turned(data.y),
        None if data.x_test is None else turned(data.x_test),
        None if data.y_test is None else turned(data.y_test),
    )
