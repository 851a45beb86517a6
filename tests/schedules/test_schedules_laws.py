"""Laws of the schedules, their text, their accuracy at large steps, and their errors."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxlr import schedules as s
from jaxlr.inject import injected
from scripts.suites import schedule_accuracy
from tests.support.schedule_examples import NAMES, example

laws = settings(deadline=None, derandomize=True, max_examples=25)
rate = st.floats(1e-5, 10.0)
length = st.integers(0, 2**31 - 1)
GRID = 64


@pytest.fixture(autouse=True)
def _strict() -> Iterator[None]:
    """Nothing relies on implicit promotion of types or ranks."""
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        yield


@jax.jit
def rates(schedule: s.Schedule, steps: jax.Array) -> jax.Array:
    return schedule(steps)


def along(schedule: s.Schedule, end: int) -> np.ndarray:
    """Rates at `GRID` steps from 0 to a little past an end."""
    steps = np.minimum(np.linspace(0, 1.1 * end + 3, GRID).astype(np.int64), 2**31 - 1).astype(np.int32)
    return np.asarray(rates(schedule, steps), np.float64)


DECAYS = {
    "linear": s.linear,
    "polynomial": lambda a, n, b: s.polynomial_decay(a, n, b, power=1.7),
    "rex": s.rex,
    "tanh": s.tanh_decay,
    "cosine": s.cosine_decay,
    "flat cosine": lambda a, n, b: s.flat_cosine(a, n // 3, n, b),
    "exponential": lambda a, n, b: s.exponential_decay(a, n, 0.01, end_value=b),
    "cooldown": lambda a, n, b: s.cooldown(s.constant(a), n // 3, n, b, shape="1-sqrt"),
}


@pytest.mark.parametrize("name", DECAYS)
@laws
@given(high=rate, low=rate, steps=length)
def test_decays_fall_from_their_first_value_to_their_last(name: str, high: float, low: float, steps: int) -> None:
    high, low = max(high, low), min(high, low)
    rates = along(DECAYS[name](high, steps, low), steps)
    ulp = 4 * float(np.spacing(np.float32(high)))
    assert (np.diff(rates) <= ulp).all()
    assert low - ulp <= rates.min()
    assert rates.max() <= high + ulp


@laws
@given(peak=rate, start=rate, steps=st.integers(1, 10**6), shape=st.sampled_from(["linear", "cosine"]))
def test_warmup_is_continuous(peak: float, start: float, steps: int, shape: str) -> None:
    schedule = s.warmup(s.cosine_decay(peak, 1000), steps, start, shape=shape)
    before, at, first = np.asarray(rates(schedule, jnp.array([steps - 1, steps, 0])))
    assert at == jnp.float32(peak)
    np.testing.assert_allclose(first, start, rtol=1e-6)
    assert abs(before - at) <= abs(peak - start) * 2 / steps + 4 * np.spacing(np.float32(max(peak, start)))


def starts_of(period: int, multiplier: Fraction, cycles: int) -> list[Fraction]:
    """When the first cycles begin, exactly."""
    return [period * sum((multiplier**i for i in range(cycle)), Fraction(0)) for cycle in range(cycles)]


@partial(jax.jit, static_argnums=1)
def restarts(period: jax.Array, multiplier: float, steps: jax.Array) -> jax.Array:
    return s.cosine_restarts(1.0, period, period_multiplier=multiplier)(steps)


@pytest.mark.parametrize("multiplier", ["1", "1.25", "1.5", "2", "3", "1.1", "1.2", "1.01", "1.0001", "7.3", "1000"])
@settings(laws, max_examples=50)
@given(period=st.one_of(st.integers(1, 10**6), st.sampled_from([1, 10, 100, 10**4, 5**6, 2**20])))
def test_every_restart_is_at_the_peak_and_the_step_before_is_not(multiplier: str, period: int) -> None:
    """At the step on which a cycle begins, or the first one after; the multiplier is the decimal as it is written."""
    growth = Fraction(multiplier)
    starts = [start for start in starts_of(period, growth, 26) if start < 2**31 - 1]
    steps = np.array([[math.ceil(start), max(math.ceil(start) - 1, 0)] for start in starts])
    first, before = np.asarray(restarts(period, float(multiplier), np.resize(steps, (26, 2)))[: len(starts)]).T
    for cycle, start in enumerate(starts):
        length = period * growth**cycle
        late = float((steps[cycle, 0] - start) / length)
        if late < 1:  # else the cycle has no step
            assert first[cycle] == pytest.approx((1 + math.cos(math.pi * late)) / 2, rel=1e-5, abs=1e-7)
        left = float((start - steps[cycle, 1]) / length * growth)
        if cycle and 0 < left < 1:
            assert before[cycle] == pytest.approx(math.sin(math.pi * left / 2) ** 2, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("multiplier", ["1.1", "1.2", "1.3", "2.5"])
def test_restarts_of_decimals_as_arguments(multiplier: str) -> None:
    """In a compiled function that is given the schedule the multiplier is a float32, and its restarts still whole."""
    at = jax.jit(jax.vmap(rates))
    for exponent in range(1, 6):
        period = 10**exponent
        starts = starts_of(period, Fraction(multiplier), exponent + 2)
        assert all(start.denominator == 1 for start in starts)
        made = s.cosine_restarts(1.0, period, period_multiplier=float(multiplier))
        stacked = jax.tree.map(lambda x: np.stack([x] * 8), made)
        found = at(stacked, np.resize(np.array([int(start) for start in starts]), 8).astype(np.int32))
        np.testing.assert_allclose(found, 1.0, rtol=1e-6)


@pytest.mark.parametrize("multiplier", [1.0, 1.5, 3.0])
def test_restarts_at_large_steps(multiplier: float) -> None:
    period = 2**20
    start, size = 0.0, float(period)
    while start + size < 2**31:
        start, size = start + size, size * multiplier
    step = int(start)
    made = s.cosine_restarts(1.0, period, period_multiplier=multiplier)
    for before, at, after in (jax.jit(made)(near := jnp.array([step - 1, step, step + 1])), rates(made, near)):
        assert at == 1.0
        assert before < 1e-10
        assert after > 0.999


@laws
@given(step=length, by=st.integers(-(2**31) + 1, 2**31 - 1))
def test_step_arithmetic_saturates(step: int, by: int) -> None:
    inner = s.time_decay(1.0, 1e-6)
    expected = inner(min(max(step + by, 0), 2**31 - 1))
    assert s.offset(inner, by)(step) == expected


@laws
@given(step=length, factor=st.integers(1, 10**6))
def test_stretch_by_a_whole_number_divides_steps(step: int, factor: int) -> None:
    inner = s.time_decay(1.0, 1e-3)
    assert s.stretch(inner, factor)(step) == inner(step // factor)


@pytest.mark.parametrize("name", ["cosine_decay", "cosine_onecycle", "exp_range", "stretch"])
def test_float32_accuracy_of_known_numbers(name: str) -> None:
    """A schedule that is no argument of a compiled function, against float64 at the arguments as they were written."""
    for length in (1000, 1_000_003):
        made, steps = example(name, length), schedule_accuracy.steps_of(length)
        found = np.asarray(jax.jit(made)(steps))
        with jax.enable_x64(True):
            truth = np.asarray(jax.jit(made)(steps))
        assert schedule_accuracy.error(found, truth).ulps <= 4


def test_accuracy_measure_can_fail() -> None:
    with jax.numpy_dtype_promotion("standard"):  # Optax promotes
        assert_optax_is_off()


def assert_optax_is_off() -> None:
    assert schedule_accuracy.optax_error("cosine_decay_schedule", 2**24 + 100).relative > 1e-5
    assert schedule_accuracy.optax_error("exponential_decay, staircase", 2**24 + 100).ulps > 4


def same(a: s.Schedule, b: s.Schedule) -> bool:
    if jax.tree.structure(a) != jax.tree.structure(b):
        return False
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(x.dtype == y.dtype and np.array_equal(x, y) for x, y in pairs)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "join"])
def test_text_of_every_schedule_comes_back(name: str) -> None:
    schedule = example(name)
    assert same(s.parse(s.format(schedule)), schedule)


def test_cycles_have_a_warmup_each_and_grow_and_fall() -> None:
    """Against cycle after cycle, written down one by one."""
    first = s.warmup(s.cosine_decay(1.0, 80), 20)
    starts, lengths = [0, 100, 250, 475], [100, 150, 225, 337.5]
    made = s.repeat(first, 100, period_multiplier=1.5, peak_multiplier=0.5)
    for cycle, (start, size) in enumerate(zip(starts, lengths, strict=True)):
        factor = size / 100
        whole = s.scale(s.warmup(s.cosine_decay(1.0, 80 * factor), 20 * factor), 0.5**cycle)
        steps = np.arange(int(size))
        np.testing.assert_allclose(rates(made, start + steps), rates(whole, steps), rtol=1e-5, atol=1e-6)
    traced = jax.vmap(lambda growth, fall: s.repeat(first, 100, growth, fall)(300))(
        jnp.array([1.0, 1.5]), jnp.array([0.5, 0.5])
    )
    np.testing.assert_allclose(traced, [s.repeat(first, 100, 1.0, 0.5)(300), made(300)], rtol=1e-5, atol=1e-7)


def test_joins_that_go_on_at_the_last_rate() -> None:
    parts = [s.cosine_decay(1.0, 100, 0.25), s.constant(7.0), s.linear(0.5, 50)]
    made = s.join(parts, [100, 200], continuous=True)
    found = rates(made, np.array([0, 50, 99, 100, 150, 199, 200, 225, 250]))
    expected = [1.0, 0.625, float(parts[0](99)), 0.25, 0.25, 0.25, 0.25, 0.125, 0.0]
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)
    rising = s.join([s.constant(1.0), s.warmup(s.constant(0.5), 10)], [5], continuous=True)
    np.testing.assert_allclose(rates(rising, np.array([5, 10, 15])), [0.0, 0.25, 0.5], rtol=1e-6)
    early = s.join([s.linear(1.0, 100), s.constant(1.0)], [40], continuous=True)
    np.testing.assert_allclose(rates(early, np.array([39, 40, 90])), [0.61, 0.6, 0.6], rtol=1e-6)


@pytest.mark.parametrize("at", [0, 30, 60])
def test_a_longer_run_resumes_without_a_jump(at: int) -> None:
    planned = s.warmup(s.cosine_decay(1.0, 80), 20)
    made = s.prolong(planned, at, 100, 250)
    steps = np.arange(300)
    found = rates(made, steps)
    np.testing.assert_array_equal(found[: at + 1], rates(planned, steps[: at + 1]))
    assert np.abs(np.diff(found)).max() <= np.abs(np.diff(rates(planned, steps))).max() + 1e-6
    np.testing.assert_allclose(found[250:], 0.0, atol=1e-7)
    assert rates(s.prolong(planned, 100, 100, 100), jnp.array([100, 101])).tolist() == [0.0, 0.0]


def test_a_warmup_from_one_nth() -> None:
    made = s.offset(s.warmup(s.linear(1.0, 90), 10), 1)
    np.testing.assert_allclose(rates(made, np.arange(11)), [*np.arange(1, 11) / 10, 1 - 1 / 90], rtol=1e-6)


def test_a_weight_decay_that_follows_the_rate() -> None:
    rate = s.warmup(s.cosine_decay(3e-4, 90), 10)
    tx = injected(optax.adamw, learning_rate=rate, weight_decay=s.follow(rate, 3e-4, 0.1))
    state, params = tx.init(jnp.ones(2)), jnp.ones(2)
    for step in range(5):
        _, state = tx.update(jnp.ones(2), state, params)
        held = state.hyperparams
        np.testing.assert_allclose(held["weight_decay"], held["learning_rate"] / 3e-4 * 0.1, rtol=1e-6)
        np.testing.assert_allclose(held["learning_rate"], rate(step), rtol=1e-6)


def test_decays_that_come_closer_to_one() -> None:
    steps = np.arange(200)
    for made, formula in [
        (s.complement(s.inverse_power(1.0, 1.0, 0.8)), 1 - (steps + 1.0) ** -0.8),
        (s.complement(s.time_decay(0.9, 0.1)), (1 + steps) / (10 + steps)),
        (
            s.clamp(s.complement(s.inverse_power(1.0, 20.0, 2 / 3)), 0.0, 0.9),
            np.minimum(1 - (1 + steps / 20) ** (-2 / 3), 0.9),
        ),
    ]:
        np.testing.assert_allclose(rates(made, steps), formula, rtol=1e-6, atol=1e-7)


def test_noise_is_the_same_each_time_and_another_for_each_step_and_seed() -> None:
    made = s.noisy(s.constant(1.0), 0.25, 1)
    found = np.asarray(rates(made, np.arange(1000)))
    np.testing.assert_array_equal(found, [made(t) for t in range(3)] + found[3:].tolist())
    assert (np.abs(found - 1) <= 0.25).all()
    assert len(np.unique(found)) > 990
    assert abs(found.mean() - 1) < 0.02
    assert abs(found.std() - 0.25 / 3**0.5) < 0.01
    other = np.asarray(rates(s.noisy(s.constant(1.0), 0.25, 2), np.arange(1000)))
    assert abs(np.corrcoef(found, other)[0, 1]) < 0.1


def test_triangles_of_any_height() -> None:
    """PyTorch's `CyclicLR(scale_fn, scale_mode)`, by the step and by the cycle."""
    steps = np.arange(80)
    tent = s.triangular(0.0, 0.9, 10)
    by_step = s.add(s.constant(0.1), s.chain(tent, s.exponential_decay(1.0, 1, 0.99)))
    np.testing.assert_allclose(
        rates(by_step, steps), rates(s.exp_range(0.1, 1.0, 10, decay_rate=0.99), steps), rtol=1e-5
    )
    by_cycle = s.add(s.constant(0.1), s.chain(tent, s.stretch(s.exponential_decay(1.0, 1, 0.5), 20)))
    np.testing.assert_allclose(rates(by_cycle, steps), rates(s.triangular2(0.1, 1.0, 10), steps), rtol=1e-5)


