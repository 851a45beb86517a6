"""Laws of the numbers of steps: none at all, decimals that make whole ones, floats that are differentiated by."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.extend.core import jaxprs_in_params

from jaxlr import schedules as s
from jaxlr.schedules._schedule import CATALOGUE
from tests.support.schedule_examples import NAMES, example, factory


@pytest.fixture(autouse=True)
def _strict() -> Iterator[None]:
    """Nothing relies on implicit promotion of types or ranks."""
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        yield


@jax.jit
def rates(schedule: s.Schedule, steps: jax.Array) -> jax.Array:
    return schedule(steps)


def without_steps(schedule: s.Schedule) -> s.Schedule:
    """The schedule with every number of steps 0."""
    return jax.tree.map(lambda leaf: np.zeros_like(leaf) if leaf.dtype == np.int32 else leaf, schedule)


def has(name: str, *annotations: str) -> bool:
    """Whether a schedule has arguments of these kinds."""
    parameters = CATALOGUE[factory(name)].signature.parameters.values()
    return any(p.annotation in annotations for p in parameters)


# The rows of a table are no lengths, and `num_cycles=0` leaves the end value.
WITH_LENGTHS = [name for name in NAMES if not has(name, "Boundaries", "Rising") and name != "tanh_restarts"]
# Without a warm-up these stand at its peak.
RISING = {"wsd": 0.3, "trapezoid": 0.3, "knee": 0.3, "tri_stage": 0.3, "warmup": 0.3, "triangular": 0.3}
RISING |= {
    "infinite": 0.3,
    "wsd_s": 0.3,
    "repeat, growing": 0.3,
    "triangular2": 0.3,
    "exp_range": 0.3,
    "noam": 512**-0.5,
}


@pytest.mark.parametrize("name", WITH_LENGTHS)
def test_a_warmup_aims_at_what_a_rest_without_steps_would_start_from(name: str) -> None:
    start = RISING.get(name, float(example(name)(0)))
    for rest in (example(name) if name not in RISING else without_steps(example(name)), without_steps(example(name))):
        warmed = s.warmup(rest, 100, 0.1)
        assert warmed(50) == pytest.approx((0.1 + start) / 2, rel=1e-6)


@pytest.mark.parametrize(
    "rest",
    [
        lambda: s.cosine_decay(1.0, 0),
        lambda: s.scale(s.linear(2.0, 0), 0.5),
        lambda: s.chain(s.rex(1.0, 0), s.constant(1.0)),
        lambda: s.clamp(s.tanh_decay(1.0, 0, lower=-30.0), 0.0, 2.0),
        lambda: s.cooldown(s.linear(1.0, 0), 0, 0),
        lambda: s.join([s.linear(0.5, 0), s.linear(1.0, 0)], [0]),
        lambda: s.join([s.linear(1.0, 5), s.linear(0.5, 0)], [5]),
        lambda: s.offset(s.linear(1.0, 0), 0),
        lambda: s.offset(s.linear(1.0, 0), -7),
        lambda: s.offset(s.linear(2.0, 10), 5),
        lambda: s.stretch(s.linear(1.0, 0), 3.0),
        lambda: s.repeat(s.linear(1.0, 0), 0),
        lambda: s.hold(s.linear(1.0, 0), 0),
        lambda: s.warmup(s.linear(1.0, 0), 0),
        lambda: s.warmup(s.warmup(s.linear(1.0, 0), 0), 0),
        lambda: s.warmup(s.linear(0.3, 0), 10, 1.0),
        lambda: s.wsd(1.0, 0, 0, 0),
        lambda: s.one_cycle(25.0, 0),
        lambda: s.cosine_onecycle(25.0, 0),
        lambda: s.linear_onecycle(25.0, 0),
        lambda: optax.constant_schedule(1.0),
    ],
)
def test_nested_rests_without_steps(rest: Callable[[], s.Schedule]) -> None:
    np.testing.assert_allclose(s.warmup(rest(), 100)(np.array([25, 50])), [0.25, 0.5], rtol=1e-6)


def test_runs_that_are_all_warmup() -> None:
    for run in (s.wsd(1.0, 100, 0, 0), s.trapezoid(1.0, 100, 0, 0), s.tri_stage(1.0, 100, 0, 0)):
        assert run(50) == 0.5
    assert s.warmup(s.cosine_decay(1.0, 0), 100)(100) == 0.0


def size(schedule: s.Schedule) -> int:
    """The operations of a schedule's program, those in functions that it calls included."""

    def count(jaxpr: Any) -> int:
        inner = [jaxpr for eqn in jaxpr.eqns for jaxpr in jaxprs_in_params(eqn.params)]
        return len(jaxpr.eqns) + sum(map(count, inner))

    return count(jax.make_jaxpr(schedule)(3).jaxpr)


