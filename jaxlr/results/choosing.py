"""The best setting of a result, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import jax
import numpy as np

from jaxlr import _checks
from jaxlr._types import PyTree
from jaxlr.results.directions import Mode, default_metric, maximised
from jaxlr.results.given import as_given
from jaxlr.results.labels import text
from jaxlr.results.members import columns, flat, present, setting_dims
from jaxlr.results.reading import final, reached

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Best", "Cliff", "best", "weights"]


class Cliff(NamedTuple):
    """A neighbour of a setting with which a training diverged.

    Attributes:
        name: the hyperparameter in which alone the two differ.
        value: the neighbour's, the next one that was tried.
        diverged: seeds with which it diverged.
    """

    name: str
    value: float
    diverged: int


class Best(NamedTuple):
    """The best setting of a sweep, and how sure that is; see `best`.

    Attributes:
        setting: hyperparameter -> value as it was given to the space, without those that are absent from the setting.
            Of a result that was read from a file, what is no number, string or flag is its text.
        metric: the variable that it was judged by.
        value: what the metric came to over the seeds.
        spread: standard deviation over the seeds (ddof 1), NaN for one seed.
        seeds: number of seeds.
        edge: the swept numbers whose best value is the largest that was tried, or the smallest if that is not
            zero: the true best may lie beyond.
        row: the setting's place among all, the last dimension fastest.
        ties: the places of the settings that the seeds cannot tell from it: Student's t of the differences, paired over
            the seeds, is below its 97.5 % quantile. Empty with one seed, which tells nothing.
        cliffs: neighbours of which a seed diverged: a training at the setting is not safe either.
        unfinished: settings with a seed that was not trained to the end.
    """

    setting: dict[str, Any]
    metric: str
    value: float
    spread: float
    seeds: int
    edge: tuple[str, ...]
    row: int
    ties: tuple[int, ...]
    cliffs: tuple[Cliff, ...]
    unfinished: int

    def __str__(self) -> str:
        words = ", ".join(f"{name}={text(value)}" for name, value in self.setting.items()) or "the only setting"
        sure = f"± {self.spread:.2g} (deviation of {self.seeds} seeds)" if self.seeds > 1 else "with one seed"
        return "; ".join([f"{words}: {self.metric} {self.value:.4g} {sure}", *self._doubts()])

    def _doubts(self) -> Iterator[str]:
        if self.ties:
            one = len(self.ties) == 1
            yield f"{len(self.ties)} other setting{'' if one else 's'} cannot be told from it with these seeds"
        for name, value, diverged in self.cliffs:
            yield f"its neighbour {name}={text(value)} diverged with {diverged} of {self.seeds} seeds"
        if self.edge:
            lies = "lies" if len(self.edge) == 1 else "lie"
            yield f"{', '.join(self.edge)} {lies} on the edge of what was tried: look beyond it"
        if self.unfinished:
            yield f"{self.unfinished} setting{'' if self.unfinished == 1 else 's'} not trained to the end"


def best(
    ds: xr.Dataset,
    metric: str | None = None,
    *,
    mode: Mode | None = None,
    at: Literal["last", "best"] = "last",
    over: Literal["mean", "median", "worst"] = "mean",
) -> Best:
    """The setting with the best metric over the seeds.

    Settings with a seed that diverged or was not finished are out; NaN never wins. A training that stopped early counts
    with its last value.

    Args:
        ds: a result of `sweep`.
        metric: the variable to judge by; `val_loss`, or `loss` where there are no test data.
        mode: "min" or "max"; needed where the metric's name says neither loss, error nor accuracy.
        at: each training counts with its value at the last computed epoch, or at its best one, whose weights are those
            of `sweep(keep="best")`.
        over: the seeds count with their mean, their median, or the worst of them.

    Raises:
        ValueError: the metric is unknown, its direction is not, or no setting is left to choose from.

    >>> import jax.numpy as jnp
    >>> from jaxlr import grid, sweep
    >>> ds = sweep(lambda key, lr: {"loss": (lr - 0.1) ** 2 + 0 * lr}, grid(lr=[0.01, 0.1, 1.0]), seeds=2)
    >>> print(best(ds))
    lr=0.1: loss 0 ± 0 (deviation of 2 seeds)

    Reference: for the ties, Student, "The probable error of a mean", Biometrika 6 (1908).
    """
    _checks.one_of("at", at, ("last", "best"))
    _checks.one_of("over", over, ("mean", "median", "worst"))
    metric = default_metric(ds, metric)
    reach = final(ds, metric) if at == "last" else reached(ds, metric, mode=mode)
    more = maximised(metric, mode)
    values, tried = flat(ds, reach).astype(np.float64), columns(ds)
    scores = _over_seeds(values, over, more)
    usable = np.isfinite(scores)
    if not usable.any():
        raise ValueError(f"no setting has a finite {metric} for every seed: {_counts(ds)}")
    row = int(np.argmin(np.where(usable, -scores if more else scores, np.inf)))
    shown = {name: column[row : row + 1].tolist()[0] for name, column in tried.items() if present(column)[row]}
    status, seeds = flat(ds, ds["status"]), values.shape[1]
    return Best(
        as_given(ds, shown),
        metric,
        float(scores[row]),
        float(values[row].std(ddof=1)) if seeds > 1 else float("nan"),
        seeds,
        _edges(tried, shown),
        row,
        _ties(-values if more else values, row),
        tuple(_cliffs(tried, shown, (status == "diverged").sum(axis=1), row)),
        int((status == "unfinished").any(axis=1).sum()),
    )


def weights(params: PyTree, ds: xr.Dataset, chosen: Best) -> PyTree:
    """The weights of one setting, its seeds as the leading axis, out of those that `sweep(keep=...)` gave.

    Args:
        params: the second of the pair.
        ds: the first, as it came.
        chosen: from `best(ds)`.

    Raises:
        ValueError: the weights are not those of this result.

    >>> import optax
    >>> from jaxlr import experiment, grid, sweep, tasks
    >>> run = experiment(tasks.blobs(), optax.sgd, epochs=2)
    >>> ds, params = sweep(run, grid(learning_rate=[0.1, 0.01]), seeds=3, keep="last")
    >>> weights(params, ds, best(ds))["layer_0"].shape
    (3, 50, 3)
    """
    dims = setting_dims(ds)
    shape = tuple(ds.sizes[dim] for dim in (*dims, "seed"))
    for leaf in jax.tree.leaves(params):
        if leaf.shape[: len(shape)] != shape:
            raise ValueError(f"params must have the leading axes {shape} of ds, got the shape {leaf.shape}")
    at = np.unravel_index(chosen.row, shape[:-1]) if dims else ()
    return jax.tree.map(lambda leaf: leaf[tuple(int(i) for i in at)], params)


def _over_seeds(values: np.ndarray, over: str, more: bool) -> np.ndarray:
    """The seeds' values `[settings, seeds]` as one for each setting; NaN where a seed is."""
    if over == "worst":
        return np.asarray(values.min(axis=1) if more else values.max(axis=1))
    return np.asarray(np.median(values, axis=1) if over == "median" else values.mean(axis=1))


