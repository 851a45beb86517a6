"""The engine's promises: what a run's numbers depend on, how often it compiles, and what it refuses."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxlr
from jaxlr import experiment, grid, optimizers, schedules, static, sweep, tasks, zipped
from jaxlr.engine import Members, Shape, compile_ahead, programs, tracing
from jaxlr.engine.sweeps import prepare
from tests.support.counting import compiled_programs

RATES = [0.3, 0.1, 0.03, 0.01]


@pytest.fixture(scope="module")
def run(blobs: tasks.Task) -> jaxlr.runs.Run:
    return experiment(blobs, optimizers.sgd, epochs=6)


def losses(run: Any, rates: list[float], **how: Any) -> np.ndarray:
    ds = sweep(run, grid(learning_rate=rates, momentum=0.9), **{"seeds": 2, "chunk": 4, "devices": 1, **how})
    return ds["val_loss"].sel(learning_rate=[rate for rate in RATES if rate in rates]).values


@pytest.fixture(scope="module")
def reference(run: jaxlr.runs.Run) -> np.ndarray:
    return losses(run, RATES)


@pytest.mark.parametrize("devices", [2, 4, 8])
def test_bitwise_the_same_on_any_number_of_devices(run, reference, devices: int) -> None:
    np.testing.assert_array_equal(losses(run, RATES, devices=devices), reference)


@pytest.mark.parametrize("rates", [RATES[::-1], [0.03], [0.1, 0.3], [0.01, 0.5, 0.3, 0.1, 0.03, 0.02]])
def test_bitwise_the_same_whatever_else_is_in_the_grid(run, reference, rates: list[float]) -> None:
    rows = [i for i, rate in enumerate(RATES) if rate in rates]
    np.testing.assert_array_equal(losses(run, rates), reference[rows])


@pytest.mark.parametrize("segment", [1, 4, 6, 50])
def test_bitwise_the_same_for_every_segment_length(run, reference, segment: int) -> None:
    np.testing.assert_array_equal(losses(run, RATES, segment=segment), reference)


def test_bitwise_the_same_beside_a_diverging_run(run, reference) -> None:
    ds = sweep(run, grid(learning_rate=[*RATES, 1e30], momentum=0.9), seeds=2, chunk=4, devices=1)
    assert (ds["status"].sel(learning_rate=1e30) == "diverged").all()
    np.testing.assert_array_equal(ds["val_loss"].sel(learning_rate=RATES), reference)


def test_more_seeds_leave_the_earlier_ones(run, reference) -> None:
    # The block's shape stays (2 settings, 2 seeds): the seeds come in two blocks.
    ds = sweep(run, grid(learning_rate=RATES, momentum=0.9), seeds=3, chunk=2, devices=1)
    wide = sweep(run, grid(learning_rate=RATES, momentum=0.9), seeds=2, chunk=2, devices=1)
    np.testing.assert_array_equal(ds["val_loss"].isel(seed=slice(2)), wide["val_loss"])
    assert not np.array_equal(ds["val_loss"].isel(seed=2), ds["val_loss"].isel(seed=0))


def test_block_shapes_differ_by_rounding_only(run) -> None:
    space = grid(learning_rate=[1e-3, 1e-4], momentum=0.0)
    curves = [sweep(run, space, seeds=2, chunk=chunk, devices=1)["val_loss"].values for chunk in (4, 1, 2, 8)]
    for other in curves[1:]:
        np.testing.assert_allclose(other, curves[0], rtol=1e-5)


def test_seeds_are_shared_between_settings(run) -> None:
    ds = sweep(run, grid(learning_rate=[1e-9, 2e-9], momentum=0.0), seeds=3, chunk=6, devices=1)
    first = ds["loss"].isel(epoch=0)
    np.testing.assert_allclose(first.isel(learning_rate=0), first.isel(learning_rate=1), rtol=1e-5)
    assert len(np.unique(first.isel(learning_rate=0).values.round(4))) == 3


def test_another_key_is_another_sweep(run, reference) -> None:
    assert not np.array_equal(losses(run, RATES, key=jax.random.key(1)), reference)


def test_a_saved_carry_continues_to_the_bit(run, reference) -> None:
    """Host arrays between two segments are enough to go on: nothing else is kept."""
    space, key = grid(learning_rate=RATES[:2], momentum=0.9), jax.random.key(0)
    traced, (program,), _, _ = prepare(run, space, 2, key, 4, 1, 3, None)
    two = np.arange(2, dtype=np.int32)
    args = (key, two, tracing.numbered(traced.groups[0].traced, two))
    carry, _ = program.start(*args)
    carry, early = program.advance(carry, *args, np.int32(0), np.int32(3), None)
    saved = jax.tree.map(np.asarray, carry)
    _, late = program.advance(saved, *args, np.int32(3), np.int32(3), None)
    got = np.concatenate([early["val_loss"], late["val_loss"]])
    np.testing.assert_array_equal(np.moveaxis(got, 0, -1), reference[:2])


def test_sweeping_again_compiles_nothing(blobs) -> None:
    run = experiment(blobs, optimizers.sgd, epochs=2)
    first = sweep(run, grid(learning_rate=RATES), seeds=2, devices=1)
    with compiled_programs() as names:
        again = sweep(run, grid(learning_rate=[0.2, 0.4, 0.6]), seeds=2, devices=1)
    assert "advance" not in names
    assert "start" not in names
    assert again.attrs["compilations"] == 0
    for cost in ("trace_seconds", "compile_seconds"):
        assert first.attrs[cost] > again.attrs[cost]
    for ds in (first, again):
        assert 0 <= ds.attrs["host_seconds"] <= ds.attrs["run_seconds"]


def snippets(blobs: tasks.Task) -> dict[str, tuple[Any, jaxlr.Space, int]]:
    """The sweeps of the API's description, with the number of programs that each may compile."""

    def decayed(lr: Any, decay: Any) -> Any:
        return optimizers.sgd(schedules.time_decay(lr, decay))

    def plateau(patience: Any) -> Any:
        return jaxlr.reduce_on_plateau(patience=patience, factor=0.1, min_delta=1e-7)

    def train(key: jax.Array, lr: jax.Array) -> dict[str, jax.Array]:
        start = jax.random.normal(key)
        return {"loss": jax.lax.scan(lambda x, _: (x - lr * 2 * x, x**2), start, None, length=20)[1]}

    names = ["sgd", "rmsprop", "adagrad", "adam"]
    return {
        "learning rates and momenta": (
            experiment(blobs, optax.sgd, epochs=2, batch_size=32),
            grid(learning_rate=jnp.logspace(-7, 0, 8), momentum=[0.0, 0.5, 0.9, 0.99]),
            1,
        ),
        "schedule slot": (
            experiment(blobs, optax.sgd, schedule=schedules.time_decay, epochs=2),
            grid(init_value=[0.01], decay=[1e-1, 1e-2, 1e-3, 1e-4]),
            1,
        ),
        "own function": (experiment(blobs, decayed, epochs=2), grid(lr=[0.01], decay=[0.1, 0.01]), 1),
        "static axis": (experiment(blobs, optimizers.get, epochs=2), grid(name=names), 4),
        "patience": (
            experiment(blobs, optax.sgd, plateau=plateau, epochs=2),
            grid(learning_rate=[0.01], patience=[2, 5, 10, 15]),
            1,
        ),
        "training function": (train, grid(lr=jnp.logspace(-4, 0, 64)), 1),
    }


