"""Schedules of other libraries, from their published formulas, against what the README says to write here."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest

from jaxlr import schedules as s

LR, N, W, D = 0.3, 200, 20, 40
"""The rate, the steps of the run, those of the warm-up and those of the decay at the end."""


@pytest.fixture(autouse=True)
def _strict() -> Iterator[None]:
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        yield


class Counterpart(NamedTuple):
    """A library's rate by the step, and our text for it."""

    theirs: Callable[[int], float]
    ours: str


def cosine(part: float) -> float:
    return (1 + math.cos(math.pi * part)) / 2


def after(warm: Callable[[float], float], rest: Callable[[float], float]) -> Callable[[int], float]:
    """A rate by the part of the warm-up, then by the part of the rest."""
    return lambda t: warm(t / W) if t < W else rest((t - W) / (N - W))


def between(low: float, high: float) -> Callable[[float], float]:
    return lambda part: low + (high - low) * part


def megatron_wsd(style: Callable[[float], float]) -> Callable[[int], float]:
    def rate(t: int) -> float:
        if t <= W:
            return LR * t / W
        return LR if t <= N - D else 0.01 + (LR - 0.01) * style((t - N + D) / D)

    return rate


def mmengine_restarts(periods: list[int], weights: list[float]) -> Callable[[int], float]:
    def rate(t: int) -> float:
        start, cycle = 0, 0
        while t >= start + periods[cycle] and cycle < len(periods) - 1:
            start, cycle = start + periods[cycle], cycle + 1
        return 0.01 + (LR * weights[cycle] - 0.01) * cosine(min((t - start) / periods[cycle], 1))

    return rate


CASES = {
    "composer LinearWithWarmupScheduler(20ba, 1, 0.1, 1dur)": Counterpart(
        after(lambda u: LR * u, lambda u: LR * (1 - 0.9 * u)), "warmup(linear(0.3, run - 20, 0.03), 20)"
    ),
    "composer CosineAnnealingWithWarmupScheduler(0.1dur, 1dur, 0.1)": Counterpart(
        after(lambda u: LR * u, lambda u: LR * (0.1 + 0.9 * cosine(u))),
        "warmup(cosine_decay(0.3, 0.9 * run, 0.03), 0.1 * run)",
    ),
    "composer MultiStepWithWarmupScheduler(20ba, [0.5dur, 0.75dur], 0.1)": Counterpart(
        lambda t: LR * min(t / W, 1) * 0.1 ** ((t >= 100) + (t >= 150)),
        "chain(multistep(0.3, [0.5 * run, 0.75 * run], 0.1), warmup(constant(1), 20))",
    ),
    "composer PolynomialScheduler(2, 1dur, 0.1)": Counterpart(
        lambda t: LR * (0.1 + 0.9 * (1 - min(t / N, 1)) ** 2), "polynomial_decay(0.3, run, 0.03, 2.0)"
    ),
    "composer CosineAnnealingWarmRestartsScheduler(0.25dur, 2)": Counterpart(
        lambda t: LR * cosine(t / 50 if t < 50 else (t - 50) / 100 if t < 150 else (t - 150) / 200),
        "cosine_restarts(0.3, 0.25 * run, period_multiplier=2.0)",
    ),
    "composer ExponentialScheduler(0.9, 10ba)": Counterpart(
        lambda t: LR * 0.9 ** (t / 10), "exponential_decay(0.3, 10, 0.9)"
    ),
    "OLMo cosine_with_warmup": Counterpart(
        after(between(0.1 * LR, LR), lambda u: LR * (0.1 + 0.9 * cosine(u))),
        "warmup(cosine_decay(0.3, run - 20, 0.03), 20, 0.03)",
    ),
    "OLMo linear_with_warmup": Counterpart(
        after(between(0.1 * LR, LR), between(LR, 0.1 * LR)), "warmup(linear(0.3, run - 20, 0.03), 20, 0.03)"
    ),
    "OLMo inverse_sqrt_with_warmup": Counterpart(
        lambda t: between(0.1 * LR, LR)(t / W) if t < W else LR * math.sqrt(W / t),
        "warmup(inverse_sqrt(0.3, 20), 20, 0.03)",
    ),
    "OLMo-core WSDS": Counterpart(
        lambda t: LR * t / W if t < W else LR * min(1, (60 - (t - W) % 60) / 20), "wsd_s(0.3, 20, 40, 20)"
    ),
    "Megatron-LM cosine": Counterpart(
        after(between(0.001, LR), lambda u: 0.01 + (LR - 0.01) * cosine(u)),
        "warmup(cosine_decay(0.3, run - 20, 0.01), 20, 0.001)",
    ),
    "Megatron-LM inverse-square-root": Counterpart(
        lambda t: LR * t / W if t < W else max(0.12, LR * math.sqrt(W / t)),
        "warmup(clamp(inverse_sqrt(0.3, 20), 0.12), 20)",
    ),
    "Megatron-LM WSD linear": Counterpart(
        megatron_wsd(lambda u: 1 - u), "warmup(cooldown(constant(0.3), run - 60, 40, 0.01), 20)"
    ),
    "Megatron-LM WSD minus_sqrt": Counterpart(
        megatron_wsd(lambda u: 1 - math.sqrt(u)),
        "warmup(cooldown(constant(0.3), run - 60, 40, 0.01, shape='1-sqrt'), 20)",
    ),
    "Megatron-LM WSD exponential": Counterpart(
        megatron_wsd(lambda u: 2 * 0.5**u - 1),
        "warmup(cooldown(constant(0.3), run - 60, 40, 0.01, shape='exponential', decay_rate=0.5), 20)",
    ),
    "axlearn cosine_with_linear_warmup": Counterpart(
        after(between(0.0, LR), lambda u: 0.01 + (LR - 0.01) * cosine(u)),
        "warmup(cosine_decay(0.3, run - 20, 0.01), 20)",
    ),
    "axlearn polynomial": Counterpart(
        lambda t: LR + (0.01 - LR) * min(max((t - 40) / 100, 0), 1) ** 2,
        "cooldown(constant(0.3), 40, 100, 0.01, shape='power', power=2.0)",
    ),
    "axlearn inverse_sqrt_with_warmup": Counterpart(
        lambda t: LR * min(t / W, math.sqrt(W / max(t, W))), "warmup(inverse_sqrt(0.3, 20), 20)"
    ),
    "axlearn ema_schedule": Counterpart(
        lambda t: min(0.9, (1 + t) / (10 + t)), "clamp(complement(time_decay(0.9, 0.1)), 0.0, 0.9)"
    ),
    "transformers polynomial": Counterpart(
        after(lambda u: LR * u, lambda u: 1e-7 + (LR - 1e-7) * (1 - u) ** 2),
        "warmup(polynomial_decay(0.3, run - 20, 1e-07, 2.0), 20)",
    ),
    "transformers cosine_with_restarts": Counterpart(
        after(lambda u: LR * u, lambda u: LR * cosine(3 * u % 1) if u < 1 else 0),
        "warmup(cosine_hard_restarts(0.3, run - 20, 3), 20)",
    ),
    "mmengine LinearLR(0.25, end=21)": Counterpart(
        lambda t: LR * (0.25 + 0.75 * min(t / 20, 1)), "warmup(constant(0.3), 20, 0.075)"
    ),
    "mmengine PolyLR(0.9, 0.01, end=200)": Counterpart(
        lambda t: 0.01 + (LR - 0.01) * (1 - min(t / 199, 1)) ** 0.9, "polynomial_decay(0.3, run - 1, 0.01, 0.9)"
    ),
    "mmengine CosineRestartLR([50, 100], [1, 0.5], 0.01)": Counterpart(
        mmengine_restarts([50, 100], [1, 0.5]),
        "join([cosine_decay(0.3, 50, 0.01), cosine_decay(0.15, 100, 0.01)], [50])",
    ),
    "first step at 1/n (PyTorch LambdaLR, timm warmup_prefix)": Counterpart(
        lambda t: LR * (t + 1) / W if t < W else LR, "offset(warmup(constant(0.3), 20), 1)"
    ),
}


@pytest.mark.parametrize("x64", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_counterparts(name: str, x64: bool) -> None:
    theirs, ours = CASES[name]
    steps = np.arange(N + 1)
    with jax.enable_x64(x64):
        made = s.resolve(s.parse(ours), N)
        found: Any = np.asarray(jax.jit(made)(steps), np.float64)
    expected = np.array([theirs(int(t)) for t in steps])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13 if x64 else 4 * np.spacing(np.float32(1)))


def test_the_text_is_how_it_is_written_back() -> None:
    for case in CASES.values():
        assert s.parse(s.format(s.parse(case.ours))) == s.parse(case.ours)
