"""`jaxlr sweep`: what it prints and writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from jaxlr import load, schedules
from tests.support import command

SMALL = ("--seeds", 2, "--epochs", 2, "--quiet")


@pytest.mark.slow
def test_the_line_of_the_readme_in_a_fresh_process(tmp_path: Path) -> None:
    line = ["sweep", "--data", "iris", "--model", "8,8", "--optimizer", "adam", "--lr", "1e-4:1:5:log"]
    line += ["--momentum", "0,0.9", "--schedule", "cosine_decay({lr}, 2000)", "--seeds", "2", "--epochs", "3"]
    done = command.jaxlr(*line, "--out", tmp_path / "run.nc")
    assert done.returncode == 0, done.stderr
    head, *rows, best, data, figure = done.stdout.splitlines()
    assert " ".join(head.split()) == "learning rate b1 validation loss validation accuracy train loss diverged"
    assert len(rows) == 10
    assert best.startswith("best by validation loss: optimizer=adam, learning_rate=")
    assert (data, figure) == (str(tmp_path / "run.nc"), str(tmp_path / "run.png"))
    assert Path(figure).stat().st_size > 5000
    ds = load(data)
    assert ds["learning_rate"].values.tolist() == [1e-4, 1e-3, 1e-2, 0.1, 1.0]
    assert ds["b1"].values.tolist() == [0, 0.9]
    assert ds.attrs["command"].startswith("jaxlr sweep --data iris")
    assert ds.attrs["schedule"] == "cosine_decay({lr}, 2000)"
    steps = 3 * -(-120 // 32)
    for rate in (1e-4, 1.0):
        expected = schedules.cosine_decay(rate, 2000)(steps - 1)
        np.testing.assert_allclose(ds["rate"].sel(learning_rate=rate).isel(epoch=-1), expected, rtol=1e-6)


def test_plain_rates_and_momenta(jaxlr, tmp_path: Path) -> None:
    out = tmp_path / "new" / "run.nc"
    done = jaxlr("sweep", "--data", "blobs", "--lr", "0.1,0.01,50", "--momentum", "0,0.9", *SMALL, "--out", out)
    assert done.code == 0
    ds = load(out)
    assert dict(ds.sizes) == {"learning_rate": 3, "momentum": 2, "seed": 2, "epoch": 2}
    assert ds["optimizer"].item() == "sgd"
    assert done.out[-2:] == [str(out), str(out.with_suffix(".png"))]
    assert "momentum=" in done.out[-3]


@pytest.mark.parametrize(
    "optimizer", ["lion", "muon", "schedule_free_adamw", "adamw(weight_decay=0.1, b2=0.99)", "keras:adam"]
)
def test_every_optimizer_of_optax_by_name(jaxlr, tmp_path: Path, optimizer: str) -> None:
    out = tmp_path / "run.nc"
    done = jaxlr("sweep", "--data", "iris", "--optimizer", optimizer, "--lr", "0.1,0.01", *SMALL, "--out", out)
    assert done.code == 0
    assert done.out[3].startswith(f"best by validation loss: optimizer={optimizer}, learning_rate=")
    ds = load(out)
    assert ds["optimizer"].item() == optimizer
    assert np.isfinite(ds["loss"]).all()


def test_a_file_of_numbers_is_a_regression(jaxlr, tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(60, 3))
    np.savetxt(tmp_path / "a.csv", np.c_[x, x @ [1.0, 2.0, 3.0]], delimiter=",", header="a,b,c,target", comments="")
    done = jaxlr("sweep", "--data", tmp_path / "a.csv", "--lr", "0.1,0.01", *SMALL, "--out", tmp_path / "run.nc")
    assert done.code == 0
    assert "accuracy" not in done.out[0]
    assert "accuracy" not in load(tmp_path / "run.nc")


def test_a_fixed_schedule_is_one_setting_without_a_figure(jaxlr, tmp_path: Path) -> None:
    text = "linear(0.1, 100)"
    done = jaxlr("sweep", "--data", "iris", "--schedule", text, *SMALL, "--out", tmp_path / "run.nc")
    assert done.code == 0
    assert done.out[-1] == str(tmp_path / "run.nc")
    assert not (tmp_path / "run.png").exists()
    assert load(tmp_path / "run.nc")["schedule"].values.tolist() == [text]


def test_a_schedule_in_parts_of_the_run(jaxlr, tmp_path: Path) -> None:
    """120 rows of iris in batches of 32: 4 updates an epoch, 8 in all."""
    out, text = tmp_path / "run.nc", "warmup(linear({lr}, 0.75 * run), epoch / 2)"
    done = jaxlr("sweep", "--data", "iris", "--lr", "0.1,0.01", "--schedule", text, *SMALL, "--out", out)
    assert done.code == 0
    ds = load(out)
    expected = np.outer([0.1, 0.01], [5 / 6, 1 / 6])
    np.testing.assert_allclose(ds["rate"].isel(seed=0), expected, rtol=1e-5)


def test_settings_that_all_diverge_are_written_and_said(jaxlr, tmp_path: Path) -> None:
    arguments = ("--data", "diabetes", "--lr", "1e8,1e9", "--seeds", 2, "--epochs", 3, "--quiet")
    done = jaxlr("sweep", *arguments, "--out", tmp_path / "run.nc")
    assert done.code == 0
    assert "no setting has a finite val_loss for every seed: 4 diverged" in done.out
    assert (load(tmp_path / "run.nc")["status"] == "diverged").all()


def test_with_a_store_the_same_command_goes_on_and_runs_tells_of_it(jaxlr, tmp_path: Path) -> None:
    store = tmp_path / "stores" / "lr"
    arguments = ("sweep", "--data", "iris", *SMALL, "--store", store, "--out", tmp_path / "run.nc", "--force")
    first = jaxlr(*arguments, "--lr", "0.1,0.01")
    assert first.code == 0, first.err
    second = jaxlr(*arguments, "--lr", "0.1,0.01,0.001")
    assert second.code == 0, second.err
    ds = load(tmp_path / "run.nc")
    assert ds.sizes["learning_rate"] == 3
    assert (ds["status"] == "ok").all()
    listed = jaxlr("runs", "list", tmp_path / "stores")
    assert listed.out[0].split() == ["store", "settings", "seeds", "finished", "diverged", "left", "written", "by"]
    assert listed.out[1].split()[1:] == ["3", "2", "6", "of", "6", "(100%)", "0", "0", "s"]
    shown = "\n".join(jaxlr("runs", "show", store).out)
    assert "learning_rate 3 x seed 2" in shown
    assert "best      optimizer=sgd, learning_rate=" in shown
    assert jaxlr("runs", "verify", store).out == [f"{store}: whole"]


def test_what_is_damaged_is_listed_and_trained_anew(jaxlr, tmp_path: Path) -> None:
    store = tmp_path / "lr"
    arguments = ("sweep", "--data", "iris", *SMALL, "--lr", "0.1,0.01", "--store", store, "--force")
    assert jaxlr(*arguments, "--out", tmp_path / "first.nc").code == 0
    for file in (store / "val_loss" / "c" / "0" / "0" / "0", store / "status" / "c" / "0" / "0"):
        file.write_bytes(file.read_bytes()[:-1])
        again = jaxlr(*arguments, "--out", tmp_path / "second.nc")
        assert again.code == 2
        assert "is damaged" in again.err[-1]
        found = jaxlr("runs", "verify", store)
        assert (found.code, found.out[0]) == (1, f"{store}: 1 damaged files")
        assert jaxlr("runs", "verify", store, "--retrain").code == 0
        assert jaxlr(*arguments, "--out", tmp_path / "second.nc").code == 0
        first, second = load(tmp_path / "first.nc"), load(tmp_path / "second.nc")
        assert first.equals(second)


def test_long_tables_show_the_best(jaxlr, tmp_path: Path) -> None:
    arguments = ("--data", "iris", "--lr", "1e-4:1:61:log", "--seeds", 1, "--epochs", 1, "--quiet")
    done = jaxlr("sweep", *arguments, "--out", tmp_path / "run.nc")
    assert f"the 20 best of 61 settings; all are in {tmp_path / 'run.nc'}" in done.out
    losses = [float(row.split()[1]) for row in done.out[1:21]]
    assert losses == sorted(losses)
    assert losses[0] == pytest.approx(float(load(tmp_path / "run.nc")["val_loss"].min()), rel=1e-3)


def test_a_table_of_ones_own(jaxlr, tmp_path: Path) -> None:
    """With semicolons and an id, the target by its name; what was understood is said apart from the results."""
    rows = "".join(f"{i};{i * 7 % 11};{i % 3 + 1};{i * i}\n" for i in range(40))
    (tmp_path / "t.csv").write_text("id;size;rooms;price\n" + rows)
    out = tmp_path / "t.nc"
    arguments = ("--lr", "0.1,0.01", "--epochs", 1, "--seeds", 1, "--no-cache", "--out", out)
    code, lines, said = jaxlr("sweep", "--data", tmp_path / "t.csv", "--target", "rooms", *arguments)
    assert code == 0
    assert said[0].endswith("t.csv: 40 rows, 2 features, 3 classes; 8 rows kept for validation")
    assert said[1].endswith("the column 'id' only numbers the rows and is left out")
    assert "validation accuracy" in lines[0]
    code, _, said = jaxlr("sweep", "--data", tmp_path / "t.csv", "--target", "floors", *arguments, "--force")
    assert (code, len(said)) == (2, 1)
    assert "target must be a column of" in said[0]
