"""Reduce on plateau: lower a value when a metric has stopped improving, as a pure state machine.

`reduce_on_plateau` describes the rule; its `init` and `update` carry the state, so the machine runs under
`jit`, `vmap` and `lax.scan`, with every number traced. `state.value` is what is lowered: a learning rate, or
a multiplier.

The default rule is Keras's with its faults mended. `semantics="keras"`, `"keras2"`, `"torch"`, `"optax"` and
`"greedy"` (transformers' GreedyLR) are those libraries bit for bit in float64, faults included (`min` mode; `d` is
`min_delta`):

| | reduces at | cooldown c skips | improved when | NaN |
|---|---|---|---|---|
| default | `wait >= patience` | c epochs | `best - metric > d`, or `> rtol * abs(best) + atol` | an event |
| keras | `wait >= patience` | c - 1 epochs | `metric + d < best` | best for ever if it comes first |
| keras2 | `wait >= patience` | c - 1 epochs | `metric < best - d` | bad epoch |
| torch | `wait > patience` | c epochs | `metric < best - d`, or `< best * (1 - rtol)` | bad epoch |
| greedy | `wait > patience` | c epochs, their best too | `metric < best - d`, or `< best * (1 - rtol)` | bad epoch |
| optax | `wait == patience` | c epochs | `metric < (1 - rtol) * best - atol` | bad epoch |
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxlr import _checks
from jaxlr.plateau.semantics import IMPROVED, STEP, as_float, as_scalar
from jaxlr.plateau.state import Numbers, PlateauState

__all__ = ["SEMANTICS", "Plateau", "reduce_on_plateau", "whole_number"]

SEMANTICS = ("default", "keras", "keras2", "torch", "optax", "greedy")
_TRACED_WINDOW = 128


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["factor", "patience", "rtol", "atol", "cooldown", "min_value", "eps", "max_value", "warmup"],
    meta_fields=["mode", "semantics", "trend", "restore_best", "stop", "window"],
)
@dataclass(frozen=True)
class Plateau(Numbers):
    """A plateau rule: a pytree whose numbers are its leaves. Built by `reduce_on_plateau`."""

    def init(self, value: ArrayLike = 1.0) -> PlateauState:
        """The state before the first metric, `value` being what is to be reduced.

        Args:
            value: the learning rate (`min_value` is then a rate too), or 1.0 for a multiplier. A scalar.

        Returns:
            The state.

        Raises:
            ValueError: `value` is more than one number.
        """
        # Each leaf has a buffer of its own, so that the state can be donated.
        value = jnp.array(as_scalar("value", value))
        return PlateauState(
            value=value,
            best=jnp.full_like(value, jnp.inf if self.mode == "min" else -jnp.inf),
            wait=jnp.zeros((), jnp.int32),
            cooldown=jnp.zeros((), jnp.int32),
            updates=jnp.zeros((), jnp.int32),
            reductions=jnp.zeros((), jnp.int32),
            nan_events=jnp.zeros((), jnp.int32),
            reduced=jnp.zeros((), bool),
            improved=jnp.zeros((), bool),
            at_floor=value <= as_float(self.min_value),
            history=jnp.full((self.window,), jnp.nan, value.dtype) if self.trend else None,
        )

    def update(self, state: PlateauState, metric: ArrayLike) -> PlateauState:
        """The state after one more metric.

        Args:
            state: from `init` or `update`.
            metric: a scalar, such as the epoch's validation loss.

        Returns:
            The state; `reduced` and `improved` tell what this metric did.

        Raises:
            ValueError: `metric` is more than one number.
        """
        metric = as_scalar("metric", metric).astype(state.best.dtype)
        event = jnp.isnan(metric)
        if self.semantics == "default":
            event |= metric == (-jnp.inf if self.mode == "min" else jnp.inf)
            state = _remember(state, metric)
        improved = IMPROVED[self.semantics](self, state, metric) & ~(event & (self.semantics == "default"))
        value, wait, cooldown = STEP[self.semantics](self, state, improved, event)
        reduced = value < state.value
        return state._replace(
            value=value,
            best=jnp.where(improved, metric, state.best),
            wait=wait,
            cooldown=cooldown,
            updates=state.updates + 1,
            reductions=state.reductions + reduced.astype(jnp.int32),
            nan_events=state.nan_events + event.astype(jnp.int32),
            reduced=reduced,
            improved=improved,
            at_floor=value <= as_float(self.min_value),
        )


def reduce_on_plateau(
    *,
    factor: ArrayLike = 0.1,
    patience: ArrayLike = 10,
    min_delta: ArrayLike | None = None,
    rtol: ArrayLike | None = None,
    atol: ArrayLike | None = None,
    cooldown: ArrayLike = 0,
    min_value: ArrayLike = 0.0,
    max_value: ArrayLike | None = None,
    warmup: ArrayLike = 0,
    mode: str = "min",
    semantics: str = "default",
    eps: ArrayLike | None = None,
    trend: bool = False,
    restore_best: bool = False,
    stop: bool = False,
) -> Plateau:
    """Multiply a value by `factor` when a metric has not improved for `patience` epochs, or divide when it has.

    An epoch improves when `best - metric > margin` (`metric - best` for `mode="max"`), with
    `margin = min_delta` or `rtol * abs(best) + atol`; the difference is exact where the two are close.
    Otherwise it is a bad epoch. At `patience` bad epochs in a row,

        value <- max(value * factor, min_value)

    and the count starts again after `cooldown` epochs. With `max_value` the value also rises: at `patience` improving
    epochs in a row

        value <- min(value / factor, max_value)

    and both counts start again after `warmup` epochs. A NaN is an event: counted in `state.nan_events`, it
    neither improves nor counts as a bad epoch; so is an infinity that nothing could improve on.

    Every number may be a JAX array or a tracer, so each is an axis that a sweep can batch.

    Args:
        factor: what the value is multiplied by, between 0 and 1, both excluded.
        patience: bad epochs before a reduction; 0 reduces at each bad epoch, as 1 does.
        min_delta: smallest change that counts, in the metric's unit; 1e-4 where no tolerance is given (for
            `"torch"` and `"optax"`: their default, `rtol=1e-4`; for `"greedy"` 1e-6). A change of exactly this
            much does not count.
        rtol: smallest relative change that counts, of the best metric; instead of `min_delta`.
        atol: added to the relative change, in the metric's unit; instead of `min_delta`.
        cooldown: epochs after a reduction in which no bad epoch is counted.
        min_value: floor of the value, reached exactly. A learning rate or a multiple, as the value is.
        max_value: ceiling up to which the value rises while the metric improves; None: it never rises (with
            `"greedy"`: there is no ceiling).
        warmup: epochs after a rise in which none is counted.
        mode: `"min"` if a lower metric is better, `"max"` if a higher one is.
        semantics: `"default"`, or the library whose behaviour is wanted, faults included: `"keras"`,
            `"keras2"`, `"torch"`, `"optax"`, `"greedy"`. The module's table has the differences.
        eps: only for `"torch"` and `"greedy"`: a change by no more than this is not applied; 1e-8 where not given.
        trend: reduce only if the last `patience` metrics show no descent either, so that the way down from a
            spike is no plateau. dlib's test: a straight line is fitted, and there is a descent where its
            slope is negative with a probability of at least 0.51, with all the metrics or without the highest
            tenth. Of a traced patience, the last 128 metrics at most.
        restore_best: ask the training to go back to the best weights at each reduction. A flag for its
            caller: the rule itself has no weights.
        stop: ask the training to end when a reduction has taken the value to `min_value`. A flag for its
            caller, too.

    Returns:
        The rule, with `init(value)` and `update(state, metric)`.

    Raises:
        ValueError: a number out of its range, an unknown name, or tolerances that exclude each other or that
            the library does not have.
        TypeError: something that is not a number.

    Example:
        >>> import jax
        >>> from jaxlr.plateau import reduce_on_plateau
        >>> plateau = reduce_on_plateau(factor=0.5, patience=2)
        >>> def epoch(state, val_loss):
        ...     state = plateau.update(state, val_loss)
        ...     return state, state.value
        >>> _, rates = jax.lax.scan(epoch, plateau.init(0.1), jax.numpy.array([1.0, 0.8, 0.8, 0.8, 0.7]))
        >>> [round(float(rate), 4) for rate in rates]
        [0.1, 0.1, 0.1, 0.05, 0.05]

    Reference:
        Keras, `keras.callbacks.ReduceLROnPlateau`; PyTorch, `torch.optim.lr_scheduler.ReduceLROnPlateau`;
        Optax, `optax.contrib.reduce_on_plateau`; dlib, `count_steps_without_decrease_robust`;
        transformers, `GreedyLR`: Subramanian and Ganapathiraman, arXiv:2512.14527.
    """
    _checks.one_of("mode", mode, ("min", "max"))
    _checks.one_of("semantics", semantics, SEMANTICS)
    _open_unit_interval("factor", factor)
    whole_number("patience", patience)
    whole_number("cooldown", cooldown)
    _checks.non_negative("min_value", min_value)
    if semantics == "optax" and mode == "max":
        raise ValueError("mode must be 'min' with semantics='optax', which has no other; got 'max'")
    if trend and semantics != "default":
        raise ValueError(f"trend must be False with a library's semantics, got trend=True and {semantics!r}")
    if eps is not None and semantics not in ("torch", "greedy"):
        raise ValueError(f"eps must be left out unless semantics='torch' or 'greedy', got {eps!r} and {semantics!r}")
    if eps is None:
        eps = 1e-8 if semantics in ("torch", "greedy") else 0.0
    whole_number("warmup", warmup)
    raises = max_value is not None or semantics == "greedy"
    if max_value is not None:
        _checks.positive("max_value", max_value)
        if semantics not in ("default", "greedy"):
            raise ValueError(f"max_value must be left out with semantics={semantics!r}, which never raises a value")
    _checks.non_negative("eps", eps)
    rtol, atol = _tolerances(semantics, min_delta, rtol, atol)
    return Plateau(
        factor=factor,
        patience=patience,
        rtol=rtol,
        atol=atol,
        cooldown=cooldown,
        min_value=min_value,
        eps=eps,
        max_value=max_value,
        warmup=warmup if raises else None,
        mode=mode,
        semantics=semantics,
        trend=bool(trend),
        restore_best=bool(restore_best),
        stop=bool(stop),
        window=_window(patience) if trend else 0,
    )


def _tolerances(
    semantics: str, min_delta: ArrayLike | None, rtol: ArrayLike | None, atol: ArrayLike | None
) -> tuple[ArrayLike, ArrayLike]:
    for name, tolerance in (("min_delta", min_delta), ("rtol", rtol), ("atol", atol)):
        if tolerance is not None:
            _checks.non_negative(name, tolerance)
    relative = rtol is not None or atol is not None
    if min_delta is not None and relative:
        raise ValueError(
            f"min_delta must be left out where rtol or atol is given, got {min_delta!r}, {rtol!r}, {atol!r}"
        )
    if semantics in ("keras", "keras2") and relative:
        raise ValueError(f"rtol and atol must be left out with semantics={semantics!r}, which has min_delta only")
    if semantics in ("torch", "greedy") and rtol is not None and atol is not None:
        raise ValueError(f"rtol or atol must be left out with semantics={semantics!r}, got {rtol!r} and {atol!r}")
    if min_delta is None and not relative:
        return {"torch": (1e-4, 0.0), "optax": (1e-4, 0.0), "greedy": (0.0, 1e-6)}.get(semantics, (0.0, 1e-4))
    if min_delta is not None:
        return 0.0, min_delta
    return (0.0 if rtol is None else rtol), (0.0 if atol is None else atol)


def _open_unit_interval(name: str, value: Any) -> None:
    _checks.finite(name, value)
    if not isinstance(value, jax.Array) and not ((np.asarray(value) > 0) & (np.asarray(value) < 1)).all():
        raise ValueError(f"{name} must be above 0 and below 1, got {value!r}")


def whole_number(name: str, value: Any) -> None:
    _checks.non_negative(name, value)
    if not isinstance(value, jax.Array) and (np.asarray(value) % 1 != 0).any():
        raise ValueError(f"{name} must be a whole number, got {value!r}")


def _window(patience: ArrayLike) -> int:
    """Metrics to keep for the trend: a size, so a traced patience needs a bound."""
    if isinstance(patience, jax.Array):
        return _TRACED_WINDOW
    return max(3, int(np.max(patience)))


def _remember(state: PlateauState, metric: jax.Array) -> PlateauState:
    if state.history is None:
        return state
    shifted = jnp.append(state.history[1:], metric)
    return state._replace(history=jnp.where(jnp.isfinite(metric), shifted, state.history))
