"""One training: the epoch against a plain loop, who gets which hyperparameter, which rate is recorded."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen

import jaxlr
from jaxlr import experiment, grid, optimizers, reduce_on_plateau, schedules, sweep, tasks
from jaxlr.runs import RECORDS, evaluate, shuffle, updates

X = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
Y = np.arange(50) % 3
KEY = jax.random.key(0)


class Net(linen.Module):
    norm: bool = False

    @linen.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        x = linen.Dense(6)(x)
        x = linen.BatchNorm(use_running_average=not train)(x) if self.norm else x
        return linen.Dense(3)(linen.relu(x))


def small(norm: bool = False) -> tasks.Task:
    return tasks.classification(Net(norm), X, Y, X[:20], Y[:20])


def by_hand(task: tasks.Task, transformation: Any, order: np.ndarray, batch_size: int) -> dict[str, float]:
    """An epoch as a plain Python loop over batches of their own size."""
    params, state = task.init(KEY), task.init_state(KEY)
    opt_state = transformation.init(params)
    sums: dict[str, float] = {}
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        ones = jnp.ones(len(rows))

        def loss(params: Any, rows: Any = rows, ones: Any = ones, state: Any = state) -> Any:
            value, metrics, new = task.loss(params, state, task.x[rows], task.y[rows], ones, KEY)
            return value, (metrics, new)

        (value, (metrics, state)), grads = jax.value_and_grad(loss, has_aux=True)(params)
        for name, metric in {"loss": value, **metrics}.items():
            sums[name] = sums.get(name, 0.0) + float(metric) * len(rows) / len(order)
        updates, opt_state = transformation.update(grads, opt_state, params)
        params = optax.apply_updates(params, updates)
    value, metrics, _ = task.loss(params, state, task.x_test, task.y_test, jnp.ones(20), None)
    return {**sums, **{f"val_{name}": float(metric) for name, metric in {"loss": value, **metrics}.items()}}


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("batch_size", [7, 10, 50, 64])
def test_an_epoch_is_the_plain_loop(norm: bool, batch_size: int) -> None:
    order = np.random.default_rng(1).permutation(50)
    task = small(norm)
    run = experiment(task, optax.sgd, epochs=1, batch_size=batch_size, order=lambda key, epoch: jnp.asarray(order))
    hp = {"learning_rate": 0.05}
    carry, metrics = jax.jit(lambda: run.advance(run.init(KEY, hp), KEY, hp))()
    expected = by_hand(task, optax.sgd(0.05), order, batch_size)
    assert set(metrics) == {*expected, "rate"}
    for name, value in expected.items():
        assert float(metrics[name]) == pytest.approx(value, rel=2e-4, abs=1e-5), name
    assert int(carry.step) == -(-50 // batch_size)


def test_evaluation_in_blocks_is_evaluation_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for task in (small(), tasks.classification(tasks.MLP((6,)), X, Y, X, Y)):
        params, state = task.init(KEY), task.init_state(KEY)
        whole = evaluate(task, params, state, test=True)
        monkeypatch.setattr(updates, "_AT_ONCE", 8)
        blocks = evaluate(task, params, state, test=True)
        monkeypatch.undo()
        for name in whole:
            assert float(blocks[name]) == pytest.approx(float(whole[name]), rel=1e-5)


def test_without_test_data_there_are_no_test_metrics() -> None:
    run = experiment(tasks.classification(tasks.MLP((4,)), X, Y), optax.sgd, epochs=1)
    hp = {"learning_rate": 0.1}
    assert set(run.advance(run.init(KEY, hp), KEY, hp)[1]) == {"loss", "accuracy", "rate"}


def test_the_order_is_given_the_epoch_from_one() -> None:
    seen: list[int] = []

    def order(key: jax.Array, epoch: jax.Array) -> jax.Array:
        seen.append(int(epoch))
        return jnp.arange(50)

    run = experiment(tasks.classification(tasks.MLP((4,)), X, Y), optax.sgd, epochs=3, batch_size=16, order=order)
    hp = {"learning_rate": 0.1}
    carry = run.init(KEY, hp)
    for _ in range(3):
        carry, _ = run.advance(carry, KEY, hp)
    assert seen == [1, 2, 3]


@pytest.mark.parametrize("n", [1, 2, 3, 500, 4096, 5000])
def test_shuffle_is_a_permutation(n: int) -> None:
    assert sorted(shuffle(KEY, n).tolist()) == list(range(n))


def test_shuffle_is_uniform() -> None:
    keys = jax.random.split(KEY, 20_000)
    orders = np.asarray(jax.vmap(lambda key: shuffle(key, 4))(keys))
    codes = np.unique(orders @ [64, 16, 4, 1], return_counts=True)[1]
    assert len(codes) == 24
    # 23 degrees of freedom: above 49.7 in one of 1,000 uniform shuffles.
    assert ((codes - 20_000 / 24) ** 2 / (20_000 / 24)).sum() < 49.7


def rate_after(optimizer: Any, hp: dict[str, Any], **slots: Any) -> float:
    run = experiment(tasks.classification(tasks.MLP((4,)), X, Y), optimizer, epochs=1, batch_size=10, **slots)
    return float(run.advance(run.init(KEY, hp), KEY, hp)[1]["rate"])


def test_the_recorded_rate_is_known_not_guessed() -> None:
    decay = schedules.time_decay
    fifth = float(decay(0.1, 1.0)(4))
    assert rate_after(optax.sgd, {"learning_rate": 0.3}) == pytest.approx(0.3)
    assert rate_after(optax.sgd, {"init_value": 0.1, "decay": 1.0}, schedule=decay) == pytest.approx(fifth)
    assert rate_after(lambda lr, d: optimizers.sgd(decay(lr, d)), {"lr": 0.1, "d": 1.0}) == pytest.approx(fifth)
    assert rate_after(lambda lr: optax.inject_hyperparams(optax.sgd)(lr), {"lr": 0.2}) == pytest.approx(0.2)
    assert rate_after(lambda lr: (optax.sgd(decay(lr, 1.0)), decay(lr, 1.0)), {"lr": 0.1}) == pytest.approx(fifth)
    assert rate_after(optimizers.get, {"name": "adam"}) == pytest.approx(0.001)
    assert np.isnan(rate_after(lambda lr: optax.sgd(decay(lr, 1.0)), {"lr": 0.1}))


def test_a_plateau_changes_the_rate_inside_the_velocity() -> None:
    """With momentum, scaling the update instead of the rate would give another step."""
    task = tasks.classification(tasks.MLP((4,)), X, Y)
    rule = reduce_on_plateau(factor=0.5, patience=1, min_delta=1e9)
    order = lambda key, epoch: jnp.arange(50)  # noqa: E731
    shared = {"epochs": 3, "batch_size": 50, "order": order}
    lowered = experiment(task, optimizers.sgd, plateau=rule, **shared)
    hp = {"learning_rate": 0.4, "momentum": 0.9}
    carry, rates = lowered.init(KEY, hp), []
    for _ in range(3):
        carry, metrics = lowered.advance(carry, KEY, hp)
        rates.append(float(metrics["rate"]))
    assert rates == pytest.approx([0.4, 0.4, 0.2])
    scheduled = experiment(
        task, optimizers.sgd, schedule=lambda: lambda step: jnp.array([0.4, 0.4, 0.2])[step], **shared
    )
    other = scheduled.init(KEY, {"momentum": 0.9})
    for _ in range(3):
        other, _ = scheduled.advance(other, KEY, {"momentum": 0.9})
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7), carry.params, other.params)


def test_a_plateau_multiplies_a_schedule() -> None:
    rule = reduce_on_plateau(factor=0.5, patience=1, min_delta=1e9)
    hp = {"init_value": 0.1, "decay": 0.0}
    run = experiment(
        tasks.classification(tasks.MLP((4,)), X, Y), optax.sgd, schedule=schedules.time_decay, plateau=rule, epochs=3
    )
    carry, rates = run.init(KEY, hp), []
    for _ in range(4):
        carry, metrics = run.advance(carry, KEY, hp)
        rates.append(float(metrics["rate"]))
    assert rates == pytest.approx([0.1, 0.1, 0.05, 0.025])


def test_the_best_weights_come_back_at_a_reduction() -> None:
    rule = reduce_on_plateau(factor=0.5, patience=2, min_delta=0.0, restore_best=True)
    run = experiment(small(), optax.sgd, plateau=rule, epochs=8, batch_size=10)
    hp = {"learning_rate": 20.0}
    carry = run.init(KEY, hp)
    seen, restored = [], 0
    for epoch in range(8):
        carry, metrics = run.advance(carry, jax.random.key(epoch), hp)
        seen.append(float(metrics["val_loss"]))
        if bool(carry.plateau.reduced):
            task = small()
            again = task.loss(carry.params, {}, task.x_test, task.y_test, jnp.ones(20), None)[0]
            assert float(again) == pytest.approx(min(seen), rel=1e-5)
            restored += 1
    assert restored >= 1


def test_a_training_stops_at_the_floor_of_its_rate() -> None:
    rule = reduce_on_plateau(factor=0.1, patience=1, min_delta=1e9, min_value=0.01, stop=True)
    run = experiment(small(), optax.sgd, plateau=rule, epochs=6)
    ds = jaxlr.sweep(run, jaxlr.grid(learning_rate=[1.0, 0.1]), devices=1)
    assert ds["status"].values.tolist() == [["stopped"], ["stopped"]]
    # Epoch 1 sets the best; each later epoch is bad and lowers the rate at its end, for the next one.
    np.testing.assert_allclose(ds["rate"].sel(learning_rate=1.0, seed=0), [1.0, 1.0, 0.1, *[np.nan] * 3], rtol=1e-6)
    np.testing.assert_allclose(ds["rate"].sel(learning_rate=0.1, seed=0), [0.1, 0.1, *[np.nan] * 4], rtol=1e-6)
    assert not ds["diverged_at"].any()
    np.testing.assert_array_equal(np.isnan(ds["val_loss"]), np.isnan(ds["rate"]))


def test_a_stopped_training_keeps_its_weights() -> None:
    rule = reduce_on_plateau(factor=0.1, patience=1, min_delta=1e9, min_value=0.05, stop=True)
    run = experiment(small(), optax.sgd, plateau=rule, epochs=4)
    hp = {"learning_rate": 0.1}
    carry = run.init(KEY, hp)
    carries = [carry := run.advance(carry, KEY, hp)[0] for _ in range(4)]
    jax.tree.map(np.testing.assert_array_equal, carries[1].params, carries[3].params)
    assert not np.array_equal(carries[0].params["Dense_0"]["kernel"], carries[1].params["Dense_0"]["kernel"])


def test_a_plateau_watches_any_metric() -> None:
    rule = reduce_on_plateau(factor=0.5, patience=1, min_delta=0.0, mode="max")
    run = experiment(small(), optax.sgd, plateau=rule, monitor="val_accuracy", epochs=12, batch_size=10)
    ds = jaxlr.sweep(run, jaxlr.grid(learning_rate=[0.3]), seeds=3, devices=1)
    for seed in range(3):
        accuracy, rate = (ds[name].values[0, seed] for name in ("val_accuracy", "rate"))
        best = np.maximum.accumulate(accuracy)
        bad = np.r_[False, accuracy[1:] <= best[:-1]]
        np.testing.assert_allclose(rate, 0.3 * 0.5 ** np.r_[0, np.cumsum(bad)[:-1]], rtol=1e-5)


@pytest.mark.parametrize(
    ("build", "hp", "error", "message"),
    [
        (
            lambda t: experiment(t, optax.sgd, epochs=0),
            {},
            ValueError,
            "epochs must be an integer of at least 1, got 0",
        ),
        (lambda t: experiment(t, optax.sgd, epochs=2.0), {}, TypeError, "epochs must be an integer"),
        (lambda t: experiment(t, optax.sgd, epochs=1, batch_size=0), {}, ValueError, "batch_size must be"),
        (lambda t: experiment(t, optax.sgd(0.1), epochs=1), {}, TypeError, "optimizer must be a function"),
        (
            lambda t: experiment(t, lambda lr: optax.sgd(lr), schedule=schedules.constant, epochs=1),
            {},
            ValueError,
            "optimizer must take `learning_rate` when a schedule is given, got one that takes lr",
        ),
        (
            lambda t: experiment(t, lambda lr: optax.sgd(lr), plateau=reduce_on_plateau(), epochs=1),
            {},
            ValueError,
            "a plateau must know the learning rate",
        ),
        (lambda t: experiment(t, optax.sgd, epochs=1), {"learning_rate": 0.1, "lr": 1}, ValueError, "got 'lr'"),
        (lambda t: experiment(t, optax.sgd, epochs=1), {"momentum": 0.1}, ValueError, "must have learning_rate"),
        (
            lambda t: experiment(t, optax.sgd, epochs=1),
            {"learning_rate": -0.1},
            ValueError,
            "learning_rate must be zero or more",
        ),
        (
            lambda t: experiment(t, optax.sgd, schedule=schedules.time_decay, epochs=1),
            {"learning_rate": 0.1, "init_value": 0.1, "decay": 0.1},
            ValueError,
            "learning_rate must not be in the space when schedule= gives the rate",
        ),
        (
            lambda t: experiment(t, optax.sgd, plateau=reduce_on_plateau, epochs=1),
            {"learning_rate": 0.1, "patience": -1},
            ValueError,
            "patience",
        ),
        (lambda t: experiment(t, optax.sgd, epochs=1, record=["lr"]), {}, ValueError, "record must be one of initial"),
        (lambda t: experiment(t, lambda: 3, epochs=1), {}, TypeError, "optimizer must give an optax.Gradient"),
    ],
)
def test_bad_input_is_found_without_training(build: Any, hp: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        build(tasks.classification(tasks.MLP((4,)), X, Y)).check(hp)


def test_an_unknown_monitor_is_named() -> None:
    run = experiment(small(), optax.sgd, plateau=reduce_on_plateau(), monitor="f1", epochs=1)
    with pytest.raises(
        ValueError, match="monitor must be one of accuracy, loss, rate, val_accuracy, val_loss; got 'f1'"
    ):
        run.advance(run.init(KEY, {"learning_rate": 0.1}), KEY, {"learning_rate": 0.1})


@pytest.mark.parametrize("norm", [False, True])
def test_more_can_be_recorded(norm: bool) -> None:
    order = np.random.default_rng(1).permutation(50)
    task = small(norm)
    how = {"epochs": 2, "batch_size": 16, "order": lambda key, epoch: jnp.asarray(order)}
    run = experiment(task, optax.sgd, record=RECORDS, **how)
    ds = jaxlr.sweep(run, jaxlr.grid(learning_rate=[0.2, 1e-6]), seeds=2, devices=1)
    plain = jaxlr.sweep(experiment(task, optax.sgd, **how), jaxlr.grid(learning_rate=[0.2, 1e-6]), seeds=2, devices=1)
    np.testing.assert_allclose(ds["loss"], plain["loss"], rtol=1e-5)
    assert ds["step_loss"].dims == ("learning_rate", "seed", "epoch", "batch")
    sizes = np.array([16, 16, 16, 2])
    np.testing.assert_allclose((ds["step_loss"] * sizes).sum("batch") / 50, ds["loss"], rtol=1e-5)
    assert ds["initial_loss"].dims == ds["initial_val_accuracy"].dims == ("learning_rate", "seed")
    np.testing.assert_array_equal(ds["initial_loss"].isel(learning_rate=0), ds["initial_loss"].isel(learning_rate=1))
    if not norm:
        np.testing.assert_allclose(
            ds["initial_loss"].isel(learning_rate=1), ds["loss"].isel(learning_rate=1, epoch=0), rtol=1e-4
        )
    # Plain gradient descent: the update is rate times gradient.
    rate = ds["learning_rate"]
    params = jax.vmap(lambda s: task.init(jax.random.fold_in(jax.random.fold_in(KEY, s), 0)))(jnp.arange(2))
    norms = jax.vmap(optax.tree.norm)(params)
    expected = (rate * ds["gradient_norm"]).sel(learning_rate=1e-6).isel(epoch=0) / np.asarray(norms)
    np.testing.assert_allclose(ds["update_ratio"].sel(learning_rate=1e-6).isel(epoch=0), expected, rtol=1e-3)


@pytest.mark.parametrize("scheduled", [False, True])
def test_a_plateau_lowers_the_rate_of_injected_hyperparameters(blobs, scheduled: bool) -> None:
    def injected(learning_rate: Any) -> optax.GradientTransformation:
        return optax.inject_hyperparams(optax.sgd)(learning_rate=learning_rate, momentum=0.9)

    def plain(learning_rate: Any) -> optax.GradientTransformation:
        return optax.sgd(learning_rate, momentum=0.9)

    def rule() -> Any:
        return reduce_on_plateau(factor=0.1, patience=1, min_delta=10.0)

    options = {"schedule": lambda peak: schedules.cosine_decay(peak, 100)} if scheduled else {}
    name = "peak" if scheduled else "learning_rate"
    found = []
    for optimizer in (injected, plain):
        run = experiment(blobs, optimizer, plateau=rule, epochs=4, **options)
        found.append(sweep(run, grid(**{name: [1e-3]}), devices=1))
    np.testing.assert_allclose(found[0]["loss"], found[1]["loss"], rtol=1e-5)
    np.testing.assert_allclose(found[0]["rate"], found[1]["rate"], rtol=1e-6)
    rates = found[0]["rate"].values.ravel()
    assert rates[-1] < 0.02 * rates[0]


@pytest.mark.parametrize(
    "how",
    [
        {"epochs": 2},
        {"updates": 20, "every": 5, "record": ["initial", "step_loss", "gradient_norm"]},
        {"epochs": 3, "plateau": lambda patience=1: jaxlr.reduce_on_plateau(patience=patience)},
    ],
    ids=["epochs", "updates", "plateau"],
)
@pytest.mark.parametrize("optimizer", [optimizers.sgd, optimizers.adam])
def test_in_double_precision_too_no_type_is_promoted_silently(how: dict[str, Any], optimizer: Any) -> None:
    """The tests run with strict promotion; in float64, whole numbers are of 64 bits by themselves."""
    space = grid(learning_rate=[0.1, 0.01])
    single = jaxlr.sweep(experiment(tasks.blobs(), optimizer, **how), space, seeds=2, devices=1)
    with jax.enable_x64(True):
        double = jaxlr.sweep(experiment(tasks.blobs(), optimizer, **how), space, seeds=2, devices=1)
    last = {"epoch": -1} if "epochs" in how else {"step": -1}
    assert np.isfinite(double["val_loss"]).all()
    assert double["val_loss"].isel(last).values == pytest.approx(single["val_loss"].isel(last).values, rel=0.3)


def test_a_schedule_itself_is_a_schedule_without_hyperparameters() -> None:
    task, space = small(), grid(momentum=[0.0, 0.9])
    itself = schedules.cosine_decay(0.1, 12)
    made = sweep(experiment(task, optax.sgd, schedule=lambda: itself, epochs=2), space, devices=1)
    for given in (itself, optax.cosine_decay_schedule(0.1, 12)):
        found = sweep(experiment(task, optax.sgd, schedule=given, epochs=2), space, devices=1)
        np.testing.assert_allclose(found["loss"], made["loss"], rtol=1e-5)


@pytest.mark.parametrize("built", [optax.adam(1e-3), optax.MultiSteps(optax.sgd(0.1), 4)])
def test_a_built_optimizer_is_told_what_to_be(built: Any) -> None:
    for take in (lambda: experiment(small(), built, epochs=1), lambda: jaxlr.find_lr(small(), built)):
        with pytest.raises(TypeError, match="got one that is built, whose rate can be swept no more"):
            take()


def test_the_guilty_schedule_of_optax_is_found_inside_a_function() -> None:
    def decayed(n: Any) -> Any:
        return optax.warmup_cosine_decay_schedule(0.0, 0.1, 2, n)

    run = experiment(small(), optax.sgd, schedule=decayed, epochs=1)
    with pytest.raises(
        TypeError, match=r"but warmup_cosine_decay_schedule steers .* use schedules.warmup\(schedules.cos"
    ):
        sweep(run, grid(n=[10, 20]), devices=1)
