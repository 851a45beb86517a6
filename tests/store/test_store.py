"""A sweep on disk: the same numbers as without, the same call goes on, a larger one trains what is new."""

from __future__ import annotations

import errno
import functools
import json
import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import xarray as xr
import zarr
from zarr.storage import LocalStore, MemoryStore

import jaxlr
from jaxlr import grid, sweep, zipped
from jaxlr.store import contents, place
from tests.support import command, killed
from tests.support.counting import compiled_programs


def train(key: jax.Array, lr: jax.Array, power: int = 2) -> dict[str, jax.Array]:
    """Noisy descent, whole."""
    noise = 0.01 * jax.random.normal(key, (5,))
    return {"loss": jax.lax.scan(lambda w, z: (w - lr * (w + z), jnp.abs(w) ** power), 1.0 + 0 * lr, noise)[1]}


def init(key: jax.Array, hp: Any) -> Any:
    return {"w": jax.random.normal(key, (3,)), "key": key, "n": jnp.int32(0)}


def advance(carry: Any, key: jax.Array, hp: Any) -> Any:
    w = carry["w"] - hp["lr"] * (carry["w"] + 0.1 * jax.random.normal(carry["key"], (3,)))
    then = {"w": w, "key": jax.random.fold_in(carry["key"], 1), "n": carry["n"] + 1}
    return then, {"loss": (w**2).sum(), "w": w, "n": carry["n"]}


PAIR = jaxlr.run(init, advance, length=6)
LONG = jaxlr.run(init, advance, length=12)
SPACES = {
    "grid": grid(lr=[0.3, 0.1, 0.03], power=[1.5, 2.0]),
    "static": grid(lr=[0.3, 0.1, 0.03], power=jaxlr.static([1, 2])),
    "zipped": zipped(lr=[0.3, 0.1, 0.03], power=[1.0, 2.0, 2.5]),
    "sum": grid(lr=[0.3, 0.1]) + grid(lr=[0.3, 0.2], power=[1.0, 3.0]),
    "single": grid(lr=0.3, power=2.0),
    "diverging": grid(lr=[0.1, 1e30, 0.3]),
}
HOW: dict[str, Any] = {"seeds": 3, "chunk": 4, "devices": 1}


@functools.cache
def plain(name: str) -> xr.Dataset:
    return sweep(train, SPACES[name], **HOW)


def assert_same(found: xr.Dataset, expected: xr.Dataset) -> None:
    """Every number to the bit, every label, in the same order."""
    assert list(found.variables) == list(expected.variables)
    for name, variable in expected.variables.items():
        assert found[name].dims == variable.dims
        assert found[name].attrs == variable.attrs
        assert found[name].dtype.kind == variable.dtype.kind
    xr.testing.assert_equal(found.load(), expected)


@pytest.mark.parametrize("name", SPACES)
def test_the_same_result_as_without(name: str, tmp_path: Path) -> None:
    expected = plain(name)
    with compiled_programs() as compiled:
        ds = sweep(train, SPACES[name], store=tmp_path / "s", **HOW)
    assert not {"start", "advance"} & set(compiled)  # the plain sweep has compiled them
    assert_same(ds, expected)
    assert ds.attrs.keys() == expected.attrs.keys()
    assert jaxlr.best(ds) == jaxlr.best(expected)
    assert_same(jaxlr.open(tmp_path / "s"), expected)


def test_curves_arrays_and_integers_of_a_pair(tmp_path: Path) -> None:
    space = grid(lr=[0.3, 0.1, 0.03])
    expected = sweep(PAIR, space, segment=2, **HOW)
    assert_same(sweep(PAIR, space, segment=2, store=tmp_path / "s", **HOW), expected)


def test_the_initial_metrics_and_the_rates_of_an_experiment(tmp_path: Path, blobs: Any) -> None:
    run, space = jaxlr.experiment(blobs, optax.sgd, epochs=3), grid(learning_rate=[0.3, 0.1])
    assert_same(sweep(run, space, store=tmp_path / "s", **HOW), sweep(run, space, **HOW))


