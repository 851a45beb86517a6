"""Curves from files: own CSV, Lightning's, W&B's; gaps, steps, divergence, and clear errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from jaxlr.diagnosis import logs


def read(tmp_path: Path, text: str) -> logs.LossCurve:
    path = tmp_path / "curve.csv"
    path.write_text(text)
    return logs.read(path)


def test_own_columns(tmp_path: Path) -> None:
    curve = read(tmp_path, "epoch, loss, val_loss, lr\n1,2.0,2.1,0.1\n2,1.0,1.2,0.05\n3,0.5,0.9,0.01\n")
    assert curve.losses.tolist() == [2, 1, 0.5]
    assert curve.val_losses is not None
    assert curve.val_losses.tolist() == [2.1, 1.2, 0.9]
    assert curve.lr is not None
    assert curve.lr.tolist() == [0.1, 0.05, 0.01]


def test_lightning(tmp_path: Path) -> None:
    """Training, validation and rate are reported in rows of their own; both a step's and an epoch's loss are there."""
    text = "epoch,lr-Adam,step,train_loss_epoch,train_loss_step,val_loss\n"
    for epoch in range(3):
        text += f",0.0{epoch + 1},{10 * epoch},,,\n"
        text += f"{epoch},,{10 * epoch + 4},,{2 - epoch / 2},\n"
        text += f"{epoch},,{10 * epoch + 9},,,{3 - epoch}\n"
        text += f"{epoch},,{10 * epoch + 9},{2.5 - epoch / 2},,\n"
    curve = read(tmp_path, text)
    assert curve.losses.tolist() == [2.5, 2.0, 1.5]
    assert curve.val_losses is not None
    assert curve.val_losses.tolist() == [3, 2, 1]
    assert curve.lr is not None
    np.testing.assert_allclose(curve.lr, [0.019, 0.029, 0.03])


def test_weights_and_biases(tmp_path: Path) -> None:
    text = '"Step","calm-sky-3 - train/loss","calm-sky-3 - train/loss__MIN","calm-sky-3 - train/loss__MAX"\n'
    curve = read(tmp_path, text + '"10","2.0","2.0","2.0"\n"20","1.5","1.5","1.5"\n"30","1.0","1.0","1.0"\n')
    assert curve.losses.tolist() == [2, 1.5, 1]
    assert curve.val_losses is None
    assert curve.lr is None


def test_empty_cells_are_gaps_and_nan_is_a_value(tmp_path: Path) -> None:
    assert read(tmp_path, "loss\n2\n\n1\n").losses.tolist() == [2, 1]
    assert read(tmp_path, "step,loss\n1,2\n2,\n3,1\n").losses.tolist() == [2, 1]
    values = read(tmp_path, "step,loss\n1,2\n2,9\n3,nan\n4,NaN\n").losses
    np.testing.assert_array_equal(values, [2, 9, np.nan, np.nan])
    assert np.isinf(read(tmp_path, "loss\n2\n9\ninf\n").losses[-1])


def test_steps_order_and_space_the_points(tmp_path: Path) -> None:
    assert read(tmp_path, "step,loss\n30,1\n10,3\n20,2\n").losses.tolist() == [3, 2, 1]
    # The second half was logged twice as often: at even steps the line is straight again.
    text = "step,loss\n" + "".join(f"{s},{10 - s / 10}\n" for s in [0, 20, 40, 50, 60, 70, 80])
    np.testing.assert_allclose(read(tmp_path, text).losses, 10 - np.linspace(0, 80, 7) / 10)


def test_a_restart_repeats_steps(tmp_path: Path) -> None:
    curve = read(tmp_path, "step,loss\n1,5\n2,4\n3,9\n3,3\n4,2\n")
    assert curve.losses.tolist() == [5, 4, 3, 2]


def test_epochs_of_many_rows_keep_them_all(tmp_path: Path) -> None:
    text = "epoch,loss\n" + "".join(f"{i // 5},{100 - i}\n" for i in range(20))
    assert read(tmp_path, text).losses.tolist() == [100 - i for i in range(20)]


@pytest.mark.parametrize(
    "name", ["train_loss", "train/loss", "Training Loss", "loss/train", "loss_train", "train.loss"]
)
def test_names_of_the_loss(tmp_path: Path, name: str) -> None:
    assert read(tmp_path, f"step,{name}\n1,2\n2,1\n").losses.tolist() == [2, 1]


@pytest.mark.parametrize(
    "name", ["valid_loss", "eval/loss", "Validation Loss", "test_loss", "loss/val", "val_loss_epoch"]
)
def test_names_of_the_validation_loss(tmp_path: Path, name: str) -> None:
    curve = read(tmp_path, f"loss,{name}\n2,3\n1,2\n")
    assert curve.val_losses is not None
    assert curve.val_losses.tolist() == [3, 2]


@pytest.mark.parametrize("name", ["lr", "learning_rate", "lr-SGD", "train/learning_rate", "opt/lr"])
def test_names_of_the_rate(tmp_path: Path, name: str) -> None:
    curve = read(tmp_path, f"loss,{name}\n2,0.1\n1,0.2\n")
    assert curve.lr is not None
    assert curve.lr.tolist() == [0.1, 0.2]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "must have a header"),
        ("loss\n", "must have a header and rows"),
        ("epoch,accuracy\n1,0.5\n", "must have a column loss or train_loss, got epoch, accuracy"),
        ("loss\n1\ntwo\n", "got 'two' in line 3"),
        ("step,loss\n1,\n2,\n", "must have numbers in the column loss, got none"),
        ("a - loss,b - loss\n1,2\n", "got several: a - loss, b - loss"),
    ],
)
def test_bad_files(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read(tmp_path, text)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="must be a file that exists"):
        logs.read(tmp_path / "none.csv")
