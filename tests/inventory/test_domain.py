"""The domain on its own: rows in time, decisions with and without stock, money, and what a check notices."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from ecomine.domain import EVENT_TIMESTAMP, LABEL, Inputs
from ecomine.errors import FeatureError, NotEnoughDataError
from ecomine.inventory import DOMAIN, InventoryParams, Replenisher
from ecomine.inventory.alerts import DEAD, STOCK_OUT
from ecomine.inventory.features import Calendar
from ecomine.inventory.forecasting.design import Rows
from ecomine.inventory.history import period_days
from ecomine.inventory.law import QUANTILES
from ecomine.inventory.leaning import Leaning
from ecomine.inventory.model import in_periods
from ecomine.inventory.policy import DECISION_COLUMNS, restock
from ecomine.inventory.sanity import dearer_sells_more, twins_differ
from tests.inventory.shop import AS_OF, stocked_shop

QUICK = dataclasses.replace(InventoryParams().forecast, rows=8_000, rounds=40, max_depth=4, classics=[])
PARAMS = dataclasses.replace(InventoryParams(), test_days=56, forecast=QUICK, lead_sd=0.5)

Known = tuple[Inputs, Replenisher, pd.DataFrame]


def inputs(tables: dict[str, pd.DataFrame], params: InventoryParams = PARAMS) -> Inputs:
    connection = duckdb.connect()
    relations = {name: connection.from_df(frame) for name, frame in tables.items()}
    return Inputs(connection, relations, AS_OF, params, 1, 1)


def learn(tables: dict[str, pd.DataFrame], params: InventoryParams = PARAMS) -> Known:
    given = inputs(tables, params)
    model = DOMAIN.fit(DOMAIN.label(given).train, given)
    return given, model, DOMAIN.decide(model, DOMAIN.request(model, None), params)


@pytest.fixture(scope="module")
def learnt() -> Known:
    return learn(stocked_shop())


def test_rows_carry_the_moment_at_which_their_stretch_began() -> None:
    given = inputs(stocked_shop())
    rows = DOMAIN.label(given)
    both = pd.concat([rows.train, rows.test])
    ahead = (both["date"] + pd.Timedelta(days=1) - both[EVENT_TIMESTAMP]).dt.days
    assert ahead.min() == 1 and ahead.max() == QUICK.horizon
    assert rows.test[EVENT_TIMESTAMP].min() == Calendar.of(given).begin_of_test
    sold = given.tables["order_lines"].df()
    assert both[LABEL].sum() == sold["quantity"].sum()
    # What was wanted is more than what was sold, where a shelf was empty, and nowhere less.
    empty = rows.test["stock"].to_numpy() <= 0
    more = rows.truth["wanted"].to_numpy() - rows.truth[LABEL].to_numpy()
    assert (more >= 0).all() and more[empty].sum() > 0 and not more[~empty].any()


def test_orders_follow_stock_and_demand(learnt: Known) -> None:
    _, model, decisions = learnt
    assert tuple(decisions.columns) == DECISION_COLUMNS and decisions["stock_known"].all()
    assert (decisions.loc[decisions["item_id"] == "p00", ["alert", "stock_to_clear"]] == [DEAD, True]).all(axis=None)
    few = decisions[decisions["item_id"] == "p01"]
    assert few["about_to_run_out"].all() and set(few["alert"]) == {STOCK_OUT} and (few["order_now"] > 0).all()
    there = decisions["on_hand"] + decisions["on_order"]
    due = there <= decisions["reorder_point"]
    assert (due == (decisions["order_now"] > 0)).all()
    assert (there + decisions["order_now"] == decisions["order_up_to"])[due].all()
    rates = decisions.set_index(["item_id", "location_id"])["mean"] / decisions["days"].to_numpy()
    assert rates["p15", "east"] == pytest.approx(9.0, rel=0.25)
    assert model.series["lead_days"].eq(5.0).all()


def test_without_stock_levels_are_told_and_nothing_is_ordered_blindly() -> None:
    rows = DOMAIN.label(inputs(stocked_shop(counted=False)))
    assert any("no stock" in note for note in rows.notes)
    given, model, decisions = learn(stocked_shop(counted=False))
    assert not decisions["stock_known"].any() and not decisions["order_now"].any()
    assert set(decisions["stock_out_date"]) == {"unknown"}
    assert (decisions["order_quantity"] > 0).mean() > 0.9 and (decisions["order_up_to"] > 0).mean() > 0.9
    assert decisions["reason"].str.contains("stock is not recorded: order").mean() > 0.9
    assert not any("about_to" in check.name for check in DOMAIN.check(model, decisions, given) if not check.passed)
    blind = {c.name: c.passed for c in DOMAIN.check(model, decisions.assign(about_to_run_out=True), given)}
    assert not blind["orders_blind"]


def test_what_the_caller_knows_of_stock_is_believed(learnt: Known) -> None:
    _, model, decisions = learnt
    frame = DOMAIN.request(model, pd.DataFrame({"item_id": ["p10"]}))
    told = frame[["item_id", "location_id"]].assign(on_hand=[0.0, np.nan], on_order=[0.0, np.nan])
    found = restock(model, model.situation(frame, PARAMS, told), PARAMS)
    assert found["order_now"].iloc[0] == found["order_up_to"].iloc[0] and found["about_to_run_out"].iloc[0]
    same = decisions[(decisions["item_id"] == "p10") & (decisions["location_id"] == "west")].reset_index(drop=True)
    pd.testing.assert_frame_equal(found.iloc[1:].reset_index(drop=True), same, check_exact=True)
    longer = restock(model, model.situation(frame, PARAMS, told.assign(lead_days=10.0)), PARAMS)
    assert longer["mean"].to_numpy() == pytest.approx(2 * found["mean"].to_numpy())


def test_the_policy_is_worth_more_than_plain_rules(learnt: Known) -> None:
    given, model, _ = learnt
    rows = DOMAIN.label(given)
    result = DOMAIN.evaluate(model, rows.test, rows.truth, PARAMS)
    told = result.metrics
    assert told["model"]["cost"] < 0.95 * min(told["moving_average"]["cost"], told["seasonal_naive"]["cost"])
    assert told["model"]["fill_rate"] > 0.95 and told["model"]["coverage"] > 0.8
    assert told["model"]["pinball"] < told["moving_average"]["pinball"]
    # Money is the margin of what was wanted less costs.
    counted = rows.truth[rows.truth["date"] > rows.truth["date"].max() - pd.Timedelta(days=42)]
    margin = ((counted["price"].groupby(counted["item_id"]).transform("median") - counted["unit_cost"])
              * counted["wanted"]).sum()  # fmt: skip
    assert result.values["model"].sum() == pytest.approx(margin / 42 - told["model"]["cost"], rel=0.05)
    check_drawn(result.plots, rows.truth)
    with pytest.raises(NotEnoughDataError, match="test days hold 0 rows"):
        DOMAIN.evaluate(model, rows.test.iloc[:0], rows.truth.iloc[:0], PARAMS)


def check_drawn(plots: Mapping[str, pd.DataFrame], truth: pd.DataFrame) -> None:
    """Fans hold what came and their quantiles never cross; more service costs stock and meets more demand."""
    fan, frontier = plots["fan"], plots["frontier"]
    assert (np.diff(fan[list(QUANTILES)].to_numpy(float), axis=1) >= 0).all()
    total = fan[fan["place"] == 0].set_index("date")
    wanted = truth.groupby("date")["wanted"].sum()
    assert len(total) == PARAMS.test_days and (total["units"] <= wanted.reindex(total.index)).all()
    assert total["mean"].sum() == pytest.approx(total["units"].sum(), rel=0.15)
    held = (fan["units"] >= fan["q0.05"]) & (fan["units"] <= fan["q0.95"])
    assert held.mean() > 0.8 and held[fan["place"] == 0].mean() > 0.7
    assert (fan["place"].value_counts() == PARAMS.test_days).all()
    for method in ("model", "moving_average"):
        rule = frontier[frontier["method"] == method].sort_values("setting")
        for name, sign in (("fill_rate", 1), ("holding_cost", 1), ("lost_cost", -1)):
            assert (sign * np.diff(rule[name]) >= 0).all(), (method, name)
    # At the target that the rule aims at about so much is met, though its levels stand still for a fortnight.
    model = frontier[frontier["method"] == "model"].set_index("setting")["fill_rate"]
    assert model[0.95] == pytest.approx(0.95, abs=0.08)


def test_forecasts_are_explained_in_words(learnt: Known) -> None:
    given, model, _ = learnt
    told = DOMAIN.explain(model, DOMAIN.label(given).test, PARAMS)
    assert told.drivers["strength"].is_monotonic_decreasing and (told.drivers["outcome"] == "demand").all()
    assert not told.drivers["driver"].str.contains("_").any()
    assert told.cases["because"].str.contains("raises it|lowers it").all() and len(told.cases) <= 10
    forecaster = model.forecaster
    first = forecaster.panel.periods - QUICK.horizon
    parts, seen = forecaster.contributions(np.arange(3), np.arange(first, first + 5), first - 1)
    design = forecaster._design(forecaster.panel, forecaster.units, forecaster.groups)
    rows = Rows(np.repeat(np.arange(3), 5), np.tile(np.arange(first, first + 5), 3), np.full(15, first - 1))
    log = np.log(forecaster.direct.predict(design.seen(rows))) - np.log(design.seen(rows).base)
    # The parts and a constant are the whole prediction.
    assert np.ptp(log - parts.sum(axis=1).to_numpy()) < 1e-4 and seen.shape == parts.shape


def test_checks_notice_spoiled_decisions(learnt: Known) -> None:
    given, model, decisions = learnt
    assert all(check.passed for check in DOMAIN.check(model, decisions, given))

    def failed(changed: pd.DataFrame) -> set[str]:
        return {check.name for check in DOMAIN.check(model, changed, given) if not check.passed}

    assert failed(decisions.iloc[1:]) == {"series_without_decision"}
    assert failed(pd.concat([decisions, decisions.head(1)])) == {"series_twice"}
    assert failed(decisions.assign(**{"q0.05": decisions["q0.95"] + 1})) == {"quantiles_cross"}
    assert failed(decisions.assign(order_now=-1.0)) == failed(decisions.assign(order_now=0.5)) == {"orders"}
    assert failed(decisions.assign(order_up_to=-1.0)) == {"levels"}
    assert failed(decisions.assign(reason="")) == {"no_reason"}


def test_checks_notice_a_spoiled_model(learnt: Known) -> None:
    given, model, decisions = learnt
    spoiled = Replenisher(PARAMS)
    spoiled.__dict__ |= model.__dict__

    class Rising(type(model.forecaster)):  # type: ignore[misc]
        def predict(self, horizon: int, known: pd.DataFrame | None = None) -> pd.DataFrame:
            told = super().predict(horizon, known)
            if known is None or "price" not in known:
                return told.assign(mean=told["mean"] + told["item_id"].str.len())
            return told.assign(mean=known["price"].sum())

    rising = Rising(model.forecaster.params)
    rising.__dict__ |= model.forecaster.__dict__
    assert dearer_sells_more(model.forecaster) == twins_differ(model.forecaster) == 0
    assert dearer_sells_more(rising) > 0 and twins_differ(rising) > 0

    class Halved(type(model.forecaster)):  # type: ignore[misc]
        def totals(self, *asked: object, **more: object) -> pd.DataFrame:
            told = super().totals(*asked, **more)
            return told.assign(mean=told["mean"] / 2)

    spoiled.forecaster = Halved(model.forecaster.params)
    spoiled.forecaster.__dict__ |= model.forecaster.__dict__
    held = {check.name: check.passed for check in DOMAIN.check(spoiled, decisions, given)}
    assert not held["coverage"]


def test_a_shop_that_books_once_a_week_is_reckoned_in_weeks() -> None:
    tables = stocked_shop(days=546, counted=False)
    lines = tables["order_lines"]
    week = pd.Timestamp(AS_OF) - (((pd.Timestamp(AS_OF) - lines["event_timestamp"]).dt.days // 7) * 7).apply(
        lambda days: pd.Timedelta(days=days, hours=1)
    )
    keys = ["item_id", "location_id", "event_timestamp"]
    lines = lines.assign(event_timestamp=week).groupby(keys, as_index=False).agg(
        quantity=("quantity", "sum"), unit_price=("unit_price", "mean"), list_price=("list_price", "mean")
    )  # fmt: skip
    tables["order_lines"] = lines
    quick = dataclasses.replace(QUICK, horizon=4)
    params = dataclasses.replace(PARAMS, forecast=quick)
    given, model, decisions = learn(tables, params)
    assert period_days(given.tables) == 7 and model.step == 7
    rates = decisions.set_index(["item_id", "location_id"])
    assert (decisions["days"] == 7).all()
    assert rates.loc[("p15", "east"), "mean"] == pytest.approx(63, rel=0.25)
    rows = DOMAIN.label(given)
    result = DOMAIN.evaluate(model, rows.test, rows.truth, params)
    assert np.isfinite(result.values.select_dtypes("number").to_numpy()).all()
    assert in_periods(params, 7).holding_share == pytest.approx(7 * params.holding_share)


def test_leaning_is_learnt_where_features_tell_something_and_silent_else() -> None:
    random = np.random.default_rng(2)
    series, stretches = 300, 2
    keys = pd.DataFrame({"item_id": np.repeat([f"i{n:03d}" for n in range(series)], stretches), "location_id": "all"})
    moment = pd.to_datetime(np.tile(["2024-01-01", "2024-02-01"], series))
    heat = random.exponential(3.0, series * stretches)
    date = moment + pd.Timedelta(days=3)
    rows = keys.assign(date=date, event_timestamp=moment, v__heat=heat, v__idle=1.0)
    mean = np.full(len(rows), 40.0)
    validated = keys.assign(date=date, mean=mean, quantity=random.poisson(mean * np.exp(0.3 * np.log1p(heat) - 0.35)))
    told = Leaning.fit(validated, rows)
    assert told.weight[1] == 0 and told.weight[0] / told.spread[0] == pytest.approx(0.3, abs=0.08)
    factor = told.of(rows)
    assert factor[heat > 6].mean() > 1.1 > 0.95 > factor[heat < 0.5].mean()
    assert told.of(rows.iloc[5:6])[0] == factor[5]
    noise = Leaning.fit(validated.assign(quantity=random.poisson(mean)), rows)
    assert not noise.weight.any() and (noise.of(rows) == 1).all()
    assert told.of(rows.assign(v__heat=np.nan).head(1)).tolist() == pytest.approx([1.0], abs=0.2)
    with pytest.raises(FeatureError, match="v__heat"):
        told.of(rows.drop(columns="v__heat"))


def test_saved_and_loaded_it_decides_the_same(learnt: Known, tmp_path: Path) -> None:
    _, model, decisions = learnt
    model.save(tmp_path)
    loaded = DOMAIN.load(tmp_path)
    again = DOMAIN.decide(loaded, DOMAIN.request(loaded, None), PARAMS)
    pd.testing.assert_frame_equal(again, decisions, check_exact=True)


def test_what_sells_too_little_to_be_learnt_is_not_dead_but_what_never_sells_is() -> None:
    tables = stocked_shop()
    lines, stock = tables["order_lines"], tables["stock"]
    slow = (lines["item_id"] == "p05") & (lines["location_id"] == "west")
    unsold = (lines["item_id"] == "p06") & (lines["location_id"] == "west")
    few = lines.index[slow][-5:]
    tables["order_lines"] = lines[~(slow & ~lines.index.isin(few)) & ~unsold]
    lies = stock["item_id"].isin(["p05", "p06"]) & (stock["location_id"] == "west")
    tables["stock"] = stock.assign(on_hand=stock["on_hand"].where(~lies, 50.0))
    _, _, decisions = learn(tables, dataclasses.replace(PARAMS, least_units=40.0))
    there = decisions.set_index(["item_id", "location_id"])
    assert ("p05", "west") not in there.index
    assert there.loc[("p06", "west"), ["alert", "order_now", "mean"]].tolist() == [DEAD, 0.0, 0.0]
