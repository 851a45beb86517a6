"""A task's arrays, checked: finite, of one length, of the right types."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

__all__ = ["Data", "any_array", "columns", "feature_major", "float_array", "gathered", "label_array"]


class Data(NamedTuple):
    x: np.ndarray
    y: np.ndarray
    x_test: np.ndarray | None
    y_test: np.ndarray | None


def gathered(x: Any, y: Any, x_test: Any, y_test: Any, target: Callable[[str, Any], np.ndarray]) -> Data:
    """The four arrays, checked: finite, as many targets as inputs, test examples of the same shape as train."""
    if (x_test is None) != (y_test is None):
        raise ValueError("x_test and y_test must be given together, got only one of them")
    train = _pair("", x, y, target)
    if x_test is None:
        return Data(*train, None, None)
    test = _pair("_test", x_test, y_test, target)
    for name, first, second in zip("xy", train, test, strict=True):
        if first.shape[1:] != second.shape[1:]:
            raise ValueError(
                f"{name}_test must have examples of the shape of {name}'s, {first.shape[1:]}; got {second.shape[1:]}"
            )
    return Data(*train, *test)


def _pair(suffix: str, x: Any, y: Any, target: Callable[[str, Any], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    inputs, targets = any_array(f"x{suffix}", x), target(f"y{suffix}", y)
    if len(inputs) != len(targets):
        raise ValueError(f"x{suffix} and y{suffix} must be of one length, got {len(inputs)} and {len(targets)}")
    return inputs, targets


def any_array(name: str, value: Any) -> np.ndarray:
    """Integers stay what they are; other numbers become the default float type."""
    array = np.asarray(value)
    if array.ndim == 0 or array.shape[0] == 0:
        raise ValueError(f"{name} must be an array with at least one example, got the shape {array.shape}")
    if not np.issubdtype(array.dtype, np.number) and array.dtype != bool:
        raise TypeError(f"{name} must be an array of numbers, got the type {array.dtype}")
    bad = int(np.size(array) - np.isfinite(array).sum())
    if bad:
        raise ValueError(f"{name} must be finite, got {bad} values that are NaN or infinite")
    return array.astype(jnp.result_type(float)) if np.issubdtype(array.dtype, np.floating) else array


def float_array(name: str, value: Any) -> np.ndarray:
    return any_array(name, value).astype(jnp.result_type(float))


def label_array(name: str, value: Any) -> np.ndarray:
    labels = any_array(name, value)
    if labels.ndim != 1:
        raise ValueError(f"{name} must be labels [N], got the shape {labels.shape}")
    if not np.issubdtype(labels.dtype, np.integer):
        raise TypeError(f"{name} must be integer labels, got the type {labels.dtype}")
    if labels.min() < 0:
        raise ValueError(f"{name} must be labels from 0, got {labels.min()}")
    return labels.astype(np.int32)


def columns(targets: np.ndarray) -> np.ndarray:
    return targets[:, None] if targets.ndim == 1 else targets


def feature_major(data: Data) -> Data:
    """Feature-major: the examples' axis last."""
    if data.x.ndim != 2:
        raise ValueError(f"x must be [N, features] for a net of tasks.mlp, got the shape {data.x.shape}")

    def turned(array: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(array.T)

    return Data(
        turned(data.x),
        turned(data.y),
        None if data.x_test is None else turned(data.x_test),
        None if data.y_test is None else turned(data.y_test),
    )
