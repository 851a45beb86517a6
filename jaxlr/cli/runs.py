"""`jaxlr runs`: stored sweeps: what is there, how far, how long it will take, whether it is whole."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jaxlr.cli.app import app

if TYPE_CHECKING:
    from jaxlr.store.inspection import Summary

runs = typer.Typer(help="Sweeps that were given a store: list, show or verify them.", no_args_is_help=True)
app.add_typer(runs, name="runs")

Folders = Annotated[
    list[Path],
    typer.Argument(metavar="DIR...", help="Stores, or folders in which stores lie.", show_default=False),
]


@runs.command("list")
def list_(folders: Folders) -> None:
    """A line for each store: how far it is, and how long the rest takes at the speed so far."""
    from jaxlr.store import inspection

    rows = [("store", "settings", "seeds", "finished", "diverged", "left", "written by")]
    for folder in inspection.find(folders):
        one = inspection.summary(folder)
        rows.append(
            (one.name, str(one.settings), str(one.seeds), _share(one), str(one.diverged), _left(one), one.writer)
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip())


@runs.command()
def show(folders: Folders) -> None:
    """What a store holds, and the best setting so far."""
    from jaxlr import best, store
    from jaxlr.store import inspection

    for folder in inspection.find(folders):
        one = inspection.summary(folder)
        ds = store.open(folder)
        axes = " x ".join(f"{name} {size}" for name, size in {**one.dims, "seed": one.seeds}.items())
        print(f"store     {one.name}")
        print(f"run       {one.run}")
        print(f"sweep     {axes}")
        print(f"finished  {_share(one)}, {one.diverged} diverged")
        print(f"left      {_left(one)}")
        if one.writer:
            print(f"writer    {one.writer}")
        for name in ("jaxlr", "jax", "device", "chunk", "created"):
            print(f"{name:<8}  {ds.attrs[name]}")
        try:
            print(f"best      {best(ds)}")
        except ValueError as error:
            print(f"best      {error}")


@runs.command()
def verify(
    folders: Folders,
    retrain: Annotated[
        bool,
        typer.Option("--retrain", help="Delete what is damaged, so that the next sweep trains those members anew."),
    ] = False,
) -> None:
    """Read every chunk and compare its checksum; exit code 1 where something is damaged."""
    from jaxlr.store import inspection

    whole = True
    for folder in inspection.find(folders):
        damaged = inspection.verify(folder)
        print(f"{folder}: {f'{len(damaged)} damaged files' if damaged else 'whole'}")
        for name in damaged:
            print(f"  {name}")
        if damaged and retrain:
            print(f"  {inspection.retrain(folder)} members will be trained anew by the next sweep")
        whole &= not damaged or retrain
    if not whole:
        raise typer.Exit(1)


def _share(one: Summary) -> str:
    members = one.settings * one.seeds
    return f"{one.finished} of {members} ({one.finished / members:.0%})"


def _left(one: Summary) -> str:
    """Time in words."""
    seconds = one.seconds_left
    if seconds is None:
        return "unknown"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
