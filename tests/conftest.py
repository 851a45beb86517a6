"""Eight host devices for the whole session, set before JAX is first used; shared fixtures."""

from __future__ import annotations

import jax
import pytest

jax.config.update("jax_num_cpu_devices", 8)


@pytest.fixture(scope="session")
def blobs():
    from jaxlr import tasks

    return tasks.blobs()
