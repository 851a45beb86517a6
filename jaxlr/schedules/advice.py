"""A schedule looked at: as numbers, and what an experienced eye says of it."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from ._arguments import Schedule, as_step, part_at
from .lengths import resolve


def tabulate(schedule: Schedule, num_steps: int) -> jax.Array:
    """The rate at each of the first steps.

    `table[t] = schedule(t)` for `t = 0, …, num_steps - 1`

    Args:
        schedule: any function of the step that JAX can trace; its lengths may be parts of a run of so many steps.
        num_steps: how many steps.

    Returns:
        An array of shape `(num_steps,)`.

    Raises:
        TypeError, ValueError: `num_steps` is not an integer of at least 1.

    >>> from jaxlr.schedules import linear
    >>> tabulate(linear(1.0, 4), 3).tolist()
    [1.0, 0.75, 0.5]
    """
    _checks.count("num_steps", num_steps)
    schedule = resolve(schedule, num_steps)
    return jax.vmap(lambda step: part_at(schedule)(as_step(step)))(jnp.arange(num_steps, dtype=jnp.int32))


class Advice(NamedTuple):
    """A remark on a schedule: which rule, and what was found. `ok` when the rule is kept."""

    rule: str
    ok: bool
    message: str


_START = (1e-3, 1e-2)
_FALL = 100.0
_FINE_TUNING = 1e-4
_WARMUP_PART = 0.1
_WASTED_PART = 0.05
_JUMP = 1.5


def review(schedule: Schedule, num_steps: int, fine_tuning: bool = False) -> list[Advice]:
    """Rules of thumb for a schedule over a run, with the numbers found.

    The rules: a start between 0.001 and 0.01 (for plain SGD; the highest rate counts when there is a
    warm-up), an end at least 100 times lower, for fine-tuning every rate at or below 1e-4 instead of the
    start's rule; then: no invalid or negative rates, an end that is reached within the run, a warm-up of at
    most a tenth of the run, no jump up by half or more, and no long stretch at zero.

    Args:
        schedule: any function of the step that JAX can trace.
        num_steps: the steps of the run.
        fine_tuning: whether the model is trained already.

    Returns:
        One remark for each rule.

    Raises:
        TypeError, ValueError: `num_steps` is not an integer of at least 1.

    >>> from jaxlr.schedules import linear
    >>> for advice in review(linear(0.5, 100, end_value=0.1), 100)[1:3]:
    ...     print(advice.ok, advice.message)
    False starts at 0.5; for plain SGD 0.001 to 0.01 is a good start
    False ends at 0.104, 4.81 times below its highest rate; 100 times or more is usual

    Reference: "Introduction to the learning rate" (loss-curve rules of thumb after Wei, "Analysis of
    convolutional neural networks"); Godbole et al., "Deep Learning Tuning Playbook", for the warm-up.
    """
    _checks.count("num_steps", num_steps)
    schedule = resolve(schedule, num_steps)
    rates = np.asarray(tabulate(schedule, num_steps + 1), np.float64)
    after, rates = rates[-1], rates[:-1]
    if not np.isfinite(rates).all():
        first = int(np.argmin(np.isfinite(rates)))
        return [Advice("valid", False, f"is {rates[first]} at step {first}; a rate must be a number")]
    start = _fine_tuning(rates) if fine_tuning else _start(rates)
    return [
        _valid(rates),
        start,
        _end(rates),
        _end_reached(schedule, rates, float(after)),
        _warmup(rates),
        _jumps(rates),
        _zeros(rates),
    ]


def _peak(rates: np.ndarray) -> int:
    return int(rates.argmax())


def _valid(rates: np.ndarray) -> Advice:
    negative = np.flatnonzero(rates < 0)
    if negative.size:
        first = int(negative[0])
        return Advice("valid", False, f"is negative at {negative.size} steps, first {rates[first]:.3g} at step {first}")
    if not rates.any():
        return Advice("valid", False, "is zero throughout; nothing would be learnt")
    return Advice("valid", True, f"stays between {rates.min():.3g} and {rates.max():.3g}")


def _start(rates: np.ndarray) -> Advice:
    peak = _peak(rates)
    rising = peak > 0 and bool((np.diff(rates[: peak + 1]) >= 0).all())
    rate = rates[peak] if rising else rates[0]
    where = f"warms up to {rate:.3g}" if rising else f"starts at {rate:.3g}"
    low, high = _START
    slack = 1e-6
    ok = bool(low * (1 - slack) <= rate <= high * (1 + slack))
    return Advice("start", ok, f"{where}; for plain SGD {low:g} to {high:g} is a good start")


def _fine_tuning(rates: np.ndarray) -> Advice:
    highest = rates.max()
    ok = bool(highest <= _FINE_TUNING * (1 + 1e-6))
    return Advice("fine-tuning", ok, f"goes up to {highest:.3g}; for fine-tuning at most {_FINE_TUNING:g} is usual")


def _end(rates: np.ndarray) -> Advice:
    highest, last = rates.max(), rates[-1]
    factor = highest / last if last > 0 else np.inf
    ok = bool(factor >= _FALL * (1 - 1e-6))
    found = f"{factor:.3g} times below its highest rate" if last > 0 else "which is all the way down"
    return Advice("end", ok, f"ends at {last:.3g}, {found}; {_FALL:g} times or more is usual")


def _end_reached(schedule: Schedule, rates: np.ndarray, after: float) -> Advice:
    """A schedule that was made for a longer run is still on its way down when this one is over."""
    later = float(np.asarray(schedule(2**31 - 1)))
    fallen, to_fall = rates.max() - after, rates.max() - later
    if to_fall <= 0 or not np.isfinite(later):
        return Advice("end reached", True, "has no lower end to reach")
    part = fallen / to_fall
    return Advice(
        "end reached",
        bool(part >= 0.99),
        f"has come {part:.0%} of the way from its highest rate to its end {later:.3g} in {rates.size} steps",
    )


def _warmup(rates: np.ndarray) -> Advice:
    peak = _peak(rates)
    if peak == 0 or (np.diff(rates[: peak + 1]) < 0).any():
        return Advice("warm-up", True, "has no warm-up")
    part = peak / rates.size
    ok = part <= _WARMUP_PART
    return Advice("warm-up", ok, f"rises for {peak} steps, {part:.0%} of the run; {_WARMUP_PART:.0%} is usually enough")


def _jumps(rates: np.ndarray) -> Advice:
    before, after = rates[:-1], rates[1:]
    # The first steps of a warm-up from zero multiply the rate too, but by a small part of its height.
    jump = (after > _JUMP * before) & (after - before > 0.1 * rates.max())
    if not jump.any():
        return Advice("jumps", True, "never jumps up")
    first = int(np.argmax(jump))
    return Advice(
        "jumps",
        False,
        f"jumps up {int(jump.sum())} times, first at {first + 1}: {before[first]:.3g} to {after[first]:.3g}",
    )


def _zeros(rates: np.ndarray) -> Advice:
    count = int((rates == 0).sum())
    part = count / rates.size
    return Advice("zeros", count <= 1 or part <= _WASTED_PART, f"is zero at {count} steps, {part:.0%} of the run")
