"""`jaxlr sweep` and `jaxlr schedule`: what they print and write, and one line for every bad input."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from jaxlr import cli, load, schedules
from tests.counting import compiled_programs


class Done(NamedTuple):
    code: int
    out: list[str]
    err: list[str]


@pytest.fixture
def jaxlr(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """The command line in this process."""

    def run(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["jaxlr", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        out, err = capsys.readouterr()
        return Done(int(end.value.code or 0), out.splitlines(), err.splitlines())

    return run


SMALL = ("--seeds", 2, "--epochs", 2, "--quiet")


def test_the_line_of_the_readme_in_a_fresh_process(tmp_path: Path) -> None:
    line = ["sweep", "--data", "iris", "--model", "8,8", "--optimizer", "adam", "--lr", "1e-4:1:5:log"]
    line += ["--momentum", "0,0.9", "--schedule", "cosine_decay({lr}, 2000)", "--seeds", "2", "--epochs", "3"]
    command = [sys.executable, "-m", "jaxlr", *line, "--out", str(tmp_path / "run.nc")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    head, *rows, best, data, figure = done.stdout.splitlines()
    assert " ".join(head.split()) == "learning rate beta 1 test loss test accuracy train loss diverged"
    assert len(rows) == 10
    assert best.startswith("best by test loss: optimizer=adam, learning_rate=")
    assert (data, figure) == (str(tmp_path / "run.nc"), str(tmp_path / "run.png"))
    assert Path(figure).stat().st_size > 5000
    ds = load(data)
    assert ds["learning_rate"].values.tolist() == [1e-4, 1e-3, 1e-2, 0.1, 1.0]
    assert ds["beta_1"].values.tolist() == [0, 0.9]
    assert ds.attrs["command"].startswith("jaxlr sweep --data iris")
    assert ds.attrs["schedule"] == "cosine_decay({lr}, 2000)"
    steps = 3 * -(-120 // 32)
    for rate in (1e-4, 1.0):
        expected = schedules.cosine_decay(rate, 2000)(steps - 1)
        np.testing.assert_allclose(ds["rate"].sel(learning_rate=rate).isel(epoch=-1), expected, rtol=1e-6)


@pytest.mark.parametrize("arguments", [["sweep", "--help"], ["schedule", "--help"], ["schedule", "plot", "--help"]])
def test_help_loads_no_jax(arguments: list[str]) -> None:
    code = "import sys\nfrom jaxlr.cli import main\ntry:\n    main()\nexcept SystemExit as end:\n    "
    code += "assert not end.code and 'jax' not in sys.modules and 'numpy' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Usage:" in done.stdout


def test_plain_rates_and_momenta(jaxlr, tmp_path: Path) -> None:
    out = tmp_path / "new" / "run.nc"
    done = jaxlr("sweep", "--data", "blobs", "--lr", "0.1,0.01,50", "--momentum", "0,0.9", *SMALL, "--out", out)
    assert done.code == 0
    ds = load(out)
    assert dict(ds.sizes) == {"learning_rate": 3, "momentum": 2, "seed": 2, "epoch": 2}
    assert ds["optimizer"].item() == "sgd"
    assert done.out[-2:] == [str(out), str(out.with_suffix(".png"))]
    assert "momentum=" in done.out[-3]


def test_a_file_of_numbers_is_a_regression(jaxlr, tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(60, 3))
    np.savetxt(tmp_path / "a.csv", np.c_[x, x @ [1.0, 2.0, 3.0]], delimiter=",", header="a,b,c,target", comments="")
    done = jaxlr("sweep", "--data", tmp_path / "a.csv", "--lr", "0.1,0.01", *SMALL, "--out", tmp_path / "run.nc")
    assert done.code == 0
    assert "accuracy" not in done.out[0]
    assert "accuracy" not in load(tmp_path / "run.nc")


def test_a_fixed_schedule_is_one_setting_without_a_figure(jaxlr, tmp_path: Path) -> None:
    text = "linear(0.1, 100)"
    done = jaxlr("sweep", "--data", "iris", "--schedule", text, *SMALL, "--out", tmp_path / "run.nc")
    assert done.code == 0
    assert done.out[-1] == str(tmp_path / "run.nc")
    assert not (tmp_path / "run.png").exists()
    assert load(tmp_path / "run.nc")["schedule"].values.tolist() == [text]


def test_settings_that_all_diverge_are_written_and_said(jaxlr, tmp_path: Path) -> None:
    arguments = ("--data", "diabetes", "--lr", "1e8,1e9", "--seeds", 2, "--epochs", 3, "--quiet")
    done = jaxlr("sweep", *arguments, "--out", tmp_path / "run.nc")
    assert done.code == 0
    assert "no setting has a finite val_loss for every seed: 4 diverged" in done.out
    assert (load(tmp_path / "run.nc")["status"] == "diverged").all()


def test_long_tables_show_the_best(jaxlr, tmp_path: Path) -> None:
    arguments = ("--data", "iris", "--lr", "1e-4:1:61:log", "--seeds", 1, "--epochs", 1, "--quiet")
    done = jaxlr("sweep", *arguments, "--out", tmp_path / "run.nc")
    assert f"the 20 best of 61 settings; all are in {tmp_path / 'run.nc'}" in done.out
    losses = [float(row.split()[1]) for row in done.out[1:21]]
    assert losses == sorted(losses)
    assert losses[0] == pytest.approx(float(load(tmp_path / "run.nc")["val_loss"].min()), rel=1e-3)


def test_nothing_is_overwritten_without_force(jaxlr, tmp_path: Path) -> None:
    (tmp_path / "run.png").write_text("mine")
    arguments = ("sweep", "--data", "iris", "--lr", "0.1,0.01", *SMALL, "--out", tmp_path / "run.nc")
    done = jaxlr(*arguments)
    assert done.code == 2
    assert "--force" in done.err[0]
    assert (tmp_path / "run.png").read_text() == "mine"
    assert not (tmp_path / "run.nc").exists()
    assert jaxlr(*arguments, "--force").code == 0
    assert (tmp_path / "run.png").stat().st_size > 5000


FORMS = "--lr must be a number, a list such as 0.1,0.01 or a range such as 1e-4:1:25:log"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--lr", "fast"), FORMS),
        (("--lr", "1e-4:1:25"), FORMS),
        (("--lr", "1e-4:1:25:cubic"), "the spacing must be log or lin, got 'cubic'"),
        (("--lr", "1e-4:1:1:log"), "the range must have at least 2 values, got 1"),
        (("--lr", "0:1:5:log"), "low must be positive"),
        (("--lr", "0.1,,0.2"), FORMS),
        (("--lr", "0.1,0.1"), "learning_rate must hold different values"),
        (("--lr", "0.1,-0.1"), "--lr must hold positive rates, got -0.1"),
        (("--lr", "nan"), "--lr must hold positive rates|learning_rate must be finite"),
        (("--momentum", "0:a:3:lin"), "--momentum must be a number"),
        (("--momentum", "1.5"), "momentum must be between 0 and 1, got 1.5"),
        (("--optimizer", "adagrad", "--momentum", "0.9"), "an optimizer that has one, sgd or adam; got adagrad"),
        (("--optimizer", "lion"), "--optimizer must be one of adadelta, adagrad, adam, rmsprop, sgd; got 'lion'"),
        (("--schedule", "sinus({lr}, 10)"), "'sinus' is no schedule"),
        (("--schedule", "linear({lr}, 0.5, 3, 4, 5)"), "linear"),
        (("--schedule", "linear({lr}"), "text must be a schedule"),
        (("--schedule", "linear(0.1, 10)", "--lr", "0.1"), "--schedule must contain {lr} where --lr is given"),
        (("--model", "50,x"), "--model must be the units of the hidden layers, such as 50,50; got '50,x'"),
        (("--model", "0"), "--model must be the units"),
        (("--data", "mnist"), "data must be one of blobs"),
        (("--data", "none.csv"), "data must be a file that exists, got none.csv"),
        (("--seeds", "0"), "--seeds must be an integer of at least 1, got 0"),
        (("--epochs", "0"), "--epochs must be an integer of at least 1, got 0"),
        (("--batch-size", "0"), "--batch-size must be an integer of at least 1, got 0"),
        (("--epochs", "ten"), "--epochs"),
        (("--out", "run.png"), "--out must be a file *.nc, got run.png"),
        (("--out", "/dev/null/run.nc"), "/dev/null"),
    ],
)
def test_bad_input_is_one_line_before_anything_is_compiled(jaxlr, tmp_path: Path, arguments, words: str) -> None:
    with compiled_programs() as compiled:
        done = jaxlr("sweep", "--out", tmp_path / "run.nc", *arguments)
    assert done.code == 2
    assert done.out == []
    assert len(done.err) == 1
    assert done.err[0].startswith("jaxlr: ")
    assert any(word in done.err[0] for word in words.split("|"))
    assert not any("advance" in name or "start" in name for name in compiled)
    assert list(tmp_path.iterdir()) == []


def test_schedule_plot(jaxlr, tmp_path: Path) -> None:
    texts = ["cosine_decay(0.1, 1000)", "warmup(linear(0.1, 1000), 50)"]
    out = tmp_path / "new" / "f.png"
    done = jaxlr("schedule", "plot", *texts, "--steps", 1000, "--out", out)
    assert (done.code, done.out) == (0, [str(out)])
    assert out.read_bytes().startswith(b"\x89PNG")
    assert jaxlr("schedule", "plot", *texts, "--steps", 1000, "--out", out).code == 2
    assert jaxlr("schedule", "plot", *texts, "--steps", 1000, "--out", out, "--force").code == 0


def test_schedule_table(jaxlr) -> None:
    done = jaxlr("schedule", "table", "linear(1.0, 1000)", "constant(0.5)", "--steps", 1001)
    head, *rows = [line.split("\t") for line in done.out]
    assert head == ["step", "linear(1.0, 1000)", "constant(0.5)"]
    assert len(rows) == 21
    assert rows[0] == ["0", "1", "0.5"]
    assert rows[1] == ["50", "0.95", "0.5"]
    assert rows[-1] == ["1000", "0", "0.5"]
    assert jaxlr("schedule", "table", "linear(1.0, 4)", "--steps", 3).out[1:] == ["0\t1", "1\t0.75", "2\t0.5"]


def test_schedule_review(jaxlr) -> None:
    done = jaxlr("schedule", "review", "linear(0.5, 100, end_value=0.1)", "--steps", 100)
    assert done.code == 0
    assert "look  start: starts at 0.5; for plain SGD 0.001 to 0.01 is a good start" in done.out
    assert {line.split()[0] for line in done.out} <= {"ok", "look"}
    fine = jaxlr("schedule", "review", "linear(0.5, 100)", "--steps", 100, "--fine-tuning")
    assert any(line.startswith("look  fine-tuning: goes up to 0.5") for line in fine.out)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("table", "linear(0.1, 10)", "--steps", "0"), "--steps must be an integer of at least 1, got 0"),
        (("table", "linear(0.1, 10)"), "--steps"),
        (("table", "__import__('os')", "--steps", "5"), "'__import__' is no schedule"),
        (("plot", "linear(0.1, 10)", "--steps", "-1"), "--steps"),
        (("review", "linear(", "--steps", "5"), "text must be a schedule"),
        (("draw", "linear(0.1, 10)"), "draw"),
    ],
)
def test_bad_schedules_are_one_line(jaxlr, arguments: tuple[str, ...], words: str) -> None:
    done = jaxlr("schedule", *arguments)
    assert done.code == 2
    assert done.out == []
    assert len(done.err) == 1
    assert words in done.err[0]
