"""The public face: one list of names for whoever imports, runs `dir`, or checks types."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

import jaxlr
from tests.support import command

ROOT = Path(__file__).parent.parent


def typed(source: str) -> dict[str, str]:
    """The names that type checkers see -> where they are from."""
    (block,) = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    found = {}
    for node in block.body:
        assert isinstance(node, ast.ImportFrom)
        for alias in node.names:
            assert alias.asname is None
            found[alias.name] = str(node.module)
    return found


SOURCE = Path(jaxlr.__file__).read_text(encoding="utf-8")


def test_one_list_of_names() -> None:
    loaded = {**dict.fromkeys(jaxlr._MODULES, "jaxlr"), **{name: f"jaxlr.{at}" for name, at in jaxlr._NAMES.items()}}
    assert typed(SOURCE) == loaded
    assert sorted([*loaded, "__version__"]) == sorted(jaxlr.__all__)
    assert len(set(jaxlr.__all__)) == len(jaxlr.__all__)
    assert dir(jaxlr) == sorted(jaxlr.__all__)


def test_the_guard_of_the_list_can_fail() -> None:
    less = SOURCE.replace("from jaxlr.engine import plan, ", "from jaxlr.engine import ")
    assert typed(SOURCE).keys() - typed(less).keys() == {"plan"}


@pytest.mark.parametrize("name", [name for name in jaxlr.__all__ if name in jaxlr._NAMES])
def test_each_name_is_what_its_module_has(name: str) -> None:
    assert getattr(jaxlr, name) is getattr(getattr(jaxlr, jaxlr._NAMES[name]), name)


def test_an_unknown_name_lists_the_public_ones() -> None:
    with pytest.raises(AttributeError, match="'jaxlr' has no attribute 'nothing'; its public names are Space, "):
        _ = jaxlr.nothing


def test_every_module_is_there_whatever_was_touched_before() -> None:
    """A fresh process: importing a part binds its package to `jaxlr`, which must not hide the rest."""
    code = """
import sys
touched, *names = sys.argv[1:]
import importlib, jaxlr
importlib.import_module(touched)
for name in names:
    assert getattr(jaxlr, name) is not None, name
    module = getattr(jaxlr, name)
    assert getattr(module, "__name__", f"jaxlr.{name}").startswith("jaxlr"), module
"""
    for touched in ("jaxlr.engine.sweeps", "jaxlr.schedules.text", "jaxlr.cli"):
        done = command.python("-c", code, touched, *jaxlr._MODULES)
        assert done.returncode == 0, done.stderr


def test_a_function_and_a_module_of_one_name_do_not_hide_each_other() -> None:
    """`jaxlr.run` is a function and `jaxlr.runs` a package; no public function has a module's name."""
    assert not set(jaxlr._NAMES) & set(jaxlr._MODULES)
    files = {path.stem for path in Path(jaxlr.__file__).parent.iterdir()}
    assert not set(jaxlr._NAMES) & files


USER = """import jax
import optax
import jaxlr

task = jaxlr.tasks.blobs()
run = jaxlr.experiment(task, optax.sgd, epochs=2)
space = jaxlr.grid(learning_rate=[0.1, 0.01])
reveal_type(jaxlr.sweep(run, space))
reveal_type(jaxlr.sweep(run, space, keep="last"))
reveal_type(jaxlr.best(jaxlr.sweep(run, space)).setting)
reveal_type(jaxlr.find_lr(task, optax.sgd).recommendation)
reveal_type(space * space)
reveal_type(run)


def train(key: jax.Array, lr: jax.Array) -> dict[str, jax.Array]:
    return {"loss": lr}


jaxlr.sweep(train, jaxlr.grid(lr=[0.1]))
"""
REVEALED = ["Dataset", "tuple[Dataset, Any]", "dict[str, Any]", "float | None", "Space", "Run"]
WRONG = [
    "jaxlr.nothing",
    "jaxlr.sweep(run, {'learning_rate': [0.1]})",
    "jaxlr.sweep(run, space, seeds='ten')",
    "jaxlr.sweep(run, space, keep='first')",
    "jaxlr.sweep(run, space, chunk='big')",
    "jaxlr.experiment(task, optax.sgd, epochs=2, epoch=3)",
    "jaxlr.experiment(task, optax.sgd, epochs='two')",
    "jaxlr.best(run)",
    "jaxlr.save(jaxlr.sweep(run, space))",
]
"""Lines that a type checker shall refuse."""


class Said(NamedTuple):
    """What a type checker says of a file: the types that it reveals, in turn, and the lines with errors."""

    revealed: list[str]
    errors: list[str]


def said(tool: str, folder: Path) -> Said:
    """What it says of the user's file, with the package of this checkout."""
    text = USER + "\n".join(WRONG) + "\n"
    (folder / "user.py").write_text(text, encoding="utf-8")
    (folder / "pyrightconfig.json").write_text(json.dumps({"extraPaths": [str(ROOT)]}), encoding="utf-8")
    arguments = {
        # What mypy has to say of the package and of what that needs is the package's own matter.
        "mypy": ["--strict", "--ignore-missing-imports", "--follow-imports=silent", "--no-error-summary"],
        "pyright": ["--pythonpath", sys.executable],
    }
    done = command.python("-m", tool, *arguments[tool], "user.py", folder=folder, MYPYPATH=str(ROOT))
    found = re.findall(r"user\.py:(\d+)(?::\d+)?(?: -|:) (\w+): (.*)", done.stdout)
    types = re.findall(r'(?:Revealed type|Type of ".*") is "(.*)"', "\n".join(words for _, _, words in found))
    lines = sorted({int(line) for line, kind, _ in found if kind == "error"})
    return Said([re.sub(r"\b(?:\w+\.)+", "", one) for one in types], [text.splitlines()[line - 1] for line in lines])


@pytest.mark.parametrize("tool", [pytest.param("mypy", marks=pytest.mark.slow), "pyright"])
def test_type_checkers_see_the_face(tool: str, tmp_path: Path) -> None:
    if importlib.util.find_spec(tool) is None:
        pytest.skip(f"{tool} is not installed")
    found = said(tool, tmp_path)
    assert found.revealed == REVEALED
    assert found.errors == WRONG
