"""Tune the scores of `jaxlr.diagnose` on the tuning tasks and write them into the package.

`python -m scripts.suites.diagnosis_fit FOLDER` reads the trainings of `scripts.suites.diagnosis_suite` in FOLDER, never
those of the tasks held apart, prints what leaving out one data set gives, and writes
`jaxlr/diagnosis/calibration.json`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.linear_model import LogisticRegression

import jaxlr
from jaxlr.diagnosis import calibration, curve, neighbours, validation, verdicts
from jaxlr.diagnosis.calibration import Scores
from scripts.suites import diagnosis_labels, diagnosis_suite, diagnosis_textbook

__all__ = ["Labelled", "labelled"]

OFFSETS = (-7, -4, -3, -2, -1, 0, 1, 2, 3, 4)
"""Rates of the suite, as powers of three from each case's best one."""

_KNOTS = 7
_STRENGTH = {"ALONE": 0.1, "BESIDE": 0.1, "VALIDATED": 10.0}
"""Inverse strength of the penalty on the scores of each table."""

_DRAWN = 60
_DRAWN_WEIGHT = 3.0
"""Drawn curves of each kind, and what each counts; there are some 7,700 rows of trainings."""

_TEMPERATURES = (1.0, 1.1, 1.2, 1.4, 1.7, 2.0)
"""What scores may be divided by: those fitted on some tasks are too sure of another."""


class Labelled(NamedTuple):
    """A curve of the suite with its labels.

    Attributes:
        task: its task.
        optimizer: its optimizer.
        shape: its schedule.
        position: its rate's position in the grid.
        seed: its seed.
        label: the verdict that the interventions prove, without validation losses.
        validated: the same with validation losses.
        helping: every verdict whose remedy helps.
        losses: training losses `[epochs]`.
        val_losses: validation losses `[epochs]`.
        lr: rates `[epochs]`.
        steps: training losses `[steps]`, each batch before its update.
        initial: the loss before training.
    """

    task: str
    optimizer: str
    shape: str
    position: int
    seed: int
    label: str
    validated: str
    helping: set[str]
    losses: np.ndarray
    val_losses: np.ndarray
    lr: np.ndarray
    steps: np.ndarray
    initial: float


def labelled(folder: Path, tasks: Sequence[str]) -> Iterator[list[Labelled]]:
    """The curves of some tasks: a list for each family, which differs in the rate alone, by ascending rate."""
    for task in tasks:
        guessing = diagnosis_labels.guessing(diagnosis_suite.build(task, "sgd").task)
        for optimizer in diagnosis_suite.BATCHES:
            ds = jaxlr.load(folder / f"{task}-{optimizer}.nc")
            for shape in diagnosis_suite.SHAPES:
                for seed in range(diagnosis_suite.SEEDS):
                    yield [
                        _one(ds, guessing, task, optimizer, shape, position, seed) for position in _window(ds, shape)
                    ]


def _window(ds: Any, shape: str) -> list[int]:
    """Positions of the rates around the best one of a schedule, with room for the interventions."""
    last = ds["loss"].sel(shape=shape, kind="base").isel(epoch=slice(-3, None))
    finals = last.mean(["epoch", "seed"], skipna=False).values
    best = int(np.argmin(np.where(np.isfinite(finals), finals, np.inf)))
    room = max(diagnosis_labels.STEPS)
    return [best + k for k in OFFSETS if room <= best + k < len(finals) - room]


def _one(ds: Any, guessing: float, task: str, optimizer: str, shape: str, position: int, seed: int) -> Labelled:
    found = diagnosis_labels.effects(ds, guessing, position, shape, seed)
    at = ds.sel(shape=shape, kind="base", seed=seed).isel(lr=position)
    return Labelled(
        task,
        optimizer,
        shape,
        position,
        seed,
        diagnosis_labels.label(found),
        diagnosis_labels.label(found, validated=True),
        diagnosis_labels.helping(found, validated=True),
        at["loss"].values.astype(float),
        at["val_loss"].values.astype(float),
        at["rate"].values.astype(float),
        at["step_loss"].values.ravel().astype(float),
        float(at["initial_loss"]),
    )


class Rows(NamedTuple):
    """Statistics, labels and tasks, in parallel; the task of a drawn curve is `textbook`."""

    values: list[dict[str, float]]
    labels: list[str]
    tasks: list[str]

    def add(self, values: dict[str, float], label: str, task: str) -> None:
        """One row more."""
        self.values.append(values)
        self.labels.append(label)
        self.tasks.append(task)


