"""Cleaning: each rule on rows that are known to break it, and what must hold for every table."""

import hashlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ecomine import cleaning
from ecomine.cleaning import rules
from ecomine.engine import connect
from ecomine.errors import CleaningError
from ecomine.params import CleaningParams, EngineParams
from ecomine.tables import MALFORMED, TABLES
from tests.shop import tiny_shop

AS_OF = datetime(2024, 6, 1)
DAY = pd.Timestamp("2024-05-01 12:00")
PANDAS = {"id": "object", "text": "object", "number": "float64", "count": "Int64", "flag": "boolean"}

SOUND: dict[str, dict[str, Any]] = {
    "events": {
        "event_id": "e",
        "user_id": "u",
        "event_type": "view",
        "event_timestamp": DAY,
        "session_id": "s",
    },
    "order_lines": {
        "order_id": "o",
        "user_id": "u",
        "item_id": "i",
        "event_timestamp": DAY,
        "quantity": 1.0,
        "unit_price": 5.0,
    },
    "items": {"item_id": "i"},
    "users": {"user_id": "u"},
    "promotions": {"item_id": "i", "start_date": DAY, "end_date": DAY + pd.Timedelta("7D")},
    "stock": {"item_id": "i", "event_timestamp": DAY, "on_hand": 1.0},
    "payments": {"payment_id": "p", "user_id": "u", "event_timestamp": DAY, "amount": 1.0},
    "credit": {"account_id": "a", "user_id": "u", "event_timestamp": DAY, "amount": 1.0},
    "campaigns": {"campaign_id": "c", "start_date": DAY},
    "ad_impressions": {"impression_id": "m", "campaign_id": "c", "user_id": "u", "event_timestamp": DAY},
    "competitor_prices": {"item_id": "i", "competitor": "r", "event_timestamp": DAY, "price": 1.0},
    "social_edges": {"user_id": "u", "other_user_id": "v"},
}

BROKEN: list[tuple[str, dict[str, Any], str]] = [
    ("events", {"event_type": "dance"}, "unknown event type"),
    ("events", {"position": 0}, "position below 1"),
    ("events", {"rating": 5.5}, "rating outside 1 to 5"),
    ("order_lines", {"quantity": -1.0}, "cancellation or return"),
    ("order_lines", {"quantity": 0.0}, "zero quantity"),
    ("order_lines", {"unit_price": -0.01}, "negative price"),
    ("order_lines", {"list_price": -1.0}, "negative price"),
    ("order_lines", {"discount": -1.0}, "negative discount"),
    ("order_lines", {"quantity": 1001.0}, "quantity above max_quantity"),
    ("order_lines", {"unit_price": 100_001.0}, "price above max_unit_price"),
    ("order_lines", {"quantity": np.inf}, "not a finite number"),
    ("order_lines", {"user_id": None}, "missing user_id"),
    ("order_lines", {"user_id": "  "}, "missing user_id"),
    ("order_lines", {"user_id": "\u00a0\t"}, "missing user_id"),
    ("order_lines", {"event_timestamp": pd.Timestamp("1989-12-31 23:59:59")}, "before the earliest time"),
    ("order_lines", {"event_timestamp": pd.Timestamp("2099-01-01")}, "after as_of"),
    ("order_lines", {MALFORMED: "discount: 'ten'", "quantity": -1.0}, "malformed value"),
    ("items", {"item_id": ""}, "missing item_id"),
    ("items", {"unit_cost": -1.0}, "negative cost"),
    ("users", {"user_id": None}, "missing user_id"),
    ("promotions", {"end_date": DAY - pd.Timedelta("1s")}, "end before start"),
    ("promotions", {"price": -1.0}, "negative price"),
    ("stock", {"on_hand": -1.0}, "negative stock"),
    ("stock", {"lead_time_days": -1.0}, "negative lead time"),
    ("payments", {"amount": -1.0}, "negative amount"),
    ("payments", {"label_timestamp": DAY - pd.Timedelta("1D")}, "label before event"),
    ("credit", {"amount": -1.0}, "negative amount"),
    ("credit", {"label_timestamp": DAY - pd.Timedelta("1D")}, "label before event"),
    ("campaigns", {"end_date": DAY - pd.Timedelta("1D")}, "end before start"),
    ("campaigns", {"budget": -1.0}, "negative cost"),
    ("ad_impressions", {"position": 0}, "position below 1"),
    ("ad_impressions", {"propensity": 1.01}, "propensity outside 0 to 1"),
    ("ad_impressions", {"propensity": -0.01}, "propensity outside 0 to 1"),
    ("ad_impressions", {"cost": -1.0}, "negative cost"),
    ("ad_impressions", {"revenue": -1.0}, "negative revenue"),
    ("competitor_prices", {"price": -1.0}, "negative price"),
    ("social_edges", {"other_user_id": "u"}, "tie to oneself"),
]