def _ties(losses: np.ndarray, row: int) -> tuple[int, ...]:
    """The settings of which `[settings, seeds]` say too little to tell them from one that is better in the mean."""
    from scipy.special import stdtrit  # `scipy.stats` takes longer to import than this to compute

    seeds = losses.shape[1]
    if seeds < 2:
        return ()
    worse = losses - losses[row]
    mean, error = worse.mean(axis=1), worse.std(axis=1, ddof=1) / np.sqrt(seeds)
    with np.errstate(invalid="ignore"):
        alike = mean <= stdtrit(seeds - 1, 0.975) * error
    alike[row] = False
    return tuple(np.flatnonzero(alike).tolist())


def _cliffs(
    tried: Mapping[str, np.ndarray], setting: Mapping[str, Any], diverged: np.ndarray, row: int
) -> Iterator[Cliff]:
    """The next values up and down along each number, all else being equal, with which something diverged."""
    same = {name: _equal(column, column[row]) for name, column in tried.items()}
    for name in setting:
        column = tried[name]
        if column.dtype.kind not in "fi":
            continue
        beside = np.logical_and.reduce([~same[name], *(equal for other, equal in same.items() if other != name)])
        for side, nearest in ((column < column[row], np.max), (column > column[row], np.min)):
            at = np.flatnonzero(beside & side)
            if len(at):
                place = at[column[at] == nearest(column[at])][0]
                if diverged[place]:
                    yield Cliff(name, float(column[place]), int(diverged[place]))


def _equal(column: np.ndarray, value: Any) -> np.ndarray:
    """Where a hyperparameter has a value, or is absent as that is."""
    if column.dtype.kind == "f" and np.isnan(value):
        return np.asarray(np.isnan(column))
    return np.asarray(column == value)


def _edges(tried: Mapping[str, np.ndarray], setting: Mapping[str, Any]) -> tuple[str, ...]:
    edges = []
    for name, value in setting.items():
        if tried[name].dtype.kind in "fi":
            values = np.unique(tried[name][present(tried[name])])
            # Nothing lies below zero momentum or decay: that is a bound, not an edge.
            bound = value == 0 and value == values[0]
            if len(values) > 1 and value in (values[0], values[-1]) and not bound:
                edges.append(name)
    return tuple(edges)


def _counts(ds: xr.Dataset) -> str:
    names, counts = np.unique(ds["status"].values.astype(str), return_counts=True)
    return ", ".join(f"{count} {name}" for name, count in zip(names, counts, strict=True))
