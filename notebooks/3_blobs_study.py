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
# # 3 · The blobs study
#
# A well-known Keras tutorial shows the dynamics of the learning rate on a toy problem: three overlapping blobs of
# points and a network of 50 hidden units, trained for 200 epochs with minibatches of 32. It varies one thing at a
# time: the rate, the momentum, the decay, the patience of a plateau rule, the optimizer. It trains each setting
# *once* and reads the figures.
#
# Here are all its experiments again, with ten seeds for every setting, and with the question that one seed cannot
# answer: which of the readings hold?

# %%
# %matplotlib inline
import os
import tempfile

import jax

jax.config.update("jax_num_cpu_devices", os.cpu_count() or 1)  # use every core; before JAX does anything else

import numpy as np
import optax
from IPython.display import Image, Markdown, display

import jaxlr
from jaxlr import plots, studies, tasks
from jaxlr.studies.summary import summarize

# %% [markdown]
# ## The problem

# %%
points, labels = tasks.blobs_data()
plots.scatter(points, labels, title="1,000 points in three blobs; 500 to train on, 500 to test on")

# %% [markdown]
# Two of the blobs overlap, so no model is perfect. How good could one be? The blobs are normal distributions with
# standard deviation 2, all alike, so the best rule is to take the nearest centre:

# %%
centres = np.stack([points[labels == k].mean(axis=0) for k in range(3)])
nearest = ((points[500:, None] - centres) ** 2).sum(axis=-1).argmin(axis=1)
ceiling = (nearest == labels[500:]).mean()
print(f"test accuracy of the nearest centre: {ceiling:.3f}")

# %% [markdown]
# Keep that number: a network that reaches about it has solved the problem, and curves that bounce around it bounce
# for lack of a smaller rate, not of a better model.
#
# ## All experiments at once
#
# `studies.run` trains everything: 25 settings, 10 seeds, 200 epochs of 16 updates each. SGD at rate 0.01 is a setting
# of four experiments; it is trained once.

# %%
results = studies.run(["learning-rate", "momentum", "decay", "plateau", "optimizers"], seeds=10, epochs=200)
curves = sum(ds["status"].size for ds in results.values())
seconds = sum(ds.attrs["run_seconds"] for ds in results.values())
print(f"{curves} curves in {seconds:.1f} s, after compiling")


def show(name):
    for figure in studies.STUDIES[name].draw(results[name]).values():
        display(figure)


def at_the_end(name, over):
    """Test accuracy over the last 50 epochs: its mean, and how much it moves from epoch to epoch."""
    late = results[name]["val_accuracy"].sel(epoch=slice(151, None))
    for value in results[name][over].values:
        one = late.sel({over: value})
        moves = float(one.std("epoch").mean())
        print(f"{over} {value!s:>8}: {float(one.mean()):.3f}, moves by {moves:.3f} within a run")
    return late


# %% [markdown]
# ## The learning rate

# %%
show("learning-rate")
late = at_the_end("learning-rate", "learning_rate")
means = late.mean(["seed", "epoch"])

# %% [markdown]
# Read the panels from the bottom.
#
# * **Rates of 1e-6 and 1e-7 learn nothing** in 200 epochs. The curves are flat, but not alike: the bands are wide,
#   because what you see is the accuracy of the *initial* weights, which is luck. A wide band around a flat line is
#   the sign of a rate that is far too small.
# * **1e-4 and 1e-5 learn slowly**: still rising at the end. More epochs would help; a larger rate helps sooner.
# * **0.1 and 0.01 solve the problem.** 0.1 is fast and then noisy; 0.01 is slower and noisy for longer.
# * **1.0 is too large**: it jumps about and its seeds do not agree.

# %%
assert float(means.sel(learning_rate=1e-7)) < 0.6
assert float(means.sel(learning_rate=0.1)) > ceiling - 0.03
assert float(means.sel(learning_rate=1.0)) < float(means.sel(learning_rate=0.1)) - 0.1
plots.final_against(results["learning-rate"], "learning_rate", "val_accuracy", title="Accuracy against rate")

# %% [markdown]
# The same in one figure, which is the one to remember: over six orders of magnitude from nothing to all and, within
# one order at the right, back down. What does the network look like inside? An experiment records what a function of
# the weights gives, so also the weights themselves, and `plots.decision_boundaries` shows which class the network gives
# to each point of the plane.

# %%
rates = [1.0, 0.1, 0.01, 0.001]
run = jaxlr.experiment(tasks.blobs(), optax.sgd, epochs=100, record=[lambda task, params, state: params])
learnt = jaxlr.sweep(run, jaxlr.grid(learning_rate=rates)).isel(seed=0)


def layers(rate):
    """The weights before the first epoch and after every one."""
    one = learnt.sel(learning_rate=rate)
    return {name: np.concatenate([[one[f"initial_{name}"]], one[name]]) for name in ("layer_0", "layer_1")}


weights = {f"rate {rate:g}": layers(rate) for rate in rates}
network = tasks.MLP((50,), 3)


def classify(params, x):
    return network.apply({"params": params}, x.T).argmax(axis=0)


frames = [0, 1, 3, 7, 15, 30, 60, 100]
animation = plots.decision_boundaries(classify, weights, points[:500], labels[:500], epochs=frames, columns=2)
with tempfile.TemporaryDirectory() as folder:
    animation.save(f"{folder}/boundaries.gif", writer="pillow", fps=2, dpi=65)
    display(Image(f"{folder}/boundaries.gif"))

# %% [markdown]
# All four start from the same weights. The large rates find the three regions within a few epochs, and then the
# border between the two blobs that overlap keeps twitching at 1.0; at 0.001 it is still on its way.
#
# ## Momentum

