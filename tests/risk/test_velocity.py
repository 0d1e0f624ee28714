"""Velocities of many payments against those of one at a time, and against counting by hand."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecomine.risk.behaviour import DAY
from ecomine.risk.moment import Event, features
from ecomine.risk.rings import people_blocks
from ecomine.risk.timeline import SCALE, microseconds
from ecomine.risk.velocity import ENTITIES, names, velocities


def payments(seed: int, count: int = 60, days: float = 120.0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    start = random.choice([random.uniform(0, days * 86_400), random.uniform(0, 86_400)], count)
    seconds = start + 60 * random.integers(0, 2_000, count)

    def ids(letter: str, most: int) -> np.ndarray:
        drawn = random.integers(0, most, count)
        return np.where(random.random(count) < 0.1, None, np.char.add(letter, drawn.astype(str)).astype(object))

    return pd.DataFrame(
        {
            "payment_id": [f"p{number:03d}" for number in random.permutation(count)],
            "event_timestamp": pd.Timestamp("2024-01-01") + pd.to_timedelta(np.round(seconds), unit="s"),
            "amount": np.round(random.uniform(1, 300, count), 2),
            "user_id": np.char.add("u", random.integers(0, 5, count).astype(str)).astype(object),
            "card_id": ids("c", 6), "device_id": ids("d", 4), "address_id": ids("a", 3), "ip": ids("i", 3),
            "method": random.choice(["card", "wallet", "cash"], count),
        }
    )  # fmt: skip


def event(row: pd.Series) -> Event:
    ids = {name: None if pd.isna(row[name]) else row[name] for name in ENTITIES}
    return Event(int(row["time"]), round(row["amount"] * SCALE), **ids)


def alone(table: pd.DataFrame) -> np.ndarray:
    """Each payment by itself, told the payments of its own entities up to then."""
    table = table.assign(time=microseconds(table["event_timestamp"]))
    rows = []
    for number, row in table.iterrows():
        past = {}
        for name in ENTITIES:
            same = (table[name] == row[name]) & (table["time"] <= row["time"]) & (table.index != number)
            past[name] = [event(other) for _, other in table[same].sort_values(["time", "payment_id"]).iterrows()]
        rows.append(features(event(row), row["method"], past))
    return np.array(rows)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10_000))
def test_one_payment_is_told_what_many_are(seed: int) -> None:
    table = payments(seed)
    together = velocities(table)
    assert list(together) == names()
    np.testing.assert_array_equal(together.to_numpy(), alone(table))


def test_an_entity_with_very_many_payments_is_cut_short_in_both(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("velocity", "moment"):
        monkeypatch.setattr(f"ecomine.risk.{module}.MOST", 4)
    table = payments(3)
    together = velocities(table)
    assert together["user_payments"].max() == 4
    np.testing.assert_array_equal(together.to_numpy(), alone(table))


def test_what_is_told_was_known() -> None:
    table = payments(5)
    moment = table["event_timestamp"].sort_values().iloc[40]
    before = (table["event_timestamp"] <= moment).to_numpy()
    pd.testing.assert_frame_equal(velocities(table[before]), velocities(table)[before])


def test_blocks_of_people_are_told_what_all_are() -> None:
    table = payments(7, 80)
    for name in ("user_id", "card_id", "device_id", "address_id", "ip"):
        own = table[name].notna()
        table.loc[own, name] = table.loc[own, name] + (table.index[own] % 9).astype(str)  # nine shops that share nobody
    block = people_blocks(table, [name for name in ENTITIES if name != "user_id"], 20)
    assert 3 <= len(np.unique(block)) <= 6
    for number in np.unique(block):
        pd.testing.assert_frame_equal(velocities(table[block == number]), velocities(table)[block == number])


def test_counts_by_hand() -> None:
    minutes = [0, 5, 30, 60 * 24 * 2]
    table = pd.DataFrame(
        {
            "payment_id": list("abcd"),
            "event_timestamp": pd.Timestamp("2024-03-01 10:00") + pd.to_timedelta(minutes, unit="min"),
            "amount": [10.0, 20.0, 30.0, 60.0],
            "user_id": ["u", "v", "w", "u"],
            "card_id": ["c", "c", "c", "x"],
        }
    )
    told = velocities(table)
    assert told["card_payments_10m"].tolist() == [1, 2, 1, 1]
    assert told["card_amount_1h"].tolist() == [10, 30, 60, 60]
    assert told["card_users_1d"].tolist() == [1, 2, 3, 1]
    assert told["user_age_days"].tolist() == [0, 0, 0, 2]
    assert told["card_amount_to_mean"].iloc[2] == 2.0
    assert told["user_card_payments"].tolist() == [1, 1, 1, 1]
    assert told["device_payments"].isna().all()
    assert told["method_number"].isna().all()
    assert DAY == 86_400_000_000
