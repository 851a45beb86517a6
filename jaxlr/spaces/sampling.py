"""Values to try: random and low-discrepancy samples of a space, and the usual ladders of rates."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxlr import _checks
from jaxlr.spaces.algebra import Axis, Space
from jaxlr.spaces.values import Distribution, axis_values, forced

__all__ = ["ladder", "log_range", "log_uniform", "sampled", "uniform"]


def uniform(low: float, high: float) -> Distribution:
    """Every value between `low` and `high` is as likely.

    `low + u * (high - low)` with u uniform in [0, 1).

    Args:
        low: smallest value.
        high: largest value, above `low`.

    Returns:
        A distribution for `sampled`.

    Raises:
        ValueError: `low` is not below `high`.

    >>> uniform(0, 0.99)
    Distribution(low=0.0, high=0.99, log=False)
    """
    _checks.finite("low", low)
    _checks.finite("high", high)
    if not low < high:
        raise ValueError(f"low must be below high, got {low} and {high}")
    return Distribution(float(low), float(high), False)


def log_uniform(low: float, high: float) -> Distribution:
    """Every order of magnitude between `low` and `high` is as likely: the choice for learning rates.

    `low * (high / low)^u` with u uniform in [0, 1).

    Args:
        low: smallest value, positive.
        high: largest value, above `low`.

    Returns:
        A distribution for `sampled`.

    Raises:
        ValueError: `low` is not positive or not below `high`.

    >>> log_uniform(1e-5, 1)
    Distribution(low=1e-05, high=1.0, log=True)

    Reference: Bergstra and Bengio, "Random search for hyper-parameter optimization", JMLR 13 (2012).
    """
    _checks.positive("low", low)
    return uniform(low, high)._replace(log=True)


def sampled(n: int, *, key: jax.Array | None = None, method: str = "random", **axes: Any) -> Space:
    """`n` settings drawn at random, or spread evenly by a scrambled Sobol sequence.

    Where few of many hyperparameters matter, n samples try n values of each; a grid of that size tries few.
    A larger `n` with the same key and axes begins with the same settings.

    Args:
        n: number of settings.
        key: PRNG key, `jax.random.key(0)` by default; the settings depend on nothing else.
        method: "random", or "sobol" for a low-discrepancy sequence (best for powers of two).
        **axes: hyperparameter -> `log_uniform(low, high)`, `uniform(low, high)`, a list of choices, or one
            fixed value.

    Returns:
        A space with one dimension `setting` and the sampled hyperparameters as its coordinates.

    Raises:
        ValueError: nothing is sampled, `n` is below 1, the method is unknown, or as for `grid`.
        TypeError: `n` is not an integer.

    >>> space = sampled(3, lr=log_uniform(1e-5, 1), momentum=uniform(0, 1), nesterov=[False, True])
    >>> len(space), space.dims, space.names
    (3, {'setting': 3}, ('lr', 'momentum', 'nesterov'))

    Reference: Bergstra and Bengio, JMLR 13 (2012); Owen, "Scrambling Sobol' and Niederreiter-Xing points",
    Journal of Complexity 14 (1998), as `scipy.stats.qmc.Sobol`.
    """
    _checks.count("n", n)
    _checks.one_of("method", method, ("random", "sobol"))
    drawn: dict[str, Distribution | tuple[Any, ...]] = {}
    fixed = []
    for name, given in axes.items():
        if isinstance(given, Distribution):
            drawn[name] = given
            continue
        values, single = axis_values(name, given)
        if single:
            fixed.append(Axis(None, {name: values}))
        else:
            drawn[name] = values
    if not drawn:
        raise ValueError(f"sampled must have at least one distribution or list of choices, got {axes or 'no axes'}")
    points = _points(n, len(drawn), jax.random.key(0) if key is None else key, method)
    columns = {name: _column(source, points[:, i]) for i, (name, source) in enumerate(drawn.items())}
    return Space((Axis("setting", columns), *fixed), forced(axes))


def _points(n: int, dimensions: int, key: jax.Array, method: str) -> np.ndarray:
    """`n` points of the unit cube, [0, 1)."""
    typed = jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    words = np.asarray(jax.random.key_data(key) if typed else key)
    generator = np.random.default_rng(words.ravel().tolist())
    if method == "random":
        return generator.random((n, dimensions))
    from scipy.stats import qmc

    # Drawn up to the next power of two: SciPy warns of any other number, whose points are a little less even.
    return np.asarray(qmc.Sobol(dimensions, rng=generator).random_base2((n - 1).bit_length())[:n])


def _column(source: Distribution | tuple[Any, ...], points: np.ndarray) -> tuple[Any, ...]:
    if not isinstance(source, Distribution):
        return tuple(source[i] for i in (points * len(source)).astype(int))
    from scipy import stats

    low, high = source.low, source.high
    made = stats.loguniform(low, high) if source.log else stats.uniform(low, high - low)
    return tuple(np.clip(made.ppf(points), low, high).tolist())


def log_range(low: float, high: float, n: int) -> list[float]:
    """`n` values from `low` to `high`, each the same multiple of the one before.

    `low * (high / low)^(i / (n - 1))` for i = 0, ..., n - 1, to 12 digits, so that 0.001 is 0.001.

    Args:
        low: first value, positive.
        high: last value, positive; below `low` for a falling list.
        n: number of values, at least 2.

    Returns:
        The values.

    Raises:
        ValueError: a value is not positive, the two are equal, or `n` is below 2.
        TypeError: `n` is not an integer.

    >>> log_range(1e-4, 1, 5)
    [0.0001, 0.001, 0.01, 0.1, 1.0]
    """
    _checks.positive("low", low)
    _checks.positive("high", high)
    _checks.count("n", n, minimum=2)
    if low == high:
        raise ValueError(f"low and high must differ, got {low} twice")
    inner = [float(f"{value:.12g}") for value in np.geomspace(low, high, n)[1:-1]]
    return [float(low), *inner, float(high)]


def ladder(low: float, high: float) -> list[float]:
    """The rates to try first: 1 and 3 times each power of ten, each about three times the one before.

    Args:
        low: lower bound, positive and included.
        high: upper bound, included.

    Returns:
        The values between the bounds, rising.

    Raises:
        ValueError: a bound is not positive, or there is no such value between them.

    >>> ladder(0.001, 1)
    [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0]

    Reference: Ng, "Machine Learning", lecture 4: "try 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1".
    """
    _checks.positive("low", low)
    _checks.positive("high", high)
    decades = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
    steps = [float(f"{digit}e{decade}") for decade in decades for digit in (1, 3)]
    # A bound that was computed may lie a rounding error beside its step.
    values = [step for step in steps if low * (1 - 1e-6) <= step <= high * (1 + 1e-6)]
    if not values:
        raise ValueError(f"low and high must have 1 or 3 times a power of ten between them, got {low} and {high}")
    return values
