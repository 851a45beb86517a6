"""The plateau's rule: against recorded libraries, against restatements in plain Python, and its laws."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxlr.plateau import Plateau, reduce_on_plateau
from tests import parity_plateau

with gzip.open(Path(__file__).parent.parent / "data" / "plateau.json.gz") as file:
    CASES = {case["id"]: case for case in json.load(file)}

# Decimal and relative ties whose decision hangs on digits that float32 does not hold.
FLOAT32_EXCEPTIONS = {
    "keras-plateau-0025",
    "keras-plateau-0081",
    "keras-plateau-0109",
    "torch-plateau-0011",
    "torch-plateau-0053",
    "torch-plateau-0093",
    "torch-plateau-0094",
    "optax-plateau-0067",
    "optax-plateau-0108",
}
EPOCHS = 48
deterministic = settings(deadline=None, derandomize=True, max_examples=60, database=None)


@jax.jit
def scanned(plateau: Plateau, value, metrics):
    """The states after each metric, stacked."""

    def epoch(state, metric):
        state = plateau.update(state, metric)
        return state, state

    return jax.lax.scan(epoch, plateau.init(value), metrics)[1]


def states(plateau: Plateau, metrics, value=0.1):
    """The states after each metric, without a compilation for each length or number."""
    as_arrays = jax.tree.map(lambda x: jnp.asarray(x, float), plateau)
    padded = np.pad(np.asarray(metrics, float), (0, EPOCHS - len(metrics)))
    out = scanned(as_arrays, jnp.asarray(value, float), jnp.asarray(padded, float))
    return jax.tree.map(lambda x: np.asarray(x)[: len(metrics)], out)


def reduced_in(plateau: Plateau, metrics, value=0.1) -> list[int]:
    return np.flatnonzero(states(plateau, metrics, value).reduced).tolist()


# --- Recorded libraries


@pytest.mark.parametrize("case_id", sorted(CASES))
def test_reproduces_recorded_case(case_id):
    assert parity_plateau.check_case(CASES[case_id]) is None


def test_recorded_cases_are_all_there():
    counts = {}
    for case_id in CASES:
        family = case_id.rsplit("-", 1)[0]
        counts[family] = counts.get(family, 0) + 1
    assert counts == {"keras-plateau": 73, "torch-plateau": 64, "optax-plateau": 66, "timm": 14}


@pytest.mark.parametrize("position", [0, -1])
def test_parity_check_can_fail(position):
    case = dict(CASES["keras-plateau-0004"])
    case["values"] = list(case["values"])
    case["values"][position] = np.nextafter(case["values"][position], 1.0)
    assert parity_plateau.check_case(case).startswith("float64")


def test_float32_reduces_in_the_recorded_epochs_but_for_ties_it_cannot_hold():
    differing = set()
    for case_id, case in CASES.items():
        run = parity_plateau.translate(case)
        computed = parity_plateau.reductions(run, parity_plateau.values(run, x64=False))
        if computed != parity_plateau.reductions(run, parity_plateau.numbers(case["values"])):
            differing.add(case_id)
    assert differing == FLOAT32_EXCEPTIONS
    assert {case_id for case_id in CASES if parity_plateau.is_float32_exception(CASES[case_id])} == differing


@pytest.mark.parametrize("case_id", sorted(CASES))
def test_float32_decides_as_float64_does_on_the_same_numbers(case_id):
    run = parity_plateau.translate(CASES[case_id])
    in_float32 = parity_plateau.reductions(run, parity_plateau.values(run, x64=False))
    assert in_float32 == parity_plateau.reductions(run, parity_plateau.values(parity_plateau.rounded(run), x64=True))


# --- Restatements in plain Python


def keras(metrics, value, p, *, version):
    best, wait, cooldown = (None if version == 3 else math.inf), 0, 0
    for metric in metrics:
        if cooldown > 0:
            cooldown, wait = cooldown - 1, 0
        if version == 3:  # noqa: SIM108
            better = best is None or metric + p["min_delta"] < best
        else:
            better = metric < best - p["min_delta"]
        if better:
            best, wait = metric, 0
        elif cooldown <= 0:
            wait += 1
            compared = np.float32(value) if version == 3 else np.float64(value)
            if wait >= p["patience"] and compared > np.float32(p["min_value"]):
                value, cooldown, wait = max(value * p["factor"], p["min_value"]), p["cooldown"], 0
        yield value


def torch(metrics, value, p):
    best, bad, cooldown = math.inf, 0, 0
    for metric in metrics:
        if metric < best - p["min_delta"]:
            best, bad = metric, 0
        else:
            bad += 1
        if cooldown > 0:
            cooldown, bad = cooldown - 1, 0
        if bad > p["patience"]:
            lower = max(value * p["factor"], p["min_value"])
            if value - lower > 1e-8:
                value = lower
            bad, cooldown = 0, p["cooldown"]
        yield value


def optax(metrics, value, p):
    best, bad, cooldown = math.inf, 0, 0
    for metric in metrics:
        better = metric < best - p["min_delta"]
        best, bad = (metric, 0) if better else (best, bad + 1)
        if cooldown > 0:
            cooldown, bad = cooldown - 1, 0
        elif bad == p["patience"]:
            value, bad, cooldown = value * p["factor"], 0, p["cooldown"]
            value = max(value, p["min_value"])
        else:
            value = max(value, p["min_value"])
        yield value


def mended(metrics, value, p):
    """The default rule, in words: skip NaN, skip the cooldown, count bad epochs, reduce down to the floor."""
    best, wait, cooldown = math.inf, 0, 0
    for metric in metrics:
        skipped, cooldown = cooldown > 0, max(cooldown - 1, 0)
        if metric == -math.inf or math.isnan(metric):
            wait = 0 if skipped else wait
        elif best - metric > p["min_delta"]:
            best, wait = metric, 0
        elif skipped:
            wait = 0
        else:
            wait += 1
            if wait >= p["patience"] and value > p["min_value"]:
                lower = value * p["factor"]
                value = lower if lower > p["min_value"] * (1 + 1e-14) else p["min_value"]
                wait, cooldown = 0, p["cooldown"]
        yield value


RESTATED = {
    "default": mended,
    "keras": lambda *args: keras(*args, version=3),
    "keras2": lambda *args: keras(*args, version=2),
    "torch": torch,
    "optax": optax,
}
steps = st.sampled_from([-1.5, -1.0, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0, 1.25, math.nan, math.inf, -math.inf])
settings_of_a_rule = st.fixed_dictionaries(
    {
        "factor": st.sampled_from([0.1, 0.5, 0.3, 0.9]),
        "patience": st.integers(0, 5),
        "cooldown": st.integers(0, 4),
        "min_delta": st.sampled_from([0.0, 0.25, 0.5, 1e-4]),
        "min_value": st.sampled_from([0.0, 1e-3, 0.01, 0.2]),
    }
)


@pytest.mark.parametrize("semantics", sorted(RESTATED))
@deterministic
@given(metrics=st.lists(steps, min_size=1, max_size=EPOCHS), p=settings_of_a_rule)
def test_equals_plain_python_bit_for_bit(semantics, metrics, p):
    with jax.enable_x64(True):
        computed = states(reduce_on_plateau(semantics=semantics, **p), metrics).value.tolist()
    assert computed == list(RESTATED[semantics](metrics, 0.1, p))


@deterministic
@given(
    metrics=st.lists(st.integers(0, 40), min_size=1, max_size=EPOCHS),
    p=settings_of_a_rule,
    patience=st.integers(1, 6),
)
def test_default_equals_keras_on_ordinary_input(metrics, p, patience):
    p = {**p, "patience": patience, "cooldown": 0, "min_value": 0.0}
    metrics = [m / 16 for m in metrics]
    with jax.enable_x64(True):
        computed = states(reduce_on_plateau(**p), metrics).value.tolist()
    assert computed == list(keras(metrics, 0.1, p, version=3))


@deterministic
@given(metrics=st.lists(steps, min_size=1, max_size=EPOCHS), p=settings_of_a_rule)
@pytest.mark.parametrize("semantics", ["default", "keras", "keras2", "torch"])
def test_max_mode_mirrors_min_mode(semantics, metrics, p):
    low = states(reduce_on_plateau(semantics=semantics, mode="min", **p), metrics)
    high = states(reduce_on_plateau(semantics=semantics, mode="max", **p), [-m for m in metrics])
    np.testing.assert_array_equal(low.value, high.value)
    np.testing.assert_array_equal(low.improved, high.improved)


# --- What the default mends


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("tolerance", [{}, {"rtol": 1e-4}, {"rtol": 1e-4, "atol": 1e-6}, {"min_delta": 0.0}])
def test_flat_negative_metric_reduces(mode, tolerance):
    plateau = reduce_on_plateau(patience=2, mode=mode, **tolerance)
    assert reduced_in(plateau, [-3.0] * 7) == [2, 4, 6]


def test_libraries_never_reduce_on_a_flat_negative_metric_with_a_relative_tolerance():
    for semantics in ("torch", "optax"):
        assert reduced_in(reduce_on_plateau(patience=2, semantics=semantics), [-3.0] * 9) == []


def test_nan_is_an_event_and_not_a_bad_epoch():
    state = states(reduce_on_plateau(patience=2), [1.0, math.nan, math.nan, math.nan, 1.0, math.nan, 1.0])
    assert state.nan_events.tolist() == [0, 1, 2, 3, 3, 4, 4]
    assert np.flatnonzero(state.reduced).tolist() == [6]
    assert state.best.tolist() == [1.0] * 7


def test_nan_in_the_first_epoch_is_not_the_best_for_ever():
    state = states(reduce_on_plateau(patience=2), [math.nan, 2.0, 1.0, 0.5])
    assert state.improved.tolist() == [False, True, True, True]
    assert not states(reduce_on_plateau(patience=2, semantics="keras"), [math.nan, 2.0, 1.0]).improved[1:].any()


def test_infinity_that_nothing_improves_on_is_an_event_and_the_other_is_a_bad_epoch():
    state = states(reduce_on_plateau(patience=1), [1.0, -math.inf, 0.5, math.inf])
    assert state.best.tolist() == [1.0, 1.0, 0.5, 0.5]
    assert state.nan_events.tolist() == [0, 1, 1, 1]
    assert state.reduced.tolist() == [False, False, False, True]


def test_patience_of_zero_reduces_at_each_bad_epoch_only():
    metrics = [5.0, 4.0, 4.0, 4.0, 3.0, 3.5]
    assert reduced_in(reduce_on_plateau(patience=0), metrics) == [2, 3, 5]
    assert reduced_in(reduce_on_plateau(patience=1), metrics) == [2, 3, 5]


@pytest.mark.parametrize("cooldown", [0, 1, 2, 5])
def test_cooldown_skips_that_many_epochs(cooldown):
    drops = reduced_in(reduce_on_plateau(patience=2, cooldown=cooldown), [1.0] * 30)
    assert drops[0] == 2
    assert set(np.diff(drops)) == {2 + cooldown}


def test_tie_at_exactly_min_delta_is_no_improvement():
    for delta in (0.25, 1e-7, 1e-4):
        best = np.float32(1.0)
        tie = best - np.float32(delta) if delta == 0.25 else best
        assert not states(reduce_on_plateau(min_delta=delta), [best, tie]).improved[1]
    assert states(reduce_on_plateau(min_delta=0.25), [1.0, np.nextafter(np.float32(0.75), 0)]).improved[1]


def test_float32_sees_a_difference_that_a_rounded_threshold_hides():
    best, metric = np.float32(0.5), np.float32(0.5) - np.float32(2.0**-24)
    # 5.96e-8 above a min_delta of 5e-8, while 0.5 - 5e-8 rounds to the metric itself.
    assert np.float32(best - np.float32(5e-8)) == metric
    assert states(reduce_on_plateau(min_delta=5e-8), [best, metric]).improved[1]


@pytest.mark.parametrize("x64", [False, True])
@pytest.mark.parametrize("min_value", [1e-2, 1e-5, 3e-4])
@pytest.mark.parametrize("factor", [0.1, 0.3, 0.5, 0.9])
def test_floor_is_reached_exactly_and_reported(x64, min_value, factor):
    with jax.enable_x64(x64):
        plateau = reduce_on_plateau(patience=1, factor=factor, min_value=min_value)
        state = states(plateau, [1.0] * EPOCHS, 1e-1)
        floor = np.asarray(jnp.asarray(min_value, float))
    reached = 0.1 * factor ** (EPOCHS - 1) < min_value
    assert state.at_floor[-1] == reached
    assert (state.value[-1] == floor) == reached
    np.testing.assert_array_equal(state.at_floor, state.value <= floor)
    assert not state.reduced[1:][state.at_floor[:-1]].any()


def test_no_reduction_is_spent_on_a_rounding_above_the_floor():
    with jax.enable_x64(True):
        state = states(reduce_on_plateau(patience=1, factor=0.1, min_value=0.01), [1.0] * 5, 1.0)
    assert 0.1 * 0.1 > 0.01
    assert state.value.tolist() == [1.0, 0.1, 0.01, 0.01, 0.01]
    assert state.reductions.tolist() == [0, 1, 2, 2, 2]


@pytest.mark.parametrize("factor", [0.1, 0.2, 0.5])
def test_float32_values_are_those_that_keras_rounds_from_double(factor):
    state = states(reduce_on_plateau(patience=1, factor=factor, semantics="keras"), [1.0] * 36, 0.01)
    value, expected = np.float32(0.01), []
    for _ in range(36):
        expected.append(value)
        value = np.float32(float(value) * factor)
    np.testing.assert_array_equal(state.value, expected)


# --- Tracing


def test_traced_sweep_equals_the_loop_in_one_compilation():
    traces = []
    metrics = jnp.asarray(np.random.default_rng(0).normal(size=(4, EPOCHS)).cumsum(1) / 10, jnp.float32)

    @jax.jit
    def sweep(patience, factor, cooldown, min_delta):
        traces.append(None)

        def one(patience, factor, cooldown, min_delta):
            plateau = reduce_on_plateau(
                patience=patience, factor=factor, cooldown=cooldown, min_delta=min_delta, min_value=1e-6
            )
            return jax.vmap(lambda row: scanned(plateau, 0.1, row))(metrics)

        return jax.vmap(one)(patience, factor, cooldown, min_delta)

    grid = np.array(np.meshgrid([0, 1, 3, 7], [0.1, 0.5, 0.9], [0, 1, 4], [1e-4, 0.05])).reshape(4, -1)
    arguments = (
        jnp.asarray(grid[0], jnp.int32),
        jnp.asarray(grid[1], jnp.float32),
        jnp.asarray(grid[2], jnp.int32),
        jnp.asarray(grid[3], jnp.float32),
    )
    swept = sweep(*arguments)
    sweep(*(argument[::-1] for argument in arguments))
    assert len(traces) == 1
    for index, (patience, factor, cooldown, min_delta) in enumerate(grid.T):
        plateau = reduce_on_plateau(
            patience=int(patience), factor=factor, cooldown=int(cooldown), min_delta=min_delta, min_value=1e-6
        )
        for seed, row in enumerate(metrics):
            alone = states(plateau, row)
            assert alone._replace(history=None) == alone
            for ours, theirs in zip(alone[:-1], swept[:-1], strict=True):
                np.testing.assert_array_equal(ours, theirs[index, seed])


@pytest.mark.parametrize("semantics", sorted(RESTATED))
@pytest.mark.parametrize("x64", [False, True])
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32])
def test_state_types_do_not_change_in_a_scan(semantics, x64, dtype):
    with jax.enable_x64(x64):

        def types(state):
            return jax.tree.map(lambda x: (x.dtype, x.weak_type, x.shape), state)

        plateau = reduce_on_plateau(semantics=semantics, trend=semantics == "default", patience=3)
        before = jax.eval_shape(plateau.init, 0.1)
        after = jax.eval_shape(plateau.update, before, jax.ShapeDtypeStruct((), dtype))
        assert types(before) == types(after)
        assert before.value.dtype == (jnp.float64 if x64 else jnp.float32)


def test_a_rule_is_a_pytree_of_its_numbers():
    plateau = reduce_on_plateau(factor=0.5, patience=3, rtol=0.01, atol=0.02, cooldown=4, min_value=0.05)
    assert jax.tree.leaves(plateau) == [0.5, 3, 0.01, 0.02, 4, 0.05, 0.0]
    raising = reduce_on_plateau(factor=0.5, patience=3, max_value=0.5, warmup=2)
    assert jax.tree.leaves(raising)[-2:] == [0.5, 2]
    other = reduce_on_plateau(restore_best=True)
    assert (other.restore_best, other.trend, other.mode, other.semantics) == (True, False, "min", "default")
    assert jax.tree.structure(other) != jax.tree.structure(plateau)


# --- Raising


def greedy(metrics, lr, p):
    """transformers' GreedyLR without smoothing and reset, as its documentation says it."""
    best = math.inf
    good = bad = cooling = warming = 0
    for metric in metrics:
        if cooling > 0:
            cooling, good, bad = cooling - 1, 0, 0
        elif warming > 0:
            warming, good, bad = warming - 1, 0, 0
        else:
            if metric < best * (1.0 - p["rtol"]):
                best, bad, good = metric, 0, good + 1
            else:
                bad, good = bad + 1, 0
            if good > p["patience"]:
                raised = min(lr / p["factor"], p["max_value"])
                lr, warming, good = (raised if raised - lr > 1e-8 else lr), p["warmup"], 0
            elif bad > p["patience"]:
                lowered = max(lr * p["factor"], p["min_value"])
                lr, cooling, bad = (lowered if lr - lowered > 1e-8 else lr), p["cooldown"], 0
        yield lr


