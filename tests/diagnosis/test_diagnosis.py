"""`diagnose` on one curve: its laws, the textbook's shapes, and bad input."""

from __future__ import annotations

import re
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxlr import diagnose
from jaxlr.diagnosis import VERDICTS, Diagnosis, calibration, verdicts
from jaxlr.diagnosis.curve import BLOCKS, blocks, statistics
from scripts.suites import diagnosis_textbook

FOUR = diagnosis_textbook.four()
DRAWN = diagnosis_textbook.ideal(6, seed=123)


def shape(kind: str, points: int) -> np.ndarray:
    """A smooth curve over a training, the same whatever the number of points."""
    u = (np.arange(points) + 0.5) / points
    return {
        "slide": 0.05 + 2.25 * np.exp(-8 * u),
        "rise": 1.6 + 0.7 * np.exp(-5 * u) + 16 * u / 0.06 * np.exp(-u / 0.06),
        "crawl": 2.3 - 0.7 * u,
        "flat": 0.4 + 1.9 * np.exp(-30 * u) + 0.03 * np.sin(60 * u),
        "up": 1 + 5 * u**2,
    }[kind]


@pytest.mark.parametrize("colour", FOUR)
def test_the_four_ideal_curves_of_the_text(colour: str) -> None:
    found = diagnose(FOUR[colour].losses)
    assert found.verdict == FOUR[colour].label
    assert found.confidence > 0.5


def test_every_verdict_has_a_remedy_and_evidence() -> None:
    for drawn in DRAWN:
        found = diagnose(drawn.losses)
        assert isinstance(found, Diagnosis)
        assert found.verdict in VERDICTS
        assert 0 <= found.confidence <= 1
        assert any(character.isdigit() for character in found.evidence)
        assert found.remedy
    assert set(verdicts.REMEDIES) == set(VERDICTS) - {"cannot-tell"}


def test_drawn_curves_get_the_textbook_verdict() -> None:
    """The draws are others than those of the tuning. A guess at random would be right in one of seven."""
    found = [diagnose(drawn.losses) for drawn in diagnosis_textbook.ideal(12, seed=321)]
    labels = [drawn.label for drawn in diagnosis_textbook.ideal(12, seed=321)]
    right = np.mean([d.verdict == label for d, label in zip(found, labels, strict=True)])
    sure = [(d, label) for d, label in zip(found, labels, strict=True) if d.confidence >= 0.7]
    assert right > 0.7
    assert np.mean([d.verdict == label for d, label in sure]) > 0.85


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(0, len(DRAWN) - 1), st.floats(-8, 8))
def test_the_scale_of_the_loss_does_not_matter(which: int, power: float) -> None:
    losses = DRAWN[which].losses
    one, other = diagnose(losses), diagnose(losses * 10**power)
    assert one.verdict == other.verdict
    assert one.confidence == pytest.approx(other.confidence, abs=1e-6)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.sampled_from(["slide", "rise", "crawl", "flat", "up"]), st.integers(50, 5000))
def test_the_number_of_points_does_not_matter(kind: str, points: int) -> None:
    one, other = diagnose(shape(kind, 50)), diagnose(shape(kind, points))
    assert one.confidence == pytest.approx(other.confidence, abs=0.15)
    if one.confidence >= 0.65:
        assert one.verdict == other.verdict


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.sampled_from(["slide", "rise", "crawl", "up"]), st.integers(0, 1000))
def test_minibatch_noise_does_not_matter(kind: str, seed: int) -> None:
    """Every point of 5,000 has a noise of a tenth of the loss."""
    smooth = shape(kind, 5000)
    noise = np.random.default_rng(seed).gamma(100, 1 / 100, len(smooth))
    one, other = diagnose(smooth), diagnose(smooth * noise)
    if one.confidence >= 0.7:
        assert other.verdict in (one.verdict, "cannot-tell")


def test_rates_stretch_the_time() -> None:
    """A loss that stands still because the rate is annealed is not the same as one that stands still at full rate."""
    u = (np.arange(60) + 0.5) / 60
    rates = (1 + np.cos(np.pi * u)) / 2
    losses = np.cumsum(rates) ** -0.5
    assert statistics(losses, rates).fall_late == pytest.approx(0.5, abs=0.02)
    assert statistics(losses).fall_late < 0.3
    assert diagnose(np.exp(-u), lr=np.ones(60)) == diagnose(np.exp(-u))


