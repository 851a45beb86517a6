"""`trend=True`: dlib's test for a descent, against a port of dlib's own recursion."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxlr.plateau import reduce_on_plateau
from jaxlr.plateau.trend import falling

WINDOW = 24
FALLING = jax.jit(jax.vmap(falling, (0, 0)))


def dlib_counts(values, kept):
    """dlib's running_gradient, fed from the newest value back: steps without decrease."""
    inverse, weights, residual, n, count = np.eye(2) * 1e6, np.zeros(2), 0.0, 0, 0
    for steps, value in enumerate(reversed(values), 1):
        if value <= kept:
            x = np.array([n, 1.0])
            scale = 1 + x @ inverse @ x
            inverse = inverse - np.outer(inverse @ x, inverse @ x) / scale
            inverse = (inverse + inverse.T) / 2
            weights = weights + inverse @ x * (value - x @ weights)
            residual += (value - x @ weights) ** 2 * scale
            n += 1
        if n > 2:
            error = math.sqrt(residual / (n - 2) * 12 / (n**3 - n))
            slope = weights[0]
            probability = 0.5 * math.erfc(-slope / error / math.sqrt(2)) if error else float(slope > 0)
            if probability < 0.51:
                count = steps
    return count


def dlib_is_stuck(values) -> bool:
    """dlib shrinks the rate when both counts have reached the number of steps to wait."""
    rank = math.floor((len(values) - 1) * 0.9 + 0.5)
    robust = dlib_counts(values, sorted(values)[rank])
    return dlib_counts(values, math.inf) >= len(values) and robust >= len(values)


def test_agrees_with_dlib_on_noisy_sequences():
    rng = np.random.default_rng(0)
    rows, lengths, stuck = [], [], []
    for _ in range(400):
        length = int(rng.integers(3, WINDOW + 1))
        slope = rng.choice([-0.3, -0.05, 0.0, 0.05, 0.3])
        values = slope * np.arange(WINDOW) + rng.normal(size=WINDOW)
        values[rng.integers(WINDOW)] += rng.choice([0.0, 10.0])
        rows.append(values)
        lengths.append(length)
        stuck.append(dlib_is_stuck(values[-length:].tolist()))
    assert 100 < sum(stuck) < 300
    for x64 in (False, True):
        with jax.enable_x64(x64):
            found = FALLING(jnp.asarray(np.array(rows), float), jnp.asarray(lengths))
        np.testing.assert_array_equal(~np.asarray(found), stuck)


def test_short_and_flat_histories_do_not_fall():
    gap = math.nan
    rows = [[gap, gap, gap, gap], [gap, gap, 2.0, 1.0], [1.0, 1.0, 1.0, 1.0], [gap, 3.0, 2.0, 1.0]]
    found = FALLING(jnp.asarray(rows), jnp.full(4, 4))
    assert found.tolist() == [False, False, False, True]


def drops(metrics, **arguments):
    plateau = reduce_on_plateau(**arguments)

    def epoch(state, metric):
        state = plateau.update(state, metric)
        return state, state.reduced

    return np.flatnonzero(jax.lax.scan(epoch, plateau.init(0.1), jnp.asarray(metrics))[1]).tolist()


SPIKE = [*np.linspace(2.0, 1.0, 10), *np.linspace(6.0, 1.1, 30), *[1.1] * 20]


@pytest.mark.parametrize("sign", [1, -1])
def test_descent_after_a_spike_is_no_plateau_but_the_flat_end_is(sign):
    metrics = np.array(SPIKE) * sign
    arguments = {"patience": 5, "min_delta": 1e-3, "mode": "min" if sign == 1 else "max"}
    without = drops(metrics, **arguments)
    with_trend = drops(metrics, trend=True, **arguments)
    assert [epoch for epoch in without if epoch < 40] == [14, 19, 24, 29, 34, 39]
    assert [epoch for epoch in with_trend if epoch < 40] == []
    assert with_trend[0] in range(40, 46)


def test_traced_patience_decides_as_a_known_one():
    swept = jax.jit(jax.vmap(lambda patience: jnp.stack(_values(patience))))(jnp.array([2, 5, 9]))
    for row, patience in zip(swept, (2, 5, 9), strict=True):
        np.testing.assert_array_equal(row, jnp.stack(_values(patience)))


def _values(patience):
    plateau = reduce_on_plateau(patience=patience, trend=True)

    def epoch(state, metric):
        state = plateau.update(state, metric)
        return state, state.value

    return [jax.lax.scan(epoch, plateau.init(0.1), jnp.asarray(SPIKE))[1]]


def test_nan_and_infinity_leave_no_trace_in_the_history():
    plateau = reduce_on_plateau(patience=4, trend=True)
    state = plateau.init(0.1)
    for metric in (3.0, math.nan, 2.0, math.inf, 1.0):
        state = plateau.update(state, metric)
    np.testing.assert_array_equal(state.history, [math.nan, 3.0, 2.0, 1.0])
