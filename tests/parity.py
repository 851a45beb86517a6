"""Golden values of other libraries' schedules and plateaus against `jaxlr`.

`python -m tests.parity FILE…` checks every case of each file and prints `N passed, M failed` with the
failures. A file is a JSON list (`.json` or `.json.gz`) of cases: source, schedule, variant, dtype, params,
steps, values, tags.

This module maps names and arguments of TensorFlow, Keras, PyTorch, Optax, transformers and timm to jaxlr's;
rates are computed by jaxlr alone. Cases of a plateau are handed to `tests.parity_plateau`.

Two comparisons are made for each case:

- float64: within 1e-9 of each value plus 1e-13 of the case's largest. Cases that the library itself computed
in float32
  are compared at the arguments rounded to float32, to the accuracy that float32 leaves it
  (`_FLOAT32_LIBRARY`).
- float32: within 4 ulp of the schedule's largest value from jaxlr's float64 at the arguments rounded to
float32.

What is not compared is in `EXCLUSIONS`.
"""

from __future__ import annotations

import gzip
import json
import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxlr import schedules as s

Case = dict[str, Any]
Params = dict[str, Any]
_RTOL, _ATOL, _ULPS = 1e-9, 1e-13, 4
_FLOAT32_LIBRARY = 2e-5
"""Relative to the case's largest value, up to step 2^24, where TensorFlow's own float32 steps are exact."""


class Exclusion(NamedTuple):
    """Points that are not compared, and why jaxlr does not follow the library there."""

    applies: Callable[[Case, int, float | str], bool]
    """Of the case, the step and the recorded value."""
    reason: str


# Optax holds the first value before step 0, as jaxlr does; so do the piecewise constants.
_HOLDS_BEFORE_START = {
    ("optax", "linear_schedule"),
    ("optax", "polynomial_schedule"),
    ("optax", "exponential_decay"),
    ("optax", "piecewise_constant_schedule"),
    ("optax", "warmup_cosine_decay_schedule"),
    ("tensorflow", "piecewise_constant"),
    ("keras", "PiecewiseConstantDecay"),
}

EXCLUSIONS: dict[str, Exclusion] = {
    "not a rate": Exclusion(
        lambda case, step, value: (
            (isinstance(value, str) and value != "inf") or (not isinstance(value, str) and value < 0)
        ),
        "the library gives NaN, an error or a negative rate; jaxlr never does",
    ),
    "negative step": Exclusion(
        lambda case, step, value: step < 0 and (library(case), case["schedule"]) not in _HOLDS_BEFORE_START,
        "jaxlr counts a negative step as step 0; the library extrapolates, mirrors or gives 0",
    ),
    "no decay steps": Exclusion(
        lambda case, step, value: "edge:decay_steps_0" in case["tags"],
        "jaxlr stands at the end value; the library divides by zero, refuses, or stays at the first value",
    ),
    "no warm-up steps": Exclusion(
        lambda case, step, value: "edge:warmup_0" in case["tags"] and case["schedule"] == "warmup_constant_schedule",
        "jaxlr stands at the peak; Optax stays at the first value for ever",
    ),
    "extrapolated": Exclusion(
        lambda case, step, value: step in case.get("extrapolated_steps", ()),
        "PyTorch's OneCycleLR extrapolates one step past its end",
    ),
    "restart found too late": Exclusion(
        lambda case, step, value: (
            step in case.get("restart_rounding_slip_steps", ()) or _timm_misses_restart(case, step)
        ),
        "the library finds the cycle by a rounded logarithm and is a cycle behind or ahead at this step",
    ),
    "cancelled digits": Exclusion(
        lambda case, step, value: (
            case["schedule"] in _COSINE_WITH_EXPONENT
            and case["params"].get("exponent", 1.0) < 1
            and _steps_to_end(case, step) == 1
        ),
        "one step before its end Optax's 1 + cos has lost digits, and a root below 1 brings that to light",
    ),
    "float32 library": Exclusion(
        lambda case, step, value: case.get("dtype") == "float32" and step > 2**24,
        "TensorFlow's float32 does not resolve these steps",
    ),
    "chained after the turn": Exclusion(
        lambda case, step, value: case["schedule"] == "ChainedScheduler" and _past_chained_turn(case, step),
        "past T_max PyTorch's CosineAnnealingLR adds to the rate, so that the chain is no product any more",
    ),
    "chained restarts": Exclusion(
        lambda case, step, value: (
            case["schedule"] == "ChainedScheduler"
            and any(name == "CosineAnnealingWarmRestarts" for name, _ in case["params"]["schedulers"][:-1])
        ),
        "CosineAnnealingWarmRestarts overwrites the rate at each step, so that the chain is no product",
    ),
}
_COSINE_WITH_EXPONENT = ("cosine_decay_schedule", "warmup_cosine_decay_schedule")


