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
# # 5 · Finding a rate
#
# A sweep over rates answers the question, at the cost of a training for each rate. Can one know the rate beforehand,
# from a few hundred updates? There are four ways to ask: raise the rate until it breaks (the *range test*), measure
# the curvature (the *largest eigenvalue*), come down from above (the *probe*), and let rates run side by side for a
# short while (the *race*). This notebook does all four, on the same task, and then checks them against the sweep.

# %%
# %matplotlib inline
import os

import jax

jax.config.update("jax_num_cpu_devices", os.cpu_count() or 1)  # use every core; before JAX does anything else

import numpy as np
import optax
from flax import linen

import jaxlr
from jaxlr import grid, plots, tasks
from jaxlr.finder import curvature

data = jaxlr.tasks.load("digits")
task = jaxlr.tasks.classification(tasks.MLP((32,)), data.x[:800], data.y[:800], data.x_test, data.y_test)

# %% [markdown]
# ## The range test: raise the rate until it breaks
#
# Train one short run in which the rate rises from batch to batch, from far too small to far too large:
#
# $$\eta_t = \eta_{\text{low}} \left(\frac{\eta_{\text{high}}}{\eta_{\text{low}}}\right)^{t/(N-1)}, \qquad t = 0,
# \dots, N-1.$$
#
# The loss against the rate has three parts: flat (too small to matter), falling, exploding. Published finders differ
# in how they read a rate off that curve. jaxlr runs the test with several **seeds** (own weights, own batches) in
# one program, and reads all the published suggestions from each:

# %%
curve = jaxlr.finder.range_test(task, optax.sgd, low=1e-5, high=10.0, steps=100, seeds=8)
found = jaxlr.finder.suggest(curve)
plots.lr_range(found, title="Eight range tests of one task, and what each method makes of them")

# %%
for method, spread in found.suggestions.items():
    if spread.rate is None:
        print(f"{method:20s} none: {spread.reason}")
    else:
        print(f"{method:20s} {spread.rate:8.2g}   seeds from {spread.low:.2g} to {spread.high:.2g}")
rates = [spread.rate for spread in found.suggestions.values() if spread.rate is not None]
print(f"\nthe largest suggestion is {max(rates) / min(rates):.0f} times the smallest")
assert max(rates) / min(rates) > 5, "the methods disagree"

# %% [markdown]
# Look at two numbers: how far the seeds of *one* method are apart, and how far the methods are from one another.
# The same curve gives rates that differ by an order of magnitude and more, depending on who reads it. So do not take
# a range test for an answer, but for a bracket:

# %%
print(found)

# %% [markdown]
# ## Curvature: where the wall stands
#
# On a quadratic, gradient descent diverges for rates above $2/\lambda_{\max}$ (notebook 1), with momentum $\mu$ above
# $2(1+\mu)/\lambda_{\max}$. The largest eigenvalue of the Hessian, the *sharpness*, can be measured on a network
# without writing its Hessian down: power iteration, $v \leftarrow Hv/|Hv|$, needs only products $Hv$, each about as
# dear as two gradients.

# %%
at_start = curvature.stability(task, seeds=8)
wall = at_start["largest_stable_rate"]
print("sharpness at the initial weights:", at_start["sharpness"].values.ravel().round(2))
print(f"largest stable rate there: {float(wall.min()):.3g} to {float(wall.max()):.3g}")

# %% [markdown]
# That is the wall *at the initial weights*. Training moves it. With full batches, a smooth network and a squared
# loss, the sharpness rises until it reaches $2/\eta$, and then hovers there: the **edge of stability**. The network
# adapts to the rate, and that is why no single number tells the best rate. Ten numbers of 200 patients, a `tanh`
# network, three rates:


# %%
class Smooth(linen.Module):
    @linen.compact
    def __call__(self, x):
        x = linen.tanh(linen.Dense(32)(x))
        x = linen.tanh(linen.Dense(32)(x))
        return linen.Dense(1)(x)[:, 0]


patients = jaxlr.tasks.load("diabetes")
smooth = jaxlr.tasks.regression(Smooth(), patients.x[:200], patients.y[:200])
edge = curvature.follow(smooth, optax.sgd, [0.02, 0.05, 0.1], steps=2000, every=50)
units = edge["sharpness"].isel(seed=0) * edge["learning_rate"] / 2
plots.lines(
    {f"rate {rate}": units.sel(learning_rate=rate).values for rate in (0.02, 0.05, 0.1)},
    x=edge["step"].values,
    xlabel="update",
    ylabel="sharpness in units of 2 / rate",
    title="Full batches: 1 is the edge of stability",
)

# %%
late = units.isel(step=slice(-10, None)).mean("step")
print(late.rename("late sharpness in units of 2 / rate").to_series().round(2).to_string())
np.testing.assert_allclose(late.sel(learning_rate=[0.05, 0.1]), 1, atol=0.1)  # they hover at the edge
assert float(late.sel(learning_rate=0.02)) < 0.7, "the smallest rate has not yet come there"

# %% [markdown]
# ## The probe: come down from above
#
# The oldest recipe: start with a rate that is surely too high and divide by ten until the loss falls. All rungs train
# side by side, so it costs the time of one:

# %%
probe = jaxlr.finder.descend(task, optax.sgd, start=1000.0, steps=50)
for rate, share in zip(probe.rates, probe.falling, strict=True):
    print(f"rate {rate:<8g} the loss falls in {share:.0%} of the seeds")
