"""`jaxlr diagnose`: what it prints and draws, and one line for bad input."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from jaxlr import cli, diagnose


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["jaxlr", "diagnose", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return int(end.value.code or 0)


@pytest.fixture
def curve(tmp_path: Path) -> Path:
    path = tmp_path / "metrics.csv"
    rows = [f"{i},{2.3 - 0.01 * i},{2.4 - 0.01 * i},0.001" for i in range(1, 61)]
    path.write_text("\n".join(["epoch,train_loss,val_loss,lr-SGD", *rows]) + "\n")
    return path


def test_prints_the_diagnosis_and_draws(monkeypatch, capsys, tmp_path: Path, curve: Path) -> None:
    figure = tmp_path / "figure.png"
    assert run(monkeypatch, curve, "--out", figure) == 0
    verdict, confidence, evidence, remedy, path = capsys.readouterr().out.splitlines()
    losses = 2.3 - 0.01 * np.arange(1, 61)
    found = diagnose(losses, val_losses=losses + 0.1, lr=[0.001] * 60)
    assert verdict.split() == ["verdict", found.verdict]
    assert confidence.split() == ["confidence", f"{found.confidence:.0%}"]
    assert evidence.endswith(found.evidence)
    assert remedy.endswith(found.remedy)
    assert path == str(figure)
    assert figure.stat().st_size > 5000


def test_nothing_is_overwritten_without_force(monkeypatch, capsys, tmp_path: Path, curve: Path) -> None:
    figure = tmp_path / "figure.png"
    figure.write_text("kept")
    assert run(monkeypatch, curve, "--out", figure) == 2
    assert "--force" in capsys.readouterr().err
    assert figure.read_text() == "kept"
    assert run(monkeypatch, curve, "--out", figure, "--force") == 0


@pytest.mark.parametrize(("text", "words"), [("accuracy\n0.1\n0.2\n", "column loss"), ("loss\n1\nx\n", "got 'x'")])
def test_bad_files_are_one_line(monkeypatch, capsys, tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    assert run(monkeypatch, path) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("jaxlr: ")
    assert len(err.splitlines()) == 1
    assert words in err


def test_a_missing_file(monkeypatch, capsys, tmp_path: Path) -> None:
    assert run(monkeypatch, tmp_path / "none.csv") == 2
    assert "must be a file that exists" in capsys.readouterr().err
