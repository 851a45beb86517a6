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
EVERYWHERE = jnp.array([*range(125), 153, 199, 2**24 - 1, 2**24 + 1, 2**24 + 99, 2**30 + 1, MAX - 1, MAX], jnp.int32)

# One size of batch for all schedules: what JAX has compiled for one then serves the next.
ROWS = 12


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
        assert len(rows) <= ROWS
        padded = rows + [schedule] * (ROWS - len(rows))
        batched = jax.vmap(lambda row: row(EVERYWHERE))(jax.tree.map(lambda *x: np.stack(x), *padded))
        for one, other in zip(looped, batched, strict=False):
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
        off_kinks = np.searchsorted(EVERYWHERE, [3, 17, 43, 61, 71, 87, 93, 104, 153])
        with jax.enable_x64(True):
            leaves, structure = jax.tree.flatten(example(name))
            leaves = [jnp.asarray(leaf) for leaf in leaves]
            floats = [i for i, leaf in enumerate(leaves) if leaf.dtype == jnp.float64]
            sizes = np.cumsum([leaves[i].size for i in floats])
            point = jnp.concatenate([leaves[i].ravel() for i in floats])
            bounded = np.flatnonzero(np.isfinite(point))

            def at(values: jax.Array) -> jax.Array:
                numbers = list(leaves)
                for i, value in zip(floats, jnp.split(values, sizes[:-1]), strict=True):
                    numbers[i] = value.reshape(leaves[i].shape)
                return structure.unflatten(numbers)(EVERYWHERE)

            # One row for each step off the kinks, and one for all steps together.
            rows = jnp.eye(len(EVERYWHERE))[off_kinks]
            rows = jnp.concatenate([rows, jnp.ones((1, len(EVERYWHERE)))])
            found = np.stack(jax.vmap(jax.vjp(at, point)[1])(rows)[0])[:, bounded]
            assert np.isfinite(found).all()
            assert len(point) <= ROWS
            step = 1e-6 * jnp.maximum(jnp.abs(jnp.where(jnp.isfinite(point), point, 0)), 0.1)
            moves = jnp.eye(ROWS, len(point)) * step
            difference = jax.vmap(at)(point + moves) - jax.vmap(at)(point - moves)
            expected = difference[bounded][:, off_kinks] / (2 * step[bounded, None])
            np.testing.assert_allclose(found[:-1].T, expected, rtol=1e-5, atol=1e-8, err_msg=str(bounded))

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
