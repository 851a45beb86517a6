"""What every command that trains needs: the devices, files that may be written, a progress bar."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

__all__ = ["Bar", "use_all_cores", "writable"]


def use_all_cores() -> None:
    """Let every CPU core be a device of its own, unless the user has set a number.

    This has to come before the first use of JAX.
    """
    import jax

    if jax.config.values["jax_num_cpu_devices"] < 1:
        jax.config.update("jax_num_cpu_devices", os.cpu_count() or 1)


def writable(out: Path, files: list[str], force: bool) -> None:
    """Make the folder, and raise unless the files can be written there without loss."""
    if out.exists() and not out.is_dir():
        raise NotADirectoryError(f"--out must be a folder, got the file {out}")
    existing = [file for file in files if (out / file).exists()]
    if existing and not force:
        more = f" and {len(existing) - 1} more" if len(existing) > 1 else ""
        raise FileExistsError(f"{out / existing[0]}{more} exist; give another --out, or --force to replace them")
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise OSError(f"--out must be a folder that can be written, got {out} ({error.strerror})") from error


class Bar:
    """A progress bar of epochs, drawn when the first are done."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._bar: Any = None

    def __call__(self, done: int, total: int) -> None:
        if self._quiet:
            return
        if self._bar is None:
            from tqdm import tqdm

            self._bar = tqdm(total=total, unit=" epochs", unit_scale=True, desc="training")
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
