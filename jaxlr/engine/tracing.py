"""One member of a sweep, traced: the run's functions for a single setting and seed as JAX sees them.

Everything else is made of it: the programs of a block, the form that they take, the checks of what a training gives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, jaxpr_as_fun

from jaxlr._types import Hyperparameters, Metrics, PyTree
from jaxlr.engine.jaxprs import constants
from jaxlr.runs import Run
from jaxlr.spaces import Group

__all__ = ["Carried", "Function", "Member", "abstract_rows", "numbered", "trace"]


_TAKEN = frozenset({"seed", "epoch", "step", "setting", "status", "diverged_at", "diverged_in"})
"""Names of a result's dimensions and of what it says of its members."""


class Carried(NamedTuple):
    """What a segment hands to the next: the member's carry, and the best weights so far where they are kept."""

    run: PyTree
    score: jax.Array | None
    best: PyTree | None


class Function(NamedTuple):
    """A function as JAX traced it, for arguments of known types.

    Attributes:
        program: what it computes.
        out: the types of its result.
    """

    program: ClosedJaxpr
    out: PyTree

    def value(self, *args: Any) -> Any:
        """The function's value, without its Python code."""
        return jax.tree.unflatten(jax.tree.structure(self.out), jaxpr_as_fun(self.program)(*jax.tree.leaves(args)))


class Member(NamedTuple):
    """One member's functions.

    Attributes:
        start: `(key, row) -> (carried, initial metrics)`.
        advance: `(carried, seed_key, row, number, fed) -> (carried, metrics)`.
        fed: the types of what the host hands to an advance; None for nothing.
    """

    start: Function
    advance: Function
    fed: PyTree

    @property
    def carried(self) -> PyTree:
        """The types of what is carried."""
        return self.start.out[0]

    @property
    def metrics(self) -> dict[str, Any]:
        """The types of the metrics of one advance."""
        return dict(self.advance.out[1])


def trace(run: Run, group: Group, key: jax.Array, keep: str | None) -> Member:
    """Trace the run's functions for one member of a group.

    Raises:
        TypeError: a traced hyperparameter is used as a Python number, or the metrics are no dictionary.
        ValueError: the functions are not pure, or a metric has a hyperparameter's name.
    """
    seed_key = jax.eval_shape(lambda: jax.random.fold_in(key, 0))
    row = jax.tree.map(lambda leaf: _one(leaf), abstract_rows(group))
    number = jax.ShapeDtypeStruct((), jnp.int32)
    fed = None if run.feed is None else run.feed.types
    try:
        start = _traced(_start(run, group.static, keep), [seed_key, row], twice=not run.pure)
        advance = _traced(_advance(run, group.static), [start.out[0], seed_key, row, number, fed], twice=not run.pure)
    except TypeError as error:
        # JAX's own errors of this kind are TypeErrors, not all of a class of their own.
        if not isinstance(error, jax.errors.JAXTypeError) and "concrete values" not in str(error):
            raise
        numbers = ", ".join(group.traced) or "none"
        raise TypeError(
            "a hyperparameter that sizes arrays or steers Python code must be static, such as "
            f"grid(width=static([16, 32])); traced here: {numbers}"
        ) from error
    return Member(start, advance, fed)


def abstract_rows(group: Group) -> PyTree:
    """The types of a group's hyperparameters. Floats are weak, so that bfloat16 parameters stay bfloat16."""

    def abstract(leaf: np.ndarray) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, weak_type=bool(np.issubdtype(leaf.dtype, np.floating)))

    return jax.tree.map(abstract, numbered(group.traced, np.arange(len(group.rows), dtype=np.int32)))


def numbered(traced: dict[str, Any], rows: np.ndarray) -> dict[str, Any]:
    """With the rows' numbers, so that there is an axis to map where nothing is traced."""
    return {"hp": traced, "row": rows}


def _one(leaf: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype, weak_type=leaf.weak_type)


