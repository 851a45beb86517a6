"""The weights of one training after every epoch: for pictures of how a model learns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxlr import _checks
from jaxlr.training import Experiment

__all__ = ["trajectory"]

PyTree = Any


def trajectory(run: Experiment, setting: Mapping[str, Any], *, seed: int = 0, key: jax.Array | None = None) -> PyTree:
    """The weights before the first epoch and after every one, of one setting with one seed.

    The training that `sweep` does with that seed, so `weights[-1]` are those of `sweep(..., keep="last")` up to
    rounding (another block's shape takes other kernels).

    Args:
        run: an `experiment`.
        setting: hyperparameter -> value.
        seed: which seed of a sweep, from 0.
        key: the sweep's PRNG key, `jax.random.key(0)` by default.

    Returns:
        The parameters, each leaf with a leading axis of length `epochs + 1`.

    Raises:
        TypeError: `run` is no experiment, or `seed` is not an integer.
        ValueError: the setting does not fit the run, or the seed is negative.

    >>> import jax, optax
    >>> from jaxlr import experiment, tasks
    >>> weights = trajectory(experiment(tasks.blobs(), optax.sgd, epochs=3), {"learning_rate": 0.01})
    >>> jax.tree.map(jax.numpy.shape, weights)
    {'layer_0': (4, 50, 3), 'layer_1': (4, 3, 51)}
    """
    if not isinstance(run, Experiment):
        raise TypeError(f"run must be an experiment, got {run!r}")
    _checks.count("seed", seed, minimum=0)
    run.check(setting)
    # Numbers are traced, as in a sweep: folded in as constants they could round otherwise.
    traced = {name: value for name, value in setting.items() if _is_number(value) and name not in run.static_names}
    fixed = {name: value for name, value in setting.items() if name not in traced}

    @jax.jit
    def train(own: jax.Array, numbers: dict[str, Any]) -> PyTree:
        hp = {**fixed, **numbers}
        carry = run.init(jax.random.fold_in(own, 0), hp)

        def epoch(carry: Any, number: jax.Array) -> tuple[Any, PyTree]:
            carry, _ = run.epoch(carry, jax.random.fold_in(own, number), hp)
            return carry, carry.params

        _, following = jax.lax.scan(epoch, carry, jnp.arange(1, run.epochs + 1))
        return jax.tree.map(lambda first, rest: jnp.concatenate([first[None], rest]), carry.params, following)

    return train(jax.random.fold_in(jax.random.key(0) if key is None else key, seed), traced)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