def test_again_nothing_is_trained(tmp_path: Path) -> None:
    first = sweep(train, SPACES["static"], store=tmp_path / "s", **HOW)
    with compiled_programs() as compiled:
        told: list[int] = []
        again = sweep(
            train, SPACES["static"], store=tmp_path / "s", progress=lambda done, total: told.append(done), **HOW
        )
    assert compiled == []
    assert told == []
    assert again.attrs["compilations"] == 0
    assert_same(again, first)


@pytest.mark.parametrize(
    ("space", "seeds"),
    [
        (grid(lr=[0.1, 0.3, 0.03]), 5),
        (grid(lr=[0.3, 0.2, 0.1, 0.03]), 3),
        (grid(lr=[0.5, 0.3, 0.2, 0.1, 0.03, 0.01]), 4),
        (grid(lr=[0.3, 0.1, 0.03]) + grid(lr=[0.3], power=jaxlr.static([1, 3])), 4),
    ],
)
def test_a_larger_sweep_trains_what_is_new(space: jaxlr.Space, seeds: int, tmp_path: Path) -> None:
    how = {**HOW, "chunk": 3}  # so that the block's shape stays: 1 setting x 3 seeds, or what the store has
    sweep(train, grid(lr=[0.3, 0.1, 0.03]), store=tmp_path / "s", **how)
    told: list[int] = []
    ds = sweep(
        train,
        space,
        store=tmp_path / "s",
        progress=lambda done, total: told.append(done),
        **{**how, "seeds": seeds},
    )
    assert told[0] > 9
    assert told[-1] == len(space) * seeds
    assert_same(jaxlr.open(tmp_path / "s"), ds.load())
    for seed in range(seeds):
        one = sweep(train, space, **{**how, "seeds": seed + 1, "chunk": 1}).isel(seed=seed)
        np.testing.assert_allclose(ds["loss"].isel(seed=seed), one["loss"], rtol=1e-6)
    if seeds == 3:
        assert_same(ds, sweep(train, space, **how))


OTHER = {
    "key": ({"key": jax.random.key(1)}, "key: "),
    "chunk": ({"chunk": 2}, "chunk: 4 in the store, 2 now"),
    "seeds": ({"seeds": 2}, "seeds: 3 in the store, 2 now"),
    "may be nan": ({"may_be_nan": ["loss"]}, "may_be_nan"),
    "settings": ({"space": grid(lr=[0.3, 0.2])}, "settings: the space lacks 2 that the store has, such as {'lr': 0.1}"),
    "function": ({"run": lambda key, lr: {"loss": lr * jnp.ones(5)}}, "run: 'train' in the store"),
}


@pytest.mark.parametrize("name", OTHER)
def test_another_sweep_is_refused_and_with_force_begins_anew(name: str, tmp_path: Path) -> None:
    space, store = grid(lr=[0.3, 0.1, 0.03]), tmp_path / "s"
    first = sweep(train, space, store=store, **HOW).load()
    changed, words = OTHER[name]
    given: dict[str, Any] = {"run": train, "space": space, **HOW, **changed}
    with pytest.raises(ValueError, match="Give another store, or force=True to delete what is there") as error:
        sweep(**given, store=store)
    assert words in str(error.value)
    assert_same(jaxlr.open(store), first)
    assert_same(sweep(**given, store=store, force=True), sweep(**given))


def test_other_data_and_another_constant_are_told_apart(tmp_path: Path) -> None:
    def of(data: Any, constant: float) -> Any:
        array = jnp.asarray(data)

        def train(key: jax.Array, lr: jax.Array) -> dict[str, jax.Array]:
            return {"loss": lr * constant * array}

        return train

    space = grid(lr=[0.3, 0.1])
    sweep(of([1.0, 2.0], 3.0), space, store=tmp_path / "s")
    sweep(of([1.0, 2.0], 3.0), space, store=tmp_path / "s")
    with pytest.raises(ValueError, match="which differs in data, or other arrays"):
        sweep(of([1.0, 2.5], 3.0), space, store=tmp_path / "s")
    with pytest.raises(ValueError, match="which differs in program: the code, a constant"):
        sweep(of([1.0, 2.0], 4.0), space, store=tmp_path / "s")


