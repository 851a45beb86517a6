"""`jaxlr bench`: what it measures, prints and writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jaxlr.cli import scaling


def test_arithmetic_is_that_of_the_network() -> None:
    multiplications = 2 * 50 + 50 * 3
    forward = 2 * 32 * multiplications
    # Backward: both weights' gradients, and the hidden layer's; the inputs need none.
    backward = forward + 2 * 32 * 50 * 3
    assert pytest.approx(forward + backward, rel=0.15) == scaling.FLOPS_UPDATE
    assert pytest.approx(2 * 500 * multiplications, rel=0.01) == scaling.FLOPS_EVALUATION


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose matrix products need not be timed."""
    monkeypatch.setattr(scaling, "matmul_gflops", lambda: 100.0)


def test_a_row_for_each_number_of_settings(quick: None) -> None:
    said: list[str] = []
    result = scaling.measure([1, 3], epochs=1, repeats=2, report=said.append)
    assert [row["settings"] for row in result["scaling"]] == [1, 3]
    assert said == ["the machine's matrix products", "sweep of 1 settings", "sweep of 3 settings"]
    work = 16 * scaling.FLOPS_UPDATE + scaling.FLOPS_EVALUATION
    for row in result["scaling"]:
        assert len(row["seconds"]) == 2
        assert row["settings_per_second"] == pytest.approx(1e3 / row["ms_per_setting"])
        assert row["share_of_matmul"] == pytest.approx(work * row["settings_per_second"] / 100e9)
    assert "| 3 |" in scaling.table(json.loads(json.dumps(result)))


def test_no_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="settings must hold at least one"):
        scaling.measure([])


def test_numbers_table_and_figure(jaxlr, quick: None, tmp_path: Path) -> None:
    out = tmp_path / "b.json"
    done = jaxlr("bench", "--settings", "1,2", "--epochs", 1, "--repeats", 1, "--out", out)
    assert done.code == 0, done.err
    result = json.loads(out.read_text())
    assert [row["settings"] for row in result["scaling"]] == [1, 2]
    assert out.with_suffix(".md").read_text().strip() in "\n".join(done.out)
    assert out.with_suffix(".png").stat().st_size > 1000
    assert done.out[-3:] == [str(out.with_suffix(ending)) for ending in (".json", ".md", ".png")]
