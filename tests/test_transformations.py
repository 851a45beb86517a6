"""What every Optax transformation of jaxlr promises, whatever it is inside of."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import jaxlr
from jaxlr import optimizers, schedules
from jaxlr.inject import by_path, current_lr, injected, layerwise_decay, per_group, width_multipliers, with_lr
from jaxlr.plateau import SEMANTICS, accumulate, accumulate_on_plateau, reduce_on_plateau, scale_by_plateau

PARAMS = {"w": jnp.ones((3, 3)), "b": jnp.ones(2)}
GRADS = jax.tree.map(jnp.ones_like, PARAMS)
RULE = reduce_on_plateau(factor=0.5, patience=1, min_value=0.125, trend=True)
RATE = jnp.float32(0.1)
LINE = schedules.linear(0.1, 10)
LABELS = {"w": "a", "b": "b"}

EVERY = {
    **{name: optimizers.get(name, RATE) for name in optimizers.names},
    "sgd, momentum": optimizers.sgd(RATE, momentum=0.9),
    "sgd, schedule": optimizers.sgd(optax.constant_schedule(RATE)),
    "sgd, zero": optimizers.sgd(0.0),
    "injected": injected(optax.adam, learning_rate=RATE, b1=0.9),
    "injected schedule": injected(optax.adam, learning_rate=optax.constant_schedule(RATE)),
    "per_group": per_group(optax.sgd, {"a": RATE, "b": None}, LABELS),
    "per_group, unused group": per_group(optimizers.adam, {"a": 0.1, "b": LINE}, "a"),
    "per_group, own optimizer": per_group(optax.adamw, {"a": injected(optax.contrib.muon, learning_rate=RATE)}, "a"),
    "scale_by_plateau": scale_by_plateau(RULE, accumulation_size=2),
    "accumulate_on_plateau": accumulate_on_plateau(optimizers.adam(RATE), RULE),
    "accumulate": accumulate(optimizers.adam(RATE), schedules.linear(1.0, 10, 4.0), scaling="sqrt"),
}


@pytest.fixture(params=EVERY)
def tx(request: pytest.FixtureRequest) -> Any:
    return EVERY[request.param]


def types(tree: Any) -> Any:
    return jax.tree.structure(tree), [(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(tree)]


def test_an_update_keeps_structure_shapes_and_types(tx: Any) -> None:
    state = tx.init(PARAMS)
    updates, new = tx.update(GRADS, state, PARAMS, value=1.0)
    assert types(new) == types(state)
    assert types(updates) == types(GRADS)


@pytest.mark.parametrize("empty", [{}, (), {"w": None}, {"w": optax.MaskedNode()}, [{}, {"b": {}}]])
def test_a_tree_without_parameters_keeps_the_structure(tx: Any, empty: Any) -> None:
    if tx is EVERY["per_group"]:
        tx = per_group(optax.sgd, {"a": RATE, "b": None}, "a")
    state = tx.init(empty)
    updates, new = tx.update(empty, state, empty, value=1.0)
    assert types(new) == types(state)
    assert types(updates) == types(empty)


def test_all_frozen_and_unused_groups_keep_the_structure(tx: Any) -> None:
    masks = {"all frozen": {"w": False, "b": False}, "one": {"w": True, "b": False}}
    inner = per_group(optax.sgd, {"a": RATE, "b": None}, "a") if tx is EVERY["per_group"] else tx
    for mask in masks.values():
        masked = optax.masked(inner, mask)
        state = masked.init(PARAMS)
        assert types(masked.update(GRADS, state, PARAMS, value=1.0)[1]) == types(state)
    grouped = optax.multi_transform({"used": inner, "unused": inner}, "used")
    state = grouped.init(PARAMS)
    assert types(grouped.update(GRADS, state, PARAMS, value=1.0)[1]) == types(state)


def test_a_state_can_be_donated_from_the_first_on(tx: Any) -> None:
    """No two leaves are one buffer, and none is an array of the user's."""
    update = jax.jit(lambda state: tx.update(GRADS, state, PARAMS, value=1.0)[1], donate_argnums=0)
    for _ in range(2):
        state = tx.init(PARAMS)
        pointers = [leaf.unsafe_buffer_pointer() for leaf in jax.tree.leaves(state) if leaf.size]
        assert len(set(pointers)) == len(pointers)
        assert RATE.unsafe_buffer_pointer() not in pointers
        update(update(state))
    assert float(RATE) == np.float32(0.1)