walks = st.lists(st.sampled_from([-0.5, -0.25, 0.0, 0.25]), min_size=1, max_size=EPOCHS).map(
    lambda steps: list(20 + np.cumsum(steps))
)


@deterministic
@given(
    metrics=walks,
    p=st.fixed_dictionaries(
        {
            "factor": st.sampled_from([0.5, 0.9]),
            "patience": st.integers(0, 3),
            "rtol": st.sampled_from([0.0, 1e-6, 0.02]),
            "cooldown": st.integers(0, 3),
            "warmup": st.integers(0, 3),
            "min_value": st.sampled_from([0.0, 0.01]),
            "max_value": st.sampled_from([0.12, 10.0]),
        }
    ),
)
def test_greedy_is_that_of_transformers(metrics, p):
    with jax.enable_x64(True):
        computed = states(reduce_on_plateau(semantics="greedy", **p), metrics).value
    np.testing.assert_allclose(computed, list(greedy(metrics, 0.1, p)), rtol=1e-12)


@deterministic
@given(metrics=walks, patience=st.integers(1, 3))
def test_a_rule_that_raises_stays_within_its_bounds_and_comes_back(metrics, patience):
    plateau = reduce_on_plateau(factor=0.5, patience=patience, min_value=0.02, max_value=0.4, min_delta=0.0)
    state = states(plateau, metrics)
    trajectory = np.concatenate([[np.float32(0.1)], state.value])
    assert ((trajectory >= np.float32(0.02)) & (trajectory <= np.float32(0.4))).all()
    up, down = np.diff(trajectory) > 0, np.diff(trajectory) < 0
    assert not (up & ~state.improved).any()
    assert not (down & state.improved).any()
    np.testing.assert_array_equal(down, state.reduced)


