"""The experiments of the Keras tutorial on learning-rate dynamics, and the decay policies of TensorFlow.

Each study declares what it trains and what it draws; `run` trains, `write` saves figures, curves and a summary that
sets the results beside the tutorial's claims.

All settings of SGD, each of them once, are one sweep that the studies share: decay 0 and a patience beyond the run are
neutral. The adaptive optimizers are another one, traced and compiled beside it and while it trains.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxlr import _checks, optimizers, schedules, tasks
from jaxlr.engine import Cost, compile_ahead, sweep
from jaxlr.plateau import Plateau, reduce_on_plateau
from jaxlr.runs import Run, experiment
from jaxlr.spaces import Space, grid, zipped
from jaxlr.studies import policies

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["STUDIES", "Study", "run", "write", "write_study", "write_summary"]

Report = Callable[[int, int], None]
Finished = Callable[[str, "xr.Dataset"], None]

RATES = (1.0, 0.1, 0.01, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7)
MOMENTA = (0.0, 0.5, 0.9, 0.99)
DECAYS = (0.1, 0.01, 1e-3, 1e-4)
PATIENCES = (2, 5, 10, 15)
ADAPTIVE = ("rmsprop", "adagrad", "adam")
COSTS = ("compilations", "trace_seconds", "compile_seconds", "run_seconds", "host_seconds")
NEVER = 1_000_000
"""A patience beyond every run."""


class Study(NamedTuple):
    """One experiment of the texts.

    Attributes:
        title: what it shows.
        draw: its curves -> its figures by file name.
        figures: the file names, known before anything is trained.
        over: SGD's hyperparameter that it varies; None where no network is trained.
        values: the values of that.
        adaptive: whether it sets the adaptive optimizers beside SGD.
        made: what makes its data where no network is trained.
    """

    title: str
    draw: Callable[[xr.Dataset], dict[str, Figure]]
    figures: tuple[str, ...]
    over: str | None = None
    values: tuple[float, ...] = ()
    adaptive: bool = False
    made: Callable[[], xr.Dataset] | None = None

    @property
    def settings(self) -> list[dict[str, Any]]:
        """SGD's settings that it compares."""
        return [{**_NEUTRAL, str(self.over): value} for value in self.values]

    @property
    def sweeps(self) -> tuple[str, ...]:
        """The sweeps that its curves come from."""
        return (*(["sgd"] if self.values else []), *(["adaptive"] if self.adaptive else []))


@functools.cache
def _task() -> tasks.Task:
    return tasks.blobs()


def _time_decay(learning_rate: Any, decay: Any) -> Callable[[jax.Array], jax.Array]:
    return schedules.time_decay(learning_rate, decay)


def _plateau(patience: Any) -> Plateau:
    return reduce_on_plateau(factor=0.1, patience=patience, min_delta=1e-7)


@functools.cache
def _sgd(epochs: int) -> Run:
    return experiment(_task(), optimizers.sgd, schedule=_time_decay, plateau=_plateau, epochs=epochs)


def _one_of(number: jax.Array) -> tuple[optax.GradientTransformation, Callable[[jax.Array], jax.Array]]:
    """The optimizer of that number in `ADAPTIVE`, chosen while it runs, and its rate: one program for all of them.

    Each of them computes its step and one is taken. For a net of 303 weights that costs less than three programs.
    """
    every = [optimizers.get(name) for name in ADAPTIVE]

    def init(params: optax.Params) -> tuple[Any, ...]:
        return tuple(one.init(params) for one in every)

    def update(grads: optax.Updates, states: Any, params: Any = None) -> tuple[optax.Updates, tuple[Any, ...]]:
        steps, new = zip(*(one.update(grads, state) for one, state in zip(every, states, strict=True)), strict=True)
        return jax.tree.map(lambda *step: jax.lax.select_n(number, *step), *steps), new

    rates = jnp.stack([state.learning_rate for state in init(())])
    return optax.GradientTransformation(init, update), lambda step: rates[number]


@functools.cache
def _adaptive(epochs: int) -> Run:
    return experiment(_task(), _one_of, epochs=epochs)


_NEUTRAL: dict[str, Any] = {"learning_rate": 0.01, "momentum": 0.0, "decay": 0.0, "patience": NEVER}


class _Sweep(NamedTuple):
    """What a sweep trains, and in blocks of which shape."""

    run: Run
    space: Space
    layout: dict[str, Any]


def _sweeps(chosen: list[Study], seeds: int, epochs: int) -> dict[str, _Sweep]:
    """What the studies train, every setting once."""
    settings = _settings(chosen)
    found = {}
    if settings:
        space = zipped(**{name: [setting[name] for setting in settings] for name in _NEUTRAL})
        found["sgd"] = _Sweep(_sgd(epochs), space, _layout(seeds))
    if any(study.adaptive for study in chosen):
        layout = {"chunk": min(len(ADAPTIVE) * seeds, 64), "devices": 1}
        found["adaptive"] = _Sweep(_adaptive(epochs), grid(number=list(range(len(ADAPTIVE)))), layout)
    return found


