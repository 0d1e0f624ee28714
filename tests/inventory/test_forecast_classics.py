"""The classical methods: as statsforecast has them, and taking over where they win."""

import numpy as np
import pytest
from statsforecast.models import CrostonSBA

from ecomine.inventory import DemandForecaster, ForecastParams
from ecomine.inventory.forecasting import classics
from ecomine.inventory.forecasting.history import DAILY
from ecomine.inventory.forecasting.intermittent import smoothed
from tests.inventory.test_forecaster import HORIZON, cut, demand


def test_a_classical_method_takes_over_where_it_wins() -> None:
    rows = demand(series=40, weeks=60, seed=6).drop(columns="promotion")
    # A course of four weeks that no other series has.
    odd = rows["item_id"] == 5
    rows.loc[odd, "quantity"] = np.array([2, 90, 5, 40])[rows.loc[odd, "week"] % 4]
    past, _ = cut(rows)
    params = ForecastParams(
        horizon=HORIZON, rows=4000, rounds=20, method="direct", classics=["seasonal_naive", "theta"]
    )
    model = DemandForecaster(params, threads=1).fit(past)
    assert model.classic[5] == 0
    assert (model.classic >= 0).mean() < 0.2
    told = model.predict(4)
    week = (rows["week"].max() - HORIZON + 1 + np.arange(4)) % 4
    assert told[told["item_id"] == 5]["mean"].tolist() == pytest.approx(np.array([2, 90, 5, 40])[week].tolist())


def test_croston_agrees_with_statsforecast() -> None:
    units = np.random.default_rng(3).poisson(0.4, (1, 80)).astype(np.float32)
    theirs = CrostonSBA().forecast(y=units[0].astype(float), h=1)["mean"][0]
    assert smoothed(units).croston_sba[0, -1] == pytest.approx(theirs, rel=0.02)


def test_theta_takes_a_series_that_never_changes() -> None:
    units = np.vstack([np.full(60, 3.0), np.zeros(60)])
    told = classics.expected(classics.THETA, units, DAILY, 4)
    assert told[0].tolist() == pytest.approx([3.0] * 4) and told[1].tolist() == pytest.approx([0.0] * 4)