def test_extra_arguments_reach_and_trouble_nobody(tx: Any) -> None:
    """Frameworks pass `value=` always, and others with it."""
    seen: dict[str, Any] = {}

    def watch(updates: Any, state: Any, params: Any = None, **extra_args: Any) -> Any:
        seen.update(extra_args)
        return updates, state

    watcher = optax.GradientTransformationExtraArgs(lambda params: optax.EmptyState(), watch)
    chained = optax.chain(tx, watcher)
    chained.update(GRADS, chained.init(PARAMS), PARAMS, value=jnp.float32(1), grad=GRADS, unknown=3)
    assert set(seen) == {"value", "grad", "unknown"}


WRAPPERS = {
    "injected": lambda make: injected(make, learning_rate=0.1),
    "per_group": lambda make: per_group(make, {"a": 0.1, "b": 0.2}, LABELS),
    "accumulate_on_plateau": lambda make: accumulate_on_plateau(make(0.1), RULE),
    "accumulate": lambda make: accumulate(make(0.1), schedules.constant(1.0)),
}


@pytest.mark.parametrize("name", WRAPPERS)
def test_what_wraps_an_optimizer_hands_it_the_value(name: str) -> None:
    def needy(learning_rate: Any) -> optax.GradientTransformationExtraArgs:
        def update(updates: Any, state: Any, params: Any = None, *, value: Any, **extra_args: Any) -> Any:
            return jax.tree.map(lambda u: u * value * learning_rate, updates), state

        return optax.GradientTransformationExtraArgs(lambda params: optax.EmptyState(), update)

    tx = WRAPPERS[name](needy)
    updates, _ = tx.update(GRADS, tx.init(PARAMS), PARAMS, value=jnp.float32(2))
    np.testing.assert_allclose(updates["w"], 0.2, rtol=1e-6)


# --- Injected numbers are floats


@pytest.mark.parametrize(
    "rate",
    [1, np.int64(1), np.float32(1), np.array(1), jnp.int32(1), jnp.bfloat16(1), lambda step: 1],
    ids=["int", "int64", "float32", "array", "of JAX", "bfloat16", "schedule"],
)
def test_an_injected_rate_of_any_type_is_a_float(rate: Any) -> None:
    tx = injected(optax.sgd, learning_rate=rate)
    state = tx.init(PARAMS)
    assert current_lr(state) == 1.0
    assert state.hyperparams["learning_rate"].dtype == jnp.float32
    if not callable(rate):
        state = with_lr(state, 0.5)
        updates, after = tx.update(GRADS, state, PARAMS)
        assert current_lr(after) == 0.5
        assert updates["b"][0] == -0.5


@pytest.mark.parametrize("value", [0.5, np.float64(0.5), jnp.float32(0.5), 2, jnp.int32(2)])
def test_an_integer_in_the_state_of_optax_becomes_a_float(value: Any) -> None:
    tx = optax.inject_hyperparams(optax.sgd)(learning_rate=1)
    state = with_lr(tx.init(PARAMS), value)
    assert current_lr(state) == float(value)
    assert tx.update(GRADS, state, PARAMS)[0]["b"][0] == -float(value)


# --- Groups


