"""The experiments of the Keras tutorial on learning-rate dynamics, and the decay policies of TensorFlow.

Each study declares what it trains and what it draws; `run` trains, `write` saves figures, curves and a summary that
sets the results beside the tutorial's claims.

All SGD studies share one experiment, and so one compiled program: decay 0 and a patience beyond the run are neutral.
The adaptive optimizers' programs are traced and compiled beside it and while it trains.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxlr import _checks, optimizers, schedules, tasks
from jaxlr.plateau import Plateau, reduce_on_plateau
from jaxlr.programs import Cost
from jaxlr.spaces import grid
from jaxlr.sweeps import compile_ahead, sweep
from jaxlr.training import Experiment, experiment

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["STUDIES", "Study", "run", "write", "write_study", "write_summary"]

Report = Callable[[int, int], None]
Compile = Callable[[int, int], Cost]

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
        train: `(seeds, epochs, report, plain) -> Dataset`; `plain` holds the curves of `_NEUTRAL`, or is None.
        trainings: settings that it trains, each with every seed.
        draw: Dataset -> its figures by file name.
        figures: the file names, known before anything is trained.
        ahead: `(seeds, epochs) -> Cost` for each experiment that it sweeps: they have its programs compiled.
    """

    title: str
    train: Callable[[int, int, Report | bool, xr.Dataset | None], xr.Dataset]
    trainings: int
    draw: Callable[[xr.Dataset], dict[str, Figure]]
    figures: tuple[str, ...]
    ahead: tuple[Compile, ...] = ()


@functools.cache
def _task() -> tasks.Task:
    return tasks.blobs()


def _time_decay(learning_rate: Any, decay: Any) -> Callable[[jax.Array], jax.Array]:
    return schedules.time_decay(learning_rate, decay)


def _plateau(patience: Any) -> Plateau:
    return reduce_on_plateau(factor=0.1, patience=patience, min_delta=1e-7)


@functools.cache
def _sgd(epochs: int) -> Experiment:
    return experiment(_task(), optimizers.sgd, schedule=_time_decay, plateau=_plateau, epochs=epochs)


@functools.cache
def _adaptive(epochs: int) -> Experiment:
    return experiment(_task(), optimizers.get, epochs=epochs)


def _layout(seeds: int) -> dict[str, Any]:
    """One block shape for all studies of SGD, so that they share their program: two settings on each device."""
    return {"chunk": min(2 * seeds, 64), "devices": jax.local_devices()[:4]}


def _layout_of_one(seeds: int) -> dict[str, Any]:
    """One setting, on one device: all that an adaptive optimizer's program has to train."""
    return {"chunk": min(seeds, 64), "devices": 1}


_NEUTRAL: dict[str, Any] = {"learning_rate": 0.01, "momentum": 0.0, "decay": 0.0, "patience": NEVER}


def _compile_sgd(seeds: int, epochs: int) -> Cost:
    space = grid(**{**_NEUTRAL, "learning_rate": list(RATES)})
    return compile_ahead(_sgd(epochs), space, seeds=seeds, **_layout(seeds))


def _compile_adaptive(seeds: int, epochs: int) -> Cost:
    return compile_ahead(_adaptive(epochs), grid(name=list(ADAPTIVE)), seeds=seeds, **_layout_of_one(seeds))


def _train_sgd(over: str, values: tuple[float, ...]) -> Callable[..., xr.Dataset]:
    def train(seeds: int, epochs: int, report: Report | bool, plain: xr.Dataset | None = None) -> xr.Dataset:
        shared = plain if _NEUTRAL[over] in values else None
        new = [value for value in values if shared is None or value != _NEUTRAL[over]]
        space = grid(**{**_NEUTRAL, over: new})
        ds = sweep(_sgd(epochs), space, seeds=seeds, progress=report, **_layout(seeds))
        ds = ds.drop_vars([name for name in _NEUTRAL if name not in (over, "learning_rate", "momentum")])
        return ds if shared is None else _with_plain(ds, over, shared).sel({over: list(values)})

    return train


def _with_plain(ds: xr.Dataset, over: str, plain: xr.Dataset) -> xr.Dataset:
    """The curves together with those of the neutral setting, which the study of the learning rates has trained."""
    import xarray as xr

    row = plain.drop_vars(over, errors="ignore").expand_dims({over: [_NEUTRAL[over]]})
    return xr.concat([ds, row[list(ds.data_vars)]], dim=over, join="exact", combine_attrs="override")


def _plain(results: Mapping[str, xr.Dataset]) -> xr.Dataset | None:
    """The curves of the neutral setting, where they have been trained."""
    trained = results.get("learning-rate")
    return None if trained is None else trained.sel(learning_rate=_NEUTRAL["learning_rate"])