def test_a_rule_that_raises():
    plateau = reduce_on_plateau(factor=0.5, patience=2, max_value=0.3, min_value=0.1, warmup=1)
    falling = [9.0, 8.0, 7.0, 6.0, math.nan, 5.0, 4.0, 3.0]
    np.testing.assert_allclose(states(plateau, falling).value, [0.1, 0.2, 0.2, 0.2, 0.2, 0.3, 0.3, 0.3], rtol=1e-6)
    back = states(plateau, [*falling, *[3.0] * 4]).value[len(falling) :]
    np.testing.assert_allclose(back, [0.3, 0.15, 0.15, 0.1], rtol=1e-6)
    above = states(plateau, falling, value=0.5).value
    np.testing.assert_allclose(above, 0.5)


def test_a_ceiling_is_an_axis():
    def last(ceiling):
        plateau = reduce_on_plateau(factor=0.5, patience=1, max_value=ceiling)
        return jax.lax.scan(lambda s, m: (plateau.update(s, m), None), plateau.init(0.1), -jnp.arange(9.0))[0].value

    np.testing.assert_allclose(jax.vmap(last)(jnp.array([0.1, 0.3, 10.0])), [0.1, 0.3, 10.0], rtol=1e-6)


# --- Laws


@pytest.mark.parametrize("semantics", sorted(RESTATED))
@deterministic
@given(metrics=st.lists(steps, min_size=1, max_size=EPOCHS), p=settings_of_a_rule)
def test_value_never_rises_and_never_passes_the_floor(semantics, metrics, p):
    state = states(reduce_on_plateau(semantics=semantics, **p), metrics, 0.5)
    trajectory = np.concatenate([[np.float32(0.5)], state.value])
    assert (np.diff(trajectory) <= 0).all()
    assert (trajectory >= np.float32(p["min_value"])).all()
    np.testing.assert_array_equal(np.cumsum(state.reduced), state.reductions)
    np.testing.assert_array_equal(np.diff(trajectory) < 0, state.reduced)


