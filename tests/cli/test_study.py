"""`jaxlr study`: what it prints and writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import command


def test_study_writes_and_prints_its_paths(jaxlr, tmp_path: Path) -> None:
    done = jaxlr("study", "momentum", "--seeds", 2, "--epochs", 2, "--out", tmp_path / "new")
    assert done.code == 0, done.err
    *paths, seconds = done.out
    assert [Path(path).name for path in paths] == ["momentum.nc", "momentum.png", "summary.md"]
    for path in paths:
        assert Path(path).exists()
    assert "s compiling" in seconds
    assert "s training" in seconds
    assert any("training:" in line for line in done.err)


@pytest.mark.slow
def test_all_of_them_are_drawn_by_another_process(tmp_path: Path) -> None:
    done = command.jaxlr("study", "all", "--seeds", 2, "--epochs", 2, "--quiet", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    paths = [Path(path) for path in done.stdout.splitlines()]
    assert sorted(paths) == sorted(tmp_path.iterdir())
    assert {path.name for path in paths} >= {"blobs.png", "plateau_rate.png", "optimizers.nc", "summary.md"}


def test_bad_input_is_one_line_though_the_process_that_draws_has_begun() -> None:
    done = command.jaxlr("study", "all", "--seeds", "0")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == ["jaxlr: --seeds must be an integer of at least 1, got 0"]
