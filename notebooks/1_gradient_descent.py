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
# # 1 · Gradient descent and the learning rate
#
# What a learning rate does, on problems small enough to know the answer: a bowl in one dimension, a bowl in two, and
# a regression trained on minibatches. At the end you know why a rate that is too large diverges, what decides where
# "too large" begins, why minibatches put a floor under the loss, and why a rate that falls gets below that floor.
#
# You need calculus and some Python. Every figure and number below is computed in the cell above it.

# %%
# %matplotlib inline
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen

import jaxlr
from jaxlr import plots, schedules

# %% [markdown]
# ## The bowl
#
# Gradient descent moves the weights $\theta$ against the gradient of the cost $J$, by the learning rate $\eta$:
#
# $$\theta_{k+1} = \theta_k - \eta \, \nabla J(\theta_k).$$
#
# The simplest cost is a bowl, $J(\theta) = \theta^2$. Its gradient is $2\theta$, so one step is a multiplication,
#
# $$\theta_{k+1} = (1 - 2\eta)\,\theta_k \quad\Rightarrow\quad \theta_k = (1 - 2\eta)^k\,\theta_0,$$
#
# and everything is decided by the factor $1 - 2\eta$:
#
# | rate | factor | what happens |
# |---|---|---|
# | $0 < \eta < 1/2$ | between 0 and 1 | slides to the bottom from one side |
# | $\eta = 1/2$ | 0 | at the bottom after one step |
# | $1/2 < \eta < 1$ | between −1 and 0 | jumps over the bottom, comes closer each time |
# | $\eta > 1$ | below −1 | jumps over the bottom, further away each time |
#
# With jaxlr a training is a pure function `train(key, **hyperparameters)`. `sweep` compiles it once and runs it for
# every setting of a grid.


# %%
def bowl(theta):
    return theta**2


def descend(key, learning_rate):
    def step(theta, _):
        return theta - learning_rate * jax.grad(bowl)(theta), theta

    path = jax.lax.scan(step, jnp.float32(1.0), None, length=12)[1]
    return {"theta": path, "loss": bowl(path)}


rates = [0.05, 0.3, 0.95, 1.05]
bowl_runs = jaxlr.sweep(descend, jaxlr.grid(learning_rate=rates))
plots.descents(bowl, bowl_runs["theta"].isel(seed=0), title="Too small, good, nearly too large, too large")

# %% [markdown]
# The four panels are the four rows of the table, but for the exact half. The formula agrees with the program:

# %%
for rate in rates:
    by_formula = (1 - 2 * rate) ** np.arange(12)
    np.testing.assert_allclose(bowl_runs["theta"].sel(learning_rate=rate, seed=0), by_formula, rtol=1e-5)
print("theta after 11 steps:", {rate: f"{(1 - 2 * rate) ** 11:.2g}" for rate in rates})

# %% [markdown]
# Two things to take along.
#
# **A small rate is safe and slow, a large one fast and wild.** In between lies a best rate, and *close above it a
# cliff*: the costs of the two errors are not the same. Half the best rate loses some time; three times the best rate
# loses everything.
#
# **The steps shrink by themselves.** The step is $\eta\,|\nabla J|$, and the gradient vanishes at the bottom. On a bowl
# without noise a constant rate converges; nothing has to be turned down.

# %%
steps = abs(bowl_runs["theta"].diff("step")).isel(seed=0)
good = steps.sel(learning_rate=0.3).values
assert (np.diff(good) < 0).all(), "every step is shorter than the one before"
plots.lines(
    {f"learning rate {rate}": steps.sel(learning_rate=rate) for rate in rates},
    ylabel="length of the step",
    title="A constant rate, and steps that shrink (or grow) by themselves",
    log=True,
)

# %% [markdown]
# ## Two directions: who decides how large is too large
#
# A model has many weights, and its cost is steep along some directions and flat along others. The smallest picture of
# that is $J(x, y) = \tfrac12 (x^2 + 10\,y^2)$. Each direction shrinks by its own factor, $1 - \eta\lambda$, where
# $\lambda$ is the curvature: 1 along $x$, 10 along $y$. So
#
# * stability asks for $|1 - \eta\lambda| < 1$ in *every* direction: $\eta < 2/\lambda_{\max} = 0.2$, **the steepest
#   direction sets the limit**;
# * the time is spent in the flattest: with $\eta$ near $1/\lambda_{\max}$, $x$ shrinks only by $1 - 1/10$ a step. The
#   ratio $\kappa = \lambda_{\max}/\lambda_{\min}$ (here 10) is the condition number;
# * the best constant rate makes both extremes equally slow: $\eta^* = 2/(\lambda_{\min}+\lambda_{\max})$, where every
#   step multiplies the distance by $(\kappa-1)/(\kappa+1)$ at worst.


