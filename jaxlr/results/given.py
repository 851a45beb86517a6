"""The values of a space as they were given, beside the labels that stand for them in a result."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["GIVEN", "AsGiven", "as_given"]

GIVEN = "values_as_given"
"""The attribute of a result that holds them; files do without."""


class AsGiven:
    """Hyperparameter -> label -> the value it stands for: functions, None, tuples, narrow floats.

    A pickle leaves out what cannot be pickled.
    """

    def __init__(self, values: Mapping[str, Mapping[Any, Any]]) -> None:
        self.values = values

    def __repr__(self) -> str:
        return f"of {', '.join(self.values) or 'nothing'}"

    def __reduce__(self) -> tuple[Any, ...]:
        kept = {}
        for name, column in self.values.items():
            try:
                pickle.dumps(column)
            except (pickle.PicklingError, TypeError, AttributeError):
                continue
            kept[name] = column
        return AsGiven, (kept,)


def as_given(ds: xr.Dataset, shown: Mapping[str, Any]) -> dict[str, Any]:
    """A setting with the values that its labels stand for."""
    known = ds.attrs.get(GIVEN)
    values = known.values if isinstance(known, AsGiven) else {}
    return {name: values.get(name, {}).get(label, label) for name, label in shown.items()}
