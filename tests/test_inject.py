"""The rate inside Optax states: read, set, by group, under jit, and the same after a stop."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxlr import optimizers, schedules
from jaxlr.inject import current_lr, injected, per_group, with_lr
from jaxlr.plateau import accumulate_on_plateau, reduce_on_plateau, scale_by_plateau

PARAMS = {"w": jnp.ones((3,)), "b": jnp.ones((2,))}
GRADS = jax.tree.map(jnp.ones_like, PARAMS)
LINE = optax.linear_schedule(0.8, 0.0, 8)
HALVING = reduce_on_plateau(factor=0.5, patience=1)


def after(tx, steps, **extra):
    """The state after some steps with a metric that never improves."""
    extra_args = optax.with_extra_args_support(tx)
    state = tx.init(PARAMS)
    for _ in range(steps):
        _, state = extra_args.update(GRADS, state, PARAMS, **extra)
    return state


def inject(optimizer, **kwargs):
    return optax.inject_hyperparams(optimizer)(**kwargs)


# transformation, steps, rate in force (the one of the latest update; before any, of the first)
HELD = {
    "injected number": (injected(optax.adam, learning_rate=0.1), 3, 0.1),
    "injected schedule, before": (injected(optax.adam, learning_rate=LINE), 0, 0.8),
    "injected schedule, after 1": (injected(optax.adam, learning_rate=LINE), 1, 0.8),
    "injected schedule, after 3": (injected(optax.adam, learning_rate=LINE), 3, 0.6),
    "inject_hyperparams": (inject(optax.sgd, learning_rate=0.1), 2, 0.1),
    "inject_hyperparams, schedule": (inject(optax.adamw, learning_rate=LINE), 2, 0.7),
    "chained": (optax.chain(optax.clip(1.0), inject(optax.lion, learning_rate=0.1)), 2, 0.1),
    "chained in a chain": (optax.chain(optax.chain(inject(optax.sgd, learning_rate=0.1))), 2, 0.1),
    "named chain": (
        optax.named_chain(("clip", optax.clip(1.0)), ("sgd", inject(optax.sgd, learning_rate=0.1))),
        1,
        0.1,
    ),
    "masked": (optax.masked(inject(optax.sgd, learning_rate=0.1), {"w": True, "b": False}), 1, 0.1),
    "multi-steps": (
        optax.MultiSteps(inject(optax.sgd, learning_rate=LINE), 2).gradient_transformation(),
        4,
        0.7,
    ),
    "apply_if_finite": (optax.apply_if_finite(inject(optax.sgd, learning_rate=0.1), 3), 1, 0.1),
    "two rates in a chain": (
        optax.chain(inject(optax.sgd, learning_rate=0.5), inject(optax.sgd, learning_rate=0.25)),
        1,
        0.125,
    ),
    "ours": (optimizers.sgd(0.1, momentum=0.9), 2, 0.1),
    "ours, schedule": (optimizers.adam(LINE), 3, 0.6),
    "ours, injected": (injected(optimizers.rmsprop, learning_rate=0.1), 2, 0.1),
    "line search": (optax.scale_by_backtracking_linesearch(3), 0, 1.0),
}


@pytest.mark.parametrize("name", sorted(HELD))
def test_reads_the_rate_that_a_state_holds(name):
    tx, steps, expected = HELD[name]
    state = after(tx, steps)
    rate = current_lr(state)
    assert rate.dtype == jnp.float32
    np.testing.assert_allclose(rate, expected, rtol=1e-6)
    assert jax.jit(current_lr)(state) == rate


def scaled_sgd(learning_rate):
    return optax.chain(optax.sgd(learning_rate), scale_by_plateau(HALVING))


SGD = inject(optax.sgd, learning_rate=0.8)
OPTAX_HALVING = optax.contrib.reduce_on_plateau(factor=0.5, patience=1)
# The metric never improves: a patience of 1 halves the rate at each step but the first.
SCALED = {
    "ours": (optax.chain(SGD, scale_by_plateau(HALVING)), 0.1),
    "optax's": (optax.chain(SGD, OPTAX_HALVING), 0.1),
    "both": (optax.chain(SGD, OPTAX_HALVING, scale_by_plateau(HALVING)), 0.8 / 64),
    "of a schedule": (
        optax.chain(injected(optax.sgd, learning_rate=LINE), scale_by_plateau(HALVING)),
        0.5 / 8,
    ),
    "inside an injected factory": (injected(scaled_sgd, learning_rate=0.8), 0.1),
}


@pytest.mark.parametrize("name", sorted(SCALED))
def test_reads_the_product_with_a_plateau_and_that_is_applied(name):
    tx, expected = SCALED[name]
    before = after(tx, 3, value=1.0)
    updates, state = tx.update(GRADS, before, PARAMS, value=1.0)
    np.testing.assert_allclose(current_lr(state), expected, rtol=1e-6)
    np.testing.assert_allclose(-updates["w"], expected, rtol=1e-6)


def test_a_plateau_that_grows_the_batch_leaves_the_rate():
    plateau = reduce_on_plateau(factor=0.5, patience=1, min_value=0.1)
    np.testing.assert_allclose(current_lr(after(accumulate_on_plateau(SGD, plateau), 4, value=1.0)), 0.8)


@pytest.mark.parametrize("optimizer", [optax.sgd, optax.adam, optax.adamw, optax.lion, optax.rmsprop, optax.lamb])
def test_asks_for_a_rate_that_only_a_closure_knows(optimizer):
    for steps, expected in ((0, 0.8), (1, 0.8), (3, 0.6)):
        np.testing.assert_allclose(current_lr(after(optimizer(LINE), steps), LINE), expected, rtol=1e-6)
    np.testing.assert_allclose(current_lr(after(optimizer(0.1), 2), 0.1), 0.1, rtol=1e-6)
    for state in (after(optimizer(LINE), 1), after(optimizer(0.1), 1)):
        with pytest.raises(ValueError, match="opt_state must hold a learning rate, got one without"):
            current_lr(state)


def test_a_schedule_needs_one_count():
    with pytest.raises(ValueError, match="must hold one schedule's count, got 0"):
        current_lr(after(optax.sgd(0.1), 1), LINE)
    twice = optax.chain(optax.scale_by_schedule(LINE), optax.scale_by_schedule(LINE))
    with pytest.raises(ValueError, match="got 2"):
        current_lr(after(twice, 1), LINE)


def test_closed_over_rate_times_plateau():
    tx = optax.chain(optax.adam(LINE), scale_by_plateau(HALVING))
    np.testing.assert_allclose(current_lr(after(tx, 3, value=1.0), LINE), 0.6 / 4, rtol=1e-6)


# --- Groups


def test_per_group_trains_each_group_at_its_own_rate():
    labels = {"w": "slow", "b": "fast"}
    tx = per_group(optax.sgd, {"slow": 0.01, "fast": LINE}, labels)
    state = after(tx, 2)
    rates = jax.jit(current_lr)(state)
    np.testing.assert_allclose([rates["slow"], rates["fast"]], [0.01, 0.7], rtol=1e-6)
    updates, state = tx.update(GRADS, state, PARAMS)
    np.testing.assert_allclose(-updates["w"], 0.01, rtol=1e-6)
    np.testing.assert_allclose(-updates["b"], current_lr(state)["fast"], rtol=1e-6)


def test_groups_of_one_rate_equal_no_groups():
    tx = per_group(optax.adam, {"slow": LINE, "fast": LINE}, {"w": "slow", "b": "fast"})
    plain = optax.adam(LINE)
    grouped_updates, _ = tx.update(GRADS, after(tx, 2), PARAMS)
    updates, _ = plain.update(GRADS, after(plain, 2), PARAMS)
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-6), grouped_updates, updates)


def test_groups_under_a_plateau_and_a_frozen_group():
    groups = optax.multi_transform(
        {"slow": inject(optax.sgd, learning_rate=0.8), "frozen": optax.set_to_zero()},
        {"w": "slow", "b": "frozen"},
    )
    rates = current_lr(after(optax.chain(groups, scale_by_plateau(HALVING)), 3, value=1.0))
    np.testing.assert_allclose(rates["slow"], 0.2, rtol=1e-6)
    assert np.isnan(rates["frozen"])


def test_groups_without_any_rate_are_asked_for():
    tx = optax.multi_transform({"slow": optax.sgd(0.1), "fast": optax.adam(LINE)}, {"w": "slow", "b": "fast"})
    state = after(tx, 3)
    with pytest.raises(ValueError, match="must hold a learning rate"):
        current_lr(state)
    rates = current_lr(state, {"slow": 0.1, "fast": LINE})
    np.testing.assert_allclose([rates["slow"], rates["fast"]], [0.1, 0.6], rtol=1e-6)


# --- Setting


def test_set_rate_is_read_and_used():
    tx = optax.chain(optax.clip(9.0), injected(optax.sgd, learning_rate=0.1))
    state = jax.jit(with_lr)(after(tx, 1), 0.025)
    assert jax.tree.structure(state) == jax.tree.structure(after(tx, 1))
    np.testing.assert_allclose(current_lr(state), 0.025, rtol=1e-6)
    updates, state = tx.update(GRADS, state, PARAMS)
    np.testing.assert_allclose(-updates["w"], 0.025, rtol=1e-6)
    np.testing.assert_allclose(current_lr(state), 0.025, rtol=1e-6)


def test_set_rate_counts_the_plateau_in():
    tx = optax.chain(injected(optax.sgd, learning_rate=0.8), scale_by_plateau(HALVING))
    state = with_lr(after(tx, 3, value=1.0), 0.3)
    np.testing.assert_allclose(current_lr(state), 0.3, rtol=1e-6)
    updates, _ = tx.update(GRADS, state, PARAMS)
    np.testing.assert_allclose(-updates["w"], 0.3, rtol=1e-6)


def test_set_rates_of_groups():
    tx = per_group(optax.sgd, {"slow": 0.01, "fast": 0.1}, {"w": "slow", "b": "fast"})
    state = after(tx, 1)
    both = current_lr(with_lr(state, 0.5))
    np.testing.assert_allclose([both["slow"], both["fast"]], [0.5, 0.5])
    one = current_lr(with_lr(state, {"slow": 0.5}))
    np.testing.assert_allclose([one["slow"], one["fast"]], [0.5, 0.1], rtol=1e-6)
    with pytest.raises(ValueError, match="groups among slow, fast; got head"):
        with_lr(state, {"head": 0.5})


def test_set_rate_counts_the_plateau_of_one_group_in():
    tx = per_group(scaled_sgd, {"slow": 0.8, "fast": 0.1}, {"w": "slow", "b": "fast"})
    state = after(tx, 3, value=1.0)
    np.testing.assert_allclose(current_lr(state)["slow"], 0.2, rtol=1e-6)
    rates = current_lr(with_lr(state, {"slow": 0.3}))
    np.testing.assert_allclose([rates["slow"], rates["fast"]], [0.3, 0.025], rtol=1e-6)


@pytest.mark.parametrize(
    ("tx", "words"),
    [
        (optax.sgd(0.1), "must hold one injected learning rate, got 0"),
        (optimizers.sgd(0.1), "got 0"),
        (optax.chain(inject(optax.sgd, learning_rate=0.5), inject(optax.sgd, learning_rate=0.2)), "got 2"),
        (injected(optax.sgd, learning_rate=LINE), "got a schedule"),
    ],
)
def test_a_rate_that_cannot_be_set_is_refused(tx, words):
    with pytest.raises(ValueError, match=words):
        with_lr(after(tx, 1), 0.5)


# --- Injection


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32])
def test_injected_values_are_float32_and_the_state_keeps_its_types(dtype):
    params = jnp.ones((4,), dtype)
    tx = injected(optax.adam, learning_rate=LINE, b2=0.999)

    def step(state, _):
        updates, state = tx.update(params, state, params)
        return state, updates

    state, updates = jax.lax.scan(step, tx.init(params), None, length=2)
    assert updates.dtype == dtype
    assert state.hyperparams["learning_rate"].dtype == jnp.float32
    assert state.hyperparams["b2"] == np.float32(0.999)
    assert state.inner_state[0].mu.dtype == dtype


def test_injected_optimizer_may_keep_a_random_key():
    def noisy(learning_rate):
        return optax.chain(optax.add_noise(0.1, 0.5, jax.random.key(0)), optax.sgd(learning_rate))

    state = after(injected(noisy, learning_rate=0.1), 2)
    np.testing.assert_allclose(current_lr(state), 0.1, rtol=1e-6)


def test_injection_changes_no_trajectory():
    plain, ours = optax.adam(LINE), injected(optax.adam, learning_rate=LINE)
    for steps in range(3):
        expected, _ = plain.update(GRADS, after(plain, steps), PARAMS)
        computed, _ = ours.update(GRADS, after(ours, steps), PARAMS)
        jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-6), computed, expected)


def test_unknown_hyperparameter_is_named():
    with pytest.raises(TypeError, match="must be arguments of sgd, got lr"):
        injected(optax.sgd, lr=0.1)
    with pytest.raises(ValueError, match="at least one group"):
        per_group(optax.sgd, {}, {})


def test_momentum_twin_of_one_cycle_is_injected():
    rate = schedules.one_cycle(1.0, total_steps=20)
    twin = schedules.one_cycle_momentum(total_steps=20)
    tx = per_group(optax.sgd, {"all": {"learning_rate": rate, "momentum": twin}}, {"w": "all", "b": "all"})

    def step(state, _):
        updates, state = tx.update(GRADS, state, PARAMS)
        hyperparams = state.inner_states["all"].inner_state.hyperparams
        return state, (hyperparams["learning_rate"], hyperparams["momentum"], updates["w"][0])

    rates, momenta, updates = jax.lax.scan(step, tx.init(PARAMS), None, length=20)[1]
    counts = jnp.arange(20)
    np.testing.assert_allclose(rates, jax.vmap(rate)(counts), rtol=1e-6)
    np.testing.assert_allclose(momenta, jax.vmap(twin)(counts), rtol=1e-6)
    assert np.argmax(rates) == np.argmin(momenta)
    velocity, expected = 0.0, []
    for lr, momentum in zip(np.asarray(rates, float), np.asarray(momenta, float), strict=True):
        velocity = 1.0 + momentum * velocity
        expected.append(-lr * velocity)
    np.testing.assert_allclose(updates, expected, rtol=1e-5)


# --- Resuming


def quadratic(tx, params, state, steps):
    target = jnp.array([1.0, -2.0, 3.0])

    def step(carry, _):
        params, state = carry
        updates, state = tx.update(params - target, state, params)
        return (optax.apply_updates(params, updates), state), (params, current_lr(state))

    return jax.lax.scan(step, (params, state), None, length=steps)


@pytest.mark.parametrize("optimizer", [optax.sgd, optimizers.sgd])
def test_resuming_with_offset_equals_never_having_stopped(optimizer):
    schedule = schedules.warmup(schedules.cosine_decay(0.5, 30), 5)
    start = jnp.zeros(3)
    whole = injected(optimizer, learning_rate=schedule)
    _, (path, rates) = quadratic(whole, start, whole.init(start), 24)
    (middle, _), _ = quadratic(whole, start, whole.init(start), 11)
    resumed = injected(optimizer, learning_rate=schedules.offset(schedule, 11))
    _, (rest, rest_rates) = quadratic(resumed, middle, resumed.init(middle), 13)
    np.testing.assert_array_equal(rest_rates, rates[11:])
    np.testing.assert_array_equal(rest, path[11:])


def test_resuming_from_a_saved_state_equals_never_having_stopped():
    tx = optax.chain(injected(optax.adam, learning_rate=LINE), scale_by_plateau(HALVING))
    whole = after(tx, 6, value=1.0)
    saved = jax.tree.map(np.asarray, after(tx, 3, value=1.0))
    for _ in range(3):
        _, saved = tx.update(GRADS, saved, PARAMS, value=1.0)
    jax.tree.map(np.testing.assert_array_equal, whole, saved)
