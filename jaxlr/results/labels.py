"""From a sweep's arrays to a labelled Dataset."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jaxlr.results.given import GIVEN, AsGiven
from jaxlr.results.origin import origin
from jaxlr.spaces import ABSENT, Space
from jaxlr.spaces.values import is_narrow, is_number
from jaxlr.spaces.values import label as identity

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Judged", "coordinates", "dims_within", "given", "judge", "label", "meaning", "rate_note", "text"]

_MEANINGS = {
    "loss": "training loss, running over the epoch, each batch before its update",
    "accuracy": "training accuracy, running over the epoch, each batch before its update",
    "val_loss": "loss over the test data after the epoch",
    "val_accuracy": "accuracy over the test data after the epoch",
    "rate": "learning rate of the epoch's last update; NaN where it is unknown",
    "status": "ok; diverged: a metric was not finite; stopped: ended early; unfinished: interrupted",
    "diverged_at": "first epoch or step with a metric that is not finite, counted from 1; 0 for never",
    "diverged_in": "the metric that was not finite then; empty for none",
}
"""Variable -> what it holds, for whoever reads a file in a year."""


_NEVER_DIVERGED = ("rate", "stopped")
"""A rate may be unknown."""

_WITHIN = {"step_loss": ("batch",)}
"""Dimensions within an epoch of what is recorded there; others are called `<variable>_0`, `<variable>_1` and so on."""


def label(
    space: Space,
    arrays: Mapping[str, np.ndarray],
    finished: np.ndarray,
    attributes: Mapping[str, Any],
    along: str | None,
    *,
    stride: int = 1,
    initial: Mapping[str, np.ndarray] = MappingProxyType({}),
    may_be_nan: Collection[str] = (),
) -> xr.Dataset:
    """A sweep's arrays as a Dataset.

    Args:
        space: the settings, in the order of the arrays.
        arrays: variable -> values `[settings, seeds, T, ...]`.
        finished: which members were trained to the end, `[settings, seeds]`.
        attributes: what is to be known of the sweep.
        along: name of the dimension of length T, `epoch` or `step`; None where T is 1 and arrays within lie along
            `step`.
        stride: what one place on that dimension adds to its coordinate.
        initial: variable -> values before the training `[settings, seeds, ...]`.
        may_be_nan: variables that say nothing of divergence where they are not finite.

    Raises:
        ValueError: the arrays are of several lengths.
    """
    import xarray as xr

    judged = judge(arrays, finished, along, may_be_nan)
    along = along or "step"
    dims = space.dims

    def variable(name: str, values: np.ndarray, *along: str) -> tuple[tuple[str, ...], np.ndarray, dict[str, str]]:
        within = dims_within(name, values.ndim - 2, *along)
        return (*dims, "seed", *within), values.reshape(*dims.values(), *values.shape[1:]), meaning(name)

    lengths = {values.shape[2] for values in judged.arrays.values() if values.ndim > 2}
    if len(lengths) > 1:
        raise ValueError(f"arrays of a training must have one length, got {sorted(lengths)}")
    coords = {**coordinates(space), "seed": np.arange(finished.shape[1])}
    if lengths:
        coords[along] = stride * np.arange(1, lengths.pop() + 1)
    data = {
        name: variable(name, values, *([along] if values.ndim > 2 else [])) for name, values in judged.arrays.items()
    }
    data |= {name: variable(name, values) for name, values in initial.items()}
    data |= {"status": variable("status", judged.status), "diverged_at": variable("diverged_at", stride * judged.first)}
    if judged.first.any():
        data["diverged_in"] = variable("diverged_in", judged.where)
    note = rate_note(arrays["rate"][finished]) if "rate" in arrays else {}
    return xr.Dataset(data, coords, {**origin(), **attributes, **note, **given(space)})


class Judged(NamedTuple):
    """What members came to.

    Attributes:
        arrays: variable -> values `[settings, seeds, ...]`, NaN from where they diverged.
        status: a word for each `[settings, seeds]`.
        first: the first epoch or step that is not finite, counted from 1; 0 for none.
        where: the variable that was not finite then; empty for none.
    """

    arrays: dict[str, np.ndarray]
    status: np.ndarray
    first: np.ndarray
    where: np.ndarray


def judge(
    arrays: Mapping[str, np.ndarray], finished: np.ndarray, along: str | None, may_be_nan: Collection[str]
) -> Judged:
    """Judge members by their arrays; each by its own alone."""
    if along is None:
        arrays = {name: values[:, :, 0] for name, values in arrays.items()}
    status, first, where = _status(arrays, finished, frozenset(may_be_nan))
    kept = {name: _masked(values, first) for name, values in arrays.items() if name != "stopped"}
    return Judged(kept, status, first, where)


def dims_within(name: str, rank: int, *along: str) -> tuple[str, ...]:
    """The dimensions of a variable within a member.

    >>> dims_within("loss", 1, "epoch"), dims_within("weights", 3, "epoch")
    (('epoch',), ('epoch', 'weights_0', 'weights_1'))
    """
    more = rank - len(along)
    return (*along, *(_WITHIN.get(name) or (f"{name}_{i}" for i in range(more))))


def meaning(name: str) -> dict[str, str]:
    """What a variable says of itself, where that is known."""
    return {"description": _MEANINGS[name]} if name in _MEANINGS else {}


def rate_note(rates: np.ndarray) -> dict[str, str]:
    """Why there are no rates, where the finished members have none."""
    if not np.isnan(rates).all():
        return {}
    return {
        "rate_note": "unknown: the optimizer neither takes `learning_rate` nor holds it in its state nor comes with a "
        "schedule"
    }


def _status(
    arrays: Mapping[str, np.ndarray], finished: np.ndarray, may_be_nan: frozenset[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`status`, where the first metric is not finite, counted from 1, and which one, all `[settings, seeds]`.

    `stopped [settings, seeds, T]` marks the epochs that a training which ended early did not compute.
    """
    stopped = arrays.get("stopped")
    first, where = np.zeros(finished.shape, np.int32), np.full(finished.shape, "", object)
    for name, values in arrays.items():
        if name in may_be_nan or name in _NEVER_DIVERGED or not _is_inexact(values):
            continue
        bad = ~np.isfinite(values if values.ndim > 2 else values[..., None])
        bad = bad.reshape(*bad.shape[:3], -1).any(axis=3)
        if stopped is not None:
            bad &= stopped == 0
        at = np.where(bad.any(axis=2) & finished, bad.argmax(axis=2) + 1, 0)
        sooner = (at > 0) & ((first == 0) | (at < first))
        first, where = np.where(sooner, at, first).astype(np.int32), np.where(sooner, name, where)
    status = np.full(finished.shape, "ok", "<U10")
    if stopped is not None:
        status[(stopped > 0).any(axis=2)] = "stopped"
    status[first > 0] = "diverged"
    status[~finished] = "unfinished"
    return status, first, where.astype(str)