ALLOWED: list[tuple[str, dict[str, Any]]] = [
    ("order_lines", {"unit_price": 0.0}),
    ("order_lines", {"quantity": 1000.0}),
    ("order_lines", {"event_timestamp": pd.Timestamp(AS_OF)}),
    ("order_lines", {"item_id": "no such item"}),
    ("promotions", {"end_date": pd.Timestamp("2024-07-01")}),
    ("payments", {"amount": 0.0}),
]


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with connect(EngineParams(), tmp_path / "spill") as connection:
        yield connection


def canonical(name: str, rows: list[dict[str, Any]] | pd.DataFrame) -> pd.DataFrame:
    """Rows with all columns of the table and `malformed`, in their types."""
    frame = pd.DataFrame(rows).reset_index(drop=True)
    columns = {}
    for column in TABLES[name].columns:
        values = frame[column.name] if column.name in frame else pd.Series([None] * len(frame), dtype=object)
        if column.kind == "time":
            columns[column.name] = pd.to_datetime(values).astype("datetime64[us]")
        else:
            columns[column.name] = values.astype(PANDAS[column.kind])
    malformed = frame[MALFORMED] if MALFORMED in frame else pd.Series([None] * len(frame))
    return pd.DataFrame({**columns, MALFORMED: malformed.astype(object).where(malformed.notna(), None)})


def relation(connection: duckdb.DuckDBPyConnection, name: str, frame: pd.DataFrame) -> duckdb.DuckDBPyRelation:
    table = TABLES[name]
    connection.register(f"frame_{name}", frame)
    typed = ", ".join(f'CAST("{column.name}" AS {column.sql_type}) AS "{column.name}"' for column in table.columns)
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE given_{name} AS "
        f"SELECT {typed}, CAST({MALFORMED} AS VARCHAR) AS {MALFORMED} FROM frame_{name}"
    )
    return connection.table(f"given_{name}")


def run(
    connection: duckdb.DuckDBPyConnection, name: str, rows: Any, params: CleaningParams | None = None
) -> cleaning.Cleaned:
    dirty = {name: relation(connection, name, canonical(name, rows))}
    return cleaning.clean(connection, TABLES[name], dirty, params or CleaningParams(), AS_OF)


def reasons(cleaned: cleaning.Cleaned) -> dict[str, int]:
    counts = cleaned.counts()["reasons"]
    assert isinstance(counts, dict)
    return counts


def other(name: str) -> dict[str, Any]:
    """A sound row with another key, so that a table is never left with none."""
    table = TABLES[name]
    return SOUND[name] | {table.key[0]: "another"}


@pytest.mark.parametrize(("name", "change", "reason"), BROKEN, ids=lambda value: str(value)[:40])
def test_a_broken_row_gets_its_reason(
    connection: duckdb.DuckDBPyConnection, name: str, change: dict[str, Any], reason: str
) -> None:
    cleaned = run(connection, name, [SOUND[name] | change, other(name)])
    assert reasons(cleaned) == {reason: 1}
    refused = cleaned.refused_rows.df()
    assert list(refused.columns) == [*TABLES[name].names, MALFORMED, "reason"]
    assert len(cleaned.clean_rows.df()) == 1