def test_groups_in_groups_are_read_and_set() -> None:
    inner = per_group(optax.sgd, {"x": 0.1, "y": 0.2}, {"w": "x", "b": "y"})
    tx = optax.multi_transform(
        {"in": inner, "out": injected(optax.sgd, learning_rate=0.3), "frozen": optax.set_to_zero()},
        {"w": "in", "b": "in", "c": "out", "d": "frozen"},
    )
    params = {**PARAMS, "c": jnp.ones(1), "d": jnp.ones(1)}
    tx = optax.chain(tx, scale_by_plateau(RULE))
    state = tx.init(params)
    for read in (current_lr, jax.jit(current_lr)):
        rates = read(state)
        np.testing.assert_allclose([rates["in"]["x"], rates["in"]["y"], rates["out"]], [0.1, 0.2, 0.3], rtol=1e-6)
        assert np.isnan(rates["frozen"])
    everywhere = current_lr(with_lr(state, 0.5))
    assert (everywhere["in"], everywhere["out"]) == ({"x": 0.5, "y": 0.5}, 0.5)
    one = current_lr(with_lr(state, {"in": {"y": 0.7}}))
    np.testing.assert_allclose([one["in"]["x"], one["in"]["y"], one["out"]], [0.1, 0.7, 0.3], rtol=1e-6)
    same = current_lr(with_lr(state, current_lr(state)))
    jax.tree.map(np.testing.assert_array_equal, same, current_lr(state))


def test_muon_has_groups_of_its_own() -> None:
    line = optax.linear_schedule(1.0, 0.0, 10)
    muon = optax.contrib.muon(line)
    assert current_lr(muon.init(PARAMS), line) == {"muon": 1.0, "adam": 1.0}
    tx = optax.multi_transform({"a": muon, "b": injected(optax.sgd, learning_rate=0.5)}, LABELS)
    state = tx.init(PARAMS)
    rates = current_lr(state, {"a": line, "b": None})
    assert rates == {"a": {"muon": 1.0, "adam": 1.0}, "b": 0.5}
    assert current_lr(with_lr(state, 0.25))["b"] == 0.25


def test_groups_of_what_holds_no_rate_do_not_count() -> None:
    decay = optax.multi_transform({"yes": optax.add_decayed_weights(0.1), "no": optax.identity()}, "yes")
    tx = optax.chain(decay, per_group(optax.sgd, {"a": 0.1, "b": 0.2}, LABELS))
    state = tx.init(PARAMS)
    np.testing.assert_allclose(current_lr(state)["b"], 0.2, rtol=1e-6)
    assert current_lr(with_lr(state, {"b": 0.5}))["b"] == 0.5
    plain = optax.multi_transform({"a": optax.sgd(0.1), "b": optax.sgd(0.2)}, LABELS).init(PARAMS)
    with pytest.raises(ValueError, match="must hold one injected learning rate, got 0"):
        with_lr(plain, 0.5)
    with pytest.raises(ValueError, match="a number or a schedule where there are no groups"):
        current_lr(optax.sgd(0.1).init(PARAMS), {"a": 0.1})


def test_none_freezes_a_group() -> None:
    tx = per_group(optax.adamw, {"a": None, "b": 0.1}, LABELS)
    state = tx.init(PARAMS)
    updates, state = tx.update(GRADS, state, PARAMS)
    assert not updates["w"].any()
    assert updates["b"].all()
    assert np.isnan(current_lr(state)["a"])


def test_each_group_has_an_optimizer_and_a_rate_of_its_own() -> None:
    params = {
        "embed": jnp.ones((5, 2)),
        "blocks": [{"kernel": jnp.eye(2), "bias": jnp.zeros(2)}, {"kernel": jnp.eye(2), "bias": jnp.zeros(2)}],
    }

    def of(matrices: Any) -> optax.GradientTransformationExtraArgs:
        muon = injected(optax.contrib.muon, learning_rate=matrices)
        labels = by_path({"embed*": "frozen", "*/kernel": "matrices"}, otherwise="rest")
        return per_group(optax.adamw, {"matrices": muon, "rest": LINE, "frozen": None}, labels)

    def steps(matrices: Any) -> Any:
        tx = of(matrices)
        updates, state = tx.update(jax.tree.map(jnp.ones_like, params), tx.init(params), params)
        return updates, current_lr(state)

    updates, rates = steps(0.02)
    assert not updates["embed"].any()
    alone = optax.contrib.muon(0.02)
    ones = jnp.ones((2, 2))
    expected, _ = alone.update(ones, alone.init(jnp.eye(2)), jnp.eye(2))
    np.testing.assert_allclose(updates["blocks"][1]["kernel"], expected, rtol=1e-5)
    np.testing.assert_allclose(updates["blocks"][0]["bias"], -0.1, rtol=1e-3)
    np.testing.assert_allclose([rates["matrices"], rates["rest"]], [0.02, 0.1], rtol=1e-6)
    swept, read = jax.vmap(steps)(jnp.array([0.02, 0.04]))
    np.testing.assert_allclose(swept["blocks"][1]["kernel"][1], 2 * expected, rtol=1e-5)
    np.testing.assert_allclose(read["matrices"], [0.02, 0.04], rtol=1e-6)


