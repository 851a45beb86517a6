"""`jaxlr schedule`: what it draws, tabulates and reviews."""

from __future__ import annotations

from pathlib import Path


def test_schedule_plot(jaxlr, tmp_path: Path) -> None:
    texts = ["cosine_decay(0.1, 1000)", "warmup(linear(0.1, 1000), 50)"]
    out = tmp_path / "new" / "f.png"
    done = jaxlr("schedule", "plot", *texts, "--steps", 1000, "--out", out)
    assert (done.code, done.out) == (0, [str(out)])
    assert out.read_bytes().startswith(b"\x89PNG")


def test_schedule_table(jaxlr) -> None:
    done = jaxlr("schedule", "table", "linear(1.0, 1000)", "constant(0.5)", "--steps", 1001)
    head, *rows = [line.split("\t") for line in done.out]
    assert head == ["step", "linear(1.0, 1000)", "constant(0.5)"]
    assert len(rows) == 21
    assert rows[0] == ["0", "1", "0.5"]
    assert rows[1] == ["50", "0.95", "0.5"]
    assert rows[-1] == ["1000", "0", "0.5"]
    assert jaxlr("schedule", "table", "linear(1.0, 4)", "--steps", 3).out[1:] == ["0\t1", "1\t0.75", "2\t0.5"]


def test_schedule_review(jaxlr) -> None:
    done = jaxlr("schedule", "review", "linear(0.5, 100, end_value=0.1)", "--steps", 100)
    assert done.code == 0
    assert "look  start: starts at 0.5; for plain SGD 0.001 to 0.01 is a good start" in done.out
    assert {line.split()[0] for line in done.out} <= {"ok", "look"}
    fine = jaxlr("schedule", "review", "linear(0.5, 100)", "--steps", 100, "--fine-tuning")
    assert any(line.startswith("look  fine-tuning: goes up to 0.5") for line in fine.out)
