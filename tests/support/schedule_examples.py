"""One example of every schedule, by the length of the run, for the tests and the scripts that go through them all.

The catalogue says which schedules there are. One that has no example of its own here gets one from the kinds of its
arguments, so that a new schedule is tested from the day that it is decorated.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import optax

from jaxlr import schedules as s
from jaxlr.schedules._schedule import CATALOGUE, Entry

# A closure is a part of the structure: one for all.
_FROM_OPTAX = optax.constant_schedule(0.05)

EXAMPLES: dict[str, Callable[[Any], s.Schedule]] = {
    "linear": lambda n: s.linear(0.3, n, 0.01),
    "polynomial_decay": lambda n: s.polynomial_decay(0.3, n, 0.01, 2.5),
    "polynomial_decay, cycle": lambda n: s.polynomial_decay(0.3, n // 3, 0.01, 0.5, cycle=True),
    "power_decay": lambda n: s.power_decay(0.3, n, 1.2, 0.01),
    "rex": lambda n: s.rex(0.3, n, 0.01),
    "tanh_decay": lambda n: s.tanh_decay(0.3, n, 0.01),
    "exponential_decay": lambda n: s.exponential_decay(0.3, n // 5, 0.5, end_value=0.001),
    "exponential_decay, staircase": lambda n: s.exponential_decay(0.3, n // 5, 0.5, staircase=True),
    "natural_exp_decay": lambda n: s.natural_exp_decay(0.3, n // 5, 0.5),
    "step_decay": lambda n: s.step_decay(0.3, n // 4),
    "untuned_exponential_warmup": lambda n: s.untuned_exponential_warmup(0.3, 0.99),
    "untuned_linear_warmup": lambda n: s.untuned_linear_warmup(0.3, 0.99),
    "inverse_time_decay": lambda n: s.inverse_time_decay(0.3, n // 5, 0.7),
    "time_decay": lambda n: s.time_decay(0.3, 7.0 / n),
    "inverse_sqrt": lambda n: s.inverse_sqrt(0.3, n / 10),
    "inverse_power": lambda n: s.inverse_power(0.3, n / 10, 0.8),
    "noam": lambda n: s.noam(512, n // 10),
    "power_scheduler": lambda n: s.power_scheduler(0.02, 8, 4e6 / n),
    "piecewise_constant": lambda n: s.piecewise_constant([n // 2, n - n // 4], [0.3, 0.1, 0.01]),
    "piecewise_interpolate": lambda n: s.piecewise_interpolate(0.3, [n // 2, n], [0.5, 0.1], "cosine"),
    "multistep": lambda n: s.multistep(0.3, [n // 2, n - n // 4], 0.1),
    "from_table": lambda n: s.from_table([0, n // 2, n], [0.01, 0.3, 0.0]),
    "cosine_decay": lambda n: s.cosine_decay(0.3, n, 0.01, 1.5),
    "cosine_annealing": lambda n: s.cosine_annealing(0.3, n // 3, 0.01),
    "cosine_cycles": lambda n: s.cosine_cycles(0.3, n, 1.5, 0.01),
    "cosine_hard_restarts": lambda n: s.cosine_hard_restarts(0.3, n, 3),
    "flat_cosine": lambda n: s.flat_cosine(0.3, n - n // 4, n // 4),
    "linear_cosine_decay": lambda n: s.linear_cosine_decay(0.3, n, 2.5),
    "cosine_restarts": lambda n: s.cosine_restarts(0.3, n // 5, 0.01, 1.5, 0.8, 0.9, k_decay=1.5),
    "polynomial_restarts": lambda n: s.polynomial_restarts(0.3, n // 7, power=2.0, period_multiplier=2.0),
    "tanh_restarts": lambda n: s.tanh_restarts(0.3, n // 3, num_cycles=3),
    "triangular": lambda n: s.triangular(0.03, 0.3, n // 5),
    "triangular2": lambda n: s.triangular2(0.03, 0.3, n // 10, n // 5),
    "exp_range": lambda n: s.exp_range(0.03, 0.3, n // 5, decay_rate=1 - 2 / n),
    "one_cycle": lambda n: s.one_cycle(0.3, n, shape="cosine"),
    "one_cycle, three phases": lambda n: s.one_cycle(0.3, n, shape="linear", three_phase=True),
    "cosine_onecycle": lambda n: s.cosine_onecycle(0.3, n, 0.304),
    "linear_onecycle": lambda n: s.linear_onecycle(0.3, n, 0.304, 0.853),
    "wsd": lambda n: s.wsd(0.3, n // 10, n // 2, n // 5, shape="1-sqrt"),
    "trapezoid": lambda n: s.trapezoid(0.3, n // 10, n // 2, n // 5),
    "knee": lambda n: s.knee(0.3, n // 10, n // 2, n // 5),
    "tri_stage": lambda n: s.tri_stage(0.3, n // 10, n // 2, n // 5, 0.003),
    "warmup": lambda n: s.warmup(s.cosine_decay(0.3, n - n // 10), n // 10),
    "cooldown": lambda n: s.cooldown(s.inverse_sqrt(0.3, n / 10), n - n // 5, n // 5, shape="exponential"),
    "join": lambda n: s.join([s.linear(0.3, n // 2, 0.1), _FROM_OPTAX], [n // 2]),
    "chain": lambda n: s.chain(s.linear(0.3, n), s.untuned_linear_warmup(1.0, 0.99)),
    "join, continuous": lambda n: s.join([s.linear(0.3, n), s.cosine_decay(1.0, n // 2)], [n // 2], continuous=True),
    "add": lambda n: s.add(s.inverse_sqrt(0.3, n / 10), s.constant(0.01)),
    "follow": lambda n: s.follow(s.linear(0.3, n, 0.01), 0.3, 0.1, 0.5),
    "apply": lambda n: s.apply(s.linear(0.3, n), s.inverse_sqrt(0.3, 0.1)),
    "prolong": lambda n: s.prolong(s.cosine_decay(0.3, n - n // 3), n // 2, n - n // 3, n),
    "infinite": lambda n: s.infinite(0.3, 0.1, n // 10, n // 3, n // 3, n // 5),
    "wsd_s": lambda n: s.wsd_s(0.3, n // 10, n // 4, n // 6, 0.01),
    "complement": lambda n: s.complement(s.inverse_power(1.0, n / 10, 0.8)),
    "noisy": lambda n: s.noisy(s.linear(0.3, n), 0.2),
    "scale": lambda n: s.scale(s.linear(1.0, n), 0.3),
    "clamp": lambda n: s.clamp(s.linear(0.3, n), 0.05, 0.2),
    "offset": lambda n: s.offset(s.linear(0.3, n), -(n // 10)),
    "stretch": lambda n: s.stretch(s.linear(0.3, n // 3), 2.93),
    "repeat": lambda n: s.repeat(s.linear(0.3, n // 4), n // 4),
    "repeat, growing": lambda n: s.repeat(s.warmup(s.linear(0.3, n // 5), n // 20), n // 4, 1.5, 0.8),
    "hold": lambda n: s.hold(s.linear(0.3, n), n // 2),
    "per_epoch": lambda n: s.per_epoch(s.exponential_decay(0.3, 1, 0.8), n // 10),
}

_OF_KIND: dict[str, Callable[[Any], Any]] = {
    "Rate": lambda n: 0.3,
    "Rates": lambda n: [0.3, 0.1],
    "Positive": lambda n: 1.5,
    "AboveHalf": lambda n: 1.5,
    "Fraction": lambda n: 0.2,
    "Timescale": lambda n: 1.5,
    "Period": lambda n: 1.5,
    "Base": lambda n: 0.7,
    "Steps": lambda n: n // 2,
    "Shift": lambda n: n // 5,
    "Boundaries": lambda n: [n // 2],
    "Rising": lambda n: [0, n],
    "Inner": lambda n: s.linear(0.3, n),
    "InnerList": lambda n: [s.linear(0.3, n // 2), s.constant(0.1)],
    "Map": lambda n: s.constant(0.1),
    "Function": lambda n: s.linear(0.3, n),
}


def of_kinds(entry: Entry, num_steps: int) -> dict[str, Any]:
    """An argument of its kind for each that has no default."""
    required = [p for p in entry.signature.parameters.values() if p.default is p.empty]
    made = {p.name: _OF_KIND[p.annotation](num_steps) for p in required if p.kind is not p.VAR_POSITIONAL}
    return made | ({"scales": [0.5]} if "scales" in made else {})


def factory(name: str) -> str:
    return name.split(",")[0]


def names() -> list[str]:
    """The names of all examples, `factory` or `factory, variant`, in the order of the catalogue."""
    return [name for known in CATALOGUE for name in ([own for own in EXAMPLES if factory(own) == known] or [known])]


NAMES = names()


def example(name: str, num_steps: int = 100) -> s.Schedule:
    """The example of this name for a run of so many steps."""
    if name in EXAMPLES:
        return EXAMPLES[name](num_steps)
    return CATALOGUE[name].factory(**of_kinds(CATALOGUE[name], num_steps))
