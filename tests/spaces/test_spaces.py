"""Spaces: their algebra, what is traced and what is compiled in, and samples."""

from __future__ import annotations

import copy
import functools
import pickle
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxlr import grid, sampled, schedules, static, sweep, zipped
from jaxlr.spaces import Space, group, ladder, log_range, log_uniform, uniform
from jaxlr.spaces.values import label

law = functools.partial(settings, deadline=None, derandomize=True, max_examples=60)
may_repeat = pytest.mark.filterwarnings("ignore:.*stand in the space more than once")

NUMBERS = st.one_of(st.integers(-1000, 1000), st.floats(-1e3, 1e3, width=32))
VALUES = st.one_of(NUMBERS, st.booleans(), st.none(), st.sampled_from(["a", "b", "c"]), st.just(max))


def parts(names: str) -> st.SearchStrategy[Space]:
    """Grids and zipped spaces of some of the names."""

    def columns(name: str, n: int) -> st.SearchStrategy[list[Any]]:
        unique = {"unique_by": lambda v: v if isinstance(v, (int, float)) and not isinstance(v, bool) else label(v)}
        return st.lists(VALUES, min_size=n, max_size=max(n, 3), **unique)

    grids = st.fixed_dictionaries({name: columns(name, 1) for name in names}).map(lambda axes: grid(**axes))
    zips = st.integers(1, 4).flatmap(
        lambda n: st.fixed_dictionaries({name: st.lists(VALUES, min_size=n, max_size=n) for name in names})
    )
    return st.one_of(grids, zips.map(lambda axes: zipped(**axes)))


@may_repeat
@law()
@given(parts("ab"), parts("cd"), parts("be"))
def test_sizes_multiply_and_add(a: Space, b: Space, c: Space) -> None:
    assert len(a * b) == len(a) * len(b)
    assert len(a + c) == len(a) + len(c)
    assert len(list((a * b).rows())) == len(a) * len(b)
    assert np.prod([*(a * b).dims.values(), 1]) == len(a * b)


@may_repeat
@law()
@given(parts("ab"), parts("cd"), parts("be"))
def test_products_and_sums_hold_the_rows_of_their_parts(a: Space, b: Space, c: Space) -> None:
    assert list((a + c).rows()) == [*a.rows(), *c.rows()]
    both = [{**x, **y} for x in a.rows() for y in b.rows()]
    found = list((a * b).rows())
    assert sorted(map(_plain, found)) == sorted(map(_plain, both))


def _plain(row: dict[str, Any]) -> str:
    return repr(sorted(row.items()))


@may_repeat
@law()
@given(st.one_of(parts("ab"), st.builds(lambda a, b: a * b, parts("ab"), parts("cd"))), parts("be"))
def test_groups_partition_a_space_and_give_its_rows_back(a: Space, b: Space) -> None:
    space = a + b
    rows = list(space.rows())
    groups = group(space)
    assert sorted(np.concatenate([part.rows for part in groups]).tolist()) == list(range(len(space)))
    assert [part.rows[0] for part in groups] == sorted(part.rows[0] for part in groups)
    for part in groups:
        for at, i in enumerate(part.rows):
            back = {**part.static, **{name: column[at].item() for name, column in part.traced.items()}}
            assert back.keys() == rows[i].keys()
            for name, value in rows[i].items():
                assert back[name] == (pytest.approx(value, rel=1e-6) if name in part.traced else value)
                if name in part.static:
                    assert type(back[name]) is type(value)


def test_groups_compile_what_is_no_number() -> None:
    space = grid(name=["sgd", "adam"], nesterov=[False, True], lr=[0.1, 1], steps=[1, 2])
    groups = group(space)
    assert len(groups) == 4
    for part in groups:
        assert set(part.static) == {"name", "nesterov"}
        assert part.traced["lr"].dtype == np.float32
        assert part.traced["steps"].dtype == np.int32
        assert len(part.rows) == 4


