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
# # 6 · Diagnosing curves
#
# A loss curve is a patient that cannot talk. The textbooks know four shapes: the *slide* that one hopes for, the
# curve that *rises at the start*, the one that *drops steeply and then lies flat*, and the one that is *slow all
# along*. This notebook shows them on a real training, lets `diagnose` name them with evidence and a remedy, and then
# does what one should do with any diagnosis: tests it, by an experiment.

# %%
# %matplotlib inline
import os

import jax

jax.config.update("jax_num_cpu_devices", os.cpu_count() or 1)  # use every core; before JAX does anything else

import numpy as np
import optax
from flax import linen

import jaxlr
from jaxlr import grid, plots

# %% [markdown]
# ## The four shapes
#
# | shape | what it says | remedy |
# |---|---|---|
# | slide: falls all along, ever slower | healthy | keep the rate |
# | rises at the start | the first rate is too high | start again, lower, or warm up |
# | steep, then flat early | the *late* rate is too high | go on with a lower rate |
# | slow all along | the rate is too low | start again, higher |
#
# Each curve is characterised by the logarithm $y = \ln L$ of its loss, which does not care about the loss's unit,
# over the logarithm of the time $t$. The fall per e-fold of the training,
#
# $$s = -\frac{dy}{d \ln t},$$
#
# is what an eye judges: a healthy curve has most of its fall behind it, a slow one falls as much in the last doubling
# of the training as before. Such statistics $x_i$ give every verdict $v$ points, and the points a probability:
#
# $$P(v) = \frac{e^{s_v}}{\sum_w e^{s_w}}, \qquad s_v = b_v + \sum_i f_{v,i}(x_i).$$
#
# The points were fitted on trainings whose rate was really changed afterwards: "too high" means that a lower rate
# *did* better. The three blobs of notebook 3, trained with 15 rates:

# %%
run = jaxlr.experiment(jaxlr.tasks.blobs(), optax.sgd, epochs=100)
ds = jaxlr.sweep(run, grid(learning_rate=jaxlr.spaces.log_range(0.001, 3, 15)), seeds=4)
verdicts = jaxlr.diagnose(ds)

curves, names = {}, {}
for rate in (0.003, 0.1, 0.5, 1.7):
    one = {"learning_rate": rate, "method": "nearest"}
    curves[f"rate {rate}"] = ds["loss"].sel(**one).mean("seed").values
    names[f"rate {rate}"] = str(verdicts["verdict"].sel(**one).values)
plots.diagnosed_curves(curves, names, title="Four of them and their verdicts")

# %% [markdown]
# A diagnosis has four parts: the verdict, a confidence (the probability that it is right), the evidence in numbers,
# and the remedy. Where no verdict is likelier than all others together, it says `cannot-tell` and names the
# experiment that would:

# %%
for rate in (0.003, 0.5):
    one = verdicts.sel(learning_rate=rate, method="nearest")
    print(f"rate {rate}: {one['verdict'].item()} ({one['confidence'].item():.0%})")
    print(f"  evidence: {one['evidence'].item()}\n  remedy: {one['remedy'].item()}\n")

# %% [markdown]
# ## With the neighbours in view
#
# One curve alone is often ambiguous: **a rate that is too low can look healthy on its own**, since its curve falls
# smoothly; that another rate would fall faster is not in it. In a sweep the neighbours are there. `diagnose` of a
# result judges every setting with the lower and higher rates beside it:

# %%
plots.diagnosed_sweep(ds, verdicts, title="Blobs")

# %%
by_rate = dict(zip(verdicts.learning_rate.values.tolist(), verdicts["verdict"].values.tolist(), strict=True))
for rate, together in by_rate.items():
    alone = jaxlr.diagnose(ds["loss"].sel(learning_rate=rate).mean("seed").values)
    note = "" if alone.verdict == together else f"   alone: {alone.verdict} ({alone.confidence:.0%})"
    print(f"{rate:8.2g}  {together:20s} {float(verdicts['confidence'].sel(learning_rate=rate)):4.0%}{note}")
assert by_rate[0.001] == "slow", "the lowest rate is too low"
assert by_rate[3.0] not in ("healthy", "slow"), "the highest is too high"

# %% [markdown]
# Read from top to bottom, the verdicts tell the story of notebook 1: too little, enough, too much.
#
# With two hyperparameters the verdicts make a map, with the confidence in per cent in each cell:

# %%
space = grid(learning_rate=jaxlr.spaces.log_range(0.001, 3, 8), momentum=[0.0, 0.5, 0.9, 0.95])
both = jaxlr.sweep(run, space, seeds=2)
plots.diagnosed_sweep(both, jaxlr.diagnose(both), title="Rate and momentum")

# %% [markdown]
# The borders run diagonally, as the valley of notebook 4 does: what is judged is the *effective* rate $\eta/(1-\mu)$.
#
# ## Test the remedy
#
# A diagnosis is a hypothesis about an experiment: "a lower rate from here on does better". `probe_lower` does that
# experiment: the same training, with the rate lowered five and ten times half-way, from the same weights on the same
# batches.

# %%
for rate in (0.003, 0.1, 0.5):
    check = jaxlr.diagnosis.probe_lower(run, {"learning_rate": rate})
    print(f"rate {rate}: {check}\n")

# %% [markdown]
# ## Before the rate: is anything broken?
#
# No learning rate mends a wrong label or a loss that is cut off from the weights. Two checks that take seconds,
# before any tuning:
#
# * **the initial loss** should be what chance predicts, $\ln K$ for $K$ classes;
# * **a few examples** must be learnt by heart, with some rate.