@pytest.mark.parametrize(
    "name",
    ["learning rates and momenta", "schedule slot", "own function", "static axis", "patience", "training function"],
)
def test_each_snippet_compiles_once_for_each_static_value(blobs, name: str) -> None:
    what, space, programs = snippets(blobs)[name]
    with compiled_programs() as names:
        ds = sweep(what, space, seeds=3, devices=1)
    assert names.count("advance") == programs == ds.attrs["compilations"]
    assert np.isfinite(ds["loss"]).all()
    assert tuple(ds["loss"].dims) == (*space.dims, "seed", "step" if name == "training function" else "epoch")


def test_coordinates_keep_the_users_values(blobs) -> None:
    what, space, _ = snippets(blobs)["learning rates and momenta"]
    ds = sweep(what, space, seeds=2, devices=1)
    assert ds["val_accuracy"].sel(momentum=0.9).mean("seed").sizes == {"learning_rate": 8, "epoch": 2}
    assert ds["learning_rate"].values.tolist() == [1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0]
    assert ds["loss"].dtype == np.float32
    np.testing.assert_allclose(ds["rate"].sel(learning_rate=1e-3), 1e-3, rtol=1e-6)


def test_a_training_function_is_the_closed_form() -> None:
    ds = sweep(
        lambda key, lr: {"loss": jax.lax.scan(lambda x, _: (x - lr * 2 * x, x), 1.0, None, length=9)[1]},
        grid(lr=[0.1, 0.3]),
        devices=1,
    )
    for lr in (0.1, 0.3):
        np.testing.assert_allclose(ds["loss"].sel(lr=lr, seed=0), (1 - 2 * lr) ** np.arange(9), rtol=1e-5, atol=1e-7)


