"""TensorFlow's five decay policies over their steps, and gradient descent in one dimension: data and figures.

Nothing is trained here; `studies` lists both among its experiments.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxlr import schedules
from jaxlr.engine import sweep
from jaxlr.spaces import grid

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["FIGURES", "draw", "tabulated"]

DESCENT_RATES = (0.05, 0.3, 1.05)
"""Too small, good and too large for the cost of position squared, which diverges from 1 on."""


def _cost(position: Any) -> Any:
    return position**2


def _descend(key: jax.Array, learning_rate: jax.Array) -> dict[str, jax.Array]:
    """Gradient descent from 1 on `_cost`."""
    del key

    def step(position: jax.Array, _: None) -> tuple[jax.Array, jax.Array]:
        return position - learning_rate * jax.grad(_cost)(position), position

    return {"position": jax.lax.scan(step, jnp.float32(1.0), None, length=12)[1]}


def _policies() -> dict[str, dict[str, Any]]:
    """Figure -> name -> schedule: TensorFlow's five decay policies."""
    exponential = functools.partial(schedules.exponential_decay, 0.1, 100_000, 0.96)
    inverse = functools.partial(schedules.inverse_time_decay, 0.1, 100, 0.5)
    polynomial = functools.partial(schedules.polynomial_decay, 0.1, 10_000, 0.01)
    return {
        "exponential_decay": {"staircase": exponential(staircase=True), "smooth": exponential()},
        "inverse_time_decay": {"staircase": inverse(staircase=True), "smooth": inverse()},
        "natural_exp_decay": {
            "natural_exp_decay, rate 0.5": schedules.natural_exp_decay(0.1, 10, 0.5),
            "exponential_decay, rate 0.5": schedules.exponential_decay(0.1, 10, 0.5),
        },
        "piecewise_constant": {"1.0, 0.5, 0.1": schedules.piecewise_constant([100_000, 110_000], [1.0, 0.5, 0.1])},
        "polynomial_decay": {f"power {p:g}": polynomial(power=p) for p in (1.0, 0.5, 2.0)},
        "polynomial_decay_cycle": {f"power {p:g}": polynomial(power=p, cycle=True) for p in (1.0, 0.5, 2.0)},
    }


_HORIZON = {
    "exponential_decay": 1_000_000,
    "inverse_time_decay": 1_000,
    "natural_exp_decay": 50,
    "piecewise_constant": 150_000,
    "polynomial_decay": 15_000,
    "polynomial_decay_cycle": 45_000,
}
"""Steps over which each policy is drawn."""


def tabulated() -> xr.Dataset:
    """The policies over their steps, and three gradient descents.

    >>> sorted(tabulated()["position"].sizes.items())
    [('learning_rate', 3), ('step', 12)]
    """
    import xarray as xr

    steps = {figure: np.linspace(0, last, 1001).round().astype(np.int32) for figure, last in _HORIZON.items()}

    @jax.jit  # one program instead of one for each operation of each schedule
    def rates() -> dict[str, jax.Array]:
        return {
            f"{figure}: {name}": schedule(jnp.asarray(steps[figure]))
            for figure, policies in _policies().items()
            for name, schedule in policies.items()
        }

    data = {name: ("point", np.asarray(values)) for name, values in rates().items()}
    data |= {f"{figure}: step": ("point", values) for figure, values in steps.items()}
    descents = sweep(_descend, grid(learning_rate=list(DESCENT_RATES)), devices=1)
    position = descents["position"].isel(seed=0, drop=True)
    return xr.Dataset(
        data | {"position": position},
        attrs={**descents.attrs, "run": "TensorFlow's decay policies; gradient descent on x^2"},
    )


FIGURES = (*(f"{figure}.png" for figure in _HORIZON), "gradient_descent.png")
"""The file names of the figures."""


def draw(ds: xr.Dataset) -> dict[str, Figure]:
    """File name -> figure: each policy of `tabulated`, and the descents."""
    from jaxlr import plots

    figures = {}
    for figure, policies in _policies().items():
        curves = {name: ds[f"{figure}: {name}"].values for name in policies}
        title = f"tf.train.{figure}" if "cycle" not in figure else "tf.train.polynomial_decay with cycle=True"
        figures[f"{figure}.png"] = plots.lines(curves, x=ds[f"{figure}: step"].values, title=title)
    title = "Gradient descent on x^2: a small, a good and a too large rate"
    figures["gradient_descent.png"] = plots.descents(_cost, ds["position"], title=title)
    return figures
