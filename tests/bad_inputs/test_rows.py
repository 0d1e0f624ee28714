"""Rows that cannot be true, listed: each is refused with its reason while all others go on."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ecomine import layout
from ecomine.cli import main
from ecomine.tables import MALFORMED
from tests.bad_inputs.spoil import Frame, as_text, first, replaced, shop
from tests.bad_inputs.telling import run
from tests.shop import START

LINES = shop()["order_lines"]
EVENTS = pd.DataFrame(
    {
        "event_id": [f"e{number}" for number in range(50)],
        "user_id": "u0001",
        "event_type": "view",
        "event_timestamp": START + pd.to_timedelta(np.arange(50), unit="h"),
    }
)
IMPRESSIONS = EVENTS.rename(columns={"event_id": "impression_id", "event_type": "campaign_id"}).assign(propensity=0.5)
PAYMENTS = EVENTS.rename(columns={"event_id": "payment_id", "event_type": "method"}).assign(amount=5.0)
STOCK = EVENTS.rename(columns={"event_id": "item_id"})[["item_id", "event_timestamp"]].assign(on_hand=3.0)
EDGES = pd.DataFrame({"user_id": ["u1", "u2", "u3"], "other_user_id": ["u2", "u3", "u1"]})

QUARANTINED: dict[str, tuple[str, Frame, dict[str, int]]] = {
    # name: table, its rows, how many are refused and why
    "text in a few numbers": ("order_lines", as_text("quantity", 100, "two")(LINES), {"malformed value": 19}),
    "a few times that are none": (
        "order_lines",
        as_text("event_timestamp", 100, "31/02/2024")(LINES),
        {"malformed value": 19},
    ),
    "endless numbers": ("order_lines", first(3, unit_price=np.inf)(LINES), {"malformed value": 3}),
    "future timestamps": (
        "order_lines",
        first(4, event_timestamp=pd.Timestamp("2199-01-01"))(LINES),
        {"after as_of": 4},
    ),
    "timestamps before the earliest": (
        "order_lines",
        first(4, event_timestamp=pd.Timestamp("1970-01-01"))(LINES),
        {"before the earliest time": 4},
    ),
    "exact copies": ("order_lines", pd.concat([LINES, LINES.head(5)]), {"exact copy": 5}),
    "duplicate keys": (
        "order_lines",
        pd.concat([LINES, LINES.head(5).assign(quantity=99.0)]),
        {"same key as another row": 5},
    ),
    "negative prices": ("order_lines", first(6, unit_price=-1.0)(LINES), {"negative price": 6}),
    "negative quantities": ("order_lines", first(6, quantity=-1.0)(LINES), {"cancellation or return": 6}),
    "zero quantities": ("order_lines", first(6, quantity=0.0)(LINES), {"zero quantity": 6}),
    "absurd quantities": ("order_lines", first(1, quantity=1e7)(LINES), {"quantity above max_quantity": 1}),
    "absurd prices": ("order_lines", first(1, unit_price=1e7)(LINES), {"price above max_unit_price": 1}),
    "outlying prices": ("order_lines", first(1, unit_price=9e4)(LINES), {"price far from the item's median": 1}),
    "missing customers": ("order_lines", first(7, user_id=None)(LINES), {"missing user_id": 7}),
    "blank customers": ("order_lines", first(7, user_id="  ")(LINES), {"missing user_id": 7}),
    "missing prices": ("order_lines", first(2, unit_price=None)(LINES), {"missing unit_price": 2}),
    "unknown kinds of events": ("events", first(9, event_type="teleport")(EVENTS), {"unknown event type": 9}),
    "promotions that end before they start": (
        "promotions",
        first(3, end_date=START - pd.Timedelta(days=1))(shop()["promotions"]),
        {"end before start": 3},
    ),
    "negative costs": ("items", first(2, unit_cost=-0.5)(shop()["items"]), {"negative cost": 2}),
    "impossible probabilities": (
        "ad_impressions",
        first(2, propensity=1.5)(IMPRESSIONS),
        {"propensity outside 0 to 1": 2},
    ),
    "labels before their event": (
        "payments",
        first(5, label_timestamp=START - pd.Timedelta(days=1))(PAYMENTS.assign(label_timestamp=pd.NaT)),
        {"label before event": 5},
    ),
    "negative stock": ("stock", first(5, on_hand=-2.0)(STOCK), {"negative stock": 5}),
    "ties to oneself": ("social_edges", first(1, other_user_id="u1")(EDGES), {"tie to oneself": 1}),
}


@pytest.mark.parametrize("name", QUARANTINED)
def test_bad_rows_go_to_quarantine_and_the_others_on(
    name: str, fresh: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, frame, reasons = QUARANTINED[name]
    replaced(**{table: frame})(fresh)
    assert run(fresh, "ingest", capsys) == (0, "")
    assert run(fresh, "clean", capsys) == (0, "")
    refused = pd.read_parquet(fresh / f"{layout.QUARANTINE}/{table}.parquet")
    assert refused["reason"].value_counts().to_dict() == reasons
    assert refused[MALFORMED].notna().all() == ("malformed value" in reasons)
    assert len(pd.read_parquet(fresh / f"{layout.CLEAN}/{table}.parquet")) == len(frame) - len(refused)
    counts = json.loads((fresh / layout.CLEAN_REPORT).read_text())["tables"]
    assert [name for name, one in counts.items() if one["refused"]] == [table]
    assert main(["-w", str(fresh), "quarantine"]) == 0
    for reason, count in reasons.items():
        assert re.search(rf"{table} +{count}  {re.escape(reason)}\n", capsys.readouterr().out)