@pytest.mark.parametrize("trend", [False, True])
@deterministic
@given(metrics=st.lists(steps, min_size=1, max_size=EPOCHS), p=settings_of_a_rule)
def test_reductions_are_no_more_than_patience_and_cooldown_allow(trend, metrics, p):
    plateau = reduce_on_plateau(trend=trend, **p)
    if trend:
        plateau = jax.tree_util.tree_unflatten(
            jax.tree.structure(reduce_on_plateau(trend=True, patience=jnp.int32(5))), jax.tree.leaves(plateau)
        )
    state = states(plateau, metrics)
    drops = np.flatnonzero(state.reduced)
    apart = max(p["patience"], 1) + p["cooldown"]
    assert (np.diff(drops) >= apart).all()
    assert len(drops) * apart <= len(metrics) + p["cooldown"]


@deterministic
@given(order=st.permutations(range(6)), seed=st.integers(0, 5))
def test_permuting_seeds_permutes_results(order, seed):
    metrics = np.random.default_rng(seed).normal(size=(6, EPOCHS)).astype(np.float32)
    plateau = jax.tree.map(lambda x: jnp.asarray(x, float), reduce_on_plateau(patience=2, cooldown=1))
    straight = BATCHED(plateau, jnp.asarray(metrics))
    permuted = BATCHED(plateau, jnp.asarray(metrics[np.array(order)]))
    for ours, theirs in zip(jax.tree.leaves(straight), jax.tree.leaves(permuted), strict=True):
        np.testing.assert_array_equal(np.asarray(ours)[np.array(order)], theirs)


