"""One example of every schedule, by the length of the run, for the tests and the scripts that go through them all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import optax

from jaxlr import schedules as s

Arguments = dict[str, Any]

# A closure is a part of the structure: one for all.
_FROM_OPTAX = optax.constant_schedule(0.05)

EXAMPLES: dict[str, Callable[[int], Arguments]] = {
    "constant": lambda n: {"init_value": 0.3},
    "linear": lambda n: {"init_value": 0.3, "decay_steps": n, "end_value": 0.01},
    "budgeted_linear": lambda n: {"init_value": 0.3, "decay_steps": n},
    "polynomial_decay": lambda n: {"init_value": 0.3, "decay_steps": n, "end_value": 0.01, "power": 2.5},
    "polynomial_decay, cycle": lambda n: {
        "init_value": 0.3,
        "decay_steps": n // 3,
        "end_value": 0.01,
        "power": 0.5,
        "cycle": True,
    },
    "power_decay": lambda n: {"init_value": 0.3, "decay_steps": n, "beta": 1.2, "end_value": 0.01},
    "rex": lambda n: {"init_value": 0.3, "decay_steps": n, "end_value": 0.01},
    "tanh_decay": lambda n: {"init_value": 0.3, "decay_steps": n, "end_value": 0.01},
    "exponential_decay": lambda n: {
        "init_value": 0.3,
        "decay_steps": n // 5,
        "decay_rate": 0.5,
        "end_value": 0.001,
    },
    "exponential_decay, staircase": lambda n: {
        "init_value": 0.3,
        "decay_steps": n // 5,
        "decay_rate": 0.5,
        "staircase": True,
    },
    "natural_exp_decay": lambda n: {"init_value": 0.3, "decay_steps": n // 5, "decay_rate": 0.5},
    "step_decay": lambda n: {"init_value": 0.3, "decay_steps": n // 4},
    "untuned_exponential_warmup": lambda n: {"peak_value": 0.3, "beta2": 0.99},
    "untuned_linear_warmup": lambda n: {"peak_value": 0.3, "beta2": 0.99},
    "inverse_time_decay": lambda n: {"init_value": 0.3, "decay_steps": n // 5, "decay_rate": 0.7},
    "time_decay": lambda n: {"init_value": 0.3, "decay": 7.0 / n},
    "inverse_sqrt": lambda n: {"init_value": 0.3, "timescale": n / 10},
    "inverse_power": lambda n: {"init_value": 0.3, "timescale": n / 10, "power": 0.8},
    "noam": lambda n: {"model_size": 512, "warmup_steps": n // 10},
    "power_scheduler": lambda n: {"peak_value": 0.02, "batch_size": 8, "tokens_per_step": 4e6 / n},
    "piecewise_constant": lambda n: {"boundaries": [n // 2, n - n // 4], "values": [0.3, 0.1, 0.01]},
    "piecewise_interpolate": lambda n: {
        "init_value": 0.3,
        "boundaries": [n // 2, n],
        "scales": [0.5, 0.1],
        "shape": "cosine",
    },
    "multistep": lambda n: {"init_value": 0.3, "boundaries": [n // 2, n - n // 4], "decay_rate": 0.1},
    "from_table": lambda n: {"steps": [0, n // 2, n], "values": [0.01, 0.3, 0.0]},
    "cosine_decay": lambda n: {"init_value": 0.3, "decay_steps": n, "end_value": 0.01, "power": 1.5},
    "cosine_annealing": lambda n: {"init_value": 0.3, "decay_steps": n // 3, "end_value": 0.01},
    "cosine_cycles": lambda n: {"init_value": 0.3, "decay_steps": n, "num_cycles": 1.5, "end_value": 0.01},
    "cosine_hard_restarts": lambda n: {"init_value": 0.3, "decay_steps": n, "num_cycles": 3},
    "flat_cosine": lambda n: {"init_value": 0.3, "flat_steps": n - n // 4, "decay_steps": n // 4},
    "linear_cosine_decay": lambda n: {"init_value": 0.3, "decay_steps": n, "num_periods": 2.5},
    "cosine_restarts": lambda n: {
        "init_value": 0.3,
        "decay_steps": n // 5,
        "end_value": 0.01,
        "period_multiplier": 1.5,
        "peak_multiplier": 0.8,
        "height_multiplier": 0.9,
        "k_decay": 1.5,
    },
    "polynomial_restarts": lambda n: {
        "init_value": 0.3,
        "decay_steps": n // 7,
        "power": 2.0,
        "period_multiplier": 2.0,
    },
    "tanh_restarts": lambda n: {"init_value": 0.3, "decay_steps": n // 3, "num_cycles": 3},
    "triangular": lambda n: {"init_value": 0.03, "peak_value": 0.3, "up_steps": n // 5},
    "triangular2": lambda n: {
        "init_value": 0.03,
        "peak_value": 0.3,
        "up_steps": n // 10,
        "down_steps": n // 5,
    },
    "exp_range": lambda n: {
        "init_value": 0.03,
        "peak_value": 0.3,
        "up_steps": n // 5,
        "decay_rate": 1 - 2 / n,
    },
    "one_cycle": lambda n: {"peak_value": 0.3, "total_steps": n, "shape": "cosine"},
    "one_cycle, three phases": lambda n: {
        "peak_value": 0.3,
        "total_steps": n,
        "shape": "linear",
        "three_phase": True,
    },
    "one_cycle_momentum": lambda n: {"total_steps": n},
    "cosine_onecycle": lambda n: {"peak_value": 0.3, "total_steps": n, "pct_start": 0.304},
    "linear_onecycle": lambda n: {
        "peak_value": 0.3,
        "total_steps": n,
        "pct_start": 0.304,
        "pct_final": 0.853,
    },
    "wsd": lambda n: {
        "peak_value": 0.3,
        "warmup_steps": n // 10,
        "stable_steps": n // 2,
        "decay_steps": n // 5,
        "shape": "1-sqrt",
    },
    "trapezoid": lambda n: {
        "peak_value": 0.3,
        "warmup_steps": n // 10,
        "stable_steps": n // 2,
        "decay_steps": n // 5,
    },
    "knee": lambda n: {
        "peak_value": 0.3,
        "warmup_steps": n // 10,
        "explore_steps": n // 2,
        "decay_steps": n // 5,
    },
    "tri_stage": lambda n: {
        "peak_value": 0.3,
        "warmup_steps": n // 10,
        "hold_steps": n // 2,
        "decay_steps": n // 5,
        "init_value": 0.003,
    },
    "warmup": lambda n: {"schedule": s.cosine_decay(0.3, n - n // 10), "steps": n // 10},
    "cooldown": lambda n: {
        "schedule": s.inverse_sqrt(0.3, n / 10),
        "start": n - n // 5,
        "steps": n // 5,
        "shape": "exponential",
    },
    "join": lambda n: {
        "schedules": [s.linear(0.3, n // 2, 0.1), _FROM_OPTAX],
        "boundaries": [n // 2],
    },
    "scale": lambda n: {"schedule": s.linear(1.0, n), "factor": 0.3},
    "clamp": lambda n: {"schedule": s.linear(0.3, n), "min_value": 0.05, "max_value": 0.2},
    "offset": lambda n: {"schedule": s.linear(0.3, n), "steps": -(n // 10)},
    "stretch": lambda n: {"schedule": s.linear(0.3, n // 3), "factor": 2.93},
    "repeat": lambda n: {"schedule": s.linear(0.3, n // 4), "steps": n // 4},
    "hold": lambda n: {"schedule": s.linear(0.3, n), "steps": n // 2},
    "per_epoch": lambda n: {"f": s.exponential_decay(0.3, 1, 0.8), "steps_per_epoch": n // 10},
}

# `chain` takes its schedules one by one.
NAMES = [*EXAMPLES, "chain"]


def example(name: str, num_steps: int = 100) -> s.Schedule:
    """The example of this name for a run of so many steps."""
    if name == "chain":
        return s.chain(s.linear(0.3, num_steps), s.untuned_linear_warmup(1.0, 0.99))
    return getattr(s, factory(name))(**EXAMPLES[name](num_steps))


def factory(name: str) -> str:
    return name.split(",")[0]
