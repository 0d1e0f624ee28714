"""Credit beside payments: a scorecard on what the shop knows of somebody who asks for it, and how well it tells."""

import json
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd

from ecomine.domain import Inputs
from ecomine.risk.scorecard import CreditScorecard
from ecomine.risk.stability import fairness, gini, kolmogorov_smirnov, population_stability
from ecomine.store import write_frame, write_json

FEWEST = 100
FEWEST_BAD = 20
DAYS = 60
"""Days of orders that are looked at: totals since ever grow with the history, and points would drift with them."""

LEARNED = 0.7
"""Share of the accounts, the earlier ones, that the scorecard learns from; the later ones judge it."""

MONOTONE = {"log_amount": 1, "income": -1}

_ACCOUNTS = f"""
SELECT account_id, credit.user_id, credit.event_timestamp, credit.amount, CAST(defaulted AS DOUBLE) AS bad,
    count(past.order_id) AS orders, coalesce(sum(CAST(past.money AS DECIMAL(18, 4))), 0)::DOUBLE AS spend,
    (epoch(credit.event_timestamp) - epoch(max(past.moment))) / 86400 AS days_since_order
FROM credit_known AS credit LEFT JOIN credit_orders AS past
    ON past.user_id = credit.user_id AND past.moment < credit.event_timestamp
        AND past.moment >= credit.event_timestamp - INTERVAL {DAYS} DAY
GROUP BY account_id, credit.user_id, credit.event_timestamp, credit.amount, defaulted
ORDER BY credit.event_timestamp, account_id
"""


class Credit:
    """A scorecard on credit accounts, its table, and its figures on later accounts than it learned from.

    report: columns measure and value; groups: `fairness` by age group, where it is known.
    """

    def __init__(self, card: CreditScorecard, report: pd.DataFrame, groups: pd.DataFrame) -> None:
        self.card, self.report, self.groups = card, report, groups

    @classmethod
    def fit(cls, inputs: Inputs, seed: int, threads: int) -> Self | None:
        """None where the source has no credit, or too little of it whose end is known."""
        if "credit" not in inputs.tables or "defaulted" not in inputs.tables["credit"].columns:
            return None
        accounts = _accounts(inputs)
        place = int(LEARNED * len(accounts))
        learnt, later = accounts.iloc[:place], accounts.iloc[place:]
        if len(accounts) < FEWEST or min(learnt["bad"].sum(), later["bad"].sum()) < FEWEST_BAD:
            return None
        if learnt["bad"].min() == 1 or later["bad"].min() == 1:
            return None
        card = CreditScorecard(MONOTONE, trees=None, seed=seed, threads=threads)
        card.fit(_columns(learnt), learnt["bad"].to_numpy())
        risk, bad = card.risk(_columns(later)), later["bad"].to_numpy()
        points = card.score(_columns(later))
        figures = {
            "gini": gini(risk, bad),
            "auc": (gini(risk, bad) + 1) / 2,
            "ks": kolmogorov_smirnov(risk, bad),
            "psi": population_stability(card.score(_columns(learnt)), points),
            "expected_to_known": float(risk.mean() / bad.mean()),
            "accounts": float(len(later)),
        }
        report = pd.DataFrame({"measure": list(figures), "value": list(figures.values())})
        known = later["age_group"].notna().to_numpy()
        groups = pd.DataFrame(columns=["group", "people", "granted", "impact"])
        if known.sum() >= FEWEST:
            found = fairness(later["age_group"][known], risk[known], bad[known], float(np.quantile(risk, 0.9)))
            groups = found.drop(columns=["gini", "granted_good"]).reset_index(names="group")
        return cls(card, report, groups)

    def save(self, folder: Path) -> None:
        """JSON and Parquet."""
        self.card.save(folder, "credit")
        write_frame(folder / "credit-report.parquet", self.report)
        write_json(folder / "credit-groups.json", self.groups.to_dict("list"))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The inverse of `save`."""
        groups = pd.DataFrame(json.loads((folder / "credit-groups.json").read_text()))
        report = pd.read_parquet(folder / "credit-report.parquet")
        return cls(CreditScorecard.load(folder, "credit"), report, groups)


def _accounts(inputs: Inputs) -> pd.DataFrame:
    """Accounts whose end was known at as_of, in order of time, with what was known when they were opened."""
    connection, tables = inputs.connection, inputs.tables
    as_of = inputs.as_of
    tables["credit"].filter(
        f"defaulted IS NOT NULL AND label_timestamp <= TIMESTAMP '{as_of}' AND event_timestamp <= TIMESTAMP '{as_of}'"
    ).create_view("credit_known", replace=True)
    tables["order_lines"].aggregate(
        "order_id, user_id, min(event_timestamp) AS moment, "
        "sum(CAST(quantity * unit_price AS DECIMAL(18, 4)))::DOUBLE AS money"
    ).create_view("credit_orders", replace=True)
    try:
        accounts = connection.sql(_ACCOUNTS).df()
    finally:
        connection.execute("DROP VIEW credit_known; DROP VIEW credit_orders")
    # A default is told early, a good end late: accounts too young to have ended well would be bad ones alone.
    last_good = accounts.loc[accounts["bad"] == 0, "event_timestamp"].max()
    accounts = accounts[accounts["event_timestamp"] <= last_good].reset_index(drop=True)
    people = tables["users"].df().set_index("user_id") if "users" in tables else pd.DataFrame()
    for name in ("age_group", "income_group"):
        accounts[name] = accounts["user_id"].map(people[name]) if name in people else None
    return accounts


def _columns(accounts: pd.DataFrame) -> pd.DataFrame:
    """Numbers that the scorecard learns from; the income is the lower end of its band, a band `under` lies below."""
    text = accounts["income_group"].astype("string")
    income = pd.to_numeric(text.str.extract(r"(\d+)")[0], errors="coerce").astype(float)
    below = text.str.contains("under", case=False).fillna(False).to_numpy(bool)
    return pd.DataFrame(
        {
            "log_amount": np.log1p(accounts["amount"].to_numpy(float)),
            "orders": accounts["orders"].to_numpy(float),
            "spend": accounts["spend"].to_numpy(float),
            "days_since_order": accounts["days_since_order"].to_numpy(float),
            "income": np.where(below, -1.0, income.to_numpy(float)),
        },
        index=accounts.index,
    )
