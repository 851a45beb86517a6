"""Counting compilations by JAX's own log, independent of what the library says of itself."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator


@contextlib.contextmanager
def compiled_programs() -> Iterator[list[str]]:
    """The names of the programs that XLA compiles inside the block."""
    names: list[str] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found = re.search(r"Finished XLA compilation of jit\((\S+)\)", record.getMessage())
            if found:
                names.append(found.group(1))

    logger, handler = logging.getLogger("jax._src.dispatch"), Collect()
    propagate, level = logger.propagate, logger.level
    # JAX always writes the line at DEBUG; `jax.log_compiles` would not reach the threads that compile side by side.
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    try:
        yield names
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate
