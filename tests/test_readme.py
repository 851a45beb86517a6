"""The README's Python lines run as they stand, its commands are CI's, its links resolve."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import matplotlib as mpl
import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_the_python_lines_run() -> None:
    assert len(blocks("python")) >= 4
    mpl.use("Agg")
    names: dict = {}
    with warnings.catch_warnings():
        # xarray's plotting opens pyplot figures, which a script would show.
        warnings.simplefilter("ignore", ResourceWarning)
        for block in blocks("python"):
            exec(compile(block, "README.md", "exec"), names)
    assert names["ds"]["val_accuracy"].sizes == {"learning_rate": 8, "momentum": 4, "seed": 10, "epoch": 20}


def test_the_commands_are_the_ones_that_ci_runs() -> None:
    commands = " ".join(blocks("sh"))
    ci = (ROOT / ".ci" / "run").read_text()
    assert "pip install . && jaxlr study all" in commands
    assert "pip install '.[test]' && pytest" in commands
    assert "jaxlr study all" in ci
    assert ci.rstrip().endswith("pytest")


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)]+)\)", README))
def test_links_resolve(link: str) -> None:
    if link.startswith("#"):
        headings = {
            re.sub(r"[^\w\- ]", "", line.lstrip("# ")).strip().lower().replace(" ", "-")
            for line in README.splitlines()
            if line.startswith("#")
        }
        assert link[1:] in headings
    else:
        assert (ROOT / link).exists()
