"""SIGINT and SIGTERM, the notice of preemption, held back until what was computed is saved."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

__all__ = ["Interrupts", "held_back"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """The signal that came, if one did."""

    def __init__(self) -> None:
        self.came: int | None = None

    def receive(self, number: int, frame: FrameType | None) -> None:
        """A second interrupt does not wait."""
        if number == signal.SIGINT and self.came is not None:
            raise KeyboardInterrupt
        self.came = number

    def leave(self, message: str) -> None:
        """End the process as the signal would, but saying how to go on.

        Raises:
            KeyboardInterrupt: for SIGINT; Python's exit code is 130.
            SystemExit: for SIGTERM, with the exit code 143.
        """
        print(f"\njaxlr: {message}", file=sys.stderr)
        if self.came == signal.SIGTERM:
            raise SystemExit(128 + signal.SIGTERM)
        raise KeyboardInterrupt(message)


@contextlib.contextmanager
def held_back() -> Iterator[Interrupts]:
    """Inside the block the signals are noted and do no more; in other threads than the first Python hears none."""
    interrupts = Interrupts()
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, interrupts.receive) for number in _SIGNALS}
    try:
        yield interrupts
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
