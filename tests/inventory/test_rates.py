"""The plain forecaster: rates, factors, intervals, stock-outs, and that it keeps nothing but what it says."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ecomine.errors import FeatureError, NotEnoughDataError
from ecomine.inventory import RateForecaster
from ecomine.inventory.law import QUANTILES


def history(series: int = 60, days: int = 200, seed: int = 2) -> tuple[pd.DataFrame, np.ndarray]:
    """Sales with weekdays, prices and stock that runs out, and what was wanted."""
    random = np.random.default_rng(seed)
    rate, elasticity = random.gamma(1.5, 2, series), random.normal(2.0, 0.3, series)
    date = pd.date_range("2023-06-01", periods=days)
    price = 10 * np.where(random.random((series, days // 10)) < 0.3, 0.8, 1.0).repeat(10, axis=1)
    factor = (price / 10) ** -elasticity[:, None] * np.where(date.weekday >= 5, 1.5, 1.0)
    wanted = random.negative_binomial(rate[:, None] * factor / 0.5, 1 / 1.5)
    stock = random.poisson(1.4 * rate[:, None], (series, days)) + 1
    sold = np.minimum(wanted, stock)
    rows = pd.DataFrame(
        {
            "item_id": np.repeat([f"i{n:03d}" for n in range(series)], days), "location_id": "n",
            "date": np.tile(date, series), "quantity": sold.ravel().astype(float), "price": price.ravel(),
            "category": "x", "stock": (stock - sold).ravel().astype(float),
        }
    )  # fmt: skip
    return rows, wanted


def test_stock_outs_no_longer_bias_demand() -> None:
    rows, wanted = history()
    truth = wanted.mean()
    corrected = RateForecaster().fit(rows).units.mean() / truth
    naive = RateForecaster(correct=False).fit(rows).units.mean() / truth
    assert naive < 0.85 and corrected == pytest.approx(1, abs=0.03)


def test_coming_prices_and_weekdays_move_the_forecast() -> None:
    rows, _ = history()
    model = RateForecaster().fit(rows)
    coming = model.series.merge(pd.DataFrame({"date": pd.date_range("2023-12-18", periods=14)}), how="cross")
    told = {price: model.predict(14, coming.assign(price=price)) for price in (10.0, 8.0)}
    ratio = told[8.0]["mean"].sum() / told[10.0]["mean"].sum()
    assert ratio == pytest.approx(0.8**-2, rel=0.1)
    weekend = told[10.0]["date"].dt.weekday >= 5
    assert told[10.0]["mean"][weekend].mean() / told[10.0]["mean"][~weekend].mean() == pytest.approx(1.5, rel=0.08)
    assert (told[10.0]["date"].unique() == coming["date"].unique()).all()


def test_intervals_of_totals_hold() -> None:
    rows, wanted = history(300, 150)
    free = rows.assign(quantity=wanted.ravel().astype(float)).drop(columns="stock")
    early = free[free["date"] < free["date"].max() - pd.Timedelta(days=9)]
    late = free[free["date"] > early["date"].max()]
    told = RateForecaster().fit(early).totals(10, late)
    actual = late.groupby("item_id")["quantity"].sum().to_numpy()
    assert told["mean"].sum() == pytest.approx(actual.sum(), rel=0.04)
    inside = ((actual >= told["q0.05"]) & (actual <= told["q0.95"])).mean()
    assert 0.87 < inside < 0.96
    assert (np.diff(told[list(QUANTILES)].to_numpy(), axis=1) >= 0).all()


def test_totals_of_named_series_and_lengths() -> None:
    rows, _ = history(4, 60)
    model = RateForecaster().fit(rows)
    asked = pd.DataFrame({"item_id": ["i002", "i001"], "location_id": "n", "periods": [3, 8]})
    told = model.totals(asked)
    daily = model.predict(8).set_index("item_id")["mean"]
    assert told["item_id"].tolist() == ["i001", "i002"]
    assert told["mean"].tolist() == pytest.approx([daily["i001"].sum(), daily["i002"][:3].sum()])


def test_it_is_kept_whole_and_learns_the_same_again(tmp_path: Path) -> None:
    rows, _ = history(5, 80)
    model = RateForecaster().fit(rows)
    model.save(tmp_path)
    pd.testing.assert_frame_equal(RateForecaster.load(tmp_path).predict(9), model.predict(9))
    mixed = RateForecaster().fit(rows.sample(frac=1, random_state=1))
    pd.testing.assert_frame_equal(mixed.totals(5), model.totals(5))


def test_errors_say_what_to_do() -> None:
    rows, _ = history(2, 20)
    with pytest.raises(NotEnoughDataError, match="history"):
        RateForecaster().fit(rows.iloc[:0])
    with pytest.raises(FeatureError, match="two rows"):
        RateForecaster().fit(pd.concat([rows, rows]))
    with pytest.raises(FeatureError, match="quantity"):
        RateForecaster().fit(rows.drop(columns="quantity"))
    one = RateForecaster().fit(rows.iloc[:1])
    assert np.isfinite(one.predict(3)["mean"]).all()
