"""Sweeps whose trainings factorise matrices, on as many CPU devices as cores: that each of them ends.

    python -m scripts.suites.factorisation_hang [NAME ...] [--sweeps N] [--by script|command] [--limit SECONDS]

From the repository's root. Each factorisation is swept N times in a process of its own: in the way of a script, which
sets the number of devices, and with the command line's settings. A process that does not end by itself within the limit
is ended, and said to hang; the exit code is then 1.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from typing import Any

SIZE, MATRICES, RATES, SEEDS = 64, 6, 16, 2
NAMES = ("cholesky", "det", "eigh", "inv", "orthogonal", "qr", "solve", "svd")
WAYS = ("script", "command")


def factorisation(name: str) -> Callable[[Any], Any]:
    """`key -> array`: a matrix drawn and factorised."""
    import jax
    import jax.numpy as jnp

    def drawn(key: Any) -> Any:
        a = jax.random.normal(key, (SIZE, SIZE))
        return a @ a.T / SIZE + jnp.eye(SIZE)

    return {
        "cholesky": lambda key: jnp.linalg.cholesky(drawn(key)),
        "det": lambda key: jnp.linalg.slogdet(drawn(key))[1],
        "eigh": lambda key: jnp.linalg.eigh(drawn(key))[0],
        "inv": lambda key: jnp.linalg.inv(drawn(key)),
        "orthogonal": lambda key: jax.random.orthogonal(key, SIZE),
        "qr": lambda key: jnp.linalg.qr(drawn(key))[1],
        "solve": lambda key: jnp.linalg.solve(drawn(key), jnp.ones(SIZE)),
        "svd": lambda key: jnp.linalg.svd(drawn(key))[1],
    }[name]


def sweeps(name: str, way: str, count: int) -> None:
    """Sweep a factorisation so many times."""
    import jax

    import jaxlr
    from jaxlr.cli.running import set_up

    if way == "command":
        set_up(cache=False)
    else:
        jax.config.update("jax_num_cpu_devices", os.cpu_count() or 1)
    factorised = factorisation(name)

    def train(key: Any, lr: Any) -> dict[str, Any]:
        return {"loss": sum((lr * factorised(k)).sum() for k in jax.random.split(key, MATRICES))}

    space = jaxlr.grid(lr=[0.1 * k for k in range(1, RATES + 1)])
    for _ in range(count):
        ds = jaxlr.sweep(train, space, seeds=SEEDS)
    print(f"{len(jax.devices())} devices, {ds.attrs['form']}: ", end="", flush=True)


def ends(name: str, way: str, count: int, limit: float) -> bool:
    """Whether the sweeps end in time, with what is to be said of them."""
    print(f"{name}, by {way}: ", end="", flush=True)
    process = multiprocessing.get_context("spawn").Process(target=sweeps, args=(name, way, count))
    began = time.perf_counter()
    process.start()
    process.join(limit)
    if process.is_alive():
        process.kill()
    process.join()
    ended = process.exitcode == 0
    print(f"{count} sweeps in {time.perf_counter() - began:.0f} s" if ended else "NOT ENDED", flush=True)
    return ended


def main(arguments: list[str]) -> int:
    """Try the factorisations that are named, or all, in both ways or one."""
    parser = argparse.ArgumentParser(prog="python -m scripts.suites.factorisation_hang", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--sweeps", type=int, default=1000)
    parser.add_argument("--by", choices=WAYS, help="one of the ways; by default both")
    parser.add_argument("--limit", type=float, default=1800.0, help="seconds for each process")
    given = parser.parse_args(arguments)
    ways = [given.by] if given.by else WAYS
    ended = [ends(name, way, given.sweeps, given.limit) for name in given.names or NAMES for way in ways]
    return int(not all(ended))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