# %%
def valley(x, y):
    return (x**2 + 10 * y**2) / 2


def descend_valley(key, learning_rate):
    def step(at, _):
        slopes = jax.grad(valley, argnums=(0, 1))(*at)
        return tuple(z - learning_rate * slope for z, slope in zip(at, slopes, strict=True)), at

    (x, y) = jax.lax.scan(step, (jnp.float32(-1.0), jnp.float32(0.6)), None, length=30)[1]
    return {"x": x, "y": y, "loss": valley(x, y)}


four = jaxlr.sweep(descend_valley, jaxlr.grid(learning_rate=[0.02, 0.15, 0.19, 0.21])).isel(seed=0)
plots.contours(valley, four["x"], four["y"], columns=4, title="A valley ten times steeper across than along")

# %% [markdown]
# At 0.19 the path swings from wall to wall and still arrives; at 0.21 it leaves the picture. Because a sweep costs
# next to nothing here, we need not guess the best rate: try 200 of them.

# %%
fine = jaxlr.sweep(descend_valley, jaxlr.grid(learning_rate=jaxlr.spaces.log_range(0.002, 0.4, 200)))
best = jaxlr.best(fine, "loss")
print("best of the sweep:", best)
print("best by the formula: 2 / (1 + 10) =", round(2 / 11, 4))
assert abs(best.setting["learning_rate"] - 2 / 11) < 0.01
plots.final_against(fine, "learning_rate", "loss", title="The loss after 29 steps")

# %% [markdown]
# This is *the* picture of a learning rate: a long slope on the left where more rate is more progress, a valley, and a
# wall on the right. The wall stands at $2/\lambda_{\max}$, close to the best rate. On a real network the curvature is
# not known and changes during training, but the shape stays; notebook 5 measures where the wall is.
#
# ## Minibatches: a gradient with noise
#
# Stochastic gradient descent takes the gradient of a few examples in place of all. With $B$ examples in a batch the
# gradient is right on average, with a variance of about $\sigma^2/B$. Near the bottom, where the true gradient
# vanishes, only the noise is left: the weights do not come to rest but wander about at a height that, for a small rate,
# is proportional to
#
# $$\text{excess loss} \;\propto\; \eta\,/\,B.$$
#
# A regression with noisy targets shows it. `batch_size` is an axis like any other; it sizes arrays, so each value is a
# program of its own.

# %%
rng = np.random.default_rng(0)
inputs = rng.normal(size=(512, 4))
targets = inputs @ np.array([1.0, -2.0, 0.5, 3.0]) + rng.normal(size=512)
task = jaxlr.tasks.regression(linen.Dense(1), inputs, targets[:, None])

# The lowest loss that a linear model can have on these points.
design = np.column_stack([inputs, np.ones(512)])
lowest = np.mean((targets - design @ np.linalg.lstsq(design, targets, rcond=None)[0]) ** 2)
print(f"lowest loss of any linear model: {lowest:.4f}")

noisy = jaxlr.experiment(task, optax.sgd, epochs=40)
batches = jaxlr.sweep(noisy, jaxlr.grid(learning_rate=[0.02], batch_size=[1, 8, 64, 512]), seeds=5)
plots.overlay(batches, "batch_size", "loss", log=True, title="One rate, four batch sizes")

# %% [markdown]
# With one example in a batch the loss is down within the first epoch and then stays noisy and too high; with all 512 in
# one batch it is smooth and slow. **That figure is not a fair race**: an epoch is 512 updates for the one and a single
# update for the other. Compare at the same number of examples when data are what costs, at the same number of updates
# when time on parallel hardware is, and say which.
#
# Now the floor. We take the mean over the last ten epochs, less the lowest loss there can be:

# %%
space = jaxlr.grid(learning_rate=[0.005, 0.01, 0.02, 0.04], batch_size=[2, 8])
floors = jaxlr.sweep(noisy, space, seeds=8)
excess = floors["loss"].isel(epoch=slice(-10, None)).mean(["epoch", "seed"]) - lowest
for batch_size in (2, 8):
    row = excess.sel(batch_size=batch_size)
    print(
        f"batch size {batch_size}:", {float(r): f"{v:.4f}" for r, v in zip(row.learning_rate, row.values, strict=True)}
    )
doubling = (excess.sel(learning_rate=0.04) / excess.sel(learning_rate=0.02)).values
quarter = (excess.sel(batch_size=2) / excess.sel(batch_size=8)).sel(learning_rate=0.04).item()
print(f"twice the rate raises the floor {doubling.round(2)} times; a fourth of the batch {quarter:.1f} times")
assert (doubling > 1.6).all()
assert (doubling < 2.8).all()
assert 3 < quarter < 6

