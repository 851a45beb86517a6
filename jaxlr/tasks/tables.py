"""Tables of examples by name or from a file, ready to train on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jaxlr.tasks.making import blobs_data

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["NAMES", "Table", "load"]

_BUNDLED = ("breast_cancer", "diabetes", "digits", "iris", "wine")

NAMES = ("blobs", *_BUNDLED)
"""Table sets that need no file."""

_TARGETS = ("target", "label", "y")
_TEST_SHARE = 0.2
_MOST_CLASSES = 20
"""Integer targets with more values than this are numbers to predict, not classes."""


class Table(NamedTuple):
    """Examples to train and to test on.

    Attributes:
        x: training inputs `[N, features]`.
        y: training targets `[N]`: classes from 0 (int32), or numbers (float64).
        x_test: test inputs `[M, features]`.
        y_test: test targets `[M]`.
        kind: "classification" or "regression".
    """

    x: np.ndarray
    y: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    kind: str


def load(source: str | Path) -> Table:
    """Examples by name, or from a table or arrays in a file.

    Where the source has no test data, a fifth of the rows, drawn with a fixed seed, is kept for testing.
    Features are standardised, `(x - mean) / std` with the training rows' mean and standard deviation, and
    so are the targets of a regression: a loss of 1 is that of predicting the mean. Text is a class;
    integers of at most 20 values, each of which occurs twice or more on average, are classes; other numbers
    are a regression.

    `blobs` is the exception: the tutorial's points as they are, the first half to train on, as in
    `tasks.blobs`.

    Args:
        source: one of `NAMES` (scikit-learn's bundled data); or a file `*.csv` of numbers, with or without
            a header, whose target is the column `target`, `label` or `y`, else the last one; or a file
            `*.npz` with the arrays `x` and `y` and, if there are test data, `x_test` and `y_test`.

    Returns:
        The data and whether they are a classification or a regression.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the name is unknown, or the file is no such table: text among the features, missing or
            infinite values, arrays that do not fit one another.

    >>> data = load("wine")
    >>> data.x.shape, data.x_test.shape, data.kind
    ((142, 13), (36, 13), 'classification')

    Reference: the UCI data sets that come with scikit-learn, `sklearn.datasets`.
    """
    path, name = Path(source), str(source)
    if name == "blobs":
        x, y = blobs_data()
        return Table(x[:500], y[:500].astype(np.int32), x[500:], y[500:].astype(np.int32), "classification")
    if name in _BUNDLED:
        import sklearn.datasets

        x, y = getattr(sklearn.datasets, f"load_{name}")(return_X_y=True)
        return _prepared(name, x, y)
    if path.suffix.lower() not in (".csv", ".npz"):
        raise ValueError(f"data must be one of {', '.join(NAMES)}, or a file *.csv or *.npz; got {name!r}")
    if not path.is_file():
        raise FileNotFoundError(f"data must be a file that exists, got {name}")
    read = _read_csv if path.suffix.lower() == ".csv" else _read_npz
    return _prepared(name, *read(path))


def _read_csv(path: Path) -> tuple[np.ndarray, np.ndarray]:
    import pandas as pd

    def read(header: int | None, rows: int | None = None) -> pd.DataFrame:
        try:
            return pd.read_csv(path, header=header, nrows=rows, skipinitialspace=True)
        except ValueError as error:
            reason = str(error).strip().splitlines()[0]
            raise ValueError(f"{path} must be a table of comma-separated values: {reason}") from error

    first = read(None, 1)
    named = pd.to_numeric(first.iloc[0], errors="coerce").isna().all()
    table = read(0 if named else None)
    if table.shape[1] < 2 or table.empty:
        raise ValueError(f"{path} must have rows of features and a target, got a table of the shape {table.shape}")
    targets = [column for column in table.columns if str(column).strip().lower() in _TARGETS]
    target = targets[0] if targets else table.columns[-1]
    gaps = table.isna().sum()
    for column, count in gaps[gaps > 0].items():
        raise ValueError(f"{path} must have no missing values, got {count} in the column {_named(column)}")
    features = table.drop(columns=target)
    text = [column for column in features if not _holds_numbers(features[column])]
    if text:
        raise ValueError(f"{path} must have numbers as features, got text in the column {_named(text[0])}")
    y = table[target]
    return features.to_numpy(float), y.to_numpy() if _holds_numbers(y) else y.to_numpy(str)


def _holds_numbers(column: pd.Series) -> bool:
    return column.dtype.kind in "fiub"


def _named(column: Any) -> str:
    """A column by its name, or by its number counted from 1 where the table has no header."""
    return str(column + 1) if isinstance(column, int) else repr(column)


def _read_npz(path: Path) -> tuple[np.ndarray, ...]:
    import zipfile

    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} must be a file of plain NumPy arrays: {error}") from error
    names = ("x", "y", "x_test", "y_test") if {"x_test", "y_test"} & set(arrays) else ("x", "y")
    missing = [name for name in names if name not in arrays]
    if missing:
        raise ValueError(f"{path} must hold the arrays {', '.join(names)}; got {', '.join(arrays) or 'none'}")
    return tuple(arrays[name] for name in names)


def _prepared(
    source: str,
    x: np.ndarray,
    y: np.ndarray,
    x_test: np.ndarray | None = None,
    y_test: np.ndarray | None = None,
) -> Table:
    x, y = _checked(source, "", x, y)
    if x_test is None or y_test is None:
        x, y, x_test, y_test = _split(source, x, y)
    else:
        x_test, y_test = _checked(source, "_test", x_test, y_test)
        if x.shape[1] != x_test.shape[1]:
            raise ValueError(f"{source} must have as many features to test, {x.shape[1]}; got {x_test.shape[1]}")
        if (y.dtype.kind == "U") != (y_test.dtype.kind == "U"):
            raise ValueError(f"{source} must have y and y_test of one type, got {y.dtype} and {y_test.dtype}")
    mean, scale = _location(x)
    x, x_test = (x - mean) / scale, (x_test - mean) / scale
    classes = np.unique(np.concatenate([y, y_test]))
    if _are_classes(source, classes, len(y) + len(y_test)):
        found = (np.searchsorted(classes, labels).astype(np.int32) for labels in (y, y_test))
        return Table(x, next(found), x_test, next(found), "classification")
    mean, scale = _location(y.astype(float))
    return Table(x, (y - mean) / scale, x_test, (y_test - mean) / scale, "regression")


def _checked(source: str, suffix: str, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inputs as rows of numbers, and as many targets: numbers or text, all finite."""
    if x.ndim < 2 or y.ndim != 1 or len(x) != len(y) or x.size == 0:
        raise ValueError(f"{source} must have x{suffix} [N, ...] and y{suffix} [N], got {x.shape} and {y.shape}")
    if x.dtype.kind not in "fiub" or y.dtype.kind not in "fiubU":
        raise ValueError(f"{source} must hold numbers, got x{suffix} of {x.dtype} and y{suffix} of {y.dtype}")
    for name, values in ((f"x{suffix}", x), (f"y{suffix}", y)):
        bad = 0 if values.dtype.kind == "U" else int((~np.isfinite(values)).sum())
        if bad:
            raise ValueError(f"{source} must have finite {name}, got {bad} values that are NaN or infinite")
    return x.reshape(len(x), -1).astype(float), y


def _split(source: str, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, ...]:
    held = round(_TEST_SHARE * len(x))
    if held < 1:
        raise ValueError(f"{source} must have at least 3 rows, to keep a fifth for testing; got {len(x)}")
    order = np.random.default_rng(0).permutation(len(x))
    train, test = order[:-held], order[-held:]
    return x[train], y[train], x[test], y[test]


def _location(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of the rows; 1 where a column is constant, but for rounding."""
    scale = values.std(axis=0)
    return values.mean(axis=0), np.where(scale > 1e-12 * np.abs(values).max(axis=0), scale, 1.0)


def _are_classes(source: str, classes: np.ndarray, rows: int) -> bool:
    if len(classes) < 2:
        raise ValueError(f"{source} must have targets of at least two values, got only {classes[0]}")
    repeated = 2 * len(classes) <= rows
    if classes.dtype.kind == "U":
        if not repeated:
            raise ValueError(f"{source} must have few classes, got {len(classes)} texts as targets of {rows} rows")
        return True
    whole = classes.dtype.kind in "iub" or bool((classes == np.round(classes)).all())
    return whole and repeated and len(classes) <= _MOST_CLASSES
