"""The command line in the process of the tests, which has imported JAX already."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import pytest
from jax.experimental.compilation_cache import compilation_cache

from jaxlr import cli

_SET = ("jax_compilation_cache_dir", "jax_enable_compilation_cache", "jax_persistent_cache_min_compile_time_secs")
"""What a command sets of JAX, for its process."""


class Done(NamedTuple):
    """How a command ended, and its lines."""

    code: int
    out: list[str]
    err: list[str]


@pytest.fixture
def jaxlr(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Done]]:
    """`jaxlr` with the arguments that it is given."""
    before, threshold = {name: jax.config.values[name] for name in _SET}, gc.get_threshold()

    def run(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["jaxlr", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        out, err = capsys.readouterr()
        return Done(int(end.value.code or 0), out.splitlines(), err.splitlines())

    yield run
    gc.set_threshold(*threshold)
    for name, value in before.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()
