"""`jaxlr find`: what it prints and writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from jaxlr import load

SMALL = ("--steps", 30, "--seeds", 2, "--no-cache")


def test_a_recommendation_with_its_files(jaxlr, tmp_path: Path) -> None:
    out = tmp_path / "new" / "find.nc"
    arguments = ("--data", "iris", "--model", "8", "--momentum", 0.9, *SMALL, "--methods", "--out", out)
    code, lines, _ = jaxlr("find", *arguments)
    assert code == 0
    assert lines[0].startswith("recommended  0.")
    assert " for 30 updates, sweep 0." in lines[0]
    assert "--steps" in lines[1]
    assert lines[2].startswith("largest stable rate, 2 (1 + momentum) / sharpness, at the initial weights: ")
    assert sum(line.strip().startswith("fastai valley") for line in lines) == 1
    assert lines[-2:] == [str(out), str(out.with_suffix(".png"))]
    assert out.with_suffix(".png").stat().st_size > 20_000
    ds = load(out)
    assert f"{ds.attrs['recommendation']:.2g}" == lines[0].split()[1].rstrip(",")
    assert dict(ds["eval_loss"].sizes) == {"seed": 2, "step": 30}
    assert ds.attrs["command"].startswith("jaxlr find --data iris")


def test_no_recommendation_is_said(jaxlr, tmp_path: Path) -> None:
    """Inputs that are all the same: the mean of the targets, zero, is all there is to learn, and known."""
    np.savez(tmp_path / "flat.npz", x=np.ones((40, 2)), y=np.linspace(0, 1, 40))
    code, lines, _ = jaxlr("find", "--data", tmp_path / "flat.npz", "--optimizer", "keras:adam", *SMALL)
    assert code == 0
    assert lines[0].startswith("no recommendation: the loss ")
    assert len(lines) == 1, "methods are printed when they are asked for"
    assert list(tmp_path.iterdir()) == [tmp_path / "flat.npz"]
