"""Members side by side or in turn: what `chunk="auto"` chooses between, on nets of many kinds.

    python -m scripts.bench.forms [NAME ...] [--members N] [--devices N]

From the repository's root. Prints for each net the milliseconds of a member: a Python loop over one jitted training,
`vmap` by hand, the sweep with members side by side in blocks of several sizes, and in turn; then what the rule takes
into account: the arithmetic of a member's products.
"""

from __future__ import annotations

import argparse
import functools
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen

from jaxlr import experiment, grid, tasks
from jaxlr.engine import programs
from jaxlr.engine.collecting import Members, collect
from jaxlr.engine.forms import arithmetic
from jaxlr.engine.layout import Layout, Shape
from jaxlr.engine.segments import segments
from jaxlr.runs import Run
from jaxlr.spaces import group

EPOCHS, REPEATS = 3, 5


class Net(linen.Module):
    """Dense layers."""

    widths: tuple[int, ...]

    @linen.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for width in self.widths:
            x = linen.relu(linen.Dense(width)(x))
        return linen.Dense(10)(x)


class Convolutional(linen.Module):
    """Two convolutions."""

    widths: tuple[int, int]

    @linen.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for width in self.widths:
            x = linen.avg_pool(linen.relu(linen.Conv(width, (3, 3))(x)), (2, 2), (2, 2))
        return linen.Dense(10)(x.reshape(len(x), -1))


class Transformer(linen.Module):
    """A small GPT whose embedding is its output layer too."""

    width: int
    layers: int

    @linen.compact
    def __call__(self, tokens: jax.Array) -> jax.Array:
        embed = linen.Embed(64, self.width)
        x = embed(tokens) + self.param("position", linen.initializers.normal(0.02), (tokens.shape[1], self.width))
        for _ in range(self.layers):
            x += linen.SelfAttention(4)(linen.LayerNorm()(x), mask=linen.make_causal_mask(tokens))
            x += linen.Dense(self.width)(linen.gelu(linen.Dense(4 * self.width)(linen.LayerNorm()(x))))
        return embed.attend(x)


def next_token(logits: jax.Array, tokens: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
    """The mean loss of each sequence."""
    return optax.softmax_cross_entropy_with_integer_labels(logits, tokens).mean(-1), {}


def _dense(features: int, *widths: int) -> tasks.Task:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(512, features)), rng.integers(0, 10, 512)
    return tasks.classification(Net(widths), x, y, x[:128], y[:128])


def _images(size: int, *widths: int) -> tasks.Task:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(512, size, size, 1)), rng.integers(0, 10, 512)
    return tasks.classification(Convolutional((widths[0], widths[1])), x, y, x[:128], y[:128])


def _text(width: int, layers: int) -> tasks.Task:
    tokens = np.random.default_rng(0).integers(0, 64, (256, 33))
    return tasks.supervised(Transformer(width, layers), next_token, tokens[:, :-1], tokens[:, 1:])


NETS: dict[str, Callable[[], tasks.Task]] = {
    "blobs": tasks.blobs,
    "dense 16-8": lambda: _dense(16, 8),
    "dense 64-32": lambda: _dense(64, 32),
    "dense 64-64-64": lambda: _dense(64, 64, 64),
    "dense 128-128-128": lambda: _dense(128, 128, 128),
    "dense 256-256-256": lambda: _dense(256, 256, 256),
    "dense 784-128": lambda: _dense(784, 128),
    "dense 784-512-512": lambda: _dense(784, 512, 512),
    "images 8, 4 and 8": lambda: _images(8, 4, 8),
    "images 14, 8 and 16": lambda: _images(14, 8, 16),
    "images 28, 16 and 32": lambda: _images(28, 16, 32),
    "transformer 16 x 1": lambda: _text(16, 1),
    "transformer 32 x 2": lambda: _text(32, 2),
    "transformer 64 x 2": lambda: _text(64, 2),
    "transformer 128 x 2": lambda: _text(128, 2),
}


def by_hand(run: Run, rates: np.ndarray) -> dict[str, Callable[[], Any]]:
    """The two ways that a user would write first."""

    def train(rate: Any) -> Any:
        seed_key, hp = jax.random.fold_in(jax.random.key(0), 0), {"learning_rate": rate}
        carry = run.init(jax.random.fold_in(seed_key, 0), hp)
        numbers = jnp.arange(1, run.length + 1)
        return jax.lax.scan(lambda carry, n: run.advance(carry, run.key_of(seed_key, n), hp), carry, numbers)[1]

    one, all_ = jax.jit(train), jax.jit(jax.vmap(train))
    return {
        "loop": lambda: [jax.block_until_ready(one(rate)) for rate in rates],
        "vmap": lambda: jax.block_until_ready(all_(rates)),
    }


def in_form(run: Run, rates: np.ndarray, members: int, devices: int, in_turn: bool) -> Callable[[], Any]:
    """The engine with blocks of a size and form."""
    groups = group(grid(learning_rate=rates))
    traced = programs.traced(run, groups, jax.random.key(0), None)
    shape = Shape(members, 1, devices)
    layout = Layout(shape, tuple(jax.local_devices()[:devices]), 100, None, in_turn)
    compiled, _ = programs.compiled(traced, layout)
    return lambda: collect(segments(traced, compiled, layout, 1), Members(len(rates), 1, run.length))


def seconds(function: Callable[[], Any]) -> float:
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def measure(name: str, members: int, devices: int) -> None:
    """Time one net in every way, in turns, and print the medians."""
    run = experiment(NETS[name](), optax.adam, epochs=EPOCHS)
    rates = np.geomspace(1e-4, 1e-3, members).astype(np.float32)
    each = members // devices
    ways = by_hand(run, rates)
    for size in sorted({each, each // 4, each // 16} - {0}, reverse=True):
        ways[f"together {size}"] = in_form(run, rates, size, devices, in_turn=False)
    ways["in turn"] = in_form(run, rates, each, devices, in_turn=True)
    for way in ways.values():
        way()
    times: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(REPEATS):
        for way, function in ways.items():
            times[way].append(seconds(function))
    words = "  ".join(f"{way} {1e3 * statistics.median(found) / members:.2f}" for way, found in times.items())
    member = programs.traced(run, group(grid(learning_rate=rates)), jax.random.key(0), None).members[0]
    work = arithmetic(member.advance.program)
    print(f"{name:22} {words}  | {work}", flush=True)


def main(arguments: list[str]) -> None:
    """Measure the nets that are named, or all."""
    parser = argparse.ArgumentParser(prog="python -m scripts.bench.forms", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NETS)}")
    parser.add_argument("--members", type=int, default=16)
    parser.add_argument("--devices", type=int, default=1)
    given = parser.parse_args(arguments)
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", given.devices)
    for name in given.names or NETS:
        functools.partial(measure, name)(given.members, given.devices)


if __name__ == "__main__":
    main(sys.argv[1:])
