"""The two forms in which Gymnasium sees a world of many items: decided together, or each for itself.

An action is a share from 0 to 1 an item, which the world turns into a price, a quantity or a bid (`amount`; `share`
goes the other way). With `levels` a learner chooses among so many evenly spaced shares.
"""

from collections.abc import Callable
from typing import Any, Protocol

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from ecomine.errors import SettingsError

Info = dict[str, Any]


class World(Protocol):
    """What both forms need: arrays over `items`, `steps` decisions an episode.

    `features` names the columns of an observation and their bounds. `begin` starts an episode that depends on nothing
    but its number; `decide` takes an amount an item, gives the money each earned and what else is known; `observe`
    gives items × features.
    """

    items: int
    steps: int
    features: dict[str, tuple[float, float]]

    def begin(self, episode: int) -> Info: ...

    def decide(self, amount: np.ndarray) -> tuple[np.ndarray, Info]: ...

    def observe(self) -> np.ndarray: ...

    def amount(self, share: np.ndarray) -> np.ndarray: ...

    def share(self, amount: np.ndarray) -> np.ndarray: ...


def bounds(world: World) -> spaces.Box:
    """The space of one item's observation."""
    low, high = np.array(list(world.features.values()), np.float32).T
    return spaces.Box(low.copy(), high.copy(), dtype=np.float32)


def seen(world: World) -> np.ndarray:
    """What is observed, within its bounds."""
    space = bounds(world)
    return np.clip(world.observe().astype(np.float32), space.low, space.high)


class Together(gymnasium.Env[np.ndarray, np.ndarray]):
    """All items decided at once: action an entry an item, observation items × features, reward the money of all.

    `info` holds the arrays by item: `reward` and what the world tells beside it.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012

    def __init__(self, world: World) -> None:
        self.world, self.done = world, 0
        self.action_space = spaces.Box(0.0, 1.0, (world.items,), np.float32)
        self.observation_space = batch_space(bounds(world), world.items)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, Info]:
        super().reset(seed=seed)
        self.done = 0
        info = self.world.begin(int(self.np_random.integers(2**31)))
        return seen(self.world), info

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, Info]:
        reward, info = self.world.decide(self.world.amount(_shares(action, self.world.items)))
        self.done += 1
        return seen(self.world), float(reward.sum()), False, self.done >= self.world.steps, {"reward": reward, **info}


class Apart(VectorEnv[np.ndarray, np.ndarray, np.ndarray]):
    """Each item an environment of its own, all stepped by one call; they share season, rivals and each other's prices.

    All end together; the step after an end begins the next episode, whatever the action, and earns nothing.
    """

    metadata: dict[str, Any] = {"autoreset_mode": AutoresetMode.NEXT_STEP}  # noqa: RUF012

    def __init__(self, world: World, levels: int | None = None) -> None:
        self.world, self.levels, self.done = world, levels, 0
        self.num_envs = world.items
        self.single_action_space = spaces.Discrete(levels) if levels else spaces.Box(0.0, 1.0, (), np.float32)
        self.single_observation_space = bounds(world)
        self.action_space = batch_space(self.single_action_space, world.items)
        self.observation_space = batch_space(self.single_observation_space, world.items)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, Info]:
        super().reset(seed=seed)
        self.done = 0
        info = self.world.begin(int(self.np_random.integers(2**31)))
        return seen(self.world), info

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, Info]:
        never = np.zeros(self.num_envs, bool)
        if self.done >= self.world.steps:
            observation, info = self.reset()
            return observation, np.zeros(self.num_envs), never, never.copy(), info
        share = np.asarray(actions) / (self.levels - 1) if self.levels else actions
        reward, info = self.world.decide(self.world.amount(_shares(share, self.num_envs)))
        self.done += 1
        return seen(self.world), reward, never, np.full(self.num_envs, self.done >= self.world.steps), info


def _shares(action: np.ndarray, items: int) -> np.ndarray:
    shares = np.asarray(action, float)
    if shares.shape != (items,) or not ((shares >= 0) & (shares <= 1)).all():
        raise SettingsError(
            f"An action of shape {shares.shape} from {shares.min(initial=0):g} to {shares.max(initial=0):g}; "
            f"expected {items} shares, each from 0 to 1."
        )
    return shares


def as_many(num_envs: int, world: World) -> World:
    """The world, if it has `num_envs` items; raises SettingsError otherwise."""
    if num_envs != world.items:
        raise SettingsError(f"num_envs is {num_envs}; this shop has {world.items} items, ask for as many.")
    return world


Policy = Callable[[Any], np.ndarray]
"""Gives the amount of each item in the state that a world is in."""


def earned(world: World, policy: Policy, episode: int) -> np.ndarray:
    """What a policy earns in an episode, by item."""
    world.begin(episode)
    total = np.zeros(world.items)
    for _ in range(world.steps):
        total += world.decide(policy(world))[0]
    return total


def at_random(seed: int) -> Policy:
    """Decides by chance, shares evenly from 0 to 1."""
    random = np.random.default_rng(seed)
    return lambda world: world.amount(random.random(world.items))


def calendar(weekday: int, day_of_year: int, items: int) -> tuple[np.ndarray, ...]:
    """Sine and cosine of the day of the week and of the year, the same for all items."""
    turns = np.array([weekday / 7, weekday / 7 + 0.25, day_of_year / 365, day_of_year / 365 + 0.25])
    return tuple(np.broadcast_to(np.sin(2 * np.pi * turns)[:, None], (4, items)))


CALENDAR = dict.fromkeys(("weekday_sine", "weekday_cosine", "year_sine", "year_cosine"), (-1.0, 1.0))
