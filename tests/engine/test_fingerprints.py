"""What a compiled program rests on: the same as long as nothing has changed, another one as soon as something has."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from jaxlr.engine.fingerprints import fingerprint

CONFIG: dict[str, Any] = {"width": 2}


def made(depth: int) -> Callable[..., Any]:
    """Functions in functions, each with defaults of its own."""
    inner = made(depth - 1) if depth else None

    def function(x: Any, scale: float = 2.0, *, shift: float = 1.0) -> Any:
        return CONFIG["width"] * (x if inner is None else inner(x)) * scale + shift

    return functools.partial(function, scale=depth)


def test_the_same_as_often_as_it_is_asked() -> None:
    """The parts that are made for looking at must not be taken for one another where their memory is used again."""
    function = made(30)
    assert len({fingerprint(function) for _ in range(100)}) == 1


class Holder:
    def __init__(self, value: Any) -> None:
        self.value = value

    def method(self, x: Any) -> Any:
        return x * self.value


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (2, 3),
        (2, 2.0),
        ("a", "b"),
        ([1, [2]], [1, [3]]),
        (np.arange(3), np.arange(3.0)),
        (np.arange(3), np.arange(3)[::-1]),
        ({"a": (1, 2)}, {"a": (2, 1)}),
        (lambda x: x, lambda x: x + 1),
    ],
)
def test_a_global_a_closure_and_an_attribute_count(before: Any, after: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    held = [before]
    holder = Holder(before)
    functions = [lambda x: x * CONFIG["width"], lambda x: x * held[0], holder.method]
    monkeypatch.setitem(CONFIG, "width", before)
    old = [fingerprint(function) for function in functions]
    assert [fingerprint(function) for function in functions] == old
    monkeypatch.setitem(CONFIG, "width", after)
    held[0] = holder.value = after
    assert all(new != one for new, one in zip(map(fingerprint, functions), old, strict=True))
