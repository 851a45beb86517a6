"""Proximal policy optimization of an agent that rolls a cart to the origin, with orthogonal initial weights.

The environment is a few lines of JAX, so that the whole training is one function `train(key, learning_rate)`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen

from scripts.bench.clients.program import Way, whole

AXIS = {"learning_rate": np.geomspace(1e-4, 1e-2, 8)}


class Size(NamedTuple):
    """How large a training is."""

    updates: int = 20
    environments: int = 16
    steps: int = 32
    passes: int = 4
    minibatches: int = 4
    width: int = 64


class Episode(NamedTuple):
    """What the agent saw and did; arrays `[steps, environments, ...]`, or a batch of their entries."""

    state: jax.Array
    action: jax.Array
    log_probability: jax.Array
    value: jax.Array
    reward: jax.Array


class Agent(linen.Module):
    """A policy and its critic."""

    width: int

    @linen.compact
    def __call__(self, state: jax.Array) -> tuple[jax.Array, jax.Array]:
        def dense(units: int, scale: float) -> linen.Dense:
            return linen.Dense(units, kernel_init=linen.initializers.orthogonal(scale))

        def body(x: jax.Array) -> jax.Array:
            return linen.tanh(dense(self.width, 2**0.5)(linen.tanh(dense(self.width, 2**0.5)(x))))

        return dense(3, 0.01)(body(state)), dense(1, 1.0)(body(state))[..., 0]


def moved(state: jax.Array, action: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The cart after a push to the left, none, or one to the right; and the reward for where it is."""
    position, velocity = state
    velocity = 0.9 * velocity + 0.1 * (action.astype(jnp.float32) - 1)
    position = jnp.clip(position + velocity, -2, 2)
    return jnp.stack([position, velocity]), -(position**2)


def alone(size: Size) -> dict[str, Way]:
    """The program without jaxlr."""
    return whole(trainer(size))


def trainer(size: Size) -> Any:
    """The training `train(key, learning_rate)`."""
    agent = Agent(size.width)

    def play(params: Any, key: jax.Array) -> tuple[Episode, jax.Array]:
        """Episodes of all environments side by side, and the critic's value of where they end."""
        start_key, key = jax.random.split(key)
        start = jax.random.uniform(start_key, (size.environments, 2), minval=-1.0, maxval=1.0)

        def step(state: jax.Array, key: jax.Array) -> tuple[jax.Array, Episode]:
            logits, value = agent.apply(params, state)
            action = jax.random.categorical(key, logits)
            following, reward = jax.vmap(moved)(state, action)
            return following, Episode(state, action, chosen(logits, action), value, reward)

        end, episode = jax.lax.scan(step, start, jax.random.split(key, size.steps))
        return episode, agent.apply(params, end)[1]

    def update(carry: Any, key: jax.Array, learning_rate: Any) -> Any:
        optimizer = optax.chain(optax.clip_by_global_norm(0.5), optax.adam(learning_rate))
        play_key, key = jax.random.split(key)
        episode, last = play(carry[0], play_key)
        advantage = advantages(episode, last)
        data = jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), (episode, advantage, advantage + episode.value))

        def minibatch(carry: Any, rows: jax.Array) -> Any:
            params, state = carry
            value, grads = jax.value_and_grad(loss)(params, agent, *jax.tree.map(lambda a: a[rows], data))
            steps, state = optimizer.update(grads, state)
            return (optax.apply_updates(params, steps), state), value

        orders = jax.vmap(lambda key: jax.random.permutation(key, size.steps * size.environments))
        rows = orders(jax.random.split(key, size.passes)).reshape(size.passes * size.minibatches, -1)
        carry, losses = jax.lax.scan(minibatch, carry, rows)
        return carry, {"episode_return": episode.reward.sum(0).mean(), "objective": losses.mean()}

    def train(key: jax.Array, learning_rate: Any) -> dict[str, jax.Array]:
        init_key, key = jax.random.split(key)
        params = agent.init(init_key, jnp.zeros((1, 2)))
        optimizer = optax.chain(optax.clip_by_global_norm(0.5), optax.adam(learning_rate))
        keys = jax.random.split(key, size.updates)
        return jax.lax.scan(lambda c, key: update(c, key, learning_rate), (params, optimizer.init(params)), keys)[1]

    return train


def chosen(logits: jax.Array, action: jax.Array) -> jax.Array:
    """The logarithm of an action's probability."""
    return jnp.take_along_axis(jax.nn.log_softmax(logits), action[..., None], -1)[..., 0]


def advantages(episode: Episode, last: jax.Array, discount: float = 0.99, decay: float = 0.95) -> jax.Array:
    """How much better than the critic thought it went from each step on, `[steps, environments]`."""

    def back(carry: Any, given: tuple[jax.Array, jax.Array]) -> Any:
        advantage, following = carry
        reward, value = given
        advantage = reward + discount * following - value + discount * decay * advantage
        return (advantage, value), advantage

    start = (jnp.zeros_like(last), last)
    return jax.lax.scan(back, start, (episode.reward, episode.value), reverse=True)[1]


def loss(params: Any, agent: Agent, episode: Episode, advantage: jax.Array, target: jax.Array) -> jax.Array:
    """The clipped objective, the critic's error and the entropy."""
    logits, value = agent.apply(params, episode.state)
    ratio = jnp.exp(chosen(logits, episode.action) - episode.log_probability)
    advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
    policy = -jnp.minimum(ratio * advantage, jnp.clip(ratio, 0.8, 1.2) * advantage).mean()
    entropy = -(jax.nn.softmax(logits) * jax.nn.log_softmax(logits)).sum(-1).mean()
    return policy + 0.5 * ((value - target) ** 2).mean() - 0.01 * entropy


def with_jaxlr(size: Size) -> Any:
    """What is handed to `jaxlr.sweep`."""
    return trainer(size)
