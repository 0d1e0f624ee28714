"""Labelled rows: candidates as they would have been found at several moments, and whether they were bought soon after.

Which features a row gets beyond the retrievers' own is the business of the feature service `recommendation`.
"""

from datetime import datetime

import duckdb
import numpy as np
import pandas as pd

from ecomine import splits
from ecomine.domain import LABEL, Inputs, Rows
from ecomine.errors import NotEnoughDataError
from ecomine.recommendation import pages
from ecomine.recommendation.candidates import CandidateFinder
from ecomine.recommendation.params import RecommendationParams
from ecomine.recommendation.purchases import Purchases, codes, day_number

SERVICE = "recommendation"


def label(inputs: Inputs) -> Rows:
    """Rows user_id, item_id, event_timestamp, what the retrievers say, and label 1 where bought within the horizon.

    Training rows hold every positive and a share of the negatives that depends on nothing but the row and the seed.
    The truth holds each pair of the test window with its `value`, the money it brought, and, where pages were logged,
    the impressions (`page` is not null) that `pages.logged` gives. Raises NotEnoughDataError
    where the history is shorter than one training and one test window.
    """
    params: RecommendationParams = inputs.params
    lines = inputs.tables["order_lines"]
    purchases = Purchases.of(lines, inputs.as_of, inputs.tables.get("items"), inputs.tables.get("events"))
    split = splits.cutoffs(inputs.as_of, params.horizon_days, params.train_periods, earliest=purchases.earliest())
    train = [
        thin_out(rows, params.negatives_kept, inputs.seed)
        for rows in (labelled(purchases, split, cutoff, params) for cutoff in split.train)
    ]
    rows = Rows(
        pd.concat(train, ignore_index=True),
        labelled(purchases, split, split.test, params),
        truth(inputs, *split.window(split.test)),
    )
    if rows.train[LABEL].sum() == 0 or rows.truth.empty:
        raise NotEnoughDataError(
            f"{len(rows.train):,} training rows hold {rows.train[LABEL].sum()} purchases and the test window from "
            f"{split.test:%Y-%m-%d} holds {len(rows.truth):,}; some of both are needed. Bring more order lines."
        )
    return rows


def labelled(
    purchases: Purchases, split: splits.Cutoffs, cutoff: datetime, params: RecommendationParams
) -> pd.DataFrame:
    """Candidates at `cutoff` for everybody who bought something up to the end of its window, with their label."""
    after, until = (day_number(moment) for moment in split.window(cutoff))
    people = purchases.query(f"SELECT DISTINCT user FROM lines WHERE day <= {until!r}")["user"]
    bought = purchases.query(f"SELECT DISTINCT user, item FROM lines WHERE day > {after!r} AND day <= {until!r}")
    rows = CandidateFinder(params).fit(purchases.until(cutoff)).rows(purchases.users[people])
    width = len(purchases.items)
    key = codes(purchases.users, rows["user_id"]) * width + codes(purchases.items, rows["item_id"])
    hit = np.isin(key, bought["user"].astype(np.int64) * width + bought["item"])
    return rows.assign(**{LABEL: hit.astype(np.int8)})


def thin_out(rows: pd.DataFrame, share: float, seed: int) -> pd.DataFrame:
    """All positives and about `share` of the negatives, chosen by a hash of the row's keys and the seed."""
    keys = rows[["user_id", "item_id", "event_timestamp"]]
    drawn = pd.util.hash_pandas_object(keys, index=False, hash_key=f"{seed:016d}"[-16:]).to_numpy() / 2.0**64
    return rows[(rows[LABEL] > 0) | (drawn < share)].reset_index(drop=True)


def truth(inputs: Inputs, after: datetime, until: datetime) -> pd.DataFrame:
    """What was bought in (after, until]: user_id, item_id and the money it brought, sorted by both ids.

    Money is the margin where every item's cost is known, what was spent otherwise. Logged impressions come after, with
    `pages.COLUMNS` and no money.
    """
    lines, items = inputs.tables["order_lines"], inputs.tables.get("items")
    price, source = "unit_price", "lines"
    if items is not None and "unit_cost" in items.columns and _all_known(items):
        price = "(unit_price - coalesce(unit_cost, unit_price))"
        items.create_view("recommendation_items", replace=True)
        source = (
            "lines LEFT JOIN (SELECT item_id, any_value(unit_cost) AS unit_cost FROM recommendation_items GROUP BY 1)"
        )
        source += " USING (item_id)"
    bought = lines.query(
        "lines",
        f"""SELECT user_id, item_id, CAST(SUM(CAST(quantity * {price} AS DECIMAL(18, 4))) AS DOUBLE) AS value
        FROM {source} WHERE event_timestamp > TIMESTAMP '{after}' AND event_timestamp <= TIMESTAMP '{until}'
        GROUP BY ALL ORDER BY ALL""",
    ).df()
    shown = pages.logged(inputs, after, until)
    return bought if shown is None else pd.concat([bought, shown.assign(value=0.0)], ignore_index=True)


def _all_known(items: duckdb.DuckDBPyRelation) -> bool:
    (known,) = items.aggregate("count(unit_cost) > 0.99 * count(*)").fetchall()[0]
    return bool(known)


def split_truth(truth: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """Purchases, and the logged impressions where there are any."""
    if "page" not in truth:
        return truth, None
    impression = truth["page"].notna()
    purchases = truth.loc[~impression, ["user_id", "item_id", "value"]].reset_index(drop=True)
    shown = truth[impression].drop(columns="value").reset_index(drop=True)
    return purchases, None if shown.empty else shown
