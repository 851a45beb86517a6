"""How often `jaxlr.diagnose` is right on the tasks held apart from its tuning.

`python -m scripts.suites.diagnosis_report FOLDER` reads the trainings of `scripts.suites.diagnosis_suite` in FOLDER and
prints, for a curve by itself (with and without its rates, and by steps), with its validation losses, and among its
neighbours on grids of threes and of nines: how many verdicts are confident (0.7 or more) and how many of those right,
the confusion table, precision and recall of each verdict, and the reliability of the confidence. Right is the label
alone; a second number also counts every verdict whose remedy really helps.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr

import jaxlr
from jaxlr import results
from jaxlr.diagnosis import VERDICTS
from scripts.suites import diagnosis_suite
from scripts.suites.diagnosis_fit import Labelled, labelled

CONFIDENT = 0.7
"""A verdict of at least this confidence is a confident one; `cannot-tell` never is."""

_BINS = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


class Outcome(NamedTuple):
    """One curve's true label, all verdicts that help, and what was said of it."""

    task: str
    label: str
    helping: set[str]
    verdict: str
    confidence: float


Judge = Callable[[Labelled], jaxlr.diagnosis.Diagnosis]


def single(families: Sequence[Sequence[Labelled]], judge: Judge, *, validated: bool = False) -> Iterator[Outcome]:
    """Every curve by itself."""
    for one in (one for family in families for one in family):
        found = judge(one)
        label = one.validated if validated else one.label
        helping = one.helping if validated else one.helping - {"overfitting"} | {one.label}
        yield Outcome(one.task, label, helping, found.verdict, found.confidence)


def among(families: Sequence[Sequence[Labelled]], every: int, *, validated: bool = False) -> Iterator[Outcome]:
    """Every curve with its neighbours, as a sweep over the rates with one seed."""
    for family in families:
        for offset in range(every):
            some = [one for one in family if one.position % every == offset]
            if not some:
                continue
            found = jaxlr.diagnose(_dataset(some, validated))
            pairs = zip(found["verdict"].values, found["confidence"].values, strict=True)
            for one, (verdict, confidence) in zip(some, pairs, strict=True):
                label = one.validated if validated else one.label
                helping = one.helping if validated else one.helping - {"overfitting"} | {one.label}
                yield Outcome(one.task, label, helping, str(verdict), float(confidence))


def _dataset(family: Sequence[Labelled], validated: bool) -> xr.Dataset:
    """The trainings as `sweep` would have labelled them."""
    space = jaxlr.grid(learning_rate=[diagnosis_suite.RATES[one.position] for one in family])
    arrays = {"loss": np.stack([one.losses for one in family])[:, None]}
    arrays["rate"] = np.stack([one.lr for one in family])[:, None]
    if validated:
        arrays["val_loss"] = np.stack([one.val_losses for one in family])[:, None]
    return results.label(space, arrays, np.ones((len(family), 1), bool), {}, "epoch")


def report(title: str, outcomes: Sequence[Outcome], *, full: bool = True) -> None:
    """Print the tables."""
    right = np.array([o.verdict == o.label for o in outcomes])
    helps = np.array([o.verdict in o.helping for o in outcomes])
    sure = np.array([o.confidence >= CONFIDENT and o.verdict != "cannot-tell" for o in outcomes])
    print(f"\n## {title}\n")
    print(f"{len(outcomes)} curves; {sure.mean():.1%} get a confident verdict, {right[sure].mean():.1%} of them right")
    print(f"({helps[sure].mean():.1%} name a remedy that helps); of all verdicts {right.mean():.1%} are right.\n")
    for task in sorted({o.task for o in outcomes}):
        here = np.array([o.task == task for o in outcomes])
        print(f"- {task}: {sure[here].mean():.0%} confident, {right[here & sure].mean():.1%} of these right")
    if full:
        _confusion(outcomes)
        _precision(outcomes, sure)
        _reliability(outcomes, right)


