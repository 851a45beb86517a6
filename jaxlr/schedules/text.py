"""Schedules as text, such as `warmup(cosine_decay(0.1, 1000), 50)`, for commands and results."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

import jax
import numpy as np
from jax.tree_util import Partial

from . import (
    _shapes,
    compose,
    cosine,
    cyclic,
    decay,
    exponential,
    inverse,
    onecycle,
    piecewise,
    restarts,
    runs,
)
from ._arguments import Schedule

_MODULES = (compose, cosine, cyclic, decay, exponential, inverse, onecycle, piecewise, restarts, runs)
_MAX_LENGTH = 100_000
_MAX_DEPTH = 40


def _public(module: ModuleType) -> dict[str, Callable[..., Partial]]:
    return {
        name: f
        for name, f in vars(module).items()
        if inspect.isfunction(f) and f.__module__ == module.__name__ and not name.startswith("_")
    }


# `per_epoch` is `stretch` in text: it takes any function, and would run it as often as a text says.
_FACTORIES = {name: f for module in _MODULES for name, f in _public(module).items() if f is not compose.per_epoch}
# A factory `linear` makes the formula `_linear` of its module; those without one are made of others.
_FORMULAS = {
    getattr(module, f"_{name}"): factory
    for module in _MODULES
    for name, factory in _public(module).items()
    if hasattr(module, f"_{name}")
}


def parse(text: str) -> Partial:
    """The schedule that a text describes. The inverse of `format`.

    `parse("name(argument, …, keyword=argument)")`: a name of this catalogue, with numbers, True or False,
    None, strings, lists and schedules as arguments. Nothing is evaluated, so the text may come from anywhere.

    Args:
        text: the schedule, as Python would write it.

    Returns:
        The schedule, `step -> lr`.

    Raises:
        TypeError: `text` is not a string.
        ValueError: it is not such a description; the message says what is wrong.

    Example:
        >>> schedule = parse("warmup(cosine_decay(0.1, 1000), 50)")
        >>> round(float(schedule(50)), 6)
        0.1
    """
    if not isinstance(text, str):
        raise TypeError(f"text must be a string, got {text!r}")
    if len(text) > _MAX_LENGTH:
        raise ValueError(f"text must have at most {_MAX_LENGTH} characters, got {len(text)}")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"text must be a schedule such as 'linear(0.1, 1000)', got {text[:80]!r}") from error
    schedule = _read(tree, 0)
    if not isinstance(schedule, Partial):
        raise ValueError(f"text must be a schedule such as 'linear(0.1, 1000)', got {text[:80]!r}")
    return schedule


def _read(node: ast.expr, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        raise ValueError(f"text must be nested at most {_MAX_DEPTH} deep")
    match node:
        case ast.Constant(value=bool() | int() | float() | str() | None as value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return -value
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [_read(item, depth + 1) for item in items]
        case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords):
            return _call(name, args, keywords, depth)
    raise ValueError(f"text must hold only schedules, numbers, strings and lists, got {ast.unparse(node)[:80]!r}")


def _call(name: str, args: list[ast.expr], keywords: list[ast.keyword], depth: int) -> Partial:
    if name not in _FACTORIES:
        raise ValueError(f"{name!r} is no schedule; known are {', '.join(sorted(_FACTORIES))}")
    if any(keyword.arg is None for keyword in keywords):
        raise ValueError(f"{name} must get its keywords by name, not by **")
    given = [_read(arg, depth + 1) for arg in args]
    named = {str(keyword.arg): _read(keyword.value, depth + 1) for keyword in keywords}
    try:
        return _FACTORIES[name](*given, **named)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{name}: {error}") from error


def format(schedule: Schedule) -> str:
    """The text of a schedule. The inverse of `parse`.

    `parse(format(schedule))` has the same structure and the same numbers as `schedule`.

    Args:
        schedule: one of this catalogue with known numbers. What is made of others is written as these:
            `wsd(…)` as `warmup(cooldown(constant(…), …), …)`.

    Returns:
        The text, without arguments that have their default values.

    Raises:
        ValueError: the schedule, or a part of it, is a function from elsewhere, or has traced numbers.

    Example:
        >>> from jaxlr.schedules import cosine_decay, warmup
        >>> format(warmup(cosine_decay(0.1, decay_steps=1000), steps=50))
        'warmup(cosine_decay(0.1, 1000), 50)'
    """
    function = schedule.func if isinstance(schedule, Partial) else schedule
    factory = _FORMULAS.get(function)
    if factory is None or not isinstance(schedule, Partial):
        raise ValueError(f"schedule must be made of jaxlr's, to be written as text; got {function!r}")
    parameters = inspect.signature(factory).parameters.values()
    leaves = _leaves(schedule, [parameter.name for parameter in parameters])
    required = [p for p in parameters if p.default is p.empty]
    if any(p.kind is p.VAR_POSITIONAL for p in required):
        return f"{factory.__name__}({', '.join(format(part) for part in schedule.args[0])})"
    default = factory(*(leaves[p.name] for p in required))
    defaults = _leaves(default, [p.name for p in parameters])
    words: list[str] = []
    skipped = False
    for p in parameters:
        if p.default is not p.empty and _same(leaves[p.name], defaults[p.name]):
            skipped = True
            continue
        word = _word(leaves[p.name])
        words.append(f"{p.name}={word}" if skipped or p.kind is p.KEYWORD_ONLY else word)
    return f"{factory.__name__}({', '.join(words)})"


def _leaves(schedule: Partial, names: list[str]) -> dict[str, Any]:
    """The arguments of a schedule by the names that its factory gives them."""
    leaves = dict(zip(names, schedule.args, strict=False)) | schedule.keywords
    if "shape" in leaves:
        leaves |= {"power": None, "decay_rate": None} | _shape(leaves["shape"])
    return leaves


def _shape(shape: Partial) -> dict[str, Any]:
    if shape.func is _shapes.exponential:
        return {"shape": "exponential", "decay_rate": shape.keywords["decay_rate"]}
    if shape.func is not _shapes.one_minus_power:
        return {"shape": shape.func.__name__}
    names = {0.5: "1-sqrt", 2.0: "1-square"}
    power = shape.keywords["power"]
    name = names.get(_plain(power))
    return {"shape": name} if name else {"shape": "power", "power": power}


def _same(a: Any, b: Any) -> bool:
    if a is None or b is None or isinstance(a, str):
        return a is None or a == b
    return bool(np.array_equal(_known(a), _known(b)))


def _known(value: Any) -> Any:
    if isinstance(value, jax.core.Tracer):
        raise ValueError(f"schedule must have known numbers, to be written as text; got {value!r}")
    return np.asarray(value)


def _plain(value: Any) -> Any:
    """A Python number, or a list; a float32 by its shortest decimal, so that 0.1 stays 0.1."""
    array = _known(value)
    if array.ndim:
        return [_plain(item) for item in array]
    return float(str(array[()])) if array.dtype == np.float32 else array.item()


def _word(value: Any) -> str:
    if isinstance(value, Partial):
        return format(value)
    if isinstance(value, str):
        return repr(value)
    if isinstance(value, tuple):
        return f"[{', '.join(format(part) for part in value)}]"
    return repr(_plain(value))