def test_block_means_keep_the_mean_and_the_order() -> None:
    for points in (50, 51, 99, 1234):
        values = np.random.default_rng(0).normal(size=points)
        found = blocks(values)
        assert len(found) == BLOCKS
        assert found.mean() == pytest.approx(values.mean())
    assert (np.diff(blocks(np.arange(77.0))) > 0).all()


@pytest.mark.parametrize("points", [51, 99, 100, 203, 1234])
def test_block_means_keep_what_follows_a_peak(points: int) -> None:
    """A rate too high by far sends the loss to 1e19 and back: sums over all points would lose the rest."""
    values = np.random.default_rng(points).gamma(4, 0.2, points)
    values[:3] = 1e19, 1e12, 1e6
    shared = np.repeat(values, BLOCKS).reshape(BLOCKS, points)
    np.testing.assert_allclose(blocks(values), shared.mean(axis=1), rtol=1e-13)


def test_a_loss_back_from_a_peak_is_read_where_it_ends() -> None:
    after = 0.7 + 0.01 * np.sin(np.arange(194))
    values = np.r_[np.geomspace(1e19, 1, 9), after]
    assert statistics(values).end == pytest.approx(0.7, abs=0.01)
    assert diagnose(values).verdict == "initial-rise"


LOSSES = st.floats(0, width=32, allow_infinity=False)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(st.floats(width=32), min_size=2, max_size=130) | st.lists(LOSSES, min_size=20, max_size=130))
def test_whatever_a_float32_loss_can_be_is_judged(values: list[float]) -> None:
    """Zeros, the smallest and the largest numbers, and what is none: no warning, no error."""
    found = diagnose(values)
    assert found.verdict in VERDICTS
    assert 0 <= found.confidence <= 1
    assert diagnose(values, val_losses=values).verdict in VERDICTS


def test_a_loss_may_end_at_zero() -> None:
    """Learnt by heart: in float32 the cross-entropy is exactly zero then, which is its natural zero."""
    values = shape("slide", 100) - 0.05
    found = diagnose(np.where(np.arange(100) < 60, values, 0.0))
    assert (found.verdict, found.confidence) == ("healthy", 0.95)
    assert "to 0;" in found.evidence
    assert diagnose(np.r_[1.0, np.zeros(60)]).verdict == "healthy"
    overfitting = diagnose(np.r_[overfit()[0], np.zeros(10)], val_losses=overfit()[1])
    assert overfitting.verdict == "overfitting"


@pytest.mark.parametrize("values", [[2.3, 2.0, 1.8, float("nan"), float("nan")], [1.0, float("inf")], [np.nan] * 9])
def test_a_curve_that_ends_in_nan_diverged(values: list[float]) -> None:
    found = diagnose(values)
    assert found.verdict == "diverged"
    assert found.confidence > 0.9
    assert "not finite from point" in found.evidence


def test_gaps_are_left_out() -> None:
    whole = FOUR["yellow"].losses
    gaps = whole.copy()
    gaps[[3, 17, 18, 60]] = np.nan
    gaps[40] = np.inf
    one, other = diagnose(whole), diagnose(gaps)
    assert one.verdict == other.verdict
    assert one.confidence == pytest.approx(other.confidence, abs=0.1)


def test_a_constant_made_no_progress() -> None:
    assert diagnose([0.7] * 20).verdict == "no-progress"
    assert diagnose([0.0] * 20).verdict == "no-progress"


@pytest.mark.parametrize("values", [[2.0, 1.0], [3.0, 2.0, 1.5, 1.2, 1.0]])
def test_few_points_cannot_tell(values: list[float]) -> None:
    found = diagnose(values)
    assert found.verdict == "cannot-tell"
    assert "8 times" in found.remedy


