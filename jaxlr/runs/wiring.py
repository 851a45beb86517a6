"""Which hyperparameter goes to whom, and what the optimizer's learning rate is.

A training is described by factories (task, optimizer, schedule, plateau) that take hyperparameters as keywords. Here
the names are shared out and checked, and the factories called.
"""

from __future__ import annotations

import functools
import inspect
import traceback
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxlr import _checks
from jaxlr._types import Hyperparameters, Optimizer, PyTree
from jaxlr.plateau import Plateau
from jaxlr.spaces.values import label
from jaxlr.tasks import Objective, Task, mean_loss

__all__ = [
    "Parts",
    "Wiring",
    "check",
    "check_optimizer",
    "describe",
    "first_rate",
    "initial_value",
    "parts",
    "rates",
    "told",
    "transformation",
    "wire",
]


_TRACEABLE = {
    "cosine_decay_schedule": "cosine_decay",
    "cosine_onecycle_schedule": "cosine_onecycle",
    "exponential_decay": "exponential_decay",
    "join_schedules": "join",
    "linear_onecycle_schedule": "linear_onecycle",
    "linear_schedule": "linear",
    "piecewise_constant_schedule": "multistep",
    "piecewise_interpolate_schedule": "piecewise_interpolate",
    "polynomial_schedule": "polynomial_decay",
    "sgdr_schedule": "cosine_restarts",
    "warmup_constant_schedule": "warmup",
    "warmup_cosine_decay_schedule": "warmup(schedules.cosine_decay(...), ...)",
    "warmup_exponential_decay_schedule": "warmup(schedules.exponential_decay(...), ...)",
}
"""Optax's schedules that compare their arguments, and ours in their place."""


class Slot(NamedTuple):
    """A factory and the keywords that it declares."""

    role: str
    factory: Callable[..., Any]
    names: tuple[str, ...]
    required: frozenset[str]
    takes_others: bool
    defaults: Mapping[str, Any]


class Wiring(NamedTuple):
    """The factories of a training; `schedule`, `plateau` and `objective` may be None."""

    task: Slot
    optimizer: Slot
    schedule: Slot | None
    plateau: Slot | None
    batching: Slot
    objective: Slot | None

    @property
    def slots(self) -> list[Slot]:
        return [slot for slot in self if slot is not None]

    @property
    def static_names(self) -> frozenset[str]:
        """Hyperparameters that shape arrays, and so are compiled in."""
        return frozenset(self.task.names) | frozenset(self.batching.names)


class Parts(NamedTuple):
    """What the factories give for one setting.

    Attributes:
        task: the task.
        batch_size: examples in an update.
        rate: the learning rate as a number or a schedule, or None where only the optimizer knows it.
        plateau: the plateau's rule, or None.
        optimizer: `learning_rate -> transformation` (or -> `(transformation, schedule)`), to be given a number; None
            where `rate` is None.
    """

    task: Task
    batch_size: int
    rate: Any
    plateau: Plateau | None
    optimizer: Callable[[Any], Any]


