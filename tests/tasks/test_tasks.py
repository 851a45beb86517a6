"""Tasks: the tutorial's data and network, any Flax model, and what is refused."""

from __future__ import annotations

import hashlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen, nnx
from sklearn.datasets import make_blobs

from jaxlr import tasks
from jaxlr.tasks import dense, models

X = np.random.default_rng(0).normal(size=(40, 6))
LABELS = np.arange(40) % 4


def test_blobs_are_the_tutorials_to_the_bit() -> None:
    x, y = tasks.blobs_data()
    digest = hashlib.sha256(np.ascontiguousarray(x, "<f8")).hexdigest()
    assert digest == "fb64b653a5a2628d0f0a35b5335a5b887bbd51800de0a0ed004e06ee4d3963d1"
    digest = hashlib.sha256(np.ascontiguousarray(x, "<f4")).hexdigest()
    assert digest == "6d9b29375d9f5696042e9a5e952b9368bd2799bec8c7c8956d5df34cf1b3457f"
    digest = hashlib.sha256(np.ascontiguousarray(y, "<i8")).hexdigest()
    assert digest == "7b90aae85c8ae80ddc7d73a2ed1fbfde0486074618e9f3691c25b11a35a67aef"
    for found, theirs in zip((x, y), make_blobs(1000, centers=3, cluster_std=2, random_state=2), strict=True):
        np.testing.assert_array_equal(found, theirs)


def test_blobs_task_holds_them(blobs: tasks.Task) -> None:
    x, y = tasks.blobs_data()
    np.testing.assert_array_equal(np.concatenate([blobs.x, blobs.x_test], axis=1).T, x.astype(np.float32))
    np.testing.assert_array_equal(np.concatenate([blobs.y, blobs.y_test]), y)
    assert np.bincount(blobs.y).tolist() == [171, 162, 167]
    assert np.bincount(blobs.y_test).tolist() == [163, 171, 166]


def test_initial_weights_are_he_and_glorot_uniform(blobs: tasks.Task) -> None:
    keys = jax.random.split(jax.random.key(0), 200)
    dense = jax.vmap(lambda key: tasks.to_dense(blobs.init(key)))(keys)
    hidden, last = dense["Dense_0"], dense["Dense_1"]
    assert hidden["kernel"].shape == (200, 2, 50)
    assert last["kernel"].shape == (200, 50, 3)
    for layer, limit in ((hidden, np.sqrt(6 / 2)), (last, np.sqrt(6 / 53))):
        kernel = np.asarray(layer["kernel"])
        assert np.abs(kernel).max() <= limit
        assert np.abs(kernel).max() > 0.999 * limit
        assert kernel.std() == pytest.approx(limit / np.sqrt(3), rel=0.01)
        assert not np.asarray(layer["bias"]).any()


class Plain(linen.Module):
    """The same net as Flax's own layers, batch-major."""

    widths: tuple[int, ...]

    @linen.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for width in self.widths[:-1]:
            x = linen.relu(linen.Dense(width)(x))
        return linen.Dense(self.widths[-1])(x)


@pytest.mark.parametrize(
    ("features", "widths"), [(2, (50, 3)), (6, (16, 4)), (3, (8, 8, 5)), (4, (7, 40)), (5, (3, 2))]
)
def test_fast_net_has_the_gradients_of_the_plain_one(features: int, widths: tuple[int, ...]) -> None:
    x = np.random.default_rng(1).normal(size=(33, features)).astype(np.float32)
    labels = jnp.asarray(np.arange(33) % widths[-1])
    weight = jnp.asarray(np.arange(33) < 21, jnp.float32)
    fast = tasks.classification(tasks.MLP(widths[:-1], widths[-1]), x, labels)
    params = fast.init(jax.random.key(3))
    plain = Plain(widths)

    def plain_loss(dense: Any) -> jax.Array:
        losses = optax.softmax_cross_entropy_with_integer_labels(plain.apply({"params": dense}, x), labels)
        return (losses * weight).sum() / weight.sum()

    def fast_loss(params: Any) -> jax.Array:
        return fast.loss(params, fast.init_state(jax.random.key(0)), fast.x, fast.y, weight, None)[0]

    value, gradient = jax.value_and_grad(fast_loss)(params)
    expected, plain_gradient = jax.value_and_grad(plain_loss)(tasks.to_dense(params))
    assert float(value) == pytest.approx(float(expected), rel=1e-5)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-6), tasks.to_dense(gradient), plain_gradient
    )


