"""The contract that every schedule of the catalogue keeps."""

from __future__ import annotations

import copy
import inspect
import math
import pickle
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import Mesh, PartitionSpec
from jax.tree_util import Partial

from jaxlr import schedules as s
from jaxlr.schedules._schedule import CATALOGUE, schedule
from scripts.suites import schedule_accuracy
from tests.support.schedule_examples import NAMES, example, factory, names, of_kinds

MAX = 2**31 - 1
EVERYWHERE = jnp.array([*range(125), 153, 199, 2**24 - 1, 2**24 + 1, 2**24 + 99, 2**30 + 1, MAX - 1, MAX], jnp.int32)

# One size of batch for all tests of a schedule: it is compiled in float32, and with derivatives in float64.
ROWS = 12


@pytest.fixture(autouse=True)
def _strict() -> Iterator[None]:
    """Nothing relies on implicit promotion of types or ranks."""
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        yield


def ulps(a: Any, b: Any) -> float:
    """The largest difference in units of the last place of the largest value."""
    a, b = np.asarray(a), np.asarray(b)
    return float(np.abs(a - b).max() / np.spacing(np.abs(b).max(initial=1e-30)))


@jax.jit
def rates(made: s.Schedule, steps: jax.Array) -> jax.Array:
    return made(steps)


@jax.jit
@partial(jax.vmap, in_axes=(0, None))
def batched_rates(made: s.Schedule, steps: jax.Array) -> jax.Array:
    return made(steps)


def stacked(rows: list[s.Schedule]) -> s.Schedule:
    """Schedules of one structure as one, with the first of them again and again up to `ROWS`."""
    assert len(rows) <= ROWS
    return jax.tree.map(lambda *x: np.stack(x), *rows, *[rows[0]] * (ROWS - len(rows)))


class Numbers(NamedTuple):
    """What tells how the numbers of a schedule lie in a vector."""

    structure: Any
    shapes: tuple[tuple[int, ...], ...]
    flags: tuple[bool | None, ...]

    def schedule(self, point: jax.Array) -> s.Schedule:
        ends = np.cumsum(
            [0 if flag is not None else math.prod(shape) for shape, flag in zip(self.shapes, self.flags, strict=True)]
        )
        parts = jnp.split(point, ends[:-1])
        return self.structure.unflatten(
            part.reshape(shape) if flag is None else np.asarray(flag)
            for part, shape, flag in zip(parts, self.shapes, self.flags, strict=True)
        )


def numbers_of(made: s.Schedule) -> tuple[Numbers, np.ndarray]:
    """The layout of a schedule's numbers, its flags held fast, and the numbers."""
    leaves, structure = jax.tree.flatten(made)
    flags = [bool(leaf) if leaf.dtype == bool else None for leaf in leaves]
    point = [np.asarray(leaf, np.float64).ravel() for leaf, flag in zip(leaves, flags, strict=True) if flag is None]
    return Numbers(structure, tuple(np.shape(leaf) for leaf in leaves), tuple(flags)), np.concatenate(point)


@partial(jax.jit, static_argnums=0)
def derivatives(numbers: Numbers, points: jax.Array, directions: jax.Array, steps: jax.Array) -> Any:
    """The rates of schedules with many numbers, `[row, step]`, and their derivatives along as many directions."""

    def along(point: jax.Array, direction: jax.Array) -> Any:
        return jax.jvp(lambda x: numbers.schedule(x)(steps), (point,), (direction,))

    return jax.vmap(along)(points, directions)


def counts_of(made: s.Schedule) -> list[int]:
    """Where among the leaves the numbers of steps are."""
    return [i for i, leaf in enumerate(jax.tree.leaves(made)) if leaf.dtype == np.int32]


def with_leaves(made: s.Schedule, changes: dict[int, Any]) -> s.Schedule:
    """The schedule with other numbers in some places."""
    leaves, structure = jax.tree.flatten(made)
    return structure.unflatten([np.full_like(leaf, changes.get(i, leaf)) for i, leaf in enumerate(leaves)])


def perturbed(made: s.Schedule) -> list[s.Schedule]:
    """The schedule with one of its numbers changed, for each of them."""
    leaves = jax.tree.leaves(made)
    others = [~x if x.dtype == bool else x + 3 if x.dtype == np.int32 else x * 1.1 for x in leaves]
    return [with_leaves(made, {i: other}) for i, other in enumerate(others)]