def test_divergence_is_a_result() -> None:
    ds = sweep(lambda key, lr: {"loss": jnp.cumprod(jnp.full(8, lr)), "n": lr}, grid(lr=[0.5, 1e10]), devices=1)
    assert ds["status"].isel(seed=0).values.tolist() == ["ok", "diverged"]
    assert ds["diverged_at"].isel(seed=0).values.tolist() == [0, 4]
    assert np.isnan(ds["loss"].sel(lr=1e10, seed=0).values).tolist() == [False] * 3 + [True] * 5


def test_static_axes_and_zips_are_labelled_right() -> None:
    def train(key: jax.Array, width: int, lr: jax.Array, name: str) -> dict[str, jax.Array]:
        return {"value": jnp.ones(width).sum() * lr * {"a": 1.0, "b": -1.0}[name]}

    space = grid(width=static([2, 3])) * zipped(lr=[0.1, 0.2, 0.4], name=["a", "b", "a"])
    ds = sweep(train, space, devices=1)
    assert ds["value"].dims == ("width", "setting", "seed")
    np.testing.assert_allclose(ds["value"].isel(seed=0), np.outer([2, 3], [0.1, -0.2, 0.4]), rtol=1e-6)
    assert ds["name"].dims == ("setting",)
    assert ds.attrs["compilations"] == 4


def test_concatenated_spaces_train_their_own_hyperparameters() -> None:
    def train(key: jax.Array, lr: jax.Array, momentum: jax.Array = 7.0) -> dict[str, jax.Array]:
        return {"value": lr + momentum}

    ds = sweep(train, grid(lr=[1.0, 2.0]) + grid(lr=[3.0], momentum=[0.5]), devices=1)
    assert ds["value"].isel(seed=0).values.tolist() == [8.0, 9.0, 3.5]
    np.testing.assert_array_equal(ds["momentum"], [np.nan, np.nan, 0.5])


def test_a_schedule_may_be_a_hyperparameter(blobs) -> None:
    run = experiment(blobs, optax.sgd, epochs=2)
    space = grid(learning_rate=[schedules.time_decay(0.1, 1.0), schedules.time_decay(0.2, 0.5)])
    ds = sweep(run, space, devices=1)
    assert ds.attrs["compilations"] == 1
    expected = [0.1 / (1 + 31), 0.2 / (1 + 0.5 * 31)]
    np.testing.assert_allclose(ds["rate"].isel(seed=0, epoch=-1), expected, rtol=1e-5)


def test_batch_size_and_width_are_static_axes() -> None:
    x, y = tasks.blobs_data()

    def task(width: int) -> tasks.Task:
        return tasks.classification(tasks.MLP((width,)), x[:100], y[:100])

    run = experiment(task, optax.sgd, epochs=2)
    ds = sweep(run, grid(width=[4, 8], batch_size=[10, 50], learning_rate=[0.1, 0.01]), devices=1)
    assert ds.attrs["compilations"] == 4
    alone = sweep(experiment(task(8), optax.sgd, epochs=2, batch_size=50), grid(learning_rate=[0.1, 0.01]), devices=1)
    np.testing.assert_allclose(ds["loss"].sel(width=8, batch_size=50), alone["loss"], rtol=1e-5)


