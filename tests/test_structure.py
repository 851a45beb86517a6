"""The house: its floors, its circles, what each room keeps its hands off; and that every guard can fail."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support import command
from tests.support.floors import FLOORS, table
from tests.support.imports import Import, calls, circle, imports, sources

ROOT = Path(__file__).parent.parent
PACKAGE = sources(ROOT, "jaxlr")
AROUND = {**PACKAGE, **sources(ROOT, "scripts", "tests")}

Planted = Mapping[str, str]


def room(module: str) -> str:
    """The folder of the package that a module lies in, or its own name; empty for the face, `jaxlr` itself."""
    return module.removeprefix("jaxlr.").split(".")[0].removeprefix("__init__")


def wrong_floors(files: Planted) -> list[str]:
    """Imports that the floors do not allow. The face hands on what is below; the command line starts from it."""
    may = {floor.name: {floor.name, *floor.may} for floor in FLOORS} | {"": {*(f.name for f in FLOORS)}}
    may["__main__"] = {"cli"}
    return sorted(
        f"{module} imports {one.module}"
        for module, text in files.items()
        for one in imports(module, text, files)
        if room(one.module) not in may[room(module)] and one.module != "jaxlr.__init__"
    )


def test_the_floors_stand_on_one_another() -> None:
    names = [floor.name for floor in FLOORS]
    assert len(set(names)) == len(names)
    for i, floor in enumerate(FLOORS):
        assert set(floor.may) <= set(names[:i]), floor.name
        assert list(floor.may) == sorted(floor.may, key=names.index), floor.name


def test_every_room_has_a_floor() -> None:
    assert {room(module) for module in PACKAGE} == {*(floor.name for floor in FLOORS), "", "__main__"}


def test_modules_import_from_above_alone() -> None:
    assert wrong_floors(PACKAGE) == []


@pytest.mark.parametrize(
    "source",
    [
        "import jaxlr.engine.sweeps",
        "from jaxlr.engine import sweep",
        "from jaxlr import engine",
        "from jaxlr import sweep",
        "import jaxlr\njaxlr.sweep(run, space)",
        "from ..engine.sweeps import sweep",
        "from .. import engine",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from jaxlr.engine import Plan",
        "def late():\n    from jaxlr.engine import sweep",
    ],
)
def test_the_guard_of_floors_can_fail(source: str) -> None:
    (found,) = wrong_floors({**PACKAGE, "jaxlr.tasks.planted": source})
    assert found.startswith("jaxlr.tasks.planted imports jaxlr.engine.")


def test_the_maintainers_page_shows_the_floors() -> None:
    assert table() in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def face(files: Planted) -> dict[str, str]:
    """Without the face, which hands on what is below it, and is imported for its version alone."""
    return {module: text for module, text in files.items() if module != "jaxlr.__init__"}


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert circle(face(PACKAGE)) == []


@pytest.mark.parametrize(
    "source",
    [
        "from jaxlr.tasks import second",
        "from . import second",
        "from .second import something",
        "def late():\n    from .second import something",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from jaxlr.tasks.second import Something",
    ],
)
def test_the_guard_of_circles_can_fail(source: str) -> None:
    planted = {"jaxlr.tasks.first": source, "jaxlr.tasks.second": "import jaxlr.tasks.first"}
    assert set(circle({**face(PACKAGE), **planted})) == set(planted)


def test_a_package_and_its_module_make_a_circle_too() -> None:
    planted = {"jaxlr.new.__init__": "from jaxlr.new.part import f", "jaxlr.new.part": "from jaxlr.new import g"}
    assert set(circle(planted)) == set(planted)


LOOPS = ("scan", "map", "fori_loop", "while_loop", "associative_scan")


def loops(files: Planted) -> list[str]:
    """Loops of JAX in `runs`: over an epoch's updates there is one, over epochs none."""
    return [
        f"{module}: {call}"
        for module, text in files.items()
        if room(module) == "runs" and module != "jaxlr.runs.updates"
        for call in calls(text, "lax", LOOPS)
    ]


def test_a_run_never_loops_over_epochs() -> None:
    assert loops(PACKAGE) == []
    assert set(calls(PACKAGE["jaxlr.runs.updates"], "lax", LOOPS)) == {"jax.lax.scan", "jax.lax.map"}


def test_the_guard_of_loops_can_fail() -> None:
    planted = {"jaxlr.runs.planted": "from jax import lax\nlax.scan(f, c, xs)\njax.lax.while_loop(c, b, x)"}
    assert loops(planted) == ["jaxlr.runs.planted: lax.scan", "jaxlr.runs.planted: jax.lax.while_loop"]


