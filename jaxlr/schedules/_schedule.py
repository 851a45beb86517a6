"""One function a schedule: its formula. The annotations say the rest, and the catalogue knows them all."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any, Concatenate, NamedTuple, ParamSpec

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from ._arguments import Kind, as_step
from ._curve import curve
from ._exact import Exact, TwoFloat
from ._length import Length

P = ParamSpec("P")
Factory = Callable[P, Partial]
Check = Callable[..., None]


class Entry(NamedTuple):
    """A schedule of the catalogue.

    Attributes:
        factory: the public function.
        signature: its parameters.
        kinds: parameter -> kind.
        formula: `(step, **leaves) -> lr`; None if the schedule is made of others.
    """

    factory: Callable[..., Partial]
    signature: inspect.Signature
    kinds: Mapping[str, Kind]
    formula: Callable[..., jax.Array] | None

    def arguments(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Parameter -> what was given, or its default."""
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{self.factory.__name__}: {error}") from None
        bound.apply_defaults()
        return bound.arguments

    def leaf(self, name: str, value: Any) -> Any:
        """The checked leaf of an argument. None, where it is the default, stays None."""
        if value is None and self.signature.parameters[name].default is None:
            return None
        return self.kinds[name].leaf(name, value)


CATALOGUE: dict[str, Entry] = {}
"""Every schedule by its name."""


@typing.overload
def schedule(formula: Callable[Concatenate[Exact, P], jax.Array], /) -> Factory[P]: ...


@typing.overload
def schedule(*, check: Check) -> Callable[[Callable[Concatenate[Exact, P], jax.Array]], Factory[P]]: ...


def schedule(formula: Any = None, /, *, check: Check | None = None) -> Any:
    """Make the public factory of a formula `(step, *arguments) -> lr`, and put it into the catalogue.

    Each argument is annotated with its kind, which checks and converts it. The formula is called with an exact step
    and arguments as their kinds have them. Its docstring is the factory's.

    Args:
        formula: the formula.
        check: is called with the leaves by name, to compare them with one another.
    """
    if formula is None:
        return functools.partial(_factory, check=check)
    return _factory(formula, None)


def _factory(formula: Callable[..., jax.Array], check: Check | None) -> Callable[..., Partial]:
    kinds, signature = _kinds(formula), _without_step(inspect.signature(formula))

    def at(step: Any, **leaves: Any) -> jax.Array:
        now = as_step(step)
        for name, leaf in leaves.items():
            if isinstance(leaf, Length):
                raise ValueError(f"{name} must be known in steps, got {leaf}; schedules.resolve does that")
        seen = {name: None if leaf is None else kinds[name].inside(leaf) for name, leaf in leaves.items()}
        call = inspect.BoundArguments(signature, seen)
        rate = formula(now, *call.args, **call.kwargs)
        if now is step or not isinstance(now.value, TwoFloat):
            return rate
        return jnp.where(jnp.isnan(now.value.hi), jnp.nan, rate)

    @functools.wraps(formula)
    def factory(*args: Any, **kwargs: Any) -> Partial:
        leaves = {name: entry.leaf(name, value) for name, value in entry.arguments(*args, **kwargs).items()}
        if check is not None:
            check(**leaves)
        return curve(at, (), leaves)

    at.__module__, at.__name__, at.__qualname__ = formula.__module__, "formula", f"{formula.__qualname__}.formula"
    vars(factory)["formula"] = at  # where pickle finds it
    vars(factory)["__signature__"] = signature
    factory.__annotations__ = {p.name: p.annotation for p in signature.parameters.values()} | {"return": Partial}
    entry = CATALOGUE[formula.__name__] = Entry(factory, signature, kinds, at)
    return factory


def entry_of(schedule: Any) -> Entry:
    """The entry of a schedule that a factory of the catalogue has made."""
    function = schedule.func if isinstance(schedule, Partial) else schedule
    for entry in CATALOGUE.values():
        if entry.formula is function:
            return entry
    raise ValueError(f"schedule must be made of jaxlr's, to be written as text; got {function!r}")


def alias(make: Factory[P]) -> Factory[P]:
    """Put a schedule that is made of others into the catalogue, and check its arguments by their own names."""
    kinds, signature = _kinds(make), inspect.signature(make)

    @functools.wraps(make)
    def factory(*args: P.args, **kwargs: P.kwargs) -> Partial:
        for name, value in entry.arguments(*args, **kwargs).items():
            entry.leaf(name, value)
        return make(*args, **kwargs)

    entry = CATALOGUE[make.__name__] = Entry(factory, signature, kinds, None)
    return factory


def _kinds(function: Callable[..., Any]) -> dict[str, Kind]:
    """Parameter -> the kind in its annotation."""
    hints = typing.get_type_hints(function, include_extras=True)
    kinds = {}
    for name, hint in hints.items():
        choices = [hint, *typing.get_args(hint)]
        found = [item for choice in choices for item in getattr(choice, "__metadata__", ()) if isinstance(item, Kind)]
        if found:
            kinds[name] = found[0]
        elif hint is not Exact and name != "return":
            raise TypeError(f"{name} of {function.__name__} must be annotated with a kind of argument, got {hint!r}")
    return kinds


def _without_step(signature: inspect.Signature) -> inspect.Signature:
    _, *parameters = signature.parameters.values()
    return signature.replace(parameters=parameters, return_annotation=Partial)
