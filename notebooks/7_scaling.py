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
# # 7 · Scaling: chunks, devices, memory, speed
#
# How a sweep runs: what is compiled and when, how settings and seeds are laid out in blocks, what memory they take,
# how devices share them, and which of it changes your numbers (none). With it you can say before you start how long a
# sweep will take, and whether it fits.
#
# The seconds below are those of the machine that rendered this notebook, which may have been busy. Ratios between
# neighbouring lines mean more than the lines.

# %%
# %matplotlib inline
import time

import jax

jax.config.update("jax_num_cpu_devices", 2)  # two CPU devices; before JAX does anything else

import numpy as np
import optax

import jaxlr
from jaxlr import grid, plots, static

# %% [markdown]
# ## One program for all settings
#
# A sweep is `jit(vmap(vmap(training)))`: over settings, over seeds. Hyperparameters are *arguments* of the compiled
# program, so new values cost no compilation. The cost model is
#
# $$T \approx (\text{programs}) \cdot t_{\text{compile}} + (\text{settings} \times \text{seeds}) \cdot
# t_{\text{training}}$$
#
# and the number of programs is one, plus one for every further combination of *static* values. `plan` tells all of it
# without training:

# %%
task = jaxlr.tasks.blobs()
run = jaxlr.experiment(task, optax.sgd, epochs=20)
space = grid(learning_rate=jaxlr.spaces.log_range(1e-4, 1, 32), momentum=[0.0, 0.9])
plan = jaxlr.plan(run, space, seeds=4)
print(plan)

# %%
first = jaxlr.sweep(run, space, seeds=4)
second = jaxlr.sweep(run, grid(learning_rate=jaxlr.spaces.log_range(1e-3, 3, 64), momentum=0.5), seeds=4)
for name, ds in (("after plan", first), ("other values", second)):
    cost = {key: ds.attrs[key] for key in ("compilations", "compile_seconds", "run_seconds")}
    print(f"{name:13s}", cost)
assert plan.compilations == 1
assert first.attrs["compilations"] == 0, "the plan compiled it, and it is kept with the experiment"

# %% [markdown]
# The second sweep has 64 values of another axis. If its block has the shape of the first, it compiles nothing; if
# not, one program. What does compile is a static axis:

# %%
sizes = jaxlr.sweep(run, grid(learning_rate=[0.01, 0.1], batch_size=static([16, 32, 64])), seeds=4)
print("compilations for three batch sizes:", sizes.attrs["compilations"])
assert sizes.attrs["compilations"] == 3

# %% [markdown]
# Rule: **sweep numbers freely, and static values sparingly.** Three optimizers, or two widths, are fine; a hundred
# widths are a hundred compilations.
#
# ## Blocks, and why the work goes down as they grow
#
# A *block* is what is in memory at a time: some settings, some seeds, on each device. A single small training uses a
# processor badly: every operation is tiny, and what surrounds it costs more than it does. Many trainings at once make
# the operations large. `chunk` is the number of trainings on each device; "auto" takes 64 on a CPU, where they still
# fit the cache of a core, and 4,096 on other devices.

# %%
members = grid(learning_rate=jaxlr.spaces.log_range(1e-4, 1, 16))
chunks = (1, 4, 16, 64)
for chunk in chunks:
    jaxlr.plan(run, members, seeds=8, chunk=chunk, devices=1)  # compiles it
timed = dict.fromkeys(chunks, np.inf)
for _ in range(5):  # in turns, and the least of five: what else the machine does only ever adds
    for chunk in chunks:
        ds = jaxlr.sweep(run, members, seeds=8, chunk=chunk, devices=1)
        timed[chunk] = min(timed[chunk], 1e3 * ds.attrs["run_seconds"] / 128)
for chunk in chunks:
    print(f"chunk {chunk:2d}: {timed[chunk]:6.2f} ms a training")
plots.lines({"one device": list(timed.values())}, x=list(timed), xlabel="trainings at once", ylabel="ms a training")

# %% [markdown]
# The gain is largest at first; where the line is flat, the processor is busy. Beyond the cache it would turn around.
#
# ## Memory
#
# A block holds, for each training, its weights, the optimizer's state and what a step needs; the data are there once.
# So memory grows with the chunk, and *not* with the size of the space: blocks follow one another. The compiler knows
# the bytes:

# %%
for chunk in (16, 64, 256):
    need = jaxlr.plan(run, grid(learning_rate=jaxlr.spaces.log_range(1e-4, 1, 256)), seeds=1, chunk=chunk, devices=1)
    print(f"chunk {chunk:3d}: {need.memory / 2**20:6.2f} MiB on the device, {need.blocks} blocks")
small = jaxlr.plan(run, grid(learning_rate=jaxlr.spaces.log_range(1e-4, 1, 64)), seeds=1, chunk=64, devices=1)
large = jaxlr.plan(run, grid(learning_rate=jaxlr.spaces.log_range(1e-4, 1, 4096)), seeds=1, chunk=64, devices=1)
assert small.memory == large.memory, "64 times the settings, the same memory"
print("64 and 4,096 settings:", small.memory, large.memory, "bytes;", small.blocks, "and", large.blocks, "blocks")

