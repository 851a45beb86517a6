"""JAX's strict flags: what is promoted silently is promoted by mistake one day.

Optax relies on promotion (`decay**count` with an integer count), so its functions, and the transformations and
schedules that they give, do as they do at home.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import jax
import optax
import optax.contrib

__all__ = ["relaxed", "set_flags"]


def set_flags() -> None:
    """Set them for the process, and let Optax be."""
    jax.config.update("jax_numpy_dtype_promotion", "strict")
    jax.config.update("jax_numpy_rank_promotion", "raise")
    for module in (optax, optax.contrib):
        for name, function in list(vars(module).items()):
            if inspect.isfunction(function) and not name.startswith("_"):
                setattr(module, name, relaxed(function))
    for method in ("init", "update"):
        setattr(optax.MultiSteps, method, relaxed(getattr(optax.MultiSteps, method)))


def relaxed(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function without the strict flags, and without them the functions that it gives."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
            return _given(function(*args, **kwargs))

    return call


def _given(value: Any) -> Any:
    if isinstance(value, optax.GradientTransformation):
        return value._replace(init=relaxed(value.init), update=relaxed(value.update))
    return relaxed(value) if inspect.isfunction(value) else value
