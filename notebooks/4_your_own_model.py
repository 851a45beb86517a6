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
# # 4 · A sweep of your own model
#
# From a model and data of your own to an answer that you can defend: which spaces there are, how many seeds it takes,
# what "best" means and how sure it is, and how to compare two settings. The model here is a small convolutional
# network on 8 × 8 images of digits; put your own in its place.

# %%
# %matplotlib inline
import os
import tempfile

import jax

jax.config.update("jax_num_cpu_devices", os.cpu_count() or 1)  # use every core; before JAX does anything else

import numpy as np
import optax
from flax import linen
from sklearn.datasets import load_digits

import jaxlr
from jaxlr import grid, plots, sampled, static, zipped

# %% [markdown]
# ## The task
#
# A task is a model, a loss and four arrays. `classification` takes the cross-entropy, `regression` the squared error,
# `supervised` a loss of your own. The model may be a Linen module (as here), an NNX class, a function `key -> module`
# (Equinox) or a pair `(init, apply)`.
#
# The data get **three** parts: one to train on, one to choose by (the "test" data of the sweep), and one that is
# touched once, at the end.

# %%
images, digits = load_digits(return_X_y=True)
images = (images / 16.0).reshape(-1, 8, 8, 1)
order = np.random.default_rng(0).permutation(len(images))
train, choose, held_out = order[:500], order[500:900], order[900:1500]


class Net(linen.Module):
    @linen.compact
    def __call__(self, x):
        x = linen.relu(linen.Conv(4, (3, 3), strides=2)(x))
        x = x.reshape(len(x), -1)
        return linen.Dense(10)(linen.relu(linen.Dense(24)(x)))


task = jaxlr.tasks.classification(Net(), images[train], digits[train], images[choose], digits[choose])
run = jaxlr.experiment(task, optax.sgd, epochs=12, batch_size=32)
print(run)

# %% [markdown]
# ## Spaces
#
# What to try is a `Space`. Numbers are traced: any number of them is one compiled program. Everything else (words,
# booleans, functions, and what `static` marks) is a program for each value.

# %%
spaces = {
    "grid": grid(learning_rate=jaxlr.spaces.ladder(0.01, 1), momentum=[0.0, 0.9]),
    "zipped: values move together": zipped(learning_rate=[0.1, 0.01], momentum=[0.0, 0.9]),
    "sampled, evenly": sampled(16, method="sobol", learning_rate=jaxlr.spaces.log_uniform(1e-3, 1)),
    "product": grid(learning_rate=[0.1, 0.01]) * zipped(momentum=[0.0, 0.9], nesterov=[False, True]),
    "sum": grid(learning_rate=[0.1, 0.3]) + grid(learning_rate=[0.01], momentum=[0.9, 0.99]),
    "static": grid(learning_rate=[0.1, 0.01], width=static([16, 32])),
}
for name, space in spaces.items():
    print(f"{name:28s} {len(space):3d} settings, dimensions {space.dims}")

# %% [markdown]
# ## A first look: coarse and wide
#
# Start with few values over many orders of magnitude and few seeds. The point of the first sweep is not the best
# value but the *edges*: it should show a rate that is too small and one that is too large.

# %%
coarse = jaxlr.sweep(run, grid(learning_rate=jaxlr.spaces.log_range(1e-4, 10, 6), momentum=0.9), seeds=3)
print(
    jaxlr.table(coarse)[["learning_rate", "val_loss", "val_loss_std", "val_accuracy", "diverged"]].to_string(
        index=False
    )
)
plots.final_against(coarse, "learning_rate", title="Coarse")

# %% [markdown]
# Losses far above those of the start mean that a run has blown up without becoming infinite; where it did become
# infinite, the setting is a cross. Neither can be the best: `best` leaves out settings of which a seed diverged.
#
# ## Then: finer, and the second axis
#
# Two hyperparameters that trade against one another (rate and momentum do) must be searched together. In a grid of
# $n \times n$ each one is tried at $n$ values only; `sampled` with $n^2$ points tries $n^2$ values of each. For a
# *map* of two, a grid is easier to read:

# %%
fine = jaxlr.sweep(
    run, grid(learning_rate=jaxlr.spaces.log_range(0.003, 1, 8), momentum=[0.0, 0.5, 0.8, 0.9, 0.95]), seeds=4
)
plots.heatmap(fine, "learning_rate", "momentum", title="Digits")