def _steps_to_end(case: Case, step: int) -> int:
    return case["params"]["decay_steps"] - step


def _timm_misses_restart(case: Case, step: int) -> bool:
    """timm's own formula for the cycle, at a step where a cycle starts exactly."""
    p = case["params"]
    multiplier = p.get("cycle_mul", 1.0)
    if library(case) != "timm" or multiplier == 1.0 or step < p.get("warmup_t", 0):
        return False
    t = step - (p.get("warmup_t", 0) if p.get("warmup_prefix", False) else 0)
    found = math.floor(math.log(1 - t / p["t_initial"] * (1 - multiplier), multiplier))
    start, cycle = 0.0, 0
    while start + p["t_initial"] * multiplier**cycle <= t:
        start += p["t_initial"] * multiplier**cycle
        cycle += 1
    return start == t and found != cycle


def _past_chained_turn(case: Case, step: int) -> bool:
    parts = case["params"]["schedulers"]
    if parts[-1][0] == "CosineAnnealingWarmRestarts":
        return False
    return any(name == "CosineAnnealingLR" and step > p["T_max"] for name, p in parts)


def excluded(case: Case, step: int, value: float | str) -> str | None:
    """The name of the rule that excludes a point, or None."""
    return next((name for name, rule in EXCLUSIONS.items() if rule.applies(case, step, value)), None)


def library(case: Case) -> str:
    """The name with which the source begins, as in "keras 3.15.0 (…) …"."""
    return str(case["source"]).split()[0]


def translate(case: Case) -> s.Schedule:
    """The jaxlr schedule of a case."""
    return _TRANSLATE[library(case)](case["schedule"], case["params"])


def translate_momentum(case: Case) -> s.Schedule:
    """The jaxlr schedule of the momentum that a PyTorch case records beside the rate."""
    p = case["params"]
    low, high = (
        p.get("base_momentum", 0.85 if case["schedule"] == "OneCycleLR" else 0.8),
        p.get("max_momentum"),
    )
    high = (0.95 if case["schedule"] == "OneCycleLR" else 0.9) if high is None else high
    if case["schedule"] == "OneCycleLR":
        shape = {"cos": "cosine", "linear": "linear"}[p.get("anneal_strategy", "cos")]
        return s.one_cycle_momentum(
            p["total_steps"],
            low,
            high,
            p.get("pct_start", 0.3),
            shape=shape,
            three_phase=p.get("three_phase", False),
        )
    return _cyclic(p, high, low)


def _tensorflow(name: str, p: Params) -> s.Schedule:
    rate, steps, stairs = p.get("learning_rate"), p.get("decay_steps"), p.get("staircase", False)
    match name:
        case "exponential_decay":
            return s.exponential_decay(rate, steps, p["decay_rate"], stairs)
        case "natural_exp_decay":
            return s.natural_exp_decay(rate, steps, p["decay_rate"], stairs)
        case "inverse_time_decay":
            return s.inverse_time_decay(rate, steps, p["decay_rate"], stairs)
        case "polynomial_decay":
            return s.polynomial_decay(
                rate, steps, p.get("end_learning_rate", 1e-4), p.get("power", 1.0), p.get("cycle", False)
            )
        case "piecewise_constant":
            # A boundary between two steps is passed with the second.
            return s.piecewise_constant([math.floor(step) for step in p["boundaries"]], p["values"])
        case "cosine_decay":
            return s.scale(s.cosine_decay(1.0, steps, p.get("alpha", 0.0)), rate)
        case "cosine_decay_restarts":
            restarts = s.cosine_restarts(
                1.0,
                p["first_decay_steps"],
                p.get("alpha", 0.0),
                p.get("t_mul", 2.0),
                height_multiplier=p.get("m_mul", 1.0),
            )
            return s.scale(restarts, rate)
        case "SGD_time_decay":
            return s.time_decay(rate, p["decay"])
        case "linear_cosine_decay":
            return s.linear_cosine_decay(
                rate, steps, p.get("num_periods", 0.5), p.get("alpha", 0.0), p.get("beta", 0.001)
            )
    raise ValueError(f"unknown schedule {name!r}")


