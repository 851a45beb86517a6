"""What is read off a result: the best, the table, comparisons, marginals, and files, for every kind of space."""

from __future__ import annotations

import datetime
import os
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats

from jaxlr import best, compare, grid, load, marginal, results, sampled, save, schedules, sweep, table, zipped
from jaxlr.spaces import Space, log_uniform, uniform

NAN = float("nan")
SPACES = {
    "grid": grid(lr=[0.1, 0.01], momentum=[0.0, 0.5, 0.9], nesterov=True),
    "single": grid(lr=0.1, name="adam", n=3),
    "zipped": zipped(lr=[0.1, 0.2], name=["sgd", "adam"], nesterov=[False, True], n=[1, 2]),
    "product": grid(lr=[0.1, 0.2]) * zipped(a=[1, 2, 3], b=["x", "y", "z"]),
    "sum": grid(lr=[0.1]) + grid(lr=[0.2], momentum=[0.5, 0.9], name="adam", nesterov=True),
    "sampled": sampled(4, lr=log_uniform(1e-3, 1), momentum=uniform(0, 1)),
    "schedules": grid(learning_rate=[schedules.linear(0.1, 10), schedules.linear(0.2, 10)]),
    "functions": grid(f=[max, min, lambda: 1, lambda: 2], g=[None, 0.9]),
}


def made(space: Space, values: Any, *, stopped: Any = None, metric: str = "val_loss", **more: Any) -> xr.Dataset:
    """A result with the values `[settings, seeds, epochs]` as its training loss and as a metric."""
    arrays = {"loss": np.asarray(values, np.float32)}
    arrays[metric] = arrays["loss"].copy()
    if stopped is not None:
        arrays["stopped"] = np.asarray(stopped, np.float32)
    arrays.update(more)
    return results.label(space, arrays, np.ones(arrays["loss"].shape[:2], bool), {"run": "a test"}, "epoch")


def numbered(space: Space, seeds: int = 3, epochs: int = 2) -> xr.Dataset:
    """The final value of setting i at seed k is i + k / 10."""
    i, k = np.arange(len(space))[:, None, None], np.arange(seeds)[None, :, None]
    return made(space, np.broadcast_to(i + k / 10, (len(space), seeds, epochs)) + np.arange(epochs)[::-1])


@pytest.mark.parametrize("name", SPACES)
def test_table_has_a_row_for_each_setting_of_every_space(name: str) -> None:
    space = SPACES[name]
    rows = table(numbered(space))
    assert len(rows) == len(space)
    np.testing.assert_allclose(rows["val_loss"], np.arange(len(space)) + 0.1, rtol=1e-6)
    np.testing.assert_allclose(rows["val_loss_std"], 0.1, rtol=1e-4)
    assert rows["diverged"].tolist() == [0] * len(space)
    for i, row in enumerate(space.rows()):
        for column in space.names:
            value = rows[column][i]
            if column not in row:
                assert value == "" if isinstance(value, str) else np.isnan(value)
            elif isinstance(row[column], (int, float)) and rows[column].dtype.kind in "bif":
                assert value == row[column]
            else:
                assert value.split(" (")[0] == results.text(row[column])


@pytest.mark.parametrize("name", SPACES)
def test_best_of_every_space_is_one_of_its_rows(name: str) -> None:
    space = SPACES[name]
    found = best(numbered(space))
    first = next(space.rows())
    assert found.setting.keys() == first.keys()
    for key, value in first.items():
        # As it was given: a function is the function itself.
        given = found.setting[key]
        assert given == value if isinstance(value, (int, float, str)) else given is value
    assert found.value == pytest.approx(0.1)
    assert found.spread == pytest.approx(0.1, rel=1e-4)
    assert found.seeds == 3


