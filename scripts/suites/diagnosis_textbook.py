"""The textbook's ideal curves: what the points shall say where no training of the suite has been.

A real training is labelled by interventions alone. These drawn curves are labelled by their shape, as the textbooks
draw them, and enter the tuning with a small weight, so that a curve unlike any training gets the textbook's verdict.
They are not part of any measured number.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["Ideal", "four", "ideal"]


class Ideal(NamedTuple):
    """A drawn curve with the textbook's verdict."""

    losses: np.ndarray
    label: str


def ideal(count: int, seed: int = 0) -> list[Ideal]:
    """`count` curves of each kind, of random length, level, pace and noise."""
    rng = np.random.default_rng(seed)
    kinds = (_slide, _rise, _steep_then_flat, _crawl, _zigzag, _flat, _explosion)
    return [_scaled(kind(rng, _time(rng)), rng) for _ in range(count) for kind in kinds]


def four() -> dict[str, Ideal]:
    """The four curves of the third text's picture, by their colour."""
    u = np.arange(1, 101) / 100

    def noisy(values: np.ndarray, size: float, seed: int) -> np.ndarray:
        return values * np.exp(size * np.random.default_rng(seed).normal(size=len(values)))

    return {
        "green": Ideal(noisy(0.35 + 1.95 * np.exp(-9 * u), 0.015, 2), "healthy"),
        "red": Ideal(noisy(1.6 + 0.7 * np.exp(-5 * u) + 5 * u / 0.06 * np.exp(-u / 0.06), 0.03, 1), "initial-rise"),
        "purple": Ideal(noisy(0.85 + 1.45 * np.exp(-40 * u), 0.05, 2), "late-rate-too-high"),
        "yellow": Ideal(noisy(2.3 - 0.8 * u, 0.004, 3), "slow"),
    }


def _time(rng: np.random.Generator) -> np.ndarray:
    n = int(rng.integers(30, 200))
    return (np.arange(n) + 0.5) / n


def _scaled(curve: Ideal, rng: np.random.Generator) -> Ideal:
    return curve._replace(losses=curve.losses * 10 ** rng.uniform(-1, 1))


def _noise(rng: np.random.Generator, u: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.exp(np.exp(rng.uniform(np.log(low), np.log(high))) * rng.normal(size=len(u)))


def _slide(rng: np.random.Generator, u: np.ndarray) -> Ideal:
    floor, pace = rng.uniform(0.01, 0.3), rng.uniform(5, 15)
    return Ideal((floor + (1 - floor) * np.exp(-pace * u)) * _noise(rng, u, 0.0001, 0.04), "healthy")


def _rise(rng: np.random.Generator, u: np.ndarray) -> Ideal:
    floor, height, peak = rng.uniform(0.4, 1.0), np.exp(rng.uniform(0, 4)), rng.uniform(0.02, 0.1)
    bump = height * u / peak * np.exp(1 - u / peak)
    fall = floor + (1 - floor) * np.exp(-rng.uniform(2, 8) * u)
    return Ideal((fall + bump) * _noise(rng, u, 0.0001, 0.06), "initial-rise")


def _steep_then_flat(rng: np.random.Generator, u: np.ndarray) -> Ideal:
    floor, pace = rng.uniform(0.2, 0.6), rng.uniform(20, 80)
    return Ideal((floor + (1 - floor) * np.exp(-pace * u)) * _noise(rng, u, 0.03, 0.12), "late-rate-too-high")


def _crawl(rng: np.random.Generator, u: np.ndarray) -> Ideal:
    fall = rng.uniform(0.1, 1.2)
    curve = np.exp(-fall * u) if rng.random() < 0.5 else 1 - (1 - np.exp(-fall)) * u
    return Ideal(curve * _noise(rng, u, 0.0001, 0.01), "slow")


def _zigzag(rng: np.random.Generator, u: np.ndarray) -> Ideal:
    floor, size = rng.uniform(0.1, 0.6), rng.uniform(0.1, 0.5)
    fall = floor + (1 - floor) * np.exp(-rng.uniform(8, 30) * u)
    period = rng.choice([2, 3, 4])
    swing = 1 + size * np.cos(2 * np.pi * np.arange(len(u)) / period) * np.minimum(u / 0.2, 1)
    return Ideal(fall * swing * _noise(rng, u, 0.002, 0.05), "oscillating")


def _flat(rng: np.random.Generator, u: np.ndarray) -> Ideal:
    return Ideal(np.ones(len(u)) * _noise(rng, u, 0.0001, 0.003), "no-progress")


def _explosion(rng: np.random.Generator, u: np.ndarray) -> Ideal:
    end = np.log(rng.uniform(1.5, 1e4))
    return Ideal(np.exp(end * u ** rng.uniform(0.3, 4)) * _noise(rng, u, 0.0001, 0.1), "diverged")
