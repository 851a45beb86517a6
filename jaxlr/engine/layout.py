"""How a sweep is cut into blocks: settings x seeds on each device, all of one shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax

from jaxlr import _checks

__all__ = ["Layout", "Shape", "lay_out"]

_CACHED_MEMBERS = 64
"""Members for each CPU device that `chunk="auto"` aims at: their working set stays in the cache of a core."""

_MANY_MEMBERS = 4096
"""The same for other devices: a step of a small model is bound by launches until thousands fill them."""


class Shape(NamedTuple):
    """The shape of a block.

    Attributes:
        settings: settings on each device.
        seeds: seeds.
        devices: number of devices.
    """

    settings: int
    seeds: int
    devices: int

    def __str__(self) -> str:
        return f"{self.settings} settings x {self.seeds} seeds on each of {self.devices} devices"

    @property
    def rows(self) -> int:
        """Settings in a block."""
        return self.settings * self.devices

    def halved(self) -> Shape | None:
        """Half as many members: of settings first, then of seeds; None for a single one."""
        if self.settings > 1:
            return self._replace(settings=self.settings // 2)
        return self._replace(seeds=self.seeds // 2) if self.seeds > 1 else None


class Layout(NamedTuple):
    """How a block is laid out and what it gives.

    Attributes:
        shape: its shape.
        devices: where it runs.
        segment: advances that it makes at most before the host sees the metrics.
        keep: which weights it keeps: "last", "best" or None.
        in_turn: a device trains its members one after the other, not side by side.
    """

    shape: Shape
    devices: tuple[jax.Device, ...]
    segment: int
    keep: str | None
    in_turn: bool = False


def lay_out(
    rows: Sequence[int],
    seeds: int,
    chunk: int | str,
    devices: int | Sequence[jax.Device] | None,
    segment: int,
    keep: str | None,
) -> Layout:
    """The layout of a sweep.

    Args:
        rows: settings of each of its groups.
        seeds: number of seeds.
        chunk: members on each device, or "auto".
        devices: how many local devices, or which, or all.
        segment: advances of a segment.
        keep: which weights are kept.

    Raises:
        ValueError, TypeError: a count below 1 or no count, an unknown word, or more devices than there are.

    >>> lay_out([3], 2, 4, 1, 100, None).shape
    Shape(settings=2, seeds=2, devices=1)
    """
    _checks.count("seeds", seeds)
    _checks.count("segment", segment)
    if keep is not None:
        _checks.one_of("keep", keep, ("last", "best"))
    used = _devices(devices)
    if sum(rows) * seeds == 1:
        used = used[:1]
    if chunk == "auto":
        members = _CACHED_MEMBERS if used[0].platform == "cpu" else _MANY_MEMBERS
        inner = min(seeds, members)
        # Powers of two, so that sweeps of like size share a compiled program.
        wanted = 1 << (math.ceil(max(rows) / len(used)) - 1).bit_length()
        outer = min(wanted, 1 << ((members // inner).bit_length() - 1))
    else:
        _checks.count("chunk", chunk)
        inner = min(seeds, int(chunk))
        outer = max(int(chunk) // inner, 1)
    return Layout(Shape(outer, inner, len(used)), tuple(used), segment, keep)


def _devices(devices: int | Sequence[jax.Device] | None) -> list[jax.Device]:
    if devices is None:
        return list(jax.local_devices())
    if isinstance(devices, Sequence):
        if not devices:
            raise ValueError("devices must hold at least one device, got none")
        return list(devices)
    _checks.count("devices", devices)
    if devices > len(jax.local_devices()):
        raise ValueError(f"devices must be at most the {len(jax.local_devices())} local devices, got {devices}")
    return list(jax.local_devices()[:devices])