def check_shapes_and_types(made: s.Schedule) -> None:
    assert isinstance(made, Partial)
    for x64, dtype in ((False, jnp.float32), (True, jnp.float64)):
        with jax.enable_x64(x64):
            for steps in (jnp.int32(7), jnp.arange(6).reshape(2, 3), 7, 7.0):
                rate = jax.eval_shape(made, steps)
                assert (rate.shape, rate.dtype, rate.weak_type) == (np.shape(steps), dtype, False)


def check_compiled_and_batched(made: s.Schedule, as_floats: s.Schedule) -> None:
    """Compiled, batched and called as it is: the same rates. Other numbers compile nothing again."""
    structure = jax.tree.structure(made)
    changed = perturbed(made)
    all_changed = structure.unflatten(jax.tree.leaves(row)[i] for i, row in enumerate(changed))
    rows = [made, all_changed, as_floats, *changed]
    before = batched_rates._cache_size()
    found = batched_rates(stacked(rows), EVERYWHERE)
    batched_rates(stacked(rows[::-1]), EVERYWHERE)
    assert batched_rates._cache_size() - before <= 1, "new values compile again"
    assert ulps(found[0], found[2]) == 0, "whole floats count as integers do"
    # Compiled, the numbers are float32; called as it is, a schedule uses all their digits.
    for one, other in ((made, found[0]), (schedule_accuracy.rounded(all_changed), found[1])):
        assert ulps(one(EVERYWHERE), other) <= 4


def check_never_negative_nor_nan(made: s.Schedule) -> None:
    counts = counts_of(made)
    cases = [made, with_leaves(made, dict.fromkeys(counts, 0))]
    cases += [with_leaves(made, {i: length}) for i in counts for length in (0, 1, MAX)]
    for start in range(0, len(cases), ROWS):
        values = np.asarray(batched_rates(stacked(cases[start : start + ROWS]), EVERYWHERE))
        assert (np.isfinite(values) & (values >= 0)).all()


def check_steps_of_any_type(made: s.Schedule) -> None:
    """Early, late, small and no numbers, in an array of each sort; `test_every_type_of_step` has them one by one."""
    expected = np.asarray(made(np.array([0, 0, 7, 100, MAX, MAX])))
    np.testing.assert_array_equal(made(np.array([-128, -1, 7, 100, 127, 127], np.int8))[:4], expected[:4])
    np.testing.assert_array_equal(made(np.array([0, 0, 7, 100, 2**31, 2**63], np.uint64)), expected)
    np.testing.assert_array_equal(made(np.array([-np.inf, -2.5, 7.0, 100.0, 3e9, np.inf])), expected)
    nothing = np.asarray(made(np.array([np.nan, 0.0, 7.0, 100.0, 3e9, np.inf])))
    assert np.isnan(nothing[0])
    assert ulps(nothing[1:], expected[1:]) <= 4


def check_gradients(made: s.Schedule) -> None:
    """By each float and each number of steps, against differences in float64.

    The numbers of steps have a fraction here, so that no kink falls on a step; the derivative at a whole number of
    steps is finite.
    """
    off_kinks = np.isin(EVERYWHERE, [3, 17, 43, 61, 71, 87, 93, 104, 153])
    with jax.enable_x64(True):
        numbers, whole = numbers_of(made)
        _, counted = numbers_of(jax.tree.map(lambda leaf: np.full_like(leaf, leaf.dtype == np.int32), made))
        point, size = whole + 0.37 * counted, whole.size
        moves = np.diag(1e-6 * np.maximum(np.abs(point), 0.1))
        unit, still = np.eye(ROWS)[:size, :size], np.zeros((ROWS, size))
        pad = np.zeros((ROWS - size, size))
        points = [point + np.vstack([moves, pad]), point - np.vstack([moves, pad]), point + still, whole + still]
        ahead = np.vstack([unit, pad])
        values, slopes = derivatives(
            numbers, np.concatenate(points), np.concatenate([still, still, ahead, ahead]), EVERYWHERE
        )
        assert np.isfinite(slopes).all()
        high, low = values[:size], values[ROWS : ROWS + size]
        expected = (np.asarray(high) - np.asarray(low)) / (2 * np.diag(moves)[:, None])
        found = slopes[2 * ROWS : 2 * ROWS + size]
        np.testing.assert_allclose(found[:, off_kinks], expected[:, off_kinks], rtol=1e-5, atol=1e-8)


