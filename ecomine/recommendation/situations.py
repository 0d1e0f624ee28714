"""What to show where there is no known customer to start from: beside a product, beside a basket, in a visit.

Beside a product: what is like it, by its words, category and brand, and by who buys both; a product that was launched
yesterday has its place here too. Beside a basket: what is bought together with what is in it (association rules). In a
visit: what visits that began like it went on to (`SessionRecommender`), where the shop records events. What the policy
bars, or nobody has in stock, is never among the answers.
"""

from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
from scipy import sparse

from ecomine.errors import NotEnoughDataError
from ecomine.recommendation.candidates import CandidateFinder
from ecomine.recommendation.params import RecommendationParams
from ecomine.recommendation.purchases import ATTRIBUTES, Purchases, codes, day_number
from ecomine.recommendation.retrievers import AssociationRules, Content, blocks
from ecomine.recommendation.sessions import SessionParams, SessionRecommender
from ecomine.store import write_frame

COLUMNS = ("rank", "item_id", "score", "reason")
RECENT_HALF_LIVES = 2
"""Orders and visits of so many half-lives tell what goes together now."""

NEIGHBOURS = 30
CONTENT, TOGETHER = 1.0, 1.0
"""Weights of the two similarities of products; both are cosines."""

LEAST_VISITS = 200
"""Visits of two products or more below which visits are answered like baskets."""

MOST_VISITS = 50_000
"""Newest visits learned from."""

VISITS = SessionParams(
    ranker_prefixes=6000,
    trees=100,
    max_depth=5,
    neighbours=100,
    sessions_an_item=200,
    recent_events=10,
    vector_size=32,
)
"""Settings that a daily run has the time for and a page that waits has the patience for."""


class Situations:
    """Fitted on the same purchases as the candidates, and on events where there are any."""

    def __init__(self, params: RecommendationParams, seed: int = 42) -> None:
        self.params, self.seed = params, seed
        self.visits: SessionRecommender | None = None

    def fit(
        self, purchases: Purchases, finder: CandidateFinder, events: duckdb.DuckDBPyRelation | pd.DataFrame | None
    ) -> "Situations":
        since = day_number(purchases.at) - RECENT_HALF_LIVES * self.params.copurchase_half_life_days
        recent = replace(purchases, lines=purchases.lines.filter(f"day > {since!r}"))
        self.items = purchases.items
        self.alike = self._content(recent) * CONTENT + finder.copurchase.similarity * TOGETHER
        rules = AssociationRules(min_count=self.params.min_support, neighbours=NEIGHBOURS)
        self.rules = sparse.csr_matrix(rules.fit(recent).similarity)
        self.visits = None if events is None else _learned(_visits(events, purchases, since), self.seed)
        return self

    def _content(self, recent: Purchases) -> sparse.csr_matrix:
        """Similarity by content among products that sell, or have just come."""
        size = (len(self.items), len(self.items))
        attributes = recent.attributes
        if attributes is None or attributes[list(ATTRIBUTES)].isna().all(axis=None):
            return sparse.csr_matrix(size)
        sold = recent.query(f"SELECT item FROM lines GROUP BY item HAVING count(*) >= {self.params.min_support}")[
            "item"
        ]
        age = day_number(recent.at) - attributes["launch"].to_numpy(float)
        new = attributes["item_id"][(age >= 0) & (age < self.params.new_days)]
        described = attributes[attributes["item_id"].isin(set(self.items[sold]) | set(new))]
        if described.empty:
            return sparse.csr_matrix(size)
        model = Content(neighbours=NEIGHBOURS)
        model.fit(pd.DataFrame({"user_id": ["-"], "item_id": described["item_id"].iloc[:1]}), described)
        found, place = sparse.coo_matrix(model.similarity), codes(self.items, model.items)
        return blocks.matrix(place[found.row], place[found.col], found.data, size)

    def similar(self, products: list[list[str]], k: int, barred: np.ndarray, titles: np.ndarray) -> list[pd.DataFrame]:
        """The `k` products most like each list of products, columns `COLUMNS`; empty where all are unknown."""
        return self._answers(self._profile(products), self.alike, k, barred, titles, "like ")

    def beside_basket(
        self, baskets: list[list[str]], k: int, barred: np.ndarray, titles: np.ndarray
    ) -> list[pd.DataFrame]:
        """The `k` products that go best with each basket; unknown products in it are passed over."""
        return self._answers(self._profile(baskets), self.rules, k, barred, titles, "often bought with ")

    def in_visit(self, visits: list[list[str]], k: int, barred: np.ndarray, titles: np.ndarray) -> list[pd.DataFrame]:
        """The `k` products that visits which began like these (oldest product first) go on to."""
        if self.visits is None:
            return self.beside_basket(visits, k, barred, titles)
        prefixes = pd.DataFrame(
            {
                "session_id": np.repeat(np.arange(len(visits)), [len(visit) for visit in visits]),
                "position": np.concatenate([np.arange(len(visit)) for visit in visits]),
                "item_id": np.array([item for visit in visits for item in visit], object),
            }
        )
        found = self.visits.recommend(prefixes, 2 * k)
        # A visit goes on to what it has not seen yet; what is barred stays away.
        seen = pd.MultiIndex.from_frame(prefixes[["session_id", "item_id"]])
        new = ~pd.MultiIndex.from_frame(found[["session_id", "item_id"]]).isin(seen)
        found = found[new & ~barred[codes(self.items, found["item_id"])]].assign(
            reason="visits like this one went on to it"
        )
        return [_ranked(found[found["session_id"] == number], k) for number in range(len(visits))]

    def _profile(self, baskets: list[list[str]]) -> sparse.csr_matrix:
        row = np.repeat(np.arange(len(baskets)), [len(set(basket)) for basket in baskets])
        item = codes(self.items, np.array([item for basket in baskets for item in sorted(set(basket))], object))
        known = item >= 0
        return blocks.matrix(row[known], item[known], np.ones(known.sum()), (len(baskets), len(self.items)))

    def _answers(
        self,
        profile: sparse.csr_matrix,
        similarity: sparse.csr_matrix,
        k: int,
        barred: np.ndarray,
        titles: np.ndarray,
        because: str,
    ) -> list[pd.DataFrame]:
        scores = (profile @ similarity @ sparse.diags_array((~barred).astype(float))).tocsr()
        scores.sort_indices()
        row, item, value = blocks.best(blocks.without(scores, profile), k)
        # The product of the basket that speaks most for the answer is its reason.
        parts = profile[row].multiply(similarity.T.tocsr()[item]).tocsr()
        parts.sort_indices()
        place, cause, _ = blocks.best(parts, 1)
        reason = np.full(len(row), "", object)
        reason[place] = because + titles[cause].astype(object)
        found = pd.DataFrame({"item_id": self.items[item], "score": value, "reason": reason})
        return [_ranked(found[row == number], k) for number in range(profile.shape[0])]

    def save(self, folder: Path) -> None:
        folder.mkdir()
        write_frame(folder / "items.parquet", pd.DataFrame({"item_id": self.items}))
        for name in ("alike", "rules"):
            found = sparse.coo_matrix(getattr(self, name))
            columns = {"item": found.row, "other": found.col, "similarity": found.data}
            write_frame(folder / f"{name}.parquet", pd.DataFrame(columns).sort_values(["item", "other"]))
        if self.visits is not None:
            self.visits.save(folder / "visits")

    def load(self, folder: Path) -> "Situations":
        self.items = pd.read_parquet(folder / "items.parquet")["item_id"].to_numpy(object)
        size = (len(self.items), len(self.items))
        for name in ("alike", "rules"):
            found = pd.read_parquet(folder / f"{name}.parquet")
            setattr(self, name, blocks.matrix(found["item"], found["other"], found["similarity"], size))
        if (folder / "visits").is_dir():
            self.visits = SessionRecommender.load(folder / "visits")
        return self