@pytest.mark.parametrize(("name", "change"), ALLOWED, ids=str)
def test_an_odd_row_that_can_be_true_is_kept(
    connection: duckdb.DuckDBPyConnection, name: str, change: dict[str, Any]
) -> None:
    assert reasons(run(connection, name, [SOUND[name] | change, other(name)])) == {}


def test_every_rule_is_tried() -> None:
    tried = {(name, reason) for name, _, reason in BROKEN}
    declared = {(name, reason) for name, own in rules.ROW_RULES.items() for reason in own}
    assert declared - tried == {("competitor_prices", "price above max_unit_price")}


def test_every_required_column_is_missed(connection: duckdb.DuckDBPyConnection) -> None:
    for name, table in TABLES.items():
        for column in table.required:
            cleaned = run(connection, name, [SOUND[name] | {column: None}, other(name)])
            assert reasons(cleaned) == {f"missing {column}": 1}, name


def test_duplicates_keep_the_greatest_and_say_which_are_copies(connection: duckdb.DuckDBPyConnection) -> None:
    line = SOUND["order_lines"]
    rows = [
        line,
        line | {"quantity": 3.0},
        line,
        line | {"quantity": 3.0},
        line | {"quantity": 2.0},
        other("order_lines"),
    ]
    cleaned = run(connection, "order_lines", rows)
    assert reasons(cleaned) == {"exact copy": 2, "same key as another row": 2}
    assert sorted(cleaned.clean_rows.df()["quantity"]) == [1.0, 3.0]


def test_null_parts_of_a_key_are_equal(connection: duckdb.DuckDBPyConnection) -> None:
    cleaned = run(connection, "promotions", [SOUND["promotions"], SOUND["promotions"] | {"display": "front"}])
    assert reasons(cleaned) == {"same key as another row": 1}


def test_duplicates_equal_a_brute_force_twin(connection: duckdb.DuckDBPyConnection) -> None:
    random = np.random.default_rng(3)
    size = 3000
    frame = canonical(
        "order_lines",
        pd.DataFrame(
            {
                "order_id": random.integers(0, 200, size).astype(str),
                "user_id": "",
                "item_id": random.integers(0, 20, size).astype(str),
                "event_timestamp": DAY,
                "quantity": random.integers(1, 4, size).astype(float),
                "unit_price": 1.0,
            }
        ),
    )
    frame["user_id"] = frame["order_id"]
    cleaned = run(connection, "order_lines", frame)
    names = list(TABLES["order_lines"].names)
    kept = frame.sort_values("quantity").drop_duplicates(["order_id", "item_id"], keep="last")
    copies = size - len(frame.drop_duplicates(names))
    assert reasons(cleaned) == {
        "exact copy": copies,
        "same key as another row": size - copies - len(kept),
    }
    got = cleaned.clean_rows.df().set_index(["order_id", "item_id"]).sort_index()["quantity"]
    pd.testing.assert_series_equal(got, kept.set_index(["order_id", "item_id"]).sort_index()["quantity"])


def test_all_rows_of_a_bots_day_are_refused_and_no_others(connection: duckdb.DuckDBPyConnection) -> None:
    event = SOUND["events"]
    rows = [event | {"event_id": f"b{number}", "user_id": "bot"} for number in range(4)]
    rows += [event | {"event_id": "late", "user_id": "bot", "event_timestamp": DAY + pd.Timedelta("1D")}]
    rows += [event | {"event_id": f"h{number}", "user_id": "human"} for number in range(3)]
    rows += [event | {"event_id": "h0", "user_id": "human"}] * 5  # a file loaded twice makes nobody a bot
    cleaned = run(connection, "events", rows, CleaningParams(bot_events_per_day=3))
    assert reasons(cleaned) == {"exact copy": 5, "bot": 4}
    assert set(cleaned.clean_rows.df()["event_id"]) == {"late", "h0", "h1", "h2"}


