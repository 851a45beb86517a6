"""Short trainings that ask what a learning rate does: the range test, the descending probe and the race.

Each is one sweep of an experiment counted in updates, with several seeds in one compiled program; seed k has the
weights of a sweep's seed k. Nothing is mutated, so there is nothing to restore afterwards.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np

from jaxlr import _checks, schedules
from jaxlr._types import Optimizer
from jaxlr.engine import sweep
from jaxlr.finder.measures import on_fixed_batch
from jaxlr.runs import Recorder, Run, experiment
from jaxlr.runs.wiring import check_optimizer
from jaxlr.spaces import grid, ladder
from jaxlr.tasks import Task

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Descent", "descend", "exploded", "falls", "race", "range_test", "short_run"]

FALL = 0.02
"""A loss that falls by less than this share of its size has not fallen."""


class Descent(NamedTuple):
    """What the descending probe found; see `descend`.

    Attributes:
        rate: the largest rate with which the loss falls, or None.
        reason: why there is none, or what is to be known of it; empty for nothing.
        rates: the rates tried, the largest first.
        falling: share of the seeds whose loss falls, for each of them.
        curve: the trainings, as `race` returns them.
    """

    rate: float | None
    reason: str
    rates: list[float]
    falling: list[float]
    curve: xr.Dataset


def range_test(
    task: Task,
    optimizer: Optimizer,
    *,
    low: float = 1e-7,
    high: float = 10.0,
    steps: int = 100,
    batch_size: int = 32,
    seeds: int = 8,
    key: jax.Array | None = None,
) -> xr.Dataset:
    """Train while the rate rises exponentially from batch to batch: loss against rate.

    At update t of N the rate is `low (high / low)^(t / (N - 1))`. Every seed has its own weights and batches.

    Args:
        task: the model and the data.
        optimizer: `learning_rate -> optax.GradientTransformation`, as in a sweep.
        low: first rate.
        high: last rate.
        steps: updates N, at least 2.
        batch_size: examples in an update; at most all of them.
        seeds: number of trainings K.
        key: PRNG key; `jax.random.key(0)` by default.

    Returns:
        A Dataset with the dimensions `(seed, step)` and the coordinate `rate (step)`: `loss`, of each batch before its
        update, and `eval_loss`, after it, on a fixed batch of up to 1,024 training examples, the same for all; both are
        NaN from the first value that is not finite. `initial_loss (seed)` is the evaluation before the first update.
        An evaluation above both twice the best so far and 1.1 times the initial loss has exploded and is NaN too;
        `edge (seed)` is the rate at which that first happens, NaN for never.

    Raises:
        ValueError: the rates are not positive and rising, or a number is too small.
        TypeError: `task` or `optimizer` is of the wrong kind.

    >>> import optax
    >>> from jaxlr import tasks
    >>> ds = range_test(tasks.blobs(), optax.sgd, low=1e-4, high=10.0, steps=30, seeds=2)
    >>> ds["eval_loss"].dims, bool((ds["edge"] > 0.001).all())
    (('seed', 'step'), True)

    Reference: Smith, "Cyclical learning rates for training neural networks", arXiv:1506.01186.
    """
    _checks.positive("low", low)
    _checks.positive("high", high)
    if not low < high:
        raise ValueError(f"low must be below high, got {low} and {high}")
    _checks.count("steps", steps, minimum=2)
    run = short_run(task, optimizer, steps, batch_size, every=1, schedule=_rising, record=[on_fixed_batch])
    space = grid(low=float(low), high=float(high), last=float(steps - 1))
    ds = sweep(run, space, seeds=seeds, key=key, devices=1)
    rates = low * (high / low) ** (np.arange(steps) / (steps - 1))
    ds = ds.drop_vars(["rate", "last"]).rename(initial_eval_loss="initial_loss")
    return _masked(ds.assign_coords(rate=("step", rates)))


def _rising(low: Any, high: Any, last: Any) -> schedules.Schedule:
    return schedules.exponential_decay(low, last, high / low)


def race(
    task: Task,
    optimizer: Optimizer,
    rates: Sequence[float] | None = None,
    *,
    steps: int = 100,
    batch_size: int = 32,
    seeds: int = 8,
    key: jax.Array | None = None,
    devices: int | None = None,
) -> xr.Dataset:
    """Train at several constant rates side by side, from the same weights and on the same batches.

    Args:
        task: the model and the data.
        optimizer: `learning_rate -> optax.GradientTransformation`.
        rates: the ladder; Ng's by default: 0.001, 0.003, 0.01, ... 1, as `jaxlr.ladder(1e-3, 1)` gives it.
        steps: updates of each training, the budget.
        batch_size: examples in an update; at most all of them.
        seeds: trainings of each rate.
        key: PRNG key; `jax.random.key(0)` by default.
        devices: how many local devices; all by default.

    Returns:
        A Dataset with the dimensions `(learning_rate, seed, step)`: `loss` of each batch before its update; and
        `(learning_rate, seed)`: `eval_loss` after the last update on the fixed evaluation batch (NaN where a loss was
        not finite), `initial_loss` before the first. `jaxlr.rank` orders the rates.

    Raises:
        ValueError: fewer than two rates, one that is not positive, or a number is too small.
        TypeError: `task` or `optimizer` is of the wrong kind.

    >>> import jax, numpy as np, optax
    >>> from jaxlr import tasks
    >>> model = (lambda key: jax.random.normal(key, (2, 1)), lambda w, x: x @ w)
    >>> task = tasks.regression(model, np.eye(2), np.zeros((2, 1)))
    >>> ds = race(task, optax.sgd, [0.01, 0.1, 1.0], steps=10, seeds=2, devices=1)
    >>> ds["eval_loss"].mean("seed").idxmin().item()
    1.0

    Reference: Ng's ladder of rates, Machine Learning (Coursera), lecture "Learning rate".
    """
    run = short_run(task, optimizer, steps, batch_size, every=steps, record=["step_loss", on_fixed_batch])
    rates = ladder(1e-3, 1) if rates is None else [float(rate) for rate in rates]
    if len(set(rates)) < 2:
        raise ValueError(f"rates must hold at least two different rates, got {rates}")
    for rate in rates:
        _checks.positive("rates", rate)
    return _by_update(sweep(run, grid(learning_rate=rates), seeds=seeds, key=key, devices=devices))


def descend(
    task: Task,
    optimizer: Optimizer,
    *,
    start: float = 0.1,
    factor: float = 10.0,
    levels: int = 6,
    steps: int = 50,
    batch_size: int = 32,
    seeds: int = 8,
    key: jax.Array | None = None,
    devices: int | None = None,
) -> Descent:
    """The descending probe: from a high rate down, the largest with which the loss falls.

    The rates `start / factor^i` train side by side; a seed's loss falls when the evaluation after the last update is
    at least 2 % below the one before the first.

    Args:
        task: the model and the data.
        optimizer: `learning_rate -> optax.GradientTransformation`.
        start: the largest rate.
        factor: ratio of neighbouring rates: 10 for decades, about 3 for thirds.
        levels: number of rates.
        steps: updates of each training.
        batch_size: examples in an update; at most all of them.
        seeds: trainings of each rate.
        key: PRNG key; `jax.random.key(0)` by default.
        devices: how many local devices; all by default.

    Returns:
        The largest rate with which the loss falls in more than half of the seeds, or None with the reason.

    Raises:
        ValueError: a rate is not positive, the factor not above 1, or a number is too small.
        TypeError: `task` or `optimizer` is of the wrong kind.

    >>> import jax, numpy as np, optax
    >>> from jaxlr import tasks
    >>> model = (lambda key: jax.random.normal(key, (2, 1)), lambda w, x: x @ w)
    >>> task = tasks.regression(model, np.eye(2), np.zeros((2, 1)))
    >>> found = descend(task, optax.sgd, start=100.0, levels=4, steps=10, seeds=3, devices=1)
    >>> found.rate, found.rates, found.falling
    (1.0, [100.0, 10.0, 1.0, 0.1], [0.0, 0.0, 1.0, 1.0])
    """
    _checks.positive("start", start)
    _checks.positive("factor", factor)
    if not factor > 1:
        raise ValueError(f"factor must be above 1, got {factor}")
    _checks.count("levels", levels, minimum=2)
    rates = [float(f"{start / factor**i:.6g}") for i in range(levels)]
    sizes: dict[str, Any] = {"steps": steps, "batch_size": batch_size, "seeds": seeds}
    ds = race(task, optimizer, rates, **sizes, key=key, devices=devices)
    falling = falls(ds["initial_loss"], ds["eval_loss"]).mean("seed").values
    usable = np.flatnonzero(falling > 0.5)
    if not len(usable):
        reason = f"the loss falls with no rate from {rates[0]:g} down to {rates[-1]:g} within {steps} updates"
        return Descent(None, reason, rates, falling.tolist(), ds)
    first = int(usable[0])
    reason = "the largest rate that was tried: a larger one may do as well" if first == 0 else ""
    return Descent(rates[first], reason, rates, falling.tolist(), ds)


def falls(initial: Any, final: Any) -> Any:
    """Whether a loss has fallen by at least 2 % of its size; NaN has not.

    >>> falls(2.0, 1.9), falls(2.0, 1.99), falls(2.0, float("nan")), falls(-1.0, -1.1)
    (True, False, False, True)
    """
    return final <= initial - FALL * abs(initial)


def exploded(losses: np.ndarray, initial: float) -> np.ndarray:
    """Which values of a curve `[steps]` are not finite, or above both twice the best so far and 1.1 times the initial.

    Twice and 1.1 times are meant for positive losses: `best + |best|` and `initial + 0.1 |initial|` for any.

    >>> exploded(np.array([1.0, 0.5, 0.9, 1.3, 0.2, np.nan]), 1.0).tolist()
    [False, False, False, True, False, True]
    """
    best = np.fmin.accumulate(np.append(initial, losses))[:-1]
    return np.asarray(~np.isfinite(losses) | (losses > np.maximum(best + abs(best), initial + 0.1 * abs(initial))))


def short_run(
    task: Task,
    optimizer: Optimizer,
    steps: int,
    batch_size: int,
    *,
    every: int,
    schedule: Callable[..., Any] | None = None,
    record: Sequence[str | Recorder],
) -> Run:
    """An experiment of some updates on the training data alone, to be swept over rates.

    Raises:
        TypeError: `task` is no task, or the optimizer no function.
        ValueError: the optimizer needs more than a learning rate, or takes none, or a number is too small.
    """
    if not isinstance(task, Task):
        raise TypeError(f"task must be a jaxlr.tasks.Task, got {task!r}")
    optimizer = _of_learning_rate(optimizer)
    for name, number in (("steps", steps), ("every", every), ("batch_size", batch_size)):
        _checks.count(name, number)
    if steps % every:
        raise ValueError(f"every must divide steps, got {every} and {steps}")
    untested = task._replace(x_test=None, y_test=None)
    sizes: dict[str, Any] = {"updates": steps, "every": every, "batch_size": batch_size}
    experiment(untested, optimizer, **sizes).check({"learning_rate": 0.1})
    return experiment(untested, optimizer, schedule=schedule, **sizes, record=record)


def _of_learning_rate(optimizer: Optimizer) -> Optimizer:
    """The optimizer as a function of `learning_rate`, whatever the one keyword that it needs is called."""
    check_optimizer(optimizer)
    parameters = inspect.signature(optimizer).parameters.values()
    needed = [
        p.name for p in parameters if p.default is p.empty and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    ]
    if len(needed) != 1 or "learning_rate" in (p.name for p in parameters):
        return optimizer
    # A method, so that the programs of one optimizer are found again.
    return types.MethodType(_at_rate, (optimizer, needed[0]))


def _at_rate(named: tuple[Optimizer, str], learning_rate: Any) -> Any:
    optimizer, name = named
    return optimizer(**{name: learning_rate})


def _by_update(ds: xr.Dataset) -> xr.Dataset:
    """A race as it is read: the loss of every update, NaN from the first one that is not finite, and the two ends."""
    losses = ds["step_loss"].isel(step=0, drop=True).rename(batch="step")
    losses = losses.assign_coords(step=np.arange(1, losses.sizes["step"] + 1))
    finite = losses.notnull() & (abs(losses) < np.inf)
    first = (~finite).argmax("step") + 1
    losses = losses.where(finite.cumprod("step").astype(bool))
    at_end = ds.drop_vars(["loss", "step_loss", "rate"]).isel(step=0, drop=True)
    at_end = at_end.rename(initial_eval_loss="initial_loss")
    return at_end.assign(loss=losses, diverged_at=first.where(~finite.all("step"), 0).astype(np.int32))


def _masked(ds: xr.Dataset) -> xr.Dataset:
    """With every seed's divergence edge, and without its exploded evaluations."""
    losses, initial, rates = ds["eval_loss"].values, ds["initial_loss"].values, ds["rate"].values
    gone = np.array([exploded(*curve) for curve in zip(losses, initial, strict=True)])
    edges = np.where(gone.any(axis=1), rates[gone.argmax(axis=1)], np.nan)
    return ds.assign(eval_loss=(("seed", "step"), np.where(gone, np.nan, losses)), edge=("seed", edges))
