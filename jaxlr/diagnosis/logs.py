"""Loss curves from elsewhere: CSV files of one's own, of Lightning or of W&B, and Keras `History` dictionaries."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["LossCurve", "from_history", "read"]

_SPLITS = {"train": "", "training": "", "tr": "", "val": "val", "valid": "val", "validation": "val", "eval": "val"}
_SPLITS |= {"test": "val"}
_STEPS = ("step", "global_step", "trainer/global_step", "_step", "iteration", "epoch", "train/epoch")
"""Columns to order the rows by, the finest first."""

_TINY = 1e-9


class LossCurve(NamedTuple):
    """One training's curves, evenly spaced over it; see `read`.

    Attributes:
        losses: training losses `[T]`; NaN at the end where it diverged.
        val_losses: validation losses `[V]` over the same training, or None.
        lr: learning rates `[T]`, or None.
    """

    losses: np.ndarray
    val_losses: np.ndarray | None = None
    lr: np.ndarray | None = None


def from_history(history: Mapping[str, Sequence[float]]) -> LossCurve:
    """The curves of a Keras `History.history`: `loss`, and where they are there `val_loss` and `lr` or `learning_rate`.

    Args:
        history: name -> one number for each epoch.

    Raises:
        ValueError: there is no `loss`.

    >>> curve = from_history({"loss": [1.0, 0.5], "val_loss": [1.1, 0.7], "learning_rate": [0.1, 0.1]})
    >>> curve.losses.tolist(), curve.lr.tolist()
    ([1.0, 0.5], [0.1, 0.1])

    Reference: Keras, `keras.callbacks.History`.
    """
    found = _columns(list(history))
    if "loss" not in found:
        raise ValueError(f"losses must be a dictionary with a loss, got the keys {', '.join(history) or 'none'}")
    arrays = {role: np.asarray(history[name], float) for role, name in found.items() if role != "step"}
    return LossCurve(arrays["loss"], arrays.get("val_loss"), arrays.get("lr"))


def read(path: str | Path) -> LossCurve:
    """The curves in a CSV file: training loss, validation loss and learning rate, whichever columns hold them.

    Known are `loss`, `train_loss`, `train/loss`, `train_loss_epoch` and their like with `val`, `valid`, `eval` or
    `test`; `lr`, `learning_rate`, Lightning's `lr-Adam`; W&B's `my-run - train/loss` (its `__MIN` and `__MAX` are
    left out). An empty cell is a row that does not report this metric; `nan` and `inf` are values. Rows are ordered by
    `step` or `epoch` where there is one, and a curve with missing steps is filled in by straight lines.

    Args:
        path: a file `*.csv` with a header, for one training.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: no column, or several, can be the training loss; or a value is no number.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "metrics.csv")
    ...     _ = path.write_text("epoch,train_loss,val_loss\\n1,0.9,\\n1,,0.8\\n2,0.5,\\n2,,0.6\\n")
    ...     curve = read(path)
    >>> curve.losses.tolist(), curve.val_losses.tolist()
    ([0.9, 0.5], [0.8, 0.6])

    Reference: Lightning, `CSVLogger`; W&B, "Export data" of a chart.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"curve must be a file that exists, got {path}")
    table = _table(path)
    found = _columns(list(table))
    if "loss" not in found:
        raise ValueError(f"{path} must have a column loss or train_loss, got {', '.join(table)}")
    values = {role: _numbers(path, table[name]) for role, name in found.items()}
    unknown = np.ma.MaskedArray(np.zeros(len(table)), mask=True)
    steps = values.get("step", unknown)
    losses, at = _reported(values["loss"], steps)
    if len(losses) == 0:
        raise ValueError(f"{path} must have numbers in the column {found['loss']}, got none")
    val_losses = _reported(values["val_loss"], steps)[0] if "val_loss" in values else None
    lr = _along(values["lr"], steps, at, len(losses)) if "lr" in values else None
    return LossCurve(losses, val_losses if val_losses is not None and len(val_losses) else None, lr)


