# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 2 · Schedules
#
# A schedule is a pure function $t \mapsto \eta_t$ from the step to the learning rate, and nothing else. That is why
# it goes into any Optax optimizer, composes with others, can be tabulated, written as text, swept and differentiated.
#
# This notebook shows the gallery, the five decay policies of TensorFlow, how to compose schedules, how to read and
# set a rate in a running training, and how to compare schedules fairly.

# %%
# %matplotlib inline
import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxlr
from jaxlr import plots, schedules

# %% [markdown]
# ## The gallery
#
# `schedules.parse` makes a schedule of its text; `schedules.format` writes it back. Ten that are used in practice,
# over a run of 1,000 steps, drawn a little beyond its end:

# %%
texts = [
    "step_decay(0.1, 250)",
    "exponential_decay(0.1, 200, 0.5)",
    "time_decay(0.1, 0.01)",
    "polynomial_decay(0.1, 1000, power=2.0)",
    "cosine_decay(0.1, 1000)",
    "warmup(cosine_decay(0.1, 900), 100)",
    "warmup(inverse_sqrt(0.1, 100), 100)",
    "wsd(0.1, 100, 700, 200)",
    "one_cycle(0.1, 1000)",
    "cosine_restarts(0.1, 250)",
    "triangular2(0.01, 0.1, 125)",
    "multistep(0.1, [500, 750], 0.1)",
]
gallery = {text: schedules.parse(text) for text in texts}
assert all(schedules.format(schedules.parse(schedules.format(s))) == schedules.format(s) for s in gallery.values())
plots.gallery(gallery, 1100, columns=3)

# %% [markdown]
# They answer three different needs, and most are made of the same parts:
#
# * **a start that is careful** (warm-up): at the first steps the gradients are large and badly known;
# * **a middle that is fast**: as large a rate as is stable;
# * **an end that is small**: to get below the noise floor of notebook 1.
#
# Restarts and cycles leave a bad valley by raising the rate again.
#
# ## The five policies of TensorFlow
#
# With the initial rate $\eta_0$, the decay rate $r$ and the decay steps $s$:
#
# | policy | rate at step $t$ |
# |---|---|
# | exponential | $\eta_0\, r^{\,t/s}$; with `staircase`, $\lfloor t/s \rfloor$ in place of $t/s$ |
# | natural exponential | $\eta_0\, e^{-r\,t/s}$ |
# | inverse time | $\eta_0 / (1 + r\,t/s)$ |
# | polynomial | $(\eta_0 - \eta_e)(1 - \min(t, s)/s)^p + \eta_e$ |
# | piecewise constant | values between boundaries |
#
# Each is checked against its formula:

