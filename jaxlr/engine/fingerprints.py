"""What a function rests on, as one number: its code, its closure, the globals and attributes that it names.

A compiled program is taken again only while this stays the same: JAX does not see a changed `CONFIG["width"]`, nor an
attribute that was set since. Objects of libraries count as what they are; only their closures are looked into.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import types
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np

__all__ = ["fingerprint"]

_LIBRARIES = ("jax", "jaxlib", "optax", "flax", "numpy", "scipy", "jaxlr", "equinox", "builtins", "functools", "typing")
"""Packages whose functions do not change while a program runs."""

_PLAIN = (type(None), bool, int, float, complex, str, bytes)
_MOST = 20_000
"""Parts that are looked at; what lies beyond counts as what it is."""

_READ = 2**20
"""Bytes of an array that are read; a larger one counts as what it is."""


def fingerprint(*objects: Any) -> str:
    """A digest of what objects rest on.

    >>> config = {"width": 2}
    >>> train = (lambda config: lambda x: x * config["width"])(config)
    >>> before = fingerprint(train)
    >>> config["width"] = 3
    >>> fingerprint(train) == before
    False
    """
    digest = hashlib.blake2b(digest_size=16)
    seen: dict[int, int] = {}
    held: list[Any] = []  # so that no number of what is seen is given to another
    left: list[Any] = list(reversed(objects))
    while left:
        value = left.pop()
        if isinstance(value, _PLAIN):
            digest.update(f"{type(value).__name__}:{value!r};".encode())
            continue
        if id(value) in seen or len(seen) >= _MOST:
            digest.update(f"again:{seen.get(id(value), id(value))};".encode())
            continue
        seen[id(value)] = len(seen)
        held.append(value)
        word, parts = _described(value)
        digest.update(f"{word};".encode())
        left.extend(reversed(list(parts)))
    return digest.hexdigest()


def _described(value: Any) -> tuple[str, Iterator[Any] | list[Any]]:
    """What a value is, in a word, and what it rests on."""
    if isinstance(value, types.FunctionType):
        return f"function {value.__qualname__}", _of_function(value)
    if isinstance(value, types.MethodType):
        return "method", [value.__func__, value.__self__]
    if isinstance(value, functools.partial):
        return "partial", [value.func, list(value.args), dict(value.keywords)]
    if isinstance(value, types.CodeType):
        return f"code {value.co_code.hex()} {value.co_names}", list(value.co_consts)
    if isinstance(value, Mapping):
        return f"{type(value).__name__} {len(value)}", [part for item in value.items() for part in item]
    if isinstance(value, (list, tuple)):
        return f"{type(value).__name__} {len(value)}", list(value)
    if isinstance(value, (set, frozenset)):
        return f"set {len(value)}", sorted(value, key=repr)
    if isinstance(value, np.ndarray) and value.nbytes <= _READ and value.dtype != object:
        return f"array {value.shape} {value.dtype} {hashlib.blake2b(value.tobytes()).hexdigest()}", []
    if isinstance(value, (type, types.ModuleType, jax.Array)) or not hasattr(value, "__dict__"):
        return f"{type(value).__name__} {id(value)}", []
    if dataclasses.is_dataclass(value):
        # Not what a module of Flax caches beside its fields.
        held = {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value)}
        return f"{type(value).__qualname__} {id(type(value))}", [held]
    return f"{type(value).__qualname__} {id(type(value))}", [dict(vars(value))]


def _of_function(function: types.FunctionType) -> Iterator[Any]:
    """Its code and defaults, what it closes over, and the globals that it names."""
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not yet filled
            continue
    if (function.__module__ or "").split(".")[0] in _LIBRARIES:
        yield id(function.__code__)
        return
    yield function.__code__
    yield list(function.__defaults__ or ())
    yield dict(function.__kwdefaults__ or {})
    names = set(_names(function.__code__))
    for name in sorted(names & set(function.__globals__)):
        value = function.__globals__[name]
        yield name
        if isinstance(value, types.ModuleType) and value.__name__.split(".")[0] not in _LIBRARIES:
            yield {part: getattr(value, part) for part in sorted(names) if hasattr(value, part)}
        else:
            yield value


def _names(code: types.CodeType) -> Iterator[str]:
    """The names that a function's code and that of functions inside it use."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)
