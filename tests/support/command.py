"""The command line as a user starts it: a process of its own, with the package of this checkout wherever it starts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def python(
    *arguments: object, folder: Path = ROOT, stdin: str = "", **environment: str | None
) -> subprocess.CompletedProcess[str]:
    """A fresh Python process; variables of the environment are set, or with None removed."""
    variables = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=folder,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        env={name: value for name, value in variables.items() if value is not None},
    )


def jaxlr(*arguments: object, folder: Path = ROOT, **environment: str | None) -> subprocess.CompletedProcess[str]:
    """`jaxlr` with these arguments in a fresh process."""
    return python("-m", "jaxlr", *arguments, folder=folder, **environment)
