"""What Python files import, read from their source: plain, relative, for their types alone, and inside functions."""

from __future__ import annotations

import ast
import functools
import graphlib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import jaxlr

__all__ = ["Import", "calls", "circle", "imports", "sources"]

Sources = Mapping[str, str]
"""Dotted name of a module -> its text; a package's own module has a name that ends in `.__init__`."""


class Import(NamedTuple):
    """A module that is imported, and the name that is taken from it; empty for the module itself."""

    module: str
    name: str = ""


def sources(root: Path, *packages: str) -> dict[str, str]:
    """The modules of packages that lie in a folder."""
    return {
        ".".join(path.relative_to(root).with_suffix("").parts): path.read_text(encoding="utf-8")
        for package in packages
        for path in sorted((root / package).rglob("*.py"))
    }


def imports(module: str, source: str, known: Collection[str]) -> set[Import]:
    """Those of the known modules that a module imports anywhere, by their names there.

    What `jaxlr` hands on (`from jaxlr import sweep`, or `jaxlr.sweep` after `import jaxlr`) is imported from where it
    is made.
    """
    found = _written(module, source)
    return {resolved for one in found if (resolved := _resolved(one, known)) is not None and resolved.module != module}


@functools.cache
def _written(module: str, source: str) -> frozenset[Import]:
    """The imports as they stand there."""
    tree = ast.parse(source)
    found = {one for node in ast.walk(tree) for one in _read(node, module)}
    if Import("jaxlr") in found:
        found |= {
            Import("jaxlr", node.attr)
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "jaxlr"
        }
    return frozenset(found)


def _read(node: ast.AST, module: str) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        yield from (Import(alias.name) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        # The dots count from the module's package, which is what is left of its name without the last part.
        parents = module.split(".")[: -node.level] if node.level else []
        base = ".".join([*parents, *([node.module] if node.module else [])])
        yield from (Import(base, alias.name) for alias in node.names)


def _resolved(one: Import, known: Collection[str]) -> Import | None:
    """With the name of a known module; None where it is of elsewhere."""
    if one.module == "jaxlr" and one.name in jaxlr._NAMES:
        one = Import(f"jaxlr.{jaxlr._NAMES[one.name]}", one.name)
    deeper = f"{one.module}.{one.name}"
    for module, name in ((deeper, ""), (f"{deeper}.__init__", ""), (one.module, one.name)):
        if module in known:
            return Import(module, name)
    package = f"{one.module}.__init__"
    return Import(package, one.name) if package in known else None


def circle(files: Sources) -> list[str]:
    """Modules that import each other in a circle, the first again at the end; none if there are none."""
    graph = {name: {one.module for one in imports(name, text, files)} for name, text in files.items()}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


def calls(source: str, module: str, names: Collection[str]) -> list[str]:
    """The calls of some functions of a module, such as `lax.scan`."""
    return [
        ast.unparse(node.func)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in names
        and ast.unparse(node.func.value).split(".")[-1] == module
    ]
