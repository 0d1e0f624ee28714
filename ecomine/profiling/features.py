"""Labelled rows: customers as they were known at several moments, and what they did afterwards.

Which features a row gets beyond lifetime and ties is the business of the feature service `profiling`.
"""

from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from ecomine import splits
from ecomine.domain import EVENT_TIMESTAMP, LABEL, Inputs, Rows
from ecomine.errors import NotEnoughDataError, SettingsError
from ecomine.profiling.lifetime import LifetimeValue
from ecomine.profiling.orders import order_summary
from ecomine.profiling.params import ProfilingParams
from ecomine.profiling.portrait import MONEY, neighbours

SERVICE = "profiling"

LIFETIME_COLUMNS = ("repeats", "recency_days", "age_days", "paid_days", "mean_spend", "alive", "expected_orders")
MONEY_COLUMNS = ("expected_value", "expected_low", "expected_high")
TIE_COLUMNS = ("ties", "tie_orders", "tie_money")
KNOWN_COLUMNS = (*LIFETIME_COLUMNS, *MONEY_COLUMNS, *TIE_COLUMNS)
"""What the domain itself knows about a row; numbers, and nulls where there is nothing to know."""

LOST, VALUE = "lost", "value"
TRAIN_ROWS = 200_000
"""Training rows at most, taken by a hash of the customer; more change little and cost time and memory."""


def label(inputs: Inputs) -> Rows:
    """Rows user_id, event_timestamp, KNOWN_COLUMNS, and three labels about the time after.

    label: 1 where something was bought within `purchase_days`; lost: 1 where nothing within the horizon; value: money
    within the horizon. The truth has the same labels of the test window. Raises NotEnoughDataError where the history
    is shorter than one training and one test window or nobody buys again, SettingsError for windows that do not fit.
    """
    params: ProfilingParams = inputs.params
    if params.purchase_days > params.horizon_days:
        raise SettingsError(
            f"`profiling.purchase_days` is {params.purchase_days}, more than `profiling.horizon_days`, which is "
            f"{params.horizon_days}; a purchase window lies within the horizon."
        )
    lines = inputs.tables["order_lines"]
    earliest = lines.query("lines", "SELECT min(event_timestamp) FROM lines").fetchall()[0][0]
    if earliest is None:
        raise NotEnoughDataError("There is no order line; profiles are made from a history of purchases.")
    split = splits.cutoffs(inputs.as_of, params.horizon_days, params.train_periods, earliest=earliest)
    train = pd.concat([labelled(inputs, cutoff) for cutoff in split.train], ignore_index=True)
    test = labelled(inputs, split.test)
    if len(train) > TRAIN_ROWS:
        drawn = pd.util.hash_pandas_object(train["user_id"], index=False, hash_key=f"{inputs.seed:016d}"[-16:])
        train = train[drawn.to_numpy() / 2.0**64 < TRAIN_ROWS / len(train)].reset_index(drop=True)
    if train[LABEL].nunique() < 2:
        raise NotEnoughDataError(
            f"{len(train):,} training rows, of which {int(train[LABEL].sum()):,} bought within {params.purchase_days} "
            "days; some of both are needed. Change `profiling.purchase_days` or bring more order lines."
        )
    return Rows(train, test, test[["user_id", LABEL, LOST, VALUE]].copy())


def labelled(inputs: Inputs, cutoff: datetime) -> pd.DataFrame:
    """Everybody known at `cutoff` with what they did in the windows after it."""
    params: ProfilingParams = inputs.params
    rows, _ = known(inputs, cutoff)
    soon, end = cutoff + timedelta(days=params.purchase_days), cutoff + timedelta(days=params.horizon_days)
    later = (
        inputs.tables["order_lines"]
        .query(
            "lines",
            f"""SELECT user_id, CAST(SUM({MONEY}) AS DOUBLE) AS {VALUE}, min(event_timestamp) AS bought FROM lines
            WHERE event_timestamp > TIMESTAMP '{cutoff}' AND event_timestamp <= TIMESTAMP '{end}'
            GROUP BY user_id ORDER BY user_id""",
        )
        .df()
    )
    rows = rows.merge(later, on="user_id", how="left")
    return rows.assign(
        **{
            LABEL: (rows["bought"] <= pd.Timestamp(soon)).to_numpy(np.int8),
            LOST: rows["bought"].isna().to_numpy(np.int8),
            VALUE: rows[VALUE].fillna(0.0),
        }
    ).drop(columns="bought")


def known(inputs: Inputs, at: datetime) -> tuple[pd.DataFrame, LifetimeValue]:
    """user_id, event_timestamp and KNOWN_COLUMNS of everybody who bought up to `at`; and the lifetime model of then."""
    params: ProfilingParams = inputs.params
    summary = order_summary(inputs.tables["order_lines"], at)
    model = LifetimeValue(params.lifetime).fit(summary)
    money = model.value(summary, params.horizon_days, params.interval)
    rows = summary[["user_id"]].assign(**{EVENT_TIMESTAMP: pd.Timestamp(at).as_unit("us")})
    for name in ("repeats", "recency_days", "age_days", "paid_days", "mean_spend"):
        rows[name] = summary[name].astype(float)
    rows["alive"] = model.alive(summary)
    rows[["expected_orders", *MONEY_COLUMNS]] = money.to_numpy()
    ties = neighbours(inputs, at)
    if ties is None:
        return rows.assign(**dict.fromkeys(TIE_COLUMNS, np.nan)), model
    return rows.merge(ties, on="user_id", how="left"), model