# %%
show("momentum")
at_the_end("momentum", "momentum")
early = results["momentum"]["val_accuracy"].sel(epoch=slice(None, 30)).mean(["seed", "epoch"])
print(early.rename("mean over the first 30 epochs").to_series().round(3).to_string())
assert float(early.sel(momentum=0.9)) > float(early.sel(momentum=0.0)) + 0.05

# %% [markdown]
# Momentum $\mu$ adds up past steps; on a steady slope the steps grow by $1/(1-\mu)$: ten times for 0.9, a hundred
# times for 0.99. So the rate 0.01 with momentum 0.9 behaves much like a rate of 0.1. That is also the trap in reading
# this figure: **it does not show that momentum is better, it shows that this rate was too small without it**. Compare
# momenta at their own best rates (exercise 1).
#
# ## Decay

# %%
show("decay")
late = at_the_end("decay", "decay")
accuracy = late.mean(["seed", "epoch"])
assert float(accuracy.sel(decay=0.1)) < float(accuracy.sel(decay=1e-4))

# %% [markdown]
# With $\eta_t = 0.01/(1 + d\,t)$ and 16 updates in an epoch, a decay of 0.1 has cut the rate by 90 % within six
# epochs. The curves for 0.1 and 0.01 are flat and smooth: they look *converged*, and they are stuck below what a
# slower decay reaches. **Smooth is not done.** The decay 1e-4 is nearly no decay at all.
#
# ## Reduce on plateau

# %%
show("plateau")
late = at_the_end("plateau", "patience")
accuracy = late.mean(["seed", "epoch"])
assert float(accuracy.sel(patience=2)) < float(accuracy.sel(patience=15))

# %% [markdown]
# The rule sees only the test loss. With patience 2, noise looks like a plateau: the rate falls within tens of epochs
# to nothing and training ends early. With 10 or 15 the drop comes when there is something to gain, and the loss steps
# down with it. How often patience 15 drops the rate depends on the seed; look at the thin lines:

# %%
rate = results["plateau"]["rate"]
drops = (rate.diff("epoch") < 0).sum("epoch")
for patience in rate.patience.values:
    counts = sorted(drops.sel(patience=patience).values.tolist())
    print(f"patience {patience:2d}: the ten seeds drop the rate {counts} times")
assert len(set(drops.sel(patience=15).values.tolist())) > 1, "the seeds disagree"

# %% [markdown]
# A text that trained once says "patience 15 lowers the rate only once", and means its seed.
#
# ## Optimizers

# %%
show("optimizers")
late = at_the_end("optimizers", "optimizer")

# %% [markdown]
# All at Keras's default rates (0.01 for SGD and Adagrad, 0.001 for RMSprop and Adam). The adaptive methods are
# quicker and much steadier than SGD here. But this compares *defaults*, not methods: SGD at its own best rate is in
# the first figure. A fair comparison gives each method the same number of rates to try.
#
# ## Which readings hold?
#
# The tutorial's claims, each turned into a statistic and judged over the ten seeds. A claim holds if nine seeds of
# ten meet it; the last column is real Keras.

# %%
text = summarize(results)
table = text[text.index("## The tutorial's claims") :]
display(Markdown(table))

# %% [markdown]
# ## Pitfalls
#
# * **One seed is an anecdote.** Several claims are true of one run and false of most.
# * **One thing at a time is not at equal terms.** Momentum, decay and rate trade against one another; changing one
#   at a fixed value of the others answers "what happens to *this* setting", not "which is better".
# * **The last epoch is one draw.** Noisy curves should be read over a window, as `at_the_end` does.
#
# ## Exercises
#
# 1. Give each momentum its own best rate. Does 0.9 still beat 0?
# 2. Which decay is best if the rate starts at 0.1 in place of 0.01?
# 3. Train with patience 15 and a factor of 0.5 in place of 0.1. Does the rule act more often? Do the seeds agree?
#
# ### Solutions
#
# **1.** A grid of both, and a paired comparison of the two best:

# %%
sgd = jaxlr.experiment(tasks.blobs(), optax.sgd, epochs=100)
both = jaxlr.sweep(sgd, jaxlr.grid(learning_rate=jaxlr.spaces.ladder(1e-3, 1), momentum=[0.0, 0.5, 0.9]), seeds=10)
chosen = {
    momentum: {"momentum": momentum, "learning_rate": jaxlr.best(both.sel(momentum=momentum)).setting["learning_rate"]}
    for momentum in (0.0, 0.9)
}
print(jaxlr.compare(both, chosen[0.9], chosen[0.0]))
plots.final_against(both, "learning_rate", title="Momenta at their own best rates")

# %% [markdown]
# The curves are shifted copies of one another: momentum moves the best rate to the left, by about the factor
# $1/(1-\mu)$, and gains little at the best.
#
# **2.** and **3.**

# %%
decays = jaxlr.experiment(tasks.blobs(), optax.sgd, schedule=jaxlr.schedules.time_decay, epochs=100)
tried = jaxlr.sweep(decays, jaxlr.grid(init_value=[0.1], decay=[0.0, 1e-4, 1e-3, 1e-2, 1e-1]), seeds=10)
print("best decay from 0.1:", jaxlr.best(tried))

listening = jaxlr.experiment(tasks.blobs(), optax.sgd, plateau=jaxlr.reduce_on_plateau, epochs=200)
space = jaxlr.grid(learning_rate=[0.01], patience=[15], factor=[0.1, 0.5])
halved = jaxlr.sweep(listening, space, seeds=10)
for factor in (0.1, 0.5):
    counts = (halved["rate"].sel(factor=factor).diff("epoch") < 0).sum("epoch")
    print(f"factor {factor}: drops by seed {sorted(counts.values.ravel().tolist())}")