@pytest.mark.parametrize(
    ("values", "number"),
    [
        ([0.1, 0.2], 1),
        ([1, 2], 1),
        (["a", "b"], 2),
        ([True, False], 2),
        ([None, 0.9], 2),
        ([max, min], 2),
        (static([16, 32, 64]), 3),
        ([np.arange(3.0), np.ones(3)], 1),
        ([np.arange(3.0), np.ones(4)], 2),
        ([schedules.linear(0.1, 10), schedules.linear(0.2, 20)], 1),
        ([schedules.linear(0.1, 10), schedules.constant(0.1)], 2),
        ([{"a": 1.0}, {"a": 2}], 1),
    ],
)
def test_number_of_programs(values: Any, number: int) -> None:
    space = grid(value=values)
    assert len(group(space)) == number
    assert len(group(space * grid(lr=[0.1, 0.2, 0.3]))) == number


def test_static_names_are_compiled_in() -> None:
    assert len(group(grid(width=[1, 2]), frozenset({"width"}))) == 2


def test_schedules_are_traced_leaf_by_leaf() -> None:
    rates = [0.1, 0.2, 0.4]
    (part,) = group(grid(learning_rate=[schedules.cosine_decay(rate, 100) for rate in rates]))
    at = jax.vmap(lambda schedule: schedule(0))(part.traced["learning_rate"])
    np.testing.assert_allclose(at, rates, rtol=1e-6)


def test_absent_names_are_absent_from_their_group() -> None:
    first, second = group(grid(lr=[0.1]) + grid(lr=[0.2], momentum=[0.5, 0.9]))
    assert set(first.traced) == {"lr"}
    assert set(second.traced) == {"lr", "momentum"}


def test_zipped_parts_join_one_dimension_and_leave_the_others() -> None:
    space = grid(lr=[1.0, 2.0]) * zipped(a=[1, 2], b=[3, 4]) * zipped(c=[5, 6, 7])
    assert space.dims == {"lr": 2, "setting": 6}
    assert next(space.rows()) == {"lr": 1.0, "a": 1, "b": 3, "c": 5}


def test_large_arrays_that_print_alike_stay_apart() -> None:
    a, b = np.zeros(5000), np.zeros(5000)
    b[2500] = 1
    assert repr(a) == repr(b)
    assert label(a) != label(b)
    assert label({"x": a}) != label({"x": b})
    assert label({"x": a}) == label({"x": a.copy()})


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.arange(3), [0, 1, 2]),
        (range(3), [0, 1, 2]),
        ((0.1, 0.2), [0.1, 0.2]),
        (np.array([True, False]), [True, False]),
    ],
)
def test_values_are_the_users_own(values: Any, expected: list[Any]) -> None:
    found = [row["x"] for row in grid(x=values).rows()]
    assert found == expected
    assert [type(value) for value in found] == [type(value) for value in expected]


NARROW = [
    (np.float32([0.1, 0.3]), [0.1, 0.3]),
    (np.float32([1 / 3, 0.12345678]), [0.333333, 0.123457]),
    (np.float32([1e9 / 3, 0.0]), [333333000.0, 0.0]),
    (jnp.logspace(-4, 0, 5), [1e-4, 1e-3, 1e-2, 0.1, 1.0]),
    (jnp.array([0.5, 0.25], jnp.bfloat16), [0.5, 0.25]),
    (np.float32([0.1, np.nextafter(np.float32(0.1), np.float32(1))]), [0.1, 0.10000001]),
]


@pytest.mark.parametrize(("values", "labels"), NARROW)
def test_a_narrow_float_is_trained_to_the_bit_under_a_short_label(values: Any, labels: list[float]) -> None:
    def train(key: jax.Array, x: jax.Array) -> dict[str, jax.Array]:
        return {"given": x}

    (part,) = group(grid(x=values))
    np.testing.assert_array_equal(part.traced["x"], np.asarray(values, np.float32))
    ds = sweep(train, grid(x=values), devices=1)
    np.testing.assert_array_equal(ds["given"].isel(seed=0), np.asarray(values, np.float32))
    assert ds["x"].values.tolist() == labels