@pytest.mark.parametrize("optimizer", [optax.sgd, optax.adam, optimizers.sgd])
def test_bfloat16_parameters_stay_bfloat16(blobs, optimizer: Any) -> None:
    task = blobs._replace(init=lambda key: jax.tree.map(lambda a: a.astype(jnp.bfloat16), blobs.init(key)))
    seen = []

    def spying(learning_rate: Any, **hp: Any) -> optax.GradientTransformation:
        inner = optimizer(learning_rate, **hp)

        def update(grads: Any, state: Any, params: Any = None) -> Any:
            updates, state = inner.update(grads, state, params)
            seen.extend(leaf.dtype for leaf in jax.tree.leaves((params, updates)))
            return updates, state

        return optax.GradientTransformation(inner.init, update)

    ds = sweep(experiment(task, spying, epochs=1), grid(learning_rate=[0.1, 0.01]), devices=1)
    assert seen
    assert set(seen) == {jnp.dtype(jnp.bfloat16)}
    assert ds["loss"].dtype == np.float32


def test_an_interrupt_keeps_what_is_finished(run) -> None:
    def stop(done: int, total: int) -> None:
        if done >= 2 * 6:
            raise KeyboardInterrupt

    with pytest.warns(UserWarning, match="interrupted"):
        ds = sweep(run, grid(learning_rate=RATES, momentum=0.9), chunk=1, devices=1, progress=stop)
    assert ds["status"].isel(seed=0).values.tolist() == ["ok", "ok", "unfinished", "unfinished"]
    assert np.isfinite(ds["loss"].isel(learning_rate=slice(2))).all()
    assert np.isnan(ds["loss"].isel(learning_rate=slice(2, None))).all()


def test_an_interrupt_keeps_the_segments_that_are_there(run, reference) -> None:
    """One block that is not finished: what the host has seen of it is not lost."""

    def stop(done: int, total: int) -> None:
        if done >= 4 * 4 * 2:
            raise KeyboardInterrupt

    with pytest.warns(UserWarning, match="interrupted"):
        ds = sweep(run, grid(learning_rate=RATES, momentum=0.9), seeds=2, chunk=8, devices=1, segment=2, progress=stop)
    assert (ds["status"] == "unfinished").all()
    np.testing.assert_array_equal(ds["val_loss"].isel(epoch=slice(4)), losses(run, RATES, chunk=8)[..., :4])
    assert np.isnan(ds["val_loss"].isel(epoch=slice(4, None))).all()


def test_an_interrupt_before_anything_is_there_is_raised(run, monkeypatch) -> None:
    def stop(*args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Members, "add", stop)
    with pytest.raises(KeyboardInterrupt):
        sweep(run, grid(learning_rate=RATES, momentum=0.9), devices=1)


def test_plan_is_what_happens(run) -> None:
    space = grid(learning_rate=[0.1 * k for k in range(1, 10)], momentum=0.9, nesterov=[False, True])
    plan = jaxlr.plan(run, space, seeds=3, devices=2)
    assert (plan.settings, plan.members, len(plan.groups)) == (18, 54, 2)
    assert plan.shape == Shape(6, 3, 2)
    assert plan.blocks == 2
    assert plan.compilations == 2
    # The weights of 6 settings x 3 seeds are the least that a device holds.
    assert 303 * 6 * 3 * 4 < plan.memory < 2**28
    ds = sweep(run, space, seeds=3, devices=2)
    assert ds.attrs["chunk"] == "6 settings x 3 seeds on each of 2 devices"
    assert ds.attrs["compilations"] == 0, "the plan has compiled them"


@pytest.mark.parametrize("share", [{}, {"seeds": 2, "chunk": 2, "devices": 2}])
def test_what_is_compiled_ahead_is_what_the_sweep_needs(blobs, share: dict[str, Any]) -> None:
    fresh = experiment(blobs, optimizers.get, epochs=1)
    space = grid(name=["sgd", "adam"])
    with compiled_programs() as names:
        assert compile_ahead(fresh, space, **share).compilations == 2
        ds = sweep(fresh, space, **share)
    assert ds.attrs["compilations"] == 0
    assert names.count("advance") == names.count("start") == 2


def test_the_training_is_lowered_for_accelerators_too(blobs) -> None:
    """Nothing in it is for a CPU alone: StableHLO for GPU and TPU, without having either."""
    run = experiment(blobs, optax.adam, epochs=1)
    key, rates = jax.random.key(0), jnp.array([0.1, 0.01])
    carry = jax.eval_shape(jax.vmap(lambda rate: run.init(key, {"learning_rate": rate})), rates)
    epoch = jax.vmap(lambda carry, rate: run.advance(carry, key, {"learning_rate": rate}))
    exported = jax.export.export(jax.jit(epoch), platforms=("cuda", "tpu"))(carry, rates)
    assert exported.platforms == ("cuda", "tpu")


