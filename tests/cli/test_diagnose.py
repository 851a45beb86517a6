"""`jaxlr diagnose`: what it prints and draws."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from jaxlr import diagnose


@pytest.fixture
def curve(tmp_path: Path) -> Path:
    path = tmp_path / "metrics.csv"
    rows = [f"{i},{2.3 - 0.01 * i},{2.4 - 0.01 * i},0.001" for i in range(1, 61)]
    path.write_text("\n".join(["epoch,train_loss,val_loss,lr-SGD", *rows]) + "\n")
    return path


def test_prints_the_diagnosis_and_draws(jaxlr, tmp_path: Path, curve: Path) -> None:
    figure = tmp_path / "figure.png"
    done = jaxlr("diagnose", curve, "--out", figure)
    assert done.code == 0, done.err
    verdict, confidence, evidence, remedy, path = done.out
    losses = 2.3 - 0.01 * np.arange(1, 61)
    found = diagnose(losses, val_losses=losses + 0.1, lr=[0.001] * 60)
    assert verdict.split() == ["verdict", found.verdict]
    assert confidence.split() == ["confidence", f"{found.confidence:.0%}"]
    assert evidence.endswith(found.evidence)
    assert remedy.endswith(found.remedy)
    assert path == str(figure)
    assert figure.stat().st_size > 5000
