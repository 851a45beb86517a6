"""In Keras 3 on its JAX backend: a model built, compiled and fitted for each rate."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np

from scripts.bench.points import BATCH, Points

__all__ = ["fit"]


def fit(points: Points, epochs: int) -> Callable[[np.ndarray], np.ndarray]:
    """`model.fit(..., validation_data=...)`, one rate after the other."""
    os.environ.setdefault("KERAS_BACKEND", "jax")
    import keras

    def train(rate: float) -> float:
        keras.utils.set_random_seed(0)
        layers = keras.layers
        model = keras.Sequential(
            [
                layers.Input((2,)),
                layers.Dense(50, activation="relu", kernel_initializer="he_uniform"),
                layers.Dense(3, activation="softmax"),
            ]
        )
        model.compile(keras.optimizers.SGD(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
        history = model.fit(
            points.x,
            points.y,
            batch_size=BATCH,
            epochs=epochs,
            validation_data=(points.x_test, points.y_test),
            verbose=0,
        )
        return history.history["val_accuracy"][-1]

    return lambda rates: np.array([train(float(rate)) for rate in rates])
