"""What every command promises: help without JAX, one line for bad input, nothing overwritten unless told so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

from jaxlr import cli
from tests.support import command
from tests.support.counting import compiled_programs


def leaves(group: Any, *before: str) -> Iterator[str]:
    """The commands below a group, as they are typed."""
    for name, one in group.commands.items():
        if hasattr(one, "commands"):
            yield from leaves(one, *before, name)
        else:
            yield " ".join((*before, name))


COMMANDS = sorted(leaves(typer.main.get_command(cli.app)))

HELP = """
import importlib.abc, sys

class Refused(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {heavy}:
            raise AssertionError(f"imports {{name}}")

sys.meta_path.insert(0, Refused())
from jaxlr.cli import main

for line in sys.stdin.read().splitlines():
    sys.argv = ["jaxlr", *line.split()]
    try:
        main()
    except SystemExit as end:
        assert not end.code, (line, end.code)
"""


def helped(lines: list[str], *heavy: str) -> tuple[int, str, str]:
    """Every line as a command in one fresh process that cannot import certain packages."""
    done = command.python("-c", HELP.format(heavy=heavy), stdin="\n".join(lines))
    return done.returncode, done.stdout, done.stderr


def test_help_loads_no_jax() -> None:
    lines = ["--help", "schedule --help", "--version", *(f"{name} --help" for name in COMMANDS)]
    code, out, err = helped(lines, "jax", "numpy", "matplotlib", "xarray", "pandas")
    assert code == 0, err
    for name in COMMANDS:
        assert f"Usage: jaxlr {name} [OPTIONS]" in out


def test_the_guard_of_help_can_fail() -> None:
    code, _, err = helped(["--help"], "typer")
    assert code != 0
    assert "imports typer" in err


LR = "--lr must be a number, a list such as 0.1,0.01 or a range such as 1e-4:1:25:log"
SWEEP: list[tuple[tuple[str, ...], tuple[str, ...]]] = [
    (("--lr", "fast"), (LR,)),
    (("--lr", "1e-4:1:25"), (LR,)),
    (("--lr", "1e-4:1:25:cubic"), ("the spacing must be log or lin, got 'cubic'",)),
    (("--lr", "1e-4:1:1:log"), ("the range must have at least 2 values, got 1",)),
    (("--lr", "0:1:5:log"), ("low must be positive",)),
    (("--lr", "0.1,,0.2"), (LR,)),
    (("--lr", "0.1,0.1"), ("learning_rate must hold different values",)),
    (("--lr", "0.1,-0.1"), ("--lr must hold positive rates, got -0.1",)),
    (("--lr", "nan"), ("learning_rate must be finite",)),
    (("--momentum", "0:a:3:lin"), ("--momentum must be a number",)),
    (("--momentum", "1.5"), ("momentum must be between 0 and 1, got 1.5",)),
    (("--optimizer", "adagrad", "--momentum", "0.9"), ("that has one, such as sgd or adam; got adagrad",)),
    (("--optimizer", "nadamax"), ("optimizer must be one of acprop, adabelief,", "keras:sgd,", "got 'nadamax'")),
    (("--optimizer", "adamw(decay=0.1)"), ("adamw must get arguments among learning_rate, b1, b2,", "got decay")),
    (("--optimizer", "adamw(0.1"), ("optimizer must be a name such as 'adamw(weight_decay=0.1)'",)),
    (("--schedule", "sinus({lr}, 10)"), ("'sinus' is no schedule",)),
    (("--schedule", "linear({lr}, 0.5, 3, 4, 5)"), ("linear",)),
    (("--schedule", "linear({lr}"), ("text must be a schedule",)),
    (("--schedule", "linear(0.1, 10)", "--lr", "0.1"), ("--schedule must contain {lr} where --lr is given",)),
    (("--model", "50,x"), ("--model must be the units of the hidden layers, such as 50,50; got '50,x'",)),
    (("--model", "0"), ("--model must be the units",)),
    (("--data", "mnist"), ("data must be one of blobs",)),
    (("--data", "none.csv"), ("data must be a file that exists, got none.csv",)),
    (("--seeds", "0"), ("--seeds must be an integer of at least 1, got 0",)),
    (("--epochs", "0"), ("--epochs must be an integer of at least 1, got 0",)),
    (("--batch-size", "0"), ("--batch-size must be an integer of at least 1, got 0",)),
    (("--epochs", "ten"), ("--epochs", "ten")),
    (("--out", "run.png"), ("--out must be a file *.nc, got run.png",)),
    (("--out", "/dev/null/run.nc"), ("/dev/null",)),
]
FIND: list[tuple[tuple[str, ...], tuple[str, ...]]] = [
    (("--data", "mnist"), ("data must be one of blobs",)),
    (("--model", "0"), ("--model must be the units",)),
    (("--optimizer", "nadamax"), ("optimizer must be one of",)),
    (("--optimizer", "adagrad", "--momentum", "0.9"), ("that has one, such as sgd or adam; got adagrad",)),
    (("--momentum", "1.5"), ("momentum must be between 0 and 1, got 1.5",)),
    (("--steps", "1"), ("--steps must be an integer of at least 2, got 1",)),
    (("--seeds", "0"), ("--seeds must be an integer of at least 1, got 0",)),
    (("--batch-size", "0"), ("--batch-size must be an integer of at least 1, got 0",)),
    (("--out", "find.png"), ("--out must be a file *.nc, got find.png",)),
]
STUDY: list[tuple[tuple[str, ...], tuple[str, ...]]] = [
    (("tutorial",), ("study must be one of all, blobs", "got 'tutorial'")),
    (("blobs", "--seeds", "0"), ("--seeds", "0")),
    (("blobs", "--epochs", "0"), ("--epochs", "0")),
    (("blobs", "--seeds", "many"), ("--seeds", "many")),
    (("blobs", "--colour", "red"), ("--colour",)),
    (("blobs", "--out", "/dev/null"), ("--out", "/dev/null")),
    (("blobs", "--out", "/dev/null/inside"), ("--out", "/dev/null/inside")),
]
BENCH: list[tuple[tuple[str, ...], tuple[str, ...]]] = [
    (("--settings", "many"), ("--settings must be integers", "many")),
    (("--settings", "0"), ("settings must be an integer of at least 1, got 0",)),
    (("--repeats", "0"), ("repeats must be an integer of at least 1, got 0",)),
    (("--out", "b.txt"), ("--out must be a file *.json", "b.txt")),
]
BAD = {
    "bench": BENCH,
    "diagnose": [
        (("none.csv",), ("must be a file that exists",)),
        (("accuracy.csv",), ("column loss",)),
        (("word.csv",), ("got 'x'",)),
    ],
    "find": FIND,
    "runs list": [(("none",), ("DIR must be a folder, got none",)), ((), ("DIR",))],
    "runs show": [(("none",), ("DIR must be a folder, got none",))],
    "runs verify": [(("none",), ("DIR must be a folder, got none",)), ((".", "--repair"), ("--repair",))],
    "schedule plot": [(("linear(0.1, 10)", "--steps", "-1"), ("--steps",))],
    "schedule review": [(("linear(", "--steps", "5"), ("text must be a schedule",))],
    "schedule table": [
        (("linear(0.1, 10)", "--steps", "0"), ("--steps must be an integer of at least 1, got 0",)),
        (("linear(0.1, 10)",), ("--steps",)),
        (("__import__('os')", "--steps", "5"), ("'__import__' is no schedule",)),
    ],
    "study": STUDY,
    "sweep": SWEEP,
}
"""Command -> arguments that it refuses, with words of the line that says why."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the command starts: some files that it may be given."""
    (tmp_path / "accuracy.csv").write_text("accuracy\n0.1\n0.2\n")
    (tmp_path / "word.csv").write_text("loss\n1\nx\n")
    rows = [f"{i},{2.3 - 0.01 * i},0.001" for i in range(1, 61)]
    (tmp_path / "curve.csv").write_text("\n".join(["epoch,train_loss,lr-SGD", *rows]) + "\n")
    np.savez(tmp_path / "line.npz", x=np.linspace(-1, 1, 40).reshape(20, 2), y=np.linspace(0, 1, 20))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_command_is_tried_with_bad_input() -> None:
    assert sorted(BAD) == COMMANDS


@pytest.mark.parametrize(
    ("name", "arguments", "words"), [(name, *case) for name, cases in BAD.items() for case in cases]
)
def test_bad_input_is_one_line_and_exit_code_2_before_anything_is_trained(
    jaxlr, folder: Path, name: str, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    before = sorted(folder.iterdir())
    with compiled_programs() as compiled:
        done = jaxlr(*name.split(), *arguments)
    assert done.code == 2
    assert done.out == []
    (line,) = done.err
    assert line.startswith("jaxlr: ")
    for word in words:
        assert word in line
    assert not {"start", "advance"} & set(compiled)
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "word"),
    [(("draw",), "draw"), (("schedule", "draw", "linear(0.1, 10)"), "draw"), (("--nothing",), "--nothing")],
)
def test_what_is_no_command_is_one_line(jaxlr, arguments: tuple[str, ...], word: str) -> None:
    done = jaxlr(*arguments)
    assert (done.code, done.out, len(done.err)) == (2, [], 1)
    assert word in done.err[0]


