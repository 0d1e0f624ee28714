import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from ecomine.risk.rings import ring_features, rings

START = pd.Timestamp("2024-03-01")


def _payments(rows: list[tuple]) -> pd.DataFrame:
    """(day, user, device, card, fraud told on day or None)."""
    day, user, device, card, told = zip(*rows, strict=True)
    time = START + pd.to_timedelta(day, unit="D") + pd.Timedelta(hours=12)
    label = pd.Series([pd.NaT if value is None else START + pd.Timedelta(days=value) for value in told])
    return pd.DataFrame(
        {
            "payment_id": np.arange(len(rows)),
            "event_timestamp": time,
            "user_id": pd.Series(user, dtype=object),
            "device_id": pd.Series(device, dtype=object),
            "card_id": pd.Series(card, dtype=object),
            "is_fraud": pd.Series([value is not None for value in told]),
            "label_timestamp": label.astype("datetime64[us]"),
        }
    )


def test_a_ring_is_who_shares_a_device_or_a_card() -> None:
    table = _payments(
        [
            (0, "a", "d1", "k1", None),
            (0, "b", "d1", "k2", 3),
            (1, "c", "d2", "k2", None),
            (1, "x", "d9", "k9", None),
            (5, "a", "d1", "k1", None),
        ]
    )
    found = rings(table, START + pd.Timedelta(days=4))
    assert found["user_id"].tolist() == ["a", "b", "c"]
    assert found.iloc[0][["ring", "users", "devices", "cards", "payments", "frauds"]].tolist() == [1, 3, 2, 2, 3, 1]
    features = ring_features(table)
    assert features["ring_users"].tolist() == [0, 0, 2, 0, 3]
    assert features["ring_frauds"].tolist() == [0, 0, 0, 0, 1]
    # What is public ties nobody.
    assert rings(table, START + pd.Timedelta(days=4), most_users=1).empty
    # Long ago is forgotten.
    assert ring_features(table, days=3)["ring_users"].tolist() == [0, 0, 2, 0, 0]


def test_nobody_and_nothing() -> None:
    table = _payments([(0, "a", None, None, None)])
    assert ring_features(table)["ring_users"].tolist() == [0.0]
    assert rings(table, START).empty


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 4),
            st.sampled_from("abcdef"),
            st.sampled_from(["d1", "d2", "d3", None]),
            st.sampled_from(["k1", "k2", "k3", "k4"]),
            st.sampled_from([None, None, 2, 3]),
        ),
        min_size=1,
        max_size=15,
    )
)
def test_components_are_what_walking_from_one_to_the_next_tells(rows: list[tuple]) -> None:
    table = _payments(rows)
    moment = START + pd.Timedelta(days=3)
    known = table[table["event_timestamp"] < moment]
    found = rings(table, moment, fewest_users=1).set_index("user_id")
    assert set(found.index) == set(known["user_id"])
    for user in found.index:
        group = {user}
        while True:
            mine = known[known["user_id"].isin(group)]
            tied = known["device_id"].isin(mine["device_id"].dropna()) | known["card_id"].isin(mine["card_id"])
            wider = group | set(known["user_id"][tied])
            if wider == group:
                break
            group = wider
        mine = known[known["user_id"].isin(group)]
        told = mine["label_timestamp"].notna() & (mine["label_timestamp"] <= moment)
        late = mine["label_timestamp"].le(mine["event_timestamp"]) & (mine["event_timestamp"] >= moment)
        assert found.loc[user, "users"] == len(group)
        assert found.loc[user, "devices"] == mine["device_id"].nunique()
        assert found.loc[user, "payments"] == len(mine)
        assert found.loc[user, "frauds"] == (told & ~late).sum()


def test_later_payments_change_no_feature() -> None:
    random = np.random.default_rng(0)
    rows = [
        (int(day), f"u{user}", f"d{device}", f"k{card}", None)
        for day, user, device, card in random.integers(0, [20, 60, 50, 80], (300, 4))
    ]
    table = _payments(rows)
    early = (table["event_timestamp"] < START + pd.Timedelta(days=10)).to_numpy()
    pd.testing.assert_frame_equal(ring_features(table, early), ring_features(table[early]))


def test_a_household_that_shares_for_long_is_no_ring_until_a_fraud_is_known() -> None:
    """d1: three people for 80 days; d2: the same, with a fraud; d3: three people since a week; d4: one, then others."""
    days = {"d1": (1, 2, 80), "d2": (1, 2, 80), "d3": (83, 84, 85), "d4": (1, 86, 87)}
    rows = [(f"{device}u{n}", device, day) for device, seen in days.items() for n, day in enumerate(seen)]
    table = pd.DataFrame(rows, columns=["user_id", "device_id", "day"])
    table["event_timestamp"] = START + pd.to_timedelta(table["day"], "D")
    table["payment_id"] = [f"p{n:02}" for n in range(len(table))]
    table["is_fraud"] = table["user_id"] == "d2u0"
    table["label_timestamp"] = table["event_timestamp"] + pd.Timedelta(days=40)
    moment = START + pd.Timedelta(days=90)

    def told(**more: int) -> set[str]:
        return set(rings(table, moment, days=100, links=("device_id",), **more)["user_id"].str[:2])

    assert told() == {"d2", "d3", "d4"}
    assert told(trusted_days=1000) == {"d1", "d2", "d3", "d4"}
