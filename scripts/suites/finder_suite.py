"""How good are learning-rate finders? Every method on every combination of the suite, against the true best rate.

Run from the repository's root: python -m scripts.suites.finder_suite FOLDER [--report]

FOLDER keeps the numbers of each combination (about half an hour for all on one CPU core; a combination that is there is
not done again); `--report` only reads them. Written: notebooks/figures/finder_suite.png, the table
notebooks/figures/finder_suite.md, and each combination's numbers, notebooks/figures/finder_suite.csv.

The truth is an exhaustive sweep of constant rates: four to a decade from 1e-8 to 100 with 8 seeds, then eight to a
decade around the best with 16. A training counts with the loss over its training data after the stated epochs, with its
initial loss where that is lower or where it diverged. The regret of a rate is (its loss - the best) / (initial loss -
the best), means over seeds, interpolated linearly in the log of the rate: 0 is the best constant rate, 1 is not to
train at all.

Every method answers 20 times, with other weights and batches each time. The published methods read one run of 100
updates from 1e-7 to 10 (Lightning 1e-8 to 1), the loss of the batches, as they do at home.
"""

from __future__ import annotations

import argparse
import csv
import time
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

import jaxlr
from jaxlr import plots
from jaxlr.finder import published
from jaxlr.plots.style import new_figure
from scripts.suites import suite_tasks
from scripts.suites.suite_tasks import OPTIMIZERS, Case

REPEATS = 20
TUNED = (
    *(f"{task}/{optimizer}" for task in ("blobs", "digits", "diabetes", "copying") for optimizer in OPTIMIZERS),
    "wine/adam",
)
"""Combinations on which the margins, the level and the weights of the recommendation were chosen: 13 of the 27."""

FIGURES = Path("notebooks/figures")
OURS = {
    "find_lr": "8 seeds: 100 updates of the range test, then 13 rates or more x 100 updates",
    "suggest": "8 seeds x 100 updates",
    "suggest, 1 seed": "100 updates, as the published methods",
    "edge_over_4": "8 seeds x 100 updates, their median",
    "minimum_over_10": "8 seeds x 100 updates, their median",
    "steepest": "8 seeds x 100 updates, their median",
}
METHODS = (*OURS, *published.PUBLISHED)


class Truth(NamedTuple):
    """Mean final losses `[rates]`, and the mean initial loss."""

    rates: np.ndarray
    losses: np.ndarray
    initial: float

    def regret(self, rates: np.ndarray) -> np.ndarray:
        """The regret of any rates; NaN stays NaN."""
        best = self.losses.min()
        return np.interp(np.log(rates), np.log(self.rates), (self.losses - best) / (self.initial - best))


def truth(case: Case) -> Truth:
    """The final loss of every constant rate."""
    whole = case.task._replace(x_test=case.task.x, y_test=case.task.y)
    run = jaxlr.experiment(whole, case.optimizer, epochs=case.epochs, batch_size=case.batch_size, record=["initial"])
    coarse, initial = _finals(run, np.geomspace(1e-8, 100, 41), 8)
    best = min(coarse, key=coarse.__getitem__)
    fine, _ = _finals(run, best * 10 ** np.arange(-1.5, 1.01, 0.125), 16)
    inside = [rate for rate in coarse if min(fine) * 0.99 < rate < max(fine) * 1.01]
    losses = {rate: loss for rate, loss in {**coarse, **fine}.items() if rate in fine or rate not in inside}
    rates = sorted(losses)
    return Truth(np.array(rates), np.array([losses[rate] for rate in rates]), initial)


def _finals(run: jaxlr.runs.Run, rates: np.ndarray, seeds: int) -> tuple[dict[float, float], float]:
    """Rate -> mean final loss, and the mean initial loss."""
    key = jax.random.key(2**20)
    ds = jaxlr.sweep(run, jaxlr.grid(learning_rate=rates), seeds=seeds, key=key, devices=1)
    initial = ds["initial_loss"].values.astype(float)
    last = ds["val_loss"].values[:, :, -1].astype(float)
    counted = np.where(np.isfinite(last), np.minimum(last, initial), initial)
    return dict(zip(rates.tolist(), counted.mean(axis=1).tolist(), strict=True)), float(initial.mean())


def answers(case: Case) -> dict[str, np.ndarray]:
    """Method -> the rates it names, NaN for none; the confidence of `find_lr`, and its updates."""
    rows = [_answer(case, jax.random.key(repeat)) for repeat in range(REPEATS)]
    return {name: np.array([row[name] for row in rows], float) for name in rows[0]}


