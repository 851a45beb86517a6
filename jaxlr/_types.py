"""Names for the types that many modules share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import jax
import numpy as np

PyTree: TypeAlias = Any
"""Nested containers of arrays: weights, states, a carry."""

Hyperparameters: TypeAlias = Mapping[str, Any]
"""Hyperparameter -> value, which may be traced."""

Metrics: TypeAlias = dict[str, jax.Array]
"""What a training records, by name."""

Arrays: TypeAlias = dict[str, np.ndarray]
"""The same on the host."""

Optimizer: TypeAlias = Callable[..., Any]
"""Hyperparameters -> an Optax transformation, or a pair of one and the schedule of its rate."""