# %% [markdown]
# The valley runs along a diagonal: more momentum, less rate, with $\eta/(1-\mu)$ about constant. A search along one
# of the two axes alone would find the valley's floor and call it the optimum.
#
# With three and more hyperparameters, sample, and read the parallel coordinates from right to left: which values do
# the dark lines (the good settings) have in common?


# %%
def sgd(learning_rate, one_minus_momentum, weight_decay):
    return optax.chain(
        optax.add_decayed_weights(weight_decay),
        optax.sgd(learning_rate, momentum=1 - one_minus_momentum),
    )


wide = jaxlr.sweep(
    jaxlr.experiment(task, sgd, epochs=12),
    sampled(
        48,
        method="sobol",
        learning_rate=jaxlr.spaces.log_uniform(1e-3, 1),
        one_minus_momentum=jaxlr.spaces.log_uniform(0.02, 1),
        weight_decay=jaxlr.spaces.log_uniform(1e-6, 1e-1),
    ),
    seeds=2,
)
plots.parallel_coordinates(wide, "val_accuracy", title="Digits")

# %% [markdown]
# Note `one_minus_momentum`: what matters of a momentum near 1 is its distance from 1, so that is what is sampled,
# evenly in its logarithm. Choose for every hyperparameter the scale on which a step means the same everywhere.
#
# ## How sure is the best?

# %%
best = jaxlr.best(fine)
print(best)

# %% [markdown]
# `best` gives the setting with the lowest mean over the seeds, the spread over seeds, and whether it lies on the edge
# of what was tried. Three questions remain.
#
# **Is it better than its neighbours?** Seeds are shared between settings: seed 3 of every setting starts from the
# same weights and sees the same batches. So compare pair by pair, which takes out what the settings have in common:
#
# $$\bar d \pm t_{0.975,\,S-1}\,\frac{s_d}{\sqrt{S}}, \qquad d_k = \text{loss}_A(k) - \text{loss}_B(k).$$

# %%
rates = fine.learning_rate.values.tolist()
at = rates.index(best.setting["learning_rate"])
other = dict(best.setting, learning_rate=rates[at - 1] if at else rates[at + 1])
print(jaxlr.compare(fine, best.setting, other))

# %% [markdown]
# **How many seeds?** The half-width of the interval falls with $1/\sqrt{S}$, and with few seeds the factor $t$ is
# large on top. More seeds leave the earlier ones as they were, so one sweep with many seeds shows what fewer would
# have said:

# %%
pair = zipped(**{name: [best.setting[name], other[name]] for name in ("learning_rate", "momentum")})
many = jaxlr.sweep(run, pair, seeds=32)
for seeds in (2, 4, 8, 16, 32):
    found = jaxlr.compare(many.isel(seed=slice(seeds)), best.setting, other)
    print(f"{seeds:2d} seeds: {found.difference:+.4f}, from {found.low:+.4f} to {found.high:+.4f}")
np.testing.assert_allclose(  # the same seeds as in the grid, up to the rounding of another block's shape
    many["val_loss"].isel(setting=0, seed=slice(4), epoch=0),
    fine["val_loss"].sel(best.setting).isel(epoch=0),
    rtol=0.05,
)

# %% [markdown]
# **How good is it really?** The winner of a sweep was chosen *because* its number was low; part of that is luck of
# the seeds and of the test data. The more settings and the fewer seeds, the more luck. Train the winner with new
# seeds (the chosen setting's luck with its seeds goes), and test it on data that chose nothing (its luck with the
# data goes):

# %%
final_task = jaxlr.tasks.classification(Net(), images[train], digits[train], images[held_out], digits[held_out])
chosen = grid(**best.setting)
new_seeds = jaxlr.sweep(run, chosen, seeds=16, key=jax.random.key(1))
new_data = jaxlr.sweep(jaxlr.experiment(final_task, optax.sgd, epochs=12), chosen, seeds=16, key=jax.random.key(1))
for words, ds, metric in (
    ("as it won", fine.sel(best.setting), "val_loss"),
    ("new seeds", new_seeds, "val_loss"),
    ("new seeds and new data", new_data, "val_loss"),
):
    values = ds[metric].isel(epoch=-1).values.ravel()
    print(f"{words:24s} {values.mean():.4f} ± {values.std(ddof=1):.4f} over {len(values)} seeds")
