"""Draw every schedule of the catalogue: `python -m scripts.schedule_gallery OUT.png`, from the root."""

from __future__ import annotations

import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from jaxlr import schedules as s
from tests.schedule_examples import NAMES, example

COLUMNS = 8


def main(out: str, num_steps: int = 1000) -> None:
    """Draw the example of every schedule over a run and a tenth."""
    rows = -(-len(NAMES) // COLUMNS)
    figure, axes = plt.subplots(rows, COLUMNS, figsize=(2.3 * COLUMNS, 1.7 * rows), layout="constrained")
    for ax in axes.flat[len(NAMES) :]:
        ax.set_visible(False)
    for ax, name in zip(axes.flat, NAMES, strict=False):
        rates = np.asarray(s.tabulate(example(name, num_steps), num_steps * 11 // 10))
        ax.plot(rates, linewidth=1.2)
        ax.axvline(num_steps, color="0.8", linewidth=0.8, zorder=0)
        ax.set_ylim(0, 1.08 * rates.max())
        ax.set_title(name, fontsize=8)
        ax.tick_params(labelsize=6)
    figure.savefig(out, dpi=80)


if __name__ == "__main__":
    main(sys.argv[1])
