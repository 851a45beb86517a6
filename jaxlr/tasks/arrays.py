"""A task's arrays, checked: finite, of one length, of the right types."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxlr._types import PyTree

__all__ = ["Data", "any_array", "columns", "feature_major", "float_array", "gathered", "label_array"]


class Data(NamedTuple):
    """A task's arrays; inputs may be a tree of them, such as a dictionary."""

    x: PyTree
    y: np.ndarray
    x_test: PyTree
    y_test: np.ndarray | None


def gathered(x: Any, y: Any, x_test: Any, y_test: Any, target: Callable[[str, Any], np.ndarray]) -> Data:
    """The four, checked: finite, as many targets as inputs, test examples of the same shape as train."""
    if (x_test is None) != (y_test is None):
        raise ValueError("x_test and y_test must be given together, got only one of them")
    train = _pair("", x, y, target)
    if x_test is None:
        return Data(*train, None, None)
    test = _pair("_test", x_test, y_test, target)
    for name, first, second in zip("xy", train, test, strict=True):
        if _parts(first) != _parts(second):
            raise ValueError(f"{name}_test must have the parts of {name}, {_parts(first)}; got {_parts(second)}")
        for one, other in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
            if one.shape[1:] != other.shape[1:]:
                raise ValueError(
                    f"{name}_test must have examples of the shape of {name}'s, {one.shape[1:]}; got {other.shape[1:]}"
                )
    return Data(*train, *test)


def _parts(tree: PyTree) -> str:
    return ", ".join(jax.tree_util.keystr(path) or "one array" for path, _ in jax.tree_util.tree_leaves_with_path(tree))


def _pair(suffix: str, x: Any, y: Any, target: Callable[[str, Any], np.ndarray]) -> tuple[PyTree, np.ndarray]:
    several = isinstance(x, (dict, tuple)) or (isinstance(x, list) and all(hasattr(part, "shape") for part in x))
    inputs = jax.tree.map(lambda part: any_array(f"x{suffix}", part), x) if several else any_array(f"x{suffix}", x)
    targets = target(f"y{suffix}", y)
    for leaf in jax.tree.leaves(inputs):
        if len(leaf) != len(targets):
            raise ValueError(f"x{suffix} and y{suffix} must be of one length, got {len(leaf)} and {len(targets)}")
    return inputs, targets


def any_array(name: str, value: Any) -> np.ndarray:
    """Integers stay what they are; other numbers become the default float type."""
    if hasattr(value, "toarray"):
        raise TypeError(f"{name} must be a dense array, got a {type(value).__name__}; give {name}.toarray()")
    array = np.asarray(value)
    if array.ndim == 0 or array.shape[0] == 0:
        raise ValueError(f"{name} must be an array with at least one example, got the shape {array.shape}")
    if not jnp.issubdtype(array.dtype, jnp.number) and array.dtype != bool:
        raise TypeError(f"{name} must be an array of numbers, got the type {array.dtype}")
    if not jnp.issubdtype(array.dtype, jnp.floating):
        return array
    array = array.astype(jnp.result_type(float))
    bad = int(array.size - np.isfinite(array).sum())
    if bad:
        raise ValueError(f"{name} must be finite, got {bad} values that are NaN or infinite")
    return array


def float_array(name: str, value: Any) -> np.ndarray:
    return any_array(name, value).astype(jnp.result_type(float))


def label_array(name: str, value: Any) -> np.ndarray:
    array = np.asarray(value)
    if array.dtype.kind in "USO":
        advice = f"np.unique({name}, return_inverse=True)[1] counts classes"
        raise TypeError(f"{name} must be integer labels, got {array.dtype.name.rstrip('0123456789')}s: {advice}")
    labels = any_array(name, value)
    if labels.ndim != 1:
        raise ValueError(f"{name} must be labels [N], got the shape {labels.shape}: {_of_shape(name, labels)}")
    if not np.issubdtype(labels.dtype, np.integer):
        advice = f": give {name}.astype(int)" if (labels == labels.round()).all() else ""
        raise TypeError(f"{name} must be integer labels, got the type {labels.dtype}{advice}")
    if labels.min() < 0:
        raise ValueError(f"{name} must be labels from 0, got {labels.min()}")
    return labels.astype(np.int32)


def _of_shape(name: str, labels: np.ndarray) -> str:
    """What to do with labels that are no row."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        return f"give {name}.ravel()"
    if labels.ndim == 2 and ((labels == 0) | (labels == 1)).all() and (labels.sum(axis=1) == 1).all():
        return f"they are one-hot, so give {name}.argmax(1)"
    return "tasks.supervised takes targets of any shape, such as a text's next tokens, with a loss of your own"


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
