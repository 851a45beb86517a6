"""`jaxlr bench`: how fast this machine trains."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from jaxlr.cli.app import app
from jaxlr.cli.running import Cache, set_up, writable


@app.command()
def bench(
    settings: Annotated[str, typer.Option(help="Numbers of settings in one sweep.")] = "1,16,256,1024,4096,16384",
    repeats: Annotated[int, typer.Option(help="Sweeps of each size up to 256; larger ones are timed twice.")] = 5,
    epochs: Annotated[int, typer.Option(help="Passes over the 500 training points.")] = 200,
    out: Annotated[
        Path, typer.Option(help="The measurements (JSON); table (.md) and figure (.png) go beside it.")
    ] = Path("bench.json"),
    force: Annotated[bool, typer.Option("--force", help="Replace files of an earlier run.")] = False,
    cache: Cache = True,
) -> None:
    """Time the training of the blobs' network on this machine: one setting to thousands in a sweep.

    The share of the machine's matrix-product rate counts 45 kFLOP an update and 250 kFLOP a test.
    """
    set_up(cache)
    from jaxlr import plots
    from jaxlr.cli import scaling

    counts = _counts(settings)
    if out.suffix != ".json":
        raise ValueError(f"--out must be a file *.json, got {out}")
    files = [out, out.with_suffix(".md"), out.with_suffix(".png")]
    writable(out.parent, [file.name for file in files], force)
    result = scaling.measure(
        counts, epochs=epochs, repeats=repeats, report=lambda line: print(f"timing {line}", file=sys.stderr)
    )
    text = scaling.table(result)
    print(text)
    files[0].write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    files[1].write_text(text + "\n", encoding="utf-8")
    plots.speed(result).savefig(files[2])
    for file in files:
        print(file)


def _counts(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"--settings must be integers such as 1,256, got {text!r}") from None