_KERAS_NAMES = {
    "ExponentialDecay": "exponential_decay",
    "InverseTimeDecay": "inverse_time_decay",
    "PolynomialDecay": "polynomial_decay",
    "PiecewiseConstantDecay": "piecewise_constant",
    "CosineDecay": "cosine_decay",
    "CosineDecayRestarts": "cosine_decay_restarts",
}


def _keras(name: str, p: Params) -> s.Schedule:
    rate, target = p.get("initial_learning_rate"), p.get("warmup_target")
    if name == "CosineDecay" and target is not None:
        decay = _tensorflow("cosine_decay", {**p, "learning_rate": target})
        return s.warmup(decay, p.get("warmup_steps", 0), rate)
    return _tensorflow(_KERAS_NAMES[name], {**p, "learning_rate": rate})


def _optax(name: str, p: Params) -> s.Schedule:
    match name:
        case "constant_schedule":
            return s.constant(p["value"])
        case "linear_schedule" | "polynomial_schedule":
            decay = s.polynomial_decay(p["init_value"], p["transition_steps"], p["end_value"], p.get("power", 1.0))
            return s.offset(decay, -p.get("transition_begin", 0))
        case "exponential_decay":
            decay = s.exponential_decay(
                p["init_value"],
                p["transition_steps"],
                p["decay_rate"],
                p.get("staircase", False),
                p.get("end_value"),
            )
            return s.offset(decay, -p.get("transition_begin", 0))
        case "cosine_decay_schedule":
            decay = s.cosine_decay(1.0, p["decay_steps"], p.get("alpha", 0.0), p.get("exponent", 1.0))
            return s.scale(decay, p["init_value"])
        case "warmup_constant_schedule":
            return s.warmup(s.constant(p["peak_value"]), p["warmup_steps"], p["init_value"])
        case "warmup_cosine_decay_schedule":
            steps = p["decay_steps"] - p["warmup_steps"]
            decay = s.cosine_decay(p["peak_value"], steps, p.get("end_value", 0.0), p.get("exponent", 1.0))
            return s.warmup(decay, p["warmup_steps"], p["init_value"])
        case "warmup_exponential_decay_schedule":
            decay = _optax("exponential_decay", {**p, "init_value": p["peak_value"]})
            return s.warmup(decay, p["warmup_steps"], p["init_value"])
        case "piecewise_constant_schedule":
            boundaries, scales = _pairs(p)
            return s.multistep(p["init_value"], boundaries, scales)
        case "piecewise_interpolate_schedule":
            boundaries, scales = _pairs(p)
            return s.piecewise_interpolate(p["init_value"], boundaries, scales, p["interpolate_type"])
        case "cosine_onecycle_schedule":
            return s.cosine_onecycle(p["peak_value"], p["transition_steps"], **_given(p, *_ONECYCLE))
        case "linear_onecycle_schedule":
            given = _given(p, *_ONECYCLE, "pct_final")
            return s.linear_onecycle(p["peak_value"], p["transition_steps"], **given)
        case "sgdr_schedule":
            cycles = p["cosine_kwargs"]
            ends = np.cumsum([cycle["decay_steps"] for cycle in cycles])
            return s.join([_optax("warmup_cosine_decay_schedule", cycle) for cycle in cycles], ends[:-1])
        case "join_schedules":
            return s.join([_optax(*part) for part in p["schedules"]], p["boundaries"])
    raise ValueError(f"unknown schedule {name!r}")


_ONECYCLE = ("pct_start", "div_factor", "final_div_factor")


def _given(p: Params, *names: str) -> Params:
    return {name: p[name] for name in names if name in p}


def _pairs(p: Params) -> tuple[list[int], list[float]]:
    pairs = sorted((int(step), scale) for step, scale in p["boundaries_and_scales"])
    return [step for step, _ in pairs], [scale for _, scale in pairs]