def test_gradient_by_the_input_is_right() -> None:
    net = tasks.MLP((5,), 2)
    params = net.init(jax.random.key(0), jnp.zeros((3, 1)))
    x = jnp.asarray(np.random.default_rng(2).normal(size=(3, 4)), jnp.float32)
    plain = Plain((5, 2))
    dense = {"params": tasks.to_dense(params["params"])}
    got = jax.grad(lambda x: (net.apply(params, x) ** 2).sum())(x)
    want = jax.grad(lambda x: (plain.apply(dense, x) ** 2).sum())(x.T).T
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


def test_a_net_without_outputs_says_so() -> None:
    with pytest.raises(ValueError, match="outputs must be set"):
        tasks.MLP((4,)).init(jax.random.key(0), jnp.zeros((2, 1)))


def test_dense_parameters_go_there_and_back() -> None:
    params = tasks.MLP((7, 5), 3).init(jax.random.key(0), jnp.zeros((4, 1)))["params"]
    jax.tree.map(np.testing.assert_array_equal, dict(params), tasks.from_dense(tasks.to_dense(params)))


@pytest.mark.parametrize("classes", [2, 3, 32, 33, 40])
def test_class_scores_are_the_exact_cross_entropy(classes: int) -> None:
    logits = np.random.default_rng(3).normal(size=(classes, 64)) * 30
    labels = np.arange(64) % classes
    losses, correct = dense.class_scores(jnp.asarray(logits, jnp.float32), jnp.asarray(labels))
    shifted = logits - logits.max(axis=0)
    expected = np.log(np.exp(shifted).sum(axis=0)) - shifted[labels, np.arange(64)]
    np.testing.assert_allclose(losses, expected, rtol=1e-5, atol=1e-4)
    np.testing.assert_array_equal(correct, logits.argmax(axis=0) == labels)


@pytest.mark.parametrize("classes", [3, 40])
def test_a_tie_is_the_first_class(classes: int) -> None:
    labels = jnp.arange(classes)
    _, correct = dense.class_scores(jnp.zeros((classes, classes)), labels)
    assert correct.tolist() == [1.0] + [0.0] * (classes - 1)


class NormAndDropout(linen.Module):
    @linen.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        x = linen.BatchNorm(use_running_average=not train)(linen.Dense(8)(x))
        return linen.Dense(4)(linen.Dropout(0.5, deterministic=not train)(x))


