"""One training as a pair of pure functions, written for a single setting and seed.

`experiment` joins a task, an optimizer, a schedule and a plateau into `init(key, hp) -> carry` and
`epoch(carry, key, hp) -> (carry, metrics)`. `hp` maps hyperparameters to values, which may be traced. Nothing here
loops over epochs, jits or maps: that is the sweep engine's part.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxlr import _checks, wiring
from jaxlr.plateau import Plateau, PlateauState
from jaxlr.tasks import Task

__all__ = ["Carry", "Experiment", "experiment", "shuffle"]

PyTree = Any
Hyperparameters = Mapping[str, Any]
Order = Callable[[jax.Array, jax.Array], jax.Array]
Metrics = dict[str, jax.Array]

RECORDS = ("initial", "gradient_norm", "update_ratio", "step_loss")
"""What `experiment(record=...)` can add to the metrics."""

_AT_ONCE = 4096
"""Test examples in one evaluation; more are taken in blocks, so that memory does not grow with the test set."""


class Carry(NamedTuple):
    """All that a training hands from one epoch to the next.

    Attributes:
        params: the weights.
        state: the model's mutable state; empty for none.
        opt_state: the optimizer's state.
        plateau: the plateau's state, or None.
        best: the weights at the best metric so far where the plateau restores them, else None.
        initial: the metrics before the first update where they are recorded, else empty.
        step: updates done, int32.
    """

    params: PyTree
    state: PyTree
    opt_state: PyTree
    plateau: PlateauState | None
    best: PyTree | None
    initial: Metrics
    step: jax.Array


class Experiment:
    """A training as pure functions, for one setting and one seed; made by `experiment`.

    Attributes:
        init: `(key, hp) -> carry`.
        epoch: `(carry, key, hp) -> (carry, metrics)`, to be given another key for every epoch. The metrics are
            float32 scalars: `loss` and the task's metrics running over the epoch, each batch before its update; with
            `val_`, the same over the test data after the epoch; `rate`, the learning rate of the epoch's last update
            (NaN where it is unknown).
        check: raises unless a setting of plain values fits what optimizer, schedule and plateau take.
        epochs: number of epochs.
        static_names: hyperparameters that are compiled in.
        description: what is trained, in words.
    """

    def __init__(
        self,
        init: Callable[[jax.Array, Hyperparameters], Carry],
        epoch: Callable[[Carry, jax.Array, Hyperparameters], tuple[Carry, Metrics]],
        check: Callable[[Hyperparameters], None],
        epochs: int,
        static_names: frozenset[str],
        description: str,
    ) -> None:
        self.init = init
        self.epoch = epoch
        self.check = check
        self.epochs = epochs
        self.static_names = static_names
        self.description = description

    def __repr__(self) -> str:
        return f"Experiment({self.description}, epochs={self.epochs})"


def experiment(
    task: Task | Callable[..., Task],
    optimizer: Callable[..., Any],
    *,
    schedule: Callable[..., Any] | None = None,
    plateau: Callable[..., Plateau] | Plateau | None = None,
    epochs: int,
    batch_size: int = 32,
    order: Order | None = None,
    monitor: str | None = None,
    record: Sequence[str] = (),
) -> Experiment:
    """A training of `task` with `optimizer`, to be swept over hyperparameters.

    Hyperparameters are handed to whoever names them: optimizer, schedule, plateau (and a task given as a function)
    take the keywords that they declare; `**kwargs` gets what nobody declares. `batch_size` may be an axis too. The
    data are reshuffled for every epoch; the last batch may be smaller and is trained on with its own mean, as Keras
    does.

    Args:
        task: the model and the data; or a function from hyperparameters to them, which are then compiled in.
        optimizer: hyperparameters -> `optax.GradientTransformation`; `optax.sgd` itself is one. It may also give a
            pair `(transformation, schedule)`, so that the rate can be recorded.
        schedule: hyperparameters -> schedule `step -> lr`, which becomes the optimizer's `learning_rate`.
        plateau: hyperparameters -> `reduce_on_plateau(...)`, or the rule itself. It lowers the rate after an epoch.
            With a constant rate its `min_value` is a rate, with a schedule a multiple of the scheduled rate.
        epochs: passes over the training data.
        batch_size: examples in an update, at most all of them.
        order: `(key, epoch) -> permutation [N]` of the training examples, with another key for each epoch and epochs
            counted from 1; by default a new random one each time.
        monitor: the metric that the plateau watches; `val_loss`, or `loss` where there are no test data.
        record: what else to record, of `initial` (every metric over the train and test data before the first update,
            as `initial_<metric>`), `gradient_norm` and `update_ratio` (means over the epoch's updates of the
            gradient's global norm, and of the update's norm over the weights'), and `step_loss` (the loss of every
            batch before its update).

    Returns:
        The experiment: pure functions for one setting and seed, to be given to `sweep`.

    Raises:
        ValueError: fewer than one epoch or example in a batch; a plateau or schedule that cannot reach the rate.
        TypeError: a factory is not a function.

    >>> import jax, optax
    >>> from jaxlr import tasks
    >>> run = experiment(tasks.blobs(), optax.sgd, epochs=1)
    >>> hp = {"learning_rate": 0.01}
    >>> carry = run.init(jax.random.key(0), hp)
    >>> carry, metrics = run.epoch(carry, jax.random.key(1), hp)
    >>> sorted(metrics), int(carry.step)
    (['accuracy', 'loss', 'rate', 'val_accuracy', 'val_loss'], 16)
    """
    _checks.count("epochs", epochs)
    _checks.count("batch_size", batch_size)
    for name, given in (("optimizer", optimizer), ("schedule", schedule), ("order", order)):
        if not callable(given) and (given is not None or name == "optimizer"):
            raise TypeError(f"{name} must be a function, got {given!r}")
    for name in record:
        _checks.one_of("record", name, RECORDS)
    wired = wiring.wire(task, optimizer, schedule, plateau, batch_size)

    def init(key: jax.Array, hp: Hyperparameters) -> Carry:
        return _init(wiring.parts(wired, hp), key, "initial" in record)

    def epoch(carry: Carry, key: jax.Array, hp: Hyperparameters) -> tuple[Carry, Metrics]:
        parts = wiring.parts(wired, hp)
        following, metrics = _epoch(parts, carry, key, order, monitor, record)
        if parts.plateau is not None and parts.plateau.stop:
            return _stop(carry, following, metrics)
        return following, metrics

    return Experiment(
        init,
        epoch,
        functools.partial(wiring.check, wired),
        epochs,
        wired.static_names,
        wiring.describe(wired),
    )


def shuffle(key: jax.Array, n: int) -> jax.Array:
    """A random permutation of `n` positions, int32 `[n]`.

    Up to 4,096 positions: random words whose low bits are replaced by the position are sorted, one array instead of a
    pair. On a CPU that takes 0.3 (JAX 0.10) to 0.8 times (0.12) as long as `jax.random.permutation`. At least 20 bits
    stay random, so two positions tie, and keep their order, with a probability below 1e-6.

    >>> import jax
    >>> sorted(shuffle(jax.random.key(0), 5).tolist())
    [0, 1, 2, 3, 4]
    """
    if n > _AT_ONCE:
        return jax.random.permutation(key, n)
    low = (1 << max(n - 1, 1).bit_length()) - 1
    words = jax.random.bits(key, (n,), jnp.uint32) & jnp.uint32(~low & 0xFFFFFFFF)
    return (jax.lax.sort(words | jnp.arange(n, dtype=jnp.uint32), is_stable=False) & low).astype(jnp.int32)


def _init(parts: wiring.Parts, key: jax.Array, record_initial: bool) -> Carry:
    task = parts.task
    params, state = task.init(key), task.init_state(key)
    plateau = None if parts.plateau is None else parts.plateau.init(wiring.initial_value(parts))
    transformation, _ = wiring.transformation(parts, None if plateau is None else plateau.value)
    best = params if parts.plateau is not None and parts.plateau.restore_best else None
    initial = _metrics_of(task, params, state, "initial_") if record_initial else {}
    step = jnp.zeros((), jnp.int32)
    return Carry(params, state, transformation.init(params), plateau, best, initial, step)


def _metrics_of(task: Task, params: PyTree, state: PyTree, prefix: str) -> Metrics:
    """Every metric over the train and the test data, `prefix` before its name."""
    found = _evaluate(task, params, state)
    if task.x_test is not None:
        found.update({f"val_{name}": value for name, value in _evaluate(_on_test(task), params, state).items()})
    return {f"{prefix}{name}": jnp.asarray(value, jnp.result_type(float)) for name, value in found.items()}


def _on_test(task: Task) -> Task:
    assert task.x_test is not None
    assert task.y_test is not None
    return task._replace(x=task.x_test, y=task.y_test)


def _epoch(
    parts: wiring.Parts,
    carry: Carry,
    key: jax.Array,
    order: Order | None,
    monitor: str | None,
    record: Sequence[str],
) -> tuple[Carry, Metrics]:
    task, n = parts.task, parts.task.examples
    batch_size = min(parts.batch_size, n)
    number = carry.step // -(-n // batch_size) + 1
    permutation = shuffle(key, n) if order is None else order(key, number)
    transformation, rate_of = wiring.transformation(parts, None if carry.plateau is None else carry.plateau.value)
    if carry.plateau is not None:
        carry = carry._replace(opt_state=wiring.told(carry.opt_state, transformation, carry.params))
    key = jax.random.fold_in(key, 1)
    carry, metrics = _train(task, transformation, carry, permutation, batch_size, key, record)
    if task.x_test is not None:
        tested = _evaluate(_on_test(task), carry.params, carry.state)
        metrics.update({f"val_{name}": value for name, value in tested.items()})
    metrics["rate"] = rate_of(carry.step - 1, carry.opt_state)
    metrics.update(carry.initial)
    metrics = {name: jnp.asarray(value, jnp.result_type(float)) for name, value in metrics.items()}
    if parts.plateau is not None:
        carry = _react(parts.plateau, carry, _monitored(metrics, monitor))
    return carry, metrics


def _train(
    task: Task,
    transformation: optax.GradientTransformationExtraArgs,
    carry: Carry,
    permutation: jax.Array,
    batch_size: int,
    key: jax.Array,
    record: Sequence[str],
) -> tuple[Carry, Metrics]:
    """One pass over the shuffled examples: the carry after it and the metrics averaged over the examples."""

    def update(carry: Carry, batch: tuple[jax.Array, ...]) -> tuple[Carry, tuple[Metrics, Metrics]]:
        x, y, weight, number = batch
        own = jax.random.fold_in(key, number)

        def loss(params: PyTree) -> tuple[jax.Array, tuple[Metrics, PyTree]]:
            value, metrics, state = task.loss(params, carry.state, x, y, weight, own)
            return value, (metrics, state)

        (value, (metrics, state)), grads = jax.value_and_grad(loss, has_aux=True)(carry.params)
        updates, opt_state = transformation.update(grads, carry.opt_state, carry.params, value=value)
        params = optax.apply_updates(carry.params, updates)
        seen = {
            "gradient_norm": lambda: optax.tree.norm(grads),
            "update_ratio": lambda: optax.tree.norm(updates) / optax.tree.norm(carry.params),
            "step_loss": lambda: value,
        }
        recorded = {name: seen[name]() for name in record if name in seen}
        share = weight.sum() / task.examples
        shares = {name: share * metric for name, metric in {"loss": value, **metrics}.items()}
        carry = carry._replace(params=params, state=state, opt_state=opt_state)
        return carry, (shares, recorded)

    full, rest = divmod(task.examples, batch_size)
    # What a model keeps of a batch (its mean, say) would see the padding, so there the last batch keeps its own size.
    pad = rest > 0 and not jax.tree.leaves(carry.state)
    batches = _batches(task, permutation, batch_size, full + pad)
    carry, seen = _scan(update, carry, batches)
    if rest and not pad:
        ones = jnp.ones(rest, batches[2].dtype)
        last = (*_gather(task, permutation[full * batch_size :]), ones, jnp.int32(full))
        carry, more = update(carry, last)
        seen = jax.tree.map(lambda values, value: jnp.append(values, value), seen, more)
    # Counted once, not in every update, where it would be one more operation for each member.
    carry = carry._replace(step=carry.step + full + (rest > 0))
    shares, recorded = seen
    metrics = {name: values.sum() for name, values in shares.items()}
    for name, values in recorded.items():
        metrics[name] = values if name == "step_loss" else values.mean()
    return carry, metrics


def _gather(task: Task, positions: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, y = (jnp.take(array, positions, axis=task.axis, mode="clip") for array in (task.x, task.y))
    return x, y


def _batches(task: Task, permutation: jax.Array, batch_size: int, count: int) -> tuple[jax.Array, ...]:
    """`count` batches of inputs, targets, weights and their numbers, the batches' axis first; zero weight pads."""
    positions = permutation[: count * batch_size]
    padding = count * batch_size - len(positions)
    weight = np.ones(count * batch_size, np.float32)
    weight[len(positions) :] = 0
    positions = jnp.concatenate([positions, jnp.zeros(padding, positions.dtype)])

    def split(array: jax.Array) -> jax.Array:
        at = task.axis % array.ndim
        shape = (*array.shape[:at], count, batch_size, *array.shape[at + 1 :])
        return jnp.moveaxis(array.reshape(shape), at, 0)

    x, y = _gather(task, positions)
    return split(x), split(y), jnp.asarray(weight.reshape(count, batch_size)), jnp.arange(count)


