"""`jaxlr find`: what it prints and writes, and one line for every bad input."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from jaxlr import cli, load
from tests.counting import compiled_programs

SMALL = ("--steps", 30, "--seeds", 2, "--no-cache")


@pytest.fixture
def find(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """`jaxlr find` in this process: its exit code and the lines on stdout and stderr."""

    def run(*arguments: object) -> tuple[int, list[str], list[str]]:
        monkeypatch.setattr(sys, "argv", ["jaxlr", "find", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        out, err = capsys.readouterr()
        return int(end.value.code or 0), out.splitlines(), err.splitlines()

    return run


def test_a_recommendation_with_its_files(find, tmp_path: Path) -> None:
    out = tmp_path / "new" / "find.nc"
    arguments = ("--data", "iris", "--model", "8", "--momentum", 0.9, *SMALL, "--out", out)
    code, lines, _ = find(*arguments)
    assert code == 0
    assert lines[0].startswith("recommended  0.")
    assert lines[1].startswith("largest stable rate, 2 (1 + momentum) / sharpness: ")
    assert sum(line.strip().startswith("fastai valley") for line in lines) == 1
    assert lines[-2:] == [str(out), str(out.with_suffix(".png"))]
    assert out.with_suffix(".png").stat().st_size > 20_000
    ds = load(out)
    assert f"{ds.attrs['recommendation']:.2g}" == lines[0].split()[1].rstrip(",")
    assert dict(ds["eval_loss"].sizes) == {"seed": 2, "step": 30}
    assert ds.attrs["command"].startswith("jaxlr find --data iris")
    code, _, errors = find(*arguments)
    assert code == 2
    assert "--force" in errors[0]


def test_no_recommendation_is_said(find, tmp_path: Path) -> None:
    """Inputs that are all the same: the mean of the targets, zero, is all there is to learn, and known."""
    np.savez(tmp_path / "flat.npz", x=np.ones((40, 2)), y=np.linspace(0, 1, 40))
    code, lines, _ = find("--data", tmp_path / "flat.npz", "--optimizer", "adam", *SMALL)
    assert code == 0
    assert lines[0].startswith("no recommendation: the loss ")
    assert not any("stable rate" in line for line in lines)
    assert list(tmp_path.iterdir()) == [tmp_path / "flat.npz"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--data", "mnist"), "data must be one of blobs"),
        (("--model", "0"), "--model must be the units"),
        (("--optimizer", "lion"), "--optimizer must be one of"),
        (("--optimizer", "adagrad", "--momentum", "0.9"), "an optimizer that has one, sgd or adam; got adagrad"),
        (("--momentum", "1.5"), "momentum must be between 0 and 1, got 1.5"),
        (("--steps", "1"), "--steps must be an integer of at least 2, got 1"),
        (("--seeds", "0"), "--seeds must be an integer of at least 1, got 0"),
        (("--batch-size", "0"), "--batch-size must be an integer of at least 1, got 0"),
        (("--out", "find.png"), "--out must be a file *.nc, got find.png"),
    ],
)
def test_bad_input_is_one_line_before_anything_is_compiled(find, arguments, words: str) -> None:
    with compiled_programs() as compiled:
        code, lines, errors = find("--no-cache", *arguments)
    assert (code, lines, len(errors)) == (2, [], 1)
    assert words in errors[0]
    assert not any("train" in name for name in compiled)
