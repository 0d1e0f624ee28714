"""Labelled rows: customers as they were known at several moments, and what they did afterwards.

Which features a row gets beyond lifetime and ties is the business of the feature service `profiling`.
"""

from datetime import datetime, timedelta

import duckdb
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
ROWS = 200_000
"""Training rows at most, and test rows, taken by a hash of the customer; more change little and cost time."""

LEAST_BEFORE = timedelta(days=7)
"""History that a training window must have before it."""

LIFETIME_ROWS = 100_000
"""Customers at most that lifetime is fitted on, taken by the same hash; its few parameters are sharp by then."""


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
    split = windows(inputs.as_of, params, earliest)
    people = {cutoff: _customers(lines, cutoff) for cutoff in (*split.train, split.test)}
    share = ROWS / max(sum(people[cutoff] for cutoff in split.train), 1)
    train = pd.concat([labelled(inputs, cutoff, share) for cutoff in split.train], ignore_index=True)
    test = labelled(inputs, split.test, ROWS / max(people[split.test], 1))
    if train[LABEL].nunique() < 2:
        raise NotEnoughDataError(
            f"{len(train):,} training rows, of which {int(train[LABEL].sum()):,} bought within {params.purchase_days} "
            "days; some of both are needed. Change `profiling.purchase_days` or bring more order lines."
        )
    return Rows(train, test, test[["user_id", LABEL, LOST, VALUE]].copy(), _notes(split, params, earliest))


def windows(as_of: datetime, params: ProfilingParams, earliest: datetime) -> splits.Cutoffs:
    """As many training windows as the history holds, at least one, which may have as little as a week before it.

    Raises NotEnoughDataError where not even one training and one test window fit.
    """
    try:
        return splits.cutoffs(as_of, params.horizon_days, params.train_periods, earliest=earliest)
    except NotEnoughDataError as error:
        one = splits.cutoffs(as_of, params.horizon_days, 1)
        if one.train[0] - earliest >= LEAST_BEFORE:
            return one
        days = (2 * one.horizon + LEAST_BEFORE).days
        raise NotEnoughDataError(
            f"The data begins on {earliest:%Y-%m-%d} and as_of is {as_of:%Y-%m-%d}; one training and one test "
            f"window of {params.horizon_days} days after the first week need at least {days} days of history. Shorten "
            "`profiling.horizon_days` or bring older data."
        ) from error


def _notes(split: splits.Cutoffs, params: ProfilingParams, earliest: datetime) -> tuple[str, ...]:
    if len(split.train) == params.train_periods:
        return ()
    return (
        f"the history since {earliest:%Y-%m-%d} holds {len(split.train)} of {params.train_periods} training periods of "
        f"{params.horizon_days} days before the test; what is learned is less sure",
    )


def labelled(inputs: Inputs, cutoff: datetime, share: float = 1.0) -> pd.DataFrame:
    """Everybody known at `cutoff`, or a `share` of them, with what they did in the windows after it."""
    params: ProfilingParams = inputs.params
    rows, _ = known(inputs, cutoff, share)
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


def known(inputs: Inputs, at: datetime, share: float = 1.0) -> tuple[pd.DataFrame, LifetimeValue]:
    """user_id, event_timestamp and KNOWN_COLUMNS of everybody who bought up to `at`, or of a `share` of them.

    And the lifetime model of then, which is fitted on up to LIFETIME_ROWS of all.
    """
    params: ProfilingParams = inputs.params
    summary = order_summary(inputs.tables["order_lines"], at)
    drawn = pd.util.hash_pandas_object(summary["user_id"], index=False, hash_key=f"{inputs.seed:016d}"[-16:])
    place = drawn.to_numpy() / 2.0**64
    model = LifetimeValue(params.lifetime).fit(summary[place < LIFETIME_ROWS / len(summary)])
    summary = summary[place < share].reset_index(drop=True)
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


def _customers(lines: duckdb.DuckDBPyRelation, at: datetime) -> int:
    """How many bought something up to `at`."""
    bought = lines.filter(f"event_timestamp <= TIMESTAMP '{at}'").query(
        "lines", "SELECT count(DISTINCT user_id) FROM lines"
    )
    return int(bought.fetchall()[0][0])
