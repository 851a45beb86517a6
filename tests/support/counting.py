"""Counting compilations by what JAX says of itself, independent of what the library says."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

from jax import monitoring

_COMPILED = "/jax/core/compile/backend_compile_duration"
"""The event of a program that XLA compiled, in whichever thread, with its name as `jit(name)`."""


@contextlib.contextmanager
def compiled_programs() -> Iterator[list[str]]:
    """The names of the programs that XLA compiles inside the block."""
    names: list[str] = []

    def listen(event: str, seconds: float, *, fun_name: str = "", **_: Any) -> None:
        if event == _COMPILED:
            names.append(re.sub(r"^jit\((.*)\)$", r"\1", fun_name))

    monitoring.register_event_duration_secs_listener(listen)
    try:
        yield names
    finally:
        monitoring.unregister_event_duration_listener(listen)