def _answer(case: Case, key: jax.Array) -> dict[str, Any]:
    sizes: dict[str, Any] = {"steps": 100, "batch_size": case.batch_size, "seeds": 8, "key": key}
    found = jaxlr.find_lr(case.task, case.optimizer, **sizes, devices=1)
    home = jaxlr.finder.range_test(case.task, case.optimizer, low=1e-7, high=10.0, **sizes)
    wide = jaxlr.finder.suggest(home)
    row: dict[str, Any] = {"find_lr": found.recommendation, "suggest": wide.recommendation}
    row["suggest, 1 seed"] = jaxlr.finder.suggest(home.isel(seed=[0])).recommendation
    row |= {name: wide.suggestions[name].rate for name in OURS if name in wide.suggestions}
    low = jaxlr.finder.range_test(case.task, case.optimizer, low=1e-8, high=1.0, **sizes)
    for name, method in published.PUBLISHED.items():
        own = low if name.startswith("lightning") else home
        row[name] = method(own["rate"].values, own["loss"].values[0]).rate
    row["confidence"] = found.confidence
    row["updates"] = 8 * 100 * (1 + (0 if found.race is None else found.race.sizes["learning_rate"]))
    return {name: np.nan if value is None else value for name, value in row.items()}


def measure(folder: Path) -> None:
    """Do what is not in the folder yet."""
    folder.mkdir(parents=True, exist_ok=True)
    for case in suite_tasks.cases():
        began = time.perf_counter()
        for kind, do in (("truth", lambda case: truth(case)._asdict()), ("answers", answers)):
            file = _file(folder, kind, case)
            if not file.exists():
                np.savez(file, **do(case))
        print(f"{case.name}: {time.perf_counter() - began:.0f} s", flush=True)


def _file(folder: Path, kind: str, case: Case) -> Path:
    return folder / f"{kind}-{case.name.replace('/', '-')}.npz"


def _load(folder: Path, case: Case) -> dict[str, Any]:
    """A combination's truth, every method's rates, and their regrets."""
    with np.load(_file(folder, "truth", case)) as known, np.load(_file(folder, "answers", case)) as named:
        fact = Truth(**known)
        return {"truth": fact, **named, **{f"regret {name}": fact.regret(named[name]) for name in METHODS}}


class Row(NamedTuple):
    """One method on some combinations."""

    method: str
    median: float
    high: float
    scatter: float
    worst_scatter: float
    none: float
    behind: tuple[float, float]


def rows(cases: dict[str, Any]) -> list[Row]:
    """The table: each method's regrets, scatter, and how far its median is behind that of `find_lr`."""
    return [_row(name, cases) for name in METHODS]


def _row(name: str, cases: dict[str, Any]) -> Row:
    regrets = [case[f"regret {name}"] for case in cases.values()]
    scatters = [_scatter(case[name]) for case in cases.values()]
    pooled = np.concatenate(regrets)
    return Row(
        name,
        _quantile(pooled, 0.5),
        _quantile(pooled, 0.9),
        _quantile(np.array(scatters), 0.5),
        _quantile(np.array(scatters), 1.0),
        float(np.isnan(pooled).mean()),
        _behind(regrets, [case["regret find_lr"] for case in cases.values()]),
    )


def _scatter(rates: np.ndarray) -> float:
    """Ratio of the 90 % to the 10 % quantile over the repeats."""
    return _quantile(rates, 0.9) / _quantile(rates, 0.1)


def _quantile(values: np.ndarray, share: float) -> float:
    """Of the values that are there; NaN for none."""
    there = values[np.isfinite(values)]
    return float(np.quantile(there, share)) if len(there) else float("nan")


def _behind(theirs: list[np.ndarray], ours: list[np.ndarray]) -> tuple[float, float]:
    """95 % interval of the difference of median regrets: combinations and repeats drawn anew, the same for both."""
    rng, differences = np.random.default_rng(0), []
    for _ in range(1000):
        drawn = [(i, rng.integers(0, REPEATS, REPEATS)) for i in rng.integers(0, len(ours), len(ours))]
        a, b = (np.concatenate([regrets[i][at] for i, at in drawn]) for regrets in (theirs, ours))
        both = np.isfinite(a) & np.isfinite(b)
        differences.append(np.median(a[both]) - np.median(b[both]) if both.any() else np.nan)
    return _quantile(np.array(differences), 0.025), _quantile(np.array(differences), 0.975)


def report(folder: Path) -> None:
    """Write the table, the numbers of each combination, and the figure."""
    cases = {case.name: _load(folder, case) for case in suite_tasks.cases()}
    held = {name: case for name, case in cases.items() if name not in TUNED}
    tuned = {name: case for name, case in cases.items() if name not in held}
    parts = {f"all {len(cases)} combinations": cases, "held out": held, "tuned on": tuned}
    lines = ["# Learning-rate finders on the suite", "", _about(cases, held, tuned)]
    for title, part in parts.items():
        lines += ["", f"## {title[0].upper()}{title[1:]}", "", *_markdown(rows(part))]
    FIGURES.mkdir(parents=True, exist_ok=True)
    (FIGURES / "finder_suite.md").write_text("\n".join(lines) + "\n")
    _write_cases(cases)
    _draw(rows(cases), rows(held), cases)
    print("\n".join(lines))


