"""The measurements in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["table"]


def table(result: Mapping[str, Any]) -> str:
    """The measurements of `run` as two tables in Markdown.

    >>> machine = {"device": "cpu", "devices": 2, "cores": 2, "jax": "0.10.2"}
    >>> row = {"settings": 256, "settings_per_second": 200.0, "ms_per_setting": 5.0, "share_of_matmul": 0.21}
    >>> result = {"machine": machine, "epochs": 200, "matmul_gflops": 150.0, "scaling": [row], "rivals": []}
    >>> print(table(result).splitlines()[-1])
    | 256 | 5.00 | 200 | 21.0 % |
    """
    machine = result["machine"]
    lines = [
        f"{machine['device']}, {machine['devices']} devices, {machine['cores']} cores, JAX {machine['jax']}; "
        f"{result['epochs']} epochs; matrix products {result['matmul_gflops']:.0f} GFLOP/s",
        "",
        "| settings | ms a setting | settings a second | share of the matrix-product rate |",
        "|---:|---:|---:|---:|",
    ]
    for row in result["scaling"]:
        lines.append(
            f"| {row['settings']:,} | {row['ms_per_setting']:.2f} | {row['settings_per_second']:.0f} "
            f"| {100 * row['share_of_matmul']:.1f} % |"
        )
    if result["rivals"]:
        lines += [
            "",
            "| rival | ms a setting | times as long as 256 settings in one sweep | as one setting alone |",
            "|---|---:|---:|---:|",
        ]
    for row in result["rivals"]:
        lines.append(
            f"| {row['name']} {row['version']} | {row['ms_per_setting']:.1f} | {_ratio(row['ratio'])} "
            f"| {_ratio(row['ratio_alone'])} |"
        )
    return "\n".join(lines)


def _ratio(spread: Mapping[str, float]) -> str:
    digits = 1 if spread["median"] < 100 else 0
    return f"{spread['median']:.{digits}f} ({spread['low']:.{digits}f} to {spread['high']:.{digits}f})"
