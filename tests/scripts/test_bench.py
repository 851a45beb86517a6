"""The benchmark's rivals: every one that is installed trains, pairs are timed, and the command writes all of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from jaxlr import optimizers, plots, sweep, tasks
from jaxlr.cli import scaling
from jaxlr.runs import experiment
from jaxlr.spaces import grid
from scripts.bench import __main__ as bench
from scripts.bench import engine, pairs, points
from scripts.bench.rivals import Rival, installed

RATES = np.array([1e-6, 0.01, 0.03, 0.1])
EPOCHS = 12

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def ours() -> np.ndarray:
    run = experiment(tasks.blobs(), optimizers.sgd, epochs=EPOCHS)
    ds = sweep(run, grid(learning_rate=RATES), seeds=1, devices=1)
    return ds["val_accuracy"].isel(seed=0, epoch=-1).values


@pytest.mark.parametrize("rival", installed(), ids=lambda rival: rival.name)
@pytest.mark.filterwarnings("ignore")  # other libraries' own
def test_rivals_train_the_same(rival: Rival, ours: np.ndarray) -> None:
    accuracy = rival.make(points.load(), EPOCHS)(RATES)
    assert accuracy.shape == RATES.shape
    assert accuracy[0] < accuracy.max(), "a rate of 1e-6 does not learn"
    assert accuracy.max() == pytest.approx(ours.max(), abs=0.04)


def test_the_rivals_of_a_bare_installation() -> None:
    assert {rival.package for rival in installed()} >= {"flax", "sklearn"}


def test_numbers_table_and_figure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys) -> None:
    monkeypatch.setattr(scaling, "matmul_gflops", lambda: 100.0)
    monkeypatch.setattr(scaling, "PAIRED", 4)
    monkeypatch.setattr(pairs, "PAIRED", 4)
    out = tmp_path / "rivals.json"
    bench.main(["--settings", "1,2", "--rivals", "compiled once", "--epochs", "1", "--repeats", "2", "--out", str(out)])
    result = json.loads(out.read_text())
    assert [row["settings"] for row in result["scaling"]] == [1, 2]
    (row,) = result["rivals"]
    assert 0 < row["ratio"]["low"] <= row["ratio"]["median"] <= row["ratio"]["high"]
    printed = capsys.readouterr()
    assert f"timing {row['name']}" in printed.err
    assert printed.out.count(row["name"]) == 1
    assert out.with_suffix(".md").read_text() == printed.out
    assert out.with_suffix(".png").stat().st_size > 1000
    _, ax = plots.speed(result).axes
    assert [text.get_text().split(":")[0] for text in ax.texts] == [row["name"]]


def test_an_unknown_rival_is_named() -> None:
    with pytest.raises(SystemExit, match=r"--rivals must be all or words of .*; got 'fortran'"):
        bench.main(["--rivals", "fortran"])


def test_by_hand_and_by_the_engine_the_training_is_one(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(engine, "EPOCHS", 3)
    monkeypatch.setattr(engine, "REPEATS", 1)
    engine.overhead()
    *_, last = capsys.readouterr().out.splitlines()
    assert float(last.removeprefix("largest difference of the losses: ")) < 1e-5