def test_another_version_goes_on_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small, large = grid(lr=[0.3, 0.1]), grid(lr=[0.3, 0.1, 0.03])
    with monkeypatch.context() as patch:
        patch.setattr(jaxlr, "__version__", "0.1.9")
        sweep(train, small, store=tmp_path / "s", **{**HOW, "chunk": 3})
    with pytest.warns(UserWarning, match=r"made with jaxlr 0\.1\.9, now 0\.2\.0: what is finished stays"):
        ds = sweep(train, large, store=tmp_path / "s", **{**HOW, "chunk": 3})
    assert_same(ds, sweep(train, large, **{**HOW, "chunk": 3}))


def test_a_store_in_memory(tmp_path: Path) -> None:
    store = MemoryStore()
    assert_same(sweep(train, SPACES["static"], store=store, **HOW), plain("static"))
    assert_same(jaxlr.open(store), plain("static"))


def test_any_reader_of_zarr_opens_it(tmp_path: Path) -> None:
    sweep(train, SPACES["diverging"], store=tmp_path / "s", **HOW)
    ds = xr.open_zarr(tmp_path / "s", chunks=None)
    assert dict(ds.sizes) == {"setting": 3, "seed": 3, "step": 5}
    assert set(ds.coords) == {"lr", "seed", "step"}
    np.testing.assert_array_equal(ds["loss"], plain("diverging")["loss"])
    assert ds["status"].attrs["flag_meanings"].split()[int(ds["status"].sel(setting=1, seed=0))] == "diverged"
    assert [str(codec) for codec in zarr.open_array(tmp_path / "s" / "loss").metadata.codecs][-1].startswith("Crc32c")


def test_what_is_asked_for_is_what_is_given(tmp_path: Path) -> None:
    ds, expected = sweep(train, SPACES["grid"], store=tmp_path / "s", **HOW), plain("grid")
    for key in (
        {"lr": 1},
        {"lr": 1, "power": 0, "seed": 2, "step": 3},
        {"lr": [2, 0], "step": slice(None, None, -1)},
        {"seed": [0, 2], "step": -1},
        {"power": 0, "seed": slice(1, 3), "step": [4, 1]},
        {"lr": slice(0, 0)},
        {"step": slice(0, 5, 2), "lr": slice(None, None, -2)},
        {"seed": [], "lr": 0},
    ):
        np.testing.assert_array_equal(ds["loss"].isel(key), expected["loss"].isel(key), err_msg=str(key))


def test_it_can_be_saved_pickled_and_copied(tmp_path: Path) -> None:
    ds, expected = sweep(train, SPACES["static"], store=tmp_path / "s", **HOW), plain("static")
    assert jaxlr.load(jaxlr.save(ds, tmp_path / "r.nc")).equals(expected)
    assert pickle.loads(pickle.dumps(ds)).load().equals(expected)
    assert ds.copy(deep=True).load().equals(expected)


def test_more_samples_are_an_extension(tmp_path: Path) -> None:
    how = {**HOW, "chunk": 3, "store": tmp_path / "s"}
    few, many = (jaxlr.sampled(n, lr=jaxlr.spaces.log_uniform(1e-3, 1)) for n in (5, 8))
    sweep(train, few, **how)
    told: list[int] = []
    ds = sweep(train, many, progress=lambda done, total: told.append(done), **how)
    assert told[0] > 15
    assert_same(ds, sweep(train, many, **{**HOW, "chunk": 3}))


def test_a_setting_that_cannot_be_trained_is_named_before_anything_is_made(tmp_path: Path) -> None:
    def of(key: jax.Array, lr: jax.Array, name: str) -> dict[str, jax.Array]:
        if name == "broken":
            raise RuntimeError("no such optimizer")
        return {"loss": jnp.zeros(4 if name == "longer" else 3) + lr}

    for name, error, words in (
        ("broken", RuntimeError, "no such optimizer"),
        ("longer", ValueError, r"with name=fine and .* with name=longer"),
    ):
        with pytest.raises(error, match=words) as raised:
            sweep(of, grid(lr=[0.1], name=["fine", name]), store=tmp_path / "s")
        if name == "broken":
            assert raised.value.__notes__[-1] == "This was in the settings with name=broken."
        assert not (tmp_path / "s").exists()


# Ends of all kinds


