"""Learning-rate schedules: pure functions `step -> lr` that go into any Optax optimizer.

Said once for all of them:

- **A factory returns the schedule**, a `jax.tree_util.Partial`: a pytree whose leaves are the numbers that it was
  given. Each may be traced, batched with `vmap` and differentiated; a schedule with other numbers has the same
  structure, so that it compiles nothing again. Schedules with the same known numbers are equal, and have one hash.
- **Steps** count from 0: integers or floats of any type, one or an array. Before 0 the rate is that of step 0, after
  2^31 - 1 that of 2^31 - 1, and at NaN it is NaN. A float step between two whole ones is taken as it is.
- **Numbers of steps** such as `decay_steps` are at most 2^31 - 1 and need not be whole. Whole ones are kept as
  integers, exactly. By one that is a float, traced or not whole, a schedule can be differentiated.
- **Lengths may be parts of the run**, epochs, samples or tokens: `0.03 * run`, `run - 500`, `2 * epoch`, `1e9 * token`.
  `experiment` resolves them; so does `resolve`.
- **With zero decay steps** a schedule stands at its end value, **with zero warm-up** at its peak.
- **Numbers count as they were written**: 0.7 of 10 steps are 7, in float32 too.
- **What is wrong is refused** with the argument's name: a `TypeError` for what is no number, flag or function, a
  `ValueError` for a rate that is negative and for a number that is not finite, out of its range, or that the float
  type turns into infinity or zero (1e39 and 1e-50 need x64). Traced numbers are not looked at.
- **Rates** are float32, float64 under x64, within 4 units in the last place of the schedule's largest rate.
"""

from ._arguments import Schedule
from .advice import Advice, review, tabulate
from .compose import (
    add,
    apply,
    chain,
    clamp,
    complement,
    cooldown,
    follow,
    hold,
    join,
    noisy,
    offset,
    per_epoch,
    prolong,
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
from .cyclic import exp_range, triangular, triangular2
from .decay import budgeted_linear, constant, linear, polynomial_decay, power_decay, rex, tanh_decay
from .exponential import (
    exponential_decay,
    natural_exp_decay,
    step_decay,
    untuned_exponential_warmup,
    untuned_linear_warmup,
)
from .inverse import inverse_power, inverse_sqrt, inverse_time_decay, noam, power_scheduler, time_decay
from .lengths import epoch, resolve, run, sample, token
from .onecycle import cosine_onecycle, linear_onecycle, one_cycle, one_cycle_momentum
from .piecewise import from_table, multistep, piecewise_constant, piecewise_interpolate
from .restarts import cosine_restarts, polynomial_restarts, tanh_restarts
from .runs import infinite, knee, trapezoid, tri_stage, wsd, wsd_s
from .text import format, parse

__all__ = [
    "Advice",
    "Schedule",
    "add",
    "apply",
    "budgeted_linear",
    "chain",
    "clamp",
    "complement",
    "constant",
    "cooldown",
    "cosine_annealing",
    "cosine_cycles",
    "cosine_decay",
    "cosine_hard_restarts",
    "cosine_onecycle",
    "cosine_restarts",
    "epoch",
    "exp_range",
    "exponential_decay",
    "flat_cosine",
    "follow",
    "format",
    "from_table",
    "hold",
    "infinite",
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
    "noisy",
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
    "prolong",
    "repeat",
    "resolve",
    "review",
    "rex",
    "run",
    "sample",
    "scale",
    "step_decay",
    "stretch",
    "tabulate",
    "tanh_decay",
    "tanh_restarts",
    "time_decay",
    "token",
    "trapezoid",
    "tri_stage",
    "triangular",
    "triangular2",
    "untuned_exponential_warmup",
    "untuned_linear_warmup",
    "warmup",
    "wsd",
    "wsd_s",
]
