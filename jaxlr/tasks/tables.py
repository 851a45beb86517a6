"""Tables of examples by name or from a file, ready to train on."""

from __future__ import annotations

import gzip
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jaxlr import _checks
from jaxlr.tasks.making import blobs_data

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["NAMES", "Table", "load"]

_BUNDLED = ("breast_cancer", "diabetes", "digits", "iris", "wine")

NAMES = ("blobs", *_BUNDLED)
"""Table sets that need no file."""

_TARGETS = ("target", "label", "y")
_NUMBERING = ("", "id", "index")
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

    def __str__(self) -> str:
        """What was understood, in a line."""
        rows, held = len(self.y) + len(self.y_test), len(self.y_test)
        aim = (
            f"{len(np.unique(np.append(self.y, self.y_test)))} classes"
            if self.kind == "classification"
            else "a number to predict"
        )
        return f"{rows} rows, {self.x.shape[1]} features, {aim}; {held} rows kept for validation"


def load(source: str | Path, *, target: str | None = None, kind: str | None = None) -> Table:
    """Examples by name, or from a table or arrays in a file.

    Where the source has no test data, a fifth of the rows, drawn with a fixed seed, is kept for testing.
    Features are standardised, `(x - mean) / std` with the training rows' mean and standard deviation, and
    so are the targets of a regression: a loss of 1 is that of predicting the mean. Text is a class;
    integers of at most 20 values, each of which occurs twice or more on average, are classes; other numbers
    are a regression.

    `blobs` is the exception: the tutorial's points as they are, the first half to train on, as in
    `tasks.blobs`.

    Args:
        source: one of `NAMES` (scikit-learn's bundled data); or a table of numbers, with or without a header, as
            `*.csv` or `*.tsv` (separated by commas, semicolons or tabs; `.gz` too) or `*.parquet`; or a file `*.npz`
            with the arrays `x` and `y` and, if there are test data, `x_test` and `y_test`. An unnamed column, or one
            named `id` or `index`, is left out where it only numbers the rows.
        target: the table's column to predict; by default `target`, `label` or `y`, else the last one.
        kind: "classification" or "regression", where the default guesses otherwise.

    Returns:
        The data and whether they are a classification or a regression.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the name is unknown, or the file is no such table: text among the features, missing or
            infinite values, arrays that do not fit one another.

    >>> data = load("wine")
    >>> data.x.shape, data.x_test.shape, data.kind
    ((142, 13), (36, 13), 'classification')
    >>> print(data)
    178 rows, 13 features, 3 classes; 36 rows kept for validation

    Reference: the UCI data sets that come with scikit-learn, `sklearn.datasets`.
    """
    path, name = Path(source), str(source)
    if kind is not None:
        _checks.one_of("kind", kind, ("classification", "regression"))
    table = _is_table(path)
    if target is not None and not table:
        raise ValueError(f"target must be left out but for a table with named columns; got {target!r} for {name!r}")
    if name == "blobs":
        x, y = blobs_data()
        labels = y.astype(np.int32)
        return Table(x[:500], labels[:500], x[500:], labels[500:], "classification")
    if name in _BUNDLED:
        import sklearn.datasets

        x, y = getattr(sklearn.datasets, f"load_{name}")(return_X_y=True)
        return _prepared(name, x, y, kind=kind)
    if not table and path.suffix.lower() != ".npz":
        files = "a file *.csv, *.tsv, *.csv.gz, *.parquet or *.npz"
        raise ValueError(f"data must be one of {', '.join(NAMES)}, or {files}; got {name!r}")
    if not path.is_file():
        raise FileNotFoundError(f"data must be a file that exists, got {name}")
    if not table:
        return _prepared(name, *_read_npz(path), kind=kind)
    return _prepared(name, *_columns(path, _read_table(path), target), kind=kind)


def _is_table(path: Path) -> bool:
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    return bool(suffixes) and suffixes[-1] in (".csv", ".tsv", ".parquet")


def _read_table(path: Path) -> pd.DataFrame:
    import pandas as pd

    if path.suffix.lower() == ".parquet":
        try:
            return pd.read_parquet(path)
        except ImportError as error:
            raise ValueError(f"{path} needs the package pyarrow to be read, or save it as *.csv") from error

    def read(header: int | None, rows: int | None = None) -> pd.DataFrame:
        try:
            return pd.read_csv(path, header=header, nrows=rows, skipinitialspace=True, sep=separator)
        except (ValueError, OSError) as error:
            reason = str(error).strip().splitlines()[0]
            raise ValueError(f"{path} must be a table of separated values: {reason}") from error

    separator = _separator(path)
    first = read(None, 1)
    named = pd.to_numeric(first.iloc[0].dropna(), errors="coerce").isna().all()
    return read(0 if named else None)


def _separator(path: Path) -> str:
    """Whichever of comma, semicolon and tab the first line has most of."""
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    with opened(path, "rt", encoding="utf-8", errors="replace") as file:
        line = file.readline()
    return max(",;\t", key=line.count)


def _columns(path: Path, table: pd.DataFrame, target: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Features and target of a table, without columns that only number the rows."""
    for column in [
        column for column in table.columns if column != target and _only_numbers_rows(column, table[column])
    ]:
        warnings.warn(f"{path}: the column {column!r} only numbers the rows and is left out", stacklevel=3)
        table = table.drop(columns=column)
    if table.shape[1] < 2 or table.empty:
        raise ValueError(f"{path} must have rows of features and a target, got a table of the shape {table.shape}")
    predicted = _target(path, table, target)
    gaps = table.isna().sum()
    for column, count in gaps[gaps > 0].items():
        advice = "fill them or drop the rows, such as by table.dropna()"
        raise ValueError(f"{path} must have no missing values, got {count} in the column {_named(column)}: {advice}")
    features = table.drop(columns=predicted)
    text = [column for column in features if not _holds_numbers(features[column])]
    if text:
        advice = "drop it, or make numbers of it, such as by pandas.get_dummies"
        raise ValueError(f"{path} must have numbers as features, got text in the column {_named(text[0])}: {advice}")
    y = table[predicted]
    return features.to_numpy(float), y.to_numpy() if _holds_numbers(y) else y.to_numpy(str)


def _target(path: Path, table: pd.DataFrame, target: str | None) -> Any:
    """The column to predict."""
    if target is None:
        usual = [column for column in table.columns if str(column).strip().lower() in _TARGETS]
        return usual[0] if usual else table.columns[-1]
    if target not in table.columns:
        raise ValueError(f"target must be a column of {path}, {', '.join(map(str, table.columns))}; got {target!r}")
    return target


def _only_numbers_rows(name: Any, column: pd.Series) -> bool:
    """Whether a column is an index that was saved along with the table."""
    word = str(name).strip().lower()
    if isinstance(name, int) or not (word.startswith("unnamed:") or word in _NUMBERING):
        return False
    return column.dtype.kind in "iu" and bool(column.is_unique)


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
    *,
    kind: str | None = None,
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
    guessed = _are_classes(source, classes, len(y) + len(y_test))
    if kind == "regression" and classes.dtype.kind == "U":
        raise ValueError(f"{source} must have numbers as targets of a regression, got text such as {classes[0]!r}")
    if guessed if kind is None else kind == "classification":
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
