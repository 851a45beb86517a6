"""Figures of whole results: every kind of space, missing metrics, divergence; and what their lines show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

import jaxlr
from jaxlr import grid, plots, results, sampled, static, zipped
from jaxlr.spaces import Space, log_uniform, uniform

NAN = float("nan")
EPOCHS = 6

SPACES: dict[str, Space] = {
    "one axis": grid(lr=[0.001, 0.01, 0.1]),
    "a single value": grid(lr=[0.1]),
    "two axes": grid(lr=[0.01, 0.1], momentum=[0.0, 0.5, 0.9]),
    "static axes": grid(width=static([8, 16]), lr=[0.01, 0.1]),
    "words": grid(name=["sgd", "adam"], lr=[0.01, 0.1]),
    "booleans": grid(nesterov=[False, True], lr=[0.01, 0.1]),
    "zipped": zipped(lr=[0.01, 0.1, 1.0], patience=[1, 2, 3]),
    "sampled": sampled(20, lr=log_uniform(1e-4, 1), momentum=uniform(0, 1), nesterov=[False, True]),
    "concatenated": grid(name="sgd", lr=[0.1, 1.0], momentum=[0.5, 0.9]) + grid(name=["adam"], lr=[0.01, 0.1]),
    "many values": grid(lr=jaxlr.spaces.log_range(1e-5, 1, 12)),
    "many settings": grid(lr=[0.1, 0.2, 0.3, 0.4], momentum=[0.0, 0.1, 0.2, 0.3, 0.4], nesterov=[False, True]),
}

FIGURES: dict[str, Callable[[xr.Dataset], Figure]] = {
    "panels": lambda ds: plots.panels(ds, next(iter(results.columns(ds)))),
    "overlay": plots.overlay,
    "overlay, log": lambda ds: plots.overlay(ds, log=True),
    "with_rate": plots.with_rate,
    "final_against": lambda ds: plots.final_against(ds, "lr"),
    "heatmap": lambda ds: plots.heatmap(ds, *list(results.columns(ds))[:2]),
    "parallel_coordinates": plots.parallel_coordinates,
}

REFUSED = {
    ("final_against", "a single value"): "a number with several values",
    ("parallel_coordinates", "a single value"): "a hyperparameter that varies",
    # Several settings have one value of the first hyperparameter.
    **{
        ("panels", space): "tell the settings apart"
        for space in ("two axes", "static axes", "words", "booleans", "concatenated", "many settings")
    },
}
"""What a figure cannot show, and what it says then."""

PAIRS = [
    (figure, space) for figure in FIGURES for space in SPACES if figure != "heatmap" or len(SPACES[space].names) > 1
]


def made(space: Space, seeds: int = 3, diverged: tuple[int, ...] = (), tested: bool = True) -> xr.Dataset:
    """Losses that fall along the epochs, the lower the later the setting."""
    falling = np.exp(-np.arange(EPOCHS) / 2) + 0.1
    losses = falling * (1 + 1 / np.arange(1, len(space) + 1))[:, None, None] + 0.01 * np.arange(seeds)[:, None]
    for row in diverged:
        losses[row, 0, 2:] = NAN
    arrays = {"loss": losses, "accuracy": np.exp(-losses), "rate": np.broadcast_to(falling**2, losses.shape)}
    if tested:
        arrays |= {"val_loss": 2 * losses, "val_accuracy": np.exp(-2 * losses)}
    return results.label(space, arrays, np.ones(losses.shape[:2], bool), {}, "epoch")


def render(figure: Figure) -> Figure:
    """Draw it without the search for a tight layout, which takes most of the time."""
    figure.set_layout_engine("none")
    figure.draw_without_rendering()
    return figure


def has_finite_axes(figure: Figure) -> bool:
    limits = [limit for ax in figure.axes for limit in (*ax.get_xlim(), *ax.get_ylim())]
    return bool(limits) and bool(np.isfinite(limits).all())


@pytest.mark.parametrize(("figure", "space"), PAIRS)
def test_every_figure_of_every_kind_of_space(figure: str, space: str) -> None:
    ds = made(SPACES[space], diverged=(1,) if len(SPACES[space]) > 2 else ())
    refusal = REFUSED.get((figure, space))
    if refusal is None:
        render(FIGURES[figure](ds))
        return
    with pytest.raises(ValueError, match=refusal):
        FIGURES[figure](ds)


@pytest.mark.parametrize("figure", FIGURES)
@pytest.mark.parametrize("seeds", [1, 3])
def test_without_test_data_the_train_loss_is_drawn(figure: str, seeds: int) -> None:
    ds = made(SPACES["two axes"], seeds, tested=False)
    if figure == "panels":
        ds = ds.sel(momentum=0.5)
    drawn = render(FIGURES[figure](ds))
    words = [ax.get_ylabel() for ax in drawn.axes] + [text.get_text() for ax in drawn.axes for text in ax.texts]
    words += [text.get_text() for ax in drawn.axes for text in ax.get_xticklabels()]
    words += [text.get_text() for ax in drawn.axes if ax.get_legend() for text in ax.get_legend().get_texts()]
    assert any("train" in word for word in words), words
    assert not any("test" in word for word in words), words


@pytest.mark.parametrize("figure", FIGURES)
def test_where_every_setting_diverged(figure: str) -> None:
    ds = made(SPACES["two axes"], diverged=range(6))
    if figure == "panels":
        ds = ds.sel(momentum=0.5)
    assert has_finite_axes(render(FIGURES[figure](ds)))


@pytest.mark.parametrize("figure", FIGURES)
def test_losses_just_short_of_diverging(figure: str) -> None:
    ds = made(SPACES["two axes"])
    ds["val_loss"][0, 0] = 1e30
    if figure == "panels":
        ds = ds.sel(momentum=0.5)
    assert has_finite_axes(render(FIGURES[figure](ds)))


def test_a_result_from_a_file_looks_the_same(tmp_path: Any) -> None:
    ds = made(SPACES["words"], diverged=(1,))
    again = results.load(results.save(ds, tmp_path / "run.nc"))
    for draw in (plots.overlay, plots.parallel_coordinates, lambda ds: plots.heatmap(ds, "lr", "name")):
        first, second = draw(ds), draw(again)
        assert [text.get_text() for text in first.axes[0].texts] == [text.get_text() for text in second.axes[0].texts]


def test_the_overlay_shows_mean_range_and_names() -> None:
    ds = made(SPACES["one axis"])
    ax = plots.overlay(ds, title="Made").axes[0]
    np.testing.assert_allclose(ax.lines[1].get_ydata(), ds["val_loss"].isel(lr=1).mean("seed"))
    corners = ax.collections[1].get_paths()[0].vertices[:, 1]
    assert corners.max() == pytest.approx(ds["val_loss"].isel(lr=1).max().item())
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["0.001", "0.01", "0.1"]
    assert ax.get_title() == "Made (mean and range of 3 seeds)"


def test_the_overlay_of_many_values_has_a_bar_of_colours() -> None:
    figure = plots.overlay(made(SPACES["many values"]))
    assert len(figure.axes) == 2
    assert figure.axes[1].get_ylabel() == "lr"
    assert figure.axes[0].get_legend() is None
    assert figure.axes[0].get_title() == "median of 3 seeds"


def test_settings_that_lack_the_hyperparameter_are_left_out() -> None:
    ds = made(grid(lr=[0.1, 0.2]) + grid(momentum=[0.5, 0.9]))
    legend = plots.overlay(ds, "momentum").axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["0.5", "0.9"]


def test_one_high_curve_does_not_flatten_the_others() -> None:
    ds = made(SPACES["one axis"])
    ds["val_loss"][0] = 1e9
    assert plots.overlay(ds).axes[0].get_ylim()[1] < 20


def test_the_rate_is_below_its_curve() -> None:
    ds = made(SPACES["one axis"])
    above, below = plots.with_rate(ds).axes
    assert above.get_ylabel() == "validation loss"
    assert below.get_ylabel() == "learning rate"
    assert above.get_shared_x_axes().joined(above, below)
    np.testing.assert_allclose(below.lines[0].get_ydata(), ds["rate"].isel(lr=0, seed=0))
    assert below.get_yscale() == "log"


def test_the_interval_of_the_best() -> None:
    from scipy import stats

    ds = made(SPACES["one axis"])
    values = results.final(ds, "val_loss").sel(lr=0.1).values
    low, high = stats.t.interval(0.95, 2, values.mean(), stats.sem(values))
    (bar,) = plots.final_against(ds, "lr").axes[0].containers
    np.testing.assert_allclose(bar[2][0].get_segments()[0][:, 1], (low, high), rtol=1e-6)


@pytest.mark.parametrize(
    ("diverged", "span"), [((), None), ((3, 4), (0.1, 0.3)), ((0,), (0.2, 0.5)), ((0, 4), (0.2, 0.4))]
)
def test_the_stable_region(diverged: tuple[int, ...], span: tuple[float, float] | None) -> None:
    ds = made(grid(lr=[0.1, 0.2, 0.3, 0.4, 0.5]), diverged=diverged)
    ax = plots.final_against(ds, "lr").axes[0]
    found = [(patch.get_x(), patch.get_x() + patch.get_width()) for patch in ax.patches]
    assert found == ([] if span is None else [pytest.approx(span)])


def cells(figure: Figure) -> np.ndarray:
    return figure.axes[0].collections[0].get_array()


def test_the_cells_of_a_heat_map() -> None:
    ds = made(SPACES["two axes"], diverged=(1,))
    figure = plots.heatmap(ds, "lr", "momentum", "loss", title="Made")
    means = results.final(ds, "loss").mean("seed", skipna=False).values
    np.testing.assert_allclose(cells(figure), means.T)
    assert np.isnan(means[0, 1])
    ax = figure.axes[0]
    assert [tuple(line.get_xydata()[0]) for line in ax.lines] == [(0, 1)]
    assert ax.patches[0].get_xy() == (0.5, 1.5)
    assert [text.get_text() for text in ax.get_yticklabels()] == ["0", "0.5", "0.9"]


def test_a_heat_map_shows_the_best_over_the_others() -> None:
    ds = made(grid(lr=[0.1, 0.2], momentum=[0.0, 0.9], patience=[1, 2]))
    figure = plots.heatmap(ds, "lr", "momentum", "accuracy")
    best = results.final(ds, "accuracy").mean("seed").max("patience").values
    np.testing.assert_allclose(cells(figure), best.T)
    assert figure.axes[1].get_ylabel() == "final train accuracy, best over patience"


def test_a_heat_map_of_sampled_settings_has_points() -> None:
    ds = made(SPACES["sampled"], diverged=(2,))
    ax = plots.heatmap(ds, "lr", "momentum").axes[0]
    assert len(ax.collections[0].get_offsets()) == 19
    assert ax.get_xscale() == "log"
    assert ax.get_yscale() == "linear"


def test_parallel_coordinates_end_at_the_metric() -> None:
    ds = made(SPACES["concatenated"], diverged=(1,))
    ax = plots.parallel_coordinates(ds).axes[0]
    assert [text.get_text() for text in ax.get_xticklabels()] == ["name", "lr", "momentum", "final validation loss"]
    words = [text.get_text() for text in ax.texts]
    assert "absent" in words
    assert "a seed diverged" in words
    best = max((line for line in ax.lines if len(line.get_xdata()) == 4), key=lambda line: line.get_linewidth())
    assert best.get_ydata()[-1] == 0


def test_axes_of_the_caller() -> None:
    ds = made(SPACES["two axes"])
    figure = Figure()
    left, right = figure.subplots(1, 2)
    assert plots.final_against(ds, "lr", ax=left) is figure
    assert plots.overlay(ds.sel(momentum=0.5), ax=right) is figure
    assert left.get_xlabel() == "lr"
    part = Figure(layout="constrained")
    assert plots.lines({"a": [1, 2]}, ax=part.subfigures(1, 2)[0].subplots()) is part


def test_a_function_of_steps_is_drawn_along_them() -> None:
    ds = jaxlr.sweep(lambda key, lr: {"loss": np.arange(3, dtype=np.float32) * lr}, grid(lr=[0.1, 0.2]), devices=1)
    assert plots.overlay(ds).axes[0].get_xlabel() == "step"
    assert plots.panels(ds, "lr").axes[0].get_ylabel() == "train loss"


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda ds: plots.overlay(ds, "nothing"), "over must be a hyperparameter of the result, lr, momentum; got"),
        (lambda ds: plots.overlay(ds, "lr"), r"'lr' with 2 values for 6 settings; choose one value of momentum first"),
        (lambda ds: plots.overlay(ds, metric="nothing"), "metric must be a curve of the result, one of loss, .*'nothi"),
        (lambda ds: plots.overlay(ds, metric="status"), "got 'status' with the dimensions lr, momentum, seed"),
        (lambda ds: plots.panels(ds, "lr"), "over must tell the settings apart"),
        (lambda ds: plots.with_rate(ds.assign(rate=ds["rate"] * NAN)), "rate must be known"),
        (lambda ds: plots.with_rate(ds.drop_vars("rate")), "metric must be a curve .* got 'rate'"),
        (lambda ds: plots.heatmap(ds, "lr", "lr"), "two hyperparameters, got 'lr' twice"),
        (lambda ds: plots.heatmap(ds, "lr", "seed"), "y must be a hyperparameter with several values, lr, momentum; "),
        (lambda ds: plots.heatmap(ds, "lr", "momentum", "nothing"), "metric must be one of"),
        (lambda ds: plots.parallel_coordinates(ds.isel(lr=0, momentum=0)), "a single setting"),
        (lambda ds: plots.final_against(ds[["status", "rate"]], "lr"), "metric must be given .* one of rate; got None"),
    ],
)
def test_errors_say_what_is_wrong(draw: Callable[[xr.Dataset], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw(made(SPACES["two axes"]))


def test_the_background_is_opaque(tmp_path: Any) -> None:
    from PIL import Image

    plots.overlay(made(SPACES["one axis"])).savefig(tmp_path / "figure.png")
    assert np.asarray(Image.open(tmp_path / "figure.png").convert("RGBA"))[..., 3].min() == 255


def luminance(color: str) -> float:
    channels = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def test_ordered_colours_run_from_dark_to_light_and_stay_legible_on_white() -> None:
    from matplotlib.colors import to_hex

    from jaxlr.plots.style import shades

    lightness = [luminance(to_hex(shades()(x))) for x in np.linspace(0, 1, 12)]
    assert (np.diff(lightness) > 0).all()
    assert 1.05 / (lightness[-1] + 0.05) > 1.5


def test_many_settings_are_thinned_with_a_note() -> None:
    """The best and the worst are among those drawn."""
    space = grid(lr=jaxlr.spaces.log_range(1e-5, 1, 1000))
    ends = np.random.default_rng(0).permutation(1000).astype(float)
    curves = np.stack([np.full((2, 3), end) for end in ends])
    ds = results.label(space, {"loss": curves}, np.ones((1000, 2), bool), {}, "epoch")
    ax = plots.overlay(ds).axes[0]
    assert ax.get_title() == "200 of 1,000 settings, median of 2 seeds"
    heights = sorted(line.get_ydata()[0] for line in ax.lines)
    assert len(heights) == 200
    assert (heights[0], heights[-1]) == (0, 999)


def test_the_middle_of_an_even_number_of_seeds_is_a_rate_that_one_had() -> None:
    rates = np.array([[[0.1, 0.1], [0.1, 0.01]]])
    ds = results.label(grid(patience=[2]), {"loss": rates, "rate": rates}, np.ones((1, 2), bool), {}, "epoch")
    below = plots.with_rate(ds).axes[1]
    assert below.lines[-1].get_ydata().tolist() == [0.1, 0.01]


def test_an_overlay_names_a_few_numbers_from_small_to_large() -> None:
    ds = made(grid(lr=[0.1, 0.001, 0.01]))
    ax = plots.overlay(ds).axes[0]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["0.001", "0.01", "0.1"]
