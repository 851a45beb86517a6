"""`jaxlr diagnose`: what a loss curve in a file shows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jaxlr.cli.app import app
from jaxlr.cli.running import writable


@app.command()
def diagnose(
    curve: Annotated[
        Path,
        typer.Argument(
            help="A CSV file with a column loss or train_loss, and perhaps step or epoch, val_loss, lr; Lightning's "
            "metrics.csv or a chart exported from W&B will do.",
            show_default=False,
        ),
    ],
    out: Annotated[Path | None, typer.Option(help="A figure to write; its ending says the format.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing figure.")] = False,
) -> None:
    """Read a loss curve: verdict, confidence, evidence and remedy."""
    if out is not None:
        writable(out.parent, [out.name], force)
    from jaxlr.diagnosis import diagnose as judge
    from jaxlr.diagnosis import logs

    read = logs.read(curve)
    found = judge(read.losses, val_losses=read.val_losses, lr=read.lr)
    print(f"verdict     {found.verdict}")
    print(f"confidence  {found.confidence:.0%}")
    print(f"evidence    {found.evidence}")
    print(f"remedy      {found.remedy}")
    if out is not None:
        from jaxlr import plots

        verdict = f"{found.verdict} ({found.confidence:.0%})"
        val = None if read.val_losses is None else {"loss": read.val_losses}
        plots.diagnosed_curves({"loss": read.losses}, {"loss": verdict}, val=val, title=curve.name).savefig(out)
        print(out)
