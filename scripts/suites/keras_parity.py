"""Print 30 seeds of every tutorial setting beside 30 seeds of real Keras 2.3.1, with the distance in standard errors.

Run from the repository's root: python -m scripts.suites.keras_parity [SEEDS]
"""

from __future__ import annotations

import json
import sys

import numpy as np

from jaxlr import studies
from tests.support import keras_reference as keras


def main() -> None:
    """Train and print the table."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    reference = json.loads((keras.DATA / "keras231_stats.json").read_text())
    results = studies.run(list(keras.STUDY_AXES), seeds=seeds)
    metrics = {"final_acc": "train accuracy", "final_val_acc": "test accuracy", "final_loss": "train loss"}
    print("| setting | " + " | ".join(f"{name}: here, Keras, z" for name in metrics.values()) + " |")
    print("|---" * (1 + len(metrics)) + "|")
    outside = 0
    for config, known in reference["config"].items():
        cells = []
        for name, (mean, error) in keras.final_statistics(results, config).items():
            combined = np.hypot(error, known[name]["std"] / np.sqrt(reference["seeds"]))
            distance = mean - known[name]["mean"]
            outside += abs(distance) > 3 * combined + 0.005
            cells.append(f"{mean:.4f}, {known[name]['mean']:.4f}, {distance / combined:+.1f}")
        print(f"| {config} | " + " | ".join(cells) + " |")
    print(f"\n{outside} of {3 * len(reference['config'])} means differ by more than 3 standard errors plus 0.005")


if __name__ == "__main__":
    main()
