"""Who had to do with what, as whole numbers: what every retriever outside the shop's own pipeline learns from.

A frame of interactions needs `user_id` and `item_id`. `event_timestamp`, or `position` (a rising number within a
user), puts them in order; `order_id` says what came together; `weight` how much a row counts. Nothing else is read.
"""

from dataclasses import dataclass
from functools import cached_property

import duckdb
import numpy as np
import pandas as pd
from scipy import sparse

from ecomine.columns import require
from ecomine.errors import FeatureError, NotEnoughDataError, SettingsError
from ecomine.recommendation.purchases import DAY_US, Purchases, codes

_ORDER = ("event_timestamp", "position")


@dataclass(frozen=True)
class Interactions:
    """Interactions sorted by user, time, order and item.

    `users` and `items` are sorted ids; `user` and `item` are places in them. `order` numbers the baskets, `step` counts
    a user's baskets back from the newest (0), `day` is days before the newest interaction of all (0), or `step` where
    there is no clock. `ordered` is false where nothing says what came first: then `step` and `day` are 0.
    `attributes` are what is said of the items, one row each in the order of `items`, or None.
    """

    users: np.ndarray
    items: np.ndarray
    user: np.ndarray
    item: np.ndarray
    order: np.ndarray
    step: np.ndarray
    day: np.ndarray
    weight: np.ndarray
    ordered: bool
    clock: bool
    attributes: pd.DataFrame | None = None

    @classmethod
    def of(
        cls, source: "Interactions | Purchases | pd.DataFrame", attributes: pd.DataFrame | None = None
    ) -> "Interactions":
        """Codes a frame, or the purchases of a shop; `attributes` (item_id, and any of category, brand, title) may
        hold items that nobody has had to do with yet.

        Raises FeatureError for a missing column or null ids, NotEnoughDataError for a frame without rows.
        """
        if isinstance(source, Interactions):
            return source
        if isinstance(source, Purchases):
            return _of_purchases(source)
        hint = "Expected user_id, item_id and, where there are any, event_timestamp or position, order_id, weight."
        require(source.columns, ("user_id", "item_id"), "interactions", hint)
        if source.empty:
            raise NotEnoughDataError("There are no interactions to learn from; bring rows of user_id and item_id.")
        for name in ("user_id", "item_id"):
            if source[name].isna().any():
                raise FeatureError(f"{int(source[name].isna().sum()):,} interactions have no {name}; leave them out.")
        user, users = pd.factorize(source["user_id"], sort=True)
        known = source["item_id"] if attributes is None else pd.concat([source["item_id"], attributes["item_id"]])
        items = np.sort(known.unique())
        if attributes is not None:
            attributes = attributes.drop_duplicates("item_id").set_index("item_id").reindex(items).reset_index()
        item = codes(items, source["item_id"])
        time = next((_numbers(source[name], name) for name in _ORDER if name in source.columns), None)
        order = source["order_id"] if "order_id" in source.columns else (time if time is not None else None)
        return _build(
            np.asarray(users),
            items,
            user,
            item,
            None if order is None else pd.factorize(order, sort=True)[0],
            time,
            source["weight"].to_numpy(float) if "weight" in source.columns else np.ones(len(source)),
            "event_timestamp" in source.columns,
            attributes,
        )

    def __len__(self) -> int:
        return len(self.user)

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.users), len(self.items)

    def where(self, kept: np.ndarray) -> "Interactions":
        """The chosen rows, with the same codes; steps and days count from the newest rows that are left."""
        return _build(
            self.users,
            self.items,
            self.user[kept],
            self.item[kept],
            self.order[kept],
            -self.day[kept] if self.clock else (-self.step[kept] if self.ordered else None),
            self.weight[kept],
            self.clock,
            self.attributes,
        )

    def matrix(self, weight: np.ndarray | None = None) -> sparse.csr_matrix:
        """Users × items, the weights of each pair added up (default: the rows' own)."""
        values = self.weight if weight is None else weight
        found = sparse.csr_matrix((values, (self.user, self.item)), shape=self.shape)
        found.sum_duplicates()
        return found

    @cached_property
    def binary(self) -> sparse.csr_matrix:
        """Users × items, 1 where there is any interaction."""
        found = self.matrix(np.ones(len(self)))
        found.data[:] = 1.0
        return found

    def purchases(self) -> Purchases:
        """The same for retrievers that read a shop's order lines; `day` rises with time and ends at 0."""
        frame = pd.DataFrame(
            {
                "user": self.user.astype(np.int32),
                "item": self.item.astype(np.int32),
                "order_id": self.order,
                "day": -self.day,
            }
        )
        connection = duckdb.connect(config={"threads": 1})
        connection.from_df(frame).create("interactions")
        return Purchases(self.users, self.items, connection.table("interactions"), pd.Timestamp(0).to_pydatetime())