def _torch(name: str, p: Params) -> s.Schedule:
    rate = p["base_lr"]
    match name:
        case "StepLR":
            return s.step_decay(rate, p["step_size"], p.get("gamma", 0.1))
        case "MultiStepLR":
            return s.multistep(rate, sorted(p["milestones"]), p.get("gamma", 0.1))
        case "ConstantLR":
            factor = s.join([s.constant(p.get("factor", 1 / 3)), s.constant(1.0)], [p.get("total_iters", 5)])
            return s.scale(factor, rate)
        case "LinearLR":
            line = s.linear(p.get("start_factor", 1 / 3), p.get("total_iters", 5), p.get("end_factor", 1.0))
            return s.scale(line, rate)
        case "ExponentialLR":
            return s.exponential_decay(rate, 1, p["gamma"])
        case "PolynomialLR":
            return s.polynomial_decay(rate, p.get("total_iters", 5), power=p.get("power", 1.0))
        case "CosineAnnealingLR":
            return s.cosine_annealing(rate, p["T_max"], p.get("eta_min", 0.0))
        case "CosineAnnealingWarmRestarts":
            return s.cosine_restarts(rate, p["T_0"], p.get("eta_min", 0.0), p.get("T_mult", 1))
        case "CyclicLR":
            return _cyclic(p, rate, p["max_lr"])
        case "OneCycleLR":
            return s.one_cycle(
                p["max_lr"],
                p["total_steps"],
                **_given(p, *_ONECYCLE, "three_phase"),
                shape={"cos": "cosine", "linear": "linear"}[p.get("anneal_strategy", "cos")],
            )
        case "SequentialLR":
            parts = [_torch(part, {**args, "base_lr": rate}) for part, args in p["schedulers"]]
            return s.join(parts, p["milestones"])
        case "ChainedScheduler":
            last, args = p["schedulers"][-1]
            if last == "CosineAnnealingWarmRestarts":
                return _torch(last, {**args, "base_lr": rate})
            parts = [_torch(part, {**args, "base_lr": 1.0}) for part, args in p["schedulers"]]
            return s.scale(s.chain(*parts), rate)
    raise ValueError(f"unknown schedule {name!r}")


def _cyclic(p: Params, low: float, high: float) -> s.Schedule:
    up, down = p.get("step_size_up", 2000), p.get("step_size_down")
    mode = p.get("mode", "triangular")
    if mode == "exp_range":
        return s.exp_range(low, high, up, down, p.get("gamma", 1.0))
    return {"triangular": s.triangular, "triangular2": s.triangular2}[mode](low, high, up, down)


def _transformers(name: str, p: Params) -> s.Schedule:
    rate, warm = p["base_lr"], p["num_warmup_steps"]
    decay_steps = max(p.get("num_training_steps", 0) - warm, 1)
    floor = p.get("min_lr_rate", 0.0)
    if p.get("min_lr") is not None:
        decay = s.cosine_cycles(rate, decay_steps, p.get("num_cycles", 0.5), p["min_lr"])
    else:
        decay = s.scale(s.cosine_cycles(1.0, decay_steps, p.get("num_cycles", 0.5), floor), rate)
    match name.removeprefix("get_"):
        case "constant_schedule":
            return s.constant(rate)
        case "constant_schedule_with_warmup":
            return s.warmup(s.constant(rate), warm)
        case "linear_schedule_with_warmup":
            return s.warmup(s.linear(rate, decay_steps), warm)
        case "cosine_schedule_with_warmup" | "cosine_with_min_lr_schedule_with_warmup":
            return s.warmup(decay, warm)
        case "cosine_with_hard_restarts_schedule_with_warmup":
            return s.warmup(s.cosine_hard_restarts(rate, decay_steps, p.get("num_cycles", 1)), warm)
        case "cosine_with_min_lr_schedule_with_warmup_lr_rate":
            # This one counts its steps from 1, unless a first rate is given.
            first = p.get("warmup_lr_rate")
            if first is None:
                return s.offset(s.warmup(decay, warm), 1)
            line = s.scale(s.linear(first, max(warm - 1, 1), 1.0), rate)
            return s.join([line, s.offset(decay, 1)], [warm])
        case "inverse_sqrt_schedule":
            return s.warmup(s.inverse_sqrt(rate, p.get("timescale") or warm or 10_000), warm)
        case "polynomial_decay_schedule_with_warmup":
            return s.warmup(s.polynomial_decay(rate, decay_steps, p.get("lr_end", 1e-7), p.get("power", 1.0)), warm)
        case "wsd_schedule":
            return s.scale(_transformers_wsd(p), rate)
    raise ValueError(f"unknown schedule {name!r}")


