"""The labelled suite of `jaxlr.diagnose`: real trainings, and what really happens when their rate is changed.

`python -m scripts.suites.diagnosis_suite FOLDER` trains every case and keeps the curves in FOLDER. A label comes from
interventions, never from the shape of a curve: the same training, with the same weights and batches, at other rates,
with a warm-up, and with a lower late rate. `scripts.suites.diagnosis_labels` holds the rules, for a reader to argue
with.
"""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from flax import linen

import jaxlr
from jaxlr import tasks
from jaxlr.tasks import Task
from scripts.suites import suite_tasks

__all__ = ["APART", "LAST", "TUNING", "Case", "build", "cases", "collect", "trainings"]

TUNING = ("blobs", "digits", "digits_convolutional", "digits_mislabelled", "diabetes", "breast_cancer")
"""Tasks on which the statistics were chosen and the constants fitted."""

APART = ("moons", "wine", "wine_raw", "ill_conditioned", "copying", "teacher")
"""Tasks that were only judged. The first points were too sure of them; their confidence was then fitted anew, on the
tuning tasks alone, leaving out related tasks together."""

LAST = ("circles", "friedman", "iris", "spirals")
"""Tasks that were trained and judged for the first time when the points of today had been settled."""

SEEDS = 4
RATES = [float(f"{3.0**k:.6g}") for k in range(-16, 5)]
"""A factor of three apart, so that a third and three times of a rate are trainings of the grid."""

SHAPES = ("constant", "cosine", "step")
KINDS = ("base", "warm", "late")
EPOCHS = {"digits": 40, "digits_convolutional": 30, "digits_mislabelled": 60, "breast_cancer": 40, "copying": 80}
_MOST_EPOCHS = 100
LONGER = 3
"""Times as many epochs, with the schedule stretched to them."""

BATCHES = {"sgd": 32, "momentum": 8, "adam": 32, "gd": 10_000}
"""Optimizer -> batch size; `gd` is gradient descent on all examples."""


class Case(NamedTuple):
    """A task with an optimizer and a batch size.

    Attributes:
        name: `task/optimizer`.
        task: half of the examples to train on, the other half to validate.
        run: the experiment, with the axes `init_value`, `shape`, `warm` and `late`.
    """

    name: str
    task: Task
    run: jaxlr.runs.Run


def _digits_mislabelled() -> Task:
    """The digits with a fifth of the labels drawn at random: there is noise to learn by heart."""
    rng, digits = np.random.default_rng(1), suite_tasks.digits()
    wrong = rng.random(digits.examples) < 0.2
    return digits._replace(y=jnp.where(wrong, rng.integers(0, 10, digits.examples), digits.y).astype(jnp.int32))


def _breast_cancer() -> Task:
    """The diagnostic measurements, standardised, with two hidden layers."""
    from sklearn.datasets import load_breast_cancer

    x, y = load_breast_cancer(return_X_y=True)
    return tasks.classification(tasks.mlp((16, 16)), (x - x.mean(axis=0)) / x.std(axis=0), y)


def _teacher() -> Task:
    """A network of tanh units learns what a smaller one of the same kind says, with a little noise."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(400, 6))
    y = np.tanh(x @ rng.normal(size=(6, 4))) @ rng.normal(size=4) + 0.1 * rng.normal(size=400)
    net = linen.Sequential([linen.Dense(24), linen.tanh, linen.Dense(1)])
    return tasks.regression(net, x, (y - y.mean())[:, None] / y.std())


def _circles() -> Task:
    """Two noisy rings, two hidden layers of tanh units."""
    from sklearn.datasets import make_circles

    x, y = make_circles(n_samples=400, noise=0.1, factor=0.5, random_state=0)
    net = linen.Sequential([linen.Dense(24), linen.tanh, linen.Dense(24), linen.tanh, linen.Dense(2)])
    return tasks.classification(net, x, y)


def _friedman() -> Task:
    """Friedman's first function of ten inputs, five of which matter, as a regression."""
    from sklearn.datasets import make_friedman1

    x, y = make_friedman1(n_samples=300, noise=1.0, random_state=0)
    return tasks.regression(tasks.mlp((32, 32)), (x - 0.5) * 3.46, (y - y.mean()) / y.std())


def _iris() -> Task:
    """Iris, standardised, as a multinomial regression: a convex loss."""
    from sklearn.datasets import load_iris

    x, y = load_iris(return_X_y=True)
    return tasks.classification(linen.Dense(3), (x - x.mean(axis=0)) / x.std(axis=0), y)


def _spirals() -> Task:
    """Three wound spirals, three hidden layers."""
    rng = np.random.default_rng(3)
    y = np.arange(450) % 3
    r = rng.uniform(0.1, 1, 450)
    angle = 5 * r + 2 * np.pi * y / 3 + 0.1 * rng.normal(size=450)
    return tasks.classification(
        tasks.mlp((48, 48, 48)), 2 * np.stack([r * np.cos(angle), r * np.sin(angle)], axis=1), y
    )