def test_negative_losses_are_judged_without_confidence() -> None:
    found = diagnose(FOUR["yellow"].losses - 100)
    assert found.verdict in ("slow", "cannot-tell")
    assert found.confidence <= 0.6
    assert "without a natural zero" in found.evidence
    assert diagnose(np.linspace(-1, -5, 50)) == diagnose(np.linspace(-1, -5, 50) - 1000)


def test_an_accuracy_is_recognised() -> None:
    found = diagnose(1 - 0.9 * np.exp(-np.arange(50) / 8))
    assert found.verdict == "cannot-tell"
    assert "accuracy" in found.evidence


def test_a_loss_that_explodes_is_not_taken_for_an_accuracy() -> None:
    assert diagnose(shape("up", 100)).verdict == "diverged"


def overfit() -> tuple[np.ndarray, np.ndarray]:
    t = np.arange(1, 81)
    return 0.05 + 2 * np.exp(-t / 15), 0.6 + 1.4 * np.exp(-t / 8) + 0.008 * np.maximum(t - 25, 0)


def test_overfitting_is_told_by_the_validation_loss_alone() -> None:
    train, val = overfit()
    found = diagnose(train, val_losses=val)
    assert found.verdict == "overfitting"
    assert "lowest at 3" in found.evidence
    assert re.search(r"rose by \d\d% until the end", found.evidence)
    assert re.search(r"rose \d.\d+e\+12-fold", diagnose(train, val_losses=np.geomspace(1, 1e13, 80)).evidence)
    assert diagnose(train).verdict != "overfitting"
    assert diagnose(train, val_losses=1.1 * train).verdict != "overfitting"
    sparse = diagnose(train, val_losses=val[3::4])
    assert sparse.verdict == "overfitting"


@pytest.mark.parametrize("wrap", [lambda d: d, lambda d: SimpleNamespace(history=d)])
@pytest.mark.parametrize("rate", ["lr", "learning_rate"])
def test_a_keras_history(wrap, rate: str) -> None:
    train, val = overfit()
    history = {"loss": train.tolist(), "val_loss": val.tolist(), rate: [0.1] * len(train), "accuracy": [0.5] * 80}
    assert diagnose(wrap(history)) == diagnose(train, val_losses=val, lr=[0.1] * 80)


def test_cannot_tell_names_an_experiment() -> None:
    near = {"healthy": 0.4, "slow": 0.35, "initial-rise": 0.25}
    from jaxlr.diagnosis.judgement import concluded

    found = concluded(near, "", lambda verdict: verdict)
    assert found.verdict == "cannot-tell"
    assert "3 times the rate" in found.remedy
    assert "healthy (40%) or slow (35%)" in found.evidence
    for first in VERDICTS[:7]:
        for second in VERDICTS[:7]:
            assert "again" in verdicts.experiment(first, second)


@pytest.mark.parametrize("table", [calibration.ALONE, calibration.BESIDE, calibration.VALIDATED])
def test_scores_are_complete(table: calibration.Scores) -> None:
    assert set(table.scores) == set(table.bias)
    for scores in table.scores.values():
        assert set(scores) == set(table.knots)
        for name, values in scores.items():
            assert len(values) == len(table.knots[name])
            assert (np.diff(table.knots[name]) > 0).all()


@pytest.mark.parametrize(
    ("values", "error", "words"),
    [
        ("text", TypeError, "losses must be a sequence of numbers"),
        (["a", "b"], TypeError, "losses must be a sequence of numbers"),
        ([1.0], ValueError, "at least 2 numbers"),
        ([], ValueError, "at least 2 numbers"),
        (1.0, ValueError, "one curve"),
        ([[1.0, 2.0], [3.0, 4.0]], ValueError, "one curve"),
        ({"accuracy": [0.1, 0.2]}, ValueError, "dictionary with a loss"),
    ],
)
def test_bad_losses(values: object, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        diagnose(values)


def test_bad_rates() -> None:
    with pytest.raises(ValueError, match="lr must have one rate for each of the 20 losses, got 3"):
        diagnose(np.linspace(2, 1, 20), lr=[0.1, 0.1, 0.1])
    unknown = diagnose(np.linspace(2, 1, 20), lr=[np.nan] * 20)
    assert unknown == diagnose(np.linspace(2, 1, 20))