leaf_schedules = st.one_of(
    st.builds(s.constant, rate),
    st.builds(s.linear, rate, length, rate),
    st.builds(s.cosine_restarts, rate, length, num_cycles=length),
    st.builds(s.piecewise_constant, st.just([3, 7]), st.lists(rate, min_size=3, max_size=3), st.booleans()),
    st.builds(s.exponential_decay, rate, st.floats(0.5, 100), rate, end_value=rate),
)
any_schedule = st.recursive(
    leaf_schedules,
    lambda inner: st.one_of(
        st.builds(s.warmup, inner, length, rate, shape=st.sampled_from(["linear", "1-sqrt"])),
        st.builds(lambda a, b, n: s.join([a, b], [n]), inner, inner, length),
        st.builds(s.chain, inner, inner),
        st.builds(s.clamp, inner, rate),
        st.builds(s.cooldown, inner, length, length, shape=st.just("power"), power=rate),
        st.builds(s.offset, inner, st.integers(-1000, 1000)),
    ),
    max_leaves=6,
)


@settings(laws, max_examples=150)
@given(schedule=any_schedule)
def test_parse_is_the_inverse_of_format(schedule: s.Schedule) -> None:
    assert same(s.parse(s.format(schedule)), schedule)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0.1",
        "linear",
        "linear()",
        "linear(0.1, 10, 0.0, 1, 2)",
        "linear(0.1, ten)",
        "linear('0.1', 10)",
        "linear(0.1, 10, decay_steps=3)",
        "linear(**{'init_value': 1})",
        "linear(*[0.1, 10])",
        "linear(0.1, 10).func",
        "linear(0.1, 1e999)",
        "linear(-0.1, 10)",
        "linear(0.1, " + "9" * 5000 + ")",
        "constant(1e400)",
        "constant(1j)",
        "constant(2**9999999)",
        "constant((lambda: 1)())",
        "constant([x for x in range(9)])",
        "__import__('os').system('true')",
        "exec('1')",
        "per_epoch(constant(1), 1, num_epochs=10**12)",
        "scale(" * 5000 + "constant(1)" + ", 1)" * 5000,
        "(" * 5000,
        "-" * 50_000 + "1",
        "constant(0.1)\nconstant(0.1)",
        "constant(0.1)\0",
        "a" * 200_000,
    ],
)
def test_hostile_text_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        s.parse(text)


