"""Similar sessions: what was looked at in them, close to what this session looked at last."""

import numpy as np
from scipy import sparse

from ecomine.recommendation.sessions.log import Sessions
from ecomine.recommendation.sessions.pairs import Table, best, matrix, place_in_row, ragged
from ecomine.recommendation.sessions.retrievers import State, session_weights

_FAR = np.int64(1) << 40


class SessionNeighbours:
    """Session-kNN that looks at order, rarity and age: VSTAN of Ludewig et al. (2021), after STAN (Garg et al. 2019).

    similarity(p, s) = age weight(s) / √|s| · Σ over shared items i of decay ^ (steps back of i in p) · idf(i). The item
    that both share and that p saw last is the anchor; an event of s that is d steps from it adds similarity · near ^ d,
    times `behind` where it came before the anchor. Of each item only the newest `sessions_an_item` sessions are
    compared, which bounds the time of an answer.
    """

    def __init__(
        self,
        neighbours: int = 300,
        decay: float = 0.5,
        recent: int = 20,
        half_life: float = 0.3,
        sessions_an_item: int = 1000,
        near: float = 0.7,
        behind: float = 0.7,
        limit: int = 50,
    ) -> None:
        self.neighbours, self.decay, self.recent, self.half_life = neighbours, decay, recent, half_life
        self.sessions_an_item, self.near, self.behind, self.limit = sessions_an_item, near, behind, limit

    def fit(self, sessions: Sessions) -> "SessionNeighbours":
        kept = sessions.ends(self.limit)
        return self.restore({"start": kept.start, "item": kept.item, "items": np.array(kept.items)})

    def state(self) -> State:
        return {"start": self.log.start, "item": self.log.item, "items": np.array(self.log.items)}

    def restore(self, state: State) -> "SessionNeighbours":
        start, items = state["start"], int(state["items"])
        self.log = Sessions(np.arange(len(start) - 1), start, state["item"], items)
        self.place = self.log.place.astype(np.int64)
        seen = self.log.distinct()
        count = np.bincount(seen.item, minlength=items)
        self.rarity = np.log((len(seen) + 1) / (count + 1)).astype(np.float32)
        row = seen.row
        newest = np.lexsort((-row, seen.item))
        newest = newest[place_in_row(seen.item[newest], items) < self.sessions_an_item]
        weight = session_weights(self.log, self.half_life) / np.sqrt(np.maximum(seen.length, 1), dtype=np.float32)
        self.sessions_of = matrix(seen.item[newest], row[newest], weight[row[newest]], (items, len(seen)))
        return self

    def scores(self, prefixes: Sessions) -> sparse.csr_matrix:
        shape = (len(prefixes), prefixes.items)
        seen = prefixes.ends(self.recent)
        back, last = seen.steps_back, seen.last_seen
        row, item, back = seen.row[last], seen.item[last], back[last]
        shared = matrix(row, item, self.decay ** back.astype(np.float32) * self.rarity[item], shape)
        prefix, neighbour, similarity = best((shared @ self.sessions_of).tocsr(), self.neighbours)
        start = self.log.start[neighbour]
        event, pair = ragged(start, self.log.start[neighbour + 1] - start)
        item, place = self.log.item[event], self.place[event]
        # The anchor is the shared item with the fewest steps back, and its last place in the neighbour.
        key = row * prefixes.items + seen.item[last]
        by_key = np.argsort(key)
        steps_back = Table(key[by_key], back[by_key] + 1, prefixes.items)(prefix[pair], item).astype(np.int64)
        order = np.where(steps_back > 0, steps_back * self.limit - place, _FAR)
        first = np.flatnonzero(np.concatenate([[True], pair[1:] != pair[:-1]])) if len(pair) else pair
        closest = np.minimum.reduceat(order, first) if len(pair) else order
        anchor = -closest % self.limit
        distance = place - anchor[pair]
        value = similarity[pair] * self.near ** np.abs(distance).astype(np.float32)
        value = np.where(distance < 0, value * np.float32(self.behind), value)
        other = distance != 0
        return matrix(prefix[pair][other], item[other], value[other], shape)
