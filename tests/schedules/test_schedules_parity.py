"""The recorded schedules of six libraries come out of jaxlr; and the comparison can fail."""

from __future__ import annotations

import copy
import json
from collections import Counter
from pathlib import Path

import pytest

from tests import parity

CASES = parity.load(Path(__file__).parent.parent / "data" / "schedules.json.gz")
NUMBERS = {"tensorflow": 207, "keras": 141, "torch": 138, "optax": 204, "transformers": 74, "timm": 77}


def folder(case: parity.Case) -> str:
    """The file that a case came in: Keras's time decay was recorded through TensorFlow."""
    return "keras" if case["id"].startswith("keras") else parity.library(case)


def test_all_cases_are_here() -> None:
    assert Counter(folder(case) for case in CASES) == NUMBERS


@pytest.mark.parametrize("library", NUMBERS)
def test_library(library: str) -> None:
    assert dict(parity.failures([case for case in CASES if folder(case) == library])) == {}


def test_exclusions_are_few_and_each_is_used() -> None:
    rules = Counter(
        parity.excluded(case, step, value)
        for case in CASES
        for step, value in zip(case["steps"], case["values"], strict=True)
    )
    kept = rules.pop(None)
    assert set(rules) <= set(parity.EXCLUSIONS)
    assert sum(rules.values()) < 0.02 * kept


@pytest.mark.parametrize("key", ["values", "momentum_values"])
def test_a_wrong_value_is_found(key: str) -> None:
    case = copy.deepcopy(next(case for case in CASES if case["schedule"] == "OneCycleLR"))
    assert parity.check_case(case) is None
    case[key][5] *= 1 + 1e-8
    assert "float64: 1 of" in str(parity.check_case(case))


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad, unknown = (copy.deepcopy(CASES[0]) for _ in range(3))
    bad["id"], bad["values"][0] = "bad", 7.0
    unknown["id"], unknown["schedule"] = "unknown", "no_such_schedule"
    file = tmp_path / "cases.json"
    file.write_text(json.dumps([good, bad, unknown]))
    assert parity.main([str(file)]) == 1
    printed = capsys.readouterr().out
    assert printed.endswith("1 passed, 2 failed\n")
    assert "cases.json bad: float64" in printed
    assert "unknown schedule 'no_such_schedule'" in printed
