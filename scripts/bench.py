"""The benchmark, as `jaxlr bench` runs it; from the repository's root: python -m scripts.bench [options]."""

from __future__ import annotations

import sys

from jaxlr.cli import main

if __name__ == "__main__":
    sys.argv[1:1] = ["bench"]
    main()
