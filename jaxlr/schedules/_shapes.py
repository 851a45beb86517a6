"""Shapes of a decay: how far the value has fallen, by how far the time has come."""

from __future__ import annotations

import jax.numpy as jnp

from ._progress import Progress


def linear(p: Progress) -> Progress:
    return p


def cosine(p: Progress) -> Progress:
    """Half a cosine wave: `left = (1 + cos(pi * done)) / 2`, as sines that are precise at both ends."""
    quarter = jnp.pi / 2
    return Progress(jnp.sin(quarter * p.done) ** 2, jnp.sin(quarter * p.left) ** 2)