@pytest.mark.parametrize("what", ["full", "read-only"])
def test_a_disk_that_takes_no_more(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    number = {"full": errno.ENOSPC, "read-only": errno.EROFS}[what]
    store, how = tmp_path / "s", {**HOW, "chunk": 3}
    small, large = grid(lr=[0.3, 0.1]), grid(lr=[0.3, 0.1, 0.03, 0.2])
    first = sweep(train, small, store=store, **how).load()
    whole = LocalStore.set

    async def set_(self: Any, key: str, *more: Any, **named: Any) -> None:
        if key.startswith("loss/c/"):
            raise OSError(number, os.strerror(number))
        await whole(self, key, *more, **named)

    with monkeypatch.context() as patch:
        patch.setattr(LocalStore, "set", set_)
        words = (
            rf"store .* cannot be written: {os.strerror(number)}; what was finished before is safe, and the same call"
        )
        with pytest.raises(OSError, match=words):
            sweep(train, large, store=store, **how)
    there = jaxlr.open(store).load()
    assert (there["status"] == "unfinished").sum() == 6
    np.testing.assert_array_equal(there["loss"].sel(lr=[0.3, 0.1]), first["loss"])
    assert_same(sweep(train, large, store=store, **how), sweep(train, large, **how))


def test_a_folder_that_vanishes(tmp_path: Path) -> None:
    store = tmp_path / "s"
    with pytest.raises(FileNotFoundError, match="has vanished while it was written"):
        sweep(train, SPACES["grid"], store=store, progress=lambda done, total: shutil.rmtree(store, True), **HOW)


@pytest.mark.slow
def test_a_full_disk(tmp_path: Path) -> None:
    """Files of no more than 8 KiB, by the system's own limit, in a process of its own."""
    code = """
import resource, sys, signal, jaxlr, jax.numpy as jnp
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
train = lambda key, lr: {"loss": lr * jnp.arange(4000.0)}
jaxlr.sweep(train, jaxlr.grid(lr=[0.1]), store=sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
jaxlr.sweep(train, jaxlr.grid(lr=[0.1, 0.2]), store=sys.argv[1])
"""
    done = command.python("-c", code, tmp_path / "s")
    assert done.returncode == 1
    assert "cannot be written: File too large; what was finished before is safe" in done.stderr.splitlines()[-1]
    ds = jaxlr.open(tmp_path / "s")
    assert float(ds["loss"].sel(lr=0.1, seed=0, step=4000)) == pytest.approx(399.9)


class Killed(BaseException):
    """What no code that runs afterwards survives."""


def ended_at(write: int, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """From that write on every write fails; gives the number of writes."""
    whole, count = LocalStore._set if hasattr(LocalStore, "_set") else LocalStore.set, 0

    async def set_(self: Any, key: str, value: Any, *more: Any, **named: Any) -> None:
        nonlocal count
        count += 1
        if count >= write:
            raise Killed
        await whole(self, key, value, *more, **named)

    monkeypatch.setattr(LocalStore, "_set" if hasattr(LocalStore, "_set") else "set", set_)
    return lambda: count


def _both(small: jaxlr.Space, large: jaxlr.Space, store: Path, how: dict[str, Any]) -> None:
    sweep(train, small, store=store, **how)
    sweep(train, large, store=store, **{**how, "seeds": 4})


def test_ended_at_every_write_it_goes_on_to_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """First a sweep, then one that is larger; of each, every write may be the last."""
    how = {**HOW, "chunk": 3}
    small, large = grid(lr=[0.3, 0.1, 0.03, 0.2]), grid(lr=[0.3, 0.5, 0.1, 0.03, 0.2])
    expected = sweep(train, small, **how), sweep(train, large, **{**how, "seeds": 4})
    with monkeypatch.context() as patch:
        counted = ended_at(10**9, patch)
        sweep(train, small, store=tmp_path / "all", **how)
        first = counted()
        sweep(train, large, store=tmp_path / "all", **{**how, "seeds": 4})
        both = counted()
    assert both > first > 20
    for write in range(1, both + 1):
        store = tmp_path / str(write)
        with monkeypatch.context() as patch:
            ended_at(write, patch)
            with pytest.raises(Killed):
                _both(small, large, store, how)
        if write <= first:
            assert_same(sweep(train, small, store=store, **how), expected[0])
        assert_same(sweep(train, large, store=store, **{**how, "seeds": 4}), expected[1])


@pytest.mark.slow
@pytest.mark.parametrize("kind", killed.KINDS)
def test_killed_at_random_moments_it_goes_on_to_the_bit(kind: str, tmp_path: Path) -> None:
    """7 kills of each kind, some of them inside a save; `scripts.suites.kills` makes a thousand."""
    expected, chance, seen = killed.swept(kind, None), random.Random(kind), 0
    while seen < 7:
        store = tmp_path / str(seen)
        seen += len(list(killed.kills(kind, store, tmp_path / "cache", chance)))
        assert_same(jaxlr.open(store), expected)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, -signal.SIGINT), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_when_the_segment_is_saved(number: int, code: int, tmp_path: Path) -> None:
    store, kind = tmp_path / "s", "pair"
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.killed", kind, str(store)],
        cwd=command.ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(command.ROOT)},
    )
    assert process.stdout is not None
    while process.stdout.readline().strip() != "training":
        pass
    process.send_signal(number)
    _, errors = process.communicate()
    assert process.returncode == code, errors
    assert "trained and saved in" in errors
    assert "the same call goes on from there" in errors
    assert list((store / "engine" / "carries").iterdir())
    assert_same(killed.swept(kind, store), killed.swept(kind, None))


