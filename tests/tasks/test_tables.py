"""Data by name and from files: shapes, standardisation, kinds, and one clear line for what does not fit."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from jaxlr import tasks
from jaxlr.tasks import tables

ROWS = "".join(f"{i},{i % 7},{'yes' if i % 2 else 'no'}\n" for i in range(20))


def write(folder: Path, text: str) -> Path:
    path = folder / "table.csv"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("name", "features", "classes"),
    [("breast_cancer", 30, 2), ("digits", 64, 10), ("iris", 4, 3), ("wine", 13, 3), ("diabetes", 10, None)],
)
def test_bundled_data(name: str, features: int, classes: int | None) -> None:
    x, y, x_test, y_test, kind = tables.load(name)
    assert x.shape[1] == x_test.shape[1] == features
    assert len(x_test) == round(0.2 * (len(x) + len(x_test)))
    assert (len(x), len(x_test)) == (len(y), len(y_test))
    assert kind == ("regression" if classes is None else "classification")
    if classes:
        assert np.unique(y).tolist() == list(range(classes))
        assert set(y_test.tolist()) <= set(y.tolist())
    else:
        assert y.mean() == pytest.approx(0, abs=1e-12)
        assert y.std() == pytest.approx(1)
    spread = x.std(axis=0)
    np.testing.assert_allclose(x.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(spread[spread > 0], 1)
    assert np.isfinite(x_test).all()
    again = tables.load(name)
    np.testing.assert_array_equal(again.x_test, x_test)


def test_blobs_are_the_tutorials() -> None:
    found, task = tables.load("blobs"), tasks.blobs()
    np.testing.assert_array_equal(found.x.T.astype(np.float32), task.x)
    np.testing.assert_array_equal(found.y_test, task.y_test)


@pytest.mark.parametrize("name", tables.NAMES)
def test_every_name_makes_a_task(name: str) -> None:
    *arrays, kind = tables.load(name)
    assert getattr(tasks, kind)(tasks.MLP((4,)), *arrays).examples == len(arrays[0])


@pytest.mark.parametrize(
    ("text", "features", "kind", "values"),
    [
        (ROWS, 2, "classification", 2),
        ("a,b,c\n" + ROWS, 2, "classification", 2),
        ("a, target, c\n" + "".join(f"{i},{i % 3},{i * i}\n" for i in range(20)), 2, "classification", 3),
        ("Y,b\n" + "".join(f"{i / 3},{i}\n" for i in range(20)), 1, "regression", 16),
        ("a,label\n" + "".join(f"{i},{i % 2:.6e}\n" for i in range(20)), 1, "classification", 2),
        ("".join(f"{i},{i * 7}\n" for i in range(30)), 1, "regression", 24),
        ("".join(f"{i},{i % 25}\n" for i in range(100)), 1, "regression", 25),
        ("a,b\n" + "".join(f"{i},{i % 2 == 0}\n" for i in range(10)), 1, "classification", 2),
    ],
)
def test_tables(tmp_path: Path, text: str, features: int, kind: str, values: int) -> None:
    found = tables.load(write(tmp_path, text))
    assert found.x.shape[1] == features
    assert found.kind == kind
    assert len(np.unique(found.y)) == values


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.csv.gz", "T.CSV"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_separators_and_compression(tmp_path: Path, name: str, separator: str) -> None:
    text = "a,b,kind\n" + "".join(f"{i},{i * i},{'xyz'[i % 3]}\n" for i in range(30))
    expected = tables.load(write(tmp_path, text))
    raw = text.replace(",", separator).encode()
    (tmp_path / name).write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
    for one, other in zip(tables.load(tmp_path / name), expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_target_and_a_kind_of_ones_own(tmp_path: Path) -> None:
    path = write(tmp_path, "price,rooms,size\n" + "".join(f"{100 + 7 * i},{i % 4},{i}\n" for i in range(40)))
    assert tables.load(path).kind == "regression"
    rooms = tables.load(path, target="rooms")
    assert (rooms.kind, rooms.x.shape[1]) == ("classification", 2)
    assert str(rooms) == "40 rows, 2 features, 4 classes; 8 rows kept for validation"
    assert tables.load(path, target="rooms", kind="regression").kind == "regression"
    with pytest.raises(ValueError, match=r"target must be a column of .*, price, rooms, size; got 'room'"):
        tables.load(path, target="room")
    with pytest.raises(ValueError, match="target must be left out but for a table"):
        tables.load("wine", target="x")
    with pytest.raises(ValueError, match="kind must be one of classification, regression; got 'ranking'"):
        tables.load(path, kind="ranking")


@pytest.mark.parametrize("name", ["", "id", "Index"])
def test_a_column_that_numbers_the_rows_is_left_out_and_said(tmp_path: Path, name: str) -> None:
    rows = "".join(f"{i + 1},{i * i % 7},{i % 2}\n" for i in range(30))
    path = write(tmp_path, f"{name},a,target\n{rows}")
    with pytest.warns(UserWarning, match=r"the column '.*' only numbers the rows and is left out"):
        found = tables.load(path)
    assert found.x.shape[1] == 1
    repeated = write(tmp_path, f"{name},a,target\n{rows}{rows}")
    assert tables.load(repeated).x.shape[1] == 2, "what repeats is no number of a row"


def test_parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What pandas reads, with whatever package it reads it by; without one, which to install."""
    path = tmp_path / "t.parquet"
    path.touch()
    frame = pd.DataFrame({"a": np.arange(30.0), "target": np.arange(30) % 2})
    monkeypatch.setattr(pd, "read_parquet", lambda path: frame)
    assert tables.load(path).kind == "classification"

    def missing(path: Path) -> None:
        raise ImportError("Unable to find a usable engine")

    monkeypatch.setattr(pd, "read_parquet", missing)
    with pytest.raises(ValueError, match="needs the package pyarrow"):
        tables.load(path)