def test_a_compilation_that_failed_is_tried_again(monkeypatch) -> None:
    def train(key: jax.Array, lr: jax.Array) -> dict[str, jax.Array]:
        return {"loss": lr}

    def fail(start: Any, layout: Any) -> None:
        raise RuntimeError("out of memory")

    with monkeypatch.context() as broken:
        broken.setattr(programs, "_compile_start", fail)
        with pytest.raises(RuntimeError, match="out of memory"):
            sweep(train, grid(lr=[0.5]), chunk=1)
    assert sweep(train, grid(lr=[0.5]), chunk=1)["loss"].item() == 0.5


def test_nothing_but_the_own_program_is_kept_alive() -> None:
    import gc
    import weakref

    def build() -> Any:
        def train(key: jax.Array, lr: jax.Array) -> dict[str, jax.Array]:
            return {"loss": lr}

        sweep(train, grid(lr=[1.0, 2.0]), devices=1)
        return weakref.ref(train)

    alive = build()
    gc.collect()
    jax.clear_caches()
    gc.collect()
    assert alive() is None


def out_of_memory(above: int, real: Any) -> Any:
    """`programs.compiled` whose programs fail, as a full device does, for more than so many members on it."""

    def compiled(traced: Any, layout: Any) -> Any:
        made, new = real(traced, layout)
        if layout.shape.settings * layout.shape.seeds <= above:
            return made, new

        def advance(*args: Any) -> Any:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 1 bytes")

        class Full(programs.Program):
            def memory(self) -> int:
                return 0

        return [Full(program.start, advance, program.carried) for program in made], new

    return compiled


@pytest.mark.parametrize(("above", "settings", "seeds"), [(4, 2, 2), (2, 1, 2), (1, 1, 1)])
def test_a_full_device_goes_on_with_smaller_blocks(run, monkeypatch, above: int, settings: int, seeds: int) -> None:
    space = grid(learning_rate=[1e-3, 1e-4, 2e-3, 2e-4, 3e-3], momentum=0.0)
    expected = sweep(run, space, seeds=2, chunk=settings * seeds, devices=1)
    monkeypatch.setattr(programs, "compiled", out_of_memory(above, programs.compiled))
    with pytest.warns(UserWarning, match="ran out of memory"):
        ds = sweep(run, space, seeds=2, chunk=8, devices=1)
    assert ds.attrs["chunk"].startswith("4 settings x 2 seeds on each of 1 devices, then ")
    assert ds.attrs["chunk"].endswith(f"then {settings} settings x {seeds} seeds on each of 1 devices")
    np.testing.assert_array_equal(ds["val_loss"], expected["val_loss"])
    assert (ds["status"] == "ok").all()


def test_a_device_too_small_for_one_member_says_so(run, monkeypatch) -> None:
    monkeypatch.setattr(programs, "compiled", out_of_memory(0, programs.compiled))
    with pytest.raises(jax.errors.JaxRuntimeError, match="RESOURCE_EXHAUSTED"):
        sweep(run, grid(learning_rate=[0.1], momentum=0.0), devices=1)


def test_auto_takes_a_block_that_fits_the_memory(blobs, monkeypatch) -> None:
    run = experiment(blobs, optimizers.sgd, epochs=7)
    space = grid(learning_rate=RATES, momentum=0.9)
    whole = jaxlr.plan(run, space, seeds=4, devices=1)
    assert whole.shape == Shape(4, 4, 1)
    monkeypatch.setattr(programs, "room", lambda device, sharing: whole.memory * 0.6)
    assert jaxlr.plan(run, space, seeds=4, devices=1).shape == Shape(2, 4, 1)
    monkeypatch.setattr(programs, "room", lambda device, sharing: 1.0)
    plan = jaxlr.plan(run, space, seeds=4, devices=1)
    assert plan.shape == Shape(1, 1, 1)
    # The shapes on the way are jumped over.
    assert plan.compilations == 1
    with pytest.raises(ValueError, match=r'chunk must be left at "auto" or be less than 8: it needs .* bytes'):
        sweep(run, space, seeds=4, chunk=8, devices=1)


