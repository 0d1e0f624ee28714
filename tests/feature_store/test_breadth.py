"""The wider feature tables against plain pandas, written from their descriptions."""

from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ecomine import feature_store
from ecomine.errors import FeatureError, SettingsError
from ecomine.feature_store.catalogue import FEATURE_TABLES, chosen, page
from ecomine.params import FeatureParams
from tests.conftest import PROJECT
from tests.feature_store.wide_shop import computed, wide_shop

AS_OF = datetime(2024, 5, 20, 7, 30)
DAY = pd.Timedelta(days=1)
LONGEST = 30


@pytest.fixture(scope="module")
def wide() -> dict[str, pd.DataFrame]:
    return wide_shop()


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory, wide: dict[str, pd.DataFrame]) -> Path:
    out, said = computed(tmp_path_factory.mktemp("wide"), wide, AS_OF, windows=[1, 7, LONGEST])
    assert not any("not made" in line for line in said)
    return out


def some(tables: Path, name: str, count: int = 25) -> list[pd.Series]:
    frame = pd.read_parquet(tables / f"{name}.parquet")
    return [row for _, row in frame.iloc[:: max(len(frame) // count, 1)].iterrows()]


def recent(rows: pd.DataFrame, moment: pd.Timestamp, days: int) -> pd.DataFrame:
    return rows[(rows.event_timestamp <= moment) & (rows.event_timestamp > moment - days * DAY)]


def assert_features(row: pd.Series, twin: dict[str, float]) -> None:
    for name, value in twin.items():
        assert row[name] == pytest.approx(value, rel=1e-9, abs=1e-6, nan_ok=True), name


def counts(rows: pd.DataFrame, moment: pd.Timestamp) -> dict[str, float]:
    """What user_item_snapshot, user_category, category_snapshot and item_location have in common."""
    twin: dict[str, float] = {}
    longest = recent(rows, moment, LONGEST)
    for w in (1, 7, LONGEST):
        window = recent(rows, moment, w)
        twin[f"lines_{w}d"] = len(window)
        twin[f"units_{w}d"] = window.quantity.sum()
        twin[f"spend_{w}d"] = (window.quantity * window.unit_price).sum()
        if len(window):
            twin[f"units_trend_{w}d"] = window.quantity.sum() / w / (longest.quantity.sum() / LONGEST)
    times = longest.event_timestamp
    twin["days_since_last"] = (moment - times.max()) / DAY
    twin["mean_gap_days"] = (times.max() - times.min()) / DAY / (len(times) - 1) if len(times) > 1 else np.nan
    twin["mean_price"] = (longest.quantity * longest.unit_price).sum() / longest.quantity.sum()
    twin["discount_share"] = longest.discount.sum() / (longest.list_price * longest.quantity).sum()
    return twin


@pytest.mark.parametrize(
    ("name", "keys", "different"),
    [
        ("user_item_snapshot", ["user_id", "item_id"], {}),
        ("user_category", ["user_id", "category"], {"items": "item_id"}),
        ("category_snapshot", ["category"], {"buyers": "user_id", "items": "item_id"}),
        ("item_location", ["item_id", "location_id"], {"buyers": "user_id"}),
    ],
)
def test_counts_equal_the_twin(
    tables: Path, wide: dict[str, pd.DataFrame], name: str, keys: list[str], different: dict[str, str]
) -> None:
    lines = wide["order_lines"].merge(wide["items"][["item_id", "category"]], on="item_id")
    for row in some(tables, name):
        own = lines[(lines[keys] == row[keys]).all(axis=1)]
        twin = counts(own, row.event_timestamp)
        for feature, column in different.items():
            for w in (1, 7, LONGEST):
                twin[f"{feature}_{w}d"] = recent(own, row.event_timestamp, w)[column].nunique()
        assert_features(row, twin)


def test_entities_are_those_of_the_longest_window(tables: Path, wide: dict[str, pd.DataFrame]) -> None:
    frame, lines = pd.read_parquet(tables / "item_location.parquet"), wide["order_lines"]
    for moment, rows in list(frame.groupby("event_timestamp"))[-3:]:
        sold = recent(lines, moment, LONGEST)[["item_id", "location_id"]].drop_duplicates()
        assert set(map(tuple, rows[["item_id", "location_id"]].to_numpy())) == set(map(tuple, sold.to_numpy()))


def test_habits_of_users_equal_the_twin(tables: Path, wide: dict[str, pd.DataFrame]) -> None:
    lines = wide["order_lines"].sort_values(["event_timestamp", "order_id", "item_id"])
    lines["repeat"] = lines.duplicated(["user_id", "item_id"])
    for row in some(tables, "user_habits"):
        own = recent(lines[lines.user_id == row.user_id], row.event_timestamp, LONGEST)
        orders = own.groupby("order_id").event_timestamp.min()
        week = recent(own, row.event_timestamp, 7)
        spend = (own.quantity * own.unit_price).sum()
        twin = {
            "morning_share": orders.dt.hour.between(6, 11).mean(),
            "evening_share": (orders.dt.hour >= 18).mean(),
            "tuesday_share": (orders.dt.dayofweek == 1).mean(),
            "sunday_share": (orders.dt.dayofweek == 6).mean(),
            "single_line_share": (own.groupby("order_id").size() == 1).mean(),
            f"basket_lines_{LONGEST}d": len(own) / len(orders),
            f"basket_value_{LONGEST}d": spend / len(orders),
            f"unit_price_{LONGEST}d": spend / own.quantity.sum(),
            f"new_item_share_{LONGEST}d": 1 - own["repeat"].mean(),
            "order_gap_days": (orders.max() - orders.min()) / DAY / (len(orders) - 1) if len(orders) > 1 else np.nan,
            "spend_trend_7d": (week.quantity * week.unit_price).sum() / 7 / (spend / LONGEST) if len(week) else np.nan,
            "coupon_share_7d": 0.0 if len(week) else np.nan,
        }
        assert_features(row, twin)


def test_habits_of_items_equal_the_twin(tables: Path, wide: dict[str, pd.DataFrame]) -> None:
    lines = wide["order_lines"]
    lines = lines.assign(others=lines.groupby("order_id").item_id.transform("size") - 1)
    for row in some(tables, "item_habits"):
        own = recent(lines[lines.item_id == row.item_id], row.event_timestamp, LONGEST)
        week = recent(own, row.event_timestamp, 7)
        price = (own.quantity * own.unit_price).sum() / own.quantity.sum()
        week_price = (week.quantity * week.unit_price).sum() / week.quantity.sum() if len(week) else np.nan
        twin = {
            f"companions_{LONGEST}d": own.others.mean(),
            "alone_share": (own.others == 0).mean(),
            "units_a_line": own.quantity.mean(),
            "friday_share": (own.event_timestamp.dt.dayofweek == 4).mean(),
            "afternoon_share": own.event_timestamp.dt.hour.between(12, 17).mean(),
            "price_trend_7d": week_price / price,
            "unit_price_7d": week_price,
        }
        assert_features(row, twin)


def test_pairs_of_items_equal_the_twin(tables: Path, wide: dict[str, pd.DataFrame]) -> None:
    lines = wide["order_lines"]
    for row in some(tables, "item_pair"):
        known = lines[lines.event_timestamp <= row.event_timestamp]
        one, other = (set(known[known.item_id == item].order_id) for item in (row.item_id, row.other_item_id))
        both = len(one & other)
        twin = {
            "orders_together": both,
            "share_of_item": both / len(one),
            "share_of_other": both / len(other),
            "jaccard": both / len(one | other),
        }
        assert_features(row, twin)


def test_events_of_users_and_items_equal_the_twin(tables: Path, wide: dict[str, pd.DataFrame]) -> None:
    events = wide["events"]
    for name, key, different in (("user_events", "user_id", "sessions"), ("item_events", "item_id", "viewers")):
        for row in some(tables, name):
            own = events[events[key] == row[key]]
            twin: dict[str, float] = {}
            for w in (1, 7, LONGEST):
                window = recent(own, row.event_timestamp, w)
                views, carts = (window.event_type == "view").sum(), (window.event_type == "cart").sum()
                twin |= {f"views_{w}d": views, f"carts_{w}d": carts}
                twin[f"carts_a_view_{w}d"] = carts / views if views else np.nan
                twin[f"{different}_{w}d"] = window["session_id" if key == "user_id" else "user_id"].nunique()
            assert_features(row, twin)


def test_sessions_equal_the_twin(tables: Path, wide: dict[str, pd.DataFrame]) -> None:
    events = wide["events"]
    for row in some(tables, "session", 60):
        so_far = events[(events.session_id == row.session_id) & (events.event_timestamp <= row.event_timestamp)]
        begun = so_far.event_timestamp.min()
        twin = {
            "events": len(so_far),
            "carts": (so_far.event_type == "cart").sum(),
            "items": so_far.item_id.nunique(),
            "duration_seconds": (row.event_timestamp - begun).total_seconds(),
            "hour": begun.hour,
        }
        assert_features(row, twin)


@pytest.mark.parametrize("name", ["card", "device"])
def test_cards_and_devices_equal_the_twin(tables: Path, wide: dict[str, pd.DataFrame], name: str) -> None:
    payments = wide["payments"]
    for row in some(tables, name, 60):
        own = payments[payments[f"{name}_id"] == row[f"{name}_id"]]
        known = own[own.event_timestamp <= row.event_timestamp]
        fraud = (known.is_fraud & (known.label_timestamp <= row.event_timestamp)).sum()
        earlier = known[known.event_timestamp < row.event_timestamp].event_timestamp.max()
        twin: dict[str, float] = {
            "attempts_total": len(known),
            "users_total": known.user_id.nunique(),
            "frauds_total": fraud,
            "fraud_share": fraud / len(known),
            "mean_amount": known.amount.mean(),
            "age_days": (row.event_timestamp - known.event_timestamp.min()) / DAY,
            "days_since_before": (row.event_timestamp - earlier) / DAY if pd.notna(earlier) else np.nan,
        }
        for w in (1, 7, LONGEST):
            twin[f"attempts_{w}d"] = len(recent(known, row.event_timestamp, w))
            twin[f"amount_{w}d"] = recent(known, row.event_timestamp, w).amount.sum()
        assert_features(row, twin)


def test_a_table_without_its_source_is_not_made_and_told(tmp_path: Path, wide: dict[str, pd.DataFrame]) -> None:
    poor = {name: frame for name, frame in wide.items() if name not in ("events", "payments", "items")}
    out, said = computed(tmp_path, poor, AS_OF, windows=[7])
    missing = {line.split(":")[0]: line for line in said if "not made" in line}
    assert missing["card"] == "card: not made, no payments in this source"
    assert set(missing) == {t.name for t in FEATURE_TABLES.values() if not set(t.sources) <= set(poor)}
    assert {path.stem for path in out.iterdir()} == set(FEATURE_TABLES) - set(missing)
    with pytest.raises(FeatureError, match="Features need the table ad_impressions or events or items or order_lines"):
        computed(tmp_path / "none", {}, AS_OF)


def test_settings_choose_the_tables() -> None:
    served = ["user_snapshot", "item_snapshot", "user_item"]
    assert [t.name for t in chosen(FeatureParams(), ["recommendation"])] == served
    assert [t.name for t in chosen(FeatureParams(tables=[*served, "card"]), ["recommendation"])] == [*served, "card"]
    with pytest.raises(SettingsError, match=r"'cart'\. Did you mean 'card'"):
        chosen(FeatureParams(tables=[*served, "cart"]), ["recommendation"])
    with pytest.raises(SettingsError, match="leaves out user_item, which recommendation learns from"):
        chosen(FeatureParams(tables=served[:2]), ["recommendation"])


def test_every_feature_has_unit_and_description() -> None:
    params = FeatureParams()
    for table in feature_store.FEATURE_TABLES.values():
        columns = table.columns(params)
        assert len({column.name for column in columns}) == len(columns) > 3
        assert all(column.unit and column.description and "{" not in column.description for column in columns)


def test_the_page_of_features_is_up_to_date() -> None:
    """Written anew by `ecomine features page > docs/features.md`."""
    assert (PROJECT / "docs/features.md").read_text() == page()
