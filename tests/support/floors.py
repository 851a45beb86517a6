"""The floors of the house: which folder may import which. `python -m tests.support.floors` prints them as a table.

This list is the only one: the test of the structure reads it, and the maintainers' page shows its table.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["FLOORS", "Floor", "table"]


class Floor(NamedTuple):
    """A folder or a module of the package.

    Attributes:
        name: what it is called.
        holds: what is in it.
        above: what it may import of the package, in words; all of it stands above.
    """

    name: str
    holds: str
    above: str = ""

    @property
    def may(self) -> tuple[str, ...]:
        """What it may import."""
        return tuple(self.above.split())


FLOORS = (
    Floor("_checks", "checks of arguments"),
    Floor("_types", "names of types"),
    Floor("schedules", "learning rates as functions of the step", "_checks"),
    Floor("optimizers", "Keras 2.3.1's optimizers, and all by name", "_checks"),
    Floor("spaces", "hyperparameters: grids, their algebra, sampling", "_checks"),
    Floor("plateau", "the rule that lowers a rate, and batch growth", "_checks"),
    Floor("inject", "rates in other people's optimizer states", "_checks schedules plateau"),
    Floor("tasks", "a model, its loss and its data", "_checks _types"),
    Floor("runs", "one training", "_checks _types schedules spaces plateau tasks"),
    Floor("results", "labelled curves, and what is read off them", "_checks _types schedules spaces"),
    Floor("store", "a sweep on disk: what is finished, what is on its way", "_types spaces results"),
    Floor("engine", "many trainings: programs, segments, the sweep", "_checks _types spaces runs results store"),
    Floor("diagnosis", "what a curve says of its rate", "_checks _types spaces tasks runs results engine"),
    Floor("finder", "a learning rate to start with", "_checks _types schedules spaces tasks runs engine"),
    Floor("plots", "figures of results; nothing is trained", "_checks schedules results diagnosis finder"),
    Floor(
        "studies",
        "the tutorial's experiments and claims",
        "_checks schedules optimizers spaces plateau tasks runs results engine plots",
    ),
    Floor(
        "cli",
        "the command line",
        "_checks schedules optimizers spaces tasks runs results store engine diagnosis finder plots studies",
    ),
)


def table() -> str:
    """The floors as a table in Markdown."""
    rows = [f"| `{one.name}` | {one.holds} | {', '.join(f'`{name}`' for name in one.may) or '-'} |" for one in FLOORS]
    return "\n".join(["| | holds | may import |", "|---|---|---|", *rows])


if __name__ == "__main__":
    print(table())