def once(when: Callable[[int, int], bool]) -> Callable[[int, int], None]:
    """A function for `progress` that interrupts the process, once."""
    came = False

    def interrupt(done: int, total: int) -> None:
        nonlocal came
        if not came and when(done, total):
            came = True
            os.kill(os.getpid(), signal.SIGINT)

    return interrupt


def test_an_interrupt_in_this_process_is_one_of_python(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    interrupt = once(lambda done, total: done >= total / 3)
    space, how = grid(lr=[0.3, 0.1, 0.03]), {**HOW, "segment": 2, "store": tmp_path / "s"}
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        sweep(PAIR, space, progress=interrupt, **how)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    assert "the same call goes on from there" in capsys.readouterr().err
    told: list[int] = []
    ds = sweep(PAIR, space, progress=lambda done, total: told.append(done), **how)
    assert told[0] > 18
    assert_same(ds, sweep(PAIR, space, segment=2, **HOW))


def saved_in_flight(store: Path) -> None:
    """A sweep that was interrupted twice, each time inside a block."""
    for _ in range(2):
        interrupt = once(lambda done, total: True)
        with pytest.raises(KeyboardInterrupt):
            sweep(LONG, grid(lr=[0.3, 0.1]), progress=interrupt, segment=1, store=store, **{**HOW, "seeds": 2})


def test_a_damaged_state_in_flight_is_noticed_and_the_one_before_taken(tmp_path: Path) -> None:
    expected = sweep(LONG, grid(lr=[0.3, 0.1]), segment=1, **{**HOW, "seeds": 2})
    for newest in (1, 2):
        store = tmp_path / str(newest)
        saved_in_flight(store)
        generations = sorted(path for path in (store / "engine" / "carries").iterdir() if path.is_dir())
        assert len(generations) == 2
        for folder in generations[-newest:]:
            for file in folder.rglob("*"):
                if file.is_file():
                    data = bytearray(file.read_bytes())
                    data[len(data) // 2] ^= 1
                    file.write_bytes(data)
        with pytest.warns(UserWarning, match="what was saved of the block in training is damaged"):
            ds = sweep(LONG, grid(lr=[0.3, 0.1]), segment=1, store=store, **{**HOW, "seeds": 2})
        assert_same(ds, expected)


# Other writers, other folders, damage


def test_a_second_writer_is_told_who_holds_it(tmp_path: Path) -> None:
    store = tmp_path / "s"

    def second(done: int, total: int) -> None:
        with pytest.raises(BlockingIOError, match=rf"is being written by process {os.getpid()} on "):
            sweep(train, SPACES["grid"], store=store, **HOW)

    ds = sweep(train, SPACES["grid"], store=store, progress=second, **HOW)
    assert_same(ds, plain("grid"))


def test_a_holder_elsewhere_lives_while_it_shows_it(tmp_path: Path) -> None:
    store, memory = tmp_path / "s", MemoryStore()
    for one in (store, memory):
        sweep(train, SPACES["grid"], store=one, **HOW)
        lock = json.dumps({"host": "elsewhere", "process": 7, "seen": time.time() - 100}).encode()
        place(one).write("engine/lock", lock)
        with pytest.raises(BlockingIOError, match="is being written by process 7 on elsewhere"):
            sweep(train, SPACES["grid"], store=one, **HOW)
        dead = json.dumps({"host": "elsewhere", "process": 7, "seen": time.time() - 1000}).encode()
        place(one).write("engine/lock", dead)
        assert_same(sweep(train, SPACES["grid"], store=one, **HOW), plain("grid"))


def test_what_is_no_store_is_left_alone(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "notes.txt").write_text("mine")
    foreign = tmp_path / "foreign"
    zarr.create_group(foreign)
    file = tmp_path / "file"
    file.write_text("mine")
    for folder, words in ((other, r"which holds notes\.txt"), (foreign, "another Zarr group"), (file, "got the file")):
        before = sorted(tmp_path.rglob("*"))
        for force in (False, True):
            with pytest.raises(ValueError, match=words):
                sweep(train, SPACES["grid"], store=folder, force=force, **HOW)
        with pytest.raises(ValueError, match=words):
            jaxlr.open(folder)
        assert sorted(tmp_path.rglob("*")) == before
    with pytest.raises(FileNotFoundError, match="where nothing is stored yet"):
        jaxlr.open(tmp_path / "nothing")
    with pytest.raises(TypeError, match="store must be a folder, a URL or a store of Zarr's, got 7"):
        jaxlr.open(7)


def test_another_format_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("jaxlr.store.manifest.FORMAT", 2)
        patch.setattr("jaxlr.store.manifest.Manifest.__init__.__defaults__", (0, "", 2))
        sweep(train, SPACES["grid"], store=tmp_path / "s", **HOW)
    for function in (jaxlr.open, lambda store: sweep(train, SPACES["grid"], store=store, **HOW)):
        with pytest.raises(ValueError, match=r"must have the format 1 of this version of jaxlr, got 2: use jaxlr 0\.2"):
            function(tmp_path / "s")


def damaged(store: Path, chance: random.Random, how: str) -> Path:
    """One file of a store with a changed bit, cut, or gone."""
    files = sorted(path for path in store.rglob("*") if path.is_file() and path.stat().st_size)
    file = chance.choice(files)
    data = bytearray(file.read_bytes())
    if how == "changed":
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    elif how == "cut":
        del data[chance.randrange(len(data)) :]
    if how == "gone":
        file.unlink()
    else:
        file.write_bytes(data)
    return file


def read(store: Path) -> tuple[xr.Dataset | None, Exception | None]:
    """What is there, or the error that says why it cannot be read."""
    try:
        return jaxlr.open(store).load(), None
    except (ValueError, FileNotFoundError) as error:
        return None, error


@pytest.mark.parametrize("how", ["changed", "cut", "gone"])
def test_nothing_wrong_is_believed(how: str, tmp_path: Path) -> None:
    """The result is the right one, or there is one error that names the store; for every kind of file."""
    chance, expected, errors = random.Random(how), plain("diverging"), 0
    sweep(train, SPACES["diverging"], store=tmp_path / "good", **HOW)
    for i in range(150):
        store = tmp_path / str(i)
        shutil.copytree(tmp_path / "good", store)
        file = damaged(store, chance, how)
        found, error = read(store)
        if found is None:
            errors += 1
            assert str(store) in str(error)
            continue
        unfinished = found["status"] == "unfinished"
        for name, variable in expected.data_vars.items():
            if name in found and name != "diverged_in":
                same = (found[name] == variable) | (found[name].isnull() & variable.isnull())
                assert (same | unfinished).all(), (file, name)
    assert errors > 30


def test_the_store_is_described(tmp_path: Path) -> None:
    sweep(train, SPACES["static"], store=tmp_path / "s", **HOW)
    known = contents(place(tmp_path / "s")).manifest
    assert known.run == "train"
    assert set(known.programs) == {"power=1", "power=2"}
    assert known.rows == 6
