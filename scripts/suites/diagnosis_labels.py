"""The labels of the diagnosis suite: what interventions did to a training, and the rules that name it.

Every curve is one training: a task, an optimizer, a rate, a shape of schedule and a seed. Its interventions are the
trainings with the same weights and batches
    at 1/3, 1/9 and 1/27 of its rate, or warmed up over the first tenth of the steps ("lower"),
    at 3, 9 and 27 times its rate ("higher"),
    with its rate cut to a tenth for the last 30 % of the steps ("late"),
    stopped where the validation loss of the other seeds is lowest ("stop").
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr

from jaxlr.tasks import Task

__all__ = ["Effects", "effects", "guessing", "helping", "label"]

MATTERS = 0.1
"""A gain below a tenth is no reason to train again."""

LEARNT = 0.05
"""Losses below this share of what guessing costs (or of the initial loss, if less) are compared on its scale."""

PROGRESS = 0.02
"""A loss that fell by less than this share has made no progress."""


STEPS = (1, 2, 3)
"""Lower and higher rates, as steps of the grid, whose rates are a factor of three apart."""


class Effects(NamedTuple):
    """One curve and what became of it under the interventions.

    A gain is `(before - after) / max(before, LEARNT * scale)`, at least -1: the share of the final loss that an
    intervention takes away. The scale is the loss of the best constant prediction, or the initial loss if that is less.

    Attributes:
        initial: the training loss before the first update.
        guessing: the loss of the best constant prediction.
        final: the mean training loss of the last twentieth of the epochs; infinite when it diverged.
        lower: the best gain by a lower rate from the start or a warm-up.
        higher: the best gain by a higher rate.
        late: the gain by a lower late rate.
        longer: the gain by three times as many epochs.
        late_then_lower: what `lower` gains over `late`.
        late_over_floor: the gain of `late` over the lowest tenth of the last quarter of the curve.
        swing: deviation from epoch to epoch in the second half, over the final loss (with the floor of a gain).
        swing_lower: the same at a third of the rate.
        stop: the gain in the validation loss by stopping early, while the training loss fell on.
    """

    initial: float
    guessing: float
    final: float
    lower: float
    higher: float
    late: float
    longer: float
    late_then_lower: float
    late_over_floor: float
    swing: float
    swing_lower: float
    stop: float


def label(e: Effects, *, validated: bool = False) -> str:
    """The verdict that the interventions prove.

    1. `diverged`: not finite, or more than a tenth above the initial loss. A fact, not an opinion.
    2. `no-progress`: within 2 % below and 10 % above the initial loss, or no better than guessing with every remedy;
       unless a restart at a lower rate helps, as it does when the first updates destroyed the network.
    3. `overfitting`, only where validation losses were given: stopping early takes a tenth off the validation loss.
       It comes before the remedies of the training loss, which would make it worse.
    4. Nothing helps (every gain below a tenth): `healthy`, or `oscillating` where a third of the rate takes away half
       of a swing of a tenth or more.
    5. Otherwise the remedy that gains most, but a lower late rate whenever no restart gains a further tenth over it,
       for it is cheaper: `slow` for a higher rate, `initial-rise` for a lower one or a warm-up from the start,
       `late-rate-too-high` for a lower late rate; `oscillating` in place of the last where the curve swings by a tenth
       or more, its low points lie where the lower late rate ends, and a third of the rate halves the swing.
    """
    if not np.isfinite(e.final) or e.final > (1 + MATTERS) * e.initial:
        return "diverged"
    if e.final > (1 - PROGRESS) * e.initial and e.lower < MATTERS:
        return "no-progress"
    if validated and e.stop >= MATTERS:
        return "overfitting"
    swings = e.swing >= MATTERS and e.swing_lower <= e.swing / 2
    if max(e.lower, e.higher, e.late) < MATTERS:
        if e.final > (1 - PROGRESS) * e.guessing:
            return "no-progress"
        return "oscillating" if swings else "healthy"
    if e.higher > max(e.lower, e.late):
        return "slow"
    if e.late >= MATTERS and e.late_then_lower < MATTERS:
        return "oscillating" if swings and e.late_over_floor < MATTERS else "late-rate-too-high"
    return "initial-rise"


def helping(e: Effects, *, validated: bool = False) -> set[str]:
    """Every verdict whose remedy helps by a tenth, and the one that `label` gives: for a lenient count."""
    also = {label(e, validated=validated)}
    if also & {"diverged", "no-progress"}:
        return also
    for gain, names in ((e.lower, {"initial-rise"}), (e.higher, {"slow"}), (e.late, {"late-rate-too-high"})):
        if gain >= MATTERS:
            also |= names
    if e.late >= MATTERS and e.swing >= MATTERS:
        also.add("oscillating")
    if validated and e.stop >= MATTERS:
        also.add("overfitting")
    return also


def effects(ds: xr.Dataset, guessing: float, rate: int, shape: str, seed: int) -> Effects:
    """What the interventions did to the training at the grid's `rate` (its position), with `shape` and `seed`.

    Args:
        ds: a case's trainings, `(lr, shape, kind, seed, epoch)`, rates a factor of three apart.
        guessing: the loss of the best constant prediction.
        rate: position on the axis of rates.
        shape: one of the schedules.
        seed: one of the seeds.
    """
    losses = ds["loss"].sel(shape=shape, seed=seed).transpose("lr", "kind", "epoch").values.astype(float)
    base, warm, late = (losses[rate, ds["kind"].values.tolist().index(kind)] for kind in ("base", "warm", "late"))
    initial = float(ds["initial_loss"].sel(shape=shape, seed=seed).isel(lr=rate, kind=0))
    plain = losses[:, ds["kind"].values.tolist().index("base")]
    lower = [*(plain[rate - i] for i in STEPS), warm]
    higher = [plain[rate + i] for i in STEPS]
    final, after_late = _final(base), _final(late)
    longer = float(ds["longer"].sel(shape=shape, seed=seed).isel(lr=rate))
    scale = min(initial, guessing)
    last = base[-len(base) // 4 :]
    low = float(np.quantile(last, 0.1)) if np.isfinite(last).all() else np.inf
    return Effects(
        initial=initial,
        guessing=guessing,
        final=final,
        lower=max(_gain(final, _final(curve), scale) for curve in lower),
        higher=max(_gain(final, _final(curve), scale) for curve in higher),
        late=_gain(final, after_late, scale),
        longer=_gain(final, longer if np.isfinite(longer) else np.inf, scale),
        late_then_lower=max(_gain(after_late, _final(curve), scale) for curve in lower),
        late_over_floor=_gain(low, after_late, scale),
        swing=_swing(base, scale),
        swing_lower=_swing(plain[rate - 1], scale),
        stop=_stop(ds, scale, rate, shape, seed),
    )


def guessing(task: Task) -> float:
    """The loss of the best constant prediction: the targets' entropy, or their variance."""
    y = np.asarray(task.y)
    if np.issubdtype(y.dtype, np.integer):
        shares = np.bincount(y.ravel()) / y.size
        return float(-(shares[shares > 0] * np.log(shares[shares > 0])).sum())
    return float(y.var())


