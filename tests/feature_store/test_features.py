"""Features against a plain pandas twin, written from their descriptions."""

from pathlib import Path

import ibis
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from ibis.config import Config

from ecomine import feature_store
from ecomine.errors import FeatureError
from ecomine.feature_store.catalogue import FEATURE_TABLES, feature_params
from ecomine.feature_store.computation import expression, scope_of
from ecomine.params import FeatureParams
from tests.feature_store.conftest import AS_OF, make_features

DAY = pd.Timedelta(days=1)
TABLES = ("user_snapshot", "item_snapshot", "user_item")


def read(workspace: Path, name: str) -> pd.DataFrame:
    return pd.read_parquet(workspace / f"data/features/{name}.parquet")


def days(span: pd.Timedelta) -> float:
    return span / DAY


def user_twin(lines: pd.DataFrame, moment: pd.Timestamp) -> dict[str, float]:
    """A user's features from their lines up to `moment`."""
    lines = lines.sort_values(["event_timestamp", "order_id"])
    orders = lines.groupby("order_id").event_timestamp.min().sort_values()
    twin: dict[str, float] = {}
    for w in (7, 30, 90):
        recent = lines[lines.event_timestamp > moment - w * DAY]
        twin[f"orders_{w}d"] = (orders > moment - w * DAY).sum()
        twin[f"units_{w}d"] = recent.quantity.sum()
        twin[f"spend_{w}d"] = (recent.quantity * recent.unit_price).sum()
        twin[f"items_{w}d"] = recent.item_id.nunique()
    spend = (lines.quantity * lines.unit_price).sum()
    return twin | {
        "orders_total": len(orders),
        "spend_total": spend,
        "days_since_last_order": days(moment - orders.iloc[-1]),
        "tenure_days": days(moment - orders.iloc[0]),
        "mean_order_gap_days": orders.diff().mean() / DAY if len(orders) > 1 else np.nan,
        "mean_basket_lines": len(lines) / len(orders),
        "mean_basket_value": spend / len(orders),
        "discount_share": lines.discount.sum() / (lines.list_price * lines.quantity).sum(),
        "repeat_share": lines.item_id.duplicated().mean(),
        "weekend_share": (orders.dt.dayofweek >= 5).mean(),
        "evening_share": (orders.dt.hour >= 18).mean(),
    }


def item_twin(lines: pd.DataFrame, promotions: pd.DataFrame, moment: pd.Timestamp) -> dict[str, float]:
    """An item's features from its lines up to `moment`."""
    twin: dict[str, float] = {}
    for w in (7, 30, 90):
        recent = lines[lines.event_timestamp > moment - w * DAY]
        twin[f"buyers_{w}d"] = recent.user_id.nunique()
        twin[f"orders_{w}d"] = recent.order_id.nunique()
        twin[f"units_{w}d"] = recent.quantity.sum()
        twin[f"revenue_{w}d"] = (recent.quantity * recent.unit_price).sum()
    longest = lines[lines.event_timestamp > moment - 90 * DAY]
    return twin | {
        "mean_price_90d": twin["revenue_90d"] / twin["units_90d"],
        "discount_share_90d": longest.discount.sum() / (longest.list_price * longest.quantity).sum(),
        "repeat_buyer_share": (longest.groupby("user_id").order_id.nunique() >= 2).mean(),
        "days_since_first_sale": days(moment - lines.event_timestamp.min()),
        "days_since_last_sale": days(moment - lines.event_timestamp.max()),
        "trend": (twin["units_7d"] / 7) / (twin["units_90d"] / 90),
        "on_promotion": float(((promotions.start_date <= moment) & (promotions.end_date > moment)).any()),
    }


def pair_twin(lines: pd.DataFrame) -> dict[str, float]:
    """A user and item's features from the lines up to and with a purchase."""
    moments = lines.event_timestamp.sort_values()
    last = lines[lines.event_timestamp == moments.iloc[-1]]
    return {
        "orders_total": len(lines),
        "units_total": lines.quantity.sum(),
        "spend_total": (lines.quantity * lines.unit_price).sum(),
        "last_order_day": days(moments.iloc[-1] - pd.Timestamp(0)),
        "mean_gap_days": days(moments.iloc[-1] - moments.iloc[0]) / (len(lines) - 1) if len(lines) > 1 else np.nan,
        "last_quantity": last.quantity.sum(),
    }