accuracy = new_data["val_accuracy"].isel(epoch=-1).values
print(f"report: accuracy {accuracy.mean():.3f}, over seeds {accuracy.min():.3f} to {accuracy.max():.3f}")

# %% [markdown]
# The second line has lost the luck with the seeds, the third the luck with the data (other data may also be easier or
# harder). The last line is the number to report, with its range.
#
# ## Which hyperparameter matters?
#
# `marginal` reduces a result to one axis: the mean over all others, and the best over all others. Where the two
# disagree, the others matter: a value can be bad on average and yet contain the best.

# %%
print(jaxlr.marginal(fine, "momentum").to_pandas().round(3).to_string())

# %% [markdown]
# ## Keep it
#
# A result is an `xarray.Dataset`: select, average and plot it as such, and keep it with what made it.

# %%
with tempfile.TemporaryDirectory() as folder:
    again = jaxlr.load(jaxlr.save(fine, f"{folder}/digits.nc"))
assert again.identical(fine)
print({name: again.attrs[name] for name in ("run", "backend", "compilations")})

# %% [markdown]
# ## Pitfalls
#
# * **Seed noise.** Differences below the spread over seeds need paired seeds and an interval. A ranking of settings
#   by one seed is mostly a ranking of luck.
# * **Edges of the grid.** A best value on the edge means: not searched yet.
# * **Choosing and judging on the same data.** See above; three parts.
# * **Equal budget.** 40 settings for method A and 5 for method B is a comparison of budgets.
# * **Diverged is a result.** It says where the wall is. Do not average it away: `table` counts it, `best` excludes
#   it.
#
# ## Exercises
#
# 1. Sweep the network's width (16, 32, 64 hidden units) together with the rate. Does the best rate move?
# 2. Compare Adam with SGD at equal budget: the same number of settings, seeds and epochs.
# 3. Write the softmax regression on these images as a training function of your own and sweep its rate.
#
# ### Solutions
#
# **1.** A task can be a function of hyperparameters; what it takes is compiled in.


# %%
class Wide(linen.Module):
    width: int

    @linen.compact
    def __call__(self, x):
        return linen.Dense(10)(linen.relu(linen.Dense(self.width)(x.reshape(len(x), -1))))


def by_width(width):
    return jaxlr.tasks.classification(Wide(width), images[train], digits[train], images[choose], digits[choose])


space = grid(width=static([16, 32, 64]), learning_rate=jaxlr.spaces.ladder(0.03, 3))
widths = jaxlr.sweep(jaxlr.experiment(by_width, optax.sgd, epochs=8), space, seeds=3)
plots.final_against(widths, "learning_rate", title="Three widths")

# %% [markdown]
# **2.** Each has its own range, around its own usual rate, of the same size.

# %%
budget = {"seeds": 3}
adam = jaxlr.sweep(
    jaxlr.experiment(task, optax.adam, epochs=8), grid(learning_rate=jaxlr.spaces.ladder(3e-4, 0.1)), **budget
)
heavy = jaxlr.experiment(task, lambda learning_rate: optax.sgd(learning_rate, momentum=0.9), epochs=8)
momentum = jaxlr.sweep(heavy, grid(learning_rate=jaxlr.spaces.ladder(3e-3, 1)), **budget)
assert adam.sizes == momentum.sizes
print("Adam:", jaxlr.best(adam))
print("SGD: ", jaxlr.best(momentum))

# %% [markdown]
# **3.**

# %%
x, y = jax.numpy.asarray(images[train].reshape(500, 64)), jax.nn.one_hot(digits[train], 10)


def softmax_regression(key, learning_rate):
    def loss(w):
        return optax.softmax_cross_entropy(x @ w, y).mean()

    def step(w, _):
        value, slope = jax.value_and_grad(loss)(w)
        return w - learning_rate * slope, value

    start = 0.01 * jax.random.normal(key, (64, 10))
    return {"loss": jax.lax.scan(step, start, None, length=100)[1]}


own = jaxlr.sweep(softmax_regression, grid(learning_rate=jaxlr.spaces.ladder(0.01, 10)), seeds=2)
print(jaxlr.best(own, "loss"))
