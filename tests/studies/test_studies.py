"""The studies: what they compile, what they write, what the summary says."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from jaxlr import experiment, grid, optimizers, studies, sweep, tasks
from jaxlr.studies import experiments
from tests.support.counting import compiled_programs

TRAINED = ["learning-rate", "momentum", "decay", "plateau", "optimizers"]


@pytest.fixture(scope="module")
def counted() -> tuple[dict, list[str]]:
    # A key that no other test uses, so that nothing is compiled beforehand.
    experiments._sgd.cache_clear()
    experiments._adaptive.cache_clear()
    with compiled_programs() as names:
        results = studies.run(list(studies.STUDIES), seeds=3, epochs=2)
    return results, names


def test_one_program_for_sgd_one_for_the_adaptive_optimizers_and_one_for_descent(counted) -> None:
    results, names = counted
    assert names.count("advance") == 3
    assert sum(results[name].attrs["compilations"] for name in TRAINED) == 2
    assert results["schedules"].attrs["compilations"] == 1


def test_one_seed_needs_one_program_too() -> None:
    experiments._sgd.cache_clear()
    with compiled_programs() as names:
        studies.run(["momentum", "decay"], seeds=1, epochs=2)
    assert names.count("advance") == 1


def test_counting_sees_a_compilation() -> None:
    import jax

    with compiled_programs() as names:
        jax.jit(lambda x: x + 1).lower(1.0).compile()
    assert names


def test_settings_are_the_tutorials(counted) -> None:
    results, _ = counted
    assert results["learning-rate"]["learning_rate"].values.tolist() == [10.0**-k for k in range(8)]
    assert results["momentum"]["momentum"].values.tolist() == [0.0, 0.5, 0.9, 0.99]
    assert results["decay"]["decay"].values.tolist() == [0.1, 0.01, 0.001, 0.0001, 0.0]
    assert results["plateau"]["patience"].values.tolist() == [2, 5, 10, 15]
    assert results["optimizers"]["optimizer"].values.tolist() == ["sgd", "rmsprop", "adagrad", "adam"]
    for name in TRAINED:
        assert results[name]["val_accuracy"].sizes["seed"] == 3
        assert np.isfinite(results[name]["loss"]).all()


def test_each_adaptive_optimizer_is_the_one_of_that_name(counted) -> None:
    """One program computes all three and takes one; by itself each trains the same but for rounding."""
    found = counted[0]["optimizers"]
    for name, rate in zip(experiments.ADAPTIVE, (0.001, 0.01, 0.001), strict=True):
        run = experiment(tasks.blobs(), optimizers.get, epochs=2)
        alone = sweep(run, grid(name=[name]), seeds=3).isel(name=0)
        np.testing.assert_allclose(found["loss"].sel(optimizer=name), alone["loss"], rtol=1e-4)
        np.testing.assert_allclose(found["rate"].sel(optimizer=name), rate, rtol=1e-6)


@pytest.mark.parametrize("name", ["momentum", "decay", "optimizers"])
def test_what_another_study_has_trained_is_what_a_study_alone_trains(counted, name: str) -> None:
    together, alone = counted[0][name], studies.run([name], seeds=3, epochs=2)[name]
    assert set(together.coords) == set(alone.coords)
    for variable in alone.data_vars:
        assert together[variable].dims == alone[variable].dims
        np.testing.assert_array_equal(together[variable].values, alone[variable].values)


def test_every_promised_file_is_written(counted, tmp_path: Path) -> None:
    results, _ = counted
    paths = studies.write(results, tmp_path)
    assert sorted(path.name for path in paths) == sorted(path.name for path in tmp_path.iterdir())
    assert {path.name for path in paths} >= {"learning_rate.png", "plateau_rate.png", "gradient_descent.png"}
    for path in paths:
        assert path.stat().st_size > 1000
    summary = (tmp_path / "summary.md").read_text()
    assert "| optimizers | optimizer adam |" in summary
    conclusions = re.findall(r"^- ([\w-]+): the best is (.+) \(", summary, flags=re.MULTILINE)
    for name, words in conclusions:
        swept = results[name][{"learning-rate": "learning_rate", "plateau": "patience"}.get(name, name.rstrip("s"))]
        means = results[name]["val_accuracy"].isel(epoch=-1).mean("seed")
        value = swept.values[int(means.values.argmax())]
        assert words.split()[-1] == (value if isinstance(value, str) else f"{value:g}")
    assert len(conclusions) == 5
    for claim in ("1", "12", "19b"):
        assert f"| {claim} | " in summary
    assert "scaled to this run" in summary


def test_curves_can_be_read_back(counted, tmp_path: Path) -> None:
    from jaxlr import results as reading

    results, _ = counted
    for name, ds in results.items():
        same = reading.load(reading.save(ds, tmp_path / f"{name}.nc"))
        assert set(same.data_vars) == set(ds.data_vars)
        for variable in ds.data_vars:
            np.testing.assert_array_equal(same[variable].values, ds[variable].values)


def test_progress_reaches_the_end() -> None:
    seen: list[tuple[int, int]] = []
    studies.run(["momentum", "optimizers"], seeds=2, epochs=2, report=lambda done, total: seen.append((done, total)))
    # Four momenta, of which the first is the plain SGD of the other study, and three more optimizers.
    assert seen[-1] == (7 * 2 * 2, 7 * 2 * 2)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_an_interrupt_ends_the_studies() -> None:
    def stop(done: int, total: int) -> None:
        if done < total:  # after the first block, which is finished
            raise KeyboardInterrupt

    with pytest.warns(UserWarning, match="interrupted"), pytest.raises(KeyboardInterrupt):
        studies.run(["momentum"], seeds=70, epochs=1, report=stop)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"names": ["lr"]}, "study must be one of all|study must be one of blobs"),
        ({"names": ["momentum"], "seeds": 0}, "seeds must be an integer of at least 1, got 0"),
        ({"names": ["momentum"], "epochs": -1}, "epochs must be an integer of at least 1, got -1"),
    ],
)
def test_bad_input(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        studies.run(**arguments)
