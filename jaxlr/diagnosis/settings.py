"""Diagnosis of a sweep: every setting with the lower and higher rates beside it in view."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxlr.diagnosis import calibration, curve, neighbours, validation
from jaxlr.diagnosis.evidence import evidence
from jaxlr.diagnosis.judgement import Diagnosis, concluded, fact, judged, with_overfitting
from jaxlr.results import columns, flat, present, setting_dims

if TYPE_CHECKING:
    import xarray as xr

_RATES = ("learning_rate", "lr", "init_value", "peak_value", "max_value")
"""Names of hyperparameters that are the rate."""


class _Members(NamedTuple):
    """A result's curves, settings in the order of `results.columns`.

    Attributes:
        status: `ok`, `diverged`, `stopped` or `unfinished`, `[settings, seeds]`.
        losses: `[settings, seeds, T]`.
        val_losses: the same, or None.
        rates: the learning rates, the same, or None.
        initial: the loss before training `[settings, seeds]`, or None.
    """

    status: np.ndarray
    losses: np.ndarray
    val_losses: np.ndarray | None
    rates: np.ndarray | None
    initial: np.ndarray | None


class _Seen(NamedTuple):
    """One member: a verdict that is a fact, or the probabilities of all, with what they rest on."""

    fact: Diagnosis | None
    chances: dict[str, float]
    found: curve.Statistics | None
    validation: dict[str, float] | None
    beside: dict[str, float]


def diagnosed(ds: xr.Dataset, name: str | None) -> xr.Dataset:
    """What `diagnose` says of a sweep, as labelled arrays.

    Raises:
        ValueError: there is no curve of losses, or `name` is no hyperparameter with positive numbers.
    """
    import xarray as xr

    members = _members(ds)
    rate = _rate(ds, name)
    settings, seeds = members.losses.shape[:2]
    seen: dict[tuple[int, int], _Seen] = {}
    for rows, rates in _families(ds, rate, settings):
        for seed in range(seeds):
            seen.update({(row, seed): one for row, one in zip(rows, _family(members, rows, rates, seed), strict=True)})
    each = {member: _member(one) for member, one in seen.items()}
    whole = [_setting([seen[row, seed] for seed in range(seeds)]) for row in range(settings)]
    by_setting = setting_dims(ds)
    dims = by_seed = (*by_setting, "seed")
    shape = tuple(ds.sizes[dim] for dim in dims)
    data = {
        field: (by_setting, np.array([getattr(d, field) for d in whole]).reshape(shape[:-1]))
        for field in Diagnosis._fields
    }
    for field in ("verdict", "confidence"):
        values = [getattr(each[row, seed], field) for row in range(settings) for seed in range(seeds)]
        data[f"seed_{field}"] = (by_seed, np.array(values).reshape(shape))
    coords = {key: value for key, value in ds.coords.items() if set(value.dims) <= set(dims)}
    return xr.Dataset(data, coords, {"rate": rate or "none: every setting was judged by itself"})


def _members(ds: xr.Dataset) -> _Members:
    status = ds.get("status")
    along = next((dim for dim in ("epoch", "step") if "loss" in ds and dim in ds["loss"].dims), None)
    if status is None or along is None:
        names = ", ".join(map(str, ds.data_vars)) or "nothing"
        raise ValueError(f"losses must be a result of sweep with a loss over epochs or steps, got {names}")

    def of(variable: str) -> np.ndarray | None:
        return flat(ds, ds[variable]).astype(float) if variable in ds else None

    losses = of("loss")
    assert losses is not None
    if losses.shape[2] < 2:
        raise ValueError(f"losses must have at least 2 epochs or steps, got {losses.shape[2]}")
    curves = [row[np.isfinite(row)] for row in losses.reshape(-1, losses.shape[2]) if np.isfinite(row).any()]
    if not all(map(curve.has_natural_zero, curves)):
        # One shift for all, as neighbours are compared; the median, as the highest rates begin anywhere.
        lowest = min(row.min() for row in curves)
        losses = losses - lowest + (float(np.median([row[0] for row in curves]) - lowest) or 1.0) / 2
    rates = of("rate")
    known = rates is not None and rates.shape == losses.shape
    states = flat(ds, status)
    return _Members(states, losses, of("val_loss"), rates if known else None, of("initial_loss"))


def _rate(ds: xr.Dataset, name: str | None) -> str | None:
    """The hyperparameter that is the rate."""
    tried = columns(ds)
    usable = [key for key, column in tried.items() if column.dtype.kind in "fi" and (column[present(column)] > 0).all()]
    if name is not None:
        if name not in usable:
            known = ", ".join(usable) or "none"
            raise ValueError(f"lr must be a hyperparameter of positive numbers, one of {known}; got {name!r}")
        return name
    return next((key for key in _RATES if key in usable and len(np.unique(tried[key])) > 1), None)


def _families(ds: xr.Dataset, rate: str | None, settings: int) -> Iterator[tuple[list[int], np.ndarray]]:
    """The settings that differ in the rate alone, by ascending rate: rows and rates."""
    if rate is None:
        for row in range(settings):
            yield [row], np.ones(1)
        return
    tried = columns(ds)
    others = [column for key, column in tried.items() if key != rate]
    groups: dict[tuple[str, ...], list[int]] = {}
    for row in range(settings):
        groups.setdefault(tuple(str(column[row]) for column in others), []).append(row)
    for rows in groups.values():
        rates = tried[rate][rows].astype(float)
        order = np.argsort(rates, kind="stable")
        yield [rows[i] for i in order], np.nan_to_num(rates[order], nan=1.0)


def _family(members: _Members, rows: list[int], rates: np.ndarray, seed: int) -> list[_Seen]:
    """One seed of the settings that differ in the rate alone."""
    curves = [_cleaned(members, row, seed) for row in rows]
    facts = [None if one is None else fact(one) for one in curves]
    own = [
        curve.statistics(one.losses, one.lr) if one is not None and known is None else None
        for one, known in zip(curves, facts, strict=True)
    ]
    first = next((s.start for s in own if s is not None), 1.0)
    initial = first if members.initial is None else float(members.initial[rows[0], seed])
    beside = neighbours.beside(own, rates, initial if np.isfinite(initial) and initial > 0 else first)
    seen = []
    for row, known, found, more in zip(rows, facts, own, beside, strict=True):
        if found is None:
            seen.append(_Seen(known or _unfinished(), {}, None, None, more))
            continue
        alone = len(rows) == 1
        table = calibration.ALONE if alone else calibration.BESIDE
        chances = judged(found, {} if alone else more, table)
        validated = _validated(members, row, seed)
        if validated is not None:
            chances = with_overfitting(chances, validated)
        seen.append(_Seen(None, chances, found, validated, more))
    return seen


def _unfinished() -> Diagnosis:
    return Diagnosis("cannot-tell", 0.0, "the training was not finished", "train it")


def _cleaned(members: _Members, row: int, seed: int) -> curve.Cleaned | None:
    """The curve of a member; None where there is none."""
    losses, status = members.losses[row, seed], members.status[row, seed]
    lr = None if members.rates is None else members.rates[row, seed]
    if status == "stopped":
        # After it stopped, a training has no values: that is no divergence.
        ended = int(np.flatnonzero(np.isfinite(losses))[-1]) + 1
        losses, lr = losses[:ended], None if lr is None else lr[:ended]
    return None if status == "unfinished" or len(losses) < 2 else curve.cleaned(losses, lr)


def _validated(members: _Members, row: int, seed: int) -> dict[str, float] | None:
    if members.val_losses is None:
        return None
    losses, val = members.losses[row, seed], members.val_losses[row, seed]
    losses, val = losses[np.isfinite(losses)], val[np.isfinite(val)]
    if min(len(val), len(losses)) < curve.FEWEST or not all(map(curve.has_natural_zero, (val, losses))):
        return None
    return validation.statistics(losses, val)


def _member(one: _Seen) -> Diagnosis:
    return one.fact if one.fact is not None else concluded(one.chances, "", lambda verdict: _words(verdict, one))


def _setting(seeds: list[_Seen]) -> Diagnosis:
    """All seeds together: the mean of their probabilities, with the words of the seed that is surest of it."""
    chances: dict[str, float] = {}
    seeds = [one for one in seeds if one.fact is None or one.fact.verdict != "cannot-tell"] or seeds[:1]
    for one in seeds:
        mine = one.chances if one.fact is None else {one.fact.verdict: 1.0}
        for verdict, chance in mine.items():
            chances[verdict] = chances.get(verdict, 0.0) + chance / len(seeds)
    if len(chances) == 1 and seeds[0].fact is not None:
        return seeds[0].fact

    def words(verdict: str) -> str:
        share = sum(_best(one) == verdict for one in seeds)
        several = f"{share} of {len(seeds)} seeds; " if len(seeds) > 1 else ""
        surest = max(seeds, key=lambda one: one.chances.get(verdict, 0.0) + (_best(one) == verdict))
        return several + (surest.fact.evidence if surest.fact is not None else _words(verdict, surest))

    return concluded(chances, "", words)


def _best(one: _Seen) -> str:
    return one.fact.verdict if one.fact is not None else max(one.chances, key=lambda verdict: one.chances[verdict])


def _words(verdict: str, one: _Seen) -> str:
    """The evidence of the curve and of its neighbours."""
    assert one.found is not None
    words = evidence(verdict, one.found, one.validation)
    for side in ("higher", "lower"):
        if one.beside[f"has_{side}"]:
            gain = one.beside[f"gain_{side}"]
            if gain <= -1:
                words += f"; a {side} rate is far worse"
            else:
                words += f"; a {side} rate ends {abs(gain):.0%} {'lower' if gain > 0 else 'higher'}"
    return words