def wire(
    task: Task | Callable[..., Task],
    optimizer: Optimizer,
    schedule: Callable[..., Any] | None,
    plateau: Callable[..., Plateau] | Plateau | None,
    batch_size: int,
    objective: Objective | None = None,
) -> Wiring:
    """The slots of a training, from what the user gave for each."""
    make_task = (lambda: task) if isinstance(task, Task) else task
    streams = isinstance(task, Task) and task.stream is not None
    rule = plateau
    make_plateau = (lambda: rule) if isinstance(plateau, Plateau) else plateau
    if schedule is not None and _is_schedule(schedule):
        built = schedule
        schedule = lambda: built  # noqa: E731 - as the rule of a plateau
    wiring = Wiring(
        _slot("task", make_task)._replace(factory=_remembered(make_task)),
        _slot("optimizer", optimizer),
        None if schedule is None else _slot("schedule", schedule),
        None if make_plateau is None else _slot("plateau", make_plateau),
        # A stream's batches have the size that they have.
        Slot("experiment", dict, () if streams else ("batch_size",), frozenset(), False, {"batch_size": batch_size}),
        None if objective is None else _slot("objective", objective, given=2),
    )
    if schedule is not None:
        if "learning_rate" not in wiring.optimizer.names:
            raise ValueError(
                "optimizer must take `learning_rate` when a schedule is given, "
                f"got one that takes {_listed(wiring.optimizer.names)}"
            )
        wiring = wiring._replace(optimizer=_without_rate(wiring.optimizer))
    elif plateau is not None and "learning_rate" not in wiring.optimizer.names:
        raise ValueError(
            "a plateau must know the learning rate that it lowers: give it by schedule=, or let the optimizer take it "
            f"as `learning_rate`; got an optimizer that takes {_listed(wiring.optimizer.names)}"
        )
    return wiring