def test_what_has_no_text() -> None:
    with pytest.raises(TypeError, match="text must be a string"):
        s.parse(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="made of jaxlr's"):
        s.format(s.join([s.constant(0.1), optax.constant_schedule(0.1)], [3]))
    with pytest.raises(ValueError, match="known numbers"):
        jax.jit(lambda x: s.format(s.constant(x)))(0.1)


def verdicts(schedule: s.Schedule, steps: int, fine_tuning: bool = False) -> dict[str, bool]:
    return {advice.rule: advice.ok for advice in s.review(schedule, steps, fine_tuning)}


GOOD = s.warmup(s.cosine_decay(0.01, 950), 50)


def test_review_of_a_good_schedule() -> None:
    assert all(verdicts(GOOD, 1000).values()), s.review(GOOD, 1000)


@pytest.mark.parametrize(
    ("rule", "schedule"),
    [
        ("start", s.cosine_decay(0.5, 1000)),
        ("start", s.cosine_decay(1e-4, 1000)),
        ("end", s.linear(0.01, 1000, 0.001)),
        ("end reached", s.cosine_decay(0.01, 3000)),
        ("warm-up", s.warmup(s.cosine_decay(0.01, 700), 300)),
        ("jumps", s.cosine_restarts(0.01, 300)),
        ("zeros", s.cosine_decay(0.01, 500)),
        ("valid", s.constant(0.0)),
        ("valid", lambda step: 0.01 - 0.0001 * jnp.asarray(step, float)),
        ("valid", lambda step: jnp.where(step < 7, 0.01, jnp.nan)),
    ],
)
def test_review_finds(rule: str, schedule: s.Schedule) -> None:
    assert verdicts(schedule, 1000)[rule] is False


