"""Count the kernels that an H100 launches for one update of the blobs' training, without having one.

A step of so small a network is bound by launches, and XLA compiles for a GPU that is described to it. Needs the extra
`cuda` (5 GB) and no GPU; it says nothing of seconds.

Run from the repository's root: python -m scripts.bench.gpu_launches [SETTINGS]
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any

# What is compiled for need not be there; without it no kernels are chosen by timing them.
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_gpu_autotune_level=0"

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.experimental import topologies
from jax.sharding import SingleDeviceSharding

from jaxlr import experiment, grid, spaces, tasks
from jaxlr.engine import Layout, Shape, programs, tracing
from scripts.bench import by_jax, points

H100 = """
gpu_device_info {
  threads_per_block_limit: 1024 threads_per_warp: 32 shared_memory_per_block: 49152 shared_memory_per_core: 233472
  threads_per_core_limit: 2048 core_count: 132 fpus_per_core: 128 block_dim_limit_x: 2147483647
  block_dim_limit_y: 65535 block_dim_limit_z: 65535 memory_bandwidth: 3352320000000 l2_cache_size: 52428800
  clock_rate_ghz: 1.98 device_memory_size: 84929347584 shared_memory_per_block_optin: 232448
  cuda_compute_capability { major: 9 } registers_per_core_limit: 65536 registers_per_block_limit: 65536
}
platform_name: "CUDA"
dnn_version_info { major: 9 minor: 12 }
runtime_version { major: 13 }
device_description_str: "NVIDIA H100 80GB HBM3"
"""
"""What XLA's compiler asks of a GPU."""

EPOCHS = 200
NO_KERNEL = {"parameter", "get-tuple-element", "tuple", "constant", "bitcast", "while"}


def main() -> None:
    """Compile both programs and print their counts."""
    settings = int(sys.argv[1]) if len(sys.argv) > 1 else 4096
    (device,) = topologies.get_topology_desc(platform="cuda", target_config=H100, topology="1x1x1").devices
    print(f"kernels of an update, {settings} settings, JAX {jax.__version__}, compiled for {device.device_kind}")
    for name, compile_ in {"jaxlr": _ours, "hand-written jit(vmap(train)), Flax": _by_hand}.items():
        text = compile_(settings, device).as_text()
        print(f"  {name}: {sum(1 for _ in _kernels(text))}")


def _ours(settings: int, device: jax.Device) -> Any:
    run = experiment(tasks.blobs(), optax.sgd, epochs=EPOCHS, batch_size=points.BATCH)
    (group,) = spaces.group(grid(learning_rate=np.geomspace(1e-4, 1, settings)), run.static_names)
    layout = Layout(Shape(settings, 1, 1), (device,), EPOCHS, None)
    member = tracing.trace(run, group, _abstract_key(), layout.keep)
    return programs.lower(member, run.length, group, layout, _abstract_key()).advance.compile()


def _by_hand(settings: int, device: jax.Device) -> Any:
    train: Callable[..., Any] = jax.vmap(by_jax.training(points.load(), EPOCHS), (0, None))
    there = SingleDeviceSharding(device)
    rates = jax.ShapeDtypeStruct((settings,), jnp.float32, sharding=there)
    return jax.jit(train, in_shardings=there).lower(rates, _abstract_key()).compile()


def _abstract_key() -> Any:
    return jax.eval_shape(lambda: jax.random.key(0))


def _kernels(text: str) -> Iterator[str]:
    """The operations of the innermost loop, which goes over an epoch's batches, that are launched."""
    bodies = dict(re.findall(r"^%([\w.-]+) \(.*?\{\n(.*?)^\}", text, re.M | re.S))
    loops = re.findall(r' while\(.*?body=%([\w.-]+).*?"known_trip_count":\{"n":"1[56]"\}', text)
    for line in bodies[loops[0]].splitlines():
        operation = re.search(r"= (?:\(.*?\)|\S+) ([\w-]+)\(", line)
        if operation and operation[1] not in NO_KERNEL:
            yield line


if __name__ == "__main__":
    main()
