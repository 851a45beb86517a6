"""The figure of a final metric against a hyperparameter: its lines, scales, gaps and marks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import to_rgb

from jaxlr import grid, plots, results, sampled, zipped
from jaxlr.spaces import Space, log_uniform, uniform

NAN = float("nan")
INTERVAL = "95 % interval of the mean"


def made(space: Space, values: Any, metric: str = "val_loss") -> xr.Dataset:
    values = np.asarray(values, float)[..., None]
    return results.label(space, {"loss": values, metric: values}, np.ones(values.shape[:2], bool), {}, "epoch")


def drawn(ax: Any, marker: str) -> list[list[tuple[float, float]]]:
    """The points of every line with a marker, as they would be seen."""
    found = [np.transpose(line.get_data()) for line in ax.lines if line.get_marker() == marker]
    return [[tuple(point) for point in points.tolist()] for points in found if len(points)]


def test_one_line_for_each_combination_of_the_others() -> None:
    space = grid(lr=[1.0, 0.01, 0.1], momentum=[0.0, 0.9], name="sgd")
    ax = plots.final_against(made(space, [[5, 7], [6, 6], [3, 3], [4, 4], [1, 1], [2, 2]]), "lr").axes[0]
    first, second, best = drawn(ax, "o")
    assert first == [(0.01, 3), (0.1, 1), (1.0, 6)]
    assert second == [(0.01, 4), (0.1, 2), (1.0, 6)]
    assert best == [(0.1, 1)]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["momentum 0", "momentum 0.9", INTERVAL]
    assert ax.get_xscale() == "log"
    assert ax.get_yscale() == "linear"
    assert ax.texts[0].get_text() == "best: 1 at 0.1"


def test_a_diverged_setting_is_a_gap_and_a_cross() -> None:
    ax = plots.final_against(made(grid(lr=[0.1, 0.2, 0.3]), [[1, 1], [2, NAN], [3, 3]]), "lr").axes[0]
    line, best = drawn(ax, "o")
    np.testing.assert_array_equal(line, [(0.1, 1), (0.2, NAN), (0.3, 3)])
    assert best == [(0.1, 1)]
    ((cross,),) = drawn(ax, "x")
    assert cross == (0.2, pytest.approx(0.97)), "at the upper end, where the worst losses are"
    assert "a seed diverged" in [text.get_text() for text in ax.get_legend().get_texts()]
    assert ax.get_xscale() == "linear"


def test_a_diverged_accuracy_is_at_the_lower_end() -> None:
    ds = made(grid(lr=[0.1, 0.2]), [[0.9, 0.9], [0.8, NAN]], "val_accuracy")
    ((cross,),) = drawn(plots.final_against(ds, "lr", "val_accuracy").axes[0], "x")
    assert cross == (0.2, pytest.approx(0.03))


def test_numbers_rise_in_the_legend_and_in_their_colours() -> None:
    space = grid(momentum=[0.9, 0.0, 0.5], lr=[0.1, 0.2])
    ax = plots.final_against(made(space, np.ones((6, 1))), "lr").axes[0]
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert names == ["momentum 0", "momentum 0.5", "momentum 0.9"]
    lightness = [np.mean(to_rgb(line.get_color())) for line in ax.lines if line.get_label() in names]
    assert lightness == sorted(lightness)
    assert len(set(lightness)) == 3


def test_what_is_cut_off_is_said() -> None:
    values = [[1.0, 1.1], [1.2, 1.3], [1e9, 1e9]]
    ax = plots.final_against(made(grid(lr=[0.1, 0.2, 0.3]), values), "lr").axes[0]
    assert ax.get_ylim()[1] < 1e9
    assert "cut off: up to 1e9" in " ".join(text.get_text() for text in ax.texts)
    whole = plots.final_against(made(grid(lr=[0.1, 0.2]), [[1.0], [2.0]]), "lr").axes[0]
    assert "cut off" not in " ".join(text.get_text() for text in whole.texts)


def test_the_band_is_the_range_of_the_seeds() -> None:
    ax = plots.final_against(made(grid(lr=[0.1, 0.2]), [[1, 4, 3], [2, 2, 5]]), "lr").axes[0]
    corners = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert (corners.min(), corners.max()) == (1, 5)
    assert ax.get_title() == "mean and range of 3 seeds"


def test_accuracy_is_maximised_and_stays_linear() -> None:
    ds = made(grid(lr=[0.1, 0.2]), [[0.01], [0.9]], "val_accuracy")
    ax = plots.final_against(ds, "lr", "val_accuracy", title="Wine").axes[0]
    assert drawn(ax, "o")[-1] == [(0.2, 0.9)]
    assert ax.get_yscale() == "linear"
    assert ax.get_title() == "Wine (one seed)"
    assert ax.get_ylabel() == "final validation accuracy"


def test_losses_over_decades_are_logarithmic() -> None:
    ax = plots.final_against(made(grid(lr=[0.1, 0.2]), [[0.01], [0.9]]), "lr").axes[0]
    assert ax.get_yscale() == "log"


def test_a_loss_just_short_of_diverging_does_not_flatten_the_others() -> None:
    ax = plots.final_against(made(grid(lr=[0.1, 0.2, 0.3]), [[0.01], [0.9], [1e20]]), "lr").axes[0]
    low, high = ax.get_ylim()
    assert low < 0.01
    assert 0.9 < high < 1e4


def test_sampled_settings_are_points() -> None:
    space = sampled(12, lr=log_uniform(1e-4, 1), momentum=uniform(0, 1))
    ax = plots.final_against(made(space, np.arange(24).reshape(12, 2) + 1), "lr").axes[0]
    line = ax.lines[0]
    assert line.get_linestyle() in ("None", "")
    assert sorted(line.get_xdata()) == sorted(row["lr"] for row in space.rows())
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [INTERVAL]


@pytest.mark.parametrize("space", [zipped(lr=[0.1, 0.2], n=[1, 2]), grid(lr=[0.1]) + grid(lr=[0.2], m=[0.5])])
def test_axes_that_are_no_dimension(space: Space) -> None:
    ax = plots.final_against(made(space, [[1, 1], [2, 2]]), "lr").axes[0]
    assert ax.get_xlabel() == "lr"
    assert drawn(ax, "o")[-1] == [(0.1, 1)]


def test_all_diverged_still_draws() -> None:
    figure = plots.final_against(made(grid(lr=[0.1, 0.2]), [[NAN], [NAN]]), "lr")
    figure.draw_without_rendering()
    assert len(drawn(figure.axes[0], "x")[0]) == 2


@pytest.mark.parametrize("axis", ["name", "momentum", "nothing"])
def test_bad_axes(axis: str) -> None:
    ds = made(grid(lr=[0.1, 0.2], name=["a", "b"], momentum=0.9), np.ones((4, 1)))
    with pytest.raises(ValueError, match=f"axis must be a number with several values, lr; got '{axis}'"):
        plots.final_against(ds, axis)
