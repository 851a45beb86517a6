"""A stream goes on where its sweep was stopped: the batches before are read over, not trained on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import optax
import pytest
from flax import linen

from jaxlr import experiment, grid, sweep, tasks


def batches(seed: int, epoch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng((seed, epoch))
    for _ in range(8):
        x = rng.normal(size=(16, 4)).astype(np.float32)
        yield x, x.sum(1)[:, None]


def test_a_stopped_stream_goes_on_to_the_bit(tmp_path: Path) -> None:
    task = tasks.streamed(linen.Dense(1), tasks.squared_error, batches, length=8)
    run, space = experiment(task, optax.sgd, epochs=6), grid(learning_rate=[0.01, 0.1])
    whole = sweep(run, space, seeds=2, devices=1)

    def stop(done: int, total: int) -> None:
        if done >= total // 2:
            raise KeyboardInterrupt

    path, later = tmp_path / "store", []
    with pytest.raises(KeyboardInterrupt, match="the same call goes on"):
        sweep(run, space, seeds=2, devices=1, store=path, save_every=1e-9, progress=stop)
    ds = sweep(run, space, seeds=2, devices=1, store=path, progress=lambda done, total: later.append(done)).load()
    np.testing.assert_array_equal(ds["loss"], whole["loss"])
    assert later[0] >= 12, "what was done before is not done again"
