"""Run the notebooks from clean: `python -m scripts.run_notebooks [--write] [NAME ...]`, from the root.

Each `notebooks/<name>.py` (jupytext's percent form) is executed cell by cell in a kernel of its own. It fails on an
error, on anything that a cell writes to stderr (warnings go there), and on a rendered `<name>.ipynb` whose cells are
not those of the text. With `--write`, the rendered notebook is written anew.
"""

from __future__ import annotations

import argparse
import base64
import copy
import io
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from PIL import Image

FOLDER = Path(__file__).parent.parent / "notebooks"

_MOST_BYTES = 400_000
"""Largest rendered notebook: people read them on a code host."""

_SIZES = ((128, 740), (128, 600), (64, 600))
"""Colours and pixels across of the rendered figures: the first with which the notebook is small enough."""


def main(arguments: list[str]) -> int:
    """Run the notebooks that are named, or all; how many failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="such as 1_gradient_descent; all by default")
    parser.add_argument("--write", action="store_true", help="write the rendered notebooks anew")
    given = parser.parse_args(arguments)
    texts = [FOLDER / f"{name}.py" for name in given.names] or sorted(FOLDER.glob("*.py"))
    failed, began = 0, time.perf_counter()
    for text in texts:
        start = time.perf_counter()
        problems = run(text, write=given.write)
        failed += bool(problems)
        print(f"{text.stem}: {'; '.join(problems) or 'ok'} ({time.perf_counter() - start:.0f} s)", flush=True)
    print(f"{len(texts) - failed} of {len(texts)} notebooks passed in {time.perf_counter() - began:.0f} s")
    return failed


def run(text: Path, *, write: bool = False) -> list[str]:
    """What is wrong with a notebook, after executing it."""
    rendered = text.with_suffix(".ipynb")
    notebook = jupytext.read(text)
    problems = [] if write else out_of_step(notebook, rendered)
    try:
        with tempfile.TemporaryDirectory() as folder:
            NotebookClient(notebook, timeout=600, resources={"metadata": {"path": folder}}).execute()
    except CellExecutionError as error:
        return [*problems, f"a cell failed\n{error}"]
    problems += written_to_stderr(notebook)
    if write and not problems:
        rendered.write_text(smallest(notebook), encoding="utf-8")
    if rendered.exists() and rendered.stat().st_size > _MOST_BYTES:
        problems.append(f"the rendered notebook must be below {_MOST_BYTES} bytes, got {rendered.stat().st_size}")
    return problems


def out_of_step(notebook: Any, rendered: Path) -> list[str]:
    """Whether the rendered notebook has the text's cells, and an output where the last run left one."""
    if not rendered.exists():
        return [f"{rendered.name} is missing; run with --write"]
    there = nbformat.read(rendered, as_version=4)
    mine, theirs = ([(cell.cell_type, cell.source) for cell in one.cells] for one in (notebook, there))
    if mine != theirs:
        return [f"{rendered.name} has other cells than the text; run with --write"]
    if not any(cell.get("outputs") for cell in there.cells):
        return [f"{rendered.name} has no outputs; run with --write"]
    return []


def written_to_stderr(notebook: Any) -> list[str]:
    return [
        f"cell {i} wrote to stderr\n{output.text}"
        for i, cell in enumerate(notebook.cells)
        for output in cell.get("outputs", [])
        if output.output_type == "stream" and output.name == "stderr"
    ]


def smallest(notebook: Any) -> str:
    """The notebook as it is committed, its figures as large as fit."""
    for colors, width in _SIZES:
        text = nbformat.writes(lean(copy.deepcopy(notebook), colors, width)) + "\n"
        if len(text.encode()) < _MOST_BYTES:
            break
    return text


def lean(notebook: Any, colors: int, width: int) -> Any:
    """The notebook with small figures, and without what changes from run to run by itself."""
    notebook.metadata.pop("widgets", None)
    notebook.metadata["language_info"] = {"name": "python"}
    for i, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{i}"
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "image/png" in data:
                data["image/png"] = _smaller(data["image/png"], colors, width)
            if "image/png" in data or "image/gif" in data:
                data.pop("text/plain", None)
    return notebook


def _smaller(encoded: str, colors: int, width: int) -> str:
    picture = Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB")
    if picture.width > width:
        picture = picture.resize((width, round(picture.height * width / picture.width)), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    few = picture.quantize(colors, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    few.save(out, "png", optimize=True)
    return base64.b64encode(out.getvalue()).decode()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
