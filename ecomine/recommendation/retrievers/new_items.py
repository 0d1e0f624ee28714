"""What has just come on sale and is like what somebody buys: a way in for products without a history."""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from ecomine.recommendation.purchases import Purchases, day_number
from ecomine.recommendation.retrievers import blocks
from ecomine.recommendation.retrievers.base import FromPurchases
from ecomine.recommendation.retrievers.personal import PersonalRepeat
from ecomine.store import write_frame
from ecomine.tables import CATEGORY_SEPARATOR


class NewItems(FromPurchases):
    """Products launched at most `days` ago, by how much of what somebody bought was of their kind.

    Each level of the category path, and the brand, is a term; a product is the unit vector of its terms, a user the sum
    of the products they bought, by decayed frequency (`personal`), made a unit vector. The score is the cosine, a
    content-based profile (Pazzani and Billsus 2007). The file holds the terms of all products met.
    """

    suffix = ".parquet"

    def __init__(self, personal: PersonalRepeat, days: float = 30.0) -> None:
        self.personal, self.days = personal, days

    def _learn(self, purchases: Purchases) -> None:
        attributes = purchases.attributes
        empty = pd.DataFrame({"item": np.zeros(0, np.int64), "term": np.zeros(0, np.int64), "new": np.zeros(0, bool)})
        if attributes is None or attributes["launch"].isna().all():
            self._hold(empty, len(purchases.items))
            return
        of_item = attributes.set_index("item_id").reindex(purchases.items)
        age = day_number(purchases.at) - of_item["launch"].to_numpy(float)
        new = (age >= 0) & (age < self.days)
        item, term = _terms(of_item)
        self._hold(pd.DataFrame({"item": item, "term": term, "new": new[item]}), len(purchases.items))

    def _hold(self, state: pd.DataFrame, items: int) -> "NewItems":
        self.state = state
        terms = int(state["term"].max()) + 1 if len(state) else 1
        unit = _unit(blocks.matrix(state["item"], state["term"], np.ones(len(state)), (items, terms)))
        self.terms = unit
        is_new = np.zeros(items)
        is_new[state["item"][state["new"]]] = 1.0
        self.new = (sparse.diags_array(is_new) @ unit).T.tocsr()
        return self

    def scores(self, users: np.ndarray) -> sparse.csr_matrix:
        if not self.new.nnz:
            return sparse.csr_matrix((len(users), self.terms.shape[0]))
        found = (_unit((blocks.rows(self.personal.weights, users) @ self.terms).tocsr()) @ self.new).tocsr()
        found.sort_indices()
        return found

    def save(self, path: Path) -> None:
        write_frame(path, self.state)

    def load(self, path: Path, users: int, items: int) -> "NewItems":
        return self._hold(pd.read_parquet(path), items)


def _terms(items: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Item codes and terms: every level of the category path with those above it, and the brand; sorted."""
    category, brand = items["category"], items["brand"]
    levels = category.fillna("").str.split(CATEGORY_SEPARATOR, regex=False, expand=True)
    path, texts, rows = pd.Series("", index=items.index), [], []
    for depth in range(levels.shape[1]):  # levels of the tree
        there = (levels[depth].fillna("") != "").to_numpy()
        path = path + CATEGORY_SEPARATOR + levels[depth].fillna("")
        texts.append(path[there].to_numpy(object))
        rows.append(np.flatnonzero(there))
    branded = brand.notna().to_numpy()
    texts.append(("brand " + brand[branded].astype(str)).to_numpy(object))
    rows.append(np.flatnonzero(branded))
    item = np.concatenate(rows)
    term = pd.factorize(np.concatenate(texts), sort=True)[0]
    order = np.lexsort((term, item))
    return item[order], term[order]


def _unit(values: sparse.csr_matrix) -> sparse.csr_matrix:
    length = np.sqrt(np.asarray(values.multiply(values).sum(axis=1)).ravel())
    return (sparse.diags_array(1.0 / np.where(length > 0, length, 1.0)) @ values).tocsr()