WRITES = {
    "bench": ("--settings 1 --epochs 1 --repeats 1 --out b.json", "b.json b.md b.png"),
    "diagnose": ("curve.csv --out f.png", "f.png"),
    "find": ("--data line.npz --model 2 --steps 12 --seeds 1 --out f.nc", "f.nc f.png"),
    "schedule plot": ("linear(0.1,10) --steps 10 --out f.png", "f.png"),
    "study": ("blobs --out . --quiet", "blobs.nc blobs.png summary.md"),
    "sweep": ("--data line.npz --model 2 --lr 0.1,0.01 --seeds 1 --epochs 1 --quiet --out r.nc", "r.nc r.png"),
}
"""Command -> arguments with which it writes, and the files."""


def test_every_command_that_writes_is_tried() -> None:
    told = {name for name in COMMANDS if "--force" in helped([f"{name} --help"])[1]}
    assert told == set(WRITES)


@pytest.mark.parametrize("name", WRITES)
def test_nothing_is_overwritten_without_force(jaxlr, folder: Path, name: str) -> None:
    arguments, files = (words.split() for words in WRITES[name])
    there = set(folder.iterdir())
    for file in files:
        (folder / file).write_text("mine")
        done = jaxlr(*name.split(), *arguments)
        assert (done.code, done.out, len(done.err)) == (2, [], 1)
        assert file in done.err[0]
        assert "--force" in done.err[0]
        assert (folder / file).read_text() == "mine"
        assert set(folder.iterdir()) - there == {folder / file}
        (folder / file).unlink()


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in ("bench", "find") else name for name in WRITES]
)
def test_force_replaces_the_files(jaxlr, folder: Path, name: str) -> None:
    arguments, files = (words.split() for words in WRITES[name])
    there = set(folder.iterdir())
    for file in files:
        (folder / file).write_text("mine")
    done = jaxlr(*name.split(), *arguments, "--force")
    assert done.code == 0, done.err
    assert {path.name for path in set(folder.iterdir()) - there} == set(files)
    for file in files:
        assert (folder / file).read_bytes() != b"mine"
