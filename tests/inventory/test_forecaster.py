"""Forecasts of simulated demand whose law is known, through the user's door."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ecomine.errors import FeatureError, NotEnoughDataError, SettingsError
from ecomine.inventory import DemandForecaster, ForecastParams
from ecomine.inventory.forecasting import backtest
from ecomine.inventory.forecasting.distribution import LEVELS, NAMES

HORIZON = 6
QUICK = ForecastParams(horizon=HORIZON, rows=12_000, rounds=60, learning_rate=0.1, max_depth=4, method="direct")
SCATTER = 2.0


def demand(series: int = 150, weeks: int = 90, seed: int = 1, sparse: bool = False) -> pd.DataFrame:
    """Weekly negative binomial demand with promotions that raise it by four fifths; `expected` is true."""
    random = np.random.default_rng(seed)
    code, week = np.divmod(np.arange(series * weeks), weeks)
    base = np.exp(random.normal(-1.2 if sparse else 1.5, 0.5, series)) * (1 + np.arange(series) % 2)
    promotion = (random.random(series * weeks) < 0.2).astype(float)
    expected = base[code] * np.where(promotion > 0, 1.8, 1.0)
    return pd.DataFrame(
        {
            "item_id": code,
            "location_id": "here",
            "date": pd.Timestamp("2023-01-02") + pd.to_timedelta(7 * week, unit="D"),
            "category": np.where(code % 2 == 0, "slow", "fast"),
            "promotion": promotion,
            "quantity": random.negative_binomial(expected / (SCATTER - 1), 1 / SCATTER),
            "expected": expected,
            "week": week,
        }
    )


def cut(rows: pd.DataFrame, horizon: int = HORIZON) -> tuple[pd.DataFrame, pd.DataFrame]:
    past = rows["week"] <= rows["week"].max() - horizon
    return rows[past].drop(columns=["week", "expected"]), rows[~past].drop(columns="week")


@pytest.fixture(scope="module")
def fitted() -> tuple[DemandForecaster, pd.DataFrame, pd.DataFrame]:
    past, future = cut(demand())
    return DemandForecaster(QUICK, threads=1).fit(past), past, future


def test_quantiles_are_those_of_the_true_law(fitted: tuple) -> None:
    model, _, future = fitted
    told = model.predict(HORIZON, future.drop(columns=["quantity", "expected"]))
    assert list(told) == ["item_id", "location_id", "date", "mean", *NAMES]
    assert told[["item_id", "location_id", "date"]].equals(
        future[["item_id", "location_id", "date"]].reset_index(drop=True)
    )
    mean = future["expected"].to_numpy()
    assert np.abs(told["mean"] / mean - 1).mean() < 0.2
    assert told["mean"].sum() == pytest.approx(mean.sum(), rel=0.06)
    for level, name in zip(LEVELS, NAMES, strict=True):
        # The chance of at most the quantile, with that of less than it, must enclose the level.
        law = (mean / (SCATTER - 1), 1 / SCATTER)
        at_most, less = stats.nbinom.cdf(told[name], *law).mean(), stats.nbinom.cdf(told[name] - 1, *law).mean()
        assert less - 0.03 < level < at_most + 0.03
    assert (np.diff(told[list(NAMES)].to_numpy(), axis=1) >= 0).all()


def test_totals_know_that_sums_scatter_less(fitted: tuple) -> None:
    model, _, future = fitted
    known = future.drop(columns=["quantity", "expected"])
    told, single = model.totals(HORIZON, known), model.predict(HORIZON, known)
    truth = future.groupby("item_id")["expected"].sum().to_numpy()
    assert told["mean"].to_numpy() == pytest.approx(single.groupby("item_id")["mean"].sum().to_numpy())
    law = (truth / (SCATTER - 1), 1 / SCATTER)
    for level in (0.05, 0.5, 0.95):
        quantile = told[f"q{level:g}"]
        at_most, less = stats.nbinom.cdf(quantile, *law).mean(), stats.nbinom.cdf(quantile - 1, *law).mean()
        assert less - 0.08 < level < at_most + 0.08
    assert (told["q0.95"] < single.groupby("item_id")["q0.95"].sum().to_numpy()).mean() > 0.9
    asked = pd.DataFrame({"item_id": [7, 3], "location_id": "here", "periods": [1, 4]})
    some = model.totals(asked, known)
    assert some["item_id"].tolist() == [3, 7]
    first = single[single["item_id"] == 3]["mean"].head(4).sum()
    assert some["mean"].tolist() == pytest.approx([first, single[single["item_id"] == 7]["mean"].iloc[0]])


def test_intervals_hold_what_they_promise(fitted: tuple) -> None:
    model, _, future = fitted
    told = model.intervals(HORIZON, future.drop(columns=["quantity", "expected"]), 0.9)
    law = (future["expected"].to_numpy() / (SCATTER - 1), 1 / SCATTER)
    held = stats.nbinom.cdf(told["upper"], *law) - stats.nbinom.cdf(told["lower"] - 1, *law)
    assert held.mean() == pytest.approx(0.9, abs=0.03)


def test_a_new_item_is_forecast_from_its_category(fitted: tuple) -> None:
    model, past, future = fitted
    fresh = future[future["item_id"] < 2].drop(columns=["quantity", "expected"])
    fresh = fresh.assign(item_id=fresh["item_id"] + 1000, promotion=0.0)
    told = model.predict(HORIZON, fresh)
    mean = told[told["item_id"] >= 1000].groupby("item_id")["mean"].mean()
    usual = past.groupby("category")["quantity"].mean()
    assert mean.loc[1000] == pytest.approx(usual["slow"], rel=0.4)
    assert mean.loc[1001] == pytest.approx(usual["fast"], rel=0.4)
    assert mean.loc[1001] > 1.4 * mean.loc[1000]


def test_saved_and_loaded_it_says_the_same(fitted: tuple, tmp_path: Path) -> None:
    model, _, future = fitted
    known = future.drop(columns=["quantity", "expected"])
    model.save(tmp_path / "one")
    loaded = DemandForecaster.load(tmp_path / "one")
    pd.testing.assert_frame_equal(loaded.predict(HORIZON, known), model.predict(HORIZON, known))
    pd.testing.assert_frame_equal(loaded.totals(3, known), model.totals(3, known))
    loaded.save(tmp_path / "two")
    for file in sorted((tmp_path / "one").iterdir()):
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes(), file.name


def test_stock_outs_bias_demand_unless_they_are_told() -> None:
    rows = demand(series=60, weeks=60, seed=3).assign(promotion=0.0)
    random = np.random.default_rng(5)
    rows["expected"] = rows.groupby("item_id")["expected"].transform("min")
    rows["quantity"] = random.negative_binomial(rows["expected"] / (SCATTER - 1), 1 / SCATTER)
    shelf = np.where(random.random(len(rows)) < 0.5, np.ceil(0.6 * rows["expected"]), 1000).astype(int)
    sold = np.minimum(rows["quantity"], shelf)
    rows = rows.assign(quantity=sold, stock=shelf - sold).drop(columns="promotion")
    past, future = cut(rows)
    truth = future.groupby("item_id")["expected"].sum().sum()

    def said(given: pd.DataFrame) -> float:
        return DemandForecaster(QUICK, threads=1).fit(given).totals(HORIZON)["mean"].sum() / truth

    assert said(past.drop(columns="stock")) < 0.87
    assert said(past) == pytest.approx(1.0, abs=0.06)


def test_sparse_demand_keeps_its_share_of_nothing() -> None:
    past, future = cut(demand(series=120, seed=4, sparse=True).drop(columns="promotion"))
    model = DemandForecaster(QUICK, threads=1).fit(past[past["quantity"] > 0])
    told = model.predict(HORIZON)
    assert told["mean"].mean() == pytest.approx(future["expected"].mean(), rel=0.15)
    assert (told["q0.5"] == 0).mean() == pytest.approx((future["quantity"] == 0).mean(), abs=0.35)
    for name in ("q0.75", "q0.95"):
        assert (future["quantity"].to_numpy() <= told[name]).mean() >= float(name[1:]) - 0.03
        assert (future["quantity"].to_numpy() < told[name]).mean() <= float(name[1:]) + 0.03


def test_step_by_step_is_offered_and_closed_days_sell_nothing() -> None:
    random = np.random.default_rng(7)
    days = pd.date_range("2024-01-01", periods=70)
    rows = pd.DataFrame([(i, day) for i in range(20) for day in days if day.weekday() < 6], columns=["item_id", "date"])
    rows["quantity"] = random.poisson(40 * (1 + rows["date"].dt.weekday / 5)).astype(float)
    params = ForecastParams(horizon=7, gaps="closed", rows=2000, rounds=40, learning_rate=0.2, method="recursive")
    model = DemandForecaster(params, threads=1).fit(rows)
    assert model.kind == "log" and model.steps == 7
    known = pd.DataFrame([(i, day) for i in range(20) for day in pd.date_range("2024-03-11", periods=6)])
    told = model.predict(7, known.set_axis(["item_id", "date"], axis=1))
    shut = told["date"].dt.weekday == 6
    assert (told.loc[shut, ["mean", *NAMES]] == 0).all().all()
    truth = 40 * (1 + told.loc[~shut, "date"].dt.weekday / 5)
    assert np.abs(told.loc[~shut, "mean"] / truth - 1).mean() < 0.1


def test_what_cannot_be_used_is_said() -> None:
    rows, _ = cut(demand(series=3, weeks=20))
    with pytest.raises(FeatureError, match="lack quantity"):
        DemandForecaster(QUICK).fit(rows.drop(columns="quantity"))
    with pytest.raises(FeatureError, match="sum them first"):
        DemandForecaster(QUICK).fit(pd.concat([rows, rows]))
    with pytest.raises(FeatureError, match="to_datetime"):
        DemandForecaster(QUICK).fit(rows.assign(date=rows["date"].astype(str)))
    with pytest.raises(FeatureError, match="returns"):
        DemandForecaster(QUICK).fit(rows.assign(quantity=-1))
    with pytest.raises(NotEnoughDataError, match="at least 24"):
        DemandForecaster(ForecastParams(horizon=12)).fit(rows)
    with pytest.raises(SettingsError, match="expected one of"):
        DemandForecaster(ForecastParams(method="guess"))
    with pytest.raises(SettingsError, match="expected some of"):
        DemandForecaster(ForecastParams(classics=["arima"]))


def test_a_season_that_is_wild_each_year_is_not_told_by_the_calm_before_it() -> None:
    random = np.random.default_rng(8)
    series, weeks = 120, 52 * 3
    code, week = np.divmod(np.arange(series * weeks), weeks)
    wild = week % 52 >= 52 - HORIZON
    mean = np.exp(random.normal(3.0, 0.4, series))[code] * np.where(wild, np.exp(random.normal(0, 0.6, len(code))), 1.0)
    rows = pd.DataFrame(
        {
            "item_id": code, "date": pd.Timestamp("2021-01-04") + pd.to_timedelta(7 * week, unit="D"),
            "quantity": random.poisson(mean), "week": week,
        }
    )  # fmt: skip
    past, future = (rows[rows["week"] < weeks - HORIZON], rows[rows["week"] >= weeks - HORIZON])
    held = []
    for knows in (True, False):
        with pytest.MonkeyPatch.context() as patch:
            if not knows:
                patch.setattr(backtest, "year_ago", lambda periods, year: None)
            params = dataclasses.replace(QUICK, origins=1)
            told = DemandForecaster(params, threads=1).fit(past.drop(columns="week")).intervals(HORIZON)
        inside = (future["quantity"] >= told["lower"].to_numpy()) & (future["quantity"] <= told["upper"].to_numpy())
        held.append(float(inside.mean()))
    assert held[0] > held[1] + 0.15 and held[0] > 0.65


def test_another_history_is_forecast_without_learning_anew(fitted: tuple) -> None:
    model, past, future = fitted
    inputs = [name for name in past.columns if name != "quantity"]
    same = model.following(past)
    known = future[inputs]
    pd.testing.assert_frame_equal(same.predict(HORIZON, known), model.predict(HORIZON, known))
    later = model.following(pd.concat([past, future[past.columns]], ignore_index=True)).predict(2)
    assert later["date"].min() == future["date"].max() + pd.Timedelta(days=7)
    doubled = model.following(past.assign(quantity=2 * past["quantity"])).predict(HORIZON, known)
    assert doubled["mean"].sum() == pytest.approx(2 * model.predict(HORIZON, known)["mean"].sum(), rel=0.1)
    with pytest.raises(FeatureError, match="lacks the input promotion"):
        model.following(past.drop(columns="promotion"))


def test_no_forecast_rises_with_the_price_and_twins_are_alike() -> None:
    past, future = cut(demand(60, 80, seed=3))
    random = np.random.default_rng(3)
    # Dearer weeks sold more by mere chance; without the constraint trees would believe it.
    past = past.assign(price=10 + (past["quantity"] > past["quantity"].median()) * random.random(len(past)))
    params = dataclasses.replace(QUICK, likelihood="counts", identities=False, classics=[])
    model = DemandForecaster(params, threads=1).fit(past)
    known = future.drop(columns=["quantity", "expected"])
    means = [model.predict(HORIZON, known.assign(price=price))["mean"].to_numpy() for price in (8.0, 10.0, 12.0)]
    assert (means[0] >= means[1] - 1e-9).all() and (means[1] >= means[2] - 1e-9).all()
    twin = past[past["item_id"] == 7].assign(item_id=1007)
    told = model.following(pd.concat([past, twin], ignore_index=True)).predict(HORIZON)
    mean = told.set_index("item_id")["mean"]
    assert mean.loc[7].tolist() == mean.loc[1007].tolist()