# %%
steps = np.arange(1200)
policies = {
    "exponential": (schedules.exponential_decay(0.1, 300, 0.5), 0.1 * 0.5 ** (steps / 300)),
    "staircase": (schedules.exponential_decay(0.1, 300, 0.5, staircase=True), 0.1 * 0.5 ** (steps // 300)),
    "natural exponential": (schedules.natural_exp_decay(0.1, 300, 0.5), 0.1 * np.exp(-0.5 * steps / 300)),
    "inverse time": (schedules.inverse_time_decay(0.1, 300, 0.5), 0.1 / (1 + 0.5 * steps / 300)),
    "polynomial, power 2": (
        schedules.polynomial_decay(0.1, 1000, 0.01, power=2.0),
        0.09 * (1 - np.minimum(steps, 1000) / 1000) ** 2 + 0.01,
    ),
    "piecewise": (
        schedules.piecewise_constant([400, 800], [0.1, 0.05, 0.01]),
        np.select([steps <= 400, steps <= 800], [0.1, 0.05], 0.01),
    ),
}
curves = {name: schedules.tabulate(schedule, len(steps)) for name, (schedule, _) in policies.items()}
for name, (_, formula) in policies.items():
    np.testing.assert_allclose(curves[name], formula, rtol=1e-5)
plots.lines(curves, title="TensorFlow's decay policies")

# %% [markdown]
# Two traps that the formulas hide:
#
# * **The unit of the decay.** Keras's `decay=1e-4` and this library's `time_decay(lr, 1e-4)` count *updates*, not
#   epochs. With 16 updates in an epoch, 200 epochs are 3,200 updates. How far the rate has fallen by then:

# %%
for decay in (0.1, 0.01, 1e-3, 1e-4):
    print(f"decay {decay:g}: 0.01 becomes {float(schedules.time_decay(0.01, decay)(3200)):.2g}")

# %% [markdown]
# * **The last step.** A schedule for $N$ steps is at its end value at step $N$; the training's last update is step
#   $N - 1$. `schedules.review` looks for such things, and for the rules of thumb (a start of 0.001 to 0.01 for plain
#   SGD, an end at least 100 times lower, a warm-up of at most a tenth of the run):

# %%
for advice in schedules.review(schedules.parse("warmup(cosine_decay(0.1, 1200), 100)"), num_steps=1000):
    print("ok   " if advice.ok else "LOOK ", advice.message)

# %% [markdown]
# It found that this cosine is cut off: 100 steps of warm-up and 1,200 of decay do not fit into 1,000.
#
# ## Composing
#
# `warmup`, `cooldown`, `join`, `scale`, `clamp`, `offset`, `stretch`, `repeat`, `hold` and `chain` take schedules and
# give schedules. They take any function of the step, Optax's too:

# %%
base = schedules.inverse_sqrt(0.1, 100)
composed = {
    "inverse square root": base,
    "with warm-up": schedules.warmup(base, 100),
    "and cool-down": schedules.cooldown(schedules.warmup(base, 100), start=800, steps=200),
    "Optax, then ours": schedules.join([optax.linear_schedule(0.02, 0.08, 500), schedules.linear(0.08, 500)], [500]),
}
plots.lines({name: schedules.tabulate(s, 1000) for name, s in composed.items()}, title="Composed schedules")

# %% [markdown]
# A schedule is also a pytree of its numbers. So one can map over a batch of schedules, or differentiate a rate by its
# hyperparameters, without writing anything for it:

# %%
many = jax.vmap(lambda peak: schedules.tabulate(schedules.cosine_decay(peak, 100), 100))(jnp.array([0.1, 0.2, 0.3]))
slope = jax.grad(lambda decay: schedules.time_decay(0.01, decay)(3200))(1e-3)
by_hand = -0.01 * 3200 / (1 + 1e-3 * 3200) ** 2
print("three schedules at once:", many.shape)
print(f"d rate / d decay at step 3200: {slope:.4f}, by hand {by_hand:.4f}")
assert abs(slope - by_hand) < 1e-4

# %% [markdown]
# ## Into Optax, and changing a rate by hand
#
# Any schedule is the `learning_rate` of any Optax optimizer. To read or set the rate from outside (as Keras's
# `optimizer.learning_rate.assign` does), build the optimizer with `injected`; the rate then lives in its state:

# %%
optimizer = optax.adamw(schedules.warmup(schedules.cosine_decay(3e-4, 900), 100))

adjustable = jaxlr.inject.injected(optax.sgd, learning_rate=0.1, momentum=0.9)
state = adjustable.init(jnp.zeros(3))
print("rate in the state:", float(jaxlr.inject.current_lr(state)))
state = jaxlr.inject.with_lr(state, 0.01)
print("set by hand:      ", float(jaxlr.inject.current_lr(state)))

# %% [markdown]
# ## A schedule that listens: reduce on plateau
#
# Some rules are no function of the step: "divide the rate by ten when the test loss has not improved for `patience`
# epochs". That is a pair of pure functions, too, and its patience is an axis of the sweep. The rate that was really
# used is in the result as `rate`:

# %%
task = jaxlr.tasks.blobs()
listening = jaxlr.experiment(task, optax.sgd, plateau=jaxlr.reduce_on_plateau, epochs=60)
patient = jaxlr.sweep(listening, jaxlr.grid(learning_rate=[0.1], patience=[2, 5, 10, 15]), seeds=6)
plots.with_rate(patient, "patience", title="Rate 0.1, reduced on plateaus of the test loss")

# %% [markdown]
# ## A fair race
#
# Which schedule is best? The question has a trap: schedules differ in what a "peak of 0.1" means. A cosine spends
# half of its steps below half of its peak, a constant rate none. So give **every schedule the same number of steps,
# and its own best peak**. Numbers are traced, so all peaks of one kind of schedule train in one program; the kinds
# are a *static* axis, a program each, compiled side by side.

# %%
EPOCHS, STEPS = 40, 40 * 16

kinds = {
    "constant": lambda peak: schedules.constant(peak),
    "time": lambda peak: schedules.time_decay(peak, 0.01),
    "cosine": lambda peak: schedules.cosine_decay(peak, STEPS),
    "one cycle": lambda peak: schedules.one_cycle(peak, STEPS),
    "wsd": lambda peak: schedules.wsd(peak, STEPS // 10, STEPS * 6 // 10, STEPS * 3 // 10),
}


def by_kind(kind, peak):
    return kinds[kind](peak)


race = jaxlr.experiment(task, optax.sgd, schedule=by_kind, epochs=EPOCHS)
space = jaxlr.grid(kind=list(kinds), peak=jaxlr.spaces.ladder(0.003, 3), momentum=0.9)
result = jaxlr.sweep(race, space, seeds=10)
plots.heatmap(result, "peak", "kind", title="Each schedule at each peak")

# %%
at_best = {}
for kind in kinds:
    best = jaxlr.best(result.sel(kind=kind))
    at_best[kind] = best.setting["peak"]
    print(f"{kind:10s} peak {best.setting['peak']:<6g} test loss {best.value:.4f} ± {best.spread:.4f}")

# %% [markdown]
# Read two things from the map: where the best peak of each row lies, and how wide the dark part of the row is, which
# is how exactly its peak must be hit. Then set the gaps between the rows against the spread over the seeds. Whether
# one schedule is *really* better is asked of pairs: `compare` takes two settings over the seeds that they share (same
# start, same batches).

# %%
cosine = {"kind": "cosine", "peak": at_best["cosine"]}
constant = {"kind": "constant", "peak": at_best["constant"]}
verdict = jaxlr.compare(result, cosine, constant)
print(verdict)

# %% [markdown]
# If the interval contains zero, these seeds have not shown a difference, whatever the table's order. If it does not,
# they have, for this task and this length of training. And the winner of a table was *chosen* for its low loss on
# these test data, so its own number is a little too good: notebook 4 measures by how much.
#
# ## Pitfalls
#
# * **Updates, epochs, steps per epoch.** Say in which unit a decay is. `schedules.per_epoch(f, steps_per_epoch)`
#   turns a function of the epoch into a schedule.
# * **A schedule made for another length.** A cosine over 10,000 steps is nearly constant in a run of 1,000; a
#   longer run of the same schedule stands at its end value. `stretch` and `review` help.
# * **Comparing at one peak.** Schedules are compared at their own best peaks, or not at all.
# * **Early drops look good.** A drop of the rate lowers the loss at once, by removing noise. The curve that did not
#   drop yet may still be ahead. Compare ends, not moments.
#
# ## Exercises
#
# 1. Write the schedule "warm up for 5 % of the steps, stay, then fall linearly to zero over the last 20 %" in one
# line, for 1,000 steps.
# 2. How large must the decay of `time_decay(0.1, d)` be to end 100 times lower after 640 updates?
# 3. In the race, which schedule is least sensitive to its peak? Count the peaks whose mean loss is within 10 % of its
#    best.
#
# ### Solutions
#
# **1.** and **2.** $1 + 640\,d = 100$:

# %%
trapezoid = schedules.wsd(0.1, 50, 750, 200)
d = 99 / 640
ratio = float(schedules.time_decay(0.1, d)(0) / schedules.time_decay(0.1, d)(640))
print(schedules.format(trapezoid), "| falls", round(ratio, 2), "times")
assert abs(ratio - 100) < 1e-2

# %% [markdown]
# **3.**

# %%
means = result["val_loss"].isel(epoch=-1).mean("seed", skipna=False)
within = (means <= 1.1 * means.min("peak")).sum("peak")
print(within.to_series().sort_values(ascending=False).to_string())
