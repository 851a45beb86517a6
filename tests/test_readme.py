"""The README's Python lines run as they stand, its commands are CI's, its links resolve."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import warnings
from pathlib import Path

import matplotlib as mpl
import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
NOTEBOOKS = list((ROOT / "notebooks").glob("*.py"))
PAGES = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "notebooks/coming_from.md", "notebooks/performance.md"]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_the_python_lines_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(blocks("python")) >= 4
    mpl.use("Agg")
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    with warnings.catch_warnings():
        # xarray's plotting opens pyplot figures, which a script would show.
        warnings.simplefilter("ignore", ResourceWarning)
        for block in blocks("python"):
            exec(compile(block, "README.md", "exec"), names)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["map.png", "rates.png"]
    assert names["ds"]["val_accuracy"].sizes == {"learning_rate": 8, "momentum": 4, "seed": 10, "epoch": 20}
    # What the text says of the first example.
    assert names["found"].low < 0.01 < names["found"].high


COMMANDS = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("jaxlr ")]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_run(command: str, tmp_path: Path) -> None:
    rows = [f"{epoch},{2.3 * 0.97**epoch + 0.2}" for epoch in range(1, 101)]
    (tmp_path / "curve.csv").write_text("\n".join(["epoch,loss", *rows]))
    words = [sys.executable, "-m", *shlex.split(command)]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout
    for file in re.findall(r"--out (\S+)", command):
        assert (tmp_path / file).exists()


def test_the_commands_are_the_ones_that_ci_runs() -> None:
    commands = " ".join(blocks("sh"))
    ci = (ROOT / ".ci" / "run").read_text()
    assert "pip install . && jaxlr study all" in commands
    assert "pip install '.[test]' && pytest" in commands
    assert "jaxlr study all" in ci
    assert "python -m scripts.run_notebooks" in README
    assert "python -m scripts.run_notebooks" in ci
    # The same tests, in several processes.
    *_, last = ci.rstrip().splitlines()
    assert last.split()[:2] == ["pytest", "-n"]
    assert not {"-m", "-k", "--ignore", "--deselect"} & set(last.split())
    assert last in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def anchors(text: str) -> set[str]:
    """The headings as a code host names them."""
    headings = [line.lstrip("# ") for line in text.splitlines() if line.startswith("#")]
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def broken_links(text: str, folder: Path) -> list[str]:
    """Relative links and figures that lead nowhere; headings of the text itself count."""
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    local = [link for link in links if not re.match(r"[a-z]+:", link)]
    return [
        link
        for link in local
        if (link[1:] not in anchors(text) if link.startswith("#") else not (folder / link.split("#")[0]).exists())
    ]


@pytest.mark.parametrize("page", [*PAGES, *sorted(f"notebooks/{p.name}" for p in NOTEBOOKS)])
def test_links_and_figures_resolve(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    if page.endswith(".py"):
        text = "\n".join(line for line in text.splitlines() if line.startswith("# "))
    assert broken_links(text, (ROOT / page).parent) == []


def test_the_guard_of_links_can_fail() -> None:
    text = "# Here\n[a](README.md) [b](missing.md) ![c](notebooks/none.png) [d](#here) [e](#there) [f](https://x.org)"
    assert broken_links(text, ROOT) == ["missing.md", "notebooks/none.png", "#there"]


def test_the_count_of_schedules() -> None:
    from jaxlr.schedules._schedule import CATALOGUE

    row = next(line for line in README.splitlines() if line.startswith("| schedules, with"))
    assert row.split("|")[2].strip() == str(len(CATALOGUE))


def test_the_notebooks_that_it_names_are_those_that_there_are() -> None:
    assert sorted(re.findall(r"\(notebooks/(\w+)\.ipynb\)", README)) == sorted(path.stem for path in NOTEBOOKS)