def _of_purchases(purchases: Purchases) -> Interactions:
    lines = purchases.query(
        "SELECT user, item, dense_rank() OVER (ORDER BY order_id) AS basket, day FROM lines ORDER BY ALL"
    )
    ones = np.ones(len(lines["user"]))
    return _build(
        purchases.users, purchases.items, lines["user"], lines["item"], lines["basket"], lines["day"], ones, True, None
    )


def _build(
    users: np.ndarray,
    items: np.ndarray,
    user: np.ndarray,
    item: np.ndarray,
    order: np.ndarray | None,
    time: np.ndarray | None,
    weight: np.ndarray,
    clock: bool,
    attributes: pd.DataFrame | None,
) -> Interactions:
    user, item = np.asarray(user, np.int64), np.asarray(item, np.int64)
    when = np.zeros(len(user)) if time is None else np.asarray(time, float)
    together = user if order is None else np.asarray(order, np.int64)
    # An order number that two people share is two orders.
    basket = pd.factorize(user * (together.max(initial=0) + 1) + together, sort=True)[0].astype(np.int64)
    end = np.full(basket.max(initial=-1) + 1, -np.inf)
    np.maximum.at(end, basket, when)
    owner = np.zeros(len(end), np.int64)
    owner[basket] = user
    ranked = np.lexsort((np.arange(len(end)), end, owner))
    place = np.empty(len(end), np.int64)
    place[ranked] = np.arange(len(end))
    # Baskets are numbered by user and time, so the newest of a user is the last of its run.
    last = np.full(len(users), -1)
    np.maximum.at(last, owner, place)
    ordered = time is not None
    step = last[user] - place[basket] if ordered else np.zeros(len(user), np.int64)
    day = end.max(initial=-np.inf) - end[basket] if ordered and clock else step.astype(float)
    rows = np.lexsort((item, place[basket]))
    return Interactions(
        users,
        items,
        user[rows],
        item[rows],
        place[basket][rows],
        step[rows],
        day[rows],
        np.asarray(weight, float)[rows],
        ordered,
        clock and ordered,
        attributes,
    )


def _numbers(column: pd.Series, name: str) -> np.ndarray:
    if column.isna().any():
        raise FeatureError(f"{int(column.isna().sum()):,} interactions have no {name}; leave them out, or the column.")
    if name == "event_timestamp":
        return np.asarray(pd.to_datetime(column).to_numpy("datetime64[us]").astype(np.int64) / DAY_US)
    return column.to_numpy(float)


def hold_out(
    interactions: Interactions, how: str, fold: int, seed: int, size: float
) -> tuple[Interactions, Interactions]:
    """What is left to learn from, and what is held out as the future of it.

    `how` is "last": each user's basket `fold` + 1 from the end, what is left is what came before it; "time": the window
    `fold` + 1 from the end of all, `size` days long, what is left is what came before it; "random": a seeded share
    `size` of each user's interactions, other ones for each fold, what is left is all others. Users of whom nothing
    would be left keep everything with "last" and "random". Raises SettingsError for another word.
    """
    user, everybody = interactions.user, len(interactions.users)
    if how == "time":
        start = fold * size
        return (
            interactions.where(interactions.day >= start + size),
            interactions.where((interactions.day >= start) & (interactions.day < start + size)),
        )
    if how == "last":
        out, kept = interactions.step == fold, interactions.step > fold
    elif how == "random":
        drawn = np.lexsort((np.random.default_rng(seed).random(len(user)), user))
        start_of = np.searchsorted(user, np.arange(everybody))
        place = np.empty(len(user), np.int64)
        place[drawn] = np.arange(len(user)) - start_of[user[drawn]]
        many = np.maximum(np.round(size * np.bincount(user, minlength=everybody)), 1).astype(np.int64)[user]
        out = (place >= fold * many) & (place < (fold + 1) * many)
        kept = ~out
    else:
        raise SettingsError(f"`holdout` is {how!r}; expected last, time or random.")
    left = (np.bincount(user[kept], minlength=everybody) > 0)[user]
    out, kept = out & left, kept | ~left
    return interactions.where(kept), interactions.where(out)
