"""When and with what a result was made."""

from __future__ import annotations

import datetime

__all__ = ["origin"]


def origin() -> dict[str, str]:
    """The time and the versions, for a result's attributes.

    >>> sorted(origin())
    ['created', 'jax', 'jaxlr', 'optax']
    """
    import jax
    import optax

    import jaxlr

    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return {"jaxlr": jaxlr.__version__, "jax": jax.__version__, "optax": optax.__version__, "created": now}