class Net(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.first = nnx.Linear(6, 8, rngs=rngs)
        self.norm = nnx.BatchNorm(8, rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)
        self.last = nnx.Linear(8, 4, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.last(self.dropout(nnx.relu(self.norm(self.first(x)))))


def plain_init(key: jax.Array) -> jax.Array:
    return jax.random.normal(key, (6, 4))


def equinox_net(key: jax.Array) -> Any:
    import equinox

    return equinox.nn.MLP(6, 4, 8, 1, key=key)


MODULES = {
    "linen": Plain((8, 4)),
    "linen with state": NormAndDropout(),
    "nnx class": Net,
    "nnx function": lambda r: nnx.Linear(6, 4, rngs=r),
    "equinox": equinox_net,
    "functions": (plain_init, lambda params, x: x @ params),
    "fast": tasks.MLP((8,)),
}


@pytest.mark.parametrize("module", MODULES.values(), ids=MODULES.keys())
def test_any_module_learns_under_jit_and_vmap(module: Any) -> None:
    task = tasks.classification(module, X, LABELS)
    weight = jnp.ones(40)

    def train(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        params, state = task.init(key), task.init_state(key)

        def step(carry: Any, step_key: jax.Array) -> tuple[Any, jax.Array]:
            params, state = carry

            def loss(params: Any) -> Any:
                value, metrics, new = task.loss(params, state, task.x, task.y, weight, step_key)
                return value, (new, metrics)

            (value, (state, _)), grads = jax.value_and_grad(loss, has_aux=True)(params)
            return (jax.tree.map(lambda p, g: p - 0.1 * g, params, grads), state), value

        (params, state), losses = jax.lax.scan(step, (params, state), jax.random.split(key, 30))
        return losses, task.loss(params, state, task.x, task.y, weight, None)[0]

    losses, final = jax.jit(jax.vmap(train))(jax.random.split(jax.random.key(0), 3))
    assert (final < losses[:, 0]).all()
    assert len(np.unique(losses[:, 0])) == 3, "every seed starts from its own weights"


def test_dropout_needs_a_key_and_evaluation_is_deterministic() -> None:
    task = tasks.classification(NormAndDropout(), X, LABELS)
    key = jax.random.key(0)
    params, state = task.init(key), task.init_state(key)
    ones = jnp.ones(40)
    evaluated = [float(task.loss(params, state, task.x, task.y, ones, None)[0]) for _ in range(2)]
    trained = [float(task.loss(params, state, task.x, task.y, ones, jax.random.key(k))[0]) for k in (1, 2)]
    assert evaluated[0] == evaluated[1]
    assert trained[0] != trained[1]


def test_regression_loss_is_the_mean_squared_error() -> None:
    y = X[:, :2] * 2 + 1
    for module in (linen.Dense(2), tasks.MLP((), 2), tasks.MLP(())):
        task = tasks.regression(module, X, y)
        params = task.init(jax.random.key(0))
        loss, metrics, _ = task.loss(params, task.init_state(jax.random.key(0)), task.x, task.y, jnp.ones(40), None)
        kernel, bias = (
            (tasks.to_dense(params)["Dense_0"][name] for name in ("kernel", "bias"))
            if isinstance(module, tasks.MLP)
            else (params["kernel"], params["bias"])
        )
        assert float(loss) == pytest.approx(float(((X @ kernel + bias[None] - y) ** 2).mean()), rel=1e-4)
        assert metrics == {}


def test_a_built_nnx_module_is_refused() -> None:
    with pytest.raises(TypeError, match="got a built Linear"):
        tasks.classification(nnx.Linear(6, 4, rngs=nnx.Rngs(0)), X, LABELS)


def test_model_of_nothing_is_refused() -> None:
    with pytest.raises(TypeError, match="must be a Linen module"):
        models.model(3, jnp.zeros((1, 2)))


BAD_X = np.where(np.arange(240).reshape(40, 6) == 7, np.nan, X)


@pytest.mark.parametrize(
    ("widths", "error", "message"),
    [
        (50, TypeError, "widths must be a list of integers, got 50"),
        ("50", TypeError, "widths must be a list of integers, got '50'"),
        ([50, 0], ValueError, "each of widths must be an integer of at least 1, got 0"),
        ([5.0], TypeError, "each of widths must be an integer of at least 1, got 5.0"),
    ],
)
def test_bad_widths_are_refused(widths: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        tasks.mlp(widths)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((BAD_X, LABELS), ValueError, "x must be finite, got 1 values"),
        ((X, LABELS, BAD_X, LABELS), ValueError, "x_test must be finite"),
        ((X, LABELS[:-1]), ValueError, "x and y must be of one length, got 40 and 39"),
        ((X, LABELS, X[:, :5], LABELS), ValueError, r"shape of x's, \(6,\); got \(5,\)"),
        ((X, LABELS, X), ValueError, "x_test and y_test must be given together"),
        ((X, LABELS - 1), ValueError, "labels from 0, got -1"),
        ((X, LABELS, X, LABELS + 1), ValueError, "y_test must hold labels from 0 to 3 for 4 logits, got 4"),
        ((X, LABELS + 0.5), TypeError, "y must be integer labels, got the type float"),
        ((X, LABELS.astype(float)), TypeError, r"got the type float32: give y.astype\(int\)"),
        (
            (X, np.stack([LABELS, LABELS], 1)),
            ValueError,
            r"y must be labels \[N\], got the shape \(40, 2\): tasks.superv",
        ),
        ((X, np.eye(4)[LABELS]), ValueError, r"they are one-hot, so give y.argmax\(1\)"),
        ((X, LABELS[:, None]), ValueError, r"give y.ravel\(\)"),
        (
            (X, np.array(list("abcd"))[LABELS]),
            TypeError,
            r"integer labels, got strs: np.unique\(y, return_inverse=True\)",
        ),
        ((X[:0], LABELS[:0]), ValueError, "at least one example"),
        ((X.astype(str), LABELS), TypeError, "x must be an array of numbers"),
        ((X[:, :, None], LABELS), ValueError, r"x must be \[N, features\]"),
    ],
)
def test_bad_data_is_refused(arguments: tuple, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        tasks.classification(tasks.MLP((4,)), *arguments)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: tasks.classification(linen.Dense(3), X, LABELS), "y must hold labels from 0 to 2 for 3 logits, got 3"),
        (lambda: tasks.classification(tasks.MLP((4,), 3), X, LABELS), "labels from 0 to 2"),
        (lambda: tasks.regression(linen.Dense(2), X, X[:, 0]), "module must give outputs of the targets' shape"),
        (lambda: tasks.supervised(linen.Dense(2), lambda o, y: (o.mean(), {}), X, LABELS), "objective must give loss"),
    ],
)
def test_a_module_that_does_not_fit_is_refused(build: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()