# %%
data = jaxlr.tasks.load("digits")
images, digits = data.x, data.y


class Net(linen.Module):
    @linen.compact
    def __call__(self, x):
        return linen.Dense(10)(linen.relu(linen.Dense(32)(x)))


task = jaxlr.tasks.classification(Net(), images[:600], digits[:600])
print(jaxlr.diagnosis.initial_loss_check(task))
print(jaxlr.diagnosis.overfit_check(task, optax.adam, epochs=100))

# %% [markdown]
# And on a task that is broken in a way that is seen daily: the network ends with a ReLU, so that it cannot give
# negative logits, and the inputs were not scaled:


# %%
class Broken(linen.Module):
    @linen.compact
    def __call__(self, x):
        x = linen.relu(linen.Dense(32)(x))
        return linen.relu(linen.Dense(10, bias_init=linen.initializers.constant(-60.0))(x))


broken = jaxlr.tasks.classification(Broken(), images[:600], digits[:600])
verdict = jaxlr.diagnosis.overfit_check(broken, optax.adam, epochs=100)
print(verdict)
assert not verdict.passed
dead = jaxlr.sweep(jaxlr.experiment(broken, optax.sgd, epochs=20), grid(learning_rate=[0.001, 0.1]), seeds=2)
print(jaxlr.diagnose(dead)["verdict"].values)

# %% [markdown]
# The initial loss of this network is exactly $\ln 10$, chance, so the first check says nothing; the second one finds
# it. Every logit is zero, and so is every gradient.
#
# ## Curves from elsewhere
#
# `diagnose` takes any sequence of losses, a Keras `History` (or its dictionary), and what `jaxlr.diagnosis.logs.read`
# reads from a CSV or JSON log. With the validation loss it also tells overfitting. Few examples, a fifth of them with
# wrong labels, and many epochs:

# %%
rng = np.random.default_rng(0)
labels = digits[:200].copy()
wrong = rng.random(200) < 0.2
labels[wrong] = rng.integers(0, 10, wrong.sum())
by_heart = jaxlr.tasks.classification(Net(), images[:200], labels, images[600:1000], digits[600:1000])
trained = jaxlr.sweep(jaxlr.experiment(by_heart, optax.adam, epochs=100), grid(learning_rate=[0.01]), seeds=4)
means = trained.isel(learning_rate=0)[["loss", "val_loss"]].mean("seed")
history = {name: means[name].values.tolist() for name in ("loss", "val_loss")}
print(jaxlr.diagnose(history))
print("\nwithout the validation loss:", jaxlr.diagnose(history["loss"]).verdict)
assert means["val_loss"].values[-1] > 1.1 * means["val_loss"].values.min(), "it overfits"
plots.lines(history, xlabel="epoch", ylabel="loss", title="Learnt by heart")

# %% [markdown]
# ## Pitfalls
#
# * **An accuracy is not a loss.** It rises, saturates and hides what the loss shows; `diagnose` refuses to judge it.
# * **Noise is not oscillation.** With small batches every curve jumps. What matters is whether the jumps go away
#   with a lower rate *and* whether there is something to gain; `probe_lower` asks both.
# * **A smooth curve is not a converged one.** See the decays of notebook 3.
# * **Curves with a schedule** fall at the end because the rate falls. Pass `lr=` so that this is known.
# * **A confidence is about curves like those it was calibrated on**: small trainings of known tasks. On others it
#   is an educated guess, and the named experiment is worth more.
#
# ## Exercises
#
# 1. Find the rates of the sweep whose verdict is not `healthy` although their final test accuracy is above 80 %.
# 2. Give the training at rate 1 a cosine schedule. What is the verdict then?
# 3. Cut the curve of rate 0.01 after 10, 20, 40, ... epochs. When does the verdict become what it is in the end?
#
# ### Solutions
#
# **1.**

# %%
accuracy = ds["val_accuracy"].isel(epoch=-1).mean("seed").values
for (rate, verdict), value in zip(by_rate.items(), accuracy, strict=True):
    if value > 0.8 and verdict != "healthy":
        print(f"rate {rate:.2g}: accuracy {value:.3f}, {verdict}")

# %% [markdown]
# **2.**

# %%
annealed = jaxlr.experiment(
    jaxlr.tasks.blobs(), optax.sgd, schedule=lambda peak: jaxlr.schedules.cosine_decay(peak, 100 * 16), epochs=100
)
cosine = jaxlr.sweep(annealed, grid(peak=[1.0]), seeds=4).isel(peak=0)
constant = ds.sel(learning_rate=1.0, method="nearest")
for name, one in (("constant", constant), ("cosine", cosine)):
    loss = one["loss"].mean("seed").values
    print(f"{name}: final loss {loss[-1]:.2f}, {jaxlr.diagnose(loss, lr=one['rate'].isel(seed=0).values)}\n")

assert cosine["loss"].mean("seed").values[-1] < 0.6 * constant["loss"].mean("seed").values[-1]

# %% [markdown]
# The end is mended: the cosine ends far lower. Whether the verdict still speaks of the start depends on how the first
# epochs went; the rate there is as high as before, and a warm-up would be the next thing to try.
#
# **3.**

# %%
slow = ds["loss"].sel(learning_rate=0.01, method="nearest").mean("seed").values
for epochs in (10, 20, 40, 60, 80, 100):
    print(epochs, jaxlr.diagnose(slow[:epochs]).verdict)
