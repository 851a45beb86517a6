"""The rules that label the diagnosis suite: what interventions prove, in their order."""

from __future__ import annotations

import numpy as np
import pytest

from scripts.suites import diagnosis_suite
from scripts.suites.diagnosis_labels import Effects, guessing, helping, label

NOTHING = Effects(
    initial=2.0,
    guessing=1.1,
    final=0.5,
    lower=-0.2,
    higher=0.02,
    late=0.01,
    longer=0.03,
    late_then_lower=-0.2,
    late_over_floor=0.0,
    swing=0.01,
    swing_lower=0.01,
    stop=0.0,
)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, "healthy"),
        ({"final": np.inf}, "diverged"),
        ({"final": 2.3}, "diverged"),
        ({"final": 1.99}, "no-progress"),
        ({"final": 1.99, "lower": 0.5}, "initial-rise"),
        ({"final": 1.09}, "no-progress"),
        ({"higher": 0.3}, "slow"),
        ({"lower": 0.3, "late": 0.05, "late_then_lower": 0.25}, "initial-rise"),
        ({"lower": 0.3, "late": 0.28, "late_then_lower": 0.02}, "late-rate-too-high"),
        ({"lower": 0.3, "late": 0.2, "late_then_lower": 0.15}, "initial-rise"),
        ({"lower": 0.2, "higher": 0.4}, "slow"),
        ({"late": 0.3, "swing": 0.3, "swing_lower": 0.05}, "oscillating"),
        ({"late": 0.3, "late_over_floor": 0.2, "swing": 0.3, "swing_lower": 0.05}, "late-rate-too-high"),
        ({"swing": 0.3, "swing_lower": 0.05}, "oscillating"),
        ({"swing": 0.3, "swing_lower": 0.25}, "healthy"),
    ],
)
def test_labels(changed: dict[str, float], expected: str) -> None:
    effects = NOTHING._replace(**changed)
    assert label(effects) == expected
    assert expected in helping(effects)


def test_overfitting_needs_validation_and_comes_before_the_remedies_of_the_training_loss() -> None:
    effects = NOTHING._replace(stop=0.2, higher=0.5)
    assert label(effects) == "slow"
    assert label(effects, validated=True) == "overfitting"
    assert helping(effects, validated=True) == {"overfitting", "slow"}
    assert label(effects._replace(final=np.inf), validated=True) == "diverged"


def test_tasks_are_either_tuned_on_or_held_apart() -> None:
    groups = [diagnosis_suite.TUNING, diagnosis_suite.APART, diagnosis_suite.LAST]
    assert sorted(sum(groups, ())) == sorted(diagnosis_suite.TASKS)
    assert not any(task.startswith("digits") for task in diagnosis_suite.APART + diagnosis_suite.LAST)


def test_guessing_is_the_entropy_or_the_variance() -> None:
    assert guessing(diagnosis_suite.TASKS["digits"]()) == pytest.approx(np.log(10), abs=0.01)
    assert guessing(diagnosis_suite.TASKS["teacher"]()) == pytest.approx(1, rel=1e-5)


def test_the_schedules_of_the_interventions() -> None:
    rate = diagnosis_suite._schedule(0.1, 0, 0.01, 1.0, total=100)
    assert float(rate(0)) == pytest.approx(0.001)
    assert float(rate(50)) == pytest.approx(0.1)
    late = diagnosis_suite._schedule(0.1, 1, 1.0, 0.1, total=100)
    assert float(late(69)) == pytest.approx(0.1 * (1 + np.cos(np.pi * 0.69)) / 2, rel=1e-5)
    assert float(late(70)) == pytest.approx(0.01 * (1 + np.cos(np.pi * 0.7)) / 2, rel=1e-5)
    step = diagnosis_suite._schedule(0.1, 2, 1.0, 1.0, total=100)
    assert [round(float(step(t)), 6) for t in (0, 60, 90)] == [0.1, 0.01, 0.001]