def _about(cases: dict[str, Any], held: dict[str, Any], tuned: dict[str, Any]) -> str:
    updates = np.concatenate([case["updates"] for case in cases.values()])
    return (
        f"Written by `python -m scripts.suites.finder_suite`, {REPEATS} repeats of each of {len(cases)} combinations; "
        f"margins and weights were chosen on {len(tuned)} of them, {len(held)} were held out. Regret: share of "
        "the possible fall of the training loss that is lost against the best constant rate. Scatter: 90 % over 10 % "
        "quantile of the repeats' answers, median and worst of the combinations. None: share of repeats without an "
        "answer; they are left out of the rest. Behind: 95 % interval of the median regret minus that of `find_lr` on "
        f"the same repeats. `find_lr` made {np.median(updates):,.0f} updates in the median, a published method 100."
    )


def _markdown(table: list[Row]) -> list[str]:
    head = ["method", "median regret", "90 %", "scatter", "worst scatter", "none", "behind find_lr"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for row in table:
        shares = (f"{100 * value:.1f} %" for value in (row.median, row.high))
        scatters = (f"x{plots.number(float(f'{value:.2g}'))}" for value in (row.scatter, row.worst_scatter))
        behind = "" if row.method == "find_lr" else f"{100 * row.behind[0]:.1f} to {100 * row.behind[1]:.1f} points"
        cells = [row.method, *shares, *scatters, f"{100 * row.none:.0f} %", behind]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _write_cases(cases: dict[str, Any]) -> None:
    with (FIGURES / "finder_suite.csv").open("w", newline="") as file:
        write = csv.writer(file, lineterminator="\n")
        write.writerow(["combination", "best_rate", "best_loss", "initial_loss", "method", "rate", "scatter",
                        "median_regret", "regret_90", "none"])  # fmt: skip
        for name, case in cases.items():
            fact: Truth = case["truth"]
            best = int(np.argmin(fact.losses))
            known = (fact.rates[best], fact.losses[best], fact.initial)
            for method in METHODS:
                row = _row(method, {name: case})
                numbers = (*known, _quantile(case[method], 0.5), row.scatter, row.median, row.high, row.none)
                texts = [f"{number:.4g}" for number in numbers]
                write.writerow([name, *texts[:3], method, *texts[3:]])


def _draw(everything: list[Row], held: list[Row], cases: dict[str, Any]) -> None:
    figure, axes = new_figure(1, 2, 5.4, 4.6, sharex=False)
    left, right = axes[0]
    order = sorted(everything, key=lambda row: -row.median)
    heights = {row.method: i for i, row in enumerate(order)}
    for row in order:
        y = heights[row.method]
        color = plots.COLORS[1 if row.method == "find_lr" else 2 if row.method in OURS else 0]
        left.plot([row.median, row.high], [y, y], color=color, linewidth=2)
        left.plot(row.median, y, "o", color=color, markersize=6)
        scatters = [_scatter(case[row.method]) for case in cases.values()]
        right.plot(scatters, np.full(len(scatters), y), "o", color=color, markersize=4, alpha=0.5)
    for row in held:
        left.plot(row.median, heights[row.method], "x", color="black", markersize=5)
    left.set_xscale("symlog", linthresh=0.01)
    left.set_xlim(-0.001, 1.2)
    left.set_xticks([0, 0.01, 0.1, 1], ["0", "1 %", "10 %", "100 %"])
    left.axvline(0.05, color="0.5", linestyle=":")
    right.set_xscale("log")
    right.axvline(3, color="0.5", linestyle=":")
    for ax in (left, right):
        ax.set_yticks(list(heights.values()), list(heights), fontsize=8)
    left.set_xlabel("regret: median (dot; cross: held out) to 90 %", fontsize=9)
    right.set_xlabel("scatter over 20 repeats, each combination", fontsize=9)
    kinds = {"this library, with a race": 1, "this library, range test alone": 2, "published": 0}
    handles = [left.plot([], [], "o-", color=plots.COLORS[i])[0] for i in kinds.values()]
    figure.legend(handles, list(kinds), loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    figure.savefig(FIGURES / "finder_suite.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--report", action="store_true", help="only read what is there")
    given = parser.parse_args()
    if not given.report:
        measure(given.folder)
    report(given.folder)


if __name__ == "__main__":
    main()