def test_a_warmup_in_a_warmup_does_not_double_the_program() -> None:
    schedule, sizes = s.cosine_decay(1.0, 100), []
    for _ in range(6):
        sizes.append(size(schedule))
        schedule = s.warmup(schedule, 10)
    steps = np.diff(sizes)
    assert steps[-1] - steps[-2] <= steps[1] - steps[0] + sizes[0], sizes


PARTS = np.array([(k, 100) for k in range(1, 100)] + [(k, 1000) for k in range(1, 1000, 7)])


@pytest.mark.parametrize("x64", [False, True])
@pytest.mark.parametrize("made", [s.cosine_onecycle, lambda *a: s.linear_onecycle(*a, pct_final=1.0)])
def test_a_part_of_the_steps_is_a_whole_number_of_them(made: Callable[..., s.Schedule], x64: bool) -> None:
    """The peak is at `pct_start * total_steps`, for hundredths and thousandths."""
    with jax.enable_x64(x64):
        tops, totals = PARTS.T
        at = jax.jit(jax.vmap(lambda total, part, top: made(1.0, total, part)(top)))
        np.testing.assert_array_equal(at(totals, tops / totals, tops), 1.0)
        for top, total in ((7, 10), (29, 100), (58, 100)):
            assert made(1.0, total, top / total)(top) == 1.0


def test_a_second_part() -> None:
    schedule = s.linear_onecycle(1.0, 20, 0.3, 0.35)
    np.testing.assert_allclose(schedule(np.array([6, 7])), [1.0, 0.04], rtol=1e-6)


# `count` periods of `tenths / 10` steps are a whole number of steps.
TENTHS = np.array([(tenths, 10 * k) for tenths in range(1, 120) for k in (1, 3, 7)])


