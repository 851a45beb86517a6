"""The contract that every schedule of the catalogue keeps."""

from __future__ import annotations

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.tree_util import Partial

from jaxlr import schedules as s
from tests.schedule_examples import EXAMPLES, NAMES, example, factory

MAX = 2**31 - 1
EVERYWHERE = jnp.array(
    [*range(125), 150, 199, 2**24 - 1, 2**24 + 1, 2**24 + 99, 2**30 + 1, MAX - 1, MAX], jnp.int32
)


def ulps(a: jax.Array, b: jax.Array) -> float:
    """The largest difference in units of the last place of the largest value."""
    a, b = np.asarray(a), np.asarray(b)
    return float(np.abs(a - b).max() / np.spacing(np.abs(b).max(initial=1e-30)))


@jax.jit
def rates(schedule: s.Schedule, steps: jax.Array) -> jax.Array:
    return schedule(steps)


def perturbed(schedule: s.Schedule) -> list[s.Schedule]:
    """The schedule with one of its numbers changed, for each of them."""
    leaves, structure = jax.tree.flatten(schedule)
    changed = []
    for i, leaf in enumerate(leaves):
        other = ~leaf if leaf.dtype == bool else leaf + 3 if leaf.dtype == np.int32 else leaf * 0.9
        changed.append(structure.unflatten([*leaves[:i], np.asarray(other, leaf.dtype), *leaves[i + 1 :]]))
    return changed


def test_every_factory_has_an_example() -> None:
    made = {"Advice", "Schedule", "format", "parse", "review", "tabulate"}
    assert {factory(name) for name in NAMES} == set(s.__all__) - made


@pytest.mark.parametrize("name", NAMES)
class TestContract:
    def test_shapes_and_dtypes(self, name: str) -> None:
        schedule = example(name)
        assert isinstance(schedule, Partial)
        one = schedule(jnp.int32(7))
        grid = schedule(jnp.arange(6).reshape(2, 3))
        assert (one.shape, one.dtype, one.weak_type) == ((), jnp.float32, False)
        assert (grid.shape, grid.dtype) == ((2, 3), jnp.float32)
        assert schedule(7) == schedule(np.int64(7)) == schedule(7.0) == one
        assert schedule(-5) == schedule(0)
        with jax.enable_x64(True):
            assert schedule(7).dtype == jnp.float64
            assert schedule(jnp.asarray(2**40)) == schedule(jnp.asarray(MAX))

    def test_compiled_and_batched(self, name: str) -> None:
        schedule = example(name)
        rows = [schedule, *perturbed(schedule)]
        before = rates._cache_size()
        looped = [rates(row, EVERYWHERE) for row in rows]
        assert rates._cache_size() - before <= 1, "new values compile again"
        assert ulps(looped[0], schedule(EVERYWHERE)) <= 4
        batched = jax.vmap(rates, in_axes=(0, None))(jax.tree.map(lambda *x: np.stack(x), *rows), EVERYWHERE)
        for one, other in zip(looped, batched, strict=True):
            assert ulps(one, other) <= 4

    def test_new_arguments_do_not_compile_again(self, name: str) -> None:
        if name == "chain":
            again = s.chain(s.linear(1, 10.0), s.untuned_linear_warmup(1, 0.5))
        else:
            arguments = EXAMPLES[name](100)
            swapped = {
                key: float(value) if isinstance(value, int) and not isinstance(value, bool) else value
                for key, value in arguments.items()
            }
            again = getattr(s, factory(name))(**swapped)
        rates(example(name), EVERYWHERE)
        before = rates._cache_size()
        rates(again, EVERYWHERE)
        assert rates._cache_size() == before

    def test_never_negative_nor_nan(self, name: str) -> None:
        schedule = example(name)
        leaves, structure = jax.tree.flatten(schedule)
        counts = [i for i, leaf in enumerate(leaves) if leaf.dtype == np.int32]
        zero = [np.zeros_like(leaf) if i in counts else leaf for i, leaf in enumerate(leaves)]
        cases = [leaves, zero]
        for i in counts:
            for length in (0, 1, MAX):
                cases.append([*leaves[:i], np.full_like(leaves[i], length), *leaves[i + 1 :]])
        for case in cases:
            values = np.asarray(rates(structure.unflatten(case), EVERYWHERE))
            assert (np.isfinite(values) & (values >= 0)).all(), case

    def test_gradients(self, name: str) -> None:
        """By each float, against differences in float64 off the kinks, and finite at every step."""
        steps = jnp.array([3, 17, 43, 61, 71, 87, 93, 104, 163])
        with jax.enable_x64(True):
            leaves, structure = jax.tree.flatten(example(name))
            leaves = [jnp.asarray(leaf) for leaf in leaves]
            floats = [i for i, leaf in enumerate(leaves) if leaf.dtype == jnp.float64]

            def at(values: list[jax.Array], where: jax.Array) -> jax.Array:
                numbers = list(leaves)
                for i, value in zip(floats, values, strict=True):
                    numbers[i] = value
                return structure.unflatten(numbers)(where)

            point = [leaves[i] for i in floats]
            everywhere = jax.grad(lambda v: at(v, EVERYWHERE).sum())(point)
            assert all(np.isfinite(g).all() for g in everywhere)
            found = jax.jacfwd(lambda v: at(v, steps))(point)
            for i, value in enumerate(point):
                if not np.isfinite(value).all():
                    continue
                step = 1e-6 * jnp.maximum(jnp.abs(value), 1e-3)
                for index in np.ndindex(value.shape):
                    moved = [jnp.zeros_like(v) for v in point]
                    moved[i] = moved[i].at[index].set(step[index])
                    up = at([v + m for v, m in zip(point, moved, strict=True)], steps)
                    down = at([v - m for v, m in zip(point, moved, strict=True)], steps)
                    expected = (up - down) / (2 * step[index])
                    np.testing.assert_allclose(
                        found[i][(slice(None), *index)], expected, rtol=1e-5, atol=1e-8, err_msg=f"leaf {i}"
                    )

    def test_inside_optax(self, name: str) -> None:
        schedule = example(name)
        params = {"a": jnp.ones(2), "b": jnp.ones(2)}
        grads = jax.tree.map(jnp.ones_like, params)
        injected = optax.inject_hyperparams(optax.sgd)(learning_rate=schedule)
        chained = optax.chain(optax.scale_by_schedule(schedule), optax.scale(-1.0))
        parts = optax.multi_transform({"x": optax.sgd(schedule), "y": optax.sgd(0.5)}, {"a": "x", "b": "y"})
        for tx, b in ((injected, None), (chained, None), (parts, 0.5)):
            updates, state = tx.update(grads, tx.init(params), params)
            updates, state = tx.update(grads, state, params)
            np.testing.assert_allclose(updates["a"], -np.full(2, schedule(1)), rtol=1e-6)
            np.testing.assert_allclose(updates["b"], -np.full(2, schedule(1) if b is None else b), rtol=1e-6)

    def test_docstring(self, name: str) -> None:
        doc = inspect.getdoc(getattr(s, factory(name)))
        assert doc is not None
        order = [doc.find(part) for part in ("`lr", "Args:", "Returns:", "Raises:", "Example:")]
        assert order[1:] == sorted(order[1:])
        assert -1 not in order[1:]
        assert "`" in doc[: order[1]], "no formula"
