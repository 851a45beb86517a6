"""Figures of problems and schedules: galleries, paths on contour lines, decision boundaries."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import xarray as xr
from PIL import Image

from jaxlr import plots, schedules


def test_the_gallery_has_a_panel_for_each_schedule() -> None:
    named = {text: schedules.parse(text) for text in ("linear(0.1, 80)", "cosine_decay(0.3, 100)", "constant(0.0)")}
    figure = plots.gallery(named, 100, columns=2, title="Three")
    shown = [ax for ax in figure.axes if ax.get_visible()]
    assert [ax.get_title() for ax in shown] == list(named)
    np.testing.assert_allclose(shown[0].lines[0].get_ydata(), schedules.tabulate(named["linear(0.1, 80)"], 100))
    assert shown[1].get_ylim()[1] == pytest.approx(1.08 * 0.3)
    figure.draw_without_rendering()


@pytest.mark.parametrize(
    ("named", "steps", "message"),
    [({}, 10, "at least one schedule"), ({"a": optax.constant_schedule(1)}, 0, "num_steps")],
)
def test_bad_galleries(named: dict[str, Any], steps: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plots.gallery(named, steps)


def paths(count: int) -> xr.DataArray:
    return xr.DataArray(np.ones((count, 5)), {"lr": 0.1 * np.arange(1, count + 1)}, ("lr", "step"))


def test_contours_draw_each_path_from_its_start() -> None:
    figure = plots.contours(lambda x, y: x**2 + y**2, paths(4), 0.5 * paths(4), columns=3)
    assert [ax.get_title() for ax in figure.axes if ax.get_visible()] == [
        "lr = 0.1",
        "lr = 0.2",
        "lr = 0.3",
        "lr = 0.4",
    ]
    whole, start = figure.axes[0].lines
    assert len(whole.get_xdata()) == 5
    assert (start.get_xdata()[0], start.get_ydata()[0]) == (1, 0.5)
    figure.draw_without_rendering()


def test_contours_refuse_other_dimensions() -> None:
    with pytest.raises(ValueError, match=r"must have the dimensions \(<swept>, step\)"):
        plots.contours(lambda x, y: x, paths(2).T, paths(2).T)


LINES = {"moving": jnp.linspace(-1, 1, 5), "at rest": jnp.zeros(5)}
X, Y = np.array([[-1.0, 0.0], [1.0, 0.5], [0.2, 1.0]]), np.array([0, 1, 1])


def side(at: jax.Array, x: jax.Array) -> jax.Array:
    return (x[:, 0] > at).astype(int)


def test_an_animation_has_a_frame_for_each_epoch(tmp_path: Any) -> None:
    animation = plots.decision_boundaries(side, LINES, X, Y, epochs=[0, 2, 4])
    animation.save(tmp_path / "lines.gif", writer="pillow", fps=5)
    with Image.open(tmp_path / "lines.gif") as picture:
        frames = []
        for i in range(picture.n_frames):
            picture.seek(i)
            frames.append(np.asarray(picture.convert("RGB"), int))
    assert len(frames) == 3
    width = frames[0].shape[1] // 2
    changed = [np.abs(frames[2] - frames[0])[30:, part].max() for part in (slice(0, width), slice(width, None))]
    assert changed[0] > 50, "the line on the left moves"
    assert changed[1] == 0, "the line on the right does not"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": X[:, :1]}, r"x must be points of a plane \[N, 2\]"),
        ({"labels": Y[:2]}, "labels must be"),
        ({"epochs": []}, "a training and an epoch to show"),
        ({"epochs": [5]}, "epochs must be from 0 to 4 for 'moving', got 5"),
        ({"classify": lambda at, x: x}, "classify must give one class for each point"),
    ],
)
def test_bad_boundaries(change: dict[str, Any], message: str) -> None:
    given = {"classify": side, "weights": LINES, "x": X, "labels": Y, "epochs": [0], **change}
    with pytest.raises(ValueError, match=message):
        plots.decision_boundaries(**given)
