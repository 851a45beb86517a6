"""The finder: against trainings by hand, laws of its answers, curves that say nothing, and what is compiled."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import optax
import pytest
import xarray as xr
from flax import linen
from hypothesis import given, settings
from hypothesis import strategies as st

import jaxlr
from jaxlr import plots, tasks
from jaxlr.finder import answers
from jaxlr.finder.curves import Curves
from jaxlr.tasks import Task
from tests.support.counting import compiled_programs

ROWS = 40


def _apply(w: jax.Array, x: jax.Array) -> jax.Array:
    return x @ w


def linear() -> Task:
    """Least squares with the Hessian 2 I: with full batches the error falls by a factor 1 - 2 rate an update."""
    rng = np.random.default_rng(0)
    x = np.linalg.qr(rng.normal(size=(ROWS, 3)))[0] * np.sqrt(ROWS)
    return tasks.regression((lambda key: jax.random.normal(key, (3, 1)), _apply), x, np.zeros((ROWS, 1)))


@pytest.fixture(scope="module")
def simple() -> Task:
    return linear()


SIZES = {"steps": 20, "batch_size": ROWS, "seeds": 3}


def _by_hand(task: Task, weights: np.ndarray, rates: np.ndarray) -> tuple[list[float], list[float]]:
    """Gradient descent in NumPy: the loss before each update and after it."""
    x, w = np.asarray(task.x, np.float64), weights.astype(np.float64)
    before, after = [], []
    for rate in rates:
        before.append(float(np.mean((x @ w) ** 2)))
        w = w - rate * 2 * x.T @ (x @ w) / len(x)
        after.append(float(np.mean((x @ w) ** 2)))
    return before, after


def test_a_range_test_is_descent_with_a_rising_rate(simple: Task) -> None:
    ds = jaxlr.finder.range_test(simple, optax.sgd, low=1e-3, high=0.7, **SIZES)
    np.testing.assert_allclose(ds["rate"], np.geomspace(1e-3, 0.7, 20))
    for seed in range(3):
        key = jax.random.split(jax.random.fold_in(jax.random.key(0), seed), 3)[0]
        before, after = _by_hand(simple, np.asarray(simple.init(key)), ds["rate"].values)
        np.testing.assert_allclose(ds["loss"].values[seed], before, rtol=2e-3, atol=1e-7)
        np.testing.assert_allclose(ds["eval_loss"].values[seed], after, rtol=2e-3, atol=1e-7)
        assert ds["initial_loss"].values[seed] == pytest.approx(before[0], rel=1e-4)
    assert np.isnan(ds["edge"]).all()


def test_a_race_is_descent_at_each_rate_from_the_same_weights(simple: Task) -> None:
    ds = jaxlr.finder.race(simple, optax.sgd, [0.01, 0.1, 1.2], **SIZES, devices=1)
    assert dict(ds["loss"].sizes) == {"learning_rate": 3, "seed": 3, "step": 20}
    assert (ds["initial_loss"].std("learning_rate") < 1e-6).all()
    for i, rate in enumerate(ds["learning_rate"].values):
        for seed in range(3):
            key = jax.random.split(jax.random.fold_in(jax.random.key(0), seed), 3)[0]
            before, after = _by_hand(simple, np.asarray(simple.init(key)), np.full(20, rate))
            np.testing.assert_allclose(ds["loss"].values[i, seed], before, rtol=5e-3, atol=1e-7)
            assert ds["eval_loss"].values[i, seed] == pytest.approx(after[-1], rel=5e-3, abs=1e-7)


def test_a_race_up_the_usual_ladder_is_ranked_with_confidence(simple: Task) -> None:
    """The error that is left after 20 updates is (1 - 2 rate)^40 of it: none at 0.3, all of it at 1."""
    ds = jaxlr.finder.race(simple, optax.sgd, **SIZES, devices=1)
    assert ds["learning_rate"].values.tolist() == [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1]
    places = jaxlr.finder.rank(ds)
    assert [place.rate for place in places[:4]] == [0.3, 0.1, 0.03, 0.01]
    assert [place.confidence for place in places] == [1, 0, 0, 0, 0, 0, 0]
    assert np.isnan([place.confidence for place in jaxlr.finder.rank(ds.isel(seed=[0]))]).all()


def test_the_confidence_of_a_rank_is_shared_by_rates_that_win_in_turn() -> None:
    dims = ("learning_rate", "seed")
    each = np.array([[0.1, 0.3] * 4, [0.3, 0.1] * 4, [np.nan, 0.0] * 4])
    values = {"eval_loss": (dims, each), "initial_loss": (dims, np.ones((3, 8)))}
    places = {place.rate: place for place in jaxlr.finder.rank(xr.Dataset(values, {"learning_rate": [0.1, 0.2, 0.3]}))}
    assert 0.2 < places[0.1].confidence < 0.8
    assert places[0.1].confidence + places[0.2].confidence + places[0.3].confidence == pytest.approx(1)
    assert places[0.3].loss == pytest.approx(0.5)


def test_the_descending_probe_finds_the_largest_rate_that_descends(simple: Task) -> None:
    """At rate 1 the weights only change their sign; at 0.5 the first update is exact."""
    found = jaxlr.finder.descend(simple, optax.sgd, start=8.0, factor=2.0, levels=6, **SIZES, devices=1)
    assert (found.rate, found.reason) == (0.5, "")
    assert found.falling == [0, 0, 0, 0, 1, 1]
    with compiled_programs() as compiled:
        lower = jaxlr.finder.descend(simple, optax.sgd, start=1e-9, factor=2.0, levels=6, **SIZES, devices=1)
        high = jaxlr.finder.descend(simple, optax.sgd, start=0.5, factor=2.0, levels=6, **SIZES, devices=1)
    assert lower.rate is None
    assert "no rate from 1e-09 down to" in lower.reason
    assert high.rate == 0.5
    assert "largest rate that was tried" in high.reason
    assert "advance" not in compiled


def test_find_lr_twice_compiles_once_and_brackets_the_answer() -> None:
    simple = linear()
    with compiled_programs() as first:
        found = jaxlr.find_lr(simple, optax.sgd, **SIZES, devices=1)
    assert first.count("advance") == 2
    with compiled_programs() as again:
        other = jaxlr.find_lr(simple, optax.sgd, low=1e-6, high=20.0, **SIZES, key=jax.random.key(7), devices=1)
    assert "advance" not in again
    for one in (found, other):
        # What is left of the error after 20 updates is (1 - 2 rate)^40 of it.
        assert (1 - 2 * one.recommendation) ** 40 < 0.05
        assert one.low < one.recommendation < one.high
        assert one.confidence == 1
    assert 1.0 < found.suggestions["edge"].rate <= 10
    assert found.suggestions["edge_over_4"].rate == pytest.approx(found.suggestions["edge"].rate / 4)
    assert set(found.suggestions) >= set(jaxlr.finder.published.PUBLISHED)
    same = jaxlr.find_lr(simple, optax.sgd, **SIZES, devices=1)
    assert same[:6] == found[:6]
    assert str(found) == (
        f"{found.recommendation:.2g} for {SIZES['steps']} updates, sweep {found.low:.2g} to {found.high:.2g}; "
        "100% of resampled seeds agree"
    )


def test_the_lowest_loss_is_found_behind_a_peak() -> None:
    """One batch of 1e19: means of the other windows must not feel it."""
    rates = np.geomspace(1e-4, 1, 100)
    losses = 0.5 + (np.log10(rates) + 1.5) ** 2
    losses[20] = 1e19
    losses[90:] = np.nan
    curves = Curves.of(xr.Dataset({"loss": (("seed", "step"), losses[None]), "rate": ("step", rates)}))
    around = [np.nanmean(losses[max(i - 5, 0) : i + 6]) for i in range(90)]
    np.testing.assert_allclose(curves.losses[0, 26:90], around[26:], rtol=1e-12)
    assert curves.lowest(0).rate == rates[np.argmin(around)]


@pytest.mark.parametrize(("low", "high"), [(1e-13, 1e-6), (1e3, 1e8)])
def test_a_rate_outside_the_range_is_found_by_moving_it(simple: Task, low: float, high: float) -> None:
    found = jaxlr.find_lr(simple, optax.sgd, low=low, high=high, **SIZES, devices=1)
    assert found.recommendation is not None
    assert (1 - 2 * found.recommendation) ** 40 < 0.05


def test_a_rate_beyond_every_range_is_not_guessed(simple: Task) -> None:
    found = jaxlr.find_lr(simple, optax.sgd, low=1e-30, high=1e-25, **SIZES, devices=1)
    assert found[:4] == (None, None, None, 0.0)
    assert found.reason == "the loss neither falls nor explodes"


def test_ascent_never_falls(simple: Task) -> None:
    def ascent(learning_rate):
        return optax.chain(optax.scale(-1.0), optax.sgd(learning_rate))

    found = jaxlr.find_lr(simple, ascent, **SIZES, devices=1)
    assert found.recommendation is None
    assert found.reason == "the loss never falls before it explodes"
    assert found.race is None


def test_dropout_and_batch_statistics_with_a_full_batch() -> None:
    class Net(linen.Module):
        @linen.compact
        def __call__(self, x: jax.Array, train: bool) -> jax.Array:
            x = linen.BatchNorm(use_running_average=not train)(linen.Dense(8)(x))
            return linen.Dense(2)(linen.Dropout(0.2, deterministic=not train)(linen.relu(x)))

    x = np.random.default_rng(0).normal(size=(60, 3))
    task = tasks.classification(Net(), x, (x[:, 0] > 0).astype(int))
    found = jaxlr.finder.suggest(jaxlr.finder.range_test(task, optax.adam, steps=30, batch_size=1000, seeds=2))
    assert 1e-4 < found.recommendation < 1


RISING = np.geomspace(1e-6, 1, 61)


def curve(losses: np.ndarray, name: str = "eval_loss") -> xr.Dataset:
    """A range test of the given losses `[seeds, steps]`."""
    losses = np.atleast_2d(losses)
    rates = RISING[: losses.shape[1]]
    return xr.Dataset({name: (("seed", "step"), losses)}, {"rate": ("step", rates)})


VALLEY = np.where(RISING < 0.1, 1 / (1 + 50 * RISING), 1e6)


@pytest.mark.parametrize(
    ("ds", "reason"),
    [
        (curve(np.ones(61)), "neither falls nor explodes"),
        (curve(np.linspace(1, 1.05, 61)), "neither falls nor explodes"),
        (curve(np.linspace(1, 5, 61)), "never falls before it explodes"),
        (curve(np.append(np.ones(40), np.full(21, 1e9))), "never falls before it explodes"),
        (curve(np.full(61, np.nan)), "no loss is finite"),
        (curve(np.append(1.0, np.full(60, np.nan))), "do not start low enough"),
        (curve(np.append([1.0, 1.0], np.full(59, np.inf))), "do not start low enough"),
        (curve(np.linspace(1, 0.5, 61)), "do not go high enough"),
        (curve([1.0]), "too short: 1 of the 10 points"),
        (curve(np.linspace(1, 0, 9)), "too short: 9 of the 10 points"),
        (curve(np.stack([VALLEY, np.ones(61), np.ones(61)])), "neither falls nor explodes"),
    ],
)
@pytest.mark.parametrize("name", ["loss", "eval_loss"])
def test_a_curve_that_says_nothing_has_a_reason(ds: xr.Dataset, reason: str, name: str) -> None:
    found = jaxlr.finder.suggest(ds.rename(eval_loss=name))
    assert found[:4] == (None, None, None, 0.0)
    assert reason in found.reason
    assert all(spread.rate is None or not spread.reason for spread in found.suggestions.values())
    assert str(found) == f"no recommendation: {found.reason}"
    assert plots.lr_range(found).axes


@pytest.mark.parametrize("losses", [np.ones(61), np.full(61, np.nan), np.linspace(1, 1.05, 61)])
def test_no_method_has_a_rate_where_there_is_nothing_to_read(losses: np.ndarray) -> None:
    found = jaxlr.finder.suggest(curve(losses, "loss"))
    assert {name: spread.rate for name, spread in found.suggestions.items()} == dict.fromkeys(found.suggestions)
    assert all(spread.reason for spread in found.suggestions.values())


def test_a_valley_is_read_alike_by_every_seed() -> None:
    found = jaxlr.finder.suggest(curve(np.stack([VALLEY] * 4)))
    lowest = RISING[np.argmin(VALLEY)]
    assert found.recommendation == pytest.approx(lowest / 4)
    assert (found.low, found.high) == pytest.approx((lowest / 40, lowest))
    assert found.confidence == 1
    assert found.suggestions["minimum_over_10"].rate == pytest.approx(lowest / 10)
    assert found.suggestions["edge"].rate == RISING[RISING >= 0.1][0]
    # 1 / (1 + 50 r) falls fastest in log r at r = 1 / 50.
    assert found.suggestions["steepest"].rate == pytest.approx(0.02, rel=0.3)


def test_confidence_falls_with_the_scatter_and_one_seed_has_none() -> None:
    shifts = [np.where(edge > RISING, 1 / (1 + 50 * RISING), 1e6) for edge in (1e-3, 1e-2, 0.1, 1.0)]
    assert jaxlr.finder.suggest(curve(np.stack(shifts))).confidence < 0.8
    assert np.isnan(jaxlr.finder.suggest(curve(VALLEY)).confidence)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-1e3, 1e3) | st.sampled_from([np.nan, np.inf]), min_size=22, max_size=44))
def test_no_range_test_is_an_exception(values: list[float]) -> None:
    losses = np.array(values[: len(values) // 2 * 2]).reshape(2, -1)
    with np.errstate(all="ignore"):
        found = jaxlr.finder.suggest(curve(losses))
    if found.recommendation is None:
        assert found.reason
    else:
        assert found.low < found.recommendation < found.high


@given(st.floats(0.1, 10), st.floats(-5, 5))
def test_negative_and_shifted_losses_read_alike_for_the_race(size: float, shift: float) -> None:
    """The score is a share of the fall, so neither the loss's size nor its zero matters."""
    each = np.abs(np.log10(np.geomspace(1e-3, 1, 13)) + 1.5)[:, None] + np.array([0.0, 0.1])
    plain = answers._Scores(np.geomspace(1e-3, 1, 13), each, np.array([1.5, 1.6]))
    moved = plain._replace(each=size * each + shift, initial=size * plain.initial + shift)
    assert moved.middle() == pytest.approx(plain.middle())
    assert plain.within(0.3) == pytest.approx((10**-1.75, 10**-1.25))


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"task": "blobs"}, TypeError, "task must be"),
        ({"optimizer": 0.1}, TypeError, "optimizer must be a function of hyperparameters"),
        ({"optimizer": lambda learning_rate, momentum: optax.sgd(learning_rate, momentum)}, ValueError, "momentum"),
        ({"optimizer": lambda: optax.sgd(0.1)}, ValueError, "learning_rate"),
        ({"optimizer": lambda lr, b1: optax.adam(lr, b1)}, ValueError, "learning_rate"),
        ({"optimizer": lambda learning_rate: learning_rate}, TypeError, "GradientTransformation"),
        ({"low": 0.0}, ValueError, "low must be positive"),
        ({"low": 1.0, "high": 0.1}, ValueError, "low must be below high"),
        ({"high": np.inf}, ValueError, "high must be finite"),
        ({"steps": 1}, ValueError, "steps must be an integer of at least 2"),
        ({"seeds": 0}, ValueError, "seeds must be an integer of at least 1"),
        ({"batch_size": 1.5}, TypeError, "batch_size must be an integer"),
    ],
)
def test_bad_arguments_are_clear_errors_before_compiling(simple: Task, arguments, error, words: str) -> None:
    given = {"task": simple, "optimizer": optax.sgd, **arguments}
    with compiled_programs() as compiled, pytest.raises(error, match=words):
        jaxlr.find_lr(given.pop("task"), given.pop("optimizer"), **given)
    assert "advance" not in compiled


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda task: jaxlr.finder.race(task, optax.sgd, [0.1, 0.1]), "at least two different rates"),
        (lambda task: jaxlr.finder.race(task, optax.sgd, [0.1, -1.0]), "rates must be positive"),
        (lambda task: jaxlr.finder.descend(task, optax.sgd, factor=1.0), "factor must be above 1"),
        (lambda task: jaxlr.finder.descend(task, optax.sgd, levels=1), "levels"),
        (lambda task: jaxlr.finder.suggest(xr.Dataset({"loss": ("step", [1.0])})), "ds must have rate"),
        (lambda task: jaxlr.finder.rank(xr.Dataset({"eval_loss": ("seed", [1.0])})), "ds must have eval_loss"),
        (lambda task: jaxlr.finder.suggest(curve(VALLEY).assign_coords(rate=("step", RISING[::-1]))), "rise from step"),
    ],
)
def test_other_bad_arguments(simple: Task, call, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        call(simple)


def test_the_picture_shows_what_was_found(simple: Task) -> None:
    found = jaxlr.find_lr(simple, optax.sgd, **SIZES, devices=1)
    figure = plots.lr_range(found, bounds={"2/λ": 1.0}, title="least squares")
    above, strip = figure.axes
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert any(word.startswith("recommended: ") for word in words)
    assert "2/λ = 1" in words
    assert [label.get_text().replace(" ", "_") for label in strip.get_yticklabels()] == list(found.suggestions)
    assert above.get_title() == "least squares"
    figure.draw_without_rendering()
    with pytest.raises(ValueError, match="ds must have rate"):
        plots.lr_range(xr.Dataset())


def _halved(learning_rate):
    """Two groups with rates of their own, both kept in the state."""
    injected = optax.inject_hyperparams(optax.sgd)
    parts = {"all": injected(learning_rate=learning_rate / 2), "none": injected(learning_rate=learning_rate)}
    return optax.multi_transform(parts, "all")


@pytest.mark.parametrize(
    ("keeps", "plain"),
    [
        (lambda learning_rate: optax.inject_hyperparams(optax.sgd)(learning_rate=learning_rate), optax.sgd),
        (_halved, lambda learning_rate: optax.sgd(learning_rate / 2)),
        (jaxlr.optimizers.sgd, optax.sgd),
    ],
)
def test_an_optimizer_that_keeps_the_rate_in_its_state_gets_each_update_s_own(simple: Task, keeps, plain) -> None:
    kept, wanted = (jaxlr.finder.range_test(simple, one, low=1e-3, high=1.0, **SIZES) for one in (keeps, plain))
    np.testing.assert_allclose(kept["loss"].values, wanted["loss"].values, rtol=1e-4, atol=1e-7)


def test_the_rate_may_have_another_name(simple: Task) -> None:
    def clipped(peak: Any, decay: float = 0.0) -> optax.GradientTransformation:
        return optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(peak))

    found = jaxlr.find_lr(simple, clipped, **SIZES, devices=1)
    with compiled_programs() as compiled:
        again = jaxlr.find_lr(simple, clipped, **SIZES, devices=1)
    assert "advance" not in compiled
    expected = jaxlr.find_lr(simple, lambda learning_rate: clipped(learning_rate), **SIZES, devices=1)
    assert found.recommendation == again.recommendation == expected.recommendation