@pytest.mark.parametrize("keep", ["last", "best"])
def test_kept_weights_give_the_recorded_metrics(run, blobs, keep: str) -> None:
    ds, params = sweep(run, grid(learning_rate=RATES, momentum=[0.0, 0.9]), seeds=3, keep=keep, chunk=6, devices=1)
    assert params["layer_0"].shape == (4, 2, 3, 50, 3)
    curves = ds["val_loss"].transpose("learning_rate", "momentum", "seed", "epoch").values
    expected = curves[..., -1] if keep == "last" else np.nanmin(curves, axis=-1)
    flat = jax.tree.map(lambda a: a.reshape(-1, *a.shape[3:]), params)
    ones = jnp.ones(500)
    again = jax.vmap(lambda p: blobs.loss(p, {}, blobs.x_test, blobs.y_test, ones, None)[0])(flat)
    np.testing.assert_allclose(np.asarray(again).reshape(expected.shape), expected, rtol=1e-4)


def nothing(key: jax.Array, lr: Any) -> dict[str, Any]:
    return {"loss": lr}


CALLS: list[int] = []


def impure(key: jax.Array, lr: Any) -> dict[str, Any]:
    CALLS.append(1)
    return {"loss": lr * jnp.ones(len(CALLS))}


def noisy(key: jax.Array, lr: Any) -> dict[str, Any]:
    return {"loss": lr * jnp.asarray(np.random.default_rng().normal(size=3))}


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"run": 3}, TypeError, "run must be an experiment, jaxlr.run"),
        ({"space": {"lr": [1]}}, TypeError, "space must be made by grid"),
        ({"seeds": 0}, ValueError, "seeds must be an integer of at least 1, got 0"),
        ({"chunk": 0}, ValueError, "chunk must be an integer of at least 1, got 0"),
        ({"chunk": "big"}, TypeError, "chunk must be an integer"),
        ({"devices": 99}, ValueError, "devices must be at most the 8 local devices, got 99"),
        ({"devices": []}, ValueError, "at least one device"),
        ({"segment": 0}, ValueError, "segment must be an integer of at least 1"),
        ({"run": lambda key, lr: lr}, TypeError, "must return a dictionary of arrays"),
        (
            {"run": lambda key, width: {"loss": jnp.ones(width)}, "space": grid(width=[1, 2])},
            TypeError,
            "must be static",
        ),
        ({"run": lambda key, rate: {"loss": rate}}, TypeError, "run must take a key and the hyperparameters lr"),
        ({"run": lambda key, lr: {"lr": lr}}, ValueError, "'lr' must not be a hyperparameter and a metric"),
        ({"run": impure, "space": grid(lr=[0.1, 0.2])}, ValueError, "run must be a pure function"),
        ({"run": noisy, "space": grid(lr=[0.1, 0.2])}, ValueError, "run must be a pure function"),
        (
            {"run": lambda key, n: {"loss": jnp.ones(n)}, "space": grid(n=static([2, 3]))},
            ValueError,
            "a training must give the same arrays for every static value",
        ),
        ({"keep": "first"}, ValueError, "keep must be one of last, best; got 'first'"),
        ({"keep": "last"}, ValueError, "keep must be left out for a training function"),
    ],
)
def test_bad_input(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    given = {"run": nothing, "space": grid(lr=[0.1]), "devices": 1, **arguments}
    with compiled_programs() as names, pytest.raises(error, match=message):
        sweep(given.pop("run"), given.pop("space"), **given)
    assert "advance" not in names


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({"learning_rate": [0.1, -0.1]}, "learning_rate must be zero or more, got -0.1"),
        ({"learning_rate": [0.1], "momentum": [0.5, 1.5]}, "momentum must be between 0 and 1, got 1.5"),
        ({"rate": [0.1]}, "'rate' is reserved"),
        ({"lr": [0.1]}, "every hyperparameter must be taken by somebody, got 'lr'"),
        ({"momentum": [0.1], "learning_rate": []}, "learning_rate must have at least one value"),
        ({"learning_rate": [float("nan")]}, "learning_rate must be finite"),
        ({"learning_rate": [float("inf")]}, "learning_rate must be finite"),
        ({}, "grid must have at least one axis, got none"),
    ],
)
def test_bad_settings_are_found_before_anything_is_compiled(run, axes: dict, message: str) -> None:
    with compiled_programs() as names, pytest.raises(ValueError, match=message):
        sweep(run, grid(**axes), devices=1, chunk=3)
    assert "advance" not in names