def assert_row(row: pd.Series, twin: dict[str, float]) -> None:
    names = {name for name in row.index if not name.startswith("state_")}
    assert set(twin) == names - {"user_id", "item_id", "event_timestamp", "created_timestamp"}
    for name, value in twin.items():
        assert row[name] == pytest.approx(value, rel=1e-9, abs=1e-6, nan_ok=True), name


def test_users_equal_the_twin(featured: Path, shop: dict[str, pd.DataFrame]) -> None:
    table, lines = read(featured, "user_snapshot"), shop["order_lines"]
    for _, row in table.iloc[:: len(table) // 40].iterrows():
        known = lines[(lines.user_id == row.user_id) & (lines.event_timestamp <= row.event_timestamp)]
        assert_row(row, user_twin(known, row.event_timestamp))


def test_every_user_known_so_far_has_every_snapshot(featured: Path, shop: dict[str, pd.DataFrame]) -> None:
    table, lines = read(featured, "user_snapshot"), shop["order_lines"]
    snapshots = pd.date_range(end=AS_OF, periods=60, freq="7D")
    first = lines[lines.event_timestamp <= AS_OF].groupby("user_id").event_timestamp.min()
    expected = {(user, moment) for user, start in first.items() for moment in snapshots if moment >= start}
    assert set(zip(table.user_id, table.event_timestamp, strict=True)) == expected


def test_items_equal_the_twin(featured: Path, shop: dict[str, pd.DataFrame]) -> None:
    table, lines, promotions = read(featured, "item_snapshot"), shop["order_lines"], shop["promotions"]
    assert 0 < table.on_promotion.mean() < 1
    for _, row in table.iloc[:: len(table) // 40].iterrows():
        known = lines[(lines.item_id == row.item_id) & (lines.event_timestamp <= row.event_timestamp)]
        assert_row(row, item_twin(known, promotions[promotions.item_id == row.item_id], row.event_timestamp))


def test_items_are_those_sold_in_the_longest_window(featured: Path, shop: dict[str, pd.DataFrame]) -> None:
    table, lines = read(featured, "item_snapshot"), shop["order_lines"]
    for moment, rows in table.groupby("event_timestamp"):
        sold = lines[(lines.event_timestamp <= moment) & (lines.event_timestamp > moment - 90 * DAY)]
        assert set(rows.item_id) == set(sold.item_id)


def test_pairs_equal_the_twin(featured: Path, shop: dict[str, pd.DataFrame]) -> None:
    table, lines = read(featured, "user_item"), shop["order_lines"]
    known = lines[lines.event_timestamp <= AS_OF]
    assert len(table) == len(known.drop_duplicates(["user_id", "item_id", "event_timestamp"]))
    for _, row in table.iloc[:: len(table) // 60].iterrows():
        pair = known[(known.user_id == row.user_id) & (known.item_id == row.item_id)]
        assert_row(row, pair_twin(pair[pair.event_timestamp <= row.event_timestamp]))


def test_a_line_on_the_edge_of_a_window_counts_once(tmp_path: Path) -> None:
    moments = [pd.Timestamp(AS_OF) - 7 * DAY, pd.Timestamp(AS_OF) - 7 * DAY + pd.Timedelta(microseconds=1), AS_OF]
    moments.append(pd.Timestamp(AS_OF) + pd.Timedelta(microseconds=1))
    lines = pd.DataFrame(
        {
            "order_id": list("abcd"),
            "user_id": "u",
            "item_id": "i",
            "event_timestamp": moments,
            "quantity": 1.0,
            "unit_price": 2.0,
        }
    )
    workspace = make_features(tmp_path, {"order_lines": lines})
    newest = read(workspace, "user_snapshot").iloc[-1]
    assert (newest.orders_7d, newest.orders_30d, newest.orders_total) == (2, 3, 3)
    item = read(workspace, "item_snapshot").iloc[-1]
    assert (item.units_7d, item.units_30d, item.repeat_buyer_share) == (2, 3, 1)
    assert np.isnan(item.on_promotion)


def test_what_happens_later_changes_nothing_before(
    tmp_path: Path, featured: Path, shop: dict[str, pd.DataFrame]
) -> None:
    cut = pd.Timestamp(AS_OF) - 28 * DAY
    lines = shop["order_lines"]
    later = lines.event_timestamp > cut
    changed = lines.assign(
        quantity=lines.quantity.where(~later, 9.0),
        item_id=lines.item_id.where(~later, "i0001"),
        discount=lines.discount.where(~later, 0),
    ).drop_duplicates(["order_id", "item_id"])
    other = make_features(tmp_path, shop | {"order_lines": changed})
    for name in TABLES:
        before, after = read(featured, name), read(other, name)
        pd.testing.assert_frame_equal(
            before[before.event_timestamp <= cut].reset_index(drop=True),
            after[after.event_timestamp <= cut].reset_index(drop=True),
        )


def test_the_same_data_gives_the_same_bytes(tmp_path: Path, featured: Path, shop: dict[str, pd.DataFrame]) -> None:
    other = make_features(tmp_path, shop)
    for name in [*(f"features/{table}.parquet" for table in TABLES), "online/online.db"]:
        assert (featured / "data" / name).read_bytes() == (other / "data" / name).read_bytes(), name


def test_tables_hold_what_is_declared(featured: Path) -> None:
    for name in TABLES:
        table = FEATURE_TABLES[name]
        schema = pq.read_schema(featured / f"data/features/{name}.parquet")
        columns = table.columns(feature_params(featured))
        features = [column.name for column in columns]
        assert schema.names == [*table.keys, "event_timestamp", *features, "created_timestamp", *table.state]
        assert all(str(schema.field(column.name).type) == "double" for column in columns)


def test_descriptions_name_every_feature_of_the_service(featured: Path) -> None:
    names = [name for name, *_ in feature_store.describe(featured)]
    served = feature_store.service_features(featured, "recommendation")
    assert [name for name in names if name.split("__")[0] in TABLES] == served
    assert len(names) == len(set(names)) > 200
    assert all(dtype and unit and text and "{" not in text for _, dtype, unit, text in feature_store.describe(featured))


def test_windows_follow_the_settings(tmp_path: Path, shop: dict[str, pd.DataFrame]) -> None:
    workspace = make_features(tmp_path, shop, windows=[14, 3], snapshot_days=10)
    table = read(workspace, "user_snapshot")
    assert [name for name in table.columns if name.startswith("orders_")] == ["orders_3d", "orders_14d", "orders_total"]
    assert table.event_timestamp.drop_duplicates().sort_values().diff().dropna().eq(10 * DAY).all()
    assert "item_snapshot__mean_price_14d" in feature_store.service_features(workspace, "recommendation")


class SparkOptions(Config):
    treat_nan_as_null: bool = False


def test_expressions_translate_for_spark(monkeypatch: pytest.MonkeyPatch) -> None:
    # Set by Ibis itself where PySpark is installed.
    monkeypatch.setattr(ibis.options, "pyspark", SparkOptions())
    columns = {"order_id": "string", "user_id": "string", "item_id": "string", "event_timestamp": "timestamp"}
    columns |= dict.fromkeys(("quantity", "unit_price", "list_price", "discount"), "float64")
    source = ibis.table(columns, name="order_lines")
    promotions = ibis.table(
        {"item_id": "string", "start_date": "timestamp", "end_date": "timestamp"}, name="promotions"
    )
    params = FeatureParams()
    scope = scope_of({"order_lines": source, "promotions": promotions}, AS_OF, params)
    for name in TABLES:
        assert "SELECT" in ibis.to_sql(expression(FEATURE_TABLES[name], scope), dialect="pyspark")


def test_without_order_lines_there_is_a_plain_error(tmp_path: Path) -> None:
    with pytest.raises(FeatureError, match="order_lines"):
        feature_store.compute(None, {}, AS_OF, FeatureParams(), tmp_path)  # type: ignore[arg-type]
