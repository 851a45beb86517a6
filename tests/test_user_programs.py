"""Two programs as their authors write them, in Flax's and Optax's own idioms, with rates from jaxlr.

An NNX classifier of the digits with `nnx.Optimizer`, and a Linen one with `TrainState`: they train, report
their rate, and go on after a stop as if there had been none.
"""

from __future__ import annotations

import flax.linen as nn
import flax.serialization
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from flax.training.train_state import TrainState
from sklearn.datasets import load_digits

from jaxlr import optimizers, schedules
from jaxlr.inject import current_lr, injected, per_group, with_lr
from jaxlr.plateau import reduce_on_plateau, scale_by_plateau

BATCH, STEPS = 50, 24
EPOCHS = 4


@pytest.fixture(scope="module")
def digits():
    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    x = jnp.asarray(data.data[order] / 16, jnp.float32)
    y = jnp.asarray(data.target[order])
    return (x[:1200], y[:1200]), (x[1200:], y[1200:])


def batches(train, epoch):
    order = np.random.default_rng(epoch).permutation(len(train[0])).reshape(STEPS, BATCH)
    return [(train[0][rows], train[1][rows]) for rows in order]


def cross_entropy(logits, labels):
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


# --- NNX


class Classifier(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        self.hidden = nnx.Linear(64, 32, rngs=rngs)
        self.out = nnx.Linear(32, 10, rngs=rngs)

    def __call__(self, x):
        return self.out(nnx.relu(self.hidden(x)))


@nnx.jit
def nnx_step(model, optimizer, x, y, val_loss):
    loss, grads = nnx.value_and_grad(lambda model: cross_entropy(model(x), y))(model)
    optimizer.update(model, grads, value=val_loss)
    return loss, current_lr(optimizer.opt_state)


@nnx.jit
def nnx_evaluate(model, x, y):
    logits = model(x)
    return cross_entropy(logits, y), (logits.argmax(-1) == y).mean()


SCHEDULE = schedules.warmup(schedules.cosine_decay(0.01, decay_steps=STEPS * EPOCHS), 12)


ADAM = optax.chain(
    optimizers.adam(SCHEDULE),
    scale_by_plateau(reduce_on_plateau(factor=0.5, patience=1, min_delta=0.3), accumulation_size=STEPS),
)


def nnx_program(seed):
    model = Classifier(nnx.Rngs(seed))
    return model, nnx.Optimizer(model, ADAM, wrt=nnx.Param)


def nnx_train(model, optimizer, digits, epochs):
    train, test = digits
    rates = []
    for epoch in epochs:
        val_loss, _ = nnx_evaluate(model, *test)
        for x, y in batches(train, epoch):
            _, rate = nnx_step(model, optimizer, x, y, val_loss)
            rates.append(float(rate))
    return rates


def test_nnx_program_trains_reports_its_rate_and_resumes(digits):
    model, optimizer = nnx_program(0)
    rates = nnx_train(model, optimizer, digits, range(EPOCHS))
    _, accuracy = nnx_evaluate(model, *digits[1])
    assert accuracy > 0.9

    scheduled = np.asarray(jax.vmap(SCHEDULE)(jnp.arange(STEPS * EPOCHS)))
    scales = np.asarray(rates) / np.where(scheduled > 0, scheduled, 1)
    assert rates[0] == 0.0
    assert set(np.round(scales[1:], 4)) >= {1.0, 0.5}
    assert set(np.round(np.log2(scales[1:]), 4)) <= {0.0, -1.0, -2.0, -3.0, -4.0}

    half = EPOCHS // 2
    first, first_optimizer = nnx_program(0)
    before = nnx_train(first, first_optimizer, digits, range(half))
    saved = jax.tree.map(np.asarray, (nnx.to_pure_dict(nnx.state(first)), nnx.to_pure_dict(nnx.state(first_optimizer))))
    second, second_optimizer = nnx_program(1)
    for module, values in zip((second, second_optimizer), saved, strict=True):
        state = nnx.state(module)
        nnx.replace_by_pure_dict(state, values)
        nnx.update(module, state)
    after = nnx_train(second, second_optimizer, digits, range(half, EPOCHS))
    assert before + after == rates
    jax.tree.map(np.testing.assert_array_equal, nnx.to_pure_dict(nnx.state(second)), nnx.to_pure_dict(nnx.state(model)))


def test_nnx_rate_is_set_between_epochs(digits):
    model = Classifier(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, injected(optax.sgd, learning_rate=0.1), wrt=nnx.Param)
    nnx_sgd_step(model, optimizer, *batches(digits[0], 0)[0])
    optimizer.opt_state = with_lr(optimizer.opt_state, 0.025)
    assert current_lr(optimizer.opt_state) == np.float32(0.025)
    before = nnx.to_pure_dict(nnx.state(model))["out"]["bias"]
    grads = nnx_sgd_step(model, optimizer, *batches(digits[0], 0)[1])
    moved = before - nnx.to_pure_dict(nnx.state(model))["out"]["bias"]
    np.testing.assert_allclose(moved, 0.025 * grads["out"]["bias"][...], rtol=1e-4, atol=1e-7)


@nnx.jit
def nnx_sgd_step(model, optimizer, x, y):
    grads = nnx.grad(lambda model: cross_entropy(model(x), y))(model)
    optimizer.update(model, grads)
    return grads


# --- Linen


class LinenClassifier(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Dense(32, name="body")(x))
        return nn.Dense(10, name="head")(x)


@jax.jit
def linen_step(state, x, y):
    loss, grads = jax.value_and_grad(lambda params: cross_entropy(state.apply_fn({"params": params}, x), y))(
        state.params
    )
    return state.apply_gradients(grads=grads), loss


@jax.jit
def linen_evaluate(state, x, y):
    logits = state.apply_fn({"params": state.params}, x)
    return cross_entropy(logits, y), (logits.argmax(-1) == y).mean()


def linen_program(tx):
    module = LinenClassifier()
    params = module.init(jax.random.key(0), jnp.zeros((1, 64)))["params"]
    return TrainState.create(apply_fn=module.apply, params=params, tx=tx)


PLATEAU = reduce_on_plateau(factor=0.5, patience=1, min_delta=0.2, min_value=0.02)
KERAS_SGD = injected(optimizers.sgd, learning_rate=0.1, momentum=0.9)


def linen_train(state, plateau_state, digits, epochs):
    train, test = digits
    rates = []
    for epoch in epochs:
        for x, y in batches(train, epoch):
            state, _ = linen_step(state, x, y)
        rates.append(float(current_lr(state.opt_state)))
        plateau_state = PLATEAU.update(plateau_state, linen_evaluate(state, *test)[0])
        state = state.replace(opt_state=with_lr(state.opt_state, plateau_state.value))
    return state, plateau_state, rates


def test_linen_program_trains_reports_its_rate_and_resumes(digits):
    start, watch = linen_program(KERAS_SGD), PLATEAU.init(0.1)
    state, _, rates = linen_train(start, watch, digits, range(EPOCHS))
    _, accuracy = linen_evaluate(state, *digits[1])
    assert accuracy > 0.9
    assert rates[0] == np.float32(0.1)
    assert np.float32(0.05) in rates
    assert min(rates) >= np.float32(0.02)
    assert (np.diff(rates) <= 0).all()

    half = EPOCHS // 2
    *middle, first = linen_train(start, watch, digits, range(half))
    saved = flax.serialization.to_bytes(middle)
    restored = flax.serialization.from_bytes([linen_program(KERAS_SGD), PLATEAU.init(0.1)], saved)
    resumed, _, second = linen_train(*restored, digits, range(half, EPOCHS))
    assert first + second == rates
    jax.tree.map(np.testing.assert_array_equal, resumed.params, state.params)


def test_linen_program_with_a_schedule_for_each_group(digits):
    groups = {"body": schedules.cosine_decay(0.2, 4 * STEPS), "head": schedules.constant(0.5)}
    labels = {"body": "body", "head": "head"}
    state = linen_program(per_group(optax.sgd, groups, labels))
    losses = []
    for x, y in [batch for epoch in range(3) for batch in batches(digits[0], epoch)]:
        state, loss = linen_step(state, x, y)
        losses.append(float(loss))
    rates = current_lr(state.opt_state)
    assert np.mean(losses[-4:]) < np.mean(losses[:4]) / 2
    np.testing.assert_allclose(rates["body"], groups["body"](3 * STEPS - 1), rtol=1e-6)
    np.testing.assert_allclose(rates["head"], 0.5)


def test_linen_program_resumes_at_a_step_with_offset(digits):
    schedule = schedules.cosine_decay(0.5, STEPS)
    state = linen_program(optimizers.sgd(schedule))
    for number, (x, y) in enumerate(batches(digits[0], 0)):
        if number == STEPS // 2:
            weights = state.params
        state, _ = linen_step(state, x, y)
    resumed = linen_program(optimizers.sgd(schedules.offset(schedule, STEPS // 2))).replace(params=weights)
    for x, y in batches(digits[0], 0)[STEPS // 2 :]:
        resumed, _ = linen_step(resumed, x, y)
    assert current_lr(resumed.opt_state) == current_lr(state.opt_state)
    jax.tree.map(np.testing.assert_array_equal, resumed.params, state.params)
