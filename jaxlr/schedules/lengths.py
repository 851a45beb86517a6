"""Schedules whose lengths are parts of the run, epochs, samples or tokens, until the run is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import jax
import numpy as np

from .. import _checks
from ._arguments import Schedule
from ._curve import Curve, curve
from ._length import Length
from ._schedule import entry_of

run = Length({"run": np.asarray(1.0)})
"""All steps of the run: `0.03 * run`, `run - 500`."""

epoch = Length({"epoch": np.asarray(1.0)})
"""One pass over the data: `2 * epoch`."""

sample = Length({"sample": np.asarray(1.0)})
"""One example: `50_000 * sample`."""

token = Length({"token": np.asarray(1.0)})
"""One token: `1e9 * token`."""


def resolve(
    schedule: Schedule,
    num_steps: int | jax.Array,
    *,
    steps_per_epoch: float | jax.Array | None = None,
    batch_size: float | jax.Array | None = None,
    tokens_per_step: float | jax.Array | None = None,
) -> Schedule:
    """A schedule whose lengths are known, from one with lengths in `run`, `epoch`, `sample` and `token`.

    `steps = a * num_steps + b * steps_per_epoch + c / batch_size + d / tokens_per_step + e` for the length
    `a * run + b * epoch + c * sample + d * token + e`

    Until then such a schedule has no rates: it can be formatted, compared and handed to `experiment`, which resolves
    it. `review` and `tabulate` know the steps of the run. A length is not rounded to whole steps, and a schedule can be
    differentiated by the factors.

    Args:
        schedule: any schedule; parts that are functions from elsewhere stay as they are.
        num_steps: the steps of the run.
        steps_per_epoch: steps of one pass over the data, if there are lengths in epochs.
        batch_size: examples in a step, if there are lengths in samples.
        tokens_per_step: tokens in a step, if there are lengths in tokens.

    Returns:
        The schedule, `step -> lr`.

    Raises:
        TypeError, ValueError: a number is out of its range, a length becomes negative, or what a unit has of steps is
            not given.

    >>> from jaxlr.schedules import cosine_decay, format, run, warmup
    >>> schedule = warmup(cosine_decay(0.1, 0.97 * run), 0.03 * run)
    >>> format(schedule)
    'warmup(cosine_decay(0.1, 0.97 * run), 0.03 * run)'
    >>> format(resolve(schedule, 1000))
    'warmup(cosine_decay(0.1, 970), 30)'

    Reference: Composer, whose times are such as "0.03dur", "2ep", "50000sp" and "1000000tok".
    """
    given = {"num_steps": num_steps, "steps_per_epoch": steps_per_epoch}
    each = {"batch_size": batch_size, "tokens_per_step": tokens_per_step}
    for name, value in {**given, **each}.items():
        if value is not None:
            _checks.positive(name, value)
    sizes = {"run": num_steps, "epoch": steps_per_epoch, "step": 1.0}
    sizes |= {unit: None if n is None else 1 / n for unit, n in zip(("sample", "token"), each.values(), strict=True)}
    return cast(Schedule, _resolved(schedule, sizes))


_ASKED_FOR = {"epoch": "steps_per_epoch", "sample": "batch_size", "token": "tokens_per_step"}


def _resolved(part: Any, sizes: Mapping[str, Any]) -> Any:
    if isinstance(part, tuple):
        return tuple(_resolved(one, sizes) for one in part)
    if not isinstance(part, Curve):
        return part
    entry = entry_of(part)
    leaves = {
        name: entry.leaf(name, _steps(name, leaf, sizes)) if isinstance(leaf, Length) else _resolved(leaf, sizes)
        for name, leaf in part.keywords.items()
    }
    return curve(part.func, (), leaves)


def _steps(name: str, length: Length, sizes: Mapping[str, Any]) -> Any:
    for unit in length.amounts:
        if sizes[unit] is None:
            raise ValueError(f"{_ASKED_FOR[unit]} must be given for {name} = {length}")
    return length.steps(sizes)
