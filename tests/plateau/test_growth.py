"""On the blobs: lowering the rate and growing the batch when the loss gets stuck quieten SGD alike."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sklearn.datasets import make_blobs

from jaxlr.plateau import accumulate_on_plateau, reduce_on_plateau, scale_by_plateau

RATE, BATCH, EPOCHS, SEEDS = 0.1, 4, 32, 4
X, Y = make_blobs(n_samples=1000, centers=3, n_features=2, cluster_std=2, random_state=2)
TRAIN, TEST = (X[:500], Y[:500]), (X[500:], Y[500:])
STEPS = len(TRAIN[0]) // BATCH
PLATEAU = reduce_on_plateau(factor=0.5, patience=3, min_value=1 / 32)


class Curves(NamedTuple):
    """One row for each seed, one column for each epoch."""

    loss: np.ndarray
    noise_scale: np.ndarray
    updates: np.ndarray


def loss_of(params, x, y):
    hidden = jax.nn.relu(x @ params["w1"] + params["b1"][None])
    logits = hidden @ params["w2"] + params["b2"][None]
    return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()


def train(tx, noise_scale):
    """Each seed's curves: the test loss, the noise scale rate / batch, and the updates made."""
    x, y = jnp.asarray(TRAIN[0], jnp.float32), jnp.asarray(TRAIN[1])
    x_test, y_test = jnp.asarray(TEST[0], jnp.float32), jnp.asarray(TEST[1])

    def one_seed(key):
        first, second, order = jax.random.split(key, 3)
        params = {
            "w1": jax.random.normal(first, (2, 50)) / 5,
            "b1": jnp.zeros(50),
            "w2": jax.random.normal(second, (50, 3)) / 5,
            "b2": jnp.zeros(3),
        }

        def epoch(carry, key):
            params, state = carry
            test_loss = loss_of(params, x_test, y_test)

            def step(carry, batch):
                params, state = carry
                grads = jax.grad(loss_of)(params, x[batch], y[batch])
                updates, state = tx.update(grads, state, params, value=test_loss)
                moved = jnp.any(updates["b2"] != 0)
                return (optax.apply_updates(params, updates), state), moved

            batches = jax.random.permutation(key, len(x))[: STEPS * BATCH].reshape(STEPS, BATCH)
            (params, state), moved = jax.lax.scan(step, (params, state), batches)
            return (params, state), (loss_of(params, x_test, y_test), noise_scale(state), moved.sum())

        return jax.lax.scan(epoch, (params, tx.init(params)), jax.random.split(order, EPOCHS))[1]

    return Curves(*map(np.asarray, jax.jit(jax.vmap(one_seed))(jax.random.split(jax.random.key(0), SEEDS))))


@pytest.fixture(scope="module")
def curves():
    sgd = optax.sgd(RATE)
    lowered = optax.chain(sgd, scale_by_plateau(PLATEAU, accumulation_size=STEPS))
    grown = accumulate_on_plateau(sgd, PLATEAU, accumulation_size=STEPS)
    return {
        "constant": train(optax.with_extra_args_support(sgd), lambda state: jnp.float32(RATE / BATCH)),
        "lower rate": train(lowered, lambda state: RATE * state[1].plateau.value / BATCH),
        "larger batch": train(grown, lambda state: RATE / (BATCH / state.observed.plateau.value)),
    }


LAST = np.s_[:, -10:]


def test_both_reach_the_same_noise_scale(curves):
    for name in ("lower rate", "larger batch"):
        np.testing.assert_array_equal(curves[name].noise_scale[:, -1], np.float32(RATE / BATCH / 32))
        assert (np.diff(curves[name].noise_scale) <= 0).all()


def test_both_end_the_noise_that_a_constant_rate_keeps(curves):
    wobble = {name: curve.loss[LAST].std(1).mean() for name, curve in curves.items()}
    assert wobble["lower rate"] < wobble["constant"] / 5
    assert wobble["larger batch"] < wobble["constant"] / 5


def test_both_end_at_the_same_loss_below_the_constant_rate(curves):
    end = {name: curve.loss[LAST].mean() for name, curve in curves.items()}
    assert end["lower rate"] == pytest.approx(end["larger batch"], abs=0.01)
    assert max(end["lower rate"], end["larger batch"]) < end["constant"] - 0.02


def test_the_larger_batch_makes_fewer_updates(curves):
    assert (curves["lower rate"].updates.sum(1) == STEPS * EPOCHS).all()
    assert (curves["larger batch"].updates.sum(1) < 0.7 * STEPS * EPOCHS).all()