# %% [markdown]
# Twice the rate, about twice the floor; a fourth of the batch, about four times the floor. Hence the two ways down: a
# larger batch, or a smaller rate. The smaller rate is free, but slow from the start. So:
#
# ## Start large, end small
#
# A schedule makes the rate a function of the step. Time-based decay, $\eta_t = \eta_0/(1 + d\,t)$, starts as the
# constant rate does and goes below its floor. With `schedule=`, the schedule's arguments are axes of the sweep.

# %%
decayed = jaxlr.experiment(task, optax.sgd, schedule=schedules.time_decay, epochs=40, batch_size=2)
falling = jaxlr.sweep(decayed, jaxlr.grid(init_value=[0.04], decay=[0.0, 1e-3, 1e-2, 0.5]), seeds=8)
plots.with_rate(falling, "decay", "loss", log=True, title="Rate 0.04 with time-based decay")

# %%
final = jaxlr.table(falling)[["decay", "loss", "loss_std"]]
print(final.to_string(index=False))
without, *_, greatest = final["loss"]
assert final["loss"].min() < without, "some decay ends below the constant rate"
assert final["loss"].idxmin() not in (0, 3), "the best is neither no decay nor the most"

# %% [markdown]
# A moderate decay ends lowest. The greatest decay has shrunk the rate before the weights arrived: it is smooth, and
# stuck. A schedule that falls too early looks like convergence and is not.
#
# ## Pitfalls
#
# * **Do not read one noisy curve.** Above, every line is several seeds. With one seed and one batch order the order of
#   two neighbouring rates is a coin toss.
# * **A best value at the edge of the grid is not a best value.** `jaxlr.best` says when the best setting lies on the
#   edge of what was tried; look beyond it.
# * **Equal budget.** Epochs, updates and seconds are three different budgets; batch sizes change all three.
# * **The running loss is not the final loss.** `loss` is the mean over the epoch, each batch before its update, so it
#   lags behind; `val_loss` is measured after the epoch.
#
# ## Exercises
#
# 1. For which rates does $J(\theta) = \tfrac{a}{2}\theta^2$ converge, and which rate reaches the bottom in one step?
#    Check with a sweep for $a = 7$.
# 2. Momentum replaces the step by a velocity, $v \leftarrow \mu v - \eta\nabla J$, $\theta \leftarrow \theta + v$. On
#    the valley above, find the best rate for $\mu = 0.5$. Is the wall still at 0.2?
# 3. Does the noise floor also fall if all inputs are scaled to half? Predict, then try (what happens to $\lambda$?).
#
# ### Solutions
#
# **1.** $|1 - \eta a| < 1$, so $0 < \eta < 2/a$; one step for $\eta = 1/a$.


# %%
def descend_steep(key, learning_rate):
    return {"loss": 7 / 2 * (1 - 7 * learning_rate) ** (2 * jnp.arange(20))}


steep = jaxlr.sweep(descend_steep, jaxlr.grid(learning_rate=[1 / 7, 0.99 * 2 / 7, 1.01 * 2 / 7]))
print(steep["loss"].isel(seed=0, step=-1).to_series().to_string())

# %% [markdown]
# **2.** The factor of one direction is now the larger root of $z^2 - (1 + \mu - \eta\lambda) z + \mu = 0$, and the wall
# moves to $2(1+\mu)/\lambda_{\max}$, 0.3 here.


# %%
def descend_heavy(key, learning_rate, momentum):
    def step(state, _):
        at, velocity = state
        slope = jnp.stack(jax.grad(valley, argnums=(0, 1))(*at))
        velocity = momentum * velocity - learning_rate * slope
        return (at + velocity, velocity), valley(*at)

    start = jnp.array([-1.0, 0.6])
    return {"loss": jax.lax.scan(step, (start, jnp.zeros(2)), None, length=30)[1]}


heavy = jaxlr.sweep(
    descend_heavy, jaxlr.grid(learning_rate=jaxlr.spaces.log_range(0.01, 0.4, 100), momentum=[0.0, 0.5])
)
at_029 = heavy["loss"].sel(momentum=0.5).sel(learning_rate=0.29, method="nearest").isel(seed=0)
assert at_029[-1] < at_029[0], "beyond 0.2 it still converges with momentum"
print(jaxlr.best(heavy, "loss"))
plots.final_against(heavy, "learning_rate", "loss", title="The valley with and without momentum")

# %% [markdown]
# **3.** Halving the inputs divides $\lambda$ by four (the curvature is the inputs' second moment) and halves the
# gradient's noise, so its variance falls by four too: at the same rate the floor falls to about a fourth, and the way
# there takes four times as long. Rate and scale of the data are one knob: that is why inputs are standardised first.
