import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecomine.errors import FeatureError, SettingsError
from ecomine.risk.payments import lengths, payment_features
from tests.risk import shop

START = pd.Timestamp("2024-03-01")
WINDOW = pd.Timedelta(hours=1)

attempts = st.lists(
    st.tuples(
        st.integers(0, 12),
        st.sampled_from(["a", "b", None]),
        st.sampled_from(["x", "y", "z"]),
        st.integers(0, 50),
        st.sampled_from([None, False, True]),
        st.integers(0, 8),
    ),
    min_size=1,
    max_size=14,
)


def _table(rows: list[tuple]) -> pd.DataFrame:
    step, card, device, amount, fraud, delay = zip(*rows, strict=True)
    time = START + pd.to_timedelta(np.array(step) * 20, unit="min")
    told = pd.Series(time + pd.to_timedelta(np.array(delay) * 20, unit="min"))
    return pd.DataFrame(
        {
            "payment_id": np.arange(len(rows)),
            "event_timestamp": time,
            "amount": np.array(amount, float) / 10,
            "card_id": pd.Series(card, dtype=object),
            "device_id": pd.Series(device, dtype=object),
            "is_fraud": pd.Series(fraud, dtype=object),
            "label_timestamp": told.where(pd.Series([value is not None for value in fraud])),
        }
    )


def _twin(table: pd.DataFrame, row: int) -> dict[str, float]:
    """The same features of one payment, by looking at every other one."""
    own = table.loc[row]
    if own["card_id"] is None:
        return {}
    now = own["event_timestamp"]
    card = table[table["card_id"] == own["card_id"]]
    until, before = card[card["event_timestamp"] <= now], card[card["event_timestamp"] < now]
    recent = until[until["event_timestamp"] > now - WINDOW]
    told = card["label_timestamp"].where(card["label_timestamp"] > card["event_timestamp"])
    told = told.fillna(card["event_timestamp"] + pd.Timedelta(microseconds=1)).where(card["label_timestamp"].notna())
    known = card.assign(told=told)[told <= now].sort_values(["told", "event_timestamp", "payment_id"], kind="stable")
    fraud = known["is_fraud"].astype(bool).to_numpy()
    streak = len(fraud) if fraud.all() else int(np.argmin(fraud[::-1]))
    expected = {
        "card_payments": len(until),
        "card_payments_1h": len(recent),
        "card_amount_1h": recent["amount"].sum(),
        "card_devices_1h": recent["device_id"].nunique(),
        "card_mean_before": before["amount"].mean() if len(before) else np.nan,
        "card_labels": len(known),
        "card_frauds_1h": known["is_fraud"][known["told"] > now - WINDOW].astype(bool).sum(),
        "card_labels_1h": (known["told"] > now - WINDOW).sum(),
        "card_frauds_of_3": fraud[-3:].sum(),
        "card_streak": streak,
        "card_device_payments": (until["device_id"] == own["device_id"]).sum(),
    }
    age = (now - before["event_timestamp"].min()).total_seconds() / 86_400 if len(before) else 0.0
    return expected | {"card_age_days": age}


@settings(max_examples=40, deadline=None)
@given(attempts)
def test_every_feature_is_what_looking_at_each_payment_tells(rows: list[tuple]) -> None:
    table = _table(rows)
    features = payment_features(table, windows=["1h"], label_windows=["1h"])
    for row in table.index:
        expected = _twin(table, row)
        if not expected:
            assert features.loc[row].filter(like="card_").isna().all()
        for name, value in expected.items():
            assert features.loc[row, name] == pytest.approx(value, rel=1e-5, abs=1e-5, nan_ok=True), (name, row)


def test_labels_that_came_later_change_no_feature() -> None:
    table = shop.payments()
    moment = pd.Timestamp("2024-02-10")
    asked = table["event_timestamp"].between(moment, moment + pd.Timedelta(days=7)).to_numpy()
    blank = table["label_timestamp"] > moment + pd.Timedelta(days=7)
    blanked = table.assign(
        is_fraud=table["is_fraud"].astype(object).where(~blank, None),
        label_timestamp=table["label_timestamp"].where(~blank),
    )
    pd.testing.assert_frame_equal(payment_features(table, asked), payment_features(blanked, asked))
    # Without any label of the week itself known in it, blanking that week changes nothing either.
    late = table.assign(label_timestamp=table["event_timestamp"] + pd.Timedelta(days=7))
    week = late["event_timestamp"] >= moment
    without = late.assign(
        is_fraud=late["is_fraud"].astype(object).where(~week, None),
        label_timestamp=late["label_timestamp"].where(~week),
    )
    asked &= (late["event_timestamp"] < moment + pd.Timedelta(days=7)).to_numpy()
    pd.testing.assert_frame_equal(payment_features(late, asked), payment_features(without, asked))


def test_later_payments_and_the_order_of_rows_change_no_feature() -> None:
    table = shop.payments()
    asked = (table["event_timestamp"] < pd.Timestamp("2024-02-01")).to_numpy()
    whole = payment_features(table, asked)
    pd.testing.assert_frame_equal(whole, payment_features(table[asked]))
    turned = table.iloc[::-1]
    pd.testing.assert_frame_equal(whole, payment_features(turned, asked[::-1]).iloc[::-1])


def test_what_cannot_be_used_is_told() -> None:
    table = shop.payments(rows=20)
    with pytest.raises(FeatureError, match="lack amount"):
        payment_features(table.drop(columns="amount"))
    with pytest.raises(FeatureError, match="none of card_id"):
        payment_features(table.drop(columns=["card_id", "terminal_id"]))
    with pytest.raises(SettingsError, match="'1 week' is not"):
        lengths(["1 week"])
