"""The studies' results in words: a table of every setting, and the tutorial's claims judged over the seeds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from jaxlr.results import best, columns
from jaxlr.studies import claims

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["summarize"]

_SWEPT = {
    "learning-rate": "learning_rate",
    "momentum": "momentum",
    "decay": "decay",
    "plateau": "patience",
    "optimizers": "optimizer",
}
"""Study -> the hyperparameter that it varies."""

_TUTORIAL = (
    "[Understand the Impact of Learning Rate on Neural Network Performance]"
    "(https://machinelearningmastery.com/understand-the-dynamics-of-learning-rate-on-deep-learning-neural-networks/)"
)


def summarize(results: Mapping[str, xr.Dataset]) -> str:
    """The summary in Markdown.

    Args:
        results: study -> its curves.
    """
    trained = {name: ds for name, ds in results.items() if name in _SWEPT}
    parts = ["# What the studies show\n"]
    if trained:
        first = next(iter(trained.values()))
        parts.append(_conditions(first))
        parts.append(_conclusions(trained))
        parts.append(_settings(trained))
        parts.append(_claims(trained))
    else:
        parts.append("Nothing was trained: the figures show data and formulas.\n")
    return "\n".join(parts)


def _conditions(ds: xr.Dataset) -> str:
    text = (
        f"The experiments of the tutorial {_TUTORIAL} (Jason Brownlee, Machine Learning Mastery): "
        f"{ds.sizes['seed']} seeds of {ds.sizes['epoch']} epochs each; jaxlr {ds.attrs['jaxlr']}, "
        f"JAX {ds.attrs['jax']}, {ds.attrs['backend']}.\n"
    )
    if ds.sizes["epoch"] != 200:
        text += "\nThe tutorial's claims are about 200 epochs; epochs that they name are scaled to this run.\n"
    return text


def _conclusions(trained: Mapping[str, xr.Dataset]) -> str:
    """The best of each study, and what it cannot be told from."""
    rows = [
        "## In short\n",
        "By the mean test accuracy at the last epoch; ties by Student's t, paired over the seeds.\n",
    ]
    for name, ds in trained.items():
        over = _SWEPT[name]
        try:
            found = best(ds, "val_accuracy")
        except ValueError:
            rows.append(f"- {name}: every setting diverged.")
            continue
        values = columns(ds)[over]
        ties = ", ".join(_label(values[row]) for row in found.ties)
        unsure = f", which {found.seeds} seeds cannot tell from {ties}" if ties else ""
        spread = f" ± {found.spread:.3f}" if found.seeds > 1 else ""
        words = f"{over.replace('_', ' ')} {_label(values[found.row])}"
        rows.append(f"- {name}: the best is {words} ({found.value:.3f}{spread}){unsure}.")
    return "\n".join(rows) + "\n"


def _label(value: object) -> str:
    return str(value) if isinstance(value, str) else f"{value:g}"


def _settings(trained: Mapping[str, xr.Dataset]) -> str:
    rows = [
        "## Results\n",
        "Mean and standard deviation over the seeds at the last epoch.\n",
        "| study | setting | train accuracy | test accuracy | train loss | test loss | diverged |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, ds in trained.items():
        over = _SWEPT[name]
        for value in ds[over].values:
            one = ds.sel({over: value})
            metrics = " | ".join(_mean(one[m].isel(epoch=-1)) for m in ("accuracy", "val_accuracy", "loss", "val_loss"))
            diverged = int((one["status"] == "diverged").sum())
            rows.append(f"| {name} | {over.replace('_', ' ')} {_label(value)} | {metrics} | {diverged} |")
    return "\n".join(rows) + "\n"


def _mean(values: xr.DataArray) -> str:
    known = values.values[np.isfinite(values.values)]
    if not len(known):
        return "none finite"
    spread = f" ± {known.std(ddof=1):.3f}" if len(known) > 1 else ""
    return f"{known.mean():.3f}{spread}"


def _claims(trained: Mapping[str, xr.Dataset]) -> str:
    verdicts = [verdict for name, ds in trained.items() for verdict in claims.judge(name, ds)]
    hold = sum(verdict.holds for verdict in verdicts)
    alike = sum(verdict.holds == verdict.holds_in_keras for verdict in verdicts)
    rows = [
        "## The tutorial's claims\n",
        f'{hold} of {len(verdicts)} statistics hold: at least 90 % of the seeds meet them. "Late" is the last '
        "quarter of a run. The last column counts 12 seeds of real Keras 2.3.1, judged by the same statistics; "
        f"{alike} of the {len(verdicts)} verdicts are the same there.\n",
        "| claim | the text says | measured | verdict | seeds | Keras |",
        "|---|---|---|---|---|---|",
    ]
    for judged in verdicts:
        claim, met, seeds = judged
        verdict = "holds" if judged.holds else "does not hold"
        counts = ("formula", "formula") if claim.keras is None else (f"{met}/{seeds}", f"{claim.keras}/12")
        rows.append(f"| {claim.number} | {claim.text} | {claim.statistic} | {verdict} | {counts[0]} | {counts[1]} |")
    return "\n".join(rows) + "\n"
