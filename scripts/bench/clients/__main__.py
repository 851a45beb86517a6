"""Seven kinds of program in a sweep, beside the same training by hand.

    python -m scripts.bench.clients [NAME ...] [--devices N] [--repeats N]

From the repository's root. Each client trains 8 values of a hyperparameter with 2 seeds: in a sweep; by `jit(vmap)`;
in a Python loop over one compiled training; and, where it has epochs, in Python's loops over one compiled update. All
evaluate alike and take turns in one process, once they are compiled. Ratios are medians of pairs, of seconds by the
clock and of the processor's, which other programs on the machine disturb less.
"""

from __future__ import annotations

import argparse
import inspect
import statistics
import sys
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import jax

import jaxlr
from scripts.bench.clients import CLIENTS

SEEDS = 2


def ways_of(client: ModuleType) -> dict[str, Callable[[], Any]]:
    """The sweep, and the ways by hand."""
    size, (values,) = client.Size(), client.AXIS.values()
    run, space = client.with_jaxlr(size), jaxlr.grid(**client.AXIS)
    by_hand = {
        way: (lambda train=train: train([float(value) for value in values], SEEDS))
        for way, train in client.alone(size).items()
    }
    return {"sweep": lambda: jaxlr.sweep(run, space, seeds=SEEDS), **by_hand}


def lines(client: ModuleType) -> int:
    """Lines of code with jaxlr: those of `with_jaxlr` below its docstring, and the sweep's."""
    return len(inspect.getsource(client.with_jaxlr).split('"""')[2].strip().splitlines()) + 1


class Took(NamedTuple):
    """Seconds by the clock, and of the processor."""

    clock: float
    processor: float


def seconds(function: Callable[[], Any]) -> Took:
    began, used = time.perf_counter(), time.process_time()
    function()
    return Took(time.perf_counter() - began, time.process_time() - used)


def measured(client: ModuleType, repeats: int) -> tuple[dict[str, Took], dict[str, list[Took]]]:
    """Seconds of the first time, in which it is compiled, and of `repeats` more in turn, by way."""
    ways = ways_of(client)
    first = {way: seconds(function) for way, function in ways.items()}
    times: dict[str, list[Took]] = {way: [] for way in ways}
    for _ in range(repeats):
        for way, function in ways.items():
            times[way].append(seconds(function))
    return first, times


def row(name: str, repeats: int) -> str:
    """A client's line of the table."""
    first, times = measured(CLIENTS[name], repeats)
    typical = {way: statistics.median(took.clock for took in found) for way, found in times.items()}
    best = min((way for way in typical if way != "sweep"), key=typical.__getitem__)
    shown = [f"{typical[way]:.2f}" if way in typical else "" for way in ("sweep", "vmap", "loop", "loop over updates")]
    ratios = [[a[i] / b[i] for a, b in zip(times["sweep"], times[best], strict=True)] for i in range(2)]
    compiling = f"{first['sweep'].clock - typical['sweep']:.1f} / {first[best].clock - typical[best]:.1f}"
    return f"| {' | '.join([name, str(lines(CLIENTS[name])), *shown, *map(spread, ratios), compiling])} |"


def spread(ratios: list[float]) -> str:
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


HEAD = """\
| client | lines | sweep, s | `jit(vmap)` | loop | loop over updates | sweep / best by hand | processor's | compiling |
|---|---|---|---|---|---|---|---|---|"""


def main(arguments: list[str]) -> None:
    """Measure the clients that are named, or all."""
    parser = argparse.ArgumentParser(prog="python -m scripts.bench.clients", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(CLIENTS)}")
    parser.add_argument("--devices", type=int, default=1, help="CPU devices, of which those by hand use one")
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args(arguments)
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", given.devices)
    print(HEAD)
    for name in given.names or CLIENTS:
        print(row(name, given.repeats), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
