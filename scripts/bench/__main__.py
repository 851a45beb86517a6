"""The rivals of a sweep, timed in turn with it: python -m scripts.bench [--rivals WORDS] [--repeats N] [--out FILE].

From the repository's root, with the extra `bench`. Writes what `jaxlr bench` writes, the rivals beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

import jax

from jaxlr import plots
from jaxlr.cli import scaling
from scripts.bench import pairs, points
from scripts.bench.rivals import Rival, installed


def main(arguments: list[str]) -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(prog="python -m scripts.bench", description=__doc__)
    parser.add_argument("--settings", default="1,256", help="numbers of settings in one sweep")
    parser.add_argument("--rivals", default="all", help="all that are installed, or words of their names")
    parser.add_argument("--repeats", type=int, default=5, help="pairs of a rival's run and a sweep")
    parser.add_argument("--epochs", type=int, default=200, help="passes over the 500 training points")
    parser.add_argument(
        "--out", type=Path, default=Path("rivals.json"), help="measurements; table and figure beside it"
    )
    given = parser.parse_args(arguments)
    if jax.config.values["jax_num_cpu_devices"] < 1:
        jax.config.update("jax_num_cpu_devices", os.cpu_count() or 1)
    chosen = _chosen(given.rivals)
    counts = [int(part) for part in given.settings.split(",")]
    result = scaling.measure(counts, epochs=given.epochs, repeats=given.repeats)
    run = scaling.blobs_run(given.epochs)
    rows = []
    for rival in chosen:
        print(f"timing {rival.name}", file=sys.stderr)
        rows.append(pairs.pair(run, rival, points.load(), given.repeats))
    result["rivals"] = rows
    text = f"{scaling.table(result)}\n\n{pairs.table(rows)}"
    print(text)
    given.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    given.out.with_suffix(".md").write_text(text + "\n", encoding="utf-8")
    plots.speed(result).savefig(given.out.with_suffix(".png"))


def _chosen(text: str) -> list[Rival]:
    there = installed()
    found = [one for one in there if text == "all" or text.lower() in one.name.lower()]
    if not found:
        raise SystemExit(f"--rivals must be all or words of {', '.join(one.name for one in there)}; got {text!r}")
    return found


if __name__ == "__main__":
    main(sys.argv[1:])