def _ranked(found: pd.DataFrame, k: int) -> pd.DataFrame:
    found = found.head(k)
    return found.assign(rank=np.arange(1, len(found) + 1))[list(COLUMNS)].reset_index(drop=True)


def _visits(events: duckdb.DuckDBPyRelation | pd.DataFrame, purchases: Purchases, since: float) -> pd.DataFrame | None:
    """Products opened, put in the cart or bought in each of the newest visits, in order, once where twice running."""
    if {"session_id", "item_id", "event_type", "event_timestamp"} - set(events.columns):
        return None
    relation = duckdb.connect().from_df(events) if isinstance(events, pd.DataFrame) else events
    at, start = purchases.at, pd.Timestamp(since * 86_400, unit="s")
    visits = relation.query(
        "events",
        f"""WITH acts AS (SELECT session_id, item_id, event_timestamp FROM events
            WHERE event_type IN ('view', 'cart', 'purchase') AND session_id IS NOT NULL AND item_id IS NOT NULL
                AND event_timestamp <= TIMESTAMP '{at}' AND event_timestamp > TIMESTAMP '{start}'),
        moves AS (SELECT *, lag(item_id) OVER (PARTITION BY session_id ORDER BY event_timestamp, item_id) AS before
            FROM acts),
        kept AS (SELECT session_id, item_id, event_timestamp FROM moves WHERE before IS DISTINCT FROM item_id),
        newest AS (SELECT session_id FROM kept GROUP BY session_id HAVING count(*) > 1
            ORDER BY max(event_timestamp) DESC, session_id LIMIT {MOST_VISITS})
        SELECT session_id, item_id, event_timestamp FROM kept SEMI JOIN newest USING (session_id)
        ORDER BY event_timestamp, session_id, item_id""",
    ).df()
    return visits[np.isin(visits["item_id"].to_numpy(object), purchases.items)]


def _learned(visits: pd.DataFrame | None, seed: int) -> SessionRecommender | None:
    """What comes next in a visit; None where there are too few visits to learn it from."""
    if visits is None or visits["session_id"].nunique() < LEAST_VISITS:
        return None
    try:
        return SessionRecommender(VISITS, seed).fit(visits)
    except NotEnoughDataError:
        return None