def check_accuracy(make: Callable[[int], s.Schedule]) -> None:
    """In float32, up to the last step, against float64 at the same float32 arguments."""
    lengths = (1_000_003, 2**24 + 100, 2**31 - 1)
    made = [schedule_accuracy.rounded(make(length)) for length in lengths]
    steps = np.unique(np.concatenate([schedule_accuracy.steps_of(length) for length in lengths]))
    steps = np.resize(steps, EVERYWHERE.size)
    found = np.asarray(batched_rates(stacked(made), steps))
    with jax.enable_x64(True):
        points = np.resize([numbers_of(one)[1] for one in made], (4 * ROWS, numbers_of(made[0])[1].size))
        truth = np.asarray(derivatives(numbers_of(made[0])[0], points, np.zeros_like(points), jnp.asarray(steps))[0])
    for one, exact in zip(found, truth[: len(made)], strict=False):
        worst = schedule_accuracy.error(one, exact)
        assert worst.ulps <= 4
        assert worst.relative <= 1e-5


def check_inside_shard_map(made: s.Schedule) -> None:
    """Types alone, which is where varying numbers clash; `test_restarts_on_several_devices` runs it."""
    devices = stacked([made])
    eight = jax.tree.map(lambda x: x[:8], devices)
    mesh, split = Mesh(np.array(jax.devices()[:8]), ("device",)), PartitionSpec("device")

    def local(one: s.Schedule, steps: jax.Array) -> jax.Array:
        return jax.tree.map(lambda x: x[0], one)(steps)

    for spec in (split, PartitionSpec()):
        given = eight if spec == split else jax.tree.map(lambda x: x[None], made)
        mapped = jax.shard_map(local, mesh=mesh, in_specs=(spec, split), out_specs=split)
        assert jax.eval_shape(mapped, given, jnp.arange(16)).shape == (16,)


def check_identity(made: s.Schedule, again: s.Schedule, others: list[s.Schedule]) -> None:
    """Equal numbers make equal schedules, which compile once as static arguments."""
    assert made == again
    assert hash(made) == hash(again)
    other = next(row for row in others if any(map(np.any, jax.tree.leaves(jax.tree.map(np.not_equal, row, made)))))
    assert made != other
    traces = []

    @partial(jax.jit, static_argnums=0)
    def static(one: s.Schedule) -> int:
        traces.append(one)
        return 0

    static(made), static(again), static(other)
    assert len(traces) == 2