def _settings(chosen: list[Study]) -> list[dict[str, Any]]:
    """SGD's settings that the studies compare, each once."""
    settings: list[dict[str, Any]] = []
    for study in chosen:
        settings += [setting for setting in study.settings if setting not in settings]
    return settings


def _layout(seeds: int) -> dict[str, Any]:
    """One shape for whatever is chosen, since numbers depend on it: two blocks on two cores, one on an accelerator."""
    devices = jax.local_devices()[:4]
    if devices[0].platform == "cpu":
        return {"chunk": min(5 * seeds, 64), "devices": devices}
    return {"chunk": 20 * seeds, "devices": 1}


def _curves(study: Study, chosen: list[Study], trained: Mapping[str, xr.Dataset]) -> xr.Dataset:
    """A study's curves, out of those of the sweeps."""
    import xarray as xr

    settings, over = _settings(chosen), str(study.over)
    ds = trained["sgd"].isel(setting=[settings.index(setting) for setting in study.settings])
    fixed = {name: _NEUTRAL[name] for name in ("learning_rate", "momentum") if name != over}
    ds = ds.drop_vars(_NEUTRAL).rename(setting=over).assign_coords({over: list(study.values), **fixed})
    if not study.adaptive:
        return ds
    sgd = ds.isel({over: 0}, drop=True).drop_vars(fixed).expand_dims(name=["sgd"])
    others = trained["adaptive"].rename(number="name").assign_coords(name=list(ADAPTIVE))
    both = xr.concat([sgd, others], dim="name", join="exact", combine_attrs="drop_conflicts")
    return both.rename(name="optimizer")


def _draw_panels(name: str, over: str, title: str, **options: Any) -> Callable[[xr.Dataset], dict[str, Figure]]:
    def draw(ds: xr.Dataset) -> dict[str, Figure]:
        from jaxlr import plots

        return {f"{name}.png": plots.panels(ds, over, title=title, **options)}

    return draw


def _draw_decay(ds: xr.Dataset) -> dict[str, Figure]:
    from jaxlr import plots

    curves = {f"decay = {plots.number(d)}": schedules.tabulate(schedules.time_decay(0.01, d), 200) for d in DECAYS}
    without_zero = ds.sel(decay=list(DECAYS))
    return {
        "decay_rates.png": plots.lines(curves, xlabel="update", title="Time-based decay of 0.01 over 200 updates"),
        "decay.png": plots.panels(without_zero, "decay", title="Accuracy with learning-rate decay"),
    }


def _draw_plateau(ds: xr.Dataset) -> dict[str, Figure]:
    from jaxlr import plots

    panel = functools.partial(plots.panels, ds, "patience")
    return {
        "plateau_rate.png": panel(("rate",), log=True, title="Learning rate, reduced on plateaus"),
        "plateau_loss.png": panel(("loss",), title="Train loss, rate reduced on plateaus"),
        "plateau_accuracy.png": panel(("accuracy",), title="Train accuracy, rate reduced on plateaus"),
    }


def _points() -> xr.Dataset:
    import xarray as xr

    x, y = tasks.blobs_data()
    part = np.where(np.arange(len(y)) < _task().examples, "train", "test")
    data = {"x": (("point", "feature"), x), "label": ("point", y), "part": ("point", part)}
    return xr.Dataset(data, attrs={"run": "sklearn.datasets.make_blobs"})


def _draw_points(ds: xr.Dataset) -> dict[str, Figure]:
    from jaxlr import plots

    return {"blobs.png": plots.scatter(ds["x"].values, ds["label"].values, title="1,000 points in three blobs")}


STUDIES: dict[str, Study] = {
    "blobs": Study("The data", _draw_points, ("blobs.png",), made=_points),
    "learning-rate": Study(
        "Learning rates 1 to 1e-7",
        _draw_panels("learning_rate", "learning_rate", "Accuracy for eight learning rates"),
        ("learning_rate.png",),
        over="learning_rate",
        values=RATES,
    ),
    "momentum": Study(
        "Momentum at rate 0.01",
        _draw_panels("momentum", "momentum", "Accuracy with momentum, rate 0.01"),
        ("momentum.png",),
        over="momentum",
        values=MOMENTA,
    ),
    "decay": Study(
        "Time-based decay of the rate 0.01",
        _draw_decay,
        ("decay_rates.png", "decay.png"),
        over="decay",
        values=(*DECAYS, 0.0),
    ),
    "plateau": Study(
        "The rate reduced on plateaus of the test loss",
        _draw_plateau,
        ("plateau_rate.png", "plateau_loss.png", "plateau_accuracy.png"),
        over="patience",
        values=PATIENCES,
    ),
    "optimizers": Study(
        "SGD and three adaptive methods",
        _draw_panels("optimizers", "optimizer", "Accuracy with Keras's optimizers at their defaults"),
        ("optimizers.png",),
        over="learning_rate",
        values=(0.01,),
        adaptive=True,
    ),
    "schedules": Study(
        "TensorFlow's decay policies, and gradient descent in one dimension",
        policies.draw,
        policies.FIGURES,
        made=policies.tabulated,
    ),
}
"""The studies by name, in the tutorial's order; TensorFlow's policies come from another text."""

