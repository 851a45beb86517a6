"""Draw every schedule of the catalogue: `python -m scripts.docs.schedule_gallery OUT.png`, from the root."""

from __future__ import annotations

import sys

from jaxlr import plots
from tests.support.schedule_examples import NAMES, example


def main(out: str, num_steps: int = 1000) -> None:
    """Draw the example of every schedule over a run and a tenth."""
    plots.gallery({name: example(name, num_steps) for name in NAMES}, num_steps * 11 // 10, columns=8).savefig(out)


if __name__ == "__main__":
    main(sys.argv[1])
