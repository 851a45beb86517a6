"""The command line's compilation cache and its profile, each in a process of its own."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support import command

QUICK = ("sweep", "--data", "blobs", "--lr", "0.1,0.01", "--epochs", "1", "--seeds", "1", "--quiet")


def jaxlr(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    own = {"JAX_COMPILATION_CACHE_DIR": None, **environment}
    return command.jaxlr(*QUICK, "--out", folder / "run.nc", "--force", *arguments, **own)


def programs(folder: Path) -> set[str]:
    """The programs that a cache folder holds; JAX also keeps when each was last read."""
    return {path.name for path in folder.rglob("*-cache")}


@pytest.mark.slow
def test_the_second_run_finds_its_programs(tmp_path: Path) -> None:
    home = tmp_path / "home"
    first = jaxlr(tmp_path, XDG_CACHE_HOME=str(home))
    assert first.returncode == 0, first.stderr
    kept = programs(home / "jaxlr")
    assert any("advance" in name for name in kept)
    second = jaxlr(tmp_path, XDG_CACHE_HOME=str(home), JAX_LOGGING_LEVEL="DEBUG")
    assert second.returncode == 0, second.stderr
    assert "Persistent compilation cache hit for 'jit_advance'" in second.stderr, second.stderr[-2000:]
    # A busy machine may add a small program, which it compiled too fast to be kept before.
    assert {name for name in programs(home / "jaxlr") if "advance" in name} == {
        name for name in kept if "advance" in name
    }


@pytest.mark.slow
def test_no_cache_keeps_nothing(tmp_path: Path) -> None:
    done = jaxlr(tmp_path, "--no-cache", XDG_CACHE_HOME=str(tmp_path / "home"))
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "home" / "jaxlr").exists()


@pytest.mark.slow
def test_the_users_own_folder_is_taken(tmp_path: Path) -> None:
    own = tmp_path / "own"
    done = jaxlr(tmp_path, XDG_CACHE_HOME=str(tmp_path / "home"), JAX_COMPILATION_CACHE_DIR=str(own))
    assert done.returncode == 0, done.stderr
    assert programs(own)
    assert not (tmp_path / "home" / "jaxlr").exists()


@pytest.mark.slow
def test_a_cache_that_cannot_be_made_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = jaxlr(tmp_path, XDG_CACHE_HOME=str(tmp_path / "file"))
    assert done.returncode == 0, done.stderr
    assert "compiled programs are not kept" in done.stderr


@pytest.mark.slow
def test_the_profile_adds_up(tmp_path: Path) -> None:
    done = jaxlr(tmp_path, "--profile", XDG_CACHE_HOME=str(tmp_path / "home"))
    assert done.returncode == 0, done.stderr
    rows = [line.rsplit(maxsplit=2) for line in done.stdout.splitlines() if line.endswith(" s")]
    seconds = {name.strip(): float(value) for name, value, _ in rows}
    *parts, total = seconds.values()
    assert {"tracing", "compiling", "training: devices", "training: host"} <= set(seconds)
    assert all(part >= 0 for part in parts)
    assert sum(parts) <= total + 0.05
    assert sum(parts) >= 0.8 * total


def test_importing_jaxlr_sets_no_cache() -> None:
    code = "import jax, jaxlr, jaxlr.engine; print(jax.config.jax_compilation_cache_dir)"
    assert command.python("-c", code, JAX_COMPILATION_CACHE_DIR=None).stdout.strip() == "None"
