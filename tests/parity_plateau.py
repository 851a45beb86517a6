"""Golden plateau cases against `jaxlr`: every value in float64, the epochs of reduction in float32.

`check_case(case)` takes one recorded case of Keras, PyTorch, Optax or timm and returns None, or what differs.
A case passes when the recorded values come out bit for bit in float64, and the reductions fall in the
recorded epochs in float32.

The documented exception in float32, found by computing and not from a list: where the recorded epochs hang on
digits that float32 does not hold (0.7 - 0.6999 against a `min_delta` of 1e-4), they do not come out of the
float64 rule either, once the case's numbers have been rounded to float32. The float32 epochs must then be
those. Epochs in which the value is below the smallest normal float32 are not compared: XLA flushes such
numbers to zero.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxlr.plateau import Plateau, ScaleByPlateauState, observe, reduce_on_plateau, scale_by_plateau

Case = dict[str, Any]
_PADDING = 512
_SMALLEST = float(np.finfo(np.float32).tiny)


class Run(NamedTuple):
    """A recorded case in jaxlr's terms."""

    plateau: Plateau
    accumulation_size: int
    initial_value: float
    metrics: list[float]
    warmup: list[float]
    """Values of the epochs before the plateau sees a metric."""


def check_case(case: Case) -> str | None:
    """None where the case is reproduced, otherwise one line about the first difference."""
    run = translate(case)
    recorded = numbers(case["values"])
    computed = values(run, x64=True)
    for epoch, (ours, theirs) in enumerate(zip(computed, recorded, strict=True)):
        if ours != theirs:
            return f"float64: {ours!r} instead of {theirs!r} after epoch {epoch}"
    in_float32, expected = reductions(run, values(run, x64=False)), reductions(run, recorded)
    if in_float32 not in (expected, reductions(run, values(rounded(run), x64=True))):
        return f"float32: reductions in the epochs {in_float32} instead of {expected}"
    return None


def is_float32_exception(case: Case) -> bool:
    """Whether rounding the case's numbers to float32 alone moves the recorded reductions."""
    run = translate(case)
    return reductions(run, values(rounded(run), x64=True)) != reductions(run, numbers(case["values"]))


def translate(case: Case) -> Run:
    """A recorded case in jaxlr's terms."""
    params, metrics = case["params"], numbers(case["metrics"])
    start = float(case["initial_lr"])
    match case["source"].split()[0]:
        case "keras" | "tensorflow" | "tf_keras":
            return Run(_keras(case), 1, start, metrics, [])
        case "torch":
            tolerance = {"rel": "rtol", "abs": "min_delta"}[params["threshold_mode"]]
            plateau = reduce_on_plateau(
                factor=params["factor"],
                patience=params["patience"],
                cooldown=params["cooldown"],
                min_value=params["min_lr"],
                mode=params["mode"],
                eps=params["eps"],
                semantics="torch",
                **{tolerance: params["threshold"]},
            )
            return Run(plateau, 1, start, metrics, [])
        case "optax":
            plateau = reduce_on_plateau(
                factor=params["factor"],
                patience=params["patience"],
                rtol=params["rtol"],
                atol=params["atol"],
                cooldown=params["cooldown"],
                min_value=params["min_scale"],
                semantics="optax",
            )
            return Run(plateau, params["accumulation_size"], 1.0, metrics, [])
        case "timm":
            plateau = reduce_on_plateau(
                factor=params["decay_rate"],
                patience=params["patience_t"],
                rtol=params["threshold"],
                cooldown=params["cooldown_t"],
                min_value=params["lr_min"],
                mode=params["mode"],
                semantics="torch",
            )
            # timm hands PyTorch's plateau its first metric after epoch warmup_t, and starts from what stands
            # there.
            length, low = params["warmup_t"], params["warmup_lr_init"]
            slope = (start - low) / length if length else 1.0
            warmup = [low + epoch * slope for epoch in range(length + 1)]
            return Run(plateau, 1, warmup[-1], metrics[length + 1 :], warmup)
    raise ValueError(f"case must come from keras, torch, optax or timm, got {case['source']!r}")


def _keras(case: Case) -> Plateau:
    params, mode = case["params"], case["params"]["mode"]
    if mode == "auto":
        mode = "max" if "acc" in params["monitor"] else "min"
    return reduce_on_plateau(
        factor=params["factor"],
        patience=params["patience"],
        min_delta=params["min_delta"],
        cooldown=params["cooldown"],
        min_value=params["min_lr"],
        mode=mode,
        semantics="keras2" if "legacy" in case["schedule"] else "keras",
    )


def numbers(recorded: list[float | str]) -> list[float]:
    """Recorded numbers as floats; those that JSON cannot hold are strings."""
    return [float(value) for value in recorded]


def values(run: Run, *, x64: bool) -> list[float]:
    """The reduced value after each epoch, computed by jaxlr in float64 or float32."""
    with jax.enable_x64(x64):
        # The factory's numbers as arrays: one compilation for each kind of rule, whatever its numbers.
        plateau = jax.tree.map(lambda x: jnp.asarray(x, float), run.plateau)
        length = -(-len(run.metrics) // _PADDING) * _PADDING
        metrics = np.pad(np.asarray(run.metrics, float), (0, length - len(run.metrics)))
        after = _scan(
            plateau,
            jnp.asarray(run.accumulation_size),
            jnp.asarray(run.initial_value, float),
            jnp.asarray(metrics, float),
        )
        return run.warmup + [float(value) for value in np.asarray(after)[: len(run.metrics)]]


@jax.jit
def _scan(plateau: Plateau, accumulation_size: jax.Array, value: jax.Array, metrics: jax.Array) -> jax.Array:
    def epoch(state: ScaleByPlateauState, metric: jax.Array) -> tuple[ScaleByPlateauState, jax.Array]:
        state = observe(plateau, accumulation_size, state, metric)
        return state, state.plateau.value

    start = scale_by_plateau(plateau).init(())._replace(plateau=plateau.init(value))
    return jax.lax.scan(epoch, start, metrics)[1]


def reductions(run: Run, after: list[float]) -> list[int]:
    """The epochs in which the value went down, by more than roundings."""
    before = [*(run.warmup or [run.initial_value])[:1], *after]
    return [
        epoch
        for epoch, value in enumerate(after)
        if value < before[epoch] * (1 - 1e-5) and value >= _SMALLEST * (1 + 1e-5)
    ]


def rounded(run: Run) -> Run:
    """The same run with all its numbers rounded to float32."""

    def round_one(value: Any) -> Any:
        return float(np.float32(value)) if isinstance(value, float) else value

    return run._replace(
        plateau=jax.tree.map(round_one, run.plateau),
        initial_value=round_one(run.initial_value),
        metrics=[round_one(metric) for metric in run.metrics],
        warmup=[round_one(value) for value in run.warmup],
    )
