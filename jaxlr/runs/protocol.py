"""One kind of run: a training as a pair of pure functions, written for one setting and one seed.

Nobody but the engine loops over a run, jits, maps, shards, saves or prints it.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax

from jaxlr import _checks
from jaxlr._types import Hyperparameters, Metrics, PyTree

__all__ = ["Feed", "Run", "as_run", "run"]


class Feed(NamedTuple):
    """What the host hands to a run's advances.

    Attributes:
        read: `(seeds, done) -> iterator` over what the advances after the first `done` are given, for each of the seeds
            along a leading axis.
        types: the types of what one seed is given.
    """

    read: Callable[[Sequence[int], int], Iterator[PyTree]]
    types: PyTree


def _anything(setting: Hyperparameters) -> None:
    del setting


@dataclasses.dataclass(frozen=True, eq=False)
class Run:
    """A training to sweep; made by `experiment`, by `run`, or at the door from a function `train(key, **hp)`.

    Seed k of a sweep has the key `fold_in(key, k)`, its seed key. `init` is given `fold_in(seed_key, 0)`.

    Attributes:
        init: `(key, hp) -> carry`: all that a training hands from one advance to the next.
        advance: `(carry, key, hp) -> (carry, metrics)`: an epoch, or some updates. The hyperparameters are handed in
            every time, so they may differ from one advance to the next.
        length: how many advances a training has.
        along: the dimension that the advances make in a result, "epoch" or "step"; None where the one advance is the
            whole training, and an array that it gives lies along "step".
        stride: what an advance adds to that dimension's coordinate.
        key_of: `(seed_key, number) -> key` of the advance with that number, counted from 1.
        initial: `(carry, hp) -> metrics` before the first advance; None for none.
        weights: `carry -> weights`, what `sweep(keep=...)` returns; None where there are none.
        static_names: hyperparameters that are compiled in.
        check: raises unless a setting of plain values fits.
        description: what is trained, in words.
        made_of: what tells it from other runs: programs compiled for one are taken for another made of the same
            objects, and go when one of these goes.
        pure: known to do the same whenever it is traced.
        feed: what the host hands to the advances; `advance` then takes it as a fourth argument.
    """

    init: Callable[[Any, Hyperparameters], PyTree]
    advance: Callable[..., tuple[PyTree, Metrics]]
    length: int
    along: str | None = "epoch"
    stride: int = 1
    key_of: Callable[[jax.Array, Any], Any] = jax.random.fold_in
    initial: Callable[[PyTree, Hyperparameters], Metrics] | None = None
    weights: Callable[[PyTree], PyTree] | None = None
    static_names: frozenset[str] = frozenset()
    check: Callable[[Hyperparameters], None] = _anything
    description: str = ""
    made_of: tuple[Any, ...] = ()
    pure: bool = False
    feed: Feed | None = None

    def __repr__(self) -> str:
        return f"Run({self.description}, length={self.length}, along={self.along!r})"


def run(
    init: Callable[[jax.Array, Hyperparameters], PyTree],
    advance: Callable[[PyTree, jax.Array, Hyperparameters], tuple[PyTree, Metrics]],
    *,
    length: int,
    along: str = "epoch",
) -> Run:
    """A training of one's own as a pair of functions, with all that the engine does for an experiment.

    Seed k starts from `carry = init(fold_in(seed_key, 0), hp)` with `seed_key = fold_in(key, k)`; advance n, counted
    from 1, is `carry, metrics = advance(carry, fold_in(seed_key, n), hp)`.

    Args:
        init: `(key, hp) -> carry`, a pytree of arrays: weights, optimizer state, counters. `hp` maps hyperparameters to
            values; numbers are traced.
        advance: `(carry, key, hp) -> (carry, metrics)`: an epoch, or as many updates as there are between two
            records. The carry keeps its structure, shapes and types; the metrics are a dictionary of arrays.
        length: advances of a training.
        along: the dimension that they make in the result, "epoch" or "step".

    Returns:
        The run, to be given to `sweep`; `sweep(keep=...)` returns carries.

    Raises:
        TypeError: `init` or `advance` is not a function, or `length` not an integer.
        ValueError: `length` is below 1, or `along` is another word.

    >>> import jax, jaxlr
    >>> def init(key, hp):
    ...     return jax.random.normal(key)
    >>> def advance(w, key, hp):
    ...     return w - hp["lr"] * 2 * w, {"loss": w**2}
    >>> ds = jaxlr.sweep(jaxlr.run(init, advance, length=3), jaxlr.grid(lr=[0.1, 0.5]), seeds=2)
    >>> ds["loss"].dims, bool((ds["loss"].sel(lr=0.5, epoch=2) == 0).all())
    (('lr', 'seed', 'epoch'), True)
    """
    for name, function in (("init", init), ("advance", advance)):
        if not callable(function):
            raise TypeError(f"{name} must be a function, got {function!r}")
    _checks.count("length", length)
    _checks.one_of("along", along, ("epoch", "step"))
    return Run(
        init,
        advance,
        length,
        along,
        weights=lambda carry: carry,
        description=_named(advance),
        made_of=(init, advance, length, along),
    )


def as_run(given: Any) -> Run:
    """The door: a run as it is, a function `train(key, **hyperparameters)` as a run of one advance.

    Raises:
        TypeError: `given` is neither.
    """
    if isinstance(given, Run):
        return given
    if not callable(given):
        raise TypeError(
            "run must be an experiment, jaxlr.run(init, advance, length=...) or a function "
            f"train(key, **hyperparameters), got {given!r}"
        )
    return _whole(given)


def _whole(train: Callable[..., Metrics]) -> Run:
    """A function that is the whole training; it is given the seed's own key."""
    signature = inspect.signature(train)

    def advance(carry: PyTree, key: jax.Array, hp: Hyperparameters) -> tuple[PyTree, Metrics]:
        return carry, train(key, **hp)

    def check(setting: Hyperparameters) -> None:
        try:
            signature.bind(None, **setting)
        except TypeError as error:
            raise TypeError(f"run must take a key and the hyperparameters {', '.join(setting)}: {error}") from None

    return Run(
        lambda key, hp: (),
        advance,
        1,
        along=None,
        key_of=lambda seed_key, number: seed_key,
        check=check,
        description=_named(train),
        made_of=(train,),
    )


def _named(function: Callable[..., Any]) -> str:
    return getattr(function, "__qualname__", repr(function))
