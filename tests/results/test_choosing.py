"""How sure the best setting is: what it may be mistaken for, what diverges beside it, what was not trained."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from jaxlr import best, compare, grid, results, sampled
from jaxlr.spaces import Space, log_range, uniform
from tests.results.test_results import NAN, made

RATES = grid(lr=[0.1, 0.2, 0.3, 0.4])


def of_final(space: Space, final: np.ndarray) -> object:
    """A result of one epoch, whose loss is `final` `[settings, seeds]`; NaN has diverged."""
    return made(space, np.asarray(final)[:, :, None])


@pytest.mark.parametrize("seeds", [2, 3, 10])
@pytest.mark.parametrize("larger_is_better", [False, True])
def test_ties_are_what_a_paired_test_cannot_tell(seeds: int, larger_is_better: bool) -> None:
    """Against SciPy's paired test of every setting by itself."""
    rng = np.random.default_rng(seeds)
    values = rng.normal(size=(4, seeds)) * 0.3 + rng.normal(size=seeds) + np.array([[0.0], [0.1], [0.5], [2.0]])
    values = -values if larger_is_better else values
    ds = made(RATES, values[:, :, None], metric="val_accuracy" if larger_is_better else "val_loss")
    found = best(ds, "val_accuracy" if larger_is_better else None)
    exact = np.asarray(ds["loss"].values[:, :, 0], np.float64)
    others = [i for i in range(4) if i != found.row]
    apart = [stats.ttest_rel(exact[i], exact[found.row]).pvalue < 0.05 for i in others]
    assert list(found.ties) == [i for i, one in zip(others, apart, strict=True) if not one]
    assert len(set(apart)) == (1 if seeds == 2 else 2), "the case has both, but for two seeds, which tell little"
    one = compare(ds, {"lr": RATES.axes[0].columns["lr"][others[0]]}, found.setting, found.metric)
    assert (one.p_value < 0.05) == apart[0]


def test_what_differs_by_the_same_for_every_seed_is_no_tie() -> None:
    found = best(of_final(RATES, [[1, 2], [1, 2], [1.5, 2.5], [NAN, 0]]))
    assert found.ties == (1,)
    assert "1 other setting cannot be told from it with these seeds" in str(found)


def test_one_seed_tells_nothing() -> None:
    found = best(of_final(RATES, [[1], [1], [2], [3]]))
    assert found.ties == ()
    assert "told" not in str(found)


def test_a_neighbour_that_diverged_is_named() -> None:
    """Along each number, all else being equal, and only the next one."""
    space = grid(lr=[0.3, 0.1, 1.0, 3.0], momentum=[0.0, 0.9], nesterov=[False, True])
    final = np.full((4, 2, 2, 3), 2.0)
    final[0, 0, 0] = 1.0
    final[1, 0, 0, :2] = NAN  # below
    final[2, 0, 0, 0] = NAN  # above
    final[3, 0, 0] = NAN  # further above
    final[0, 1, 0] = NAN  # along the momentum
    final[0, 0, 1] = NAN  # no number lies between
    final[1, 1] = NAN  # in two things at once
    found = best(of_final(space, final.reshape(16, 3)))
    assert found.setting == {"lr": 0.3, "momentum": 0.0, "nesterov": False}
    assert found.cliffs == (("lr", 0.1, 2), ("lr", 1.0, 1), ("momentum", 0.9, 3))
    assert "its neighbour lr=1.0 diverged with 1 of 3 seeds" in str(found)


def test_points_of_a_sample_have_no_neighbours_and_absent_is_equal_to_absent() -> None:
    drawn = sampled(4, lr=uniform(0, 1), momentum=uniform(0, 1))
    assert best(of_final(drawn, [[1, 1], [NAN, 1], [NAN, 1], [2, 2]])).cliffs == ()
    summed = grid(lr=[0.1, 0.2]) + grid(lr=[0.1, 0.2], momentum=[0.9])
    found = best(of_final(summed, [[1, 1], [NAN, NAN], [2, 2], [2, 2]]))
    assert found.cliffs == (("lr", 0.2, 2),)


def test_what_was_not_trained_is_counted() -> None:
    arrays = {"loss": np.arange(8, dtype=np.float32).reshape(4, 2, 1)}
    finished = np.array([[True, True], [True, True], [True, False], [False, False]])
    ds = results.label(RATES, arrays, finished, {"run": "a test"}, "epoch")
    found = best(ds)
    assert found.unfinished == 2
    assert str(found).endswith("2 settings not trained to the end")


def test_many_settings() -> None:
    space = grid(lr=log_range(1e-6, 1, 1001), momentum=np.linspace(0, 0.9, 100))
    final = np.abs(np.log10(np.repeat(space.axes[0].columns["lr"], 100)) + 3)[:, None] + np.array([0.0, 0.1])
    found = best(of_final(space, final))
    assert found.setting == {"lr": 0.001, "momentum": 0.0}
    assert found.ties == tuple(range(found.row + 1, found.row + 100))
