"""Programs of the kinds that people bring to jaxlr, each once by hand and once with jaxlr."""

from __future__ import annotations

from types import ModuleType

from scripts.bench.clients import conv, gan, gpt, norm, ppo, stream, vae

__all__ = ["CLIENTS"]

CLIENTS: dict[str, ModuleType] = {
    "PPO, orthogonal": ppo,
    "NNX, convolutions and dropout": conv,
    "beta-VAE": vae,
    "small GPT": gpt,
    "GAN": gan,
    "Equinox, BatchNorm": norm,
    "streamed data": stream,
}
"""Each has a `Size`, an `AXIS` that is swept, `alone(size)`, the ways by hand, and `with_jaxlr(size)`, the run."""
