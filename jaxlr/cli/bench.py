"""`jaxlr bench`: how fast this machine trains, against other ways to train the same."""

from __future__ import annotations

import atexit
import gc
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jaxlr.cli.app import app
from jaxlr.cli.running import Cache, set_up, writable

if TYPE_CHECKING:
    from jaxlr.bench import Rival


@app.command()
def bench(
    settings: Annotated[str, typer.Option(help="Numbers of settings in one sweep.")] = "1,16,256,1024,4096,16384",
    rivals: Annotated[
        str, typer.Option(help="all that are installed (pip install 'jaxlr[bench]'), none, or words of their names.")
    ] = "all",
    repeats: Annotated[int, typer.Option(help="Pairs of a rival's run and a sweep.")] = 5,
    epochs: Annotated[int, typer.Option(help="Passes over the 500 training points.")] = 200,
    out: Annotated[
        Path, typer.Option(help="The measurements (JSON); table (.md) and figure (.png) go beside it.")
    ] = Path("bench.json"),
    force: Annotated[bool, typer.Option("--force", help="Replace files of an earlier run.")] = False,
    cache: Cache = True,
) -> None:
    """Time the training of the blobs' network: one setting to thousands, against rivals, against the machine.

    Each rival is timed in turn with a sweep of 256 settings, so that both meet the same machine. The share of the
    machine's matrix-product rate counts 45 kFLOP an update and 250 kFLOP a test.
    """
    set_up(cache)
    atexit.unregister(gc.freeze)  # PyTorch's compiler would report what is then left as leaked
    from jaxlr import bench as measure
    from jaxlr import plots

    counts = _counts(settings)
    chosen = _chosen(rivals)
    if out.suffix != ".json":
        raise ValueError(f"--out must be a file *.json, got {out}")
    files = [out, out.with_suffix(".md"), out.with_suffix(".png")]
    writable(out.parent, [file.name for file in files], force)
    result = measure.run(
        counts, chosen, epochs=epochs, repeats=repeats, report=lambda line: print(f"timing {line}", file=sys.stderr)
    )
    text = measure.table(result)
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


def _chosen(text: str) -> list[Rival]:
    from jaxlr import bench as measure

    if text == "none":
        return []
    there = measure.installed()
    found = [one for one in there if text == "all" or text.lower() in one.name.lower()]
    if not found:
        names = ", ".join(repr(one.name) for one in there)
        raise ValueError(f"--rivals must be all, none or words of {names}; got {text!r}")
    return found