@pytest.mark.parametrize(
    ("patterns", "otherwise", "words"),
    [
        ({}, None, "patterns must hold at least one"),
        ({"*": "a", "weights": "b"}, None, "must match a parameter each, got 'weights' for b, w"),
        ({"w": "a"}, None, "must match every parameter or otherwise be given, got none for b"),
    ],
)
def test_patterns_that_do_not_fit_are_refused(patterns: Any, otherwise: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        by_path(patterns, otherwise)(PARAMS)


def test_the_first_pattern_counts() -> None:
    assert by_path({"w": "a", "[bw]": "b"})(PARAMS) == {"w": "a", "b": "b"}


DEEP = {"embed": jnp.ones(2), "blocks": [jnp.ones(2), jnp.ones(2)], "head": jnp.ones(2)}
LAYERS = ["embed*", "blocks/0*", "blocks/1*"]


@pytest.mark.parametrize("rate", [1.0, jnp.float32(1), schedules.linear(2.0, 2), optax.linear_schedule(2.0, 0.0, 2)])
def test_layerwise_decay(rate: Any) -> None:
    def step(decay: Any) -> Any:
        tx = per_group(optax.sgd, *layerwise_decay(rate, decay, LAYERS))
        _, state = tx.update(DEEP, tx.init(DEEP), DEEP)
        updates, state = tx.update(DEEP, state, DEEP)
        return jax.tree.map(lambda update: -update[0], updates), current_lr(state)

    updates, rates = step(0.5)
    assert updates == {"embed": 0.125, "blocks": [0.25, 0.5], "head": 1.0}
    assert rates == {"embed*": 0.125, "blocks/0*": 0.25, "blocks/1*": 0.5, "rest": 1.0}
    swept, _ = jax.vmap(step)(jnp.array([0.5, 0.75]))
    np.testing.assert_allclose(swept["embed"], [0.5**3, 0.75**3], rtol=1e-6)
    np.testing.assert_allclose(jax.grad(lambda d: step(d)[0]["embed"])(0.5), 3 * 0.5**2, rtol=1e-5)


def test_layerwise_decay_is_swept_and_its_rate_recorded(blobs: Any) -> None:
    def optimizer(learning_rate: Any, decay: Any) -> Any:
        return per_group(optax.adam, *layerwise_decay(learning_rate, decay, ["*layer_0*"]))

    run = jaxlr.experiment(blobs, optimizer, schedule=lambda lr: schedules.linear(lr, schedules.run), epochs=2)
    ds = jaxlr.sweep(run, jaxlr.grid(lr=[0.01], decay=[0.1, 1.0]), seeds=1, devices=1)
    assert ds.attrs["compilations"] == 1
    np.testing.assert_allclose(ds["rate"].isel(epoch=0), 0.01 * 17 / 32, rtol=1e-6)
    assert (ds["loss"].sel(decay=0.1) != ds["loss"].sel(decay=1.0)).all()


def wide(width: int) -> Any:
    def init() -> Any:
        return {
            "in": {"kernel": jnp.ones((8, width)), "bias": jnp.ones(width)},
            "attention": jnp.ones((width, width // 16, 16)),
            "hidden": {"kernel": jnp.ones((width, 4 * width)), "norm": jnp.ones(3)},
            "out": {"kernel": jnp.ones((width, 3)), "bias": jnp.ones(3)},
        }

    return jax.eval_shape(init)


EXPECTED = {
    "adam": {"in": (1, 1), "attention": 0.25, "hidden": (0.25, 1), "out": (1, 1)},
    "sgd": {"in": (4, 4), "attention": 1, "hidden": (1, 1), "out": (4, 1)},
}


@pytest.mark.parametrize("rule", EXPECTED)
def test_width_multipliers_are_those_of_the_table(rule: str) -> None:
    groups, labels = width_multipliers(0.5, wide(256), wide(64), rule=rule)
    rates = jax.tree.map(lambda label: groups[label] / 0.5, labels)
    assert rates == {
        "in": {"kernel": EXPECTED[rule]["in"][0], "bias": EXPECTED[rule]["in"][1]},
        "attention": EXPECTED[rule]["attention"],
        "hidden": {"kernel": EXPECTED[rule]["hidden"][0], "norm": EXPECTED[rule]["hidden"][1]},
        "out": {"kernel": EXPECTED[rule]["out"][0], "bias": EXPECTED[rule]["out"][1]},
    }


def test_width_multipliers_of_schedules_and_of_flax_nnx() -> None:
    params = nnx.state(nnx.Linear(8, 8, rngs=nnx.Rngs(0)))
    base = nnx.state(nnx.Linear(2, 2, rngs=nnx.Rngs(0)))
    tx = per_group(optax.sgd, *width_multipliers(LINE, params, base))
    updates, state = tx.update(jax.tree.map(jnp.ones_like, params), tx.init(params), params)
    np.testing.assert_allclose(-updates["kernel"].get_value(), 0.1 / 4, rtol=1e-6)
    np.testing.assert_allclose(-updates["bias"].get_value(), 0.1, rtol=1e-6)
    np.testing.assert_allclose([current_lr(state)["0.25"], current_lr(state)["1"]], [0.025, 0.1], rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: layerwise_decay(1.0, -0.5, LAYERS), "decay must be zero or more, got -0.5"),
        (lambda: layerwise_decay(1.0, 0.5, []), "patterns must hold at least one"),
        (lambda: width_multipliers(1.0, PARAMS, {"w": PARAMS["w"]}), "a tree of the same structure"),
        (lambda: width_multipliers(1.0, PARAMS, PARAMS, rule="lion"), "rule must be one of adam, sgd"),
        (lambda: width_multipliers(1.0, {"w": jnp.ones((2, 2, 2))}, {"w": jnp.ones((1, 1, 1))}), "at most two sides"),
        (lambda: width_multipliers(1.0, {"w": jnp.ones((2, 2))}, {"w": jnp.ones(2)}), "at most two sides"),
    ],
)
def test_groups_that_cannot_be_are_refused(call: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        call()


class Net(nnx.Module):
    def __init__(self) -> None:
        rngs = nnx.Rngs(0)
        self.layers = nnx.List([nnx.Linear(2, 2, rngs=rngs), nnx.Linear(2, 2, rngs=rngs)])

    def __call__(self, x: jax.Array) -> jax.Array:
        for layer in self.layers:
            x = layer(x)
        return x


LAYER = {"kernel": "a", "bias": "b"}


@pytest.mark.parametrize(
    "labels",
    [{"layers": {0: LAYER, 1: "b"}}, {"layers": [LAYER, "b"]}, by_path({"*0/kernel": "a"}, otherwise="b")],
    ids=["keys", "places", "patterns"],
)
def test_labels_under_flax_nnx(labels: Any) -> None:
    net = Net()
    optimizer = nnx.Optimizer(net, per_group(optax.sgd, {"a": 0.5, "b": None}, labels), wrt=nnx.Param)
    before = nnx.to_pure_dict(nnx.state(net, nnx.Param))
    grads = nnx.grad(lambda net: (net(jnp.ones((1, 2))) ** 2).sum())(net)
    optimizer.update(net, grads)
    after = nnx.to_pure_dict(nnx.state(net, nnx.Param))
    moved = jax.tree.map(lambda a, b: bool((a != b).any()), before, after)
    assert moved == {
        "layers": {0: {"kernel": True, "bias": False}, 1: {"kernel": False, "bias": False}},
    }
    rates = current_lr(optimizer.opt_state)
    assert rates["a"] == 0.5
    assert current_lr(with_lr(optimizer.opt_state, {"a": 0.25}))["a"] == 0.25


def test_a_parameter_without_a_label_is_named() -> None:
    tx = per_group(optax.sgd, {"a": 0.5}, {"layers": {0: LAYER}})
    with pytest.raises(ValueError, match="got none for layers/1/bias"):
        nnx.Optimizer(Net(), tx, wrt=nnx.Param)


# --- Metrics


@pytest.mark.parametrize("metric", [1.0, 1, np.float64(1), jnp.ones(1), jnp.ones((1, 1)), np.ones(1), jnp.bfloat16(1)])
def test_metrics_of_one_number_keep_the_state(metric: Any) -> None:
    state = RULE.init(metric)
    assert types(RULE.update(state, metric)) == types(state)
    for tx in (scale_by_plateau(RULE, accumulation_size=2), accumulate_on_plateau(optax.sgd(0.1), RULE)):
        before = tx.init(PARAMS)
        assert types(tx.update(GRADS, before, PARAMS, value=metric)[1]) == types(before)


def test_metrics_of_several_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match=r"metric must be a scalar, got an array of shape \(2,\)"):
        RULE.update(RULE.init(), jnp.ones(2))
    with pytest.raises(ValueError, match=r"value must be a scalar, got an array of shape \(0,\)"):
        scale_by_plateau(RULE).update(GRADS, scale_by_plateau(RULE).init(PARAMS), value=jnp.ones(0))


@pytest.mark.parametrize("semantics", SEMANTICS)
def test_every_rule_can_be_donated_and_keeps_its_types(semantics: str) -> None:
    rule = reduce_on_plateau(semantics=semantics, trend=semantics == "default")
    update = jax.jit(rule.update, donate_argnums=0)
    state = rule.init(RATE)
    pointers = [leaf.unsafe_buffer_pointer() for leaf in jax.tree.leaves(state)]
    assert len(set(pointers)) == len(pointers)
    assert RATE.unsafe_buffer_pointer() not in pointers
    before = types(state)
    for metric in (1.0, jnp.ones((1,)), math.nan):
        state = update(state, metric)
        assert types(state) == before


@pytest.mark.parametrize("semantics", [one for one in SEMANTICS if one != "optax"])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", range(4))
def test_a_bad_value_is_left_out_of_its_window(bad: float, place: int, semantics: str) -> None:
    values = [4.0, 2.0, 3.0, 7.0]
    values[place] = bad
    tx = scale_by_plateau(reduce_on_plateau(factor=0.5, patience=1, semantics=semantics), accumulation_size=4)

    def step(state: Any, value: jax.Array) -> Any:
        return tx.update(GRADS, state, value=value)[1], None

    state, _ = jax.lax.scan(step, tx.init(PARAMS), jnp.array(values))
    np.testing.assert_allclose(state.plateau.best, np.mean([v for v in values if math.isfinite(v)]), rtol=1e-6)
    assert (state.plateau.nan_events, state.plateau.updates, state.gathered, state.finite) == (1, 1, 0, 0)


def test_a_window_without_finite_values_is_one_event_each() -> None:
    tx = scale_by_plateau(reduce_on_plateau(factor=0.5, patience=1), accumulation_size=3)
    state = tx.init(PARAMS)
    for _ in range(6):
        _, state = tx.update(GRADS, state, value=math.nan)
    assert (state.plateau.nan_events, state.plateau.updates) == (6, 2)
    assert (state.plateau.value, state.plateau.best) == (1.0, jnp.inf)
