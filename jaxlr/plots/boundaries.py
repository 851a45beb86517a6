"""Decision boundaries in a plane while a model learns, as an animation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxlr.plots.style import COLORS, new_figure

if TYPE_CHECKING:
    from matplotlib.animation import FuncAnimation
    from matplotlib.axes import Axes

PyTree = Any

_MESH = 90
"""Points along each side of the plane at which the model is asked."""


def decision_boundaries(
    classify: Callable[[PyTree, Any], Any],
    weights: Mapping[str, PyTree],
    x: Any,
    labels: Any,
    *,
    epochs: Sequence[int],
    columns: int = 2,
) -> FuncAnimation:
    """Which class a model gives to every point of the plane, epoch by epoch, one panel for each training.

    Save it with `animation.save("boundaries.gif", writer="pillow", fps=6)`.

    Args:
        classify: `(params, points [M, 2]) -> classes [M]`, integers from 0.
        weights: name of a training -> its weights after every epoch, with the epoch as the leading axis, as
            `experiment(record=[lambda task, params, state: params])` records them.
        x: points to draw `[N, 2]`.
        labels: their classes `[N]`, integers from 0.
        epochs: the epochs to show, positions along the leading axis, in the order of the frames.
        columns: panels side by side.

    Returns:
        The animation.

    Raises:
        ValueError: there is no training or no epoch, an epoch lies beyond the weights, or the shapes do not fit.

    >>> import jax.numpy as jnp
    >>> steps = {"a line that moves": jnp.linspace(-1, 1, 5)}
    >>> points, classes = np.array([[-1.0, 0.0], [1.0, 0.0]]), np.array([0, 1])
    >>> animation = decision_boundaries(lambda at, x: (x[:, 0] > at).astype(int), steps, points, classes, epochs=[0, 4])
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     animation.save(f"{folder}/line.gif", writer="pillow", fps=2)
    """
    from matplotlib.animation import FuncAnimation

    x, labels = np.asarray(x), np.asarray(labels)
    _check(weights, x, labels, epochs)
    columns = min(columns, len(weights))
    across, up, mesh = _plane(x)
    classes = {name: _classes(classify, params, mesh, epochs) for name, params in weights.items()}
    figure, axes = new_figure(-(-len(weights) // columns), columns, 2.6, 2.5)
    figure.set_dpi(80)
    pictures = []
    for ax, (name, frames) in zip(axes.flat, classes.items(), strict=False):
        pictures.append(_panel(ax, name, frames[0], (across, up), x, labels))
    for ax in axes.flat[len(weights) :]:
        ax.set_visible(False)
    title = figure.suptitle(f"epoch {epochs[0]}", fontsize=10)

    def show(frame: int) -> list[Any]:
        title.set_text(f"epoch {epochs[frame]}")
        for picture, frames in zip(pictures, classes.values(), strict=True):
            picture.set_array(frames[frame])
        return [title, *pictures]

    return FuncAnimation(figure, show, frames=len(epochs), interval=150, blit=False)


def _check(weights: Mapping[str, PyTree], x: np.ndarray, labels: np.ndarray, epochs: Sequence[int]) -> None:
    import jax

    if x.ndim != 2 or x.shape[1] != 2:
        raise ValueError(f"x must be points of a plane [N, 2], got the shape {x.shape}")
    if labels.shape != x.shape[:1]:
        raise ValueError(f"labels must be [N], one for each of {len(x)} points, got the shape {labels.shape}")
    if not weights or not len(epochs):
        raise ValueError(f"there must be a training and an epoch to show, got {len(weights)} and {len(epochs)}")
    for name, params in weights.items():
        length = min(np.shape(leaf)[0] for leaf in jax.tree.leaves(params))
        beyond = [epoch for epoch in epochs if not 0 <= epoch < length]
        if beyond:
            raise ValueError(f"epochs must be from 0 to {length - 1} for {name!r}, got {beyond[0]}")


def _plane(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A mesh over the points and a margin: its coordinates along each side, and all its points `[M, 2]`."""
    low, high = x.min(axis=0), x.max(axis=0)
    margin = 0.06 * (high - low)
    across, up = (np.linspace(a, b, _MESH) for a, b in zip(low - margin, high + margin, strict=True))
    return across, up, np.stack(np.meshgrid(across, up), axis=-1).reshape(-1, 2).astype(np.float32)


def _classes(
    classify: Callable[[PyTree, Any], Any], params: PyTree, mesh: np.ndarray, epochs: Sequence[int]
) -> np.ndarray:
    """The class of every point at every epoch to show, `[epochs, _MESH, _MESH]`; beyond the colours they repeat."""
    import jax

    shown = jax.tree.map(lambda leaf: leaf[np.asarray(epochs)], params)
    found = np.asarray(jax.jit(jax.vmap(classify, in_axes=(0, None)))(shown, mesh))
    if found.shape != (len(epochs), len(mesh)):
        raise ValueError(f"classify must give one class for each point, [{len(mesh)}], got {found.shape[1:]}")
    return found.reshape(len(epochs), _MESH, _MESH) % len(COLORS)


def _panel(
    ax: Axes, name: str, first: np.ndarray, sides: tuple[np.ndarray, np.ndarray], x: np.ndarray, labels: np.ndarray
) -> Any:
    """The points on the classes of the first frame, whose picture is returned."""
    from matplotlib.colors import ListedColormap

    look: dict[str, Any] = {"cmap": ListedColormap(COLORS), "vmin": -0.5, "vmax": len(COLORS) - 0.5, "alpha": 0.35}
    picture = ax.pcolormesh(*sides, first, shading="nearest", **look)
    for i, label in enumerate(np.unique(labels)):
        chosen, color = labels == label, COLORS[int(label) % len(COLORS)]
        ax.scatter(x[chosen, 0], x[chosen, 1], s=5, marker="os^Dv"[i % 5], color=color, linewidths=0)
    ax.set_title(name, fontsize=9)
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    return picture
