"""Figures of diagnoses: colours by verdict, the rate axis, maps, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import to_hex

from jaxlr import diagnose, grid, plots, results
from jaxlr.diagnosis import VERDICTS, Diagnosis
from jaxlr.spaces import Space

T = np.arange(1, 41)


def made(space: Space, curves: list[np.ndarray]) -> xr.Dataset:
    arrays = {"loss": np.array(curves)[:, None]}
    return results.label(space, arrays, np.ones((len(curves), 1), bool), {}, "epoch")


def slides(n: int) -> list[np.ndarray]:
    return [0.1 + np.exp(-T * 10.0 ** (i - n)) for i in range(n)]


def test_every_verdict_has_a_colour_of_its_own() -> None:
    assert set(plots.VERDICT_COLORS) == set(VERDICTS)
    assert len(set(plots.VERDICT_COLORS.values())) == len(VERDICTS)


def test_curves_have_the_colours_of_their_verdicts() -> None:
    verdicts = {"a": "slow", "b": "healthy (90%)", "c": "diverged"}
    curves = {"a": 2 - T / 100, "b": np.exp(-T / 9), "c": np.where(T > 20, np.nan, T)}
    ax = plots.diagnosed_curves(curves, verdicts, title="three").axes[0]
    lines = [line for line in ax.lines if len(line.get_xdata()) > 1]
    assert [to_hex(line.get_color()).upper() for line in lines] == ["#E69F00", "#009E73", "#000000"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a: slow", "b: healthy (90%)", "c: diverged"]
    assert sum(line.get_marker() == "x" for line in ax.lines) == 1


def test_the_start_of_a_curve_and_its_validation_losses_are_seen() -> None:
    fast = 50 * np.exp(-T) + 0.1
    ax = plots.diagnosed_curves({"run": fast}, {"run": "healthy"}, val={"run": fast[::4] + 0.1}).axes[0]
    assert ax.get_ylim()[1] > fast[0]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["run: healthy", "run: validation loss"]
    assert [line.get_linestyle() for line in ax.lines] == ["-", "--"]
    assert [line.get_xdata()[-1] for line in ax.lines] == [100, 100]


def test_curves_without_a_verdict_are_refused() -> None:
    with pytest.raises(ValueError, match="verdicts must have one for every curve, got none for 'a'"):
        plots.diagnosed_curves({"a": T}, {})
    with pytest.raises(ValueError, match="verdicts must begin with one of healthy"):
        plots.diagnosed_curves({"a": T}, {"a": "fine"})


def test_verdicts_over_the_rate() -> None:
    ds = made(grid(lr=[1e-4, 1e-3, 1e-2, 0.1]), [*slides(3), np.full(40, np.nan)])
    found = diagnose(ds)
    left, right = plots.diagnosed_sweep(ds, found, title="Rates").axes
    assert right.get_xscale() == "log"
    points = right.collections[0]
    expected = [plots.VERDICT_COLORS[str(verdict)] for verdict in found["verdict"].values]
    assert [to_hex(color).upper() for color in points.get_facecolors()] == expected
    assert [line.get_marker() for line in right.lines].count("x") == 1
    assert len([line for line in left.lines if len(line.get_xdata()) == 40]) == 4


def test_a_map_of_two_axes() -> None:
    space = grid(lr=[1e-3, 1e-2, 0.1], momentum=[0.0, 0.9])
    ds = made(space, slides(6))
    right = plots.diagnosed_sweep(ds, diagnose(ds)).axes[1]
    assert len(right.patches) == 6
    assert (right.get_xlabel(), right.get_ylabel()) == ("lr", "momentum")
    assert [label.get_text() for label in right.get_xticklabels()] == ["0.001", "0.01", "0.1"]


def test_counts_for_more_axes() -> None:
    ds = made(grid(lr=[1e-3, 0.1], momentum=[0.0, 0.9], decay=[0.0, 0.1]), slides(8))
    right = plots.diagnosed_sweep(ds, diagnose(ds)).axes[1]
    assert right.get_xlabel() == "settings"


def test_the_diagnosis_of_another_result_is_refused() -> None:
    ds = made(grid(lr=[1e-3, 1e-2, 0.1]), slides(3))
    with pytest.raises(ValueError, match="found must be the diagnosis of the same settings, got 3 verdicts"):
        plots.diagnosed_sweep(ds.isel(lr=slice(2)), diagnose(ds))


def test_a_diagnosis_in_words() -> None:
    words = str(Diagnosis("slow", 0.83, "it crept", "go faster"))
    assert words == "slow (83%): it crept. Remedy: go faster."
