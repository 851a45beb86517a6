"""What is to be drawn of a result: its settings in words, and their curves, whatever the kind of space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxlr.plots.style import describe, number
from jaxlr.results import columns, final, flat, present

if TYPE_CHECKING:
    import xarray as xr


class Curves(NamedTuple):
    """The curves of a result's settings.

    Attributes:
        over: what tells the settings apart, in words.
        names: the settings in words `[settings]`.
        values: the hyperparameter's values `[settings]` where one number tells the settings apart, else None.
        curves: variable -> `(setting, seed, along)`.
        along: `epoch` or `step`.
    """

    over: str
    names: list[str]
    values: np.ndarray | None
    curves: dict[str, xr.DataArray]
    along: str


def final_values(ds: xr.Dataset, metric: str) -> np.ndarray:
    """The metric at the last computed epoch, `[settings, seeds]`; NaN where it diverged or is unfinished."""
    return flat(ds, final(ds, metric))


def varying(ds: xr.Dataset) -> dict[str, np.ndarray]:
    """The hyperparameters with several values, or absent from some settings: name -> values `[settings]`."""
    return {name: column for name, column in columns(ds).items() if varies(column) or not present(column).all()}


def varies(column: np.ndarray) -> bool:
    return len(np.unique(column[present(column)])) > 1


def in_words(others: Mapping[str, np.ndarray], settings: int) -> list[str]:
    """Each setting by its own values, such as `momentum 0.9`; what is absent from a setting is left out.

    >>> in_words({"lr": np.array([0.1, 0.2]), "momentum": np.array([np.nan, 0.9])}, 2)
    ['lr 0.1', 'lr 0.2, momentum 0.9']
    """
    parts = []
    for name, column in others.items():
        words = [f"{describe(name)} {number(value)}" for value in column.tolist()]
        parts.append([word if here else "" for word, here in zip(words, present(column), strict=True)])
    return [", ".join(filter(None, row)) for row in zip(*parts, strict=True)] if parts else [""] * settings


def curves(ds: xr.Dataset, over: str | None, metrics: list[str]) -> Curves:
    """The curves of every setting that has the hyperparameter `over`; of every setting for None.

    Raises:
        ValueError: `over` is no hyperparameter or does not tell the settings apart, or a metric is no curve.
    """
    along = _along(ds, metrics)
    tried = columns(ds)
    rows = np.arange(ds["status"].size // ds.sizes["seed"])
    apart = list(varying(ds))
    if over is not None:
        if over not in tried:
            raise ValueError(f"over must be a hyperparameter of the result, {', '.join(tried) or 'none'}; got {over!r}")
        rows = rows[present(tried[over])]
        _check_apart(over, tried[over][rows], [name for name in apart if name != over])
        apart = [over]
    here = {name: tried[name][rows] for name in apart}
    values = None
    if len(apart) == 1:
        (column,) = here.values()
        names = [number(value) for value in column.tolist()]
        values = column if column.dtype.kind in "fi" and present(column).all() else None
    else:
        names = in_words(here, len(rows))
    found = {metric: _flat(ds, metric, along).isel(setting=rows) for metric in metrics}
    return Curves(describe(apart[0]) if len(apart) == 1 else "setting", names, values, found, along)


def thinned(found: Curves, metric: str, most: int) -> Curves:
    """At most so many of the settings, evenly spaced in what the metric came to, the best and the worst among them."""
    count = len(found.names)
    if count <= most:
        return found
    ends = found.curves[metric].isel({found.along: -1}).mean("seed", skipna=False).values
    chosen = np.sort(np.argsort(ends, kind="stable")[np.linspace(0, count - 1, most).round().astype(int)])
    return found._replace(
        names=[found.names[i] for i in chosen],
        values=None if found.values is None else found.values[chosen],
        curves={name: values.isel(setting=chosen) for name, values in found.curves.items()},
    )


def _check_apart(over: str, column: np.ndarray, others: list[str]) -> None:
    different = len(np.unique(column))
    if different < len(column):
        raise ValueError(
            f"over must tell the settings apart, got {over!r} with {different} values for {len(column)} settings; "
            f"choose one value of {', '.join(others)} first, such as ds.sel({others[0]}=...) or ds.isel(...)"
        )


def _along(ds: xr.Dataset, metrics: list[str]) -> str:
    """The dimension that the metrics run along."""
    members = set(ds["status"].dims)
    known = [str(name) for name, values in ds.data_vars.items() if set(values.dims) - members in ({"epoch"}, {"step"})]
    for metric in metrics:
        if metric not in known:
            got = (
                f"{metric!r} with the dimensions {', '.join(map(str, ds[metric].dims))}"
                if metric in ds
                else repr(metric)
            )
            raise ValueError(f"metric must be a curve of the result, one of {', '.join(known) or 'none'}; got {got}")
    return "epoch" if "epoch" in ds[metrics[0]].dims else "step"


def _flat(ds: xr.Dataset, metric: str, along: str) -> xr.DataArray:
    """A variable as `(setting, seed, along)`, the last hyperparameter fastest."""
    import xarray as xr

    return xr.DataArray(flat(ds, ds[metric]), {along: ds[along].values}, ("setting", "seed", along), name=metric)
