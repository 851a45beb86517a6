"""The house: layers, lazy imports, and that both guards can fail."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import jaxlr

PACKAGE = Path(jaxlr.__file__).parent

LAYERS = [
    {"_checks"},
    {
        "schedules",
        "plateau",
        "_plateau_rules",
        "_trend",
        "inject",
        "accumulation",
        "optimizers",
        "spaces",
        "sampling",
        "mlp",
        "models",
        "loss_curves",
    },
    {"results", "comparison", "tasks", "data"},
    {"wiring"},
    {"training"},
    {"programs", "trajectories"},
    {"blocks"},
    {"sweeps"},
    {"diagnosis", "health"},
    {"suggestions", "short_training"},
    {"probes", "curvature"},
    {"range_curves"},
    {"finder"},
    {"plots", "claims"},
    {"policies", "summary", "bench"},
    {"studies"},
    {"cli"},
]
"""A module imports from lower layers, or from its own without a cycle."""


def imports(source: str) -> set[str]:
    """The modules of jaxlr that a source file imports anywhere in it, but for its types alone."""
    tree, found = ast.parse(source), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "jaxlr":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("jaxlr."):
            found.add(str(node.module).split(".")[1])
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("jaxlr.")}
    return found


def sources() -> dict[str, set[str]]:
    modules: dict[str, set[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        name = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if name not in ("__init__", "__main__"):
            modules.setdefault(name, set()).update(imports(path.read_text()) - {name})
    return modules


def violations(modules: dict[str, set[str]]) -> list[str]:
    level = {name: i for i, layer in enumerate(LAYERS) for name in layer}
    return [
        f"{name} imports {other}"
        for name, others in modules.items()
        for other in others
        if other in level and (level[other] > level[name] or (level[other] == level[name] and name in modules[other]))
    ]


def test_every_module_has_a_layer() -> None:
    assert set(sources()) == set.union(*LAYERS)


def test_modules_import_from_below() -> None:
    assert violations(sources()) == []


def test_the_guard_of_layers_can_fail() -> None:
    assert violations({"tasks": {"sweeps"}, "sweeps": set()}) == ["tasks imports sweeps"]
    assert len(violations({"inject": {"plateau"}, "plateau": {"inject"}})) == 2


@pytest.mark.parametrize(
    "statement",
    ["import jaxlr", "import jaxlr.engine.sweeps, jaxlr.tasks, jaxlr.schedules", "import jaxlr; jaxlr.tasks.blobs()"],
)
def test_import_loads_nothing_heavy(statement: str) -> None:
    heavy = ("matplotlib", "sklearn", "pandas", "xarray")
    code = f"{statement}\nimport sys\nprint([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_guard_of_imports_can_fail() -> None:
    code = "import xarray, sys; print('xarray' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


def test_public_names_resolve() -> None:
    for name in jaxlr.__all__:
        assert getattr(jaxlr, name) is not None
    with pytest.raises(AttributeError, match="public names"):
        _ = jaxlr.nothing
