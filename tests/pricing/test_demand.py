"""Demand whose law is known: elasticities found, confounding undone, stock-outs seen through, forecasts monotone."""

import numpy as np
import pandas as pd
import pytest

from ecomine.errors import FeatureError, NotEnoughDataError, SettingsError
from ecomine.pricing import DemandModel, DemandParams

QUICK = DemandParams(rounds=30, nuisance_rounds=30, folds=3)


def sales(items: int = 24, weeks: int = 104, mean: float = 40.0, seed: int = 0, steady: int = 0) -> pd.DataFrame:
    """Weekly Poisson sales; prices fall when demand is high, so that a naive slope exaggerates. `elasticity` is true.

    The first `steady` items never change their price.
    """
    random = np.random.default_rng(seed)
    item, week = np.repeat(np.arange(items), weeks), np.tile(np.arange(weeks), items)
    category = np.arange(items) % 3
    elasticity = -1.8 - 0.4 * (category - 1) + random.normal(0, 0.15, items)
    season = np.sin(2 * np.pi * week / 52)
    depth = random.choice([0.0, 0.1, 0.2], len(item), p=[0.6, 0.2, 0.2])
    # Deep cuts come in the high season.
    own = -depth - 0.15 * season + random.normal(0, 0.03, len(item))
    own = np.where(item < steady, 0.0, own)
    base = np.exp(random.normal(np.log(mean), 0.6, items))[item]
    units = random.poisson(base * np.exp(elasticity[item] * own + 0.5 * season))
    return pd.DataFrame(
        {
            "item_id": item, "period": week, "price": 10 * np.exp(own), "units": units.astype(float),
            "category": category[item], "elasticity": elasticity[item],
        }
    )  # fmt: skip


def learnt(rows: pd.DataFrame, **settings: object) -> tuple[DemandModel, pd.DataFrame, np.ndarray]:
    params = DemandParams(**{**QUICK.__dict__, **settings})
    model = DemandModel(params, threads=1).fit(rows.drop(columns="elasticity"), forecasts=False)
    return model, model.elasticities(), rows.groupby("item_id")["elasticity"].first().to_numpy()


def test_elasticities_are_found_where_the_naive_slope_is_wrong() -> None:
    _, told, truth = learnt(sales())
    assert np.abs(told["naive"] / truth - 1).mean() > 0.4
    for method in ("regression", "double_ml"):
        assert np.mean(np.abs(told[method] / truth - 1) < 0.15) >= 0.8
    assert np.mean((told["low"] < truth) & (truth < told["high"])) >= 0.75
    assert (told["source"] == "item").any()


def test_an_item_without_changes_of_price_falls_back_to_its_category() -> None:
    _, told, truth = learnt(sales(steady=3))
    assert told["source"].head(3).tolist() == ["category"] * 3
    assert told["elasticity"].head(3).to_numpy() == pytest.approx(truth[:3], abs=0.4)
    wide = (told["high"] - told["low"]).to_numpy()
    assert wide[:3].min() > wide[3:].mean()


def test_stock_outs_hide_demand_and_are_seen_through() -> None:
    rows = sales(mean=25, seed=2)
    random = np.random.default_rng(1)
    stock = random.poisson(rows.groupby("item_id")["units"].transform("mean") * 1.3)
    sold = np.minimum(rows["units"], stock)
    cut = rows.assign(units=sold, stock=stock - sold)
    _, aware, truth = learnt(cut, method="regression")
    _, blind, _ = learnt(cut.drop(columns="stock"), method="regression")
    assert np.abs(aware["elasticity"] - truth).mean() < 0.6 * np.abs(blind["elasticity"] - truth).mean()


def test_forecasts_never_rise_with_the_price_and_beat_the_mean() -> None:
    rows = sales(seed=3).drop(columns="elasticity")
    past, later = rows[rows["period"] < 92], rows[rows["period"] >= 92].reset_index(drop=True)
    model = DemandModel(QUICK, threads=1).fit(past)
    grid = np.stack([model.predict(later, later["price"].to_numpy() * factor) for factor in np.linspace(0.7, 1.4, 9)])
    assert (np.diff(grid, axis=0) <= 1e-6).all()
    mean = later["item_id"].map(past.groupby("item_id")["units"].mean())
    error = np.abs(model.predict(later) - later["units"]).sum()
    assert error < 0.6 * np.abs(mean - later["units"]).sum()


def test_the_same_model_comes_back_from_its_folder(tmp_path) -> None:  # type: ignore[no-untyped-def]
    rows = sales(items=9, weeks=60).drop(columns="elasticity")
    model = DemandModel(QUICK, threads=1).fit(rows)
    model.save(tmp_path / "one")
    again = DemandModel.load(tmp_path / "one")
    pd.testing.assert_frame_equal(again.elasticities(), model.elasticities())
    assert (again.predict(rows) == model.predict(rows)).all()
    DemandModel(QUICK, threads=1).fit(rows.sample(frac=1, random_state=1)).save(tmp_path / "two")
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes(), file.name


def test_cross_elasticities_have_the_planted_sign() -> None:
    rows = sales(seed=5)
    own = np.log(rows["price"] / 10)
    others = own.groupby([rows["category"], rows["period"]]).transform("mean")
    random = np.random.default_rng(2)
    rows["units"] = random.poisson(rows["units"] * np.exp(1.0 * others)).astype(float)
    _, told, _ = learnt(rows)
    assert (told["cross_low"] > 0).mean() > 0.7


def test_large_units_are_learnt_in_logs() -> None:
    rows = sales(items=12, weeks=80, mean=5000)
    model, told, truth = learnt(rows)
    assert model.kind == "log"
    assert told["elasticity"].to_numpy() == pytest.approx(truth, rel=0.15)


def test_what_cannot_be_learnt_from_is_told() -> None:
    rows = sales(items=3, weeks=10)
    with pytest.raises(FeatureError, match="lack price"):
        DemandModel(QUICK).fit(rows.drop(columns="price"))
    with pytest.raises(FeatureError, match="prices above 0"):
        DemandModel(QUICK).fit(rows.assign(price=0.0))
    with pytest.raises(NotEnoughDataError, match="sold out"):
        DemandModel(QUICK).fit(rows.assign(units=0.0, stock=0.0))
    with pytest.raises(SettingsError, match="likelihood"):
        DemandModel(DemandParams(likelihood="normal"))
