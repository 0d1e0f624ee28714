"""Labelled rows: payments with verdicts, each at its own moment; orders with injected anomalies where there are none.

What fast features tell (the last minutes to weeks of card, device, person …) a row knows about itself, by the same
functions that judge a payment which is happening. What is known by verdicts comes from the feature service `risk`.
"""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd

from ecomine.domain import EVENT_TIMESTAMP, LABEL, Inputs, Rows
from ecomine.errors import NotEnoughDataError
from ecomine.risk.injection import inject
from ecomine.risk.orders import ORDER_COLUMNS, order_features
from ecomine.risk.params import RiskParams
from ecomine.risk.rings import LINKS, ring_features
from ecomine.risk.velocity import ENTITIES, names, velocities

SERVICE = "risk"
FRAUD, ANOMALY = "fraud", "anomaly"
"""What a version can tell: that a payment is fraud, or only that an order is strange."""

PAID_AT, DAY, STAKE = "paid_at", "day", "stake"
"""STAKE is the money that can be lost with a payment or an order."""

FEAST_KEYS = ("card_id", "device_id", "user_id", "address_id")
RING = [f"ring_{name}" for name in ("users", *(f"{link.removesuffix('_id')}s" for link in LINKS), "payments")]
"""Of the component that a payment belongs to, at the midnight before it."""

OWN = {FRAUD: [*names(), *RING], ANOMALY: list(ORDER_COLUMNS)}
"""What a row knows about itself, by what the version can tell."""

FEWEST_FRAUDS = 15
FEWEST_ORDERS = 200
FEWEST_DAYS = 2


@dataclass(frozen=True)
class Stretches:
    """Moments between which rows lie: learned from (since, until], tested on (start, end]; both known by then."""

    since: datetime
    until: datetime
    start: datetime
    end: datetime


def stretches(inputs: Inputs, mode: str) -> Stretches:
    """Training, then time for labels to come in, then the test, whose labels have come in by as_of."""
    params: RiskParams = inputs.params
    delay = pd.Timedelta(days=params.maturity_days if mode == FRAUD else 0)
    end = pd.Timestamp(inputs.as_of) - delay
    start = end - pd.Timedelta(days=params.test_days)
    until = start - delay
    return Stretches(until - pd.Timedelta(days=params.train_days), until, start, end)


def label(inputs: Inputs) -> Rows:
    """Rows payment_id, keys, event_timestamp, day, amount, own columns, and label: 1 for fraud or an anomaly.

    A payment is fraud where that was known by the end of its stretch, honest where nobody complained for
    `maturity_days`. Without labels rows are orders, and the test's label tells injected anomalies. The truth adds
    `kind` and the money at stake. Raises NotEnoughDataError where there is too little to learn from.
    """
    mode, why = mode_of(inputs)
    return _payments(inputs) if mode == FRAUD else _orders(inputs, why)


def mode_of(inputs: Inputs) -> tuple[str, str]:
    """FRAUD or ANOMALY, and why it is the latter."""
    table = inputs.tables.get("payments")
    if table is None or not {"is_fraud", "label_timestamp"} <= set(table.columns):
        return ANOMALY, "no payment labels in this source; anomaly detection only"
    parts = stretches(inputs, FRAUD)
    counts = []
    for since, until, known in ((parts.since, parts.until, parts.start), (parts.start, parts.end, inputs.as_of)):
        told = table.filter(
            f"is_fraud AND label_timestamp <= TIMESTAMP '{known}' AND event_timestamp > TIMESTAMP '{since}' "
            f"AND event_timestamp <= TIMESTAMP '{until}'"
        )
        counts.append(int(told.count("*").fetchall()[0][0]))
    if counts[0] < FEWEST_FRAUDS or not counts[1]:
        return ANOMALY, (
            f"{counts[0]:,} payments to learn from are known to be fraud and {counts[1]:,} to be tested on; at least "
            f"{FEWEST_FRAUDS} and 1 are needed; anomaly detection only"
        )
    return FRAUD, ""


def payments_of(inputs: Inputs) -> pd.DataFrame:
    """All payments up to as_of, in order of time and payment_id, with what was known of them by then."""
    table = inputs.tables["payments"].filter(f"event_timestamp <= TIMESTAMP '{inputs.as_of}'")
    frame = table.order("event_timestamp, payment_id").df()
    frame["is_fraud"] = frame["is_fraud"].astype("boolean")
    known = frame["label_timestamp"].le(pd.Timestamp(inputs.as_of)) & frame["is_fraud"].notna()
    frame["is_fraud"] = frame["is_fraud"].where(known)
    frame["label_timestamp"] = frame["label_timestamp"].where(known)
    for name in (*ENTITIES, "method"):
        if name not in frame:
            frame[name] = None
    return frame


def own_columns(payments: pd.DataFrame, asked: np.ndarray) -> pd.DataFrame:
    """OWN[FRAUD] of the payments asked for (flags)."""
    ring = ring_features(payments.drop(columns=["is_fraud", "label_timestamp"], errors="ignore"), asked)
    return pd.concat([velocities(payments, asked), ring[RING]], axis=1)


def without_verdict(inputs: Inputs, payments: pd.DataFrame) -> np.ndarray:
    """Flags of the payments of the last `recent_days` of which nobody knows yet."""
    since = pd.Timestamp(inputs.as_of) - pd.Timedelta(days=inputs.params.recent_days)
    return ((payments["event_timestamp"] > since) & payments["is_fraud"].isna()).to_numpy()


