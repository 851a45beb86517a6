"""The rivals: other ways to train the blobs' network with each of several learning rates.

Each is written as its library's users write it, does the same 16 updates an epoch and the same arithmetic, and returns
the accuracy on the test points, which shows that it did train.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import NamedTuple

import numpy as np

from scripts.bench import by_jax, by_keras, by_sklearn, by_torch
from scripts.bench.points import Points

__all__ = ["RIVALS", "Points", "Rival", "installed"]

Train = Callable[[np.ndarray], np.ndarray]


class Rival(NamedTuple):
    """Another way to train.

    Attributes:
        name: what it is.
        package: what it needs to be installed.
        settings: learning rates that it is timed with at once.
        make: `(points, epochs) -> train`, with `train(rates [C]) -> accuracies [C]`.
    """

    name: str
    package: str
    settings: int
    make: Callable[[Points, int], Train]


RIVALS = (
    Rival("hand-written jit(vmap(train)), Flax", "flax", 256, by_jax.vmapped),
    Rival("hand-written jit(train), compiled once", "flax", 16, by_jax.compiled_once),
    Rival("hand-written jit(train), compiled for each setting", "flax", 2, by_jax.compiled_anew),
    Rival("PyTorch, torch.func ensemble", "torch", 64, by_torch.ensemble),
    Rival("PyTorch loop", "torch", 1, by_torch.loop),
    Rival("scikit-learn MLPClassifier, joblib, no tests", "sklearn", 16, by_sklearn.side_by_side),
    Rival("Keras 3 fit, JAX backend", "keras", 1, by_keras.fit),
)
"""From what a JAX user would write first to the slowest."""


def installed() -> list[Rival]:
    """Those whose package is installed."""
    return [rival for rival in RIVALS if find_spec(rival.package)]