def _transformers_wsd(p: Params) -> s.Schedule:
    warm, decay_steps, low = p["num_warmup_steps"], p["num_decay_steps"], p.get("min_lr_ratio", 0.0)
    stable = p.get("num_stable_steps")
    stable = p["num_training_steps"] - warm - decay_steps if stable is None else stable
    shape, waves = p.get("decay_type", "cosine"), p.get("num_cycles", 0.5)
    if shape == "cosine":
        fall = s.cosine_cycles(1.0, decay_steps, waves, low)
        run = s.join([s.constant(1.0), fall, s.constant(low)], [stable, stable + decay_steps])
    else:
        run = s.cooldown(s.constant(1.0), stable, decay_steps, low, shape=shape)
    return s.warmup(run, warm, low, shape=p.get("warmup_type", "linear"))


_TIMM_COOLDOWNS = {"exp": "exponential"}


def _timm(name: str, p: Params) -> s.Schedule:
    rate, low, warm = p["base_lr"], p.get("lr_min", 0.0), p.get("warmup_t", 0)
    cycles = {
        "period_multiplier": p.get("cycle_mul", 1.0),
        "peak_multiplier": p.get("cycle_decay", 1.0),
        "num_cycles": p.get("cycle_limit", 1),
    }
    prefix = p.get("warmup_prefix", name in ("StepLRScheduler", "MultiStepLRScheduler", "WSDLRScheduler"))
    match name:
        case "CosineLRScheduler":
            decay = s.cosine_restarts(rate, p["t_initial"], low, **cycles, k_decay=p.get("k_decay", 1.0))
        case "PolyLRScheduler":
            decay = s.polynomial_restarts(
                rate, p["t_initial"], low, p.get("power", 0.5), **cycles, k_decay=p.get("k_decay", 1.0)
            )
        case "TanhLRScheduler":
            decay = s.tanh_restarts(rate, p["t_initial"], low, p.get("lb", -7.0), p.get("ub", 3.0), **cycles)
            if not prefix:
                return s.warmup(s.offset(decay, warm), warm, p.get("warmup_lr_init", 0.0))
        case "StepLRScheduler":
            decay = s.step_decay(rate, p["decay_t"], p.get("decay_rate", 1.0))
        case "MultiStepLRScheduler":
            # timm changes the rate one step before the milestone.
            decay = s.offset(s.multistep(rate, p["decay_t"], p.get("decay_rate", 1.0)), 1)
        case "WSDLRScheduler":
            decay = s.cooldown(
                s.clamp(_timm_stable(p), min_value=low),
                p["t_initial"] - p["decay_t"],
                p["decay_t"],
                low,
                shape=_TIMM_COOLDOWNS.get(p.get("decay_fn", "1-sqrt"), p.get("decay_fn", "1-sqrt")),
                power=p.get("decay_power", 0.5),
                decay_rate=p.get("decay_ratio", 0.1),
            )
        case _:
            raise ValueError(f"unknown schedule {name!r}")
    rise = s.linear(p.get("warmup_lr_init", 0.0), warm, rate)
    return s.join([rise, decay if prefix else s.offset(decay, warm)], [warm])


def _timm_stable(p: Params) -> s.Schedule:
    timescale = p.get("stable_timescale")
    timescale = p.get("warmup_t", 0) if timescale is None else timescale
    match p.get("stable_fn", "constant"):
        case "constant":
            return s.constant(p["base_lr"])
        case "rsqrt":
            return s.inverse_sqrt(p["base_lr"], timescale)
        case "power":
            return s.inverse_power(p["base_lr"], timescale, p.get("stable_power", 0.5))
    raise ValueError(f"unknown stable_fn {p['stable_fn']!r}")


