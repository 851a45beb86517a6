"""Sweeps that factorise matrices end, on one device and on several: XLA's pool of threads does not wait for itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SCRIPT = """
import jax
import jax.numpy as jnp

jax.config.update("jax_num_cpu_devices", 2)
import jaxlr


def train(key, lr):
    matrices = [jax.random.orthogonal(k, 64) + jnp.eye(64) for k in jax.random.split(key, 6)]
    return {"loss": sum((lr * jnp.linalg.inv(a)).sum() for a in matrices)}


for devices in 20 * [1, 2]:
    ds = jaxlr.sweep(train, jaxlr.grid(lr=[0.1 * k for k in range(1, 17)]), seeds=2, devices=devices)
print(ds.attrs["form"])
"""


@pytest.mark.slow
def test_sweeps_in_a_users_script_do_not_hang() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, check=True, timeout=300
    )
    assert "one matrix at a time" in done.stdout