def _final(curve: np.ndarray) -> float:
    last = curve[-max(3, len(curve) // 20) :]
    return float(last.mean()) if np.isfinite(last).all() else np.inf


def _gain(before: float, after: float, scale: float) -> float:
    if not np.isfinite(before):
        return 1.0 if np.isfinite(after) else 0.0
    return max((before - after) / max(before, LEARNT * scale), -1.0)


def _swing(curve: np.ndarray, scale: float) -> float:
    half = curve[len(curve) // 2 :]
    if not np.isfinite(half).all():
        return np.inf
    return float(np.std(np.diff(half)) / np.sqrt(2) / max(half.mean(), LEARNT * scale))


def _stop(ds: xr.Dataset, scale: float, rate: int, shape: str, seed: int) -> float:
    """The gain by stopping at the epoch that is best for the other seeds, 0 where the training loss rose after it."""
    at = ds.isel(lr=rate).sel(shape=shape, kind="base")
    own, others = at["val_loss"].sel(seed=seed).values, at["val_loss"].drop_sel(seed=seed).mean("seed", skipna=False)
    train = at["loss"].sel(seed=seed).values
    if not (np.isfinite(own).all() and np.isfinite(others).all()):
        return 0.0
    best = int(np.argmin(others.values))
    around = slice(max(best - 1, 0), best + 2)
    if train[around].mean() <= _final(train):
        return 0.0
    return _gain(_final(own), float(own[around].mean()), scale)