def test_review_for_fine_tuning() -> None:
    assert verdicts(GOOD, 1000, fine_tuning=True)["fine-tuning"] is False
    assert verdicts(s.scale(GOOD, 0.01), 1000, fine_tuning=True)["fine-tuning"] is True


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: s.linear(-0.1, 10), "init_value must be zero or more, got -0.1"),
        (lambda: s.linear(math.nan, 10), "init_value must be finite"),
        (lambda: s.linear(0.1, 3e9), "of at most 2147483647"),
        (lambda: s.cosine_restarts(0.1, 10, num_cycles=2.5), "num_cycles must be a whole number"),
        (lambda: s.knee(0.1, 10, -5, 10), "explore_steps must be zero or more, got -5"),
        (lambda: s.noam(512, 10, factor=-1), "factor must be zero or more"),
        (lambda: s.exp_range(0.1, 1, 10, decay_rate=1.5), "decay_rate must be above 0 and at most 1"),
        (lambda: s.untuned_linear_warmup(0.1, beta2=1.5), "beta2 must be between 0 and 1"),
        (lambda: s.linear(0.1, 2**31), "of at most 2147483647"),
        (lambda: s.polynomial_decay(0.1, 10, power=0), "power must be positive"),
        (lambda: s.piecewise_constant([3, 2], [1, 2, 3]), "boundaries must not fall"),
        (lambda: s.piecewise_constant([2, 3], [1, 2]), "one rate more than the 2 boundaries"),
        (lambda: s.multistep(0.1, [2, 3], [1.0]), "one factor for each"),
        (lambda: s.from_table([3, 3], [1, 2]), "steps must"),
        (lambda: s.cosine_restarts(0.1, 10, period_multiplier=0.5), "period_multiplier must be"),
        (lambda: s.one_cycle(0.1, 10, shape="square"), "shape must be one of cosine, linear"),
        (lambda: s.cooldown(s.constant(1), 1, 1, shape="steep"), "shape must be one of linear"),
        (lambda: s.join([s.constant(1)], [3]), "boundaries must hold one step less than 1 schedules"),
        (lambda: s.join([], []), "schedules must hold at least one"),
        (lambda: s.per_epoch(lambda e, lr: lr, 10, init_value=0.1), "init_value must come with num_epochs"),
        (lambda: s.tabulate(s.constant(1), 0), "num_steps must be an integer of at least 1"),
    ],
)
def test_value_errors(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()  # type: ignore[operator]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: s.linear("0.1", 10), "init_value must be a number"),
        (lambda: s.linear(None, 10), "init_value must be a number"),
        (lambda: s.polynomial_decay(0.1, 10, cycle=1), "cycle must be True or False"),
        (lambda: s.warmup(0.1, 10), "schedule must be a schedule"),
        (lambda: s.join([s.constant(1), 2], [3]), r"schedules\[1\] must be a schedule"),
        (lambda: s.per_epoch(0.1, 10), "f must be a function of the epoch"),
    ],
)
def test_type_errors(call: object, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        call()  # type: ignore[operator]


def test_traced_arguments() -> None:
    """Every number may be traced: nothing in a factory reads it."""

    def rate_at_7(lr: jax.Array, steps: jax.Array) -> jax.Array:
        decay = s.tri_stage(lr, steps, steps, steps)
        return s.chain(decay, s.multistep(lr, [steps, 2 * steps]), s.power_decay(lr, steps, lr + 1))(7)

    traced = jax.jit(rate_at_7)(0.3, 5)
    with jax.disable_jit():
        np.testing.assert_allclose(traced, rate_at_7(jnp.float32(0.3), jnp.int32(5)), rtol=1e-6)


def test_per_epoch_takes_any_python_function() -> None:
    schedule = s.per_epoch(lambda e, lr: lr * 0.1 if e in (2, 4) else lr, 3, num_epochs=6, init_value=1.0)
    np.testing.assert_allclose(s.tabulate(schedule, 18)[::3], [1, 1, 0.1, 0.1, 0.01, 0.01], rtol=1e-6)
    halved = s.per_epoch(lambda epoch: 0.5**epoch, 4)
    assert halved(11) == 0.25
