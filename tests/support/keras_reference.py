"""Runs of real Keras 2.3.1 (TensorFlow 1.15.5), and the replay of them through `experiment`'s own functions.

`data/keras231_runs.npz` holds 24 settings x 2 seeds: initial weights, the seed of the batch orders and the history.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

import jaxlr
from jaxlr import optimizers, schedules, tasks

EPOCHS = 200
DATA = Path(__file__).parent.parent / "data"


def load() -> dict[str, np.ndarray]:
    with np.load(DATA / "keras231_runs.npz") as runs:
        return dict(runs)


def orders(run_seed: int) -> np.ndarray:
    """The batch orders `[200, 500]` of a run: Keras shuffles one index array in place, epoch after epoch."""
    state, index = np.random.RandomState(run_seed), np.arange(500)
    table = np.empty((EPOCHS, 500), np.int32)
    for epoch in range(EPOCHS):
        state.shuffle(index)
        table[epoch] = index
    return table


def executed(step: jax.Array) -> jax.Array:
    """The update counter that TensorFlow 1.15 read: one too high for its first 95 updates."""
    return jnp.where(step < 95, step + 1, step)


def time_decay(init_value: Any, decay: Any) -> Any:
    exact = schedules.time_decay(init_value, decay)
    return lambda step: exact(executed(step))


def adam_rate(step: jax.Array) -> jax.Array:
    """Adam's 0.001, changed so that its bias correction is the one for the counter that was read."""

    def correction(t: jax.Array) -> jax.Array:
        t = t.astype(jnp.result_type(float))
        return jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)

    return 0.001 * correction(executed(step) + 1) / correction(step + 1)


def sgd_hyperparameters(config: str) -> dict[str, float]:
    """The SGD family's hyperparameters of one of the 21 settings; decay 0 and patience 1000 are neutral."""
    hp = {"init_value": 0.01, "momentum": 0.0, "decay": 0.0, "patience": 1000}
    kind, value = config.split("=")
    if kind != "opt":
        hp[{"lr": "init_value"}.get(kind, kind)] = int(value) if kind == "patience" else float(value)
    return hp


def plateau(patience: Any) -> Any:
    return jaxlr.reduce_on_plateau(factor=0.1, patience=patience, min_delta=1e-7)


def replay(runs: dict[str, np.ndarray], configs: list[str]) -> dict[str, np.ndarray]:
    """The history `[configs, 2, 200]` of jaxlr's training from Keras's weights with Keras's batch orders."""
    at = [list(runs["config"]).index(config) for config in configs]
    table = jnp.asarray(np.stack([orders(seed) for i in at for seed in runs["run_seed"][i]]))
    kernels = {
        f"Dense_{layer - 1}": {
            "kernel": runs[f"init_W{layer}"][at].reshape(-1, *runs[f"init_W{layer}"].shape[2:]),
            "bias": runs[f"init_b{layer}"][at].reshape(len(table), -1),
        }
        for layer in (1, 2)
    }
    params = jax.vmap(tasks.from_dense)(jax.tree.map(lambda a: jnp.asarray(a, float), kernels))
    rows = [sgd_hyperparameters(config) for config in configs for _ in range(2)] if _is_sgd(configs) else []
    hp = {name: jnp.array([row[name] for row in rows]) for name in (rows[0] if rows else {})}
    task = tasks.blobs()

    def one(params: Any, table: jax.Array, hp: dict[str, jax.Array]) -> dict[str, jax.Array]:
        run = jaxlr.experiment(
            task._replace(init=lambda key: params),
            epochs=EPOCHS,
            order=lambda key, epoch: table[epoch - 1],
            **_factories(configs),
        )
        key = jax.random.key(0)
        return jax.lax.scan(lambda carry, _: run.advance(carry, key, hp), run.init(key, hp), None, length=EPOCHS)[1]

    history = jax.jit(jax.vmap(one))(params, table, hp)
    return {name: np.asarray(values).reshape(len(configs), 2, EPOCHS) for name, values in history.items()}


def _is_sgd(configs: list[str]) -> bool:
    return configs[0] not in ("opt=rmsprop", "opt=adagrad", "opt=adam")


def _factories(configs: list[str]) -> dict[str, Any]:
    if _is_sgd(configs):
        return {"optimizer": optimizers.sgd, "schedule": time_decay, "plateau": plateau}
    if configs == ["opt=adam"]:
        return {"optimizer": optimizers.adam, "schedule": lambda: adam_rate}
    return {"optimizer": lambda: optimizers.get(configs[0].removeprefix("opt="))}


STUDY_AXES = {
    "learning-rate": ("learning_rate", "lr"),
    "momentum": ("momentum", "momentum"),
    "decay": ("decay", "decay"),
    "plateau": ("patience", "patience"),
    "optimizers": ("optimizer", "opt"),
}
"""Study -> its axis here, and the word by which the recorded settings call it."""


def _setting(config: str) -> tuple[str, str, float | str]:
    """The study, axis and value of a recorded setting."""
    word, text = config.split("=")
    study, axis = next((study, axis) for study, (axis, known) in STUDY_AXES.items() if known == word)
    return study, axis, text if word == "opt" else float(text)


def final_statistics(results: dict[str, xr.Dataset], config: str) -> dict[str, tuple[float, float]]:
    """Mean over the seeds and its standard error of a setting's final metrics."""
    study, axis, value = _setting(config)
    final = results[study].sel({axis: value}).isel(epoch=-1)
    names = {"final_acc": "accuracy", "final_val_acc": "val_accuracy", "final_loss": "loss"}
    values = {name: final[metric].values for name, metric in names.items()}
    return {name: (float(v.mean()), float(v.std(ddof=1) / np.sqrt(v.size))) for name, v in values.items()}


def accuracies(study: str) -> xr.Dataset:
    """12 seeds of real Keras as the study's Dataset: accuracies, and the rates of the plateau study."""
    with np.load(DATA / "keras231_accuracy.npz") as recorded:
        runs = dict(recorded)
    configs = [str(config) for config in runs["config"]]
    axis, word = STUDY_AXES[study]
    chosen = [config for config in configs if config.startswith(f"{word}=")]
    values: list[Any] = [_setting(config)[2] for config in chosen]
    if study == "decay":
        chosen, values = [*chosen, "lr=0.01"], [*values, 0.0]
    at = [configs.index(config) for config in chosen]
    dims = (axis, "seed", "epoch")
    data = {name: (dims, runs[name][at] / 500) for name in ("accuracy", "val_accuracy")}
    if study == "plateau":
        data["rate"] = (dims, runs["lr_used"])
    return xr.Dataset(data, {axis: values})