def _is_schedule(schedule: Callable[..., Any]) -> bool:
    """Whether it is a schedule itself, `step -> lr`, not a function that makes one from hyperparameters."""
    named = [p for p in inspect.signature(schedule).parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    return len(named) == 1 and named[0].name in ("count", "step") and named[0].default is inspect.Parameter.empty


def check_optimizer(optimizer: Any) -> None:
    """Raise unless an optimizer is given as a function of its hyperparameters."""
    if hasattr(optimizer, "init") and hasattr(optimizer, "update"):
        raise TypeError(
            "optimizer must be a function of hyperparameters, such as optax.adam or "
            "lambda learning_rate: optax.adamw(learning_rate, weight_decay=0.1); got one that is built, whose rate "
            "can be swept no more"
        )
    if not callable(optimizer):
        raise TypeError(f"optimizer must be a function of hyperparameters, got {optimizer!r}")


def _remembered(make_task: Callable[..., Task]) -> Callable[..., Task]:
    """A task factory may load data: it is called once for each of its values, and they live as long as the wiring."""
    known: dict[Any, Task] = {}

    def make(**values: Any) -> Task:
        name = tuple((key, label(values[key])) for key in sorted(values))
        if name not in known:
            known[name] = make_task(**values)
        return known[name]

    return make


def _slot(role: str, factory: Callable[..., Any], given: int = 0) -> Slot:
    """A factory's keywords, but for the first ones, which it is given by position."""
    kinds = inspect.Parameter
    parameters = list(inspect.signature(factory).parameters.values())[given:]
    named = [p for p in parameters if p.kind in (kinds.POSITIONAL_OR_KEYWORD, kinds.KEYWORD_ONLY)]
    defaults = {p.name: p.default for p in named if p.default is not kinds.empty}
    return Slot(
        role,
        factory,
        tuple(p.name for p in named),
        frozenset(p.name for p in named if p.name not in defaults),
        any(p.kind is kinds.VAR_KEYWORD for p in parameters),
        defaults,
    )


def _without_rate(optimizer: Slot) -> Slot:
    """The optimizer whose learning rate comes from the schedule, not from the space."""
    names = tuple(name for name in optimizer.names if name != "learning_rate")
    return optimizer._replace(names=names, required=optimizer.required - {"learning_rate"})


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "nothing"


def _share(wiring: Wiring, names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Role -> the hyperparameters that it gets; whoever declares a name, else whoever takes any."""
    declared = {name for slot in wiring.slots for name in slot.names}
    others = tuple(name for name in names if name not in declared)
    return {
        slot.role: tuple(name for name in names if name in slot.names) + (others if slot.takes_others else ())
        for slot in wiring.slots
    }


def check_names(wiring: Wiring, names: Iterable[str]) -> None:
    """Raise unless every name is taken by somebody and nobody lacks one."""
    names = tuple(names)
    shared = _share(wiring, names)
    takers = "; ".join(f"the {slot.role} takes {_listed(slot.names)}" for slot in wiring.slots)
    for name in names:
        if not any(name in got for got in shared.values()):
            if name == "learning_rate" and wiring.schedule is not None:
                raise ValueError("learning_rate must not be in the space when schedule= gives the rate, got both")
            raise ValueError(f"every hyperparameter must be taken by somebody, got {name!r}: {takers}")
    for slot in wiring.slots:
        missing = slot.required - set(shared[slot.role])
        if missing:
            raise ValueError(
                f"the space must have {_listed(sorted(missing))}, which the {slot.role} needs; got {_listed(names)}"
            )


def check(wiring: Wiring, build: Callable[[Hyperparameters], Parts], setting: Hyperparameters) -> None:
    """Raise unless a setting of plain values fits: its names, its rates, and the factories' own checks of them.

    Args:
        wiring: who takes what.
        build: hyperparameters -> parts.
        setting: hyperparameters with plain values.
    """
    check_names(wiring, setting)
    if "learning_rate" in setting and not callable(setting["learning_rate"]):
        _checks.non_negative("learning_rate", setting["learning_rate"])  # zero is a control
    built = build(setting)
    _checks.count("batch_size", built.batch_size)
    transformation(built, first_rate(built, None if built.plateau is None else initial_value(built)))


def parts(wiring: Wiring, hp: Hyperparameters) -> Parts:
    """Call the factories with their shares of the hyperparameters; these may be traced."""
    shared = _share(wiring, hp)

    def build(slot: Slot | None) -> Any:
        return None if slot is None else _called(slot, {name: hp[name] for name in shared[slot.role]})

    mine = {name: hp[name] for name in shared["optimizer"]}
    takes_rate = wiring.schedule is not None or "learning_rate" in wiring.optimizer.names
    rate = build(wiring.schedule)
    if wiring.schedule is None and takes_rate:
        rate = mine.pop("learning_rate", wiring.optimizer.defaults.get("learning_rate"))

    def optimizer(learning_rate: Any) -> Any:
        given = {"learning_rate": learning_rate} if takes_rate and learning_rate is not None else {}
        return _called(wiring.optimizer, {**given, **mine})

    task = _with_objective(
        build(wiring.task), wiring.objective, {name: hp[name] for name in shared.get("objective", ())}
    )
    batch_size = {**wiring.batching.defaults, **build(wiring.batching)}["batch_size"]
    return Parts(task, batch_size, rate, build(wiring.plateau), optimizer)


def _called(slot: Slot, given: Hyperparameters) -> Any:
    """What a factory gives for its share; where it cannot be traced, the error says which one and what to write."""
    try:
        return slot.factory(**given)
    except jax.errors.ConcretizationTypeError as error:
        traced = ", ".join(name for name, value in given.items() if isinstance(value, jax.core.Tracer))
        called = (frame.f_code.co_name for frame, _ in traceback.walk_tb(error.__traceback__))
        known = (name for name in called if name in _TRACEABLE)
        name = next(known, getattr(slot.factory, "__name__", repr(slot.factory)))
        ours = _TRACEABLE.get(name, "")
        advice = f"use schedules.{ours}, whose every number may be traced, or " if ours else ""
        raise TypeError(
            f"{slot.role} must take traced numbers, but {name} steers Python code with {traced}: {advice}"
            "mark the one that it looks at as static, such as grid(decay_steps=static([100, 200]))"
        ) from error


def _with_objective(task: Task, objective: Slot | None, hp: Hyperparameters) -> Task:
    """The task with its own loss, or with that of the objective."""
    if objective is None:
        return task
    if task.apply is None:
        raise ValueError("objective must go with a task whose model is known, as `tasks.supervised` makes it")
    return task._replace(loss=mean_loss(task.apply, functools.partial(objective.factory, **hp)))


def initial_value(built: Parts) -> Any:
    """What a plateau starts from: the rate itself when it is a number, 1 as the multiplier of a schedule."""
    if built.rate is None:
        raise ValueError("a plateau must know the learning rate that it lowers: give learning_rate in the space")
    return 1.0 if callable(built.rate) else built.rate


def first_rate(built: Parts, value: Any) -> Any:
    """The learning rate of the first update; None where only the optimizer knows it."""
    if callable(built.rate):
        rate = built.rate(jnp.int32(0))
        return rate if value is None else rate * value
    return built.rate if value is None else value


def rates(built: Parts, value: jax.Array | None, steps: jax.Array) -> Any:
    """The learning rates of the updates at `steps` `[updates]`: one for each, or a number that is all of theirs.

    None where only the optimizer knows them. Like a plain number they are weakly typed, so that bfloat16 weights stay
    bfloat16.

    Args:
        built: what the factories gave.
        value: the plateau's value, or None without a plateau. It changes the rate, not the update: with Keras's
            momentum, where the rate sits inside the velocity, the two differ.
        steps: updates done before each of them, int32.
    """
    if not callable(built.rate):
        return built.rate if value is None else _weak(value)
    found = jax.vmap(lambda step: jnp.asarray(built.rate(step), float))(steps)
    return _weak(found if value is None else found * value)


def _weak(array: jax.Array) -> jax.Array:
    """The same numbers, of a type that gives way to other floats."""
    return jax.lax.broadcast(jnp.asarray(0.0), array.shape).at[...].set(array)


def transformation(
    built: Parts, rate: jax.Array | float | None
) -> tuple[optax.GradientTransformationExtraArgs, Callable[[jax.Array, Any], Any]]:
    """The optimizer at a learning rate, and `(step, opt_state) -> rate` for a rate that only the optimizer knows.

    `step` is that of an update, `opt_state` the state after it.
    """
    made = built.optimizer(rate)
    own = None
    if isinstance(made, tuple) and not hasattr(made, "update"):
        made, own = made
    if not (callable(getattr(made, "init", None)) and callable(getattr(made, "update", None))):
        raise TypeError(f"optimizer must give an optax.GradientTransformation, got {made!r}")
    if not isinstance(made, optax.GradientTransformation):
        # By its methods, as `optax.MultiSteps` has them.
        made = optax.GradientTransformationExtraArgs(made.init, made.update)

    def rate_of(step: jax.Array, opt_state: PyTree) -> Any:
        held = optax.tree_utils.tree_get_all_with_path(opt_state, "learning_rate")
        if len(held) == 1:
            return held[0][1]
        # Guessing from inside an arbitrary transformation gives wrong numbers; unknown is NaN.
        return jnp.nan if own is None else own(step)

    return optax.with_extra_args_support(made), rate_of


def told(opt_state: PyTree, transformation: optax.GradientTransformation, params: PyTree) -> PyTree:
    """The state with the learning rates that a fresh one holds: `optax.inject_hyperparams` reads them there alone."""

    def holds(path: tuple[Any, ...]) -> bool:
        return bool(path) and getattr(path[-1], "key", getattr(path[-1], "name", None)) == "learning_rate"

    def choose(path: tuple[Any, ...], old: Any, new: Any) -> Any:
        return jnp.asarray(new, old.dtype) if holds(path) else old

    if not any(holds(path) for path, _ in jax.tree_util.tree_flatten_with_path(opt_state)[0]):
        return opt_state
    return jax.tree_util.tree_map_with_path(choose, opt_state, transformation.init(params))


def describe(wiring: Wiring) -> str:
    """The factories by name, for a result's attributes."""
    words = [
        f"{slot.role}={_name(slot.factory)}"
        for slot in (wiring.optimizer, wiring.schedule, wiring.plateau, wiring.objective)
        if slot
    ]
    return ", ".join(words)


def _name(factory: Callable[..., Any]) -> str:
    module, name = getattr(factory, "__module__", None), getattr(factory, "__qualname__", None)
    return f"{module}.{name}" if name else repr(factory)