def _train_optimizers(seeds: int, epochs: int, report: Report | bool, plain: xr.Dataset | None = None) -> xr.Dataset:
    import xarray as xr

    total = seeds * epochs * (1 + len(ADAPTIVE))

    def after(done: int) -> Report | bool:
        return report if isinstance(report, bool) else lambda epochs, _: report(done + epochs, total)

    if plain is None:
        plain = _train_sgd("learning_rate", (0.01,))(seeds, epochs, after(0)).squeeze("learning_rate")
    else:
        plain = plain.assign_attrs(dict.fromkeys(COSTS, 0))
    sgd = plain.drop_vars(["learning_rate", "momentum"]).expand_dims(name=["sgd"])
    space = grid(name=list(ADAPTIVE))
    others = sweep(_adaptive(epochs), space, seeds=seeds, progress=after(seeds * epochs), **_layout_of_one(seeds))
    both = xr.concat([sgd, others], dim="name", join="exact", combine_attrs="drop_conflicts")
    for cost in COSTS:
        both.attrs[cost] = round(sgd.attrs[cost] + others.attrs[cost], 3)
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


def _points(seeds: int, epochs: int, report: Report | bool, plain: xr.Dataset | None) -> xr.Dataset:
    import xarray as xr

    x, y = tasks.blobs_data()
    part = np.where(np.arange(len(y)) < _task().examples, "train", "test")
    data = {"x": (("point", "feature"), x), "label": ("point", y), "part": ("point", part)}
    return xr.Dataset(data, attrs={"run": "sklearn.datasets.make_blobs"})


def _draw_points(ds: xr.Dataset) -> dict[str, Figure]:
    from jaxlr import plots

    return {"blobs.png": plots.scatter(ds["x"].values, ds["label"].values, title="1,000 points in three blobs")}


DESCENT_RATES = (0.05, 0.3, 1.05)
"""Too small, good and too large for the cost of position squared, which diverges from 1 on."""


def _cost(position: Any) -> Any:
    return position**2


def _descend(key: jax.Array, learning_rate: jax.Array) -> dict[str, jax.Array]:
    """Gradient descent from 1 on `_cost`."""
    del key

    def step(position: jax.Array, _: None) -> tuple[jax.Array, jax.Array]:
        return position - learning_rate * jax.grad(_cost)(position), position

    return {"position": jax.lax.scan(step, jnp.float32(1.0), None, length=12)[1]}


def _policies() -> dict[str, dict[str, Any]]:
    """Figure -> name -> schedule: TensorFlow's five decay policies."""
    exponential = functools.partial(schedules.exponential_decay, 0.1, 100_000, 0.96)
    inverse = functools.partial(schedules.inverse_time_decay, 0.1, 100, 0.5)
    polynomial = functools.partial(schedules.polynomial_decay, 0.1, 10_000, 0.01)
    return {
        "exponential_decay": {"staircase": exponential(staircase=True), "smooth": exponential()},
        "inverse_time_decay": {"staircase": inverse(staircase=True), "smooth": inverse()},
        "natural_exp_decay": {
            "natural_exp_decay, rate 0.5": schedules.natural_exp_decay(0.1, 10, 0.5),
            "exponential_decay, rate 0.5": schedules.exponential_decay(0.1, 10, 0.5),
        },
        "piecewise_constant": {"1.0, 0.5, 0.1": schedules.piecewise_constant([100_000, 110_000], [1.0, 0.5, 0.1])},
        "polynomial_decay": {f"power {p:g}": polynomial(power=p) for p in (1.0, 0.5, 2.0)},
        "polynomial_decay_cycle": {f"power {p:g}": polynomial(power=p, cycle=True) for p in (1.0, 0.5, 2.0)},
    }


_HORIZON = {
    "exponential_decay": 1_000_000,
    "inverse_time_decay": 1_000,
    "natural_exp_decay": 50,
    "piecewise_constant": 150_000,
    "polynomial_decay": 15_000,
    "polynomial_decay_cycle": 45_000,
}
"""Steps over which each policy is drawn."""


def _tabulated(seeds: int, epochs: int, report: Report | bool, plain: xr.Dataset | None) -> xr.Dataset:
    """The policies over their steps, and three gradient descents."""
    import xarray as xr

    steps = {figure: np.linspace(0, last, 1001).round().astype(np.int32) for figure, last in _HORIZON.items()}

    @jax.jit  # one program instead of one for each operation of each schedule
    def rates() -> dict[str, jax.Array]:
        return {
            f"{figure}: {name}": schedule(jnp.asarray(steps[figure]))
            for figure, policies in _policies().items()
            for name, schedule in policies.items()
        }

    data = {name: ("point", np.asarray(values)) for name, values in rates().items()}
    data |= {f"{figure}: step": ("point", values) for figure, values in steps.items()}
    descents = sweep(_descend, grid(learning_rate=list(DESCENT_RATES)), devices=1)
    data["position"] = descents["position"].isel(seed=0, drop=True)
    return xr.Dataset(data, attrs={**descents.attrs, "run": "TensorFlow's decay policies; gradient descent on x^2"})


