"""`python -m jaxlr` is the command line."""

from jaxlr.cli import main

main()
