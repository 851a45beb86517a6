"""The command line as a user meets it: exit codes, one-line errors, nothing overwritten."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def jaxlr(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "jaxlr", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("arguments", [["--help"], ["study", "--help"]])
def test_help_loads_no_jax(arguments: list[str]) -> None:
    code = """
import sys
sys.argv[0] = "jaxlr"
from jaxlr.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code and "jax" not in sys.modules and "numpy" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Usage: jaxlr" in done.stdout


def test_study_writes_and_prints_its_paths(tmp_path: Path) -> None:
    done = jaxlr("study", "momentum", "--seeds", 2, "--epochs", 2, "--out", tmp_path / "new")
    assert done.returncode == 0, done.stderr
    *paths, seconds = done.stdout.splitlines()
    assert [Path(path).name for path in paths] == ["momentum.nc", "momentum.png", "summary.md"]
    assert all(Path(path).exists() for path in paths)
    assert "s compiling" in seconds
    assert "s training" in seconds
    assert "training:" in done.stderr


def test_nothing_is_overwritten_without_force(tmp_path: Path) -> None:
    assert jaxlr("study", "blobs", "--out", tmp_path, "--quiet").returncode == 0
    before = (tmp_path / "blobs.png").stat().st_mtime_ns
    again = jaxlr("study", "blobs", "--out", tmp_path, "--quiet")
    assert again.returncode == 2
    assert "--force" in again.stderr
    assert (tmp_path / "blobs.png").stat().st_mtime_ns == before
    assert jaxlr("study", "blobs", "--out", tmp_path, "--quiet", "--force").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["study", "tutorial"], ["study must be one of all, blobs", "got 'tutorial'"]),
        (["study", "blobs", "--seeds", "0"], ["--seeds", "0"]),
        (["study", "all", "--seeds", "0"], ["--seeds", "0"]),  # the process that draws has begun
        (["study", "blobs", "--epochs", "0"], ["--epochs", "0"]),
        (["study", "blobs", "--seeds", "many"], ["--seeds", "many"]),
        (["study", "blobs", "--colour", "red"], ["--colour"]),
        (["study", "blobs", "--out", "/dev/null"], ["--out", "/dev/null"]),
        (["study", "blobs", "--out", "/dev/null/inside"], ["--out", "/dev/null/inside"]),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments: list[str], words: list[str]) -> None:
    done = jaxlr(*arguments)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stderr.startswith("jaxlr: ")
    for word in words:
        assert word in done.stderr
    assert done.stdout == ""
