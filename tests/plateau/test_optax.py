"""The plateau and the batch growth as Optax transformations, in loops of a user's own."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxlr import schedules
from jaxlr.plateau import (
    accumulate,
    accumulate_on_plateau,
    accumulation_steps,
    reduce_on_plateau,
    scale_by_plateau,
)

PARAMS = {"w": jnp.ones((3,)), "b": jnp.ones(())}
GRADS = jax.tree.map(jnp.ones_like, PARAMS)


def scales(tx, metrics, params=PARAMS):
    """The updates of a gradient of ones, step by step, in one scan."""

    def step(state, metric):
        updates, state = tx.update(jax.tree.map(jnp.ones_like, params), state, params, value=metric)
        return state, jax.tree.leaves(updates)[0].ravel()[0]

    return jax.jit(lambda metrics: jax.lax.scan(step, tx.init(params), metrics))(jnp.asarray(metrics, jnp.float32))


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("cooldown", [0, 2])
def test_equals_optax_step_by_step(size, cooldown):
    arguments = {"factor": 0.5, "patience": 2, "rtol": 0.0, "atol": 0.125, "cooldown": cooldown}
    metrics = np.random.default_rng(1).integers(0, 64, 60) / 16
    theirs = optax.contrib.reduce_on_plateau(**arguments, accumulation_size=size, min_scale=0.01)
    plateau = reduce_on_plateau(**arguments, min_value=0.01, semantics="optax")
    ours = scale_by_plateau(plateau, accumulation_size=size)
    expected = scales(theirs, metrics)[1]
    assert len(set(expected.tolist())) > 3
    np.testing.assert_array_equal(scales(ours, metrics)[1], expected)


def test_metric_once_an_epoch_leaves_the_other_steps_alone():
    tx = scale_by_plateau(reduce_on_plateau(factor=0.5, patience=2))
    update = jax.jit(tx.update)
    state, applied = tx.init(PARAMS), []
    for step in range(12):
        updates, state = update(GRADS, state, PARAMS, value=1.0 if step % 3 == 2 else None)
        applied.append(float(updates["b"]))
    assert applied == [1.0] * 8 + [0.5] * 4
    assert state.plateau.updates == 4
    _, unchanged = tx.update(GRADS, state, PARAMS)
    jax.tree.map(np.testing.assert_array_equal, state, unchanged)


def test_average_over_n_steps_is_the_metric():
    tx = scale_by_plateau(reduce_on_plateau(factor=0.5, patience=1), accumulation_size=4)
    metrics = [4.0, 0.0, 4.0, 0.0, 9.0, -1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0]
    state, applied = scales(tx, metrics)
    assert applied.tolist() == [1.0] * 7 + [0.5] * 5
    assert state.plateau.best == 1.0
    assert state.gathered == 0


def test_flags_speak_of_the_latest_step():
    tx = scale_by_plateau(reduce_on_plateau(factor=0.5, patience=1), accumulation_size=2)
    state, flags = tx.init(PARAMS), []
    for metric in (1.0, 1.0, 1.0, 1.0, 1.0):
        _, state = tx.update(GRADS, state, PARAMS, value=metric)
        flags.append((bool(state.plateau.improved), bool(state.plateau.reduced)))
    assert flags == [(False, False), (True, False), (False, False), (False, True), (False, False)]


def test_nan_loss_is_reported_and_lowers_nothing():
    tx = scale_by_plateau(reduce_on_plateau(patience=1))
    state, applied = scales(tx, [1.0, math.nan, math.nan])
    assert applied.tolist() == [1.0, 1.0, 1.0]
    assert state.plateau.nan_events == 2


def test_nan_is_left_out_of_its_window():
    tx = scale_by_plateau(reduce_on_plateau(factor=0.5, patience=1), accumulation_size=2)
    state, applied = scales(tx, [math.nan, 1.0, 1.0, 1.0, 1.0, 1.0])
    assert applied.tolist() == [1.0] * 3 + [0.5] * 2 + [0.25]
    assert (state.plateau.nan_events, state.plateau.best) == (1, 1.0)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32])
def test_scale_stays_float32_and_does_not_underflow_with_small_types(dtype):
    params = jax.tree.map(lambda x: x.astype(dtype), PARAMS)
    tx = scale_by_plateau(reduce_on_plateau(patience=1, factor=0.1))
    state, updates = scales(tx, [1.0] * 11, params)
    assert updates.dtype == dtype
    assert state.plateau.value.dtype == jnp.float32
    np.testing.assert_allclose(state.plateau.value, 1e-10, rtol=1e-6)


def test_patience_is_an_axis():
    def run(patience):
        return scales(scale_by_plateau(reduce_on_plateau(patience=patience, factor=0.5)), jnp.ones(9))[1]

    swept = jax.vmap(run)(jnp.array([1, 2, 4]))
    np.testing.assert_array_equal(swept, [run(1), run(2), run(4)])
    assert swept[:, -1].tolist() == [2.0**-8, 2.0**-4, 2.0**-2]


@pytest.mark.parametrize("wrap", [scale_by_plateau, lambda rule, **k: accumulate_on_plateau(optax.sgd(1.0), rule, **k)])
def test_a_metric_by_its_name(wrap):
    tx = wrap(reduce_on_plateau(factor=0.5, patience=1, min_value=0.25), metric="val_loss")
    state = tx.init(PARAMS)
    for _ in range(2):
        _, state = tx.update(GRADS, state, PARAMS, value=jnp.float32(0), val_loss=1.0, val_accuracy=0.5)
    state = getattr(state, "observed", state)
    assert (state.plateau.updates, state.plateau.best, state.plateau.value) == (2, 1.0, 0.5)


def test_several_plateaus_watch_a_metric_each():
    rule = reduce_on_plateau(factor=0.5, patience=1)
    tx = optax.chain(*(scale_by_plateau(rule, metric=name) for name in ("loss", "val_loss")))
    state = tx.init(PARAMS)
    for loss, val_loss in ((2.0, 1.0), (1.0, 1.0), (0.5, None), (0.5, None)):
        updates, state = tx.update(GRADS, state, PARAMS, loss=loss, val_loss=val_loss)
    assert [one.plateau.value for one in state] == [0.5, 0.5]
    assert updates["b"] == 0.25


# --- Batch growth


@pytest.mark.parametrize("k", [2, 4])
def test_accumulating_k_gradients_is_one_update_of_their_mean(k):
    tx = accumulate_on_plateau(optax.adam(0.1), reduce_on_plateau(factor=1 / k, patience=1, min_value=1 / k))
    update = jax.jit(tx.update)
    _, state = update(GRADS, tx.init(PARAMS), PARAMS, value=1.0)
    before, moves = state, []
    for i in range(k):
        updates, state = update(jax.tree.map(lambda g: g * i, GRADS), state, PARAMS, value=1.0)  # noqa: B023
        moves.append(float(updates["b"]))
    mean = jax.tree.map(lambda g: g * (k - 1) / 2, GRADS)
    expected, _ = optax.adam(0.1).update(mean, before.multi_steps.inner_opt_state, PARAMS)
    assert moves[:-1] == [0.0] * (k - 1)
    np.testing.assert_allclose(moves[-1], expected["b"], rtol=1e-6)
    assert state.multi_steps.gradient_step == 2


def test_counts_grow_where_the_rate_would_fall_and_stop_at_the_largest():
    plateau = reduce_on_plateau(factor=0.5, patience=1, min_value=1 / 4)
    tx = accumulate_on_plateau(optax.sgd(1.0), plateau)
    updates = scales(tx, [1.0] * 15)[1]
    # Metrics 2 and 3 are bad: the second update waits for the gradients 1 to 4, the next for four more.
    assert np.flatnonzero(updates).tolist() == [0, 4, 8, 12]


@pytest.mark.parametrize("factor", [2.0, 1.5, 3])
def test_accumulation_steps_are_the_formula(factor):
    counts = accumulation_steps(init_value=2, factor=factor, transition_steps=5, max_value=50)
    steps = jnp.arange(200)
    expected = [min(50, round(2 * factor ** (t // 5))) for t in range(200)]
    computed = jax.jit(jax.vmap(counts))(steps)
    assert computed.dtype == jnp.int32
    np.testing.assert_array_equal(computed, expected)
    assert counts(2**31 - 1) == 50


def test_accumulation_steps_drive_multi_steps():
    counts = accumulation_steps(transition_steps=2, max_value=4)
    tx = optax.MultiSteps(optax.sgd(1.0), every_k_schedule=counts)
    update = jax.jit(tx.update)
    state, moved = tx.init(PARAMS), []
    for _ in range(14):
        updates, state = update(GRADS, state, PARAMS)
        moved.append(bool(updates["b"]))
    assert np.flatnonzero(moved).tolist() == [0, 1, 3, 5, 9, 13]


def ramp(batches, steps, scaling="none"):
    """The updates of a gradient of ones, batch by batch."""
    tx = accumulate(optax.sgd(1.0), batches, scaling=scaling)

    def step(state, _):
        updates, state = tx.update(GRADS, state, PARAMS, value=1.0)
        return state, -updates["b"]

    return jax.lax.scan(step, tx.init(PARAMS), None, length=steps)[1]


@pytest.mark.parametrize(
    "batches",
    [
        schedules.linear(1.0, 12, 4.0),
        schedules.piecewise_constant([3, 9], [1.0, 2.0, 4.0], at_boundary=True),
        schedules.from_table([0, 4, 12], [1, 1, 4]),
        schedules.resolve(schedules.linear(1.0, 1.2e6 * schedules.token, 4.0), 100, tokens_per_step=1e5),
        lambda seen: 2,
    ],
)
@pytest.mark.parametrize("scaling", ["none", "linear", "sqrt"])
def test_a_ramp_goes_by_the_batches_seen(batches, scaling):
    expected, seen = [], 0
    first = max(1, round(float(batches(0))))
    while len(expected) < 30:
        size = max(1, round(float(batches(seen))))
        growth = {"none": 1.0, "linear": size / first, "sqrt": (size / first) ** 0.5}[scaling]
        expected += [0.0] * (size - 1) + [growth]
        seen += size
    np.testing.assert_allclose(ramp(batches, 30, scaling), expected[:30], rtol=1e-6)


def test_a_ramp_is_an_axis():
    swept = jax.jit(jax.vmap(lambda largest: ramp(schedules.linear(1.0, 8, largest), 20)))(jnp.array([1.0, 2.0, 4.0]))
    for largest, updates in zip((1.0, 2.0, 4.0), swept, strict=True):
        np.testing.assert_array_equal(updates, ramp(schedules.linear(1.0, 8, largest), 20))


def test_growth_is_an_axis():
    def at_20(factor, transition_steps):
        return accumulation_steps(factor=factor, transition_steps=transition_steps, max_value=64)(20)

    swept = jax.jit(jax.vmap(at_20))(jnp.array([2.0, 2.0, 4.0]), jnp.array([5, 10, 10]))
    assert swept.tolist() == [16, 4, 16]


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: scale_by_plateau(reduce_on_plateau(), accumulation_size=0), ValueError, "accumulation_size"),
        (lambda: scale_by_plateau(reduce_on_plateau(), accumulation_size=1.5), ValueError, "whole number"),
        (
            lambda: accumulate_on_plateau(optax.sgd(0.1), reduce_on_plateau()),
            ValueError,
            "min_value of the plateau",
        ),
        (lambda: accumulate(optax.sgd(0.1), 3), TypeError, "batches must be a schedule"),
        (lambda: accumulate(optax.sgd(0.1), lambda t: 3, scaling="root"), ValueError, "scaling must be one of none"),
        (lambda: accumulation_steps(transition_steps=0, max_value=4), ValueError, "transition_steps must be"),
        (
            lambda: accumulation_steps(transition_steps=5, max_value=4, factor=0.5),
            ValueError,
            "factor must be",
        ),
        (lambda: accumulation_steps(transition_steps="5", max_value=4), TypeError, "must be a number"),
    ],
)
def test_bad_arguments_say_what_is_wrong(call, error, words):
    with pytest.raises(error, match=words):
        call()
