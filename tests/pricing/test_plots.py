"""Curves and rehearsals on demand that is known."""

import numpy as np
import pandas as pd
import pytest

from ecomine.pricing import PriceRules
from ecomine.pricing.plots import BETWEEN, PRESENT, SUGGESTED, demand_curves
from ecomine.pricing.rehearsal import DAYS, HIGHEST, LOWEST, WEEK, learning


def decisions(items: int = 3, elasticity: float = -2.0) -> pd.DataFrame:
    rows = pd.DataFrame({"item_id": [f"i{n}" for n in range(items)], "price": 10.0, "unit_cost": 4.0, "units": 100.0})
    rows = rows.assign(suggested_price=[8.0, *[10.0] * (items - 1)], change=[-0.2, *[0.0] * (items - 1)])
    rows = rows.assign(elasticity=elasticity, elasticity_low=elasticity - 0.5, elasticity_high=elasticity + 0.5)
    return rows.assign(margin_change=[25.0, *[0.0] * (items - 1)])


def test_a_curve_is_that_of_a_constant_elasticity() -> None:
    curve = demand_curves(decisions())
    assert curve["place"].is_monotonic_increasing and curve["item_id"].iloc[0] == "i0"
    first = curve[curve["place"] == 1]
    assert first["price"].is_monotonic_increasing and not first["price"].duplicated().any()
    assert first["units"].to_numpy() == pytest.approx(100 * (first["price"] / 10) ** -2.0)
    assert first["profit"].to_numpy() == pytest.approx((first["price"] - 4) * first["units"])
    for name in ("units", "profit"):
        assert (first[f"{name}_low"] <= first[name] + 1e-9).all() and (
            first[name] <= first[f"{name}_high"] + 1e-9
        ).all()
    marks = first.set_index("mark")["price"]
    assert (marks[PRESENT], marks[SUGGESTED]) == (10.0, 8.0)
    now = first[first["mark"] == PRESENT].iloc[0]
    assert now["units_low"] == now["units_high"] == 100 and now["profit"] == 600
    assert set(curve.loc[curve["place"] == 2, "mark"]) == {PRESENT, BETWEEN}
    assert len(demand_curves(decisions(20))["place"].unique()) == 12


def test_learners_find_the_best_price_and_present_prices_stay_where_they_are() -> None:
    told = learning(decisions(20, elasticity=-1.5), PriceRules(), seed=3)
    # At an elasticity of -1.5 and a cost of 4 the best price is 12; the grid has it nearly.
    grid = 10 * LOWEST * (HIGHEST / LOWEST) ** (np.arange(9) / 8)
    best = ((grid - 4) * 100 * (grid / 10) ** -1.5).max()
    shares = told.pivot(index="week", columns="method", values="share")
    assert len(shares) == DAYS // WEEK
    assert shares["present"].to_numpy() == pytest.approx(600 / best)
    for name in ("q_learning", "sarsa", "thompson"):
        assert shares[name].max() <= 1 + 1e-9
        assert shares[name].iloc[-4:].mean() > shares[name].iloc[0]
        assert shares[name].iloc[-4:].mean() > 0.93
    pd.testing.assert_frame_equal(told, learning(decisions(20, elasticity=-1.5), PriceRules(), seed=3))
    free = decisions().assign(price=4.0)
    assert learning(free, PriceRules(lowest=1.0, highest=1.0), seed=3).empty