TASKS: dict[str, Callable[[], Task]] = {
    **{name: built for name, (built, _, _) in suite_tasks.TASKS.items()},
    "digits_mislabelled": _digits_mislabelled,
    "breast_cancer": _breast_cancer,
    "teacher": _teacher,
    "circles": _circles,
    "friedman": _friedman,
    "iris": _iris,
    "spirals": _spirals,
}


def cases() -> Iterator[tuple[str, str]]:
    """The names of every task and optimizer."""
    for task in TASKS:
        for optimizer in BATCHES:
            yield task, optimizer


def build(name: str, optimizer: str, times: int = 1) -> Case:
    """The case of a task and an optimizer; `times` as many epochs."""
    task, epochs = _halved(TASKS[name]()), EPOCHS.get(name, _MOST_EPOCHS) * times
    batch_size = min(BATCHES[optimizer], task.examples)
    total = epochs * -(-task.examples // batch_size)
    factory = suite_tasks.OPTIMIZERS["sgd" if optimizer == "gd" else optimizer]
    run = jaxlr.experiment(
        task,
        factory,
        schedule=functools.partial(_schedule, total=total),
        epochs=epochs,
        batch_size=batch_size,
        record=["initial", "step_loss"] if times == 1 else [],
    )
    return Case(f"{name}/{optimizer}", task, run)


def _halved(task: Task) -> Task:
    order = np.random.default_rng(0).permutation(task.examples)
    half = len(order) // 2

    def take(array: jax.Array, rows: np.ndarray) -> jax.Array:
        return jnp.take(array, rows, axis=task.axis)

    first, second = order[:half], order[half:]
    return task._replace(
        x=take(task.x, first), y=take(task.y, first), x_test=take(task.x, second), y_test=take(task.y, second)
    )


def _schedule(init_value: Any, shape: Any, warm: Any, late: Any, *, total: int) -> optax.Schedule:
    """One of `SHAPES` by its number; `warm` multiplies the first step and rises to 1, `late` the last 30 %."""

    def rate(step: jax.Array) -> jax.Array:
        u = jnp.clip(step / total, 0, 1)
        cosine = (1 + jnp.cos(jnp.pi * u)) / 2
        steps = jnp.where(u < 0.5, 1.0, jnp.where(u < 0.8, 0.1, 0.01))
        form = jnp.where(shape == 0, 1.0, jnp.where(shape == 1, cosine, steps))
        first = warm + (1 - warm) * jnp.clip(u / 0.1, 0, 1)
        return init_value * form * first * jnp.where(u < 0.7, 1.0, late)

    return rate


def trainings(case: Case) -> xr.Dataset:
    """Every rate with every shape: as it is, with a warm-up, with a lower late rate; `(rate, shape, kind, seed)`."""
    space = jaxlr.grid(init_value=RATES, shape=[0, 1, 2]) * jaxlr.zipped(warm=[1.0, 0.01, 1.0], late=[1.0, 1.0, 0.1])
    ds = jaxlr.sweep(case.run, space, seeds=SEEDS, devices=1, chunk=_chunk(case))
    kind = next(str(dim) for dim in ds["status"].dims if dim not in ("init_value", "shape", "seed"))
    ds = ds.drop_vars(["warm", "late"]).rename({kind: "kind", "init_value": "lr"})
    return ds.assign_coords(kind=list(KINDS), shape=list(SHAPES))


def _chunk(case: Case) -> int | str:
    """Small blocks where a batch of kernels makes grouped convolutions, which a CPU is slow at."""
    return 2 * SEEDS if "convolutional" in case.name else "auto"


def trained_on(case: Case) -> xr.DataArray:
    """The training loss of the longer trainings at their end, `(rate, shape, seed)`."""
    space = jaxlr.grid(init_value=RATES, shape=[0, 1, 2], warm=1.0, late=1.0)
    ds = jaxlr.sweep(case.run, space, seeds=SEEDS, devices=1, chunk=_chunk(case))
    last = ds["loss"].isel(epoch=slice(-case.run.epochs // 20, None)).mean("epoch", skipna=False)
    return last.drop_vars(["warm", "late"]).rename(init_value="lr").assign_coords(shape=list(SHAPES))


def collect(folder: Path) -> None:
    """Train what is not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    for names in cases():
        path = folder / f"{'-'.join(names)}.nc"
        if path.exists():
            continue
        began = time.perf_counter()
        ds = trainings(build(*names))
        jaxlr.save(ds.assign(longer=trained_on(build(*names, times=LONGER))), path)
        print(path.name, f"{time.perf_counter() - began:.0f} s", flush=True)


if __name__ == "__main__":
    collect(Path(sys.argv[1]))