def check_copies(made: s.Schedule) -> None:
    for twin in (copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert twin == made
        assert type(twin) is type(made)


def check_docstring(function: Callable[..., Any]) -> None:
    doc = inspect.getdoc(function)
    assert doc is not None
    head, arguments = doc.split("Args:")
    assert "`" in head, "no formula"
    assert ">>> " in arguments, "no example"
    named = {
        name for line in arguments.splitlines() if line.startswith("    ") for name in line.split(":")[0].split(",")
    }
    assert set(inspect.signature(function).parameters) <= {name.strip() for name in named}


# What is made of others is equal to them, see `test_what_is_made_of_others`.
OWN = [name for name in NAMES if CATALOGUE[factory(name)].formula is not None]


@pytest.mark.parametrize("name", OWN)
class TestContract:
    def test_shapes_and_types(self, name: str) -> None:
        check_shapes_and_types(example(name))

    def test_compiled_and_batched(self, name: str) -> None:
        check_compiled_and_batched(example(name), example(name, 100.0))

    def test_never_negative_nor_nan(self, name: str) -> None:
        check_never_negative_nor_nan(example(name))

    def test_steps_of_any_type(self, name: str) -> None:
        check_steps_of_any_type(example(name))

    def test_gradients(self, name: str) -> None:
        check_gradients(example(name))

    def test_accuracy(self, name: str) -> None:
        check_accuracy(partial(example, name))

    def test_inside_shard_map(self, name: str) -> None:
        check_inside_shard_map(example(name))

    def test_identity(self, name: str) -> None:
        check_identity(example(name), example(name), perturbed(example(name)))

    def test_copies(self, name: str) -> None:
        if name == "join":  # its example has a closure of Optax's, which has no pickle
            check_copies(s.join([s.constant(0.1), s.linear(0.3, 10)], [5]))
        else:
            check_copies(example(name))


@pytest.mark.parametrize(
    ("name", "others"),
    [
        ("budgeted_linear", lambda n: s.linear(0.3, n // 2)),
        ("power_decay", lambda n: s.polynomial_decay(0.3, n, 0.01, 2 * 1.2 - 1)),
        ("step_decay", lambda n: s.exponential_decay(0.3, n // 4, 0.5, staircase=True)),
        ("wsd", lambda n: s.warmup(s.cooldown(s.constant(0.3), n // 2, n // 5, shape="1-sqrt"), n // 10)),
        ("trapezoid", lambda n: s.wsd(0.3, n // 10, n // 2, n // 5)),
        ("knee", lambda n: s.wsd(0.3, n // 10, n // 2, n // 5)),
        (
            "tri_stage",
            lambda n: s.warmup(
                s.join(
                    [s.constant(0.3), s.exponential_decay(0.3, n // 5, 0.3 * 0.01 / 0.3, end_value=0.3 * 0.01)],
                    [n // 2],
                ),
                n // 10,
                0.003,
            ),
        ),
        (
            "infinite",
            lambda n: s.warmup(
                s.chain(
                    s.cosine_decay(0.3, n // 3, 0.1),
                    s.offset(s.exponential_decay(1.0, n // 5, 0.01, end_value=0.01), -2 * (n // 3)),
                ),
                n // 10,
            ),
        ),
        (
            "wsd_s",
            lambda n: s.warmup(s.repeat(s.cooldown(s.constant(0.3), n // 4, n // 6, 0.01), n // 4 + n // 6), n // 10),
        ),
        ("per_epoch", lambda n: s.stretch(s.exponential_decay(0.3, 1, 0.8), n // 10)),
    ],
)
def test_what_is_made_of_others(name: str, others: Callable[[int], s.Schedule]) -> None:
    for n in (100, 2**24 + 100):
        assert example(name, n) == others(n)


def test_all_that_is_made_of_others_is_compared() -> None:
    (mark,) = test_what_is_made_of_others.pytestmark
    assert {name for name, _ in mark.args[1]} == {name for name, entry in CATALOGUE.items() if entry.formula is None}


SMALL = ("int8", "int16", "int32", "uint8", "uint16", "uint32", "float16", "bfloat16", "float32")
LARGE = ("int64", "uint64", "float64")


@pytest.mark.parametrize(("dtype", "x64"), [*((one, False) for one in SMALL), *((one, True) for one in LARGE)])
def test_every_type_of_step(dtype: str, x64: bool) -> None:
    made, steps = s.cosine_decay(0.3, 100, 0.01), np.arange(128)
    with jax.enable_x64(x64):
        expected = np.asarray(rates(made, jnp.arange(128, dtype=jnp.int32)))
        given = jnp.asarray(steps).astype(dtype)
        assert ulps(rates(made, given), expected) <= 1
        assert ulps(made(np.asarray(given)), expected) <= 1
        np.testing.assert_allclose([made(step) for step in given[:3]], expected[:3], rtol=1e-6)


@pytest.mark.parametrize(
    ("step", "same"),
    [
        *[(late, MAX) for late in (2**31, 2**70, 3e9, math.inf, np.int64(2**31), np.uint64(2**63), np.float32(2**31))],
        *[(early, 0) for early in (-5, -(2**70), -2.5, -math.inf, np.int8(-128), np.int64(-(2**40)), False)],
        *[(one, 1) for one in (True, 1.0, np.bool_(True), np.float16(1), jnp.array(True), jnp.uint8(1))],
        ([0, 2**40], [0, MAX]),
        ([1, 2.0], [1, 2]),
    ],
)
def test_steps_out_of_range(step: Any, same: Any) -> None:
    made = s.inverse_sqrt(0.3, 10)
    np.testing.assert_array_equal(made(step), made(np.asarray(same)))


def test_late_steps_of_arrays() -> None:
    made = s.inverse_sqrt(0.3, 10)
    assert rates(made, jnp.uint32(2**32 - 1)) == rates(made, jnp.float32(3e9)) == rates(made, jnp.int32(MAX))
    with jax.enable_x64(True):
        late = jnp.array([2**31, 2**40, 2**62])
        np.testing.assert_array_equal(rates(made, late), rates(made, jnp.full(3, MAX)))
    found = np.isnan(rates(made, jnp.array([jnp.nan, 3e9], jnp.float32)))
    np.testing.assert_array_equal(found, [True, False])


@pytest.mark.parametrize("step", ["3", None, 1j, np.array(["3"]), {}])
def test_what_is_no_step(step: Any) -> None:
    with pytest.raises(TypeError):
        s.linear(0.3, 10)(step)


def test_between_two_steps() -> None:
    """A float step is taken as it is, and the rate can be differentiated by it."""
    assert s.linear(1.0, 10)(2.5) == 0.75
    assert jax.grad(s.linear(1.0, 10))(2.5) == pytest.approx(-0.1)


def test_inside_optax() -> None:
    made = s.warmup(s.cosine_decay(0.3, 90), 10)
    params = {"a": jnp.ones(2), "b": jnp.ones(2)}
    grads = jax.tree.map(jnp.ones_like, params)
    injected = optax.inject_hyperparams(optax.sgd)(learning_rate=made)
    chained = optax.chain(optax.scale_by_schedule(made), optax.scale(-1.0))
    parts = optax.multi_transform({"x": optax.sgd(made), "y": optax.sgd(0.5)}, {"a": "x", "b": "y"})
    for tx, b in ((injected, None), (chained, None), (parts, 0.5)):
        updates, state = tx.update(grads, tx.init(params), params)
        updates, state = tx.update(grads, state, params)
        np.testing.assert_allclose(updates["a"], -np.full(2, made(1)), rtol=1e-6)
        np.testing.assert_allclose(updates["b"], -np.full(2, made(1) if b is None else b), rtol=1e-6)


@pytest.mark.parametrize("name", CATALOGUE)
def test_docstrings(name: str) -> None:
    check_docstring(getattr(s, name))


def test_the_catalogue_is_what_is_public() -> None:
    lengths = {"epoch", "resolve", "run", "sample", "token"}
    others = {"Advice", "Schedule", "format", "parse", "review", "tabulate"} | lengths
    assert set(CATALOGUE) == set(s.__all__) - others
    assert {factory(name) for name in NAMES} == set(CATALOGUE)
    for name, entry in CATALOGUE.items():
        public = getattr(s, name)
        assert public is entry.factory
        assert (public.__name__, public.__qualname__) == (name, name)
        assert public.__module__.startswith("jaxlr.schedules.")
        assert "step" not in inspect.signature(public).parameters
        assert inspect.signature(public).return_annotation in (Partial, "Partial")


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Any], Any]]:
    """Decorate a formula for the time of a test."""
    known = set(CATALOGUE)
    yield schedule
    for name in set(CATALOGUE) - known:
        monkeypatch.delitem(CATALOGUE, name)


# Annotations of a formula are looked up among the names of its module.
from jaxlr.schedules._arguments import Rate, Steps  # noqa: E402
from jaxlr.schedules._exact import Exact  # noqa: E402
from jaxlr.schedules._progress import blend, progress  # noqa: E402


def test_a_decorated_function_is_in_the_catalogue(added: Callable[[Any], Any]) -> None:
    """One function more, and the tests above go through it."""

    @added
    def halfway(step: Exact, init_value: Rate, decay_steps: Steps) -> jax.Array:
        """Down to half.

        `lr(t) = init_value * (1 - t / decay_steps / 2)`

        Args:
            init_value: the rate at step 0.
            decay_steps: steps until half of it.

        >>> 1
        1
        """
        return blend(init_value, init_value / 2, progress(step, decay_steps))

    assert "halfway" in names()
    made = example("halfway")
    assert (made(0), made(25), made(99)) == (0.3, pytest.approx(0.225), pytest.approx(0.15))
    for check in (check_shapes_and_types, check_never_negative_nor_nan, check_gradients, check_steps_of_any_type):
        check(made)
    check_compiled_and_batched(made, example("halfway", 100.0))
    check_identity(made, example("halfway"), perturbed(made))
    check_docstring(halfway)
    assert s.parse("warmup(halfway(0.3, 50), 10)")(35) == pytest.approx(0.225)
    assert s.format(made) == "halfway(0.3, 50)"
    with pytest.raises(ValueError, match="decay_steps must be zero or more, got -1"):
        halfway(0.3, -1)


@pytest.mark.parametrize(
    ("check", "formula"),
    [
        (check_shapes_and_types, lambda step, init_value: init_value),
        (check_never_negative_nor_nan, lambda step, init_value: jnp.sqrt(init_value - step.number)),
        (check_gradients, lambda step, init_value: init_value * jax.lax.stop_gradient(init_value) + 0 * step.number),
        (check_steps_of_any_type, lambda step, init_value: jnp.where(step.array + 1 > 0, init_value, 0.0)),
    ],
)
def test_the_contract_can_fail(added: Callable[[Any], Any], check: Any, formula: Any) -> None:
    formula.__annotations__ = {"step": Exact, "init_value": Rate, "return": jax.Array}
    with pytest.raises((AssertionError, TypeError)):
        check(added(formula)(0.3))


def test_traced_schedules_are_not_compared() -> None:
    @jax.jit
    def compared(rate: jax.Array) -> jax.Array:
        one, other = s.constant(rate), s.constant(rate)
        assert one != other
        assert len({one, other}) == 2
        return rate

    compared(0.1)


def test_restarts_on_several_devices() -> None:
    """A step and a period that differ by device."""
    mesh, split = Mesh(np.array(jax.devices()[:8]), ("device",)), PartitionSpec("device")

    @jax.jit
    @partial(jax.shard_map, mesh=mesh, in_specs=(split, split), out_specs=split)
    def mapped(periods: jax.Array, steps: jax.Array) -> jax.Array:
        return s.cosine_restarts(1.0, periods, period_multiplier=1.5)(steps)

    periods, steps = jnp.arange(10, 18), jnp.full(8, 30)
    expected = [s.cosine_restarts(1.0, int(period), period_multiplier=1.5)(30) for period in periods]
    np.testing.assert_allclose(mapped(periods, steps), expected, rtol=1e-6)


FLOATS = (
    "Rate",
    "Positive",
    "Timescale",
    "Period",
    "Real",
    "Falling",
    "AboveHalf",
    "Base",
    "GrowingBase",
    "Multiple",
    "Rates",
    "Fraction",
)
NUMBERS = [
    (name, p.name)
    for name, entry in CATALOGUE.items()
    for p in entry.signature.parameters.values()
    if p.annotation.split(" |")[0] in FLOATS and name != "per_epoch"
]


@pytest.mark.parametrize(("name", "argument"), NUMBERS)
def test_numbers_that_do_not_fit_are_refused(name: str, argument: str) -> None:
    """1e39 is infinity in float32 and 1e-50 zero; in float64 they are numbers."""
    arguments = of_kinds(CATALOGUE[name], 100)

    def made(number: float) -> s.Schedule:
        given = [number] * len(arguments[argument]) if isinstance(arguments.get(argument), list) else number
        return CATALOGUE[name].factory(**arguments | {argument: given})

    kind = CATALOGUE[name].signature.parameters[argument].annotation
    for number in (1e39, 1e-50):
        with pytest.raises(ValueError, match=f"{argument} must be"):
            made(number)
    with jax.enable_x64(True):
        fitting = {"Falling": -1e39, "GrowingBase": 1e39, "AboveHalf": 1e39, "Fraction": 1e-50}.get(kind, 1e-50)
        assert np.isfinite(made(fitting)(3))


def test_numbers_that_do_not_fit_are_refused_in_text() -> None:
    for text in ("constant(1e39)", "constant(1e-50)", "rex(1e39, 1)", "piecewise_constant([3], [0.1, 1e39])"):
        with pytest.raises(ValueError, match="to fit float32"):
            s.parse(text)
    with pytest.raises(ValueError, match="init_value must be"):
        s.constant(10**400)