def _traced(function: Callable[..., Any], args: Sequence[Any], *, twice: bool) -> Function:
    program, out = jax.make_jaxpr(function, return_shape=True)(*args)
    if twice:
        # A function of its own, or JAX would remember the first.
        again = jax.make_jaxpr(lambda *args: function(*args))(*args)
        if str(program) != str(again) or not all(map(np.array_equal, constants(program), constants(again))):
            raise ValueError(
                "run must be a pure function of its arguments, got another program when it was traced again"
            )
    return Function(program, out)


def _start(run: Run, static: Hyperparameters, keep: str | None) -> Callable[..., tuple[Carried, Metrics]]:
    def start(key: jax.Array, row: PyTree) -> tuple[Carried, Metrics]:
        hp = {**static, **row["hp"]}
        carry = run.init(key, hp)
        initial = {} if run.initial is None else _checked(run.initial(carry, hp), hp, run)
        if keep != "best":
            return Carried(carry, None, None), initial
        assert run.weights is not None
        return Carried(carry, jnp.float32(jnp.inf), run.weights(carry)), initial

    return start


def _advance(run: Run, static: Hyperparameters) -> Callable[..., tuple[Carried, Metrics]]:
    def advance(
        carried: Carried, seed_key: jax.Array, row: PyTree, number: jax.Array, fed: PyTree
    ) -> tuple[Carried, Metrics]:
        hp = {**static, **row["hp"]}
        given = () if fed is None else (fed,)
        carry, metrics = run.advance(carried.run, run.key_of(seed_key, number), hp, *given)
        metrics = _checked(metrics, hp, run)
        return _kept(run, carried, carry, metrics), metrics

    return advance


def _kept(run: Run, carried: Carried, carry: PyTree, metrics: Metrics) -> Carried:
    """With the weights at the lowest validation loss (train loss without test data) so far, where they are kept."""
    if carried.score is None:
        return Carried(carry, None, None)
    if "loss" not in metrics and "val_loss" not in metrics:
        raise ValueError(f"keep='best' must have a metric val_loss or loss to judge by, got {', '.join(metrics)}")
    assert run.weights is not None
    score = (metrics["val_loss"] if "val_loss" in metrics else metrics["loss"]).astype(jnp.float32)
    better = score < carried.score
    best = jax.tree.map(lambda new, old: jnp.where(better, new, old), run.weights(carry), carried.best)
    return Carried(carry, jnp.where(better, score, carried.score), best)


def _checked(metrics: Any, hp: Hyperparameters, run: Run) -> Metrics:
    """The metrics as arrays that a result can hold: of float32 where they were narrower.

    Raises:
        TypeError: they are no dictionary of real arrays.
        ValueError: one has a name that is taken, or arrays along one training are of several lengths.
    """
    if not isinstance(metrics, dict):
        raise TypeError(f"a training must return a dictionary of arrays, got {type(metrics).__name__}")
    for name in metrics:
        if not isinstance(name, str):
            raise TypeError(f"the names of metrics must be strings, got {name!r}")
        if name in hp:
            raise ValueError(f"{name!r} must not be a hyperparameter and a metric of the training at once; rename it")
        if name in _TAKEN or (not run.pure and (name == "stopped" or name.startswith("initial_"))):
            raise ValueError(f"{name!r} must not be a metric of the training, since a result has its own; rename it")
    found = {name: _storable(name, jnp.asarray(value)) for name, value in metrics.items()}
    lengths = {name: len(value) for name, value in found.items() if run.along is None and value.ndim}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"arrays that a training returns must have one length, that of its steps; got {lengths}")
    return found


def _storable(name: str, value: jax.Array) -> jax.Array:
    if jnp.issubdtype(value.dtype, jnp.complexfloating):
        raise TypeError(f"{name} must be real, got {value.dtype}; give its parts or its size")
    if jnp.issubdtype(value.dtype, jnp.floating) and value.dtype.itemsize < 4:
        return value.astype(jnp.float32)
    return value
