"""What a store withstands: processes killed at random moments, files with changed bytes.

Run from the repository's root: python -m scripts.suites.store_suite [kills|damage] NUMBER [SEED]

kills   sweeps of three kinds in processes of their own, each killed by SIGKILL at a random moment (of its imports, its
        training, its saves) and started again until it ends; then every number is compared with those of a sweep that
        was never killed.
damage  one bit of one file changed at random offsets, NUMBER for each kind of file; what is read must be right, or
        there must be one error that names the store.
"""

from __future__ import annotations

import collections
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

import xarray as xr

import jaxlr
from tests.support.killed import KINDS, Kill, kills, swept


def kill(number: int, seed: int) -> None:
    """Print a row for each kind of sweep: kills in each phase, sweeps that ended, results that were not the same."""
    chance, expected = random.Random(seed), {kind: swept(kind, None) for kind in KINDS}
    seen: list[Kill] = []
    ended, differing = collections.Counter[str](), collections.Counter[str]()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        while sum(not one.ended for one in seen) < number:
            kind = KINDS[sum(ended.values()) % len(KINDS)]
            store = Path(folder) / str(len(seen))
            seen += kills(kind, store, Path(folder) / "cache", chance)
            ended[kind] += 1
            print(f"{kind}: {len(seen) - sum(ended.values())} killed so far", file=sys.stderr, flush=True)
            differing[kind] += not _same(jaxlr.open(store).load(), expected[kind])
            shutil.rmtree(store)
    print(f"{time.perf_counter() - began:.0f} s, seed {seed}")
    print("| sweep | killed while importing and compiling | while training and saving | ended | not the same |")
    print("|---|---:|---:|---:|---:|")
    for kind in KINDS:
        phases = [
            sum(one[:2] == (kind, phase) and not one.ended for one in seen) for phase in ("importing", "training")
        ]
        print(f"| {kind} | {phases[0]} | {phases[1]} | {ended[kind]} | {differing[kind]} |")


def _same(found: xr.Dataset, expected: xr.Dataset) -> bool:
    return list(found.variables) == list(expected.variables) and found.equals(expected)


def damage(number: int, seed: int) -> None:
    """Print a row for each kind of file: how often the result was right, or lacked a part, or an error said so."""
    chance, expected = random.Random(seed), swept("experiment", None, seeds=2)
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "s"
        swept("experiment", store, seeds=2)
        print("| file | right | said to be unfinished | an error | wrong | other errors |")
        print("|---|---:|---:|---:|---:|---:|")
        names = ("right", "unfinished", "error", "wrong", "other")
        kinds = ["zarr.json", "loss/zarr.json", "loss/c/0/0/0", "status/c/0/0", "diverged_at/c/0/0"]
        tables = [path for path in (store / "engine").glob("settings-*/**/*") if path.is_file()]
        for kind in [*kinds, *sorted(str(path.relative_to(store)) for path in tables)]:
            counts = collections.Counter(_read(store, kind, chance, expected) for _ in range(number))
            print(f"| {kind} | {' | '.join(str(counts[name]) for name in names)} |", flush=True)


def _read(store: Path, kind: str, chance: random.Random, expected: xr.Dataset) -> str:
    """What comes of the store with one bit of a file changed."""
    file = store / kind
    good = file.read_bytes()
    changed = bytearray(good)
    changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    file.write_bytes(changed)
    try:
        found = jaxlr.open(store).load()
    except (ValueError, FileNotFoundError) as error:
        return "error" if str(store) in str(error) else "other"
    except Exception:
        return "other"
    finally:
        file.write_bytes(good)
    if found.equals(expected):
        return "right"
    unfinished = found["status"] == "unfinished"
    right = all(bool(((found[name] == one) | unfinished).all()) for name, one in expected.data_vars.items())
    return "unfinished" if right else "wrong"


if __name__ == "__main__":
    {"kills": kill, "damage": damage}[sys.argv[1]](int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 0)
