"""Online equals offline: windows from streamed events against the same windows from the tables, to the last bit."""

from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import ibis
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecomine.feature_store import LIVE_TABLES, computation, recent
from ecomine.feature_store.live import LiveTable, aggregate, parts_of, whole
from ecomine.feature_store.live_state import newest
from ecomine.feature_store.online_table import MISSING, microseconds
from ecomine.params import FeatureParams, StreamingParams
from ecomine.streaming import Consumer, judge
from ecomine.tables import TABLES
from tests.streaming.shop import NOW, events, payments

AS_OF = NOW + timedelta(days=1)


def frame(rows: list[dict], kind: str) -> pd.DataFrame:
    """The rows of a kind as the canonical table."""
    own = pd.DataFrame([row for row in rows if row["kind"] == kind], columns=["kind", *TABLES[kind].names])
    moments = pd.to_datetime(own["event_timestamp"], utc=True, format="ISO8601")
    own["event_timestamp"] = moments.dt.tz_localize(None).astype("datetime64[us]")
    return own.drop(columns="kind").drop_duplicates(list(TABLES[kind].key))


def offline(table: LiveTable, source: pd.DataFrame) -> pd.DataFrame:
    """The feature table as the stage `features` computes it."""
    connection = duckdb.connect(config={"threads": 1})
    connection.execute(f"CREATE TABLE source AS SELECT {casts(table)} FROM source")
    scope = computation.scope_of(
        {table.source: ibis.duckdb.from_connection(connection).table("source")}, AS_OF, FeatureParams()
    )
    expression = computation.expression(table.feature_table, scope)
    return connection.sql(ibis.to_sql(expression, dialect="duckdb")).df()


def casts(table: LiveTable) -> str:
    columns = TABLES[table.source].columns
    return ", ".join(f"CAST({one.name} AS {one.sql_type}) AS {one.name}" for one in columns)


def test_what_was_streamed_equals_what_is_computed_from_the_tables(taking: Path) -> None:
    sent = [*events(400), *payments(200), *events(50, seed=3, days=0.01)]
    random = np.random.default_rng(5)
    random.shuffle(sent)
    consumer = Consumer(taking)
    for start in range(0, len(sent), 90):
        repeated = [*sent[start : start + 90], *sent[: start // 2]]
        consumer.log.append(judge(repeated, NOW, StreamingParams()).entries)
        while consumer.state.apply(37):
            pass
    for table in LIVE_TABLES.values():
        wanted = offline(table, frame(sent, table.source))
        last = wanted.sort_values("event_timestamp").drop_duplicates(table.key, keep="last")
        keys = [*last[table.key], "nobody"]
        values, moments = newest(consumer.state, table, [(key,) for key in keys])
        assert moments.tolist() == [*map(microseconds, last["event_timestamp"]), MISSING, MISSING]
        np.testing.assert_array_equal(values[:-2], last[list(table.features)].to_numpy(np.float64))
        assert np.isnan(values[-2:]).all()


def test_recent_tells_of_a_payment_that_is_happening_what_training_will_see(taking: Path) -> None:
    consumer, sent = Consumer(taking), payments(150, cards=3)
    sent.sort(key=lambda row: row["event_timestamp"])
    table = LIVE_TABLES["card_velocity"]
    wanted = offline(table, frame(sent, "payments")).set_index(["card_id", "event_timestamp"])
    for place, row in enumerate(sent):
        if "card_id" in row and place > 130:
            at = datetime.fromisoformat(row["event_timestamp"])
            told = recent(consumer.state, "card_velocity", row["card_id"], at, {"amount": row["amount"]})
            np.testing.assert_array_equal(
                [told[name] for name in table.features], wanted.loc[(row["card_id"], at), list(table.features)]
            )
        consumer.log.append(judge([row], NOW, StreamingParams()).entries)
        consumer.state.apply(10)
    later = recent(consumer.state, "card_velocity", "c1", NOW + timedelta(days=3))
    assert [value for name, value in later.items() if name.startswith(("attempts", "amount"))] == [0.0] * 6
    assert np.isnan(later["seconds_since_previous"])


MOMENT = st.integers(0, 3 * 86_400_000_000)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("ab"), MOMENT, st.floats(0, 1e6)), min_size=1, max_size=30), st.data())
def test_windows_twin_by_brute_force(rows: list[tuple[str, int, float]], data: st.DataObject) -> None:
    near = data.draw(st.lists(st.sampled_from([-1000, -999, 0, 1, 999, 1000, 599_999_000, 600_000_000]), max_size=5))
    base = rows[0][1]
    rows = [*rows, *[(rows[0][0], abs(base - step), 1.0) for step in near]]
    table = LIVE_TABLES["card_velocity"]
    end = data.draw(st.sampled_from([micro for _, micro, _ in rows]))
    places = np.array(["ab".index(key) for key, _, _ in rows])
    micro = np.array([row[1] for row in rows])
    parts = parts_of(table, [{"amount": row[2]} for row in rows])
    found = aggregate(table, np.array([end, end]), places, micro, parts)
    for place in range(2):
        own = [
            (m // 1000, whole(a)) for p, m, a in zip(places, micro, (row[2] for row in rows), strict=True) if p == place
        ]
        wanted = []
        for length in table.windows.values():
            inside = [a for m, a in own if end // 1000 - length * 1000 < m <= end // 1000]
            wanted += [float(len(inside)), sum(inside) / 10_000]
        before = [m // 1000 for p, m in zip(places, micro, strict=True) if p == place and m < end]
        gap = end // 1000 - max(before, default=-(10**12))
        wanted.append(gap / 1000 if gap < 86_400_000 else np.nan)
        np.testing.assert_array_equal(found[place], wanted)


@pytest.mark.parametrize("money", [0.00005, 0.00015, 0.00025, 0.1, 1.005, 10.00005, 123456.78905, 4.99995, 0.0])
def test_money_is_rounded_as_the_engine_rounds_it(money: float) -> None:
    assert whole(money) == duckdb.execute("SELECT round(?::DOUBLE * 10000)", [money]).fetchall()[0][0]
