"""In scikit-learn: `MLPClassifier` for each rate, side by side in joblib's processes."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np

from scripts.bench.points import BATCH, Points

__all__ = ["side_by_side"]


def _fit(points: Points, rate: float, epochs: int) -> float:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    model = MLPClassifier(
        (50,),
        solver="sgd",
        alpha=0.0,
        batch_size=BATCH,
        learning_rate_init=rate,
        momentum=0.0,
        nesterovs_momentum=False,
        max_iter=epochs,
        n_iter_no_change=epochs + 1,
        random_state=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it always says that it was stopped after max_iter
        model.fit(points.x, points.y)
    return float(model.score(points.x_test, points.y_test))


def side_by_side(points: Points, epochs: int) -> Callable[[np.ndarray], np.ndarray]:
    """`Parallel(n_jobs=-1)` over the rates. It cannot test after each epoch."""
    from joblib import Parallel, delayed

    parallel = Parallel(n_jobs=-1)
    return lambda rates: np.array(parallel(delayed(_fit)(points, float(rate), epochs) for rate in rates))
