"""Parity with real Keras 2.3.1: the same runs replayed exactly, and many seeds of our own statistically."""

from __future__ import annotations

import functools
import json

import jax
import numpy as np
import pytest
import xarray as xr

from jaxlr import studies
from jaxlr.studies import claims
from tests.support import keras_reference as keras

RUNS = keras.load()
CONFIGS = [str(config) for config in RUNS["config"]]
FAMILY = tuple(config for config in CONFIGS if not config.startswith("opt=") or config == "opt=sgd")
SMOOTH = [
    "lr=0.001", "lr=0.0001", "lr=1e-05", "lr=1e-06", "lr=1e-07",
    "decay=0.1", "decay=0.01", "decay=0.001", "decay=0.0001",
    "patience=2", "opt=rmsprop", "opt=adagrad", "opt=adam",
]  # fmt: skip
TOLERANCE = 2e-5


@functools.cache
def history(configs: tuple[str, ...], x64: bool) -> dict[str, np.ndarray]:
    with jax.enable_x64(x64):
        return keras.replay(RUNS, list(configs))


def ours(config: str, metric: str, x64: bool = False) -> np.ndarray:
    configs = FAMILY if config in FAMILY else (config,)
    return history(configs, x64)[metric][configs.index(config)]


def theirs(config: str, metric: str) -> np.ndarray:
    return RUNS[metric][CONFIGS.index(config)]


def parting(a: np.ndarray, b: np.ndarray) -> int:
    """First epoch (from 1) at which two curves differ by more than the tolerance, 0 for never."""
    apart = np.abs(a - b) > TOLERANCE
    return int(apart.argmax()) + 1 if apart.any() else 0


@pytest.mark.parametrize("config", CONFIGS)
def test_first_epoch_is_keras(config: str) -> None:
    np.testing.assert_allclose(ours(config, "loss")[:, 0], theirs(config, "loss")[:, 0], atol=1e-4, rtol=0)
    np.testing.assert_allclose(ours(config, "accuracy")[:, 0], theirs(config, "accuracy")[:, 0], atol=2.1e-3)


@pytest.mark.parametrize("config", SMOOTH)
def test_whole_run_is_keras_or_parts_by_rounding(config: str) -> None:
    exact = 0
    for seed in (0, 1):
        part = parting(ours(config, "loss")[seed], theirs(config, "loss")[seed])
        exact += part == 0
        if part:
            # Rounding alone parts the run: our own float64 leaves our own float32 no later.
            own = parting(ours(config, "loss")[seed], ours(config, "loss", x64=True)[seed])
            assert 0 < own <= part, f"parts from Keras at epoch {part}, from its own float64 at {own}"
    assert exact >= 1


@pytest.mark.parametrize("config", ["lr=0.001", "lr=1e-07", "opt=adagrad", "opt=rmsprop"])
def test_accuracies_are_keras(config: str) -> None:
    for metric in ("accuracy", "val_accuracy"):
        np.testing.assert_allclose(ours(config, metric), theirs(config, metric), atol=1e-6)


@pytest.mark.parametrize("config", [config for config in CONFIGS if config.startswith("patience")])
def test_plateau_rates_are_keras_while_the_losses_agree(config: str) -> None:
    for seed in (0, 1):
        part = parting(ours(config, "val_loss")[seed], theirs(config, "val_loss")[seed])
        epochs = slice(0, part - 1 if part else None)
        rates = theirs(config, "lr_used")[seed][epochs]
        normal = rates >= np.finfo(np.float32).tiny
        np.testing.assert_allclose(ours(config, "rate")[seed][epochs][normal], rates[normal], rtol=1e-5)


@pytest.mark.parametrize("config", [config for config in CONFIGS if config.startswith("patience")])
def test_the_plateau_lowers_the_rate_where_keras_did(config: str) -> None:
    """In all 200 epochs, on the losses that Keras saw; the replayed losses part too early to tell."""
    rule = keras.plateau(int(config.removeprefix("patience=")))
    for seed in (0, 1):
        start = rule.init(0.01)
        _, rates = jax.lax.scan(lambda s, m: (rule.update(s, m), s.value), start, theirs(config, "val_loss")[seed])
        expected = theirs(config, "lr_used")[seed]
        normal = expected >= np.finfo(np.float32).tiny
        assert np.unique(expected).size > 1
        np.testing.assert_allclose(rates[normal], expected[normal], rtol=1e-5)


@pytest.mark.parametrize("config", [config for config in CONFIGS if config.startswith("decay")])
def test_decay_rates_are_keras(config: str) -> None:
    # The replay reads TensorFlow's counter, which is the documented one from update 95 (epoch 6) on.
    np.testing.assert_allclose(ours(config, "rate")[:, 6:], theirs(config, "lr_used")[:, 6:], rtol=1e-5)


@pytest.mark.parametrize(("decay", "final"), [(0.1, 3.116e-5), (1e-4, 7.576e-3)])
def test_decays_end_where_the_text_says(decay: float, final: float) -> None:
    rates = thirty_seeds()["decay"]["rate"].sel(decay=decay).isel(epoch=-1)
    np.testing.assert_allclose(rates, final, rtol=1e-3)


def test_replay_can_fail() -> None:
    moved = {**RUNS, "init_W1": RUNS["init_W1"] + 1e-3}
    metrics = keras.replay(moved, ["opt=adagrad"])
    assert np.abs(metrics["loss"][0, :, 0] - theirs("opt=adagrad", "loss")[:, 0]).max() > 1e-4
    assert (np.abs(metrics["accuracy"][0] - theirs("opt=adagrad", "accuracy")) > 1e-6).any()


STATISTICS = json.loads((keras.DATA / "keras231_stats.json").read_text())


@functools.cache
def thirty_seeds() -> dict[str, xr.Dataset]:
    return studies.run(["learning-rate", "momentum", "decay", "plateau", "optimizers"], seeds=30)


@pytest.mark.parametrize("config", CONFIGS)
def test_thirty_seeds_agree_with_keras(config: str) -> None:
    for name, (mean, error) in keras.final_statistics(thirty_seeds(), config).items():
        reference = STATISTICS["config"][config][name]
        combined = np.hypot(error, reference["std"] / np.sqrt(STATISTICS["seeds"]))
        assert abs(mean - reference["mean"]) <= 3 * combined + 0.005, (name, mean, reference)


@pytest.mark.parametrize("study", ["learning-rate", "momentum", "decay", "plateau", "optimizers"])
def test_claims_count_keras_as_recorded(study: str) -> None:
    verdicts = claims.judge(study, keras.accuracies(study))
    assert verdicts
    for verdict in verdicts:
        if verdict.claim.keras is not None:
            assert (verdict.met, verdict.seeds) == (verdict.claim.keras, claims.KERAS_SEEDS), verdict.claim.number


@pytest.mark.parametrize("study", ["learning-rate", "momentum", "decay", "plateau", "optimizers"])
def test_thirty_seeds_meet_the_claims_about_as_often_as_keras(study: str) -> None:
    for verdict in claims.judge(study, thirty_seeds()[study]):
        if verdict.claim.keras is not None:
            # Two counts of one share differ by more than this in fewer than 1 case of 1,000.
            share = (verdict.met + verdict.claim.keras) / (verdict.seeds + claims.KERAS_SEEDS)
            spread = np.sqrt(max(share * (1 - share), 0.02) * (1 / verdict.seeds + 1 / claims.KERAS_SEEDS))
            assert abs(verdict.met / verdict.seeds - verdict.claim.keras / claims.KERAS_SEEDS) <= 3.3 * spread
