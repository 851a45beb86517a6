"""The benchmark: every rival that is installed trains, pairs are timed, and the command writes what it measured."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from jaxlr.bench.points import load

from jaxlr import bench, optimizers, sweep
from jaxlr.runs import experiment
from jaxlr.spaces import grid

RATES = np.array([1e-6, 0.01, 0.03, 0.1])
EPOCHS = 12


@pytest.fixture(scope="module")
def ours() -> np.ndarray:
    from jaxlr import tasks

    run = experiment(tasks.blobs(), optimizers.sgd, epochs=EPOCHS)
    ds = sweep(run, grid(learning_rate=RATES), seeds=1, devices=1)
    return ds["val_accuracy"].isel(seed=0, epoch=-1).values


@pytest.mark.parametrize("rival", bench.installed(), ids=lambda rival: rival.name)
@pytest.mark.filterwarnings("ignore")  # other libraries' own
def test_rivals_train_the_same(rival: bench.Rival, ours: np.ndarray) -> None:
    accuracy = rival.make(load(), EPOCHS)(RATES)
    assert accuracy.shape == RATES.shape
    assert accuracy[0] < accuracy.max(), "a rate of 1e-6 does not learn"
    assert accuracy.max() == pytest.approx(ours.max(), abs=0.04)


def test_the_rivals_of_a_bare_installation() -> None:
    assert {rival.package for rival in bench.installed()} >= {"flax", "sklearn"}


def test_arithmetic_is_that_of_the_network() -> None:
    multiplications = 2 * 50 + 50 * 3
    forward = 2 * 32 * multiplications
    # Backward: both weights' gradients, and the hidden layer's; the inputs need none.
    backward = forward + 2 * 32 * 50 * 3
    assert pytest.approx(forward + backward, rel=0.15) == bench.FLOPS_UPDATE
    assert pytest.approx(2 * 500 * multiplications, rel=0.01) == bench.FLOPS_EVALUATION


def test_run_times_pairs() -> None:
    chosen = [rival for rival in bench.installed() if "compiled once" in rival.name]
    said: list[str] = []
    result = bench.run([1, 3], chosen, epochs=1, repeats=2, report=said.append)
    assert [row["settings"] for row in result["scaling"]] == [1, 3]
    for row in result["scaling"]:
        assert row["settings_per_second"] == pytest.approx(1e3 / row["ms_per_setting"])
        work = 16 * bench.FLOPS_UPDATE + bench.FLOPS_EVALUATION
        share = work * row["settings_per_second"] / (1e9 * result["matmul_gflops"])
        assert row["share_of_matmul"] == pytest.approx(share)
    (row,) = result["rivals"]
    assert row["ratio"]["low"] <= row["ratio"]["median"] <= row["ratio"]["high"]
    assert row["ratio"]["median"] > 0
    assert chosen[0].name in said
    text = bench.table(json.loads(json.dumps(result)))
    assert chosen[0].name in text
    assert "| 3 |" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"settings": []}, "settings must hold at least one"),
        ({"settings": [0]}, "settings must be an integer of at least 1, got 0"),
        ({"settings": [1], "repeats": 0}, "repeats must be an integer of at least 1, got 0"),
    ],
)
def test_bad_input(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bench.run(rivals=[], **arguments)


def jaxlr(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "jaxlr", "bench", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command_writes_numbers_table_and_figure(tmp_path: Path) -> None:
    options = ["--settings", "1,2", "--rivals", "none", "--epochs", "1", "--repeats", "1"]
    done = jaxlr(*options, "--out", tmp_path / "b.json")
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "b.json").read_text())
    assert len(result["scaling"]) == 2
    assert (tmp_path / "b.md").read_text().strip() in done.stdout
    assert (tmp_path / "b.png").stat().st_size > 1000
    again = jaxlr(*options, "--out", tmp_path / "b.json")
    assert again.returncode == 2
    assert "--force" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--rivals", "fortran"], ["--rivals must be all, none or words of", "fortran"]),
        (["--settings", "many"], ["--settings must be integers", "many"]),
        (["--out", "b.txt"], ["--out must be a file *.json", "b.txt"]),
    ],
)
def test_bad_options_are_one_line(arguments: list[str], words: list[str]) -> None:
    done = jaxlr(*arguments)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert all(word in done.stderr for word in words)
