"""The textbook's numbers to four digits, and laws against tables."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ecomine.errors import SettingsError
from ecomine.inventory import formulas
from ecomine.inventory.law import DemandLaw


def near(*values: float) -> object:
    return pytest.approx(values, rel=5e-5)


def test_order_quantities() -> None:
    assert formulas.economic_order_quantity(8, 0.225, 1300) == near(304.0468, 68.4105)  # example 3.1
    assert formulas.order_quantity_with_backorders(8, 0.225, 5, 1300) == near(310.8126, 0.0430622, 66.9214)  # 3.8
    assert formulas.production_quantity(8, 0.225, 1300, 1700) == near(626.8085, 33.1840)


def test_newsvendor() -> None:
    assert formulas.newsvendor_normal(0.18, 0.70, 50, 8) == near(56.6040, 1.9976)  # example 4.3
    level, cost = formulas.newsvendor(np.array([1.0]), np.array([4.0]), DemandLaw.of(6.0))  # example 4.7
    assert (level[0], cost[0]) == near(8, 3.5701)
    assert formulas.expected_cost(np.array([5.0]), 1, 4, DemandLaw.of(6.0)) == pytest.approx(6.5903, rel=5e-5)


def test_base_stock_is_the_newsvendor_of_lead_time_and_review() -> None:
    level, cost = formulas.base_stock_normal(0.18, 0.70, 50, 8, lead=4)
    z = stats.norm.ppf(0.70 / 0.88)
    assert level == pytest.approx(250 + z * 8 * np.sqrt(5))
    assert cost == pytest.approx(0.88 * stats.norm.pdf(z) * 8 * np.sqrt(5))


def test_reorder_point_and_quantity() -> None:
    case = (0.225, 7.5, 8, 1300, 150, 1 / 12)
    assert formulas.reorder_cost(126.8, 328.5, *case) == pytest.approx(78.0712, rel=5e-5)  # example 5.1
    assert formulas.reorder_point_for(300, 0.225, 7.5, 1300, 150, 1 / 12) == pytest.approx(129.4273, rel=5e-5)  # 5.2
    assert formulas.reorder_point_and_quantity(*case) == near(213.9704, 318.5902, 95.4511)  # 5.2
    safe = formulas.safety_stock(7.5 / 7.725, 1300, 150, 1 / 12)
    assert 1300 / 12 + float(safe) == pytest.approx(190.3370, rel=5e-5)  # example 5.5


def test_order_levels() -> None:
    assert formulas.order_levels(1, 4, 5, DemandLaw.of(6.0)) == near(4, 10, 8.0341)  # example 4.7
    assert formulas.order_levels_by_power(0.18, 0.70, 2.5, 50, 8) == near(40.1946, 74.2902)


@pytest.mark.parametrize(("mean", "fixed", "stockout"), [(0.4, 3, 9), (2.5, 12, 4), (9, 40, 19)])
def test_order_levels_are_the_best_of_all(mean: float, fixed: float, stockout: float) -> None:
    law = DemandLaw.of(mean, 1.3 * np.sqrt(mean))
    s, top, cost = formulas.order_levels(1, stockout, fixed, law)
    chance = np.diff(law.cdf(np.arange(-1.0, 200.0)))
    levels = np.arange(-60, 100)
    one = formulas.expected_cost(levels.astype(float), np.array(1.0), np.array(stockout), law)

    def stationary(low: int, high: int) -> float:
        """The cost of (low, high) by solving the renewal equation of the stock after ordering."""
        span = high - low
        moves = np.zeros((span, span))
        for at in range(span):
            moves[at:, at] = chance[: span - at]
        visits = np.linalg.solve(np.eye(span) - moves, np.eye(span)[0])
        return (fixed + visits @ one[high + 60 - np.arange(span)]) / visits.sum()

    assert cost == pytest.approx(stationary(s, top))
    around = [(a, b) for a in range(s - 3, s + 4) for b in range(top - 3, top + 4) if b > a]
    assert min(stationary(a, b) for a, b in around) == pytest.approx(cost)


def test_what_cannot_be_is_said() -> None:
    with pytest.raises(SettingsError, match="greater rate"):
        formulas.production_quantity(8, 0.2, 10, 5)
    with pytest.raises(SettingsError, match="stock-out cost"):
        formulas.reorder_point_and_quantity(5, 0.01, 8, 10, 3, 1)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.01, 400), st.floats(1.0, 8.0)), min_size=1, max_size=6),
    st.floats(0.001, 0.9999),
    st.floats(0.001, 3),
)
def test_law_against_tables(series: list[tuple[float, float]], level: float, missing: float) -> None:
    mean = np.array([one for one, _ in series])
    sd = np.sqrt(mean * np.array([spread for _, spread in series]))
    law = DemandLaw.of(mean, sd)
    found, enough = law.quantile(level), law.level_for_loss(missing)
    units = np.arange(0, 12_000)
    for at in range(len(mean)):
        extra = sd[at] ** 2 - mean[at]
        shape = mean[at] ** 2 / extra if extra > 0 else np.inf
        table = stats.nbinom(shape, mean[at] / sd[at] ** 2) if shape < 1e7 else stats.poisson(mean[at])
        cdf = table.cdf(units)
        assert law.take(np.array([at])).cdf(found[at])[0] == pytest.approx(cdf[int(found[at])], abs=1e-6)
        assert cdf[int(found[at])] >= level - 1e-9 and (found[at] == 0 or cdf[int(found[at]) - 1] < level + 1e-9)
        loss = float((np.maximum(units - enough[at], 0) * table.pmf(units)).sum())
        assert law.loss(enough)[at] == pytest.approx(loss, abs=1e-4) and loss <= missing + 1e-6


def test_law_of_a_forecast_keeps_its_mean_and_spread() -> None:
    import pandas as pd

    law = DemandLaw.of(np.array([20.0, 150.0]), np.array([6.0, 20.0]))
    told = pd.DataFrame(
        {"mean": law.mean, **{f"q{a:g}": law.quantile(a) for a in (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)}}
    )
    back = DemandLaw.of_forecast(told)
    assert back.mean == pytest.approx(law.mean) and back.sd == pytest.approx(law.sd, rel=0.08)