def textbook(rows: Rows, more: dict[str, float]) -> Rows:
    """With the drawn curves."""
    for one in diagnosis_textbook.ideal(_DRAWN):
        rows.add({**curve.statistics(one.losses)._asdict(), **more}, one.label, "textbook")
    return rows


def alone(families: Sequence[Sequence[Labelled]]) -> Rows:
    """Each finite curve by itself three times: with its rates, without them, and by its steps."""
    rows = Rows([], [], [])
    for one in (one for family in families for one in family):
        if not np.isfinite(one.losses).all():
            continue
        views = [(one.losses, one.lr), (one.losses, None)]
        if np.isfinite(one.steps).all() and len(one.steps) > 2 * len(one.losses):
            views.append((one.steps, None))
        for losses, lr in views:
            rows.add(curve.statistics(losses, lr)._asdict(), one.label, one.task)
    return textbook(rows, {})


def beside(families: Sequence[Sequence[Labelled]]) -> Rows:
    """Each finite curve with its neighbours: all of a grid of threes, and those of a grid of nines."""
    rows = Rows([], [], [])
    for family in families:
        for every, offset in ((1, 0), (2, 0), (2, 1)):
            some = [c for c in family if every == 1 or c.position % 2 == offset]
            own = [curve.statistics(c.losses, c.lr) if np.isfinite(c.losses).all() else None for c in some]
            rates = np.array([diagnosis_suite.RATES[c.position] for c in some])
            if not some or own[0] is None:
                continue
            initial = some[0].initial if every == 1 else own[0].start
            for one, s, more in zip(some, own, neighbours.beside(own, rates, initial), strict=True):
                if s is not None:
                    rows.add({**s._asdict(), **more}, one.label, one.task)
    return textbook(rows, dict.fromkeys(_NEIGHBOURS, 0.0))


def validated(families: Sequence[Sequence[Labelled]]) -> Rows:
    """Each curve whose validation losses are finite: overfitting or not."""
    rows = Rows([], [], [])
    for one in (one for family in families for one in family):
        if np.isfinite(one.losses).all() and np.isfinite(one.val_losses).all():
            label = "overfitting" if one.validated == "overfitting" else "other"
            rows.add(validation.statistics(one.losses, one.val_losses), label, one.task)
    return rows


def fit(rows: Rows, names: Sequence[str], strength: float, temperature: float) -> Scores:
    """Additive scores: a penalised multinomial regression on hat functions of each statistic, over the temperature."""
    columns = {name: np.array([row[name] for row in rows.values]) for name in names}
    knots = {name: _knots(column) for name, column in columns.items()}
    model = LogisticRegression(C=strength, max_iter=500)
    labels = np.array(rows.labels)
    weights = np.where(np.array(rows.tasks) == "textbook", _DRAWN_WEIGHT, 1.0)
    model.fit(np.hstack([_hats(columns[name], knots[name]) for name in names]), labels, sample_weight=weights)
    slopes, biases = model.coef_, model.intercept_
    if len(model.classes_) == 2:
        slopes, biases = np.vstack([-slopes, slopes]) / 2, np.array([-biases[0], biases[0]]) / 2
    scores: dict[str, dict[str, tuple[float, ...]]] = {}
    for verdict, row in zip(model.classes_, slopes, strict=True):
        at, mine = 0, {}
        for name in names:
            count = len(knots[name])
            mine[name] = tuple(round(float(value) / temperature, 3) for value in row[at : at + count])
            at += count
        scores[str(verdict)] = mine
    bias = {
        str(verdict): round(float(value) / temperature, 3)
        for verdict, value in zip(model.classes_, biases, strict=True)
    }
    return Scores(bias, knots, scores)


def _knots(column: np.ndarray) -> tuple[float, ...]:
    """Quantiles of the values that are not zero, and zero where it is common."""
    is_zero = np.abs(column) <= 1e-3
    some = column[~is_zero] if (~is_zero).mean() > 0.02 else column
    found = np.quantile(some, np.linspace(0.02, 0.98, _KNOTS))
    found = np.unique(np.append(found, 0.0 if is_zero.mean() > 0.1 else found[0]).round(3))
    return tuple(float(value) for value in found) if len(found) > 1 else (float(found[0]), float(found[0]) + 1)


