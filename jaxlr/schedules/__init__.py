"""Learning-rate schedules: pure functions `step -> lr` that go into any Optax optimizer.

A factory checks its arguments and returns a `jax.tree_util.Partial`: a pytree whose leaves are the numbers
that it was given, all of which may be traced, batched with `vmap` and differentiated.
"""

from .compose import warmup
from .cosine import cosine_decay
from .decay import (
    budgeted_linear,
    constant,
    exponential_decay,
    inverse_time_decay,
    linear,
    natural_exp_decay,
    polynomial_decay,
    time_decay,
)
from .piecewise import piecewise_constant
from .table import tabulate

__all__ = [
    "budgeted_linear",
    "constant",
    "cosine_decay",
    "exponential_decay",
    "inverse_time_decay",
    "linear",
    "natural_exp_decay",
    "piecewise_constant",
    "polynomial_decay",
    "tabulate",
    "time_decay",
    "warmup",
]
