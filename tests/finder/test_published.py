"""Published suggestions: values recorded from the libraries, curves worked out by hand, and curves that say nothing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxlr.finder import published
from jaxlr.finder.published import PUBLISHED, Suggestion

RECORDED = json.loads((Path(__file__).parent.parent / "data" / "finders.json").read_text())
RATES = np.geomspace(RECORDED["low"], RECORDED["high"], 100)
STEP = np.where(np.arange(100) < 60, 1.0, 0.0)
"""One until the 60th point, then zero."""


@pytest.mark.parametrize("curve", RECORDED["losses"])
@pytest.mark.parametrize("method", [name for name in PUBLISHED if name in RECORDED["versions"] or "fastai" in name])
def test_as_the_library_itself(curve: str, method: str) -> None:
    """The libraries' own code ran on these curves; `versions` in the file says which."""
    losses = np.array(RECORDED["losses"][curve], float)
    assert PUBLISHED[method](RATES, losses).rate == pytest.approx(RECORDED["rates"][curve][method], rel=1e-6)


@pytest.mark.parametrize(
    ("method", "losses", "expected"),
    [
        # An average of a falling line falls; the first tenth and the last five points are cut off.
        (published.fastai_minimum, np.linspace(1, 0, 100), RATES[94] / 10),
        # Weights of 1/20: 1, 0.95, 0.9025, ...; the central difference is steepest around the first zero.
        (published.torch_lr_finder, STEP, RATES[60]),
        (published.ignite, STEP, RATES[60]),
        # The window of 20 first sees the whole drop at the step.
        (published.keras_lr_finder, STEP, RATES[60]),
    ],
)
def test_by_hand(method, losses: np.ndarray, expected: float) -> None:
    assert method(RATES, losses) == Suggestion(pytest.approx(expected, rel=1e-12))


@pytest.mark.parametrize(
    ("losses", "position"),
    [
        # 9, 8, ..., 2 are 8 values that end at position 8; start 0, a third is 2.67: 0 + 2 + 1.
        ([9, 10, 8, 7, 6, 5, 4, 3, 2, 9], 3),
        # 5, 4, 3, 2, 1 end at position 4; start -1, a third is 1.67: -1 + 1 + 0.
        ([5, 4, 3, 2, 1, 6], 0),
        # 3, 2, 1.5 end at position 3; start 0, a third is 1: 0 + 1 + 0.
        ([3, 2, 2, 1.5, 4], 1),
        # 3, 1 is the first of two as long. Its start, -1, is what the library takes from the end: the last rate.
        ([3, 1, 9, 2, 4], -1),
    ],
)
def test_the_valley_by_hand(losses: list[float], position: int) -> None:
    rates = np.geomspace(1, 2, len(losses))
    assert published._valley(rates, np.array(losses, float)) == rates[position]


def test_the_slide_by_hand() -> None:
    rates = np.arange(1.0, 31.0)
    flat = np.ones(30)
    assert published._slide(rates, flat) == rates[-16]
    # The last point jumps: the slopes at the last two positions differ from those 15 to the left, the third's does not.
    jump = np.append(np.ones(29), 2.0)
    assert published._slide(rates, jump) == rates[-17]


NOTHING = {
    "flat": np.ones(100),
    "rising": np.linspace(1, 3, 100),
    "rising to infinity": np.append(np.linspace(1, 3, 50), np.full(50, np.inf)),
    "NaN from the start": np.full(100, np.nan),
    "one point, then NaN": np.append(1.0, np.full(99, np.nan)),
}


@pytest.mark.parametrize("method", PUBLISHED)
@pytest.mark.parametrize("curve", NOTHING)
def test_a_curve_that_says_nothing_has_a_reason(method: str, curve: str) -> None:
    found = PUBLISHED[method](RATES, NOTHING[curve])
    assert found.rate is None
    assert found.reason


@pytest.mark.parametrize("method", PUBLISHED)
@pytest.mark.parametrize("points", [0, 1, 2, 9])
def test_too_few_points_have_a_reason(method: str, points: int) -> None:
    found = PUBLISHED[method](RATES[:points], np.linspace(1, 0, 100)[:points])
    assert (found.rate is None) == bool(found.reason)
    if points < 3:
        assert found.rate is None


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.floats(-1e6, 1e6) | st.sampled_from([np.nan, np.inf, 0.0]), min_size=1, max_size=60),
    st.sampled_from(sorted(PUBLISHED)),
)
def test_no_curve_is_an_exception_or_a_rate_from_nowhere(losses: list[float], method: str) -> None:
    rates = np.geomspace(1e-6, 1, 60)[: len(losses)]
    with np.errstate(all="ignore"):
        found = PUBLISHED[method](rates, losses)
    if found.rate is None:
        assert found.reason
    else:
        assert rates[0] / 10 * (1 - 1e-9) <= found.rate <= rates[-1]


@pytest.mark.parametrize(
    ("rates", "losses", "words"),
    [
        ([1.0, 2.0], [1.0], "one length"),
        ([[1.0]], [[1.0]], r"arrays \[N\]"),
        ([2.0, 1.0], [1.0, 1.0], "rise"),
        ([0.0, 1.0], [1.0, 1.0], "positive"),
        ([1.0, np.nan], [1.0, 1.0], "positive"),
    ],
)
def test_what_is_no_curve_is_an_error(rates, losses, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        published.fastai_valley(rates, losses)


def test_the_window_is_a_count() -> None:
    with pytest.raises(ValueError, match="window"):
        published.keras_lr_finder(RATES, STEP, window=0)
