"""Batch growth: raise the batch instead of lowering the rate, by accumulating more gradients for each update.

The noise of SGD goes with rate / batch size, so multiplying the batch by 1 / f does to the noise what
multiplying the rate by f does, with fewer updates. Both ways end up in `optax.MultiSteps`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.tree_util import Partial
from jax.typing import ArrayLike

from jaxlr import _checks
from jaxlr.plateau.rule import Plateau
from jaxlr.plateau.scaling import ScaleByPlateauState, observe, scale_by_plateau
from jaxlr.plateau.semantics import as_float
from jaxlr.plateau.state import alike

_LARGEST = 2**30


def accumulation_steps(
    *, init_value: ArrayLike = 1, factor: ArrayLike = 2.0, transition_steps: ArrayLike, max_value: ArrayLike
) -> Partial:
    """A schedule of accumulation counts: each `transition_steps` updates the batch grows by `factor`.

        k(t) = min(max_value, round(init_value * factor^floor(t / transition_steps)))

    Args:
        init_value: gradients accumulated for the first updates.
        factor: growth, 1 or more; every `transition_steps` updates.
        transition_steps: updates (not batches) between two growths.
        max_value: the largest count.

    Returns:
        `t -> k`, int32, t being the number of updates made: what `optax.MultiSteps(every_k_schedule=...)`
        takes.

    Raises:
        ValueError, TypeError: a number out of its range.

    Example:
        >>> import optax
        >>> from jaxlr.plateau import accumulation_steps
        >>> counts = accumulation_steps(transition_steps=100, max_value=8)
        >>> [int(counts(t)) for t in (0, 99, 100, 200, 1000)]
        [1, 1, 2, 4, 8]
        >>> tx = optax.MultiSteps(optax.sgd(0.1), every_k_schedule=counts)

    Reference:
        Smith, Kindermans, Ying and Le, Don't decay the learning rate, increase the batch size,
        arXiv:1711.00489.
    """
    for name, value in (("init_value", init_value), ("factor", factor), ("max_value", max_value)):
        _at_least_one(name, value)
    _at_least_one("transition_steps", transition_steps)
    return Partial(
        _accumulation_steps,
        init_value=init_value,
        factor=factor,
        transition_steps=transition_steps,
        max_value=max_value,
    )


def _accumulation_steps(
    step: ArrayLike,
    *,
    init_value: ArrayLike,
    factor: ArrayLike,
    transition_steps: ArrayLike,
    max_value: ArrayLike,
) -> jax.Array:
    growths = jnp.floor_divide(*alike(step, transition_steps))
    count = jnp.round(as_float(init_value) * as_float(factor) ** as_float(growths))
    return jnp.minimum(count, as_float(max_value)).astype(jnp.int32)


class AccumulateState(NamedTuple):
    """State of `accumulate`."""

    seen: jax.Array
    """Batches so far, int32."""
    size: jax.Array
    """Batches that the update under way is made of, int32."""
    multi_steps: optax.MultiStepsState


def accumulate(
    optimizer: optax.GradientTransformation, batches: Callable[[Any], Any], *, scaling: str = "none"
) -> optax.GradientTransformationExtraArgs:
    """A batch-size ramp: accumulate more and more gradients for each update, as a schedule says.

        k = max(1, round(batches(seen))),    update * c,    c = 1, k / k_0 ("linear") or sqrt(k / k_0) ("sqrt")

    `seen` counts the batches before the update, so that the ramp goes by the data: `k` is how many batches make one.

    Args:
        optimizer: makes the updates, from the averaged gradients. Its own schedule counts updates.
        batches: a schedule, `seen -> batches in an update`: `linear(1, 1000, 8)`, `from_table([0, 1000], [1, 8])`,
            `piecewise_constant`. For one by samples or tokens, `linear(1, 1e9 * token, 8)`, use `schedules.resolve`
            with the samples or tokens of a batch.
        scaling: how the updates grow with the batch: "none", "linear" or "sqrt". It scales updates; for an optimizer
            that keeps the rate inside its velocity that is not the same as raising the rate.

    Returns:
        An Optax transformation, called once a batch; its updates are zero until k gradients are in.

    Raises:
        TypeError: `batches` is not a function.
        ValueError: an unknown scaling.

    Example:
        >>> import jax.numpy as jnp, optax
        >>> from jaxlr.plateau import accumulate
        >>> from jaxlr.schedules import linear
        >>> tx = accumulate(optax.sgd(1.0), linear(1, 4, 2), scaling="linear")
        >>> state = tx.init(jnp.zeros(()))
        >>> for batch in range(4):
        ...     updates, state = tx.update(jnp.ones(()), state)
        ...     print(updates + 0.0)
        -1.0
        -1.0
        0.0
        -2.0

    Reference:
        Smith, Kindermans, Ying and Le, arXiv:1711.00489; McCandlish et al., arXiv:1812.06162; Megatron-LM,
        `--rampup-batch-size`; Goyal et al., arXiv:1706.02677, for the linear rule; Krizhevsky, arXiv:1404.5997, for the
        root.
    """
    if not callable(batches):
        raise TypeError(f"batches must be a schedule of the batches seen, got {batches!r}")
    _checks.one_of("scaling", scaling, ("none", "linear", "sqrt"))

    def size_at(seen: jax.Array) -> jax.Array:
        return jnp.clip(jnp.round(as_float(batches(seen))), 1, _LARGEST).astype(jnp.int32)

    def multi_steps(size: jax.Array) -> optax.MultiSteps:
        return optax.MultiSteps(optimizer, every_k_schedule=lambda step: size)

    def growth(size: jax.Array) -> jax.Array:
        ratio = as_float(size) / as_float(size_at(jnp.zeros_like(size)))
        return {"none": jnp.ones_like(ratio), "linear": ratio, "sqrt": jnp.sqrt(ratio)}[scaling]

    def init(params: optax.Params) -> AccumulateState:
        seen = jnp.zeros((), jnp.int32)
        size = size_at(seen)
        return AccumulateState(seen, size, multi_steps(size).init(params))

    def update(
        updates: optax.Updates, state: AccumulateState, params: optax.Params | None = None, **extra_args: Any
    ) -> tuple[optax.Updates, AccumulateState]:
        size = jnp.where(state.multi_steps.mini_step == 0, size_at(state.seen), state.size)
        updates, inner = multi_steps(size).update(updates, state.multi_steps, params, **extra_args)
        factor = growth(size)
        updates = jax.tree.map(lambda one: one * factor.astype(one.dtype), updates)
        return updates, AccumulateState(optax.safe_increment(state.seen), size, inner)

    return optax.GradientTransformationExtraArgs(init, update)


class AccumulateOnPlateauState(NamedTuple):
    """State of `accumulate_on_plateau`."""

    observed: ScaleByPlateauState
    multi_steps: optax.MultiStepsState


def accumulate_on_plateau(
    optimizer: optax.GradientTransformation,
    plateau: Plateau,
    *,
    accumulation_size: ArrayLike = 1,
    metric: str = "value",
) -> optax.GradientTransformationExtraArgs:
    """Accumulate more gradients for each update when the metric given to `update(..., value=)` stands still.

        k = round(1 / state.observed.plateau.value),    the gradients averaged for one update

    The plateau that `scale_by_plateau` would lower the rate with: `factor=0.5` doubles the batch where it
    would have halved the rate, so the noise, rate / batch, is the same.

    Args:
        optimizer: makes the updates, from the averaged gradients.
        plateau: from `reduce_on_plateau`; 1 / `min_value` is the largest count.
        accumulation_size: how many values make one metric, their mean.
        metric: the keyword of `update` that the metric comes by.

    Returns:
        An Optax transformation, called once a batch; its updates are zero until k gradients are in. `update`
        takes `value=`, the metric, or None in a step that has none; the optimizer is given it, too.

    Raises:
        ValueError: the plateau's `min_value` is zero, which sets no bound.

    Example:
        >>> import jax.numpy as jnp, optax
        >>> from jaxlr.plateau import accumulate_on_plateau
        >>> from jaxlr.plateau import reduce_on_plateau
        >>> plateau = reduce_on_plateau(factor=0.5, patience=1, min_value=1 / 8)
        >>> tx = accumulate_on_plateau(optax.sgd(1.0), plateau)
        >>> state = tx.init(jnp.zeros(()))
        >>> for loss in (1.0, 1.0, None):
        ...     updates, state = tx.update(jnp.ones(()), state, value=loss)
        ...     print(updates + 0.0)
        -1.0
        0.0
        -1.0

    Reference:
        Smith, Kindermans, Ying and Le, Don't decay the learning rate, increase the batch size,
        arXiv:1711.00489.
    """
    _checks.positive("min_value of the plateau", plateau.min_value)
    watch = scale_by_plateau(plateau, accumulation_size=accumulation_size)

    def multi_steps(state: ScaleByPlateauState) -> optax.MultiSteps:
        count = jnp.round(jnp.minimum(1 / state.plateau.value, _LARGEST)).astype(jnp.int32)
        return optax.MultiSteps(optimizer, every_k_schedule=lambda step: count)

    def init(params: optax.Params) -> AccumulateOnPlateauState:
        observed = watch.init(params)
        return AccumulateOnPlateauState(observed, multi_steps(observed).init(params))

    def update(
        updates: optax.Updates,
        state: AccumulateOnPlateauState,
        params: optax.Params | None = None,
        **extra_args: Any,
    ) -> tuple[optax.Updates, AccumulateOnPlateauState]:
        observed = state.observed
        if extra_args.get(metric) is not None:
            observed = observe(plateau, accumulation_size, observed, extra_args[metric])
        updates, inner = multi_steps(observed).update(updates, state.multi_steps, params, **extra_args)
        return updates, AccumulateOnPlateauState(observed, inner)

    return optax.GradientTransformationExtraArgs(init, update)


def _at_least_one(name: str, value: Any) -> None:
    _checks.between(name, value, 1, _LARGEST)