def _columns(header: Sequence[str]) -> dict[str, str]:
    """Role -> column: `loss`, `val_loss`, `lr`, `step`."""
    candidates: dict[str, list[str]] = {}
    for name in header:
        role = _role(name)
        if role:
            candidates.setdefault(role, []).append(name)
    found = {}
    for role, names in candidates.items():
        if role == "step":
            found[role] = min(names, key=lambda name: _STEPS.index(_bare(name)))
            continue
        # Where a step's and an epoch's loss are logged, the epoch's has less noise.
        whole = [name for name in names if _bare(name).endswith("_epoch")] or names
        if len(whole) > 1 and role != "lr":
            raise ValueError(f"one column must be the {role}, got several: {', '.join(whole)}; keep one training's")
        found[role] = whole[0]
    return found


def _bare(name: str) -> str:
    """Without W&B's name of the run, in lower case."""
    return name.rsplit(" - ", 1)[-1].strip().lower()


def _role(name: str) -> str | None:
    bare = _bare(name)
    if bare in _STEPS:
        return "step"
    if bare.endswith(("__min", "__max")):
        return None
    words = [word for word in re.split(r"[/_\-. ]+", bare) if word not in ("epoch", "step")]
    if words and (words[0] == "lr" or words[-1] == "lr" or words[-2:] == ["learning", "rate"]):
        return "lr"
    if words == ["loss"]:
        return "loss"
    if len(words) == 2 and "loss" in words:
        other = words[1 - words.index("loss")]
        if other in _SPLITS:
            return "val_loss" if _SPLITS[other] else "loss"
    return None


def _table(path: Path) -> pd.DataFrame:
    """The file's cells as text, its header without blanks around the names."""
    import pandas as pd

    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except ValueError as error:
        raise ValueError(f"{path} must have a header and rows of numbers: {_first_line(error)}") from error
    if table.empty:
        raise ValueError(f"{path} must have a header and rows of numbers, got no rows")
    return table.rename(columns=lambda name: str(name).strip())


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]


def _numbers(path: Path, column: pd.Series[str]) -> np.ma.MaskedArray:
    """A column's numbers; empty cells are masked, which a written `nan` is not."""
    cells = column.fillna("").str.strip()
    values = np.full(len(cells), np.nan)
    for i, cell in enumerate(cells):
        try:
            values[i] = float(cell) if cell else np.nan
        except ValueError:
            raise ValueError(
                f"{path} must hold numbers in the column {column.name}, got {cell!r} in line {i + 2}"
            ) from None
    return np.ma.MaskedArray(values, (cells == "").to_numpy())


def _reported(column: np.ma.MaskedArray, steps: np.ma.MaskedArray) -> tuple[np.ndarray, np.ndarray]:
    """The values of the rows that report one, in the order of their steps and evenly spaced; and their steps."""
    there = ~np.ma.getmaskarray(column)
    values, at = column.data[there], steps.filled(np.nan)[there]
    if len(values) < 2 or not np.isfinite(at).all():
        return values, at
    order = np.argsort(at, kind="stable")
    values, at = values[order], at[order]
    # A step that is there twice was repeated after a restart, or logs every batch of an epoch.
    last = np.append(np.diff(at) > 0, True)
    if last.all() or last.sum() * 2 > len(last):
        values, at = values[last], at[last]
    gaps = np.diff(at)
    if len(at) < 3 or gaps.min() <= 0 or gaps.max() <= gaps.min() * (1 + _TINY):
        return values, at
    even = np.linspace(at[0], at[-1], len(at))
    finite = np.isfinite(values)
    filled = np.interp(even, at[finite], values[finite]) if finite.any() else values.copy()
    if not finite[-1]:
        end = at[finite][-1] if finite.any() else -np.inf
        filled[even > end] = np.nan
    return filled, even


def _along(rates: np.ma.MaskedArray, at_rates: np.ma.MaskedArray, at: np.ndarray, count: int) -> np.ndarray | None:
    """Rates at the losses' steps."""
    values, steps = rates.filled(np.nan), at_rates.filled(np.nan)
    there = np.isfinite(values)
    if not there.any():
        return None
    if np.isfinite(at).all() and np.isfinite(steps[there]).all():
        return np.asarray(np.interp(at, steps[there], values[there]))
    return np.asarray(np.interp(np.linspace(0, 1, count), np.linspace(0, 1, int(there.sum())), values[there]))
