"""The walk over segments: what a decision does, to the bit, and what it leaves alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
import pytest

import jaxlr
from jaxlr import experiment, grid, sweep, tasks
from jaxlr.engine import Decision, Members, Segment, collect, prepare, segments, tracing
from jaxlr.runs import Run
from tests.support.counting import compiled_programs

LENGTH = 6
RATES = np.array([0.3, 0.1, 0.03, 0.2, 0.05, 0.15])
X = np.random.default_rng(0).normal(size=(24, 2)).astype(np.float32)
MODEL = (lambda key: jax.random.normal(key, (2, 2)), lambda params, x: x @ params)
TASK = tasks.classification(MODEL, X, np.arange(24) % 2, X[:10], np.arange(10) % 2)


def init(key: jax.Array, hp: Any) -> Any:
    return jax.random.normal(key, (3,)), jax.random.fold_in(key, 1)


def advance(carry: Any, key: jax.Array, hp: Any) -> Any:
    w, own = carry
    w = w - hp["learning_rate"] * (2 * w + 0.1 * jax.random.normal(jax.random.fold_in(own, 7), (3,)))
    return (w, jax.random.fold_in(own, 2)), {"loss": (w**2).sum()}


RUNS = {
    "experiment": experiment(TASK, optax.adam, epochs=LENGTH, batch_size=7),
    "pair": jaxlr.run(init, advance, length=LENGTH),
}


class Walked(NamedTuple):
    """What came of a walk: the members' numbers, and the blocks of its segments as `(settings, first, advances)`."""

    members: Members
    seen: list[tuple[list[int], int, int]]


Decide = Callable[[Segment], Decision | None]


def walked(run: Run, decide: Decide | None = None, rates: Any = RATES, segment: int = 2, **more: Any) -> Walked:
    """Walk a space of rates with two seeds, in blocks of 2 settings x 2 seeds."""
    key, space = jax.random.key(0), grid(learning_rate=rates)
    traced, compiled, layout, _ = prepare(run, space, 2, key, 4, 1, segment, None)
    members, seen = Members(len(space), 2, run.length), []

    def watch(one: Segment) -> Decision | None:
        assert one.shape == layout.shape
        seen.append((one.block.settings.tolist(), one.first, one.advances))
        return None if decide is None else decide(one)

    collect(segments(traced, compiled, layout, 2, **more), members, decide=watch)
    return Walked(members, seen)


@pytest.fixture(params=RUNS)
def run(request: pytest.FixtureRequest) -> Run:
    return RUNS[request.param]


def uninterrupted(run: Run) -> np.ndarray:
    """The losses `[settings, seeds, length]` of a plain sweep in blocks of the same shape."""
    return sweep(run, grid(learning_rate=RATES), seeds=2, chunk=4, devices=1, segment=2)["loss"].values


def test_without_a_decision_it_is_a_sweep(run: Run) -> None:
    found = walked(run)
    np.testing.assert_array_equal(found.members.arrays["loss"], uninterrupted(run))
    assert found.seen == [([i, i + 1], first, 2) for i in (0, 2, 4) for first in (0, 2, 4)]
    assert found.members.finished.all()
    assert found.members.advances == 6 * 2 * LENGTH


def test_how_far_it_goes_to_the_next_decision_changes_nothing(run: Run) -> None:
    with compiled_programs() as compiled:
        found = walked(run, lambda one: Decision(advances=2 if one.first else 1), advances=1)
    assert "advance" not in compiled
    np.testing.assert_array_equal(found.members.arrays["loss"], uninterrupted(run))
    assert [(first, count) for _, first, count in found.seen[:4]] == [(0, 1), (1, 1), (2, 2), (4, 2)]


def test_no_more_than_a_segment_is_made_at_once(run: Run) -> None:
    assert {count for _, _, count in walked(run, lambda one: Decision(advances=5), advances=5).seen} == {2}


def test_a_block_ends_with_its_last_setting(run: Run) -> None:
    found = walked(run, lambda one: Decision(stop=[2, 3]) if one.block.settings[0] == 2 else None)
    assert [first for settings, first, _ in found.seen if settings == [2, 3]] == [0]
    assert found.members.done.tolist() == [[6, 6], [6, 6], [2, 2], [2, 2], [6, 6], [6, 6]]
    others, expected = found.members.arrays["loss"], uninterrupted(run)
    np.testing.assert_array_equal(others[[0, 1, 4, 5]], expected[[0, 1, 4, 5]])
    np.testing.assert_array_equal(others[[2, 3], :, :2], expected[[2, 3], :, :2])
    assert np.isnan(others[[2, 3], :, 2:]).all()


def test_until_then_a_stopped_setting_is_computed_on(run: Run) -> None:
    found = walked(run, lambda one: Decision(stop=[2]))
    np.testing.assert_array_equal(found.members.arrays["loss"], uninterrupted(run))


