"""Eight host devices for the whole session, set before JAX is first used; strict flags; shared fixtures."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator

import jax
import pytest

jax.config.update("jax_num_cpu_devices", 8)
# The command line, run by tests, keeps compiled programs for one another and nothing in the user's folder.
_CACHE = tempfile.TemporaryDirectory(prefix="jaxlr-tests-")
os.environ["XDG_CACHE_HOME"] = _CACHE.name

from tests.support import strict  # noqa: E402

strict.set_flags()


@pytest.fixture(autouse=True)
def _schedules_promote(request: pytest.FixtureRequest) -> Iterator[None]:
    """Without the strict flags where schedules are tested: to be deleted when those keep them."""
    if "schedule" not in request.node.nodeid.split("::")[0]:
        yield
        return
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


@pytest.fixture(scope="session")
def blobs():
    from jaxlr import tasks

    return tasks.blobs()