def _hats(column: np.ndarray, knots: tuple[float, ...]) -> np.ndarray:
    return np.stack([np.interp(column, knots, row) for row in np.eye(len(knots))], axis=1)


class Judged(NamedTuple):
    """Rows as scores fitted on the other tasks judge them."""

    tasks: np.ndarray
    labels: np.ndarray
    verdicts: np.ndarray
    confidence: np.ndarray
    given: np.ndarray
    """The probability given to the label."""


def left_out(rows: Rows, names: Sequence[str], strength: float, temperature: float) -> Judged:
    """Judge each task by the scores of all the others; tasks on the same data are left out together."""
    tasks, labels = np.array([_data_of(task) for task in rows.tasks]), np.array(rows.labels)
    best, confidence, given = np.empty(len(tasks), object), np.zeros(len(tasks)), np.zeros(len(tasks))
    for task in set(tasks) - {"textbook"}:
        train, test = np.flatnonzero(tasks != task), np.flatnonzero(tasks == task)
        scores = fit(Rows(*([column[i] for i in train] for column in rows)), names, strength, temperature)
        for i in test:
            found = verdicts.probabilities(rows.values[i], scores)
            best[i], confidence[i] = max(found.items(), key=lambda item: item[1])
            given[i] = found.get(labels[i], 1e-3)
    real = tasks != "textbook"
    return Judged(*(values[real] for values in (tasks, labels, best, confidence, given)))


def _data_of(task: str) -> str:
    return "digits" if task.startswith("digits") else task


def _surprise(judged: Judged) -> float:
    """Mean of -log(probability of the label), each data set counting as much as another."""
    losses = -np.log(np.maximum(judged.given, 1e-3))
    return float(np.mean([losses[judged.tasks == task].mean() for task in np.unique(judged.tasks)]))


def tuned(rows: Rows, names: Sequence[str], strength: float, title: str) -> Scores:
    """The scores of all tuning tasks, at the temperature that is best for data left out; prints what that gives."""
    found = {t: left_out(rows, names, strength, t) for t in _TEMPERATURES}
    temperature = min(found, key=lambda t: _surprise(found[t]))
    judged = found[temperature]
    right = judged.verdicts == judged.labels
    print(f"{title}: {len(right)} curves, temperature {temperature}, {right.mean():.3f} right")
    for level in (0.5, 0.6, 0.7, 0.8, 0.9):
        sure = judged.confidence >= level
        print(f"    confidence of at least {level}: {sure.mean():.2f} of them, {right[sure].mean():.3f} right")
    for task in np.unique(judged.tasks):
        here = judged.tasks == task
        sure = here & (judged.confidence >= 0.7)
        print(
            f"    {task}: {right[here].mean():.3f} right; sure {sure.sum() / here.sum():.2f}, {right[sure].mean():.3f}"
        )
    return fit(rows, names, strength, temperature)


def text(value: Any, depth: int = 0) -> str:
    """JSON in which a list stands on one line."""
    if not isinstance(value, dict):
        return json.dumps(value)
    pad = " " * depth
    rows = (f"{pad} {json.dumps(name)}: {text(part, depth + 1)}" for name, part in value.items())
    return "{\n" + ",\n".join(rows) + f"\n{pad}}}"


ALONE = [name for name in curve.Statistics._fields if name not in ("start", "end")]
_NEIGHBOURS = ["has_higher", "gain_higher", "ratio_higher", "has_lower", "gain_lower", "ratio_lower"]
_NEIGHBOURS += ["above_initial", "peak_above_initial", "calmer_lower"]
BESIDE = [*ALONE, *_NEIGHBOURS]
VALIDATED = ["val_rise", "train_after"]


def main(folder: Path) -> None:
    """Fit the three tables and write them into the package."""
    families = list(labelled(folder, diagnosis_suite.TUNING))
    tables = {
        name: tuned(make(families), names, _STRENGTH[name], title)
        for name, make, names, title in (
            ("ALONE", alone, ALONE, "a curve alone"),
            ("BESIDE", beside, BESIDE, "a curve among its neighbours"),
            ("VALIDATED", validated, VALIDATED, "overfitting or not"),
        )
    }
    found = {name.lower(): scores._asdict() for name, scores in tables.items()}
    Path(verdicts.__file__).with_name(calibration.FILE).write_text(text(found) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