NEVER = {
    ("engine", "jaxlr.results.reading"): "the engine knows no metric's meaning",
    ("engine", "jaxlr.results.choosing"): "the engine knows no metric's meaning",
    ("engine", "jaxlr.results.comparison"): "the engine knows no metric's meaning",
    ("engine", "jaxlr.results.directions"): "the engine knows no metric's meaning",
    ("finder", "jaxlr.runs.updates"): "a finder's trainings are runs",
    ("diagnosis", "jaxlr.runs.updates"): "a check's trainings are runs",
}
"""Folder and module that it keeps its hands off -> why."""


def reached(files: Planted) -> dict[tuple[str, str], set[str]]:
    """Of each folder and module in `NEVER`: who imports it there, or a name that its package hands on from it."""
    found: dict[tuple[str, str], set[str]] = {key: set() for key in NEVER}
    for module, text in files.items():
        for one in imports(module, text, files):
            package = f"{one.module.removesuffix('.__init__')}"
            for key in NEVER:
                folder, never = key
                handed = one.module.endswith(".__init__") and Import(never, one.name) in imports(
                    one.module, files[one.module], files
                )
                if room(module) == folder and (package == never or handed):
                    found[key].add(module)
    return found


def test_every_room_keeps_its_hands_off() -> None:
    assert {key: found for key, found in reached(PACKAGE).items() if found} == {}


@pytest.mark.parametrize(
    ("module", "source", "key"),
    [
        ("jaxlr.engine.planted", "from jaxlr.results import best", ("engine", "jaxlr.results.choosing")),
        ("jaxlr.engine.planted", "from jaxlr import table", ("engine", "jaxlr.results.reading")),
        ("jaxlr.engine.planted", "import jaxlr.results.reading", ("engine", "jaxlr.results.reading")),
        ("jaxlr.engine.planted", "from ..results import compare", ("engine", "jaxlr.results.comparison")),
        ("jaxlr.finder.planted", "from jaxlr.runs import updates", ("finder", "jaxlr.runs.updates")),
        ("jaxlr.finder.planted", "from jaxlr.runs import evaluate", ("finder", "jaxlr.runs.updates")),
        ("jaxlr.diagnosis.planted", "from ..runs.updates import updates", ("diagnosis", "jaxlr.runs.updates")),
    ],
)
def test_the_guard_of_hands_can_fail(module: str, source: str, key: tuple[str, str]) -> None:
    assert module in reached({**PACKAGE, module: source})[key]


def wrong_ways(files: Planted) -> set[tuple[str, str]]:
    """Imports against the order jaxlr, tests.support, scripts, tests: a circle of folders."""

    def place(module: str) -> int:
        order = ("jaxlr.", "tests.support.", "scripts.", "tests.")
        return next(i for i, before in enumerate(order) if module.startswith(before))

    return {
        (module, one.module)
        for module, text in files.items()
        for one in imports(module, text, files)
        if place(one.module) > place(module)
    }


def test_scripts_and_tests_do_not_import_each_other_in_a_circle() -> None:
    assert wrong_ways(AROUND) == set()
    assert circle({module: text for module, text in AROUND.items() if not module.startswith("jaxlr.")}) == []


def test_the_guard_of_scripts_and_tests_can_fail() -> None:
    planted = {"scripts.planted": "from tests.planted import f", "tests.planted": "import scripts.planted"}
    assert wrong_ways({**AROUND, **planted}) == {("scripts.planted", "tests.planted")}
    assert set(circle(planted)) == set(planted)
    for module in ("tests.support.planted", "jaxlr.planted"):
        source = "from scripts.bench import rivals"
        assert wrong_ways({**AROUND, module: source}) == {(module, "scripts.bench.rivals")}


HEAVY = ("matplotlib", "sklearn", "pandas", "xarray", "zarr")


def loaded(statement: str) -> list[str]:
    """The heavy packages that a statement loads in a fresh process."""
    code = f"{statement}\nimport sys\nprint(*[name for name in {HEAVY} if name in sys.modules])"
    done = command.python("-c", code)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize(
    "statement",
    ["import jaxlr", "import jaxlr.engine.sweeps, jaxlr.tasks, jaxlr.schedules", "import jaxlr; jaxlr.tasks.blobs()"],
)
def test_import_loads_nothing_heavy(statement: str) -> None:
    assert loaded(statement) == []


def test_the_guard_of_imports_can_fail() -> None:
    assert "xarray" in loaded("import xarray")
