"""The experiment: a task, an optimizer, a schedule and a plateau joined into a run."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxlr import _checks
from jaxlr._types import Hyperparameters, Metrics, Optimizer, PyTree
from jaxlr.plateau import Plateau, PlateauState
from jaxlr.runs import batches, wiring
from jaxlr.runs.batches import Batches, Moment, Order
from jaxlr.runs.protocol import Feed, Run
from jaxlr.runs.updates import PER_UPDATE, Trained, evaluate
from jaxlr.runs.updates import updates as update_all
from jaxlr.schedules import resolve
from jaxlr.tasks import Objective, Task
from jaxlr.tasks.reading import Fed

__all__ = ["RECORDS", "Carry", "Recorder", "experiment"]

Recorder = Callable[[Task, PyTree, PyTree], dict[str, Any]]
"""`(task, params, state) -> {name: array}`: something to record of the weights."""

RECORDS = ("initial", *PER_UPDATE)
"""What `experiment(record=...)` knows by name."""

_MOST_EXAMPLES = 2**31 - 1
"""Examples that a training counted in updates may see, in all."""


class Carry(NamedTuple):
    """All that a training hands from one advance to the next.

    Attributes:
        params: the weights.
        state: the model's mutable state; empty for none.
        opt_state: the optimizer's state.
        plateau: the plateau's state, or None.
        best: the weights at the best metric so far where the plateau restores them, else None.
        step: updates done, int32.
    """

    params: PyTree
    state: PyTree
    opt_state: PyTree
    plateau: PlateauState | None
    best: PyTree | None
    step: jax.Array


class _Options(NamedTuple):
    """What an experiment is told beside its factories.

    Attributes:
        epochs: passes over the data, or None for a training counted in updates.
        every: updates of an advance then.
        order: the passes' orders, or None.
        monitor: what the plateau watches, or None.
        names: what is recorded by name.
        recorders: what is recorded of the weights.
    """

    epochs: int | None
    every: int
    order: Order | None
    monitor: str | None
    names: tuple[str, ...]
    recorders: tuple[Recorder, ...]


def experiment(
    task: Task | Callable[..., Task],
    optimizer: Optimizer,
    *,
    schedule: Callable[..., Any] | None = None,
    plateau: Callable[..., Plateau] | Plateau | None = None,
    objective: Objective | None = None,
    epochs: int | None = None,
    updates: int | None = None,
    every: int | None = None,
    batch_size: int = 32,
    order: Order | None = None,
    monitor: str | None = None,
    record: Sequence[str | Recorder] = (),
) -> Run:
    """A training of `task` with `optimizer`, to be swept over hyperparameters.

    Hyperparameters are handed to whoever names them: optimizer, schedule, plateau (and a task given as a function)
    take the keywords that they declare; `**kwargs` gets what nobody declares. `batch_size` may be an axis too. The
    data are reshuffled for every epoch; the last batch may be smaller and is trained on with its own mean, as Keras
    does.

    Args:
        task: the model and the data; or a function from hyperparameters to them, which are then compiled in.
        optimizer: hyperparameters -> `optax.GradientTransformation`; `optax.sgd` itself is one. It may also give a
            pair `(transformation, schedule)`, so that the rate can be recorded.
        schedule: hyperparameters -> schedule `step -> lr`, or the schedule itself; it becomes the optimizer's
            `learning_rate`. Its lengths may be parts of the run, epochs or samples, as in
            `schedules.cosine_decay(0.1, 0.9 * schedules.run)`.
        plateau: hyperparameters -> `reduce_on_plateau(...)`, or the rule itself. It lowers the rate after an epoch.
            With a constant rate its `min_value` is a rate, with a schedule a multiple of the scheduled rate.
        objective: `(outputs, y, **hyperparameters) -> (losses, metrics)` in the place of the task's, as in
            `tasks.supervised`: its numbers, such as the weight of a term, are hyperparameters too.
        epochs: passes over the training data; the metrics are recorded after each.
        updates: the length in updates instead of epochs, and
        every: after how many updates the metrics are recorded, a divisor of `updates`. The batches are then cut from
            an endless row of shuffled passes, so all of them are full.
        batch_size: examples in an update, at most all of them; those of a streamed task have their own size.
        order: `(key, epoch) -> permutation [N]` of the training examples, with another key for each epoch and epochs
            counted from 1; by default a new random one each time.
        monitor: the metric that the plateau watches; `val_loss`, or `loss` where there are no test data.
        record: what else to record, of `initial` (every metric over the train and test data before the first update,
            as `initial_<metric>`), `gradient_norm` and `update_ratio` (means over the updates of the gradient's global
            norm, and of the update's norm over the weights'), and `step_loss` (the loss of every batch before its
            update); and functions `(task, params, state) -> {name: array}` of the weights, whose values before the
            first update are recorded too, as `initial_<name>`.

    Returns:
        The run, to be given to `sweep`. Its metrics are those of the advance, of float32: `loss` and the task's metrics
        running over the examples, each batch before its update; with `val_`, the same over the test data after it;
        `rate`, the learning rate of its last update (NaN where it is unknown).

    Raises:
        ValueError: fewer than one epoch, update or example in a batch; a length in neither epochs nor updates, or in
            both; a plateau or schedule that cannot reach the rate.
        TypeError: a factory is not a function.

    >>> import jax, optax
    >>> from jaxlr import tasks
    >>> run = experiment(tasks.blobs(), optax.sgd, epochs=1)
    >>> hp = {"learning_rate": 0.01}
    >>> carry = run.init(jax.random.key(0), hp)
    >>> carry, metrics = run.advance(carry, jax.random.key(1), hp)
    >>> sorted(metrics), int(carry.step)
    (['accuracy', 'loss', 'rate', 'val_accuracy', 'val_loss'], 16)
    """
    length = _length(epochs, updates, every, batch_size)
    wiring.check_optimizer(optimizer)
    for name, given in (("schedule", schedule), ("order", order), ("objective", objective)):
        if not callable(given) and given is not None:
            raise TypeError(f"{name} must be a function, got {given!r}")
    names, recorders = _recorded(record)
    options = _Options(epochs, every or 1, order, monitor, names, recorders)
    wired = wiring.wire(task, optimizer, schedule, plateau, batch_size, objective)
    # A task's parts rather than the tuple, which `_replace` makes anew.
    parts = tuple(task) if isinstance(task, Task) else (task,)

    def build(hp: Hyperparameters) -> wiring.Parts:
        return _resolved(wiring.parts(wired, hp), options, length)

    return Run(
        lambda key, hp: _init(build(hp), key),
        lambda carry, key, hp, *fed: _advance(build(hp), options, carry, key, *fed),
        length,
        along="step" if epochs is None else "epoch",
        stride=options.every,
        key_of=Moment,
        initial=lambda carry, hp: _initial(build(hp), options, carry),
        weights=lambda carry: carry.params,
        static_names=wired.static_names,
        check=functools.partial(wiring.check, wired, build),
        description=wiring.describe(wired),
        made_of=(*parts, optimizer, schedule, plateau, objective, batch_size, length, *options[:4], *names, *recorders),
        pure=True,
        feed=_feed(task, options),
    )


def _feed(task: Any, options: _Options) -> Feed | None:
    """What the host reads for a task that streams."""
    if not isinstance(task, Task) or task.stream is None:
        return None
    if options.order is not None:
        raise ValueError(f"order must be left out for a stream, which has its own; got {options.order!r}")
    stream = task.stream
    updates = stream.updates if options.epochs is not None else options.every
    return Feed(lambda seeds, done: stream.advances(seeds, done, updates), stream.types(updates))


def _length(epochs: int | None, updates: int | None, every: int | None, batch_size: int) -> int:
    """How many advances there are, after the checks of all that sizes a training."""
    _checks.count("batch_size", batch_size)
    if (epochs is None) == (updates is None) or (updates is None) != (every is None):
        raise ValueError(
            "the length must be given as epochs=, or as updates= and every=; got "
            f"epochs={epochs!r}, updates={updates!r}, every={every!r}"
        )
    if epochs is not None:
        _checks.count("epochs", epochs)
        return epochs
    assert updates is not None
    assert every is not None
    _checks.count("updates", updates)
    _checks.count("every", every)
    if updates % every:
        raise ValueError(f"every must divide updates, got {every} and {updates}")
    if updates * batch_size > _MOST_EXAMPLES:
        raise ValueError(f"updates times batch_size must be at most {_MOST_EXAMPLES}, got {updates} and {batch_size}")
    return updates // every


def _resolved(parts: wiring.Parts, options: _Options, length: int) -> wiring.Parts:
    """The parts, with the lengths of a schedule that are parts of the run, epochs or samples in steps."""
    if not callable(parts.rate):
        return parts
    size = min(parts.batch_size, parts.task.examples)
    per_epoch = parts.task.examples / size
    if options.epochs is not None:
        stream = parts.task.stream
        per_epoch = math.ceil(per_epoch) if stream is None else stream.updates
    num_steps = length * (options.every if options.epochs is None else int(per_epoch))
    return parts._replace(rate=resolve(parts.rate, num_steps, steps_per_epoch=per_epoch, batch_size=size))


def _recorded(record: Sequence[str | Recorder]) -> tuple[tuple[str, ...], tuple[Recorder, ...]]:
    """The names and the functions of `record`."""
    if isinstance(record, str) or not isinstance(record, Sequence):
        raise TypeError(f"record must be a list of names and functions, got {record!r}")
    names = tuple(one for one in record if isinstance(one, str))
    for name in names:
        _checks.one_of("record", name, RECORDS)
    functions = tuple(one for one in record if not isinstance(one, str))
    for function in functions:
        if not callable(function):
            raise TypeError(f"record must hold names and functions (task, params, state), got {function!r}")
    return names, functions


def _init(parts: wiring.Parts, key: jax.Array) -> Carry:
    task = parts.task
    params, state = task.init(key), task.init_state(key)
    plateau = None if parts.plateau is None else parts.plateau.init(wiring.initial_value(parts))
    rate = wiring.first_rate(parts, None if plateau is None else plateau.value)
    transformation, _ = wiring.transformation(parts, rate)
    best = params if parts.plateau is not None and parts.plateau.restore_best else None
    return Carry(params, state, transformation.init(params), plateau, best, jnp.zeros((), jnp.int32))


def _initial(parts: wiring.Parts, options: _Options, carry: Carry) -> Metrics:
    """What is recorded before the first update."""
    found = dict(_of_weights(parts.task, options, carry))
    if "initial" in options.names:
        found |= _scalars(evaluate(parts.task, carry.params, carry.state))
        if parts.task.x_test is not None:
            found |= _tested(parts.task, carry)
    return {f"initial_{name}": value for name, value in found.items()}


def _of_weights(task: Task, options: _Options, carry: Carry) -> Metrics:
    found: Metrics = {}
    for recorder in options.recorders:
        values = recorder(task, carry.params, carry.state)
        if not isinstance(values, dict):
            raise TypeError(f"a function of record must return a dictionary of arrays, got {values!r}")
        found |= {name: jnp.asarray(value) for name, value in values.items()}
    return found


def _tested(task: Task, carry: Carry) -> Metrics:
    found = evaluate(task, carry.params, carry.state, test=True)
    return {f"val_{name}": value for name, value in _scalars(found).items()}


def _scalars(metrics: Metrics) -> Metrics:
    return {name: jnp.asarray(value, float) for name, value in metrics.items()}


def _advance(
    parts: wiring.Parts, options: _Options, carry: Carry, key: jax.Array | Moment, fed: Fed | None = None
) -> tuple[Carry, Metrics]:
    """An epoch, or some updates: the carry after it and its metrics."""
    task = parts.task
    given, step = _batches(parts, options, carry, key, fed)
    value = None if carry.plateau is None else carry.plateau.value
    rates = wiring.rates(parts, value, step + jnp.arange(given.updates, dtype=jnp.int32))
    before = Trained(carry.params, carry.state, carry.opt_state)
    trained, metrics = update_all(parts, before, given, rates, options.names)
    following = carry._replace(**trained._asdict(), step=carry.step + given.updates)
    metrics["rate"] = _last_rate(parts, rates, following)
    metrics = _scalars(metrics)
    if task.x_test is not None:
        metrics |= _tested(task, following)
    metrics |= _of_weights(task, options, following)
    if parts.plateau is None:
        return following, metrics
    following = _react(parts.plateau, following, _monitored(metrics, options.monitor))
    return _stop(carry, following, metrics) if parts.plateau.stop else (following, metrics)


def _batches(
    parts: wiring.Parts, options: _Options, carry: Carry, key: jax.Array | Moment, fed: Fed | None
) -> tuple[Batches, jax.Array]:
    """The batches of an advance, and the updates done before it.

    A moment says both for all members at once; by a plain key, the carry does.
    """
    task, order = parts.task, options.order
    size = min(parts.batch_size, task.examples)
    if task.stream is not None and fed is None:
        raise ValueError("task must be the stream itself, not a function that gives it, and an advance be fed by it")
    if options.epochs is None or fed is not None:
        if not isinstance(key, Moment):
            raise TypeError(f"key of a training counted in updates must be run.key_of(seed_key, number), got {key!r}")
        if fed is not None:
            return batches.of_stream(task, key, fed)
        return batches.of_updates(task, key, order, size, options.every), (key.number - 1) * options.every
    count = -(-task.examples // size)
    if isinstance(key, Moment):
        number, key = key.number, jax.random.fold_in(key.seed, key.number)
    else:
        number = carry.step // count + 1
    permutation = batches.shuffle(key, task.examples) if order is None else order(key, number)
    # What a model keeps of a batch (its mean, say) would see the padding, so there the last batch keeps its own size.
    alone = bool(jax.tree.leaves(carry.state))
    return batches.of_epoch(task, key, permutation, size, alone=alone), (number - 1) * count


def _last_rate(parts: wiring.Parts, rates: Any, carry: Carry) -> Any:
    """The rate of the latest update."""
    if rates is None:
        _, rate_of = wiring.transformation(parts, None)
        return rate_of(carry.step - 1, carry.opt_state)
    return rates if jnp.ndim(rates) == 0 else rates[-1]


def _monitored(metrics: Metrics, monitor: str | None) -> jax.Array:
    name = monitor or ("val_loss" if "val_loss" in metrics else "loss")
    if name not in metrics:
        raise ValueError(f"monitor must be one of {', '.join(sorted(metrics))}; got {name!r}")
    return metrics[name]


def _stop(carry: Carry, following: Carry, metrics: Metrics) -> tuple[Carry, Metrics]:
    """Nothing changes any more once a reduction has taken the rate to its floor; the metrics are then NaN."""
    assert carry.plateau is not None
    stopped = carry.plateau.at_floor & (carry.plateau.reductions > 0)
    metrics = {name: _unless(stopped, value) for name, value in metrics.items()}
    metrics["stopped"] = stopped.astype(float)
    return _choose(stopped, carry, following), metrics


def _unless(stopped: jax.Array, value: jax.Array) -> jax.Array:
    return jnp.where(stopped, jnp.nan, value) if jnp.issubdtype(value.dtype, jnp.inexact) else value


def _choose(condition: jax.Array, yes: PyTree, no: PyTree) -> PyTree:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), yes, no)


def _react(rule: Plateau, carry: Carry, metric: jax.Array) -> Carry:
    """The plateau sees the metric: it may lower its value and put the best weights back."""
    assert carry.plateau is not None
    state = rule.update(carry.plateau, metric)
    carry = carry._replace(plateau=state)
    if not rule.restore_best:
        return carry
    best = _choose(state.improved, carry.params, carry.best)
    return carry._replace(best=best, params=_choose(state.reduced, best, carry.params))