@pytest.mark.parametrize("x64", [False, True])
@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (lambda length: s.exponential_decay(1.0, length, 0.5, True), lambda count: 0.5**count),
        (lambda length: s.natural_exp_decay(1.0, length, 0.5, True), lambda count: np.exp(-0.5 * count)),
        (lambda length: s.inverse_time_decay(1.0, length, 0.5, True), lambda count: 1 / (1 + 0.5 * count)),
        (lambda length: s.stretch(s.inverse_sqrt(1.0, 1), length), lambda count: 1 / np.sqrt(1 + count)),
        (lambda length: s.per_epoch(s.inverse_sqrt(1.0, 1), length), lambda count: 1 / np.sqrt(1 + count)),
        (lambda length: s.repeat(s.inverse_sqrt(1.0, 1), length), lambda count: 1.0),
        (lambda length: s.polynomial_decay(1.0, length, 0.5, cycle=True), lambda count: 0.5),
        (lambda length: s.cosine_restarts(1.0, length), lambda count: 1.0),
        (lambda length: s.triangular2(0.5, 1.0, length, 0), lambda count: 0.5),
    ],
)
def test_decimal_lengths_end_on_their_steps(made: Any, expected: Any, x64: bool) -> None:
    """As arguments and as known numbers."""
    with jax.enable_x64(x64):
        tenths, counts = TENTHS.T
        at = jax.jit(jax.vmap(lambda length, step: made(length)(step)))
        found = at(tenths / 10, tenths * counts // 10)
        np.testing.assert_allclose(found, expected(counts.astype(float)) + 0 * counts, rtol=1e-5, atol=1e-30)
        for tenth, count in ((24, 5), (1, 50), (29, 10), (7, 30)):
            value = made(tenth / 10)(tenth * count // 10)
            assert value == pytest.approx(expected(float(count)), rel=1e-5)


@pytest.mark.parametrize("x64", [False, True])
def test_decimal_numbers_of_cycles(x64: bool) -> None:
    """A cycle of `cosine_hard_restarts` starts at step 10 of `tenths`, and of as many cycles as a tenth of that."""
    with jax.enable_x64(x64):
        tenths = np.arange(11, 120)
        at = jax.jit(jax.vmap(lambda steps, cycles: s.cosine_hard_restarts(1.0, steps, cycles)(10)))
        np.testing.assert_allclose(at(tenths, tenths / 10), 1.0, rtol=1e-6)
        assert s.cosine_hard_restarts(1.0, 13, 1.3)(10) == 1.0


def test_a_table_that_is_stretched() -> None:
    assert s.stretch(s.from_table(range(101), range(101)), 0.1)(5) == 50.0


def test_whole_numbers_within_rounding_are_whole() -> None:
    """As they come out of a product, and as a sweep's floats."""
    for steps in (1.1 * 10, 11.0, np.float32(11)):
        assert s.cosine_decay(0.1, steps) == s.cosine_decay(0.1, 11)
    for lengths in ([10.0, 20.0], [10, 20]):
        found = jax.vmap(lambda n: s.warmup(s.linear(1.0, n), n)(15))(jnp.array(lengths))
        np.testing.assert_array_equal(found, [s.warmup(s.linear(1.0, n), n)(15) for n in (10, 20)])


@pytest.mark.parametrize("beta2", [0.9, 0.99, 0.999, 0.9999, 0.999999, 0.1, 0.0])
def test_the_nines_of_a_beta_are_kept(beta2: float) -> None:
    """In float32, `1 - beta2` and the powers of a rate close to 1."""
    steps = np.array([0, 1, 99, 10_000])
    for made in (s.untuned_exponential_warmup, s.untuned_linear_warmup):
        schedule = made(1.0, beta2)
        expected = made(1.0, beta2)
        with jax.enable_x64(True):
            expected = np.asarray(schedule(steps))
        np.testing.assert_allclose(schedule(steps), expected, rtol=3e-7)
        np.testing.assert_allclose(rates(schedule, steps), expected, rtol=3e-7)
        assert s.parse(s.format(schedule)) == schedule
        assert (repr(beta2) in s.format(s.scale(schedule, 1.0))) == (beta2 != 0.999), "the default is left out"


def test_rates_close_to_one() -> None:
    """After 100,000 steps of 0.99994 the rate is right to a float32."""
    steps = np.array([0, 1000, 20_000, 100_000])
    for schedule in (s.exponential_decay(1.0, 1, 0.99994), s.exp_range(0.0, 1.0, 0, 1, 0.99994)):
        np.testing.assert_allclose(jax.jit(schedule)(steps), 0.99994**steps, rtol=3e-6)


@pytest.mark.parametrize(
    ("made", "point"),
    [
        (lambda n: s.cosine_decay(1.0, n), 10.0),
        (lambda n: s.rex(1.0, n, 0.1), 10.0),
        (lambda n: s.one_cycle(1.0, n), 30.0),
        (lambda n: s.cosine_restarts(1.0, n), 2.0),
        (lambda n: s.cosine_restarts(1.0, n, period_multiplier=1.5), 4.0),
        (lambda n: s.warmup(s.cosine_decay(1.0, 9 * n), n), 2.0),
        (lambda n: s.warmup(lambda t: 1 / (1 + t), n), 2.0),
        (lambda n: s.warmup(optax.cosine_decay_schedule(1.0, 10), n), 2.0),
        (lambda n: s.cooldown(s.inverse_sqrt(1.0, 3.0), n, 3 * n), 2.0),
        (lambda n: s.join([s.constant(1.0), s.linear(0.5, 10)], [n]), 2.0),
        (lambda n: s.offset(s.rex(1.0, 10), -n), 2.0),
        (lambda n: s.repeat(s.rex(1.0, 10), n), 2.0),
        (lambda n: s.hold(s.rex(1.0, 10), n), 2.0),
        (lambda n: s.from_table([0.0, n, 3 * n], [0.0, 1.0, 0.5]), 2.0),
        (lambda n: s.noam(1, n), 10.0),
        (lambda n: s.trapezoid(1.0, n, n, n), 6.0),
    ],
)
def test_derivatives_by_numbers_of_steps(made: Callable[[Any], s.Schedule], point: float) -> None:
    """At a whole number of them, and at a step that is on no kink."""
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):  # what comes from elsewhere promotes
        at = jax.jit(lambda n: jax.value_and_grad(lambda n: made(n)(5))(n))
        _, found = at(point)
        expected = (at(point + 1e-6)[0] - at(point - 1e-6)[0]) / 2e-6
        assert abs(expected) > 1e-3
        assert found == pytest.approx(float(expected), rel=1e-5)


def test_numbers_of_steps_with_a_fraction() -> None:
    assert s.linear(1.0, 10.5)(7) == pytest.approx(1 / 3)
    assert s.warmup(s.linear(1.0, 10), 2.5)(np.array([2, 3])) == pytest.approx([0.8, 0.95])
    assert s.parse("warmup(linear(1.0, 10.5), 2.5)") == s.warmup(s.linear(1.0, 10.5), 2.5)


PLAIN = [lambda t: 0.3 / (1 + t), lambda t: 0.3 - 0.001 * t, lambda t: jnp.where(t < 30, 0.3, 0.1), lambda t: 0.3]
OPTAX = [
    optax.constant_schedule(0.3),
    optax.linear_schedule(0.3, 0.0, 40),
    optax.cosine_decay_schedule(0.3, 40),
    optax.piecewise_constant_schedule(0.3, {30: 0.5}),
    optax.warmup_cosine_decay_schedule(0.0, 0.3, 10, 40),
]


@pytest.mark.parametrize("inner", [*PLAIN, *OPTAX])
@pytest.mark.parametrize("name", [name for name in CATALOGUE if has(name, "Inner", "InnerList", "InnerArguments")])
def test_plain_functions_inside(name: str, inner: Callable[[Any], Any]) -> None:
    """A function from elsewhere as a part: called with the integers that the formula says."""
    arguments = {"steps": 5, "start": 20, "factor": 2.0}
    composed = {
        "join": lambda: s.join([inner, inner], [20]),
        "chain": lambda: s.chain(inner, inner),
        "clamp": lambda: s.clamp(inner, 0.05, 0.2),
        "complement": lambda: s.complement(s.scale(inner, 0.5)),
        "noisy": lambda: s.noisy(inner, 0.0),
        "add": lambda: s.add(inner, inner),
        "follow": lambda: s.follow(inner, 0.5, 2.0),
        "apply": lambda: s.apply(inner, lambda rate: 3 * rate),
        "prolong": lambda: s.prolong(inner, 20, 40, 30),
    }
    expected = {
        "warmup": lambda t: inner(t - 5) if t >= 5 else inner(0) * t / 5,
        "cooldown": lambda t: inner(t) * max(0.0, 1 - max(t - 20, 0) / 5),
        "join": lambda t: inner(t) if t < 20 else inner(t - 20),
        "chain": lambda t: inner(t) ** 2,
        "scale": lambda t: 2 * inner(t),
        "complement": lambda t: 1 - inner(t) / 2,
        "noisy": inner,
        "add": lambda t: 2 * inner(t),
        "follow": lambda t: 4 * inner(t),
        "apply": lambda t: 3 * inner(t),
        "prolong": lambda t: inner(t) if t < 20 else inner(20 + 2 * (t - 20)),
        "clamp": lambda t: min(max(inner(t), 0.05), 0.2),
        "offset": lambda t: inner(t + 5),
        "stretch": lambda t: inner(t // 2),
        "repeat": lambda t: inner(t % 5),
        "hold": lambda t: inner(min(t, 5)),
    }
    make = getattr(s, name)
    given = {key: value for key, value in arguments.items() if key in inspect.signature(make).parameters}
    made = composed[name]() if name in composed else make(inner, **given)
    with jax.numpy_dtype_promotion("standard"):  # what comes from elsewhere promotes
        for step in (0, 3, 17, 22, 35):
            assert made(step) == pytest.approx(float(expected[name](step)), rel=1e-5, abs=1e-7), step