def test_a_mark_of_absence_survives_copies() -> None:
    both = grid(lr=[0.1]) + grid(lr=[0.2], momentum=[0.5])
    for copied in (pickle.loads(pickle.dumps(both)), copy.deepcopy(both)):
        assert list(copied.rows()) == list(both.rows()) == [{"lr": 0.1}, {"lr": 0.2, "momentum": 0.5}]


@pytest.mark.parametrize(("values", "words"), [([1e50], "1e\\+50"), ([1e-50], "1e-50"), ([0.1, -1e39], "-1e\\+39")])
def test_numbers_that_do_not_fit_are_refused(values: list[float], words: str) -> None:
    with pytest.raises(ValueError, match=f"lr must fit float32 .*{words}"):
        group(grid(lr=values))
    assert len(group(grid(lr=[0.0, 1e-44]))) == 1


@pytest.mark.parametrize("single", [0.1, np.float32(0.5), jnp.float32(0.5), "adam", None, True])
def test_a_single_value_has_no_dimension(single: Any) -> None:
    space = grid(x=single)
    assert space.dims == {}
    assert len(space) == 1


def test_a_named_tuple_is_one_value() -> None:
    import optax

    assert len(grid(tx=optax.sgd(0.1))) == 1


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: grid(), ValueError, "at least one axis, got none"),
        (lambda: grid(lr=[]), ValueError, r"lr must have at least one value, got \[\]"),
        (lambda: grid(lr=np.ones((2, 2))), ValueError, r"lr must have one dimension, got the shape \(2, 2\)"),
        (lambda: grid(lr=[0.1, 0.1]), ValueError, "lr must hold different values"),
        (lambda: grid(lr=[1, 1.0]), ValueError, "lr must hold different values"),
        (lambda: grid(lr=[0.1, float("nan")]), ValueError, "lr must be finite, got nan"),
        (lambda: grid(lr={0.1, 0.2}), TypeError, "lr must be a list of values or one value, got a set"),
        (lambda: grid(lr=(x for x in [0.1])), TypeError, "got a generator"),
        (lambda: zipped(), ValueError, "at least one axis"),
        (lambda: zipped(a=[1, 2], b=[1]), ValueError, "one length, got {'a': 2, 'b': 1}"),
        (lambda: zipped(a=1), ValueError, "a must be a list of values in zipped, got 1"),
        (lambda: grid(a=[1]) * grid(a=[2]), ValueError, "a must be given once in a space, got it 2 times"),
        (lambda: zipped(a=[1]) * zipped(a=[2]), ValueError, "a must be given once in a space, got it 2 times"),
        (lambda: group(grid(n=[1, 2**40])), ValueError, "n must fit a 32-bit integer .* got 1099511627776"),
    ],
)
def test_bad_input(make: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        make()


@pytest.mark.parametrize(
    "name", ["seed", "epoch", "key", "step", "setting", "status", "diverged_at", "rate", "loss", "val_accuracy"]
)
def test_names_of_results_are_reserved(name: str) -> None:
    with pytest.raises(ValueError, match=f"'{name}' is reserved"):
        grid(**{name: [1, 2]})


@pytest.mark.parametrize("method", ["random", "sobol"])
@pytest.mark.parametrize("n", [1, 5, 64, 100])
def test_samples_lie_in_their_ranges(method: str, n: int) -> None:
    space = sampled(n, method=method, lr=log_uniform(1e-5, 1), momentum=uniform(0, 0.99), name=["a", "b"], epochs=3)
    assert len(space) == n
    assert space.dims == {"setting": n}
    for row in space.rows():
        assert type(row["lr"]) is float
        assert 1e-5 <= row["lr"] <= 1
        assert 0 <= row["momentum"] <= 0.99
        assert row["name"] in ("a", "b")
        assert row["epochs"] == 3


@pytest.mark.parametrize("method", ["random", "sobol"])
def test_samples_depend_on_the_key_alone_and_grow_at_their_end(method: str) -> None:
    def draw(n: int, key: jax.Array | None) -> list[Any]:
        return list(sampled(n, key=key, method=method, lr=log_uniform(1e-5, 1), p=uniform(0, 1)).rows())

    assert draw(20, jax.random.key(3)) == draw(20, jax.random.key(3))
    assert draw(20, jax.random.key(3)) == draw(20, jax.random.PRNGKey(3))
    assert draw(20, jax.random.key(3)) == draw(90, jax.random.key(3))[:20]
    assert draw(20, None) == draw(20, jax.random.key(0))
    assert draw(20, jax.random.key(3)) != draw(20, jax.random.key(4))


@pytest.mark.parametrize("method", ["random", "sobol"])
def test_log_uniform_is_uniform_in_the_logarithm(method: str) -> None:
    from scipy import stats

    (column,) = sampled(512, method=method, lr=log_uniform(1e-4, 1)).axes[0].columns.values()
    assert stats.kstest(np.log10(column) / 4 + 1, "uniform").pvalue > 0.01


def test_sobol_is_more_even_than_random() -> None:
    from scipy.stats import qmc

    def discrepancy(method: str) -> float:
        columns = sampled(128, method=method, a=uniform(0, 1), b=uniform(0, 1)).axes[0].columns
        return qmc.discrepancy(np.array(list(columns.values())).T)

    assert discrepancy("sobol") < 0.2 * discrepancy("random")


def test_choices_are_drawn_evenly_and_may_be_static() -> None:
    space = sampled(300, width=static([16, 32, 64]), lr=uniform(0, 1))
    counts = [len(part.rows) for part in group(space)]
    assert len(counts) == 3
    assert min(counts) > 60


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: sampled(0, lr=uniform(0, 1)), ValueError, "n must be an integer of at least 1, got 0"),
        (lambda: sampled(2.5, lr=uniform(0, 1)), TypeError, "n must be an integer"),
        (lambda: sampled(3), ValueError, "at least one distribution or list of choices, got no axes"),
        (lambda: sampled(3, lr=0.1), ValueError, "at least one distribution or list of choices"),
        (lambda: sampled(3, method="halton", lr=uniform(0, 1)), ValueError, "method must be one of random, sobol"),
        (lambda: sampled(3, epoch=uniform(0, 1)), ValueError, "'epoch' is reserved"),
        (lambda: uniform(1, 1), ValueError, "low must be below high, got 1 and 1"),
        (lambda: uniform(0, float("inf")), ValueError, "high must be finite"),
        (lambda: log_uniform(0, 1), ValueError, "low must be positive, got 0"),
        (lambda: log_uniform("a", 1), TypeError, "low must be a number"),
        (lambda: log_range(0.1, 0.1, 3), ValueError, "low and high must differ"),
        (lambda: log_range(0.1, 1, 1), ValueError, "n must be an integer of at least 2, got 1"),
        (lambda: log_range(-1, 1, 3), ValueError, "low must be positive, got -1"),
        (lambda: ladder(0.4, 0.9), ValueError, "1 or 3 times a power of ten between them, got 0.4 and 0.9"),
    ],
)
def test_bad_samples(make: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        make()


@law()
@given(st.floats(-6, 2), st.floats(0.1, 6), st.integers(2, 40))
def test_log_range_has_one_ratio(low: float, span: float, n: int) -> None:
    values = np.array(log_range(10**low, 10 ** (low + span), n))
    assert len(values) == n
    assert values[0] == 10**low
    assert values[-1] == 10 ** (low + span)
    np.testing.assert_allclose(values[1:] / values[:-1], 10 ** (span / (n - 1)), rtol=1e-9)


def test_decades_are_exact() -> None:
    assert log_range(1e-7, 1, 8) == [1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.1, 1.0]
    assert log_range(1, 1e-3, 4) == [1.0, 0.1, 0.01, 0.001]
    assert ladder(0.001, 0.1) == [0.001, 0.003, 0.01, 0.03, 0.1]
    assert ladder(0.002, 3) == [0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0]
    assert ladder(1e-3 * (1 + 1e-15), 0.001 * (1 + 2e-15)) == [0.001]
