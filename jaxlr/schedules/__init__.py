"""Learning-rate schedules: pure functions `step -> lr` that go into any Optax optimizer.

A factory checks its arguments and returns a `jax.tree_util.Partial`: a pytree whose leaves are the numbers
that it was given, all of which may be traced, batched with `vmap` and differentiated.
"""

from ._arguments import Schedule
from .advice import Advice, review
from .compose import (
    chain,
    clamp,
    cooldown,
    hold,
    join,
    offset,
    per_epoch,
    repeat,
    scale,
    stretch,
    warmup,
)
from .cosine import (
    cosine_annealing,
    cosine_cycles,
    cosine_decay,
    cosine_hard_restarts,
    flat_cosine,
    linear_cosine_decay,
)
from .cyclic import (
    exp_range,
    triangular,
    triangular2,
)
from .decay import (
    budgeted_linear,
    constant,
    linear,
    polynomial_decay,
    power_decay,
    rex,
    tanh_decay,
)
from .exponential import (
    exponential_decay,
    natural_exp_decay,
    step_decay,
    untuned_exponential_warmup,
    untuned_linear_warmup,
)
from .inverse import (
    inverse_power,
    inverse_sqrt,
    inverse_time_decay,
    noam,
    power_scheduler,
    time_decay,
)
from .onecycle import (
    cosine_onecycle,
    linear_onecycle,
    one_cycle,
    one_cycle_momentum,
)
from .piecewise import (
    from_table,
    multistep,
    piecewise_constant,
    piecewise_interpolate,
)
from .restarts import (
    cosine_restarts,
    polynomial_restarts,
    tanh_restarts,
)
from .runs import (
    knee,
    trapezoid,
    tri_stage,
    wsd,
)
from .table import tabulate
from .text import format, parse

__all__ = [
    "Advice",
    "Schedule",
    "budgeted_linear",
    "chain",
    "clamp",
    "constant",
    "cooldown",
    "cosine_annealing",
    "cosine_cycles",
    "cosine_decay",
    "cosine_hard_restarts",
    "cosine_onecycle",
    "cosine_restarts",
    "exp_range",
    "exponential_decay",
    "flat_cosine",
    "format",
    "from_table",
    "hold",
    "inverse_power",
    "inverse_sqrt",
    "inverse_time_decay",
    "join",
    "knee",
    "linear",
    "linear_cosine_decay",
    "linear_onecycle",
    "multistep",
    "natural_exp_decay",
    "noam",
    "offset",
    "one_cycle",
    "one_cycle_momentum",
    "parse",
    "per_epoch",
    "piecewise_constant",
    "piecewise_interpolate",
    "polynomial_decay",
    "polynomial_restarts",
    "power_decay",
    "power_scheduler",
    "repeat",
    "review",
    "rex",
    "scale",
    "step_decay",
    "stretch",
    "tabulate",
    "tanh_decay",
    "tanh_restarts",
    "time_decay",
    "trapezoid",
    "tri_stage",
    "triangular",
    "triangular2",
    "untuned_exponential_warmup",
    "untuned_linear_warmup",
    "warmup",
    "wsd",
]