def test_a_setting_that_is_stopped_before_its_turn_is_never_trained(run: Run) -> None:
    found = walked(run, lambda one: Decision(stop=[4, 5]))
    assert [settings for settings, _, _ in found.seen] == [[0, 1]] * 3 + [[2, 3]] * 3
    assert found.members.done[4:].tolist() == [[0, 0], [0, 0]]


def test_replaced_hyperparameters_count_from_there_on(run: Run) -> None:
    """To the bit what the programs give that are called by hand with those rates."""
    other = np.array([0.01, 0.4, 0.2, 0.07, 0.3, 0.02], np.float32)

    def replaced(one: Segment) -> Decision | None:
        return Decision(traced={"learning_rate": other[one.block.settings]}) if one.first == 2 else None

    found = walked(run, replaced).members.arrays["loss"]
    np.testing.assert_array_equal(found[..., :4], uninterrupted(run)[..., :4])
    traced, (program,), _, _ = prepare(run, grid(learning_rate=RATES), 2, jax.random.key(0), 4, 1, 2, None)
    (group,) = traced.groups
    for block in (0, 2, 4):
        rows, carried, curves = np.arange(block, block + 2, dtype=np.int32), None, []
        for first in (0, 2, 4):
            rates = other[rows] if first == 4 else group.traced["learning_rate"][rows]
            args = (traced.key, np.arange(2, dtype=np.int32), tracing.numbered({"learning_rate": rates}, rows))
            carried = program.start(*args)[0] if carried is None else carried
            carried, metrics = program.advance(carried, *args, np.int32(first), np.int32(2), None)
            curves.append(np.moveaxis(np.asarray(metrics["loss"]), 0, 2))
        np.testing.assert_array_equal(found[rows], np.concatenate(curves, axis=2))
    assert not np.array_equal(found[..., 4:], uninterrupted(run)[..., 4:])


def test_replaced_by_the_same_numbers_nothing_changes(run: Run) -> None:
    found = walked(run, lambda one: Decision(traced=one.block.traced))
    np.testing.assert_array_equal(found.members.arrays["loss"], uninterrupted(run))


def test_survivors_are_gathered_into_fewer_blocks_and_their_numbers_are_uninterrupted(run: Run) -> None:
    stop = {0: [1], 2: [2], 4: [4]}

    def decide(one: Segment) -> Decision | None:
        return Decision(stop=stop[one.block.settings[0]], pause=True) if one.first == 0 else None

    uninterrupted(run)  # compiles
    with compiled_programs() as compiled:
        found = walked(run, decide)
    assert "advance" not in compiled
    gathered = [([0, 3], 2, 2), ([0, 3], 4, 2), ([5], 2, 2), ([5], 4, 2)]
    assert found.seen == [([0, 1], 0, 2), ([2, 3], 0, 2), ([4, 5], 0, 2), *gathered]
    left, expected = found.members.arrays["loss"], uninterrupted(run)
    np.testing.assert_array_equal(left[[0, 3, 5]], expected[[0, 3, 5]])
    assert found.members.done.tolist() == [[6, 6], [2, 2], [2, 2], [6, 6], [2, 2], [6, 6]]


def test_again_and_again_half_of_them(run: Run) -> None:
    """Successive halving: 6 settings, then 3, then 1."""
    left = [5, 0, 3, 1, 4, 2]

    def decide(one: Segment) -> Decision | None:
        if one.first == 4:
            return None
        best = left[: 3 if one.first == 0 else 1]
        return Decision(stop=[i for i in one.block.settings.tolist() if i not in best], pause=True)

    found = walked(run, decide)
    assert [settings for settings, first, _ in found.seen if first == 2] == [[0, 3], [5]]
    assert [settings for settings, first, _ in found.seen if first == 4] == [[5]]
    np.testing.assert_array_equal(found.members.arrays["loss"][5], uninterrupted(run)[5])


def test_rates_that_were_replaced_go_along_when_blocks_are_gathered(run: Run) -> None:
    def steer(one: Segment, pause: bool) -> Decision | None:
        if one.first:
            return None
        half = {"learning_rate": one.block.traced["learning_rate"] / 2}
        stop = [i for i in one.block.settings.tolist() if i % 2] if pause else []
        return Decision(traced=half, stop=stop, pause=pause)

    plain = walked(run, lambda one: steer(one, False)).members.arrays["loss"]
    gathered = walked(run, lambda one: steer(one, True)).members.arrays["loss"]
    np.testing.assert_array_equal(gathered[::2], plain[::2])


def test_where_none_is_left_it_ends(run: Run) -> None:
    found = walked(run, lambda one: Decision(stop=range(6), pause=True))
    assert found.seen == [([0, 1], 0, 2)]
    assert found.members.done.sum() == 2 * 2 * 2