_TRANSLATE: dict[str, Callable[[str, Params], s.Schedule]] = {
    "tensorflow": _tensorflow,
    "keras": _keras,
    "optax": _optax,
    "torch": _torch,
    "transformers": _transformers,
    "timm": _timm,
}


def rounded(value: Any) -> Any:
    """Arguments as float32 holds them."""
    if isinstance(value, float):
        return float(np.float32(value))
    if isinstance(value, list):
        return [rounded(item) for item in value]
    if isinstance(value, dict):
        return {name: rounded(item) for name, item in value.items()}
    return value


def evaluate(build: Callable[[Case], s.Schedule], case: Case, steps: list[int], *, x64: bool) -> np.ndarray:
    """The schedule at the steps, in float64 or in float32."""
    # A few array sizes for all cases, so that each kind of schedule is compiled a few times only.
    size = 256
    while size < len(steps):
        size *= 2
    padded = np.zeros(size, np.int64 if x64 else np.int32)
    padded[: len(steps)] = steps
    with jax.enable_x64(x64):
        return np.asarray(build(case)(padded))[: len(steps)].astype(np.float64)


def check_case(case: Case) -> str | None:
    """None if a case comes out, else what differs."""
    if "metrics" in case:
        from tests import parity_plateau

        return parity_plateau.check_case(case)
    recorded = [(translate, case["values"])]
    if "momentum_values" in case:
        recorded.append((translate_momentum, case["momentum_values"]))
    for build, values in recorded:
        kept = [
            (step, float(value))
            for step, value in zip(case["steps"], values, strict=True)
            if excluded(case, step, value) is None
        ]
        if kept and (reason := _compare(build, case, kept)) is not None:
            return reason
    return None


def _compare(build: Callable[[Case], s.Schedule], case: Case, points: list[tuple[int, float]]) -> str | None:
    steps = [step for step, _ in points]
    golden = np.array([value for _, value in points])
    at_float32 = {**case, "params": rounded(case["params"])}
    truth = evaluate(build, at_float32, steps, x64=True)
    if case.get("dtype") == "float32":
        allowed = np.full(golden.shape, _FLOAT32_LIBRARY * _largest(golden))
        reason = _difference("float32 library", steps, truth, golden, allowed)
    else:
        ours = evaluate(build, case, steps, x64=True)
        allowed = _RTOL * np.abs(golden) + _ATOL * _largest(golden)
        reason = _difference("float64", steps, ours, golden, allowed)
    if reason is not None:
        return reason
    with np.errstate(over="ignore"):
        single = truth.astype(np.float32)
    allowed = np.full(truth.shape, _ULPS * float(np.spacing(np.float32(_largest(single)))))
    return _difference(
        "float32", steps, evaluate(build, at_float32, steps, x64=False), single.astype(np.float64), allowed
    )


def _largest(values: np.ndarray) -> float:
    return float(np.abs(values[np.isfinite(values)]).max(initial=0.0))


def _difference(kind: str, steps: list[int], ours: np.ndarray, theirs: np.ndarray, allowed: np.ndarray) -> str | None:
    with np.errstate(invalid="ignore"):
        wrong = ~((ours == theirs) | (np.abs(ours - theirs) <= allowed))
    if not wrong.any():
        return None
    worst = int(np.flatnonzero(wrong)[0])
    return (
        f"{kind}: {int(wrong.sum())} of {len(steps)} points differ, first at step {steps[worst]}: "
        f"{ours[worst]!r} for {theirs[worst]!r}"
    )


def load(path: str | Path) -> list[Case]:
    """The cases of a file, compressed or not."""
    raw = Path(path).read_bytes()
    return json.loads(gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw)


def failures(cases: list[Case]) -> Iterator[tuple[str, str]]:
    """The id of each case that does not come out, with what differs or the error that it raises."""
    for case in cases:
        try:
            reason = check_case(case)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
        if reason is not None:
            yield case["id"], reason


def main(paths: list[str]) -> int:
    """Check files, print what fails, and return the exit status."""
    passed = failed = 0
    for path in paths:
        cases = load(path)
        wrong = list(failures(cases))
        for name, reason in wrong:
            print(f"FAILED {Path(path).name} {name}: {reason}")
        passed, failed = passed + len(cases) - len(wrong), failed + len(wrong)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
