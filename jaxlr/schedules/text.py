"""Schedules as text, such as `warmup(cosine_decay(0.1, 1000), 50)`, for commands and results."""

from __future__ import annotations

import ast
import operator
from typing import Any, cast

import jax
import numpy as np
from jax.tree_util import Partial

from ._arguments import FUNCTION, Kind, Schedule, plain
from ._length import Length
from ._schedule import CATALOGUE, Entry, entry_of
from .lengths import epoch, run, sample, token

_MAX_LENGTH = 100_000
_MAX_DEPTH = 40

_LENGTHS = {"run": run, "epoch": epoch, "sample": sample, "token": token}
_OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}


def parse(text: str) -> Partial:
    """The schedule that a text describes. The inverse of `format`.

    `parse("name(argument, …, keyword=argument)")`: a name of this catalogue, with numbers, True or False,
    None, strings, lists, schedules and lengths such as `0.03 * run` or `run - 500` as arguments. Nothing is evaluated,
    so the text may come from anywhere.

    Args:
        text: the schedule, as Python would write it.

    Returns:
        The schedule, `step -> lr`.

    Raises:
        TypeError: `text` is not a string.
        ValueError: it is not such a description; the message says what is wrong.

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
        case ast.Name(id=name) if name in _LENGTHS:
            return _LENGTHS[name]
        case ast.UnaryOp(op=ast.USub(), operand=ast.Name(id=name)) if name in _LENGTHS:
            return -_LENGTHS[name]
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _length(type(op), _read(left, depth + 1), _read(right, depth + 1), node)
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [_read(item, depth + 1) for item in items]
        case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords):
            return _call(name, args, keywords, depth)
    raise ValueError(f"text must hold only schedules, numbers, strings and lists, got {ast.unparse(node)[:80]!r}")


def _length(op: type[ast.operator], left: Any, right: Any, node: ast.expr) -> Length:
    """Sums and multiples of lengths. Other numbers are not computed with: a text may come from anywhere."""
    numbers = all(isinstance(one, (int, float, Length)) and not isinstance(one, bool) for one in (left, right))
    if not numbers or not (isinstance(left, Length) or isinstance(right, Length)):
        raise ValueError(f"text must compute with lengths only, such as 0.03 * run, got {ast.unparse(node)[:80]!r}")
    try:
        return cast(Length, _OPERATORS[op](left, right))
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"text must hold lengths such as 0.03 * run, got {ast.unparse(node)[:80]!r}") from error


def _call(name: str, args: list[ast.expr], keywords: list[ast.keyword], depth: int) -> Partial:
    known = sorted(name for name, entry in CATALOGUE.items() if not _runs_code(entry))
    if name not in known:
        raise ValueError(f"{name!r} is no schedule; known are {', '.join(known)}")
    if any(keyword.arg is None for keyword in keywords):
        raise ValueError(f"{name} must get its keywords by name, not by **")
    given = [_read(arg, depth + 1) for arg in args]
    named = {str(keyword.arg): _read(keyword.value, depth + 1) for keyword in keywords}
    try:
        return CATALOGUE[name].factory(*given, **named)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{name}: {error}") from error


def _runs_code(entry: Entry) -> bool:
    """`per_epoch` takes any function, and would run it as often as a text says; in text it is `stretch`."""
    return any(kind is FUNCTION for kind in entry.kinds.values())


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

    >>> from jaxlr.schedules import cosine_decay, warmup
    >>> format(warmup(cosine_decay(0.1, decay_steps=1000), steps=50))
    'warmup(cosine_decay(0.1, 1000), 50)'
    """
    entry = entry_of(schedule)
    leaves = schedule.keywords if isinstance(schedule, Partial) else {}
    words: list[str] = []
    skipped = False
    for p in entry.signature.parameters.values():
        if p.kind is p.VAR_POSITIONAL:
            words += [_word(part, entry.kinds[p.name]) for part in leaves[p.name]]
        elif p.default is not p.empty and _same(leaves[p.name], entry.leaf(p.name, p.default)):
            skipped = True
        else:
            word = _word(leaves[p.name], entry.kinds[p.name])
            words.append(f"{p.name}={word}" if skipped or p.kind is p.KEYWORD_ONLY else word)
    return f"{entry.factory.__name__}({', '.join(words)})"


def _known(length: Length) -> None:
    for amount in length.amounts.values():
        plain(amount)


def _same(leaf: Any, default: Any) -> bool:
    return not isinstance(leaf, (jax.core.Tracer, Length)) and np.array_equal(np.asarray(leaf), np.asarray(default))


def _word(leaf: Any, kind: Kind) -> str:
    if isinstance(leaf, Length):
        _known(leaf)
        return repr(leaf)
    given = kind.given(leaf)
    if isinstance(given, Partial):
        return format(given)
    if isinstance(given, tuple):
        return f"[{', '.join(format(part) for part in given)}]"
    return repr(given)