BATCHED = jax.jit(jax.vmap(lambda plateau, row: scanned(plateau, 0.1, row), (None, 0)))


# --- Errors


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"factor": 1.0}, ValueError, "factor must be above 0 and below 1, got 1.0"),
        ({"factor": 0.0}, ValueError, "factor"),
        ({"factor": math.nan}, ValueError, "factor must be finite"),
        ({"factor": "0.1"}, TypeError, "factor must be a number"),
        ({"patience": -1}, ValueError, "patience must be zero or more, got -1"),
        ({"patience": 1.5}, ValueError, "patience must be a whole number, got 1.5"),
        ({"patience": None}, TypeError, "patience"),
        ({"cooldown": 0.5}, ValueError, "cooldown must be a whole number"),
        ({"min_delta": -1e-4}, ValueError, "min_delta must be zero or more"),
        ({"min_value": -1.0}, ValueError, "min_value must be zero or more"),
        ({"mode": "auto"}, ValueError, "mode must be one of min, max; got 'auto'"),
        ({"max_value": 0.0}, ValueError, "max_value must be positive"),
        ({"max_value": 1.0, "semantics": "keras"}, ValueError, "max_value must be left out with semantics='keras'"),
        ({"warmup": 1.5}, ValueError, "warmup must be a whole number"),
        ({"semantics": "tensorflow"}, ValueError, "semantics must be one of"),
        ({"min_delta": 0.1, "rtol": 0.1}, ValueError, "min_delta must be left out"),
        ({"rtol": 0.1, "semantics": "keras"}, ValueError, "rtol and atol must be left out"),
        ({"rtol": 0.1, "atol": 0.1, "semantics": "torch"}, ValueError, "rtol or atol must be left out"),
        ({"eps": 1e-8}, ValueError, "eps must be left out"),
        ({"mode": "max", "semantics": "optax"}, ValueError, "mode must be 'min'"),
        ({"trend": True, "semantics": "keras"}, ValueError, "trend must be False"),
    ],
)
def test_bad_arguments_say_what_is_wrong(arguments, error, words):
    with pytest.raises(error, match=words):
        reduce_on_plateau(**arguments)
