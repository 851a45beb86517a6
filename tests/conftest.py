"""Eight host devices for the whole session, set before JAX is first used; strict flags; shared fixtures."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

import jax
import pytest

jax.config.update("jax_num_cpu_devices", 8)
# The command line, run by tests, keeps compiled programs for one another and nothing in the user's folder.
os.environ["XDG_CACHE_HOME"] = _CACHE = tempfile.mkdtemp(prefix="jaxlr-tests-")
atexit.register(shutil.rmtree, _CACHE, ignore_errors=True)

from tests.support import strict  # noqa: E402

strict.set_flags()


@pytest.fixture(scope="session")
def blobs():
    from jaxlr import tasks

    return tasks.blobs()
