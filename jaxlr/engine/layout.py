"""How a sweep is cut into blocks: settings x seeds on each device, all of one shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax

from jaxlr import _checks
from jaxlr.engine.forms import Form

__all__ = ["Layout", "Shape", "check", "chosen", "lay_out"]


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
        reason: why this form.
    """

    shape: Shape
    devices: tuple[jax.Device, ...]
    segment: int
    keep: str | None
    in_turn: bool = False
    reason: str = ""

    def of_shape(self, shape: Shape) -> Layout:
        """The same in blocks of another shape; a member alone has nobody by its side."""
        if shape.settings * shape.seeds > 1:
            return self._replace(shape=shape)
        return self._replace(shape=shape, in_turn=True, reason="in turn: one member")


def lay_out(
    rows: Sequence[int],
    seeds: int,
    chunk: int | str,
    devices: Sequence[jax.Device],
    form: Form,
    segment: int,
    keep: str | None,
) -> Layout:
    """The layout of a sweep, whose blocks are as even as they can be, or as they are asked for.

    Args:
        rows: settings of each of its groups.
        seeds: number of seeds.
        chunk: members on each device, or "auto".
        devices: where it may run.
        form: how its members are best trained.
        segment: advances of a segment.
        keep: which weights are kept.

    >>> form = Form(64, False, "small")
    >>> lay_out([21], 3, "auto", jax.devices()[:1], form, 100, None).shape
    Shape(settings=21, seeds=3, devices=1)
    >>> lay_out([90], 1, "auto", jax.devices()[:1], form, 100, None).shape
    Shape(settings=46, seeds=1, devices=1)
    """
    inner, outer = _auto(max(rows), seeds, len(devices), form)
    if chunk != "auto":
        # To the letter, since a block's shape decides the last bits: what a grid does not fill is trained unseen.
        inner = min(seeds, int(chunk))
        outer = int(chunk) // inner
    used = tuple(devices[: math.ceil(max(rows) / outer)])
    shape = Shape(outer, inner, len(used))
    return Layout(shape, used, segment, keep, form.in_turn, form.reason).of_shape(shape)


def _auto(rows: int, seeds: int, devices: int, form: Form) -> tuple[int, int]:
    """Seeds and settings of a block on each device."""
    inner = _even(seeds, form.members)
    most = max(form.members // inner, 1)
    outer = _even(math.ceil(rows / devices), most)
    if 1 < outer < most and not form.in_turn:
        outer += outer % 2  # sweeps of like size share a compiled program
    return inner, outer


def _even(length: int, most: int) -> int:
    """The size of the fewest parts, none larger than `most`, that are of one size but for the last."""
    return math.ceil(length / math.ceil(length / most))


def check(seeds: int, chunk: int | str, segment: int, keep: str | None) -> None:
    """Check what is asked of a layout.

    Raises:
        ValueError, TypeError: a count below 1 or no count, or an unknown word.
    """
    _checks.count("seeds", seeds)
    _checks.count("segment", segment)
    if chunk != "auto":
        _checks.count("chunk", chunk)
    if keep is not None:
        _checks.one_of("keep", keep, ("last", "best"))


def chosen(devices: int | Sequence[jax.Device] | None) -> list[jax.Device]:
    """The devices that are meant by how many local ones, which, or all (None).

    Raises:
        ValueError, TypeError: none, more than there are, or no count.
    """
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
