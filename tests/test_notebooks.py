"""The notebooks' texts and their rendered forms: in step, small, and free of this machine. CI executes them."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "notebooks"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))

MOST_BYTES = 400_000

PATHS = re.compile(r"/(?:home|root|tmp|usr|opt|work|Users)/\w")
"""Folders of the machine that rendered a notebook."""


def cells_of_text(text: str) -> list[tuple[str, str]]:
    """Kind and source of every cell of a text in jupytext's percent form."""
    body = text.split("# ---\n", 2)[2]
    cells = []
    for part in re.split(r"^# %%", body, flags=re.MULTILINE)[1:]:
        head, _, source = part.partition("\n")
        if "[markdown]" in head:
            lines = [re.sub(r"^# ?", "", line) for line in source.strip("\n").splitlines()]
            cells.append(("markdown", "\n".join(lines)))
        else:
            cells.append(("code", re.sub(r"^# (%\w)", r"\1", source.strip("\n"), flags=re.MULTILINE)))
    return cells


def cells_of_notebook(notebook: dict[str, Any]) -> list[tuple[str, str]]:
    return [(cell["cell_type"], "".join(cell["source"]).strip("\n")) for cell in notebook["cells"]]


def rendered(name: str) -> dict[str, Any]:
    return json.loads((FOLDER / f"{name}.ipynb").read_text(encoding="utf-8"))


def words(notebook: dict[str, Any]) -> str:
    """All text of a rendered notebook, without its pictures."""
    parts = ["".join(cell["source"]) for cell in notebook["cells"]]
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            parts.append("".join(output.get("text", "")))
            data = output.get("data", {})
            parts += ["".join(value) for kind, value in data.items() if kind.startswith("text/")]
    return "\n".join(parts)


def test_the_seven_notebooks_are_there() -> None:
    assert [name[0] for name in NAMES] == list("1234567")


@pytest.mark.parametrize("name", NAMES)
def test_the_rendered_notebook_has_the_cells_of_the_text(name: str) -> None:
    assert cells_of_notebook(rendered(name)) == cells_of_text((FOLDER / f"{name}.py").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", NAMES)
def test_the_rendered_notebook_was_run_from_clean_and_has_pictures(name: str) -> None:
    cells = [cell for cell in rendered(name)["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 1
    assert not any(output["output_type"] == "error" or output.get("name") == "stderr" for output in outputs)


@pytest.mark.parametrize("name", NAMES)
def test_the_rendered_notebook_is_small(name: str) -> None:
    assert (FOLDER / f"{name}.ipynb").stat().st_size < MOST_BYTES


@pytest.mark.parametrize("name", NAMES)
def test_nothing_tells_of_the_machine(name: str) -> None:
    assert not PATHS.search(words(rendered(name)))


@pytest.mark.parametrize("name", NAMES)
def test_each_teaches_with_exercises_solutions_and_pitfalls(name: str) -> None:
    text = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    assert "# ## Pitfalls" in text
    assert text.index("# ## Exercises") < text.index("# ### Solutions")
    ast.parse(text)


def test_the_guards_can_fail() -> None:
    text = "# ---\n# jupyter:\n# ---\n\n# %% [markdown]\n# Words\n\n# %%\n# %matplotlib inline\nx = 1\n"
    assert cells_of_text(text) == [("markdown", "Words"), ("code", "%matplotlib inline\nx = 1")]
    other = {"cells": [{"cell_type": "code", "source": ["x = 2"], "outputs": [{"text": ["in /home/me/x.py"]}]}]}
    assert cells_of_notebook(other) != cells_of_text(text)
    assert PATHS.search(words(other))


def test_the_run_in_ci_can_fail(tmp_path: Path) -> None:
    if importlib.util.find_spec("jupytext") is None or importlib.util.find_spec("nbclient") is None:
        pytest.skip("needs the extra `notebooks`")
    sources = {"warns": "import warnings\n\nwarnings.warn('look')", "fails": "1 / 0", "works": "print(1)"}
    for name, source in sources.items():
        (tmp_path / f"{name}.py").write_text(f"# %%\n{source}\n", encoding="utf-8")
    code = (
        "import sys\nfrom pathlib import Path\nfrom scripts.run_notebooks import run\n"
        "for name in ('warns', 'fails', 'works'):\n    path = Path(sys.argv[1]) / f'{name}.py'\n"
        "    print(name, [line.split(chr(10))[0] for line in run(path, write=True)])\n"
        "path.write_text('# %%\\nprint(2)\\n')\nprint('changed', run(path))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    warned, failed, worked, changed = done.stdout.splitlines()
    assert "wrote to stderr" in warned
    assert "a cell failed" in failed
    assert worked == "works []"
    assert "other cells than the text" in changed
