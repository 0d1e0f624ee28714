"""When to leave people alone: Q-learning over who was contacted on which of the last days."""

from dataclasses import dataclass, field

import numpy as np

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