def test_the_training_rows_alone_standardise(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(5, 2, (50, 3)), rng.normal(size=50)
    x[:, 2] = 0.1
    np.savez(tmp_path / "a.npz", x=x, y=y, x_test=x[:10] + 1, y_test=y[:10])
    found = tables.load(tmp_path / "a.npz")
    np.testing.assert_allclose(found.x_test[:, :2], (x[:10, :2] + 1 - x[:, :2].mean(0)) / x[:, :2].std(0))
    np.testing.assert_allclose(found.x[:, 2], 0, atol=1e-12)
    np.testing.assert_allclose(found.x_test[:, 2], 1)
    np.testing.assert_allclose(found.y_test, (y[:10] - y.mean()) / y.std())


def test_images_become_rows_and_texts_classes(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.arange(80.0).reshape(20, 2, 2), y=np.array(["b", "a"] * 10))
    found = tables.load(str(tmp_path / "a.npz"))
    assert found.x.shape == (16, 4)
    assert set(found.y.tolist()) == {0, 1}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "must be a table of separated values: No columns to parse"),
        ("a,b,target\n", "must have rows of features and a target|No columns"),
        ("1\n2\n3\n", r"must have rows of features and a target, got a table of the shape \(3, 1\)"),
        ("a,b\n1,2\n,4\n5,6\n", "no missing values, got 1 in the column 'a'"),
        ("1,2\n3,nan\n5,6\n", "no missing values, got 1 in the column 2"),
        ("a,b,c\nx,1,0\ny,2,1\nx,3,0\ny,4,1\n", "numbers as features, got text in the column 'a'"),
        ("a,b\n1,x\n2,y\n3,z\n", "few classes, got 3 texts as targets of 3 rows"),
        ("1,2\n3,4,5,6\n", "must be a table of separated values"),
        ("a,b\n" + "1,5\n" * 10, "targets of at least two values, got only 5"),
        ("a,b\n1,0.5\n2,0.7\n", "at least 3 rows, to keep a fifth for testing; got 2"),
        ("a,b\n1,0.5\ninf,0.7\n3,0.1\n", "finite x, got 1 values"),
    ],
)
def test_bad_tables(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        tables.load(write(tmp_path, text))
    assert len(str(caught.value).splitlines()) == 1


X, Y = np.arange(20.0).reshape(10, 2), np.arange(10) % 2


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x": X}, "must hold the arrays x, y; got x"),
        ({"x": X, "y": Y, "x_test": X}, "must hold the arrays x, y, x_test, y_test; got x, y, x_test"),
        ({"x": X, "y": Y[:5]}, r"must have x \[N, ...\] and y \[N\], got \(10, 2\) and \(5,\)"),
        ({"x": X[:, 0], "y": Y}, r"got \(10,\) and \(10,\)"),
        ({"x": np.where(X == 3, np.nan, X), "y": Y}, "finite x, got 1 values that are NaN or infinite"),
        ({"x": X, "y": np.where(Y, np.inf, 0.5)}, "finite y, got 5 values"),
        ({"x": X, "y": Y, "x_test": X[:, :1], "y_test": Y}, "as many features to test, 2; got 1"),
        ({"x": X, "y": Y, "x_test": X, "y_test": Y.astype(str)}, "y and y_test of one type"),
        ({"x": X.astype(str), "y": Y}, "must hold numbers, got x of <U"),
        ({"x": np.array([{}] * 10).reshape(10, 1), "y": Y}, "must be a file of plain NumPy arrays"),
    ],
)
def test_bad_arrays(tmp_path: Path, arrays: dict[str, Any], words: str) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ValueError, match=words):
        tables.load(tmp_path / "a.npz")


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_text("a text")
    with pytest.raises(ValueError, match="must be a file of plain NumPy arrays"):
        tables.load(tmp_path / "a.npz")
    with pytest.raises(FileNotFoundError, match=r"data must be a file that exists, got nowhere\.csv"):
        tables.load("nowhere.csv")
    with pytest.raises(ValueError, match=r"data must be one of blobs, breast_cancer, .* got 'mnist'"):
        tables.load("mnist")