@pytest.mark.parametrize("name", SPACES)
def test_files_give_back_what_was_saved(name: str, tmp_path: Path) -> None:
    ds = numbered(SPACES[name])
    ds.attrs.update(flag=True, nothing=None, several={"a": [1, 2]}, n=3)
    same = load(save(ds, tmp_path / "run.nc"))
    assert same.equals(ds)
    assert {key: value for key, value in same.attrs.items() if key in ("run", "jaxlr", "created", "n")} == {
        key: ds.attrs[key] for key in ("run", "jaxlr", "created", "n")
    }
    assert (same.attrs["flag"], same.attrs["nothing"], same.attrs["several"]) == ("true", "null", '{"a": [1, 2]}')
    saved, read = best(ds), best(same)
    words = {
        key: value if isinstance(value, (int, float, str)) else results.text(value)
        for key, value in saved.setting.items()
    }
    assert read == saved._replace(setting=words)
    pd.testing.assert_frame_equal(table(same), table(ds))
    for coordinate in ds.coords:
        assert same[coordinate].dtype.kind == ds[coordinate].dtype.kind


def test_a_file_says_what_made_it_and_what_it_holds(tmp_path: Path) -> None:
    import jaxlr

    before = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    same = load(save(numbered(SPACES["grid"]), tmp_path / "run.nc"))
    created = datetime.datetime.fromisoformat(same.attrs["created"])
    assert before <= created <= datetime.datetime.now(datetime.UTC)
    assert same.attrs["jaxlr"] == jaxlr.__version__
    assert same.attrs["run"] == "a test"
    for name in same.data_vars:
        assert same[name].attrs["description"]


def test_a_failed_write_leaves_the_good_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(numbered(SPACES["grid"]), tmp_path / "run.nc")
    good = path.read_bytes()

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    # What is written before the interrupt must not be in the good file's place.
    for name in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, interrupt)
            with pytest.raises(KeyboardInterrupt):
                save(numbered(SPACES["zipped"]), path, force=True)
        assert path.read_bytes() == good
        assert [file.name for file in tmp_path.iterdir()] == ["run.nc"]


def test_nothing_is_replaced_without_force(tmp_path: Path) -> None:
    path = save(numbered(SPACES["grid"]), tmp_path / "run.nc")
    with pytest.raises(FileExistsError, match=r"run\.nc exists; pass force=True"):
        save(numbered(SPACES["zipped"]), path)
    assert load(save(numbered(SPACES["zipped"]), path, force=True)).sizes["setting"] == 2


