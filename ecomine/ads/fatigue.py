"""When to leave people alone: Q-learning over who was contacted on which of the last days."""

from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import pandas as pd

from ecomine.errors import FeatureError

WAIT, CONTACT = 0, 1


@dataclass
class ContactQ:
    """Q-learning whose state is a person's contact history: one bit for each of the last `days` days, newest lowest.

    One table for all people of a kind (`kinds`, such as segments): kinds × 2 ** days × (wait, contact). A day of all
    people is one update: people in the same cell are averaged, and the step shrinks with the days on which the cell was
    met. Source: Sutton and Barto, Reinforcement Learning, 6.5; contact histories as states: Simester, Sun and
    Tsitsiklis, Dynamic catalog mailing policies (2006).
    """

    days: int = 6
    kinds: int = 1
    discount: float = 0.9
    explore: float = 0.1
    fade: float = 0.7
    seed: int = 0
    value: np.ndarray = field(init=False)
    met: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.value = np.zeros((self.kinds, 2**self.days, 2))
        self.met = np.zeros((self.kinds, 2**self.days, 2))
        self.random = np.random.default_rng(self.seed)

    def after(self, state: np.ndarray, action: np.ndarray) -> np.ndarray:
        """The history a day later."""
        return np.asarray((state * 2 + action) % 2**self.days)

    def chance(self, state: np.ndarray, kind: np.ndarray | int = 0) -> np.ndarray:
        """Probability of a contact: mostly what is worth more, and the other with half of `explore`."""
        value = self.value[kind, state]
        better = np.where(value[:, CONTACT] > value[:, WAIT], 1.0, 0.0)
        return np.asarray((1 - self.explore) * better + self.explore / 2)

    def choose(
        self, state: np.ndarray, kind: np.ndarray | int = 0, allowed: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Contact (1) or not (0) for each person, and the propensity of what was chosen."""
        contact = self.chance(state, kind)
        if allowed is not None:
            contact = np.where(allowed, contact, 0.0)
        action = (self.random.random(len(contact)) < contact).astype(int)
        return action, np.where(action == CONTACT, contact, 1 - contact)

    def learn(self, state: np.ndarray, action: np.ndarray, reward: np.ndarray, kind: np.ndarray | int = 0) -> None:
        """A day of many people: where each stood, what was done, what it earned (less the cost of a contact)."""
        reward = np.asarray(reward, float)
        if not len(state) == len(action) == len(reward):
            raise FeatureError(
                f"{len(state)} histories, {len(action)} actions, {len(reward)} rewards; expected one each."
            )
        kinds = np.broadcast_to(kind, state.shape)
        aim = reward + self.discount * self.value[kinds, self.after(state, action)].max(axis=1)
        cell = np.ravel_multi_index((kinds, state, action), self.value.shape)
        count = np.bincount(cell, minlength=self.value.size).astype(float)
        total = np.bincount(cell, aim, self.value.size)
        here, value, met = count > 0, self.value.ravel(), self.met.ravel()
        # Many people at once are nearly the truth of a cell: the step counts people, not days.
        met[here] += count[here]
        step = np.minimum(1.0, (count[here] / met[here]) ** self.fade)
        value[here] += step * (total[here] / count[here] - value[here])
        self.value, self.met = value.reshape(self.value.shape), met.reshape(self.met.shape)


PASSES = 3
LEAST_MET = 100
"""Contacts, and days without, from which on a history has a value."""

CLEARLY = 3.0
"""Standard errors by which contacts of the tired must do less, or there is no fatigue to speak of."""


@dataclass(frozen=True)
class Fatigue:
    """What a contact takes from those to come, in money, by a person's contacts of the last days (see ContactQ).

    `later` has an entry a history; `told` says what the log showed.
    """

    days: int
    later: np.ndarray
    told: str

    @classmethod
    def none(cls, why: str = "not learnt", days: int = 4) -> "Fatigue":
        return cls(days, np.zeros(2**days), why)

    @classmethod
    def of(cls, log: pd.DataFrame, seed: int = 0, days: int = 4, discount: float = 0.9) -> "Fatigue":
        """From contacts that were made or held back by chance: user_id, moment, treated, money, cost, propensity.

        A day of a person is one step. Where contacts of people who were not reached of late do not bring clearly more
        than those of people who were, by the propensities, no fatigue is claimed and nothing is taken off.
        """
        steps = _steps(log, days)
        tired = steps["state"].to_numpy() > 0
        effect = _effects(steps)
        parts = [effect[~tired], effect[tired]]
        if min(len(part) for part in parts) < LEAST_MET:
            return cls.none("the log holds too few contacts of people who were reached of late", days)
        gap = float(parts[0].mean() - parts[1].mean())
        error = float(np.sqrt(sum(part.var() / len(part) for part in parts)))
        if gap < CLEARLY * error:
            return cls.none(f"no fatigue shows: {gap:+.3f} a contact, standard error {error:.3f}", days)
        learner = ContactQ(days, discount=discount, seed=seed)
        for _ in range(PASSES):
            for _, day in steps.groupby("day", sort=True):
                learner.learn(day["state"].to_numpy(), day["action"].to_numpy(), day["reward"].to_numpy())
        states = np.arange(2**days)
        value = np.where(learner.met[0] >= LEAST_MET, learner.value[0], -np.inf).max(axis=1)
        rested, reached = (value[learner.after(states, states * 0 + action)] for action in (WAIT, CONTACT))
        known = np.isfinite(rested) & np.isfinite(reached)
        later = np.where(known, discount * np.maximum(np.where(known, rested - reached, 0.0), 0.0), 0.0)
        return cls(days, later, f"a contact of the tired brings {gap:.3f} less, standard error {error:.3f}")

    def histories(self, users: np.ndarray, contacts: pd.DataFrame, now: datetime) -> np.ndarray:
        """The state of each of `users` before today's decision, from `contacts` (user_id, event_timestamp).

        Yesterday is the newest day; a contact of today counts as one of yesterday.
        """
        age = (pd.Timestamp(now).normalize() - contacts["event_timestamp"].dt.normalize()).dt.days.to_numpy()
        inside = (age >= 0) & (age <= self.days)
        ago = np.maximum(age[inside], 1) - 1
        bits = pd.DataFrame({"user_id": contacts["user_id"].to_numpy(object)[inside], "age": ago})
        bits = bits.drop_duplicates()
        state = bits.assign(bit=2 ** bits["age"].to_numpy(int)).groupby("user_id")["bit"].sum()
        return state.reindex(users).fillna(0).to_numpy(int)

    def state(self) -> dict[str, object]:
        """What `restore` needs, as plain values."""
        return {"days": self.days, "later": self.later.tolist(), "told": self.told}

    @classmethod
    def restore(cls, state: dict) -> "Fatigue":  # type: ignore[type-arg]
        return cls(state["days"], np.array(state["later"], float), state["told"])


def _steps(log: pd.DataFrame, days: int) -> pd.DataFrame:
    """A row a person and day with a contact made or held back: day, state, action, reward, propensity."""
    day = (log["moment"].to_numpy("datetime64[D]")).astype(np.int64)
    made = log["treated"].to_numpy(float)
    reward = log["money"].to_numpy(float) - made * log["cost"].fillna(0.0).to_numpy(float)
    frame = pd.DataFrame(
        {"user": pd.factorize(log["user_id"], sort=True)[0], "day": day - day.min(), "action": made, "reward": reward,
         "propensity": log["propensity"].fillna(made.mean()).to_numpy(float)}
    )  # fmt: skip
    steps = frame.groupby(["user", "day"], as_index=False, sort=True).agg(
        action=("action", "max"), reward=("reward", "sum"), propensity=("propensity", "mean")
    )
    width = int(steps["day"].max()) + 1
    key = steps["user"].to_numpy() * width + steps["day"].to_numpy()
    reached = key[steps["action"].to_numpy() > 0]
    state = np.zeros(len(steps), int)
    for ago in range(1, days + 1):
        state += np.where(steps["day"] >= ago, np.isin(key - ago, reached), False) * 2 ** (ago - 1)
    return steps.assign(state=state, action=steps["action"].astype(int))


def _effects(steps: pd.DataFrame) -> np.ndarray:
    """Of each step what a contact changed, unbiased given the propensities (Horvitz and Thompson 1952)."""
    action, chance = steps["action"].to_numpy(float), np.clip(steps["propensity"].to_numpy(float), 0.01, 0.99)
    reward = steps["reward"].to_numpy(float) - float(steps["reward"].mean())
    return np.asarray(reward * (action / chance - (1 - action) / (1 - chance)))
