"""Sweeps that factorise matrices on several CPU devices end: XLA's pool of threads does not wait for itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SCRIPT = """
import jax

jax.config.update("jax_num_cpu_devices", 2)
import jaxlr


def train(key, lr):
    weights = [jax.random.orthogonal(k, 64) for k in jax.random.split(key, 6)]
    return {"loss": sum((lr * w).sum() for w in weights)}


for _ in range(20):
    ds = jaxlr.sweep(train, jaxlr.grid(lr=[0.1 * k for k in range(1, 17)]), seeds=2)
print(ds.attrs["form"])
"""


@pytest.mark.slow
def test_sweeps_in_a_users_script_do_not_hang() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, check=True, timeout=300
    )
    assert "on one device" in done.stdout