print("largest usable rate:", probe.rate)

# %% [markdown]
# This finds the wall to within a factor of ten. It is an upper bound: the best rate is below.
#
# ## The race: let them run
#
# The question "which rate ends lowest?" is answered by ending: several constant rates, the same weights and batches,
# a budget of updates.

# %%
ladder = jaxlr.spaces.log_range(0.003, 3, 13)
race = jaxlr.finder.race(task, optax.sgd, ladder, steps=100)
for place in jaxlr.finder.rank(race)[:3]:
    print(f"rate {place.rate:.2g}: loss {place.loss:.3f}, best in {place.confidence:.0%} of the bootstrap samples")
plots.final_against(race, "learning_rate", "eval_loss", title="After 100 updates")

# %% [markdown]
# `find_lr` joins them: a range test brackets the rate, a race around it decides, and the seeds give a confidence:
# the share of bootstrap samples of the seeds whose answer is within a factor of two of this one.

# %%
answer = jaxlr.find_lr(task, optax.sgd, steps=100)
print(answer)
plots.lr_range(answer, bounds={"2/λ at the initial weights": float(wall.median())}, title="Range test and race")

# %% [markdown]
# ## Check it against the sweep
#
# What one really wants to know is the loss after the whole training. So train it, at all rates, and see how much is
# lost by following each piece of advice:

# %%
epochs = 20
sweep = jaxlr.sweep(jaxlr.experiment(task, optax.sgd, epochs=epochs), grid(learning_rate=ladder), seeds=8)
final = sweep["val_loss"].isel(epoch=-1).mean("seed", skipna=False)
best = jaxlr.best(sweep)
plots.final_against(sweep, "learning_rate", title=f"After {epochs} epochs")


# %%
def loss_at(rate):
    """The mean test loss at the rate of the ladder that is nearest on a logarithmic scale."""
    nearest = int(np.abs(np.log(np.array(ladder) / rate)).argmin())
    return float(final[nearest])


advice = {"best of the sweep": best.setting["learning_rate"], "find_lr": answer.recommendation}
advice |= {name: spread.rate for name, spread in found.suggestions.items() if spread.rate is not None}
for name, rate in sorted(advice.items(), key=lambda item: np.nan_to_num(loss_at(item[1]), nan=np.inf)):
    print(f"{name:20s} rate {rate:8.2g}   test loss {loss_at(rate):.4f}")

# %% [markdown]
# The order of the middle of that list changes from task to task; that is the point. A method that happens to be right
# here is not right everywhere, and the only way to know is the comparison that you have just seen.
#
# ## The budget matters
#
# Every short test has a bias: **the best rate depends on how long one trains.** With few updates the rate that falls
# fastest wins; with many, the rate whose noise floor is lowest. The three blobs overlap, so their loss has such a
# floor:

# %%
blobs = jaxlr.experiment(jaxlr.tasks.blobs(), optax.sgd, epochs=200)
long = jaxlr.sweep(blobs, grid(learning_rate=ladder), seeds=10)
means = long["val_loss"].mean("seed", skipna=False)
winners = {epoch: float(means.sel(epoch=epoch).idxmin("learning_rate")) for epoch in (2, 5, 10, 30, 100, 200)}
for epoch, rate in winners.items():
    print(f"after {epoch:3d} epochs, {16 * epoch:4d} updates: best rate {rate:.2g}")
assert winners[2] > 3 * winners[200]

# %% [markdown]
# So give a race as many updates as you can afford, near the length of the real training if possible. Or use a
# schedule that ends small: then the question is only how high the peak may be, and that is what short tests answer
# well.
#
# ## Pitfalls
#
# * **One curve is an anecdote**: see the seeds.
# * **Smoothing delays.** A smoothed loss turns up after the raw one does; a rate read off its minimum is too high.
# * **The suggestion is for the optimizer you tested.** Momentum 0.9 moves the wall; Adam's rates are another scale
#   altogether. Test with the optimizer that you will use, momentum, weight decay and all.
# * **Loss after one batch at a rate is not loss of training at that rate.** A range test visits each rate once,
#   after all smaller ones have helped.
# * **The wall moves.** The initial sharpness is not that of the trained network; warm-up exists because it is often
#   larger.
#
# ## Exercises
#
# 1. Repeat `find_lr` with momentum 0.9. By which factor does the recommendation move? What does $2(1+\mu)/\lambda$
# say, and what does $\eta/(1-\mu)$?
# 2. Find a rate for Adam on the same task.
# 3. `confidence` is 1.00 above. Does that mean that the recommendation is the best rate?
#
# ### Solutions
#
# **1.**


# %%
def heavy(learning_rate):
    return optax.sgd(learning_rate, momentum=0.9)


with_momentum = jaxlr.find_lr(task, heavy, steps=100)
print(with_momentum)
print(f"{answer.recommendation / with_momentum.recommendation:.1f} times lower")

# %% [markdown]
# The wall would allow nearly twice the rate; the effective rate $\eta/(1-\mu)$ asks for a tenth. In a short race the
# second matters more, since the velocity has to be paid for by the noise.
#
# **2.**

# %%
print("Adam:", jaxlr.find_lr(task, optax.adam, steps=100))

# %% [markdown]
# **3.** No. It says that other seeds would have led to the same answer, within a factor of two: the answer of
# *this test*, with its budget. The sweep above shows what the budget's bias costs.