def _is_inexact(values: np.ndarray) -> bool:
    return bool(np.issubdtype(values.dtype, np.inexact))


def _masked(values: np.ndarray, first: np.ndarray) -> np.ndarray:
    """NaN from the first value of any metric on that is not finite; integers have no NaN and stay.

    What is recorded of every batch stays too: it shows how it went.
    """
    if values.ndim > 3 or not _is_inexact(values) or not first.any():
        return values
    steps = np.arange(1, (values.shape[2] if values.ndim == 3 else 1) + 1)
    gone = (first[..., None] > 0) & (steps >= first[..., None])
    return np.where(gone.reshape(values.shape), np.nan, values).astype(values.dtype)


def given(space: Space) -> dict[str, Any]:
    """The values that their labels do not give back, for `best`."""
    found = {}
    for axis in space.axes:
        for name, column in axis.columns.items():
            labels = _column(column).tolist()
            other = {
                label: value
                for label, value in zip(labels, column, strict=True)
                if value is not ABSENT and not isinstance(value, (int, float, str))
            }
            if other:
                found[name] = other
    return {GIVEN: AsGiven(found)} if found else {}


def coordinates(space: Space) -> dict[str, Any]:
    """Coordinates of every hyperparameter: on its dimension, or a scalar where it is fixed."""
    coords: dict[str, Any] = {}
    for axis in space.axes:
        for name, column in axis.columns.items():
            values = _column(column)
            coords[name] = values[0] if axis.dim is None else (axis.dim, values)
    return coords


def _column(column: tuple[Any, ...]) -> np.ndarray:
    """Values as a coordinate; an absent one is NaN among numbers and empty among words."""
    present = [value for value in column if value is not ABSENT]
    if all(is_number(value) for value in present):
        if len(present) == len(column) and all(isinstance(value, int) for value in present):
            return np.array(column, np.int64)
        shown = iter(_shown(present))
        return np.array([np.nan if value is ABSENT else next(shown) for value in column], np.float64)
    if len(present) == len(column) and all(isinstance(value, bool) for value in present):
        return np.array(column)
    return np.array(_words(column))


def _shown(values: Sequence[Any]) -> list[float]:
    """Numbers as a coordinate shows them; they were trained as they are.

    A narrow float is the shortest decimal within 2e-6 of it: float32 0.1 is 0.1, and so is each value of a
    `jnp.logspace`, which misses its decades by some units in the last place. Where two became one, each is the
    shortest decimal that its own type tells from its neighbours.
    """
    short = [_short(float(value)) if is_narrow(value) else float(value) for value in values]
    if len(set(short)) == len(set(map(float, values))):
        return short
    return [float(str(value)) if is_narrow(value) else float(value) for value in values]


def _short(value: float) -> float:
    rounded = (float(f"{value:.{digits}g}") for digits in range(1, 10))
    return next((near for near in rounded if abs(near - value) <= 2e-6 * abs(value)), value)


def _words(column: tuple[Any, ...]) -> list[str]:
    """The values in words; different values of one text, such as two lambdas, are numbered."""
    known: dict[Any, str] = {}
    used: Counter[str] = Counter()
    for value in column:
        tag = identity(value)
        if tag not in known:
            word = "" if value is ABSENT else text(value)
            used[word] += 1
            known[tag] = word if used[word] == 1 else f"{word} ({used[word]})"
    return [known[identity(value)] for value in column]


def text(value: Any) -> str:
    """A hyperparameter that is no number, in words.

    >>> from jaxlr import schedules
    >>> text(schedules.cosine_decay(0.1, 1000)), text(max), text(functools.partial(max, key=len))
    ('cosine_decay(0.1, 1000)', 'max', 'max(key=len)')
    """
    import jax

    from jaxlr import schedules

    if isinstance(value, str):
        return value
    if isinstance(value, jax.tree_util.Partial):
        try:
            return schedules.format(value)
        except ValueError:  # a function from elsewhere
            pass
    if isinstance(value, (np.ndarray, jax.Array)):
        return np.array2string(np.asarray(value), separator=", ", max_line_width=10**6)
    if isinstance(value, functools.partial):
        parts = [*map(text, value.args), *(f"{name}={text(part)}" for name, part in value.keywords.items())]
        return f"{text(value.func)}({', '.join(parts)})"
    named = getattr(value, "__qualname__", None)
    # An address says nothing and would differ from run to run.
    return named or " ".join(re.sub(r" at 0x[0-9a-f]+", "", str(value)).split())
