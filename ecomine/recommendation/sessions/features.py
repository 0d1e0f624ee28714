"""What the ranker sees of a candidate: what each retriever says, the item, the session, and how they go together."""

from collections.abc import Mapping

import numpy as np
from scipy import sparse

from ecomine.recommendation.sessions.log import Sessions
from ecomine.recommendation.sessions.pairs import Table, best_of, place_in_row
from ecomine.recommendation.sessions.retrievers import ItemToItem, State, power, session_weights
from ecomine.recommendation.sessions.vectors import ItemVectors

STEPS = 3
"""Latest events of a prefix whose ties to a candidate are told one by one."""

Columns = dict[str, np.ndarray]


class ItemFacts:
    """Numbers of each item alone: how much it is looked at, lately and ever, since when, and how often again."""

    half_lives = (0.01, 0.05, 0.25)

    def fit(self, sessions: Sessions) -> "ItemFacts":
        seen, items = sessions.distinct(), sessions.items
        row, visits = seen.row, np.bincount(seen.item, minlength=items)
        facts: Columns = {"visits": visits}
        for half_life in self.half_lives:
            weight = session_weights(sessions, half_life)
            share = np.bincount(seen.item, weight[row], minlength=items) / weight.sum(dtype=np.float64)
            facts[f"share_{half_life:g}"] = share
        facts["trend"] = facts["share_0.01"] / np.maximum(facts["share_0.25"], 1e-12)
        events = np.bincount(sessions.item, minlength=items)
        facts["events_a_visit"] = events * power(visits, -1.0)
        item, later = sessions.item[:-1], sessions.row[1:] == sessions.row[:-1]
        leaves = np.bincount(item[later], minlength=items)
        stays = np.bincount(item[later & (sessions.item[1:] == item)], minlength=items)
        facts["stays"] = (stays + 1.0) / (leaves + 10.0)
        facts["ends"] = 1.0 - (leaves + 1.0) / (events + 2.0)
        first, last = np.full(items, len(seen)), np.full(items, -1)
        np.minimum.at(first, seen.item, row)
        np.maximum.at(last, seen.item, row)
        facts["known_for"] = (len(seen) - first) / max(len(seen), 1)
        facts["unseen_for"] = (len(seen) - 1 - last) / max(len(seen), 1)
        self.facts = {name: np.asarray(value, np.float32) for name, value in facts.items()}
        return self

    def state(self) -> State:
        return self.facts

    def restore(self, state: State) -> "ItemFacts":
        self.facts = dict(state)
        return self


def columns(
    prefixes: Sessions,
    row: np.ndarray,
    item: np.ndarray,
    scores: dict[str, sparse.csr_matrix],
    retrievers: Mapping[str, ItemToItem],
    vectors: ItemVectors,
    facts: ItemFacts,
) -> Columns:
    """The numbers of candidates (`row`, the number of the prefix, rising; `item`), null where nothing is known."""
    made: Columns = {}
    for name, found in scores.items():
        score = Table.of(found)(row, item)
        made[name] = score
        made[f"{name}_of_best"] = score / np.maximum(_greatest(found)[row], np.float32(1e-12))
        made[f"{name}_rank"] = _rank(row, item, score, found.shape)
    latest = [_step(prefixes, back) for back in range(STEPS)]
    for name, retriever in retrievers.items():
        for back, event in enumerate(latest):
            made[f"{name}_{back}"] = Table.of_rows(retriever.similarity, event)(row, item)
    for back, event in enumerate(latest):
        made[f"cosine_{back}"] = vectors.closeness(event[row], item)
    made["cosine_session"] = vectors.closeness_to_all(prefixes, row, item, 0.8)
    for name, fact in facts.facts.items():
        made[f"item_{name}"] = fact[item]
    for name in ("visits", "stays", "events_a_visit", "share_0.05"):
        made[f"last_{name}"] = np.where(latest[0] >= 0, facts.facts[name][latest[0]], np.float32(np.nan))[row]
    made.update(_session(prefixes, row, item))
    return made


def _session(prefixes: Sessions, row: np.ndarray, item: np.ndarray) -> Columns:
    """Length and repeats of the prefix, and where the candidate stands in it."""
    key, times = np.unique(prefixes.row * prefixes.items + prefixes.item, return_counts=True)
    seen = prefixes.last_seen
    last_key, back = prefixes.row[seen] * prefixes.items + prefixes.item[seen], prefixes.steps_back[seen] + 1
    order = np.argsort(last_key)
    length, distinct = prefixes.length, np.bincount(key // prefixes.items, minlength=len(prefixes))
    since = Table(key, back[order], prefixes.items)(row, item)
    return {
        "length": length[row],
        "distinct": distinct[row],
        "repeats": ((length - distinct) / np.maximum(length, 1))[row],
        "stayed": (_step(prefixes, 0) == _step(prefixes, 1))[row],
        "turned_back": (_step(prefixes, 0) == _step(prefixes, 2))[row],
        "times": Table(key, times, prefixes.items)(row, item),
        "steps_since": np.where(since > 0, since, np.float32(np.nan)),
    }


def _step(prefixes: Sessions, back: int) -> np.ndarray:
    """The item `back` steps before the last of each prefix; -1 where the prefix is too short."""
    if len(prefixes.item) == 0:
        return np.full(len(prefixes), -1)
    there = prefixes.length > back
    return np.where(there, prefixes.item[np.maximum(prefixes.start[1:] - 1 - back, 0)], -1)


def _greatest(scores: sparse.csr_matrix) -> np.ndarray:
    """The greatest entry of each row; 0 for an empty one."""
    greatest = np.zeros(scores.shape[0], np.float32)
    filled = np.diff(scores.indptr) > 0
    if filled.any():
        greatest[filled] = np.maximum.reduceat(scores.data, scores.indptr[:-1][filled])
    return greatest


def _rank(row: np.ndarray, item: np.ndarray, score: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Rank of each candidate by one score among the candidates of its prefix, from 0; null where the score is 0."""
    ranked_row, ranked_item, _ = best_of(row, item, score, shape, shape[1])
    place = place_in_row(ranked_row, shape[0])
    order = np.lexsort((ranked_item, ranked_row))
    rank = np.full(len(row), np.nan, np.float32)
    rank[score > 0] = place[order]
    return rank
