"""Checks of a training by small experiments: can it learn by heart, does it start at chance, is its rate too high?

Each trains a little on one device and returns a `Check`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxlr import _checks
from jaxlr._types import Optimizer
from jaxlr.engine import Decision, Members, Segment, collect, prepare, segments, sweep
from jaxlr.runs import Run, experiment
from jaxlr.spaces import Axis, Space, grid, log_range
from jaxlr.tasks import Task

__all__ = ["Check", "initial_loss_check", "overfit_check", "probe_lower"]

_LEARNT = 0.05
"""A loss below this share of the initial one was learnt by heart."""

_CHANCE = 2.0
"""An initial loss may be this many times the expected one, or one over it."""

_GAIN = 0.1
"""A lower rate helps when it takes this share off the final loss."""


class Check(NamedTuple):
    """What a check found.

    Attributes:
        passed: whether all is as it should be.
        numbers: what was measured, by name.
        explanation: what it means and what to do, in words.
    """

    passed: bool
    numbers: dict[str, float]
    explanation: str

    def __str__(self) -> str:
        return f"{'passed' if self.passed else 'failed'}: {self.explanation}"


def overfit_check(
    task: Task,
    optimizer: Optimizer,
    *,
    examples: int = 32,
    epochs: int = 300,
    learning_rates: Sequence[float] | None = None,
    seeds: int = 2,
) -> Check:
    """Can the model learn a few examples by heart? If not, something is broken that no learning rate mends.

    Trains on `examples` of the training examples, all in one batch, with every rate. It passes when with some rate
    the loss of every seed ends below a twentieth of the initial loss, in the median of its last tenth.

    Args:
        task: the model and the data.
        optimizer: `learning_rate -> optax.GradientTransformation`.
        examples: how many to learn, drawn at random with a fixed seed; all of them where there are fewer.
        epochs: updates to learn them in.
        learning_rates: rates to try; by default nine from 1e-4 to 1.
        seeds: initial weights to try.

    Returns:
        The check; its numbers are `initial` and `final` (the worst seed at the best rate), `ratio` and
        `learning_rate`, the best one.

    Raises:
        ValueError: fewer than one example, epoch or seed, or a rate that is not positive.

    >>> import optax
    >>> from jaxlr import tasks
    >>> check = overfit_check(tasks.blobs(), optax.adam, examples=8, epochs=100, learning_rates=[0.01, 0.1])
    >>> check.passed, check.numbers["ratio"] < 0.05
    (True, True)

    Reference: the advice to see a model overfit a little data first; A. Karpathy, "A recipe for training neural
    networks" (2019).
    """
    _checks.count("examples", examples)
    rates = log_range(1e-4, 1.0, 9) if learning_rates is None else [float(rate) for rate in learning_rates]
    few = _subset(task, examples)
    run = experiment(few, optimizer, epochs=epochs, batch_size=few.examples, record=["initial"])
    ds = sweep(run, grid(learning_rate=rates), seeds=seeds, devices=1)
    initial = ds["initial_loss"].isel(learning_rate=0).values
    last = ds["loss"].isel(epoch=slice(-max(epochs // 10, 1), None)).median("epoch", skipna=False).values
    ratios = np.where(np.isfinite(last), last, np.inf) / initial
    best = int(np.argmin(ratios.max(axis=1)))
    worst = int(np.argmax(ratios[best]))
    ratio = float(ratios[best, worst])
    passed = ratio < _LEARNT
    found = f"{few.examples} examples: loss {initial[worst]:.3g} -> {last[best, worst]:.3g} at rate {rates[best]:.3g}"
    meaning = (
        "; the model can learn them by heart, so model, loss and gradients work"
        if passed
        else f", above {_LEARNT:.0%} of the initial loss at every rate: look for a fault in the model, the loss, the "
        "labels or the data before tuning the learning rate"
    )
    numbers = {
        "initial": float(initial[worst]),
        "final": float(last[best, worst]),
        "ratio": ratio,
        "learning_rate": rates[best],
    }
    return Check(passed, numbers, found + meaning)


def _subset(task: Task, count: int) -> Task:
    """A few training examples, without test data."""
    n = task.examples
    rows = np.sort(np.random.default_rng(0).permutation(n)[: min(count, n)])
    x, y = (jnp.take(array, rows, axis=task.axis) for array in (task.x, task.y))
    return task._replace(x=x, y=y, x_test=None, y_test=None)


def initial_loss_check(task: Task, *, expected: float | None = None, seeds: int = 8) -> Check:
    """Is the loss before training what chance predicts? If it is higher, the first updates only undo the start.

    Chance costs `ln K` for `K` classes (integer targets) and the targets' variance for a regression. It passes when the
    median over the seeds is at most twice and at least half of that.

    Args:
        task: the model and the data; the loss is taken over all training examples.
        expected: the loss by chance, where the task's loss is neither a cross-entropy nor a squared error.
        seeds: initial weights to look at.

    Returns:
        The check; its numbers are `initial` (the median), `lowest`, `highest` and `expected`.

    Raises:
        ValueError: `expected` is not positive.

    >>> from flax import linen
    >>> import numpy as np
    >>> from jaxlr import tasks
    >>> task = tasks.classification(linen.Dense(4), np.zeros((8, 2)), np.arange(8) % 4)
    >>> check = initial_loss_check(task)
    >>> check.passed, round(check.numbers["initial"], 4)
    (True, 1.3863)

    Reference: A. Karpathy, "A recipe for training neural networks" (2019), "verify loss @ init".
    """
    if expected is None:
        expected = _chance(task)
    _checks.positive("expected", expected)

    run = experiment(task._replace(x_test=None, y_test=None), optax.sgd, updates=1, every=1, record=["initial"])
    ds = sweep(run, grid(learning_rate=1e-3), seeds=seeds, devices=1)
    losses = ds["initial_loss"].values
    initial = float(np.median(losses))
    passed = bool(expected / _CHANCE <= initial <= expected * _CHANCE)
    found = f"initial loss {initial:.3g} (of {seeds} seeds: {losses.min():.3g} to {losses.max():.3g}), by chance "
    found += f"{expected:.3g}"
    if passed:
        meaning = ": as expected"
    elif initial < expected / _CHANCE:
        meaning = ": lower than chance before any training; look for targets that leak into the inputs, or another loss"
    else:
        meaning = ": higher than chance; scale the inputs, the targets or the last layer's weights down, or the first "
        meaning += "updates are spent on undoing the start"
    numbers = {"initial": initial, "lowest": float(losses.min()), "highest": float(losses.max()), "expected": expected}
    return Check(passed, numbers, found + meaning)


def _chance(task: Task) -> float:
    y = np.asarray(task.y)
    return float(np.log(max(int(y.max()) + 1, 2))) if np.issubdtype(y.dtype, np.integer) else float(y.var())


def probe_lower(
    run: Run,
    setting: Mapping[str, Any],
    *,
    rate: str = "learning_rate",
    after: float = 0.5,
    times: Sequence[float] = (5, 10),
    seeds: int = 4,
) -> Check:
    """Is the loss stuck, and would it go on falling at a rate five or ten times lower?

    Trains as `run` does until the share `after` of its epochs, and from there once at the same rate and once at each
    lower one, with the same weights and batches. A lower rate helps when it takes a tenth off the loss of the last
    epochs, and more than two standard errors of the seeds' differences. The check passes when none does: the rate is
    not too high.

    Args:
        run: an experiment.
        setting: hyperparameter -> value, one setting of it.
        rate: the name of the hyperparameter that is the learning rate.
        after: when to lower the rate, a share of the epochs above 0 and below 1.
        times: how many times lower, each above 1.
        seeds: trainings to judge by.

    Returns:
        The check; its numbers are `at_change` (the loss when the rate changes), `kept` (the final loss at the same
        rate), `stuck` (1 if that fell by less than a twentieth since), and `lower_<times>` and `gain_<times>` for each
        lower rate.

    Raises:
        ValueError: the setting lacks the rate, a number is out of range, or the experiment's rate does not follow it.

    >>> import optax
    >>> from jaxlr import experiment, tasks
    >>> check = probe_lower(experiment(tasks.blobs(), optax.sgd, epochs=30), {"learning_rate": 1.0}, seeds=2)
    >>> check.passed, check.numbers["gain_10"] > 0.1
    (False, True)

    Reference: the advice, when the loss stays where it is, to lower the rate five and ten times and to be patient.
    """
    if rate not in setting:
        raise ValueError(f"setting must have {rate}, the rate to lower; got {', '.join(setting) or 'nothing'}")
    _checks.positive(rate, setting[rate])
    if not times or min(times) <= 1:
        raise ValueError(f"times must be numbers above 1, got {times!r}")
    change = round(after * run.length)
    if not 0 < change < run.length:
        raise ValueError(f"after must leave epochs before and after the change, got {after!r} of {run.length} epochs")
    run.check(setting)
    members = _lowered(run, setting, rate, np.array([1.0, *(1 / t for t in times)]), change, seeds)
    _check_lowered(members.arrays["rate"], rate, change)
    return _judged(members.arrays["loss"], change, [float(t) for t in times], float(setting[rate]))


def _lowered(run: Run, setting: Mapping[str, Any], rate: str, factors: np.ndarray, change: int, seeds: int) -> Members:
    """Trainings of one setting whose rates are multiplied by `factors` after so many epochs."""
    columns = {rate: (float(setting[rate]),) * len(factors)}
    fixed = (Axis(None, {name: (value,)}) for name, value in setting.items() if name != rate)
    space = Space((Axis("setting", columns), *fixed))
    traced, compiled, layout, _ = prepare(run, space, seeds, jax.random.key(0), "auto", 1, change, None)
    members = Members(len(factors), seeds, run.length)

    def lower(segment: Segment) -> Decision | None:
        block = segment.block
        if block.done != change:
            return None
        lowered = block.traced[rate] * factors[block.settings]
        return Decision(traced={**block.traced, rate: lowered.astype(block.traced[rate].dtype)})

    collect(segments(traced, compiled, layout, seeds), members, decide=lower)
    return members


def _check_lowered(rates: np.ndarray, name: str, change: int) -> None:
    """The rate of the lower trainings is lower; unknown rates (NaN) are let through."""
    if np.isfinite(rates[:, 0]).all() and not (rates[1:, 0, change] < rates[0, 0, change]).all():
        raise ValueError(f"rate must be the hyperparameter that sets the learning rate, got {name!r}, which does not")


def _judged(losses: np.ndarray, change: int, times: list[float], rate: float) -> Check:
    """The check from the losses `[1 + lower rates, seeds, epochs]`."""
    last = max((losses.shape[2] - change) // 4, 1)
    finals = losses[:, :, -last:].mean(axis=2)
    before = losses[0, :, max(change - last, 0) : change].mean()
    kept = finals[0].mean()
    numbers = {"at_change": float(before), "kept": float(kept), "stuck": float(not kept < 0.95 * before)}
    helps = []
    for lower, t in zip(finals[1:], times, strict=True):
        differences = finals[0] - lower
        error = differences.std(ddof=1) / np.sqrt(len(differences)) if len(differences) > 1 else 0.0
        gain = float(differences.mean() / abs(kept)) if np.isfinite(kept) else float(np.isfinite(lower).all())
        numbers |= {f"lower_{t:g}": float(lower.mean()), f"gain_{t:g}": gain}
        if gain > _GAIN and not differences.mean() <= 2 * error:
            helps.append((gain, t))
    state = "is stuck" if numbers["stuck"] else "still falls"
    found = f"at rate {rate:.3g} the loss {state} ({before:.3g} -> {kept:.3g})"
    if helps:
        gain, t = max(helps)
        lower = numbers[f"lower_{t:g}"]
        return Check(
            False,
            numbers,
            f"{found}; {t:g} times lower it ends {gain:.0%} below that, at {lower:.3g}: go on with {rate / t:.3g}",
        )
    return Check(True, numbers, f"{found}, and a lower rate takes off less than {_GAIN:.0%}: the rate is not too high")
