"""How fast the blobs' training is here: against other ways to train it, and against the machine itself.

`run` measures, `table` puts it into words, `jaxlr.plots.speed` draws it. Every rival trains the same network on the
same points for as many epochs, with 16 updates of up to 32 examples and, where it can, a test after each epoch.
"""

from jaxlr.bench.measuring import FLOPS_EVALUATION, FLOPS_UPDATE, matmul_gflops, run
from jaxlr.bench.report import table
from jaxlr.bench.rivals import RIVALS, Points, Rival, installed

__all__ = [
    "FLOPS_EVALUATION",
    "FLOPS_UPDATE",
    "RIVALS",
    "Points",
    "Rival",
    "installed",
    "matmul_gflops",
    "run",
    "table",
]
