"""What the host hands to the devices, read while they compute."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from jaxlr._types import PyTree
from jaxlr.runs import Run

__all__ = ["fed"]


def fed(run: Run, seeds: Sequence[int], done: int) -> Iterator[PyTree]:
    """What the advances after the first `done` are given: None for a run that reads nothing."""
    if run.feed is None:
        return itertools.repeat(None)
    return _ahead(itertools.islice(run.feed.read(seeds, done), run.length - done))


def _ahead(items: Iterator[PyTree]) -> Iterator[PyTree]:
    """The same items, each read while the one before is used."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        following = pool.submit(next, items, None)
        while (item := following.result()) is not None:
            following = pool.submit(next, items, None)
            yield item
