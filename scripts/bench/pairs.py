"""A rival's run and a sweep's in turn, so that both meet the same machine."""

from __future__ import annotations

import statistics
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from jaxlr.cli.scaling import PAIRED, rates, seconds_of, sweep_of
from jaxlr.runs import Run
from scripts.bench.points import Points
from scripts.bench.rivals import Rival

__all__ = ["pair", "table"]


def pair(run: Run, rival: Rival, points: Points, repeats: int) -> dict[str, Any]:
    """A rival and sweeps in turn: of 256 settings, and of one alone.

    Returns:
        A row: the rival's cost for one setting over that of a sweep of 256 settings, `ratio`, and over that of a sweep
        of one, `ratio_alone`.
    """
    train = rival.make(points, run.length)
    own = rates(rival.settings)
    accuracy = train(own)
    # These have compiled and started processes; the pairs are without that, but for what is compiled in every run.
    sweep_of(run, PAIRED)
    sweep_of(run, 1)
    ours, theirs, alone = [], [], []
    for _ in range(repeats):
        theirs.append(seconds_of(lambda: train(own)) / rival.settings)
        ours.append(seconds_of(lambda: sweep_of(run, PAIRED)) / PAIRED)
        alone.append(statistics.median(seconds_of(lambda: sweep_of(run, 1)) for _ in range(5)))
    return {
        "name": rival.name,
        "version": _version(rival.package),
        "settings": rival.settings,
        "ms_per_setting": 1e3 * statistics.median(theirs),
        "best_accuracy": float(np.nanmax(accuracy)),
        "ratio": _spread([a / b for a, b in zip(theirs, ours, strict=True)]),
        "ratio_alone": _spread([a / b for a, b in zip(theirs, alone, strict=True)]),
    }


def _spread(ratios: list[float]) -> dict[str, float]:
    return {"median": statistics.median(ratios), "low": min(ratios), "high": max(ratios)}


def _version(package: str) -> str:
    try:
        return version({"sklearn": "scikit-learn"}.get(package, package))
    except PackageNotFoundError:
        return ""


def table(rows: list[dict[str, Any]]) -> str:
    """The rivals' rows as a table in Markdown."""
    lines = [
        "| rival | ms a setting | times as long as 256 settings in one sweep | as one setting alone |",
        "|---|---:|---:|---:|",
    ]
    for row in rows:
        lines.append(
            f"| {row['name']} {row['version']} | {row['ms_per_setting']:.1f} | {_words(row['ratio'])} "
            f"| {_words(row['ratio_alone'])} |"
        )
    return "\n".join(lines)


def _words(spread: dict[str, float]) -> str:
    digits = 1 if spread["median"] < 100 else 0
    return f"{spread['median']:.{digits}f} ({spread['low']:.{digits}f} to {spread['high']:.{digits}f})"
