"""The law of units, what stock-outs hide, and reconciliation: against textbook sums."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ecomine.errors import FeatureError
from ecomine.inventory import reconcile
from ecomine.inventory.forecasting import censoring, zeros
from ecomine.inventory.forecasting import distribution as law
from ecomine.inventory.forecasting.history import WEEKLY
from ecomine.inventory.forecasting.panel import panel


def test_quantiles_of_counts_are_those_of_the_negative_binomial_law() -> None:
    middle, dispersion = np.array([0.2, 1.0, 3.0, 12.0, 80.0]), np.array([1.2, 1.5, 2.0, 3.0, 6.0])
    for level in law.LEVELS:
        truth = stats.nbinom.ppf(level, middle / (dispersion - 1), 1 / dispersion)
        told = law.quantile(law.COUNTS, level, middle, dispersion)
        assert np.abs(told - truth).max() <= np.maximum(1, 0.01 * truth.max())
        assert (told == truth).mean() >= 0.8


def test_places_are_uniform_where_the_law_is_right_and_corrected_where_it_is_not() -> None:
    random = np.random.default_rng(1)
    middle = np.exp(random.normal(0.5, 1, 20_000))
    units = random.negative_binomial(middle / 1.5, 1 / 2.5).astype(float)
    right = law.probability(law.COUNTS, units, middle, np.full(20_000, 2.5), None, 1)
    assert stats.kstest(right, "uniform").pvalue > 0.01
    wrong = np.full(20_000, 1.1)
    corrected = law.correct(law.probability(law.COUNTS, units, middle, wrong, None, 1), middle)
    for level in (0.5, 0.9, 0.95):
        told = law.quantile(law.COUNTS, corrected.of(level, middle), middle, wrong)
        low, high = law.below(law.COUNTS, told, middle, np.full(20_000, 2.5))
        # A whole number of units can only bracket the level.
        assert low.mean() < level + 0.01 and high.mean() > level - 0.02


def test_what_was_wanted_behind_a_stock_out() -> None:
    middle, dispersion = 4.0, 2.0
    units = np.arange(400)
    chance = stats.nbinom.pmf(units, middle / (dispersion - 1), 1 / dispersion)
    for sold in (0, 1, 2, 5, 9):
        truth = (units * chance)[sold:].sum() / chance[sold:].sum()
        told = censoring.wanted(law.COUNTS, np.array([float(sold)]), np.array([middle]), dispersion)
        assert told[0] == pytest.approx(truth, rel=1e-6)
    spread = 0.3
    draws = 10 * np.exp(spread * np.random.default_rng(1).normal(size=400_000))
    told = censoring.wanted(law.LOG, np.array([11.0]), np.array([10.0]), spread**2)
    assert np.log(told[0]) == pytest.approx(np.log(draws[draws >= 11]).mean(), abs=0.01)


def test_filled_sales_are_without_the_bias_of_stock_outs() -> None:
    random = np.random.default_rng(2)
    demand = random.poisson(5.0, (40, 100))
    shelf = random.choice([4, 30], (40, 100), p=[0.4, 0.6])
    series, week = np.divmod(np.arange(demand.size), 100)
    rows = pd.DataFrame(
        {
            "item_id": series,
            "date": pd.Timestamp("2024-01-01") + pd.to_timedelta(7 * week, unit="D"),
            "quantity": np.minimum(demand, shelf).ravel(),
            "stock": (shelf - np.minimum(demand, shelf)).ravel(),
        }
    )
    sales = panel(rows, "zero", None)
    assert sales.units.mean() < 4.6
    assert censoring.filled(law.COUNTS, sales, WEEKLY, 7).mean() == pytest.approx(5.0, abs=0.12)


def forecasts() -> pd.DataFrame:
    random = np.random.default_rng(4)
    rows = [(i, s, day, i % 2) for i in range(4) for s in "ab" for day in pd.date_range("2024-01-01", periods=2)]
    frame = pd.DataFrame(rows, columns=["item_id", "location_id", "date", "category"])
    return frame.assign(mean=random.uniform(1, 9, len(frame)), variance=random.uniform(1, 9, len(frame)))


def test_reconciliation_is_mint_with_a_diagonal_covariance() -> None:
    bottom = forecasts()
    level = bottom.groupby(["category", "date"], as_index=False)["mean"].sum()
    above = level.assign(mean=level["mean"] * 1.3, variance=4.0)
    total = pd.DataFrame({"date": pd.date_range("2024-01-01", periods=2), "mean": 50.0, "variance": 2.0})
    told = reconcile(bottom, {("category",): above, (): total})
    first = bottom[bottom["date"] == "2024-01-01"]
    matrix = np.vstack([first["category"] == 0, first["category"] == 1, np.ones(len(first)), np.eye(len(first))])
    base = np.concatenate([above["mean"][[0, 2]], [50.0], first["mean"]])
    weight = np.diag(1 / np.concatenate([[4.0, 4.0, 2.0], first["variance"]]))
    truth = np.linalg.solve(matrix.T @ weight @ matrix, matrix.T @ weight @ base)
    agreed = told[("item_id", "location_id")]
    assert agreed.loc[agreed["date"] == "2024-01-01", "mean"].to_numpy() == pytest.approx(truth, rel=1e-6)
    sums = agreed.groupby(["category", "date"])["mean"].sum()
    assert told[("category",)].set_index(["category", "date"])["mean"].to_numpy() == pytest.approx(sums.to_numpy())
    assert told[()]["mean"].to_numpy() == pytest.approx(agreed.groupby("date")["mean"].sum().to_numpy())


def test_a_sure_level_is_kept_and_an_unsure_one_not_heard() -> None:
    bottom = forecasts()
    days = pd.date_range("2024-01-01", periods=2)
    sure = pd.DataFrame({"date": days, "mean": 80.0, "variance": 0.0})
    assert reconcile(bottom, {(): sure})[()]["mean"].to_numpy() == pytest.approx([80.0, 80.0], rel=1e-6)
    told = reconcile(bottom, {(): sure.assign(variance=np.inf)})[("item_id", "location_id")]
    assert told["mean"].to_numpy() == pytest.approx(bottom["mean"].to_numpy())
    with pytest.raises(FeatureError, match="lack"):
        reconcile(bottom, {("brand",): sure.assign(brand=1)})


def test_further_zeros_are_found_where_there_are_some_and_keep_mean_and_variance() -> None:
    random = np.random.default_rng(4)
    mean, scatter, share = 3.0, 2.0, 0.4
    sold = random.negative_binomial(mean / (scatter - 1), 1 / scatter, 8000) * (random.random(8000) >= share)
    middle = np.full(8000, mean * (1 - share))
    variance = (1 - share) * (mean * scatter + mean**2) - middle[0] ** 2
    dispersion = np.full(8000, variance / middle[0])
    told = zeros.found(sold.astype(float), middle, dispersion)
    assert told.shares[0] == pytest.approx(share, abs=0.06)
    extra = told.of(middle)
    inner, own = law.component(middle[:1], dispersion[:1], np.array([share]))
    assert inner[0] == pytest.approx(mean) and own[0] == pytest.approx(scatter)
    for level in (0.3, 0.5, 0.9, 0.95):
        quantile = law.quantile(law.COUNTS, level, middle, dispersion, extra)[0]
        assert (sold < quantile).mean() - 0.02 < level < (sold <= quantile).mean() + 0.02
    place = law.probability(law.COUNTS, sold, middle, dispersion, None, 1, extra)
    assert np.quantile(place, [0.1, 0.5, 0.9]).tolist() == pytest.approx([0.1, 0.5, 0.9], abs=0.02)
    plain = random.negative_binomial(mean / (scatter - 1), 1 / scatter, 8000).astype(float)
    none = zeros.found(plain, np.full(8000, mean), np.full(8000, scatter))
    assert none.of(middle) is None and zeros.Inflation.read(told.plain()).shares.tolist() == told.shares.tolist()
