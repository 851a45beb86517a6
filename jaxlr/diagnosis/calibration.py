"""The scores of each verdict: data that `scripts/suites/diagnosis_fit.py` writes, beside this file.

`ALONE` judges a curve by itself, `BESIDE` one among its neighbours, `VALIDATED` whether a validation curve overfits.
"""

from __future__ import annotations

import json
from importlib import resources
from typing import NamedTuple

__all__ = ["ALONE", "BESIDE", "FILE", "VALIDATED", "Scores"]

FILE = "calibration.json"


class Scores(NamedTuple):
    """What each statistic says for each verdict.

    Attributes:
        bias: verdict -> score that it has before anything is seen.
        knots: statistic -> its values between which its scores go in straight lines, ascending.
        scores: verdict -> statistic -> scores at the knots.
    """

    bias: dict[str, float]
    knots: dict[str, list[float]]
    scores: dict[str, dict[str, list[float]]]


_TABLES = json.loads(resources.files("jaxlr.diagnosis").joinpath(FILE).read_text(encoding="utf-8"))

ALONE, BESIDE, VALIDATED = (Scores(**_TABLES[name]) for name in ("alone", "beside", "validated"))