def _confusion(outcomes: Sequence[Outcome]) -> None:
    said = [v for v in VERDICTS if any(o.verdict == v for o in outcomes)]
    print(f"\n| true \\ said | {' | '.join(said)} |\n|---|{'---:|' * len(said)}")
    for label in [v for v in VERDICTS if any(o.label == v for o in outcomes)]:
        counts = [sum(o.label == label and o.verdict == v for o in outcomes) for v in said]
        print(f"| {label} | {' | '.join(map(str, counts))} |")


def _precision(outcomes: Sequence[Outcome], sure: np.ndarray) -> None:
    print("\n| verdict | curves | precision | recall | confident | precision of these |")
    print("|---|---:|---:|---:|---:|---:|")
    for verdict in VERDICTS[:-1]:
        true = np.array([o.label == verdict for o in outcomes])
        said = np.array([o.verdict == verdict for o in outcomes])
        if not (true.any() or said.any()):
            continue
        print(
            f"| {verdict} | {true.sum()} | {_share(true & said, said)} | {_share(true & said, true)} | "
            f"{(said & sure).sum()} | {_share(true & said & sure, said & sure)} |"
        )


def _reliability(outcomes: Sequence[Outcome], right: np.ndarray) -> None:
    confidence = np.array([o.confidence for o in outcomes])
    given = np.array([o.verdict != "cannot-tell" for o in outcomes])
    print("\n| confidence | verdicts | mean confidence | right |\n|---|---:|---:|---:|")
    for low, high in itertools.pairwise(_BINS):
        here = given & (confidence >= low) & (confidence < high + (high == 1))
        if here.any():
            print(f"| {low} to {high} | {here.sum()} | {confidence[here].mean():.2f} | {right[here].mean():.2f} |")


def _share(part: np.ndarray, whole: np.ndarray) -> str:
    return f"{part.sum() / whole.sum():.2f}" if whole.any() else "-"


_HEAD = f"""# What `jaxlr.diagnose` says of trainings, and what was true of them

Every curve is a real training: a task, an optimizer (SGD, momentum 0.9 with batches of 8, Adam, and gradient descent on
all examples), a schedule (constant, cosine, step), one of ten rates around the best, and one of
{diagnosis_suite.SEEDS} seeds. Its label comes from what other rates did to the same weights and batches
(`scripts/suites/diagnosis_labels.py`). Confident means {CONFIDENT} or more and not `cannot-tell`. The points of the
verdicts were fitted on other tasks: {", ".join(diagnosis_suite.TUNING)}. The tasks held apart were judged twice: the
first points were too sure of them, and how sure to be was then fitted anew on the tuning tasks, leaving out related
ones together. The last tasks were judged once, with the points as they are. Two faults were mended since, the points
left as they were: a loss of exactly zero was taken for one without a natural zero, and what followed a peak of more
than 1e12 times the rest was lost. On the tasks held apart, 87 instead of 93 % of the confident verdicts among
neighbours a factor of three apart had been right."""


def main(folder: Path) -> None:
    """Print everything for the tasks held apart, and for the last ones."""
    print(_HEAD)
    for title, tasks in (("Held apart", diagnosis_suite.APART), ("Judged last", diagnosis_suite.LAST)):
        print(f"\n# {title}: {', '.join(tasks)}")
        _judge(list(labelled(folder, tasks)))


def _judge(families: Sequence[Sequence[Labelled]]) -> None:
    diagnose = jaxlr.diagnose
    report("A curve by itself, with its rates", list(single(families, lambda c: diagnose(c.losses, lr=c.lr))))
    report("Without its rates", list(single(families, lambda c: diagnose(c.losses))))
    report("By steps, without its rates", list(single(families, lambda c: diagnose(c.steps))), full=False)
    with_val = single(families, lambda c: diagnose(c.losses, val_losses=c.val_losses, lr=c.lr), validated=True)
    report("With its validation losses", list(with_val))
    report("Among its neighbours, a factor of three apart", list(among(families, 1)))
    report("Among its neighbours, a factor of nine apart", list(among(families, 2)))
    report("The same with validation losses", list(among(families, 2, validated=True)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