def test_price_outliers_on_both_sides(connection: duckdb.DuckDBPyConnection) -> None:
    line = SOUND["order_lines"]
    prices = [10.0, 11.0, 9.0, 10.0, 0.0, 501.0, 0.1, 10.0, 500.0]
    rows = [line | {"order_id": str(number), "unit_price": price} for number, price in enumerate(prices)]
    rows += [line | {"order_id": "few", "item_id": "rare", "unit_price": price} for price in (1.0,)]
    rows += [line | {"order_id": "fewer", "item_id": "rare", "unit_price": 5000.0}]
    cleaned = run(connection, "order_lines", rows)
    assert reasons(cleaned) == {rules.PRICE_OUTLIER: 2}
    assert set(cleaned.refused_rows.df()["unit_price"]) == {501.0, 0.1}
    assert reasons(run(connection, "order_lines", rows, CleaningParams(price_outlier_factor=0))) == {}


def test_outliers_are_taken_out_until_none_is_left(connection: duckdb.DuckDBPyConnection) -> None:
    line = SOUND["order_lines"]
    prices = [1.0, 1.0, 1.0, 1.0, 40.0, 1900.0, 3000.0, 3000.0, 3000.0]
    rows = [line | {"order_id": str(number), "unit_price": price} for number, price in enumerate(prices)]
    first = run(connection, "order_lines", rows)
    assert sorted(first.clean_rows.df()["unit_price"]) == [1.0, 1.0, 1.0, 1.0, 40.0]
    assert reasons(run(connection, "order_lines", first.clean_rows.df())) == {}


def test_mended_values_are_counted(connection: duckdb.DuckDBPyConnection) -> None:
    event = SOUND["events"] | {"event_type": " View", "query": " ", "device": "app "}
    cleaned = run(connection, "events", [event])
    assert cleaned.counts()["mended"] == {"trimmed": 2, "blank to null": 1, "lower-cased": 1}
    row = cleaned.clean_rows.df().iloc[0]
    assert (row["event_type"], row["device"], row["query"]) == ("view", "app", None)


def test_sessions_equal_a_twin(connection: duckdb.DuckDBPyConnection) -> None:
    random = np.random.default_rng(5)
    size = 600
    frame = pd.DataFrame(
        {
            "event_id": [f"e{number}" for number in range(size)],
            "user_id": random.integers(0, 8, size).astype(str),
            "event_type": "view",
            "event_timestamp": DAY + pd.to_timedelta(random.integers(0, 20_000, size), unit="min"),
            "session_id": np.where(random.random(size) < 0.1, "own", None),
        }
    )
    cleaned = run(connection, "events", frame)
    got = cleaned.clean_rows.df().set_index("event_id")["session_id"]
    lacking = frame[frame["session_id"].isna()].sort_values(["user_id", "event_timestamp", "event_id"])
    starts = lacking.groupby("user_id")["event_timestamp"].diff().fillna(pd.Timedelta("365D")) >= pd.Timedelta("30min")
    twin = pd.Series(starts.cumsum().to_numpy(), index=lacking["event_id"])
    pairs = pd.DataFrame({"twin": twin, "got": got.loc[twin.index]}).drop_duplicates()
    assert pairs["twin"].is_unique
    assert pairs["got"].is_unique
    assert cleaned.counts()["mended"] == {"session assigned": len(lacking)}
    assert (got.drop(twin.index) == "own").all()
    again = run(connection, "events", cleaned.clean_rows.df())
    assert "session assigned" not in again.counts()["mended"]


def test_a_pause_as_long_as_the_gap_ends_a_session(connection: duckdb.DuckDBPyConnection) -> None:
    minutes = [0, 29, 59, 60]
    event = SOUND["events"] | {"session_id": None}
    rows = [event | {"event_id": str(at), "event_timestamp": DAY + pd.Timedelta(at, "min")} for at in minutes]
    sessions = run(connection, "events", rows).clean_rows.df().set_index("event_id")["session_id"]
    assert sessions["0"] == sessions["29"] != sessions["59"]
    assert sessions["59"] == sessions["60"]


