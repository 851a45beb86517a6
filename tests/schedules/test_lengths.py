"""Lengths as parts of the run, epochs, samples and tokens: resolved, in text, traced, and by `experiment`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jaxlr
from jaxlr import schedules as s
from jaxlr.schedules._curve import Curve, curve
from jaxlr.schedules._length import Length
from jaxlr.schedules._schedule import CATALOGUE, entry_of
from tests.support.schedule_examples import NAMES, example, factory

SIZES = {"steps_per_epoch": 37.5, "batch_size": 32, "tokens_per_step": 1e6}
laws = settings(deadline=None, derandomize=True, max_examples=50)


@pytest.fixture(autouse=True)
def _strict() -> Iterator[None]:
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        yield


def of_a_run(made: s.Schedule, num_steps: int) -> s.Schedule:
    """The same schedule with each number of steps as a part of the run."""
    kinds = {"Steps", "Shift", "Boundaries", "Rising", "Timescale", "Period"}

    def part(node: Any) -> Any:
        if isinstance(node, tuple):
            return tuple(part(one) for one in node)
        if not isinstance(node, Curve):
            return node
        entry = entry_of(node)
        measured = {
            name: Length({"run": np.asarray(leaf, np.float64) / num_steps})
            if leaf is not None and entry.signature.parameters[name].annotation.split(" |")[0] in kinds
            else part(leaf)
            for name, leaf in node.keywords.items()
        }
        return curve(node.func, (), measured)

    return part(made)


@pytest.mark.parametrize("name", NAMES)
def test_every_schedule_takes_parts_of_the_run(name: str) -> None:
    made = example(name, 100)
    parts = of_a_run(made, 100)
    resolved = s.resolve(parts, 100)
    assert jax.tree.structure(resolved) == jax.tree.structure(made)
    steps = jnp.arange(0, 130, 7)
    np.testing.assert_allclose(jax.jit(resolved)(steps), jax.jit(made)(steps), rtol=2e-6, atol=1e-7)
    if name != "join":  # it holds a schedule of Optax
        assert s.parse(s.format(parts)) == parts
    if any(leaf is not None and isinstance(leaf, Length) for leaf in parts.keywords.values()):
        with pytest.raises(ValueError, match=r"must be known in steps, got .*run.*; schedules.resolve does that"):
            parts(0)
        with pytest.raises(ValueError, match="num_steps must be positive"):
            s.resolve(parts, 0)
    assert factory(name) in CATALOGUE


@pytest.mark.parametrize(
    ("text", "resolved"),
    [
        ("warmup(cosine_decay(0.1, run - 500), 500)", "warmup(cosine_decay(0.1, 500), 500)"),
        ("warmup(cosine_decay(0.1, 0.97 * run), 0.03 * run)", "warmup(cosine_decay(0.1, 970), 30)"),
        ("multistep(0.1, [300, 0.5 * run, run - 10])", "multistep(0.1, [300, 500, 990])"),
        ("linear(0.1, 2 * epoch)", "linear(0.1, 75)"),
        ("linear(0.1, 6400 * sample)", "linear(0.1, 200)"),
        ("linear(0.1, 1000000000 * token)", "linear(0.1, 1000)"),
        ("linear(0.1, 0.5 * run - 0.5 * epoch + 3 * token + 7)", "linear(0.1, 488.250003)"),
        ("offset(constant(0.1), -run)", "offset(constant(0.1), -1000)"),
        ("stretch(linear(1.0, 10), epoch)", "stretch(linear(1.0, 10), 37.5)"),
    ],
)
def test_lengths_in_text(text: str, resolved: str) -> None:
    made = s.parse(text)
    assert s.format(made) == text
    assert s.format(s.resolve(made, 1000, **SIZES)) == resolved


def test_lengths_in_python() -> None:
    run, epoch = s.run, s.epoch
    for length, text in [
        (0.03 * run, "0.03 * run"),
        (run * np.float64(0.5), "0.5 * run"),
        (np.float64(0.5) * run, "0.5 * run"),
        (run / 4, "0.25 * run"),
        (run - 500, "run - 500"),
        (500 - run, "-run + 500"),
        (run - 0.25 * run, "0.75 * run"),
        (2 * epoch + run, "run + 2 * epoch"),
    ]:
        assert repr(length) == text
    assert s.linear(0.1, 0.5 * run) == s.linear(0.1, run / 2)
    assert s.linear(0.1, 0.5 * run) != s.linear(0.1, 0.5 * epoch)


@laws
@given(part=st.integers(1, 99), length=st.integers(1, 10**6))
def test_decimal_parts_are_the_steps_that_they_say(part: int, length: int) -> None:
    made = s.resolve(s.linear(1.0, part / 100 * s.run), 100 * length)
    assert made == s.linear(1.0, part * length)


def test_parts_are_traced_batched_and_differentiated() -> None:
    def rate(part: Any) -> jax.Array:
        return s.resolve(s.warmup(s.linear(1.0, s.run - part * s.run), part * s.run), 1000)(20)

    parts = jnp.array([0.04, 0.1])
    np.testing.assert_allclose(jax.jit(jax.vmap(rate))(parts), [rate(0.04), rate(0.1)], rtol=1e-6)
    np.testing.assert_allclose(jax.grad(rate)(0.04), -0.02 / 0.04**2, rtol=1e-5)
    both = jax.vmap(lambda n: s.resolve(s.linear(1.0, [0.5 * s.run][0]), n)(20))(jnp.array([80, 100]))
    np.testing.assert_allclose(both, [0.5, 0.6], rtol=1e-6)


def test_the_run_is_known_to_tabulate_and_review() -> None:
    made = s.warmup(s.cosine_decay(0.01, 0.95 * s.run), 0.05 * s.run)
    np.testing.assert_array_equal(s.tabulate(made, 1000), s.tabulate(s.warmup(s.cosine_decay(0.01, 950), 50), 1000))
    assert all(advice.ok for advice in s.review(made, 1000))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: s.resolve(s.linear(0.1, s.run - 500), 100), "decay_steps must be zero or more, got -400"),
        (lambda: s.resolve(s.linear(0.1, s.epoch), 100), "steps_per_epoch must be given for decay_steps = epoch"),
        (lambda: s.resolve(s.linear(0.1, s.sample), 100), "batch_size must be given for decay_steps = sample"),
        (lambda: s.resolve(s.linear(0.1, 2 * s.token), 100), "tokens_per_step must be given for decay_steps = 2"),
        (lambda: s.resolve(s.linear(0.1, s.token), 9, tokens_per_step=0), "tokens_per_step must be positive, got 0"),
        (lambda: s.resolve(s.multistep(0.1, [s.run, 3]), 10), "boundaries must not fall"),
        (lambda: s.run / 0, "divisor of a length must be positive, got 0"),
        (lambda: np.nan * s.run, "factor of a length must be finite, got nan"),
        (lambda: s.parse("linear(0.1, 2 * 3)"), "must compute with lengths only"),
        (lambda: s.parse("linear(0.1, run * run)"), "must hold lengths such as"),
        (lambda: s.parse("linear(0.1, run / 0)"), "must hold lengths such as"),
        (lambda: s.parse("linear(0.1, run ** 2)"), "must hold only schedules"),
        (lambda: s.parse("linear(0.1, True * run)"), "must compute with lengths only"),
        (lambda: s.parse("linear(run, 10)"), "init_value must be a number"),
        (lambda: s.parse("run"), "text must be a schedule"),
        (lambda: s.parse("linear(0.1, " + "-" * 9 + "run)"), "must hold only"),
        (lambda: jax.jit(lambda x: s.format(s.linear(0.1, x * s.run)))(0.1), "known numbers"),
    ],
)
def test_lengths_that_are_refused(call: Callable[[], Any], words: str) -> None:
    with pytest.raises((ValueError, TypeError), match=words):
        call()


def rates_of(ds: Any) -> np.ndarray:
    return ds["rate"].isel(seed=0).values.squeeze()


@pytest.mark.parametrize("along", [{"epochs": 4}, {"updates": 60, "every": 15}])
def test_an_experiment_resolves_lengths(blobs: Any, along: dict[str, int]) -> None:
    """500 examples in batches of 32: 16 updates an epoch, or 15.625 of an endless row."""
    per_epoch, total = (16, 64) if "epochs" in along else (500 / 32, 60)

    def schedule(part: Any) -> s.Schedule:
        warm = s.warmup(s.linear(0.1, s.run - part * s.run), part * s.run)
        return s.chain(warm, s.from_table([s.epoch, 1.5 * s.epoch + 320 * s.sample], [1.0, 0.5]))

    run = jaxlr.experiment(blobs, optax.sgd, schedule=schedule, **along)
    ds = jaxlr.sweep(run, jaxlr.grid(part=[0.25, 0.5]), seeds=1, devices=1)
    last = np.arange(1, 5) * (16 if "epochs" in along else 15) - 1
    for part, found in zip((0.25, 0.5), rates_of(ds), strict=True):
        warm = s.warmup(s.linear(0.1, (1 - part) * total), part * total)
        known = s.chain(warm, s.from_table([per_epoch, 1.5 * per_epoch + 10], [1.0, 0.5]))
        np.testing.assert_allclose(found, known(last), rtol=1e-5)


def test_a_schedule_of_the_space_is_resolved(blobs: Any) -> None:
    run = jaxlr.experiment(blobs, optax.sgd, epochs=2)
    axis = [s.parse(f"linear({rate}, run)") for rate in (0.1, 0.2)]
    ds = jaxlr.sweep(run, jaxlr.grid(learning_rate=axis), seeds=1, devices=1)
    np.testing.assert_allclose(rates_of(ds)[:, 0], [0.1 * 17 / 32, 0.2 * 17 / 32], rtol=1e-6)
    assert ds["learning_rate"].values.tolist() == ["linear(0.1, run)", "linear(0.2, run)"]


def test_a_longer_run_is_another_program(blobs: Any) -> None:
    make = functools.partial(jaxlr.experiment, blobs, optax.sgd, schedule=lambda first: s.linear(first, s.run), every=5)
    short, long = (
        rates_of(jaxlr.sweep(make(updates=n), jaxlr.grid(first=[0.1]), seeds=1, devices=1)) for n in (10, 20)
    )
    np.testing.assert_allclose(short, [0.1 * 0.6, 0.1 * 0.1], rtol=1e-5)
    np.testing.assert_allclose(long[:2], [0.1 * 0.8, 0.1 * 0.55], rtol=1e-5)
