"""Draw `notebooks/figures/diagnosis_*.png`: the textbook's four ideal curves, a sweep over the rate, and a map.

`python -m scripts.docs.diagnosis_figures`
"""

from __future__ import annotations

from pathlib import Path

import optax

import jaxlr
from jaxlr import plots
from scripts.suites import diagnosis_textbook

FIGURES = Path(__file__).parent.parent.parent / "notebooks" / "figures"


def main() -> None:
    """Write the figures and print their paths."""
    curves = {colour: one.losses for colour, one in diagnosis_textbook.four().items()}
    found = {colour: jaxlr.diagnose(losses) for colour, losses in curves.items()}
    verdicts = {colour: f"{d.verdict} ({d.confidence:.0%})" for colour, d in found.items()}
    figures = {"four": plots.diagnosed_curves(curves, verdicts, title="The textbook's four curves, diagnosed")}
    rates = jaxlr.spaces.log_range(1e-5, 10, 13)
    run = jaxlr.experiment(jaxlr.tasks.blobs(), optax.sgd, epochs=60)
    ds = jaxlr.sweep(run, jaxlr.grid(learning_rate=rates, momentum=[0.0, 0.5, 0.9, 0.99]), seeds=4, devices=1)
    figures["map"] = plots.diagnosed_sweep(ds, jaxlr.diagnose(ds), title="Three blobs, SGD")
    plain = ds.sel(momentum=0.0)
    figures["rates"] = plots.diagnosed_sweep(plain, jaxlr.diagnose(plain), title="Three blobs, SGD without momentum")
    for name, figure in figures.items():
        path = FIGURES / f"diagnosis_{name}.png"
        figure.savefig(path)
        print(path.relative_to(FIGURES.parent.parent))


if __name__ == "__main__":
    main()