_FIRST = ("blobs", "schedules", "plateau")
"""What is handed on first: those that train no network, drawn while the others compile, and the one whose figures take
longest to draw."""


def order(names: Iterable[str]) -> list[str]:
    """The names in the order in which `run` finishes them.

    >>> order(["decay", "plateau", "blobs"])
    ['blobs', 'plateau', 'decay']
    """
    names = list(names)
    return [*(name for name in _FIRST if name in names), *(name for name in names if name not in _FIRST)]


def run(
    names: Iterable[str],
    *,
    seeds: int = 10,
    epochs: int = 200,
    report: Report | None = None,
    finished: Finished | None = None,
) -> dict[str, xr.Dataset]:
    """Train studies.

    Args:
        names: names of `STUDIES`.
        seeds: trainings of every setting.
        epochs: passes over the data; the tutorial's claims are about 200.
        report: told of the epochs done and the epochs in all.
        finished: told of each study's name and curves as soon as they are there, in the order of `order`.

    Returns:
        Name -> the study's curves. What a sweep took stands in the attributes of the first study that it served.

    Raises:
        ValueError: an unknown name, or no seeds or epochs.

    >>> sorted(run(["blobs"]))
    ['blobs']
    """
    names = list(dict.fromkeys(names))
    for name in names:
        _checks.one_of("study", name, tuple(STUDIES))
    _checks.count("seeds", seeds)
    _checks.count("epochs", epochs)
    chosen = {name: STUDIES[name] for name in names}
    sweeps = _sweeps(list(chosen.values()), seeds, epochs)
    total = sum(len(one.space) for one in sweeps.values()) * seeds * epochs
    done = 0
    results: dict[str, xr.Dataset] = {}
    trained: dict[str, xr.Dataset] = {}
    with ThreadPoolExecutor(1) as tracer:
        # One after the other, since tracing is Python code; the second while the first compiles or trains.
        ahead = {
            kind: tracer.submit(compile_ahead, one.run, one.space, seeds=seeds, **one.layout)
            for kind, one in sweeps.items()
        }
        for name in order(names):
            study = chosen[name]
            costs: dict[str, float] = dict.fromkeys(COSTS, 0)
            for kind in study.sweeps:
                if kind not in trained:
                    tell = (lambda now, _, before=done: report(before + now, total)) if report else False
                    trained[kind] = _train(sweeps[kind], ahead[kind].result(), seeds, tell)
                    costs = {cost: round(took + trained[kind].attrs[cost], 3) for cost, took in costs.items()}
                    done += len(sweeps[kind].space) * seeds * epochs
            ds = study.made() if study.made else _curves(study, list(chosen.values()), trained).assign_attrs(costs)
            results[name] = ds
            if finished:
                finished(name, ds)
    return {name: results[name] for name in names}


def _train(one: _Sweep, ahead: Cost, seeds: int, report: Report | bool) -> xr.Dataset:
    """Train what was compiled ahead; the attributes tell what both took."""
    ds: xr.Dataset = sweep(one.run, one.space, seeds=seeds, progress=report, **one.layout)
    if (ds["status"] == "unfinished").any():
        # A sweep hands back what it has; half a study is of no use, and the next one is not wanted either.
        raise KeyboardInterrupt
    for cost in ("compilations", "trace_seconds"):
        ds.attrs[cost] += getattr(ahead, cost)
    return ds


def files(names: Iterable[str]) -> list[str]:
    """The files that `write` makes for these studies."""
    made = [file for name in names for file in (f"{name}.nc", *STUDIES[name].figures)]
    return [*made, "summary.md"]


def write_study(name: str, ds: xr.Dataset, out: Path) -> list[Path]:
    """Save a study's curves and draw its figures; returns the paths.

    Args:
        name: the study's name.
        ds: its curves, from `run`.
        out: an existing folder.
    """
    from jaxlr.results import save

    save(ds, out / f"{name}.nc", force=True)
    for file, figure in STUDIES[name].draw(ds).items():
        _lay_out(figure)
        figure.savefig(out / file)
    return [out / f"{name}.nc", *(out / file for file in STUDIES[name].figures)]


def _lay_out(figure: Figure) -> None:
    """Lay a figure out once and for all: saving one that has a layout engine draws it twice."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine("none")


def write(results: Mapping[str, xr.Dataset], out: Path) -> list[Path]:
    """Save every study's curves and figures, and the summary; returns the paths.

    Args:
        results: from `run`.
        out: an existing folder.
    """
    paths = [path for name, ds in results.items() for path in write_study(name, ds, out)]
    return [*paths, write_summary(results, out)]


def write_summary(results: Mapping[str, xr.Dataset], out: Path) -> Path:
    """Save the results beside the tutorial's claims; returns the path."""
    from jaxlr.studies.summary import summarize

    path = out / "summary.md"
    path.write_text(summarize(results), encoding="utf-8")
    return path
