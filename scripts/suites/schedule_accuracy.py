"""How far float32 schedules are from the exact ones at large steps: jaxlr's catalogue, and Optax's.

`python -m scripts.suites.schedule_accuracy` from the root of the repository prints a table. Each row is the worst
case over runs of several lengths and over steps near 2^24, near 2^30, at 2^31 - 1 and close to the ends of
the run: the error in ulp of the schedule's largest value, and relative to the value itself wherever that is
above a millionth of the largest. The truth is the same schedule in float64 at the same float32 arguments, for
Optax with an int64 step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxlr import schedules as s
from tests.support.schedule_examples import NAMES, example

LENGTHS = (1_000_003, 2**24 + 100, 2**30 + 100, 2**31 - 1)
LARGE = (2**24 + 1, 2**24 + 99, 2**30 + 1, 2**31 - 1)


class Error(NamedTuple):
    """The worst error of a schedule, in ulp of its largest value and relative to the value."""

    ulps: float
    relative: float


def steps_of(length: int) -> np.ndarray:
    """Steps at which float32 counts fail, and the last ones of a run."""
    ends = [length - back for back in (1, 2, 3, 99, 1000, length // 1000)]
    return np.array(sorted({0, length // 2, *LARGE, *ends, length}), np.int32)


def rounded(schedule: s.Schedule) -> s.Schedule:
    """The schedule with every float as float32 holds it."""
    return jax.tree.map(lambda x: np.float64(np.float32(x)) if x.dtype == np.float64 else x, schedule)


def error(found: np.ndarray, truth: np.ndarray) -> Error:
    """Subnormal values count as zero."""
    tiny = np.finfo(np.float32).tiny
    found, truth = (np.where(np.abs(x) < tiny, 0, x) for x in (found.astype(np.float64), truth))
    largest = np.abs(truth).max()
    difference = np.abs(found - truth)
    seen = np.abs(truth) > 1e-6 * largest
    relative = (difference[seen] / np.abs(truth[seen])).max(initial=0.0)
    return Error(float(difference.max() / np.spacing(np.float32(largest))), float(relative))


def catalogue_errors(name: str, lengths: Sequence[int]) -> list[Error]:
    """The errors of one of the catalogue's examples, for runs of several lengths."""
    made = [rounded(example(name, length)) for length in lengths]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *made)
    steps = np.stack([np.resize(steps_of(length), 16) for length in lengths])

    def rates() -> np.ndarray:
        return np.asarray(jax.jit(jax.vmap(lambda schedule, at: schedule(at)))(stacked, steps))

    found = rates()
    with jax.enable_x64(True):
        truth = rates()
    return [error(*pair) for pair in zip(found, truth, strict=True)]


OPTAX: dict[str, Callable[[int], Callable[[jax.Array], jax.Array]]] = {
    "linear_schedule": lambda n: optax.linear_schedule(0.3, 0.0, n),
    "polynomial_schedule": lambda n: optax.polynomial_schedule(0.3, 0.0, 2.5, n),
    "exponential_decay": lambda n: optax.exponential_decay(0.3, n // 5, 0.5),
    "exponential_decay, staircase": lambda n: optax.exponential_decay(0.3, 97, 1 - 2e-7, staircase=True),
    "cosine_decay_schedule": lambda n: optax.cosine_decay_schedule(0.3, n),
    "warmup_cosine_decay_schedule": lambda n: optax.warmup_cosine_decay_schedule(0.0, 0.3, n // 10, n),
    "linear_onecycle_schedule": lambda n: optax.linear_onecycle_schedule(n, 0.3),
    "cosine_onecycle_schedule": lambda n: optax.cosine_onecycle_schedule(n, 0.3),
}


def optax_error(name: str, length: int) -> Error:
    """The error of one of Optax's schedules, in float32 and int32 against float64 and int64."""
    steps = steps_of(length)
    found = np.asarray(jax.vmap(OPTAX[name](length))(jnp.asarray(steps)))
    with jax.enable_x64(True):
        truth = np.asarray(jax.vmap(OPTAX[name](length))(jnp.asarray(steps, jnp.int64)))
    return error(found, truth)


def main() -> None:
    """Print both tables."""
    for title, names, measure in (
        ("jaxlr", NAMES, catalogue_errors),
        ("Optax", list(OPTAX), lambda name, lengths: [optax_error(name, length) for length in lengths]),
    ):
        print(f"{title:32} {'ulp of largest':>15} {'relative':>10}")
        for name in names:
            errors = measure(name, LENGTHS)
            print(f"{name:32} {max(e.ulps for e in errors):15.2f} {max(e.relative for e in errors):10.1e}")
        print()


if __name__ == "__main__":
    main()