# %% [markdown]
# With "auto", a block that would not fit is halved until it does, before anything runs; and when a device runs out of
# memory all the same, the sweep goes on with half the block. The result itself lives on the host: one float32 for
# each setting, seed, epoch and metric.
#
# ## Devices
#
# Settings are split over the devices; nothing is exchanged between them while they train. GPUs are used as they are.
# A CPU counts as *one* device unless you say otherwise, in the first lines of the program (the command line does it
# for you): `jax.config.update("jax_num_cpu_devices", 2)`.

# %%
print("devices:", jax.local_devices())
wide = grid(learning_rate=jaxlr.spaces.log_range(1e-4, 1, 64))
for devices in (1, 2):
    jaxlr.plan(run, wide, seeds=8, devices=devices)
seconds = {1: [], 2: []}
for _ in range(3):  # in turns, so that whatever else the machine does hits both alike
    for devices in (1, 2):
        start = time.perf_counter()
        jaxlr.sweep(run, wide, seeds=8, devices=devices)
        seconds[devices].append(time.perf_counter() - start)
ratio = np.median(np.array(seconds[1]) / np.array(seconds[2]))
print(f"two devices are {ratio:.2f} times as fast as one (median of three pairs)")

# %% [markdown]
# Twice is the most that two can give, if two cores are free.
#
# ## What changes the numbers: nothing
#
# A run's numbers depend on its own hyperparameters, its seed and the block's shape, and on nothing else: not on the
# other settings, their order, the number of devices, the segments in which the host reads the metrics, or a neighbour
# that diverges. Bitwise:

# %%
alone = jaxlr.sweep(run, grid(learning_rate=[0.1, 0.01]), seeds=4, chunk=8, devices=1)
among = jaxlr.sweep(run, grid(learning_rate=[1e9, 0.3, 0.01, 0.03, 0.1]), seeds=4, chunk=8, devices=2, segment=7)
for rate in (0.1, 0.01):
    for metric in ("loss", "val_loss", "val_accuracy"):
        same = alone[metric].sel(learning_rate=rate).equals(among[metric].sel(learning_rate=rate))
        assert same, (rate, metric)
print("neighbour with rate 1e9:", among["status"].sel(learning_rate=1e9).values)
print("the rates 0.1 and 0.01: the same bits")

# %% [markdown]
# The block's shape does matter, in the last bit: other shapes take other kernels, which add in another order. Near
# divergence a run amplifies the last bit; that is the nature of the problem, not of the program. Name `chunk` where a
# figure must be the same on another machine of the same kind.
#
# ## How long will it take?
#
# Measure a tenth and multiply, since the cost is linear in trainings and epochs:

# %%
short = jaxlr.experiment(task, optax.sgd, epochs=10)
jaxlr.plan(short, wide, seeds=8, devices=1)
began = time.perf_counter()
jaxlr.sweep(short, wide, seeds=8, devices=1)
tenth = time.perf_counter() - began
print(f"10 epochs of {len(wide) * 8} trainings: {tenth:.2f} s; expected for 100 epochs: {10 * tenth:.1f} s")

long = jaxlr.experiment(task, optax.sgd, epochs=100)
jaxlr.plan(long, wide, seeds=8, devices=1)
began = time.perf_counter()
jaxlr.sweep(long, wide, seeds=8, devices=1)
print(f"measured: {time.perf_counter() - began:.1f} s")

# %% [markdown]
# ## Pitfalls
#
# * **Timing the compilation.** The first call of a sweep compiles. `compile_seconds` and `run_seconds` are separate
#   attributes of the result; quote the one you mean.
# * **Timing once on a busy machine.** Take pairs in turns and the median of their ratios.
# * **A static axis by accident.** `True`/`False`, words and functions are static. So is what `static` marks; integers
#   are traced unless a shape depends on them, and then the error says so.
# * **Ragged sweeps.** Blocks are padded to one shape. 65 settings with 64 in a block are two blocks: `plan` shows it.
# * **Early stopping saves no time here.** A stopped member is computed on and masked, since its block goes on.
#
# ## Exercises
#
# 1. How many programs does `grid(name=["sgd", "adam"], batch_size=static([16, 32]), learning_rate=[...])` need?
# 2. A model has a million weights and Adam two more numbers for each. How many trainings fit into 16 GiB, roughly?
# 3. 65 settings, 1 seed, one device, `chunk=64`: which share of the work is padding? Find a better chunk with `plan`.
#
# ### Solutions
#
# **1.** Four, one for each pair of static values, whatever the number of rates:

# %%
kinds = jaxlr.experiment(task, jaxlr.optimizers.get, epochs=1)
four = grid(name=["sgd", "adam"], batch_size=static([16, 32]), learning_rate=[0.1, 0.01, 0.001])
print(len(jaxlr.plan(kinds, four).groups), "programs")
assert len(jaxlr.plan(kinds, four).groups) == 4

# %% [markdown]
# **2.** Weights, gradient and two moments are four numbers of 4 bytes: 16 MB a training before activations, so at
# most about a thousand.
#
# **3.** Two blocks of 64 compute 128 members for 65: almost half is padding.

# %%
odd = grid(learning_rate=jaxlr.spaces.log_range(1e-4, 1, 65))
for chunk in (64, 33, 13):
    blocks = jaxlr.plan(run, odd, chunk=chunk, devices=1).blocks
    print(f"chunk {chunk}: {blocks} blocks, {1 - 65 / (blocks * chunk):.0%} padding")