def _draw_policies(ds: xr.Dataset) -> dict[str, Figure]:
    from jaxlr import plots

    figures = {}
    for figure, policies in _policies().items():
        curves = {name: ds[f"{figure}: {name}"].values for name in policies}
        title = f"tf.train.{figure}" if "cycle" not in figure else "tf.train.polynomial_decay with cycle=True"
        figures[f"{figure}.png"] = plots.lines(curves, x=ds[f"{figure}: step"].values, title=title)
    title = "Gradient descent on x^2: a small, a good and a too large rate"
    figures["gradient_descent.png"] = plots.descents(_cost, ds["position"], title=title)
    return figures


STUDIES: dict[str, Study] = {
    "blobs": Study("The data", _points, 0, _draw_points, ("blobs.png",)),
    "schedules": Study(
        "TensorFlow's decay policies, and gradient descent in one dimension",
        _tabulated,
        0,
        _draw_policies,
        (*(f"{figure}.png" for figure in _HORIZON), "gradient_descent.png"),
    ),
    "plateau": Study(
        "The rate reduced on plateaus of the test loss",
        _train_sgd("patience", PATIENCES),
        len(PATIENCES),
        _draw_plateau,
        ("plateau_rate.png", "plateau_loss.png", "plateau_accuracy.png"),
        (_compile_sgd,),
    ),
    "learning-rate": Study(
        "Learning rates 1 to 1e-7",
        _train_sgd("learning_rate", RATES),
        len(RATES),
        _draw_panels("learning_rate", "learning_rate", "Accuracy for eight learning rates"),
        ("learning_rate.png",),
        (_compile_sgd,),
    ),
    "momentum": Study(
        "Momentum at rate 0.01",
        _train_sgd("momentum", MOMENTA),
        len(MOMENTA),
        _draw_panels("momentum", "momentum", "Accuracy with momentum, rate 0.01"),
        ("momentum.png",),
        (_compile_sgd,),
    ),
    "decay": Study(
        "Time-based decay of the rate 0.01",
        _train_sgd("decay", (*DECAYS, 0.0)),
        len(DECAYS) + 1,
        _draw_decay,
        ("decay_rates.png", "decay.png"),
        (_compile_sgd,),
    ),
    "optimizers": Study(
        "SGD and three adaptive methods",
        _train_optimizers,
        1 + len(ADAPTIVE),
        _draw_panels("optimizers", "optimizer", "Accuracy with Keras's optimizers at their defaults"),
        ("optimizers.png",),
        (_compile_sgd, _compile_adaptive),
    ),
}
"""The studies by name. First those that train no network, whose figures are drawn while the others compile; then the
one whose figures take longest to draw."""


def run(
    names: Iterable[str],
    *,
    seeds: int = 10,
    epochs: int = 200,
    report: Report | None = None,
    finished: Callable[[str, xr.Dataset], None] | None = None,
) -> dict[str, xr.Dataset]:
    """Train studies.

    Args:
        names: names of `STUDIES`.
        seeds: trainings of every setting.
        epochs: passes over the data; the tutorial's claims are about 200.
        report: told of the epochs done and the epochs in all.
        finished: told of each study's name and curves as soon as they are there.

    Returns:
        Name -> the study's curves.

    Raises:
        ValueError: an unknown name, or no seeds or epochs.

    >>> sorted(run(["blobs"]))
    ['blobs']
    """
    names = list(names)
    for name in names:
        _checks.one_of("study", name, tuple(STUDIES))
    _checks.count("seeds", seeds)
    _checks.count("epochs", epochs)
    total = sum(STUDIES[name].trainings for name in names) * seeds * epochs
    done = 0
    results: dict[str, xr.Dataset] = {}
    traced: dict[Compile, Future[Cost]] | None = None
    with ThreadPoolExecutor(1) as tracer:
        for name in names:
            tell = (lambda now, _, before=done: report(before + now, total)) if report else False
            study = STUDIES[name]
            if study.ahead and traced is None:
                # One after the other, since tracing is Python code; the second while the first compiles or trains.
                every = dict.fromkeys(compile_ for one in names for compile_ in STUDIES[one].ahead)
                traced = {compile_: tracer.submit(compile_, seeds, epochs) for compile_ in every}
            costs = [traced.pop(compile_).result() for compile_ in study.ahead if traced and compile_ in traced]
            results[name] = study.train(seeds, epochs, tell, _plain(results))
            for cost in ("compilations", "trace_seconds") if costs else ():
                results[name].attrs[cost] += sum(getattr(one, cost) for one in costs)
            if "status" in results[name] and (results[name]["status"] == "unfinished").any():
                # A sweep hands back what it has; half a study is of no use, and the next one is not wanted either.
                raise KeyboardInterrupt
            done += STUDIES[name].trainings * seeds * epochs
            if finished:
                finished(name, results[name])
    return results


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
    from jaxlr.summary import summarize

    path = out / "summary.md"
    path.write_text(summarize(results), encoding="utf-8")
    return path