def _scan(update: Callable[[Carry, Any], tuple[Carry, PyTree]], carry: Carry, batches: PyTree) -> tuple[Carry, PyTree]:
    """`lax.scan`, with the batch handed on in the carry.

    As the scan's input, XLA on a CPU fuses the batch's slice into the first layer and loses the SIMD form: an update
    takes twice as long.
    """

    def step(loop: tuple[Carry, Any], following: Any) -> tuple[tuple[Carry, Any], PyTree]:
        carry, batch = loop
        carry, seen = update(carry, batch)
        return (carry, following), seen

    first = jax.tree.map(lambda array: array[0], batches)
    rolled = jax.tree.map(lambda array: jnp.roll(array, -1, axis=0), batches)
    (carry, _), seen = jax.lax.scan(step, (carry, first), rolled)
    return carry, seen


def _evaluate(task: Task, params: PyTree, state: PyTree) -> Metrics:
    """Loss and metrics over all of `x` and `y`."""
    n = task.examples

    def evaluate(x: jax.Array, y: jax.Array, weight: jax.Array) -> Metrics:
        value, metrics, _ = task.loss(params, state, x, y, weight, None)
        return {"loss": value, **metrics}

    if n <= _AT_ONCE:
        return evaluate(task.x, task.y, jnp.ones(n))
    *blocks, _ = _batches(task, jnp.arange(n), _AT_ONCE, -(-n // _AT_ONCE))
    means = jax.lax.map(lambda block: evaluate(*block), tuple(blocks))
    shares = blocks[2].sum(axis=1) / n
    return {name: (values * shares).sum() for name, values in means.items()}


def _monitored(metrics: Metrics, monitor: str | None) -> jax.Array:
    name = monitor or ("val_loss" if "val_loss" in metrics else "loss")
    if name not in metrics:
        raise ValueError(f"monitor must be one of {', '.join(sorted(metrics))}; got {name!r}")
    return metrics[name]


def _stop(carry: Carry, following: Carry, metrics: Metrics) -> tuple[Carry, Metrics]:
    """Nothing changes any more once a reduction has taken the rate to its floor; the metrics are then NaN."""
    assert carry.plateau is not None
    stopped = carry.plateau.at_floor & (carry.plateau.reductions > 0)
    metrics = {name: jnp.where(stopped, jnp.nan, value) for name, value in metrics.items()}
    metrics["stopped"] = stopped.astype(metrics["loss"].dtype)
    return _choose(stopped, carry, following), metrics


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