def test_a_table_left_with_no_rows_is_an_error_with_the_reasons(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    cleaned = run(connection, "order_lines", [SOUND["order_lines"] | {"quantity": -1.0}])
    with pytest.raises(CleaningError, match=r"order_lines: all 1 rows were refused: cancellation or return \(1\)"):
        cleaned.write(tmp_path / "clean.parquet", tmp_path / "refused.parquet")


def test_an_empty_table_stays_empty(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    for name in TABLES:
        cleaned = run(connection, name, [])
        cleaned.write(tmp_path / f"{name}.parquet", tmp_path / f"{name}.refused.parquet")
        assert cleaned.counts() == {"rows": 0, "clean": 0, "refused": 0, "reasons": {}, "mended": {}}
        assert list(pd.read_parquet(tmp_path / f"{name}.parquet").columns) == list(TABLES[name].names)


def test_lost_rows_are_noticed(connection: duckdb.DuckDBPyConnection) -> None:
    cleaned = run(connection, "items", [SOUND["items"], other("items")])
    cleaned.clean_rows = cleaned.clean_rows.limit(1)
    with pytest.raises(CleaningError, match="2 rows came in, 1 are clean and 0 refused"):
        cleaned.counts()


def dirty_lines() -> pd.DataFrame:
    """The tiny shop's order lines, made untidy in every way at known places."""
    lines = tiny_shop(users=40)["order_lines"]
    lines.loc[lines.index[::97], "quantity"] = -1.0
    lines.loc[lines.index[5::101], "user_id"] = None
    lines.loc[lines.index[7::103], "unit_price"] *= 1000
    return pd.concat([lines, lines.iloc[::50], lines.iloc[::60].assign(discount=99.0)], ignore_index=True)


def test_the_same_rows_in_any_order_give_the_same_bytes(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    lines = dirty_lines()
    digests = set()
    for seed in (0, 1, 2):
        cleaned = run(connection, "order_lines", lines.sample(frac=1, random_state=seed))
        paths = tmp_path / f"clean{seed}", tmp_path / f"refused{seed}"
        cleaned.write(*paths)
        digests.add(tuple(hashlib.sha256(path.read_bytes()).hexdigest() for path in paths))
        assert len(reasons(cleaned)) == 5
    assert len(digests) == 1


LINES = st.lists(
    st.fixed_dictionaries(
        {
            "order_id": st.sampled_from(["o1", "o2", " o2", "o3"]),
            "user_id": st.sampled_from(["u1", "u2", None, ""]),
            "item_id": st.sampled_from(["i1", "i2"]),
            "event_timestamp": st.sampled_from([DAY, DAY + pd.Timedelta("1D"), pd.Timestamp("2099-01-01"), None]),
            "quantity": st.sampled_from([-1.0, 0.0, 1.0, 2.0, 5000.0, None]),
            "unit_price": st.sampled_from([-1.0, 0.0, 0.01, 1.0, 40.0, 1900.0, 3000.0]),
            MALFORMED: st.sampled_from([None, None, None, "x"]),
        }
    ),
    max_size=60,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=LINES)
def test_no_row_is_lost_and_clean_rows_stay_clean(connection: duckdb.DuckDBPyConnection, rows: list[Any]) -> None:
    params = CleaningParams(bot_lines_per_day=8, price_outlier_factor=3)
    cleaned = run(connection, "order_lines", rows, params)
    clean, refused = cleaned.clean_rows.df(), cleaned.refused_rows.df()
    assert len(clean) + len(refused) == len(rows)
    if len(clean):
        again = run(connection, "order_lines", clean, params)
        assert again.counts()["reasons"] == {}
        assert again.counts()["mended"] == {}
        pd.testing.assert_frame_equal(
            *(part.sort_values(["order_id", "item_id"], ignore_index=True) for part in (clean, again.clean_rows.df()))
        )