def rows_of(payments: pd.DataFrame, asked: np.ndarray, own: pd.DataFrame, moment: datetime | None) -> pd.DataFrame:
    """Keys, times, and own columns of the payments asked for; features are read at `moment`, or at each one's own."""
    part = payments[asked]
    keys = {name: part[name].astype(object).where(part[name].notna(), None) for name in FEAST_KEYS}
    frame = pd.DataFrame({"payment_id": part["payment_id"], **keys, PAID_AT: part["event_timestamp"]})
    frame[DAY] = part["event_timestamp"].dt.strftime("%Y-%m-%d")
    frame[STAKE] = part["amount"].astype(float)
    frame[EVENT_TIMESTAMP] = part["event_timestamp"] if moment is None else pd.Timestamp(moment).as_unit("us")
    return pd.concat([frame, own], axis=1).reset_index(drop=True)


def _payments(inputs: Inputs) -> Rows:
    payments, parts = payments_of(inputs), stretches(inputs, FRAUD)
    time, told = payments["event_timestamp"], payments["label_timestamp"]
    train = ((time > parts.since) & (time <= parts.until)).to_numpy()
    test = ((time > parts.start) & (time <= parts.end)).to_numpy()
    asked = train | test
    own = own_columns(payments, asked)
    fraud = payments["is_fraud"].eq(True).fillna(False).to_numpy(bool)
    known = np.where(train, fraud & told.le(pd.Timestamp(parts.start)).to_numpy(), fraud).astype(float)
    rows = rows_of(payments, asked, own, None).assign(**{LABEL: known[asked]})
    early = train[asked]
    later = rows[~early].reset_index(drop=True)
    truth = later[["payment_id", DAY, STAKE]].assign(
        fraud=later[LABEL], loss=later[STAKE], kind=np.where(later[LABEL] > 0, pattern(later), "honest")
    )
    frauds = int(rows.loc[early, LABEL].sum())
    notes = (f"{int(early.sum()):,} payments to learn from, {frauds:,} of them known to be fraud",)
    return Rows(rows[early].reset_index(drop=True), later, truth, notes)


def pattern(rows: pd.DataFrame) -> np.ndarray:
    """What a fraud looks like, where nobody says what kind it is: by what is seen of it, the first that fits."""
    small = (rows["amount"] < 3).to_numpy()
    ring = (rows["ring_users"] >= 3).to_numpy() | (rows["device_users_30d"] >= 3).to_numpy()
    old = (rows["user_age_days"] > 14).to_numpy()
    strange = (rows["user_device_payments"] <= 1).to_numpy() & (rows["user_address_payments"] <= 1).to_numpy()
    fresh = (rows["user_age_days"] <= 14).to_numpy()
    kinds = ["card testing", "device of several people", "old account, new device and address", "new account"]
    return np.select([small, ring, old & strange, fresh], kinds, "other").astype(object)


def orders_of(inputs: Inputs, since: datetime, until: datetime, lines: pd.DataFrame | None = None) -> pd.DataFrame:
    """Orders as rows like those of payments; payment_id is the order's."""
    relation = inputs.tables["order_lines"] if lines is None else inputs.connection.from_df(lines)
    found = order_features(inputs.connection, relation, pd.Timestamp(since), pd.Timestamp(until))
    frame = pd.DataFrame({"payment_id": found["order_id"], "user_id": found["user_id"]})
    for name in FEAST_KEYS:
        if name != "user_id":
            frame[name] = pd.Series(None, index=frame.index, dtype=object)
    frame[PAID_AT] = found["event_timestamp"]
    frame[DAY] = found["event_timestamp"].dt.strftime("%Y-%m-%d")
    frame[EVENT_TIMESTAMP] = found["event_timestamp"]
    return pd.concat([frame, found[["amount", STAKE, *ORDER_COLUMNS]]], axis=1)


def _orders(inputs: Inputs, why: str) -> Rows:
    params, parts = inputs.params, stretches(inputs, ANOMALY)
    table = inputs.tables["order_lines"]
    lines = table.filter(f"event_timestamp <= TIMESTAMP '{parts.end}'").order("order_id, item_id, event_timestamp").df()
    for name in ("list_price", "discount", "location_id"):
        if name not in lines:
            lines[name] = None if name == "location_id" else np.nan
    spoilt, injected = inject(lines, pd.Timestamp(parts.start), params.injected_share, inputs.seed)
    rows = orders_of(inputs, parts.since, parts.end, spoilt)
    test = (rows[EVENT_TIMESTAMP] > parts.start).to_numpy()
    if (~test).sum() < FEWEST_ORDERS or injected.empty:
        raise NotEnoughDataError(
            f"risk has {(~test).sum():,} orders to learn from and {test.sum():,} to be judged by; expected at least "
            f"{FEWEST_ORDERS}, and enough to inject anomalies into. Bring a longer history."
        )
    told = rows[["payment_id"]].merge(injected, left_on="payment_id", right_on="order_id", how="left")
    rows[LABEL] = told["kind"].notna().astype(float)
    later = rows[test].reset_index(drop=True)
    of_test = told[test].reset_index(drop=True)
    truth = later[["payment_id", DAY, STAKE]].assign(
        fraud=later[LABEL], loss=of_test["loss"].fillna(0.0), kind=of_test["kind"].fillna("honest").astype(object)
    )
    notes = (why, f"{injected['anomaly'].nunique():,} anomalies of {injected['kind'].nunique()} kinds are injected")
    return Rows(rows[~test].reset_index(drop=True), later, truth, notes)
