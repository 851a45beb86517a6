"""Comparisons within a result: two settings over their shared seeds, one axis over all others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jaxlr.results.directions import Mode, default_metric, maximised
from jaxlr.results.labels import text
from jaxlr.results.members import columns, flat, present
from jaxlr.results.reading import final

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Comparison", "compare", "marginal"]


class Comparison(NamedTuple):
    """Two settings over the seeds that both finished; see `compare`.

    Attributes:
        metric: the variable compared.
        a: the first setting, as it was asked for.
        b: the second setting, as it was asked for.
        difference: mean over the seeds of the metric of `a` minus that of `b`; NaN without a shared seed.
        low: lower end of the 95 % interval of the difference; NaN with fewer than two seeds.
        high: upper end.
        p_value: probability of a difference this large or larger if there is none; NaN as above.
        seeds: pairs compared.
        diverged_a: seeds with which `a` diverged.
        diverged_b: seeds with which `b` diverged.
    """

    metric: str
    a: dict[str, Any]
    b: dict[str, Any]
    difference: float
    low: float
    high: float
    p_value: float
    seeds: int
    diverged_a: int
    diverged_b: int

    def __str__(self) -> str:
        first, second = _words(self.a), _words(self.b)
        found = f"{self.metric} of {first} minus that of {second}: "
        if self.seeds == 0:
            found += "no seed to compare"
        elif self.seeds == 1:
            found += f"{self.difference:.4g} with one seed, which gives no interval"
        else:
            found += f"{self.difference:.4g}, 95 % interval {self.low:.4g} to {self.high:.4g}, "
            found += f"p = {self.p_value:.2g}, {self.seeds} paired seeds"
        for words, count in ((first, self.diverged_a), (second, self.diverged_b)):
            if count:
                found += f"; {words} diverged with {count} {'seed' if count == 1 else 'seeds'}"
        return found


def compare(ds: xr.Dataset, a: Mapping[str, Any], b: Mapping[str, Any], metric: str | None = None) -> Comparison:
    """The difference of two settings, paired over the seeds that they share.

    With d_k the final metric of `a` minus that of `b` at seed k, over n seeds: mean(d), and
    mean(d) ± t(0.975, n - 1) std(d) / sqrt(n). Both settings start from the same weights and see the same
    batches at seed k, so pairing takes out what they have in common.

    Args:
        ds: a result of `sweep`.
        a: hyperparameter -> value, as many as it takes to name one setting.
        b: the other setting.
        metric: the variable to compare, at the last computed epoch; `val_loss`, or `loss` without test data.

    Returns:
        The comparison; seeds with which either diverged (or was not finished) are left out and counted.

    Raises:
        ValueError: a setting is not found or not unique, or the metric is unknown.

    >>> import jax
    >>> from jaxlr import grid, sweep
    >>> def train(key, lr):
    ...     return {"loss": jax.random.normal(key) + lr}
    >>> ds = sweep(train, grid(lr=[0.1, 0.2]), seeds=8)
    >>> found = compare(ds, {"lr": 0.2}, {"lr": 0.1}, "loss")
    >>> round(found.difference, 3), found.seeds, found.p_value < 0.001
    (0.1, 8, True)

    Reference: Student, "The probable error of a mean", Biometrika 6 (1908).
    """
    metric = default_metric(ds, metric)
    values, status = flat(ds, final(ds, metric)).astype(np.float64), flat(ds, ds["status"])
    i, j = _position(ds, "a", a), _position(ds, "b", b)
    both = np.isfinite(values[i]) & np.isfinite(values[j])
    first, second = values[i, both], values[j, both]
    lost = [int((status[k] == "diverged").sum()) for k in (i, j)]
    return Comparison(metric, dict(a), dict(b), *_paired(first, second), len(first), *lost)


def _paired(first: np.ndarray, second: np.ndarray) -> tuple[float, float, float, float]:
    """Mean of the differences, the ends of its 95 % interval, and the p-value."""
    from scipy import stats

    differences = first - second
    mean = float(differences.mean()) if len(differences) else np.nan
    if len(differences) < 2:
        return mean, np.nan, np.nan, np.nan
    if not differences.std():
        # Student's t is 0 / 0 or infinite where all differences are one.
        return mean, mean, mean, 0.0 if mean else 1.0
    found = stats.ttest_rel(first, second)
    low, high = found.confidence_interval(0.95)
    return mean, float(low), float(high), float(found.pvalue)


def _words(setting: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={text(value)}" for name, value in setting.items())


def _position(ds: xr.Dataset, name: str, setting: Mapping[str, Any]) -> int:
    """The row of the one setting that has these values."""
    tried = columns(ds)
    unknown = [key for key in setting if key not in tried]
    if unknown:
        raise ValueError(f"{name} must name hyperparameters of the result, {', '.join(tried)}; got {unknown[0]!r}")
    matches = np.ones(len(flat(ds, ds["status"])), bool)
    for key, value in setting.items():
        matches &= _equal(tried[key], value)
    found = np.flatnonzero(matches)
    if len(found) == 1:
        return int(found[0])
    if len(found) == 0:
        swept = [f"{key}: {', '.join(map(str, dict.fromkeys(tried[key].tolist())))}" for key in setting]
        raise ValueError(f"{name} must be a setting of the result, got {dict(setting)!r}; it has {'; '.join(swept)}")
    more = ", ".join(key for key, column in tried.items() if len(set(column[found].tolist())) > 1)
    raise ValueError(f"{name} must name one setting, got {dict(setting)!r} of {len(found)}; say also {more}")


def _equal(column: np.ndarray, value: Any) -> np.ndarray:
    number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if column.dtype.kind in "fi" and number:
        # The coordinates are the user's float64 values; one that went through float32 shall be found too.
        return np.asarray(np.isclose(column.astype(float), float(value), rtol=1e-6, atol=0))
    if column.dtype.kind == "b" and isinstance(value, (bool, np.bool_)):
        return np.asarray(column == value)
    if column.dtype.kind in "OUT":
        return np.asarray(column == text(value))
    return np.zeros(len(column), bool)


def marginal(ds: xr.Dataset, axis: str, metric: str | None = None, *, mode: Mode | None = None) -> xr.DataArray:
    """A metric along one hyperparameter: mean and best over all the others.

    Each setting counts with its mean over the seeds at the last computed epoch; settings with a seed that
    diverged or was not finished are left out, and a value with no other is NaN.

    Args:
        ds: a result of `sweep`.
        axis: a hyperparameter with at least two values, on a dimension of its own or not.
        metric: the variable; `val_loss`, or `loss` without test data.
        mode: "min" or "max"; needed where the metric's name says neither loss, error nor accuracy.

    Returns:
        An array `(axis, statistic)` with the statistics `mean` and `best`.

    Raises:
        ValueError: the axis is unknown or has one value, or the metric is unknown.

    >>> from jaxlr import grid, sweep
    >>> ds = sweep(lambda key, lr, momentum: {"loss": lr + momentum}, grid(lr=[0.5, 1.0], momentum=[0.0, 1.0]))
    >>> found = marginal(ds, "lr", "loss")
    >>> found.sel(statistic="mean").values.tolist(), found.sel(statistic="best").values.tolist()
    ([1.0, 1.5], [0.5, 1.0])
    """
    import xarray as xr

    tried = columns(ds)
    swept = [name for name, column in tried.items() if len(np.unique(column[present(column)])) > 1]
    if axis not in swept:
        raise ValueError(f"axis must be a hyperparameter with several values, {', '.join(swept)}; got {axis!r}")
    metric = default_metric(ds, metric)
    means = flat(ds, final(ds, metric)).astype(np.float64).mean(axis=1)
    choose = np.nanmax if maximised(metric, mode) else np.nanmin
    column = tried[axis]
    levels = ds[axis].values if axis in ds.dims else np.unique(column[present(column)])
    rows = []
    for level in levels:
        values = means[column == level]
        values = values[np.isfinite(values)]
        rows.append([values.mean(), choose(values)] if len(values) else [np.nan, np.nan])
    return xr.DataArray(rows, {axis: levels, "statistic": ["mean", "best"]}, (axis, "statistic"), name=metric)