def test_bad_files(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.nc, which is not there"):
        load(tmp_path / "none.nc")
    (tmp_path / "text.nc").write_text("a text")
    with pytest.raises(ValueError, match=r"must be a NetCDF-4 file that save wrote, got .*text\.nc"):
        load(tmp_path / "text.nc")


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a file that `save` wrote."""
    return save(numbered(SPACES["zipped"]), tmp_path_factory.mktemp("sealed") / "run.nc").read_bytes()


def test_a_changed_byte_is_one_error_and_no_noise(
    sealed: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path, rng = tmp_path / "run.nc", np.random.default_rng(0)
    for offset in rng.integers(0, len(sealed), 300):
        damaged = bytearray(sealed)
        damaged[offset] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        if offset < len(sealed) - results.files.SEALED:
            with pytest.raises(ValueError, match=r"path must be a whole file, got .*run\.nc, which is damaged"):
                load(path)
    assert capfd.readouterr() == ("", "")


def test_a_file_that_was_cut_is_an_error(sealed: bytes, tmp_path: Path) -> None:
    path = tmp_path / "run.nc"
    for length in np.random.default_rng(0).integers(0, len(sealed) - results.files.SEALED, 50):
        path.write_bytes(sealed[:length])
        with pytest.raises(ValueError, match=r"path must be a NetCDF-4 file that save wrote, got .*run\.nc"):
            load(path)


def test_files_without_a_digest_and_other_readers_get_along(sealed: bytes, tmp_path: Path) -> None:
    path = tmp_path / "run.nc"
    path.write_bytes(sealed)
    assert xr.load_dataset(path, engine="h5netcdf").equals(load(path))
    path.write_bytes(sealed[: -results.files.SEALED])
    assert load(path).equals(numbered(SPACES["zipped"]))


LR = grid(lr=[0.001, 0.01, 0.1, 1.0])


def final(values: list[list[float]]) -> np.ndarray:
    """Final values `[settings, seeds]` as two epochs."""
    return np.stack([np.full(np.shape(values), 9.0), np.array(values)], axis=-1)


def test_nan_never_wins() -> None:
    ds = made(LR, final([[3, 3], [2, 2], [1, NAN], [NAN, NAN]]))
    assert best(ds).setting == {"lr": 0.01}
    assert best(ds, mode="max").setting == {"lr": 0.001}
    ds = made(LR, final([[3, 3], [2, 2], [1, NAN], [NAN, NAN]]), metric="val_accuracy")
    assert best(ds, "val_accuracy").setting == {"lr": 0.001}


def test_a_metric_that_survives_a_diverged_loss_does_not_win() -> None:
    loss = final([[3, 3], [2, 2], [1, NAN], [1, 1]])
    ds = results.label(
        LR,
        {"loss": loss, "score": np.array([[3.0, 3], [2, 2], [0, 0], [1, 1]])},
        np.ones((4, 2), bool),
        {},
        "epoch",
    )
    assert best(ds, "score", mode="min").setting == {"lr": 1.0}
    rows = table(ds)
    assert rows["score"].tolist() == [3, 2, 0, 1]
    assert rows["diverged"].tolist() == [0, 0, 1, 0]


def test_the_means_of_the_table_leave_diverged_seeds_out() -> None:
    rows = table(made(LR, final([[3, 3], [2, 4], [1, NAN], [NAN, NAN]])))
    np.testing.assert_array_equal(rows["val_loss"], [3, 3, 1, NAN])
    assert rows["diverged"].tolist() == [0, 0, 1, 2]


def test_every_setting_diverged() -> None:
    with pytest.raises(ValueError, match="no setting has a finite val_loss for every seed: 8 diverged"):
        best(made(LR, final([[NAN, NAN]] * 4)))


def test_unfinished_settings_do_not_win() -> None:
    finished = np.array([[True, True], [True, True], [True, False], [True, True]])
    values = final([[3, 3], [2, 2], [1, 1], [4, 4]])
    ds = results.label(LR, {"loss": values, "val_loss": values}, finished, {}, "epoch")
    assert best(ds).setting == {"lr": 0.01}


def test_a_training_that_stopped_counts_with_its_last_value() -> None:
    values = np.array([[[5.0, 4.0, 3.0]], [[5.0, 2.0, NAN]], [[1.0, NAN, NAN]], [[6.0, 5.0, 4.0]]])
    ds = made(LR, values, stopped=np.isnan(values))
    assert ds["status"].values.ravel().tolist() == ["ok", "stopped", "stopped", "ok"]
    assert results.final(ds, "val_loss").values.ravel().tolist() == [3, 2, 1, 4]
    assert best(ds).setting == {"lr": 0.1}
    assert table(ds)["val_loss"].tolist() == [3, 2, 1, 4]


def test_one_seed_has_no_spread() -> None:
    found = best(made(LR, final([[3], [2], [1], [4]])))
    assert np.isnan(found.spread)
    assert str(found) == "lr=0.1: val_loss 1 with one seed"
    assert "val_loss_std" not in table(made(LR, final([[3], [2], [1], [4]])))


@pytest.mark.parametrize(
    ("space", "values", "edge"),
    [
        (LR, [3, 2, 1, 4], ()),
        (LR, [1, 2, 3, 4], ("lr",)),
        (LR, [4, 3, 2, 1], ("lr",)),
        (grid(lr=[0.1, 0.2, 0.3], momentum=0.9), [1, 2, 3], ("lr",)),
        (grid(momentum=[0.0, 0.5, 0.9]), [1, 2, 3], ()),
        (grid(momentum=[0.0, 0.5, 0.9]), [3, 2, 1], ("momentum",)),
        (grid(lr=[1.0, 0.1, 0.01]), [3, 2, 1], ("lr",)),
        (zipped(lr=[0.1, 0.3, 0.2], n=[3, 1, 2]), [2, 3, 1], ()),
        (zipped(lr=[0.1, 0.3, 0.2], n=[3, 1, 2]), [2, 1, 3], ("lr", "n")),
        (grid(lr=[0.1, 0.2, 0.3]) + grid(lr=[0.25], momentum=[0.5, 0.8, 0.9]), [3, 3, 3, 2, 1, 2], ()),
        (grid(lr=[0.1, 0.2, 0.3]) + grid(lr=[0.25], momentum=[0.5, 0.8, 0.9]), [3, 3, 3, 2, 2, 1], ("momentum",)),
        (grid(lr=[0.1, 0.2, 0.3]) + grid(lr=[0.25], momentum=[0.5, 0.8, 0.9]), [3, 3, 1, 2, 2, 2], ("lr",)),
        (grid(name=["a", "b"], nesterov=[False, True]), [1, 2, 3, 4], ()),
        (grid(lr=0.1), [1], ()),
    ],
)
def test_the_edge_is_reported(space: Space, values: list[float], edge: tuple[str, ...]) -> None:
    found = best(made(space, final([[value, value] for value in values])))
    assert found.edge == edge
    assert ("look beyond it" in str(found)) == bool(edge)


def test_absent_hyperparameters_are_not_in_the_best_setting() -> None:
    space = grid(lr=[0.1], name="sgd") + grid(lr=[0.2], momentum=[0.5])
    assert best(made(space, final([[1, 1], [2, 2]]))).setting == {"lr": 0.1, "name": "sgd"}
    assert best(made(space, final([[2, 2], [1, 1]]))).setting == {"lr": 0.2, "momentum": 0.5}


def test_the_paired_interval_is_students() -> None:
    rng = np.random.default_rng(1)
    shared = rng.normal(size=12)
    a, b = shared + rng.normal(0.3, 0.1, 12), shared + rng.normal(0, 0.1, 12)
    found = compare(made(grid(lr=[0.1, 0.2]), final([a.tolist(), b.tolist()])), {"lr": 0.1}, {"lr": 0.2})
    expected = stats.ttest_rel(a.astype(np.float32).astype(float), b.astype(np.float32).astype(float))
    interval = expected.confidence_interval(0.95)
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-9)
    assert (found.low, found.high) == (pytest.approx(interval.low), pytest.approx(interval.high))
    assert found.difference == pytest.approx((found.low + found.high) / 2)
    assert found.seeds == 12
    assert "12 paired seeds" in str(found)


def test_seeds_that_diverged_are_left_out_of_a_comparison_and_named() -> None:
    ds = made(grid(lr=[0.1, 0.2]), final([[1, 2, NAN, 5], [2, 4, 3, NAN]]))
    found = compare(ds, {"lr": 0.1}, {"lr": 0.2})
    assert (found.difference, found.seeds, found.diverged_a, found.diverged_b) == (-1.5, 2, 1, 1)
    assert str(found).endswith("lr=0.1 diverged with 1 seed; lr=0.2 diverged with 1 seed")


@pytest.mark.parametrize(
    ("values", "seeds", "difference", "p_value", "words"),
    [
        ([[1], [3]], 1, -2, NAN, "-2 with one seed, which gives no interval"),
        ([[NAN, NAN], [1, 2]], 0, NAN, NAN, "no seed to compare; lr=0.1 diverged with 2 seeds"),
        ([[1, 2], [1, 2]], 2, 0, 1.0, "p = 1"),
        ([[2, 3], [1, 2]], 2, 1, 0.0, "95 % interval 1 to 1"),
    ],
)
def test_comparisons_of_few_seeds(values: Any, seeds: int, difference: float, p_value: float, words: str) -> None:
    found = compare(made(grid(lr=[0.1, 0.2]), final(values)), {"lr": 0.1}, {"lr": 0.2})
    assert found.seeds == seeds
    np.testing.assert_equal([found.difference, found.p_value], [difference, p_value])
    assert words in str(found)


@pytest.mark.parametrize("name", ["grid", "zipped", "product", "sum", "sampled", "schedules"])
def test_any_setting_of_any_space_can_be_compared(name: str) -> None:
    rows = list(SPACES[name].rows())
    found = compare(numbered(SPACES[name]), rows[-1], rows[0])
    assert found.difference == pytest.approx(len(rows) - 1)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"lr": 0.5}, r"a must be a setting of the result, got {'lr': 0.5}; it has lr: 0.1, 0.01"),
        ({"rate": 0.1}, "a must name hyperparameters of the result, lr, momentum, nesterov; got 'rate'"),
        ({"lr": 0.1}, "a must name one setting, got {'lr': 0.1} of 3; say also momentum"),
        ({"lr": "0.1"}, "a must be a setting of the result"),
        ({"nesterov": 1}, "a must be a setting of the result"),
    ],
)
def test_settings_that_are_not_there(setting: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        compare(numbered(SPACES["grid"]), setting, {"lr": 0.01, "momentum": 0.5})


def test_a_value_that_went_through_float32_is_found() -> None:
    ds = numbered(SPACES["grid"])
    a, b = {"lr": np.float32(0.1), "momentum": 0.9}, {"lr": 0.01, "momentum": np.float32(0.9)}
    assert compare(ds, a, b).difference == pytest.approx(-3)


def test_marginals_average_and_choose_over_the_other_axes() -> None:
    space = grid(lr=[1.0, 0.1], momentum=[0.0, 0.5, 0.9])
    ds = made(space, final([[1, 1], [2, 2], [3, 3], [4, 4], [NAN, 0], [6, 6]]))
    found = marginal(ds, "lr")
    assert found.dims == ("lr", "statistic")
    assert found["lr"].values.tolist() == [1.0, 0.1]
    assert found.sel(statistic="mean").values.tolist() == [2, 5]
    assert found.sel(statistic="best").values.tolist() == [1, 4]
    assert marginal(ds, "lr", mode="max").sel(statistic="best").values.tolist() == [3, 6]
    assert marginal(ds, "momentum").sel(momentum=0.5).values.tolist() == [2, 2]


def test_marginals_of_axes_that_are_no_dimension() -> None:
    space = grid(name=["a", "b"]) * (grid(lr=[0.2]) + grid(lr=[0.1], momentum=[0.5, 0.9]))
    ds = made(space, final([[i, i] for i in range(6)]))
    found = marginal(ds, "lr")
    assert found["lr"].values.tolist() == [0.1, 0.2]
    assert found.sel(statistic="mean").values.tolist() == [(1 + 2 + 4 + 5) / 4, 1.5]
    assert marginal(ds, "momentum")["momentum"].values.tolist() == [0.5, 0.9]
    assert marginal(ds, "name").sel(name="b", statistic="best") == 3


def test_a_value_where_all_diverged_has_a_marginal_of_nan() -> None:
    ds = made(LR, final([[1, 1], [2, 2], [NAN, NAN], [3, NAN]]))
    np.testing.assert_array_equal(marginal(ds, "lr").sel(statistic="best"), [1, 2, NAN, NAN])


def test_unknown_names() -> None:
    ds = numbered(SPACES["grid"])
    with pytest.raises(ValueError, match="axis must be a hyperparameter with several values, lr, momentum; got 'n"):
        marginal(ds, "nesterov")
    with pytest.raises(ValueError, match="metric must be one of loss, val_loss; got 'status'"):
        best(ds, "status")
    with pytest.raises(ValueError, match="mode must be 'min' or 'max', got 'most'"):
        best(ds, mode="most")


def test_functions_of_one_name_are_numbered() -> None:
    ds = numbered(SPACES["functions"])
    one, other = ds["f"].values[2:]
    assert other == f"{one} (2)"
    assert ds["g"].values.tolist() == ["None", "0.9"]


def test_integers_stay_integers_where_a_loss_diverged() -> None:
    ds = made(grid(lr=[1.0]), [[[1.0, NAN, NAN]]], correct=np.array([[[3, 4, 5]]]))
    assert ds["correct"].values.ravel().tolist() == [3, 4, 5]


def test_results_of_a_sweep_are_read_the_same() -> None:
    def train(key: jax.Array, lr: jax.Array, momentum: jax.Array = 0.0) -> dict[str, jax.Array]:
        del key
        return {"loss": (lr - 0.1) ** 2 + momentum}

    ds = sweep(train, grid(lr=[0.01, 0.1, 1.0]) + grid(lr=[0.2], momentum=[0.5]), seeds=2, devices=1)
    assert best(ds, "loss").setting == {"lr": 0.1}
    assert table(ds)["loss"].argmin() == 1
    assert compare(ds, {"lr": 0.2}, {"lr": 0.1}, "loss").difference == pytest.approx(0.51)
