"""The five ways to set prices obey the rules; personal offers are discounts alone, switched on, and fair."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from ecomine.errors import FeatureError, SettingsError
from ecomine.pricing import DemandModel, OptimiserParams, PersonalParams, PriceRules, PricingParams
from ecomine.pricing.policies import POLICIES, Known
from tests.pricing.test_demand import QUICK, sales

PARAMS = PricingParams(
    optimiser=OptimiserParams(rules=PriceRules(greatest_change=0.15, margin_floor=0.1)),
    personal=PersonalParams(enabled=True),
)


@pytest.fixture(scope="module")
def known() -> Known:
    rows = sales(items=9, weeks=80).drop(columns="elasticity")
    coming = rows[rows["period"] == 79].assign(period=80).drop(columns="units")
    slots = pd.DataFrame(
        [(i, d, h, -1.9 - 0.3 * h, 3.0) for i in range(9) for d in range(7) for h in range(3)],
        columns=["item_id", "weekday", "hour_block", "elasticity", "units"],
    )
    people = pd.DataFrame(
        {"user_id": np.repeat(["calm", "keen"], 9), "item_id": list(range(9)) * 2, "units": 0.1,
         "sensitivity": np.repeat([0.4, 2.5], 9)}
    )  # fmt: skip
    return Known(PARAMS, DemandModel(QUICK, threads=1).fit(rows), coming, slots, people)


@pytest.fixture
def items() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "item_id": range(9), "price": 10.0, "unit_cost": 5.0, "units": 20.0, "elasticity": -1.8,
            "competitor_price": [9.0, 11.0, 5.0, 20.0, np.nan, 10.0, 9.5, 10.5, 9.9],
        }
    )  # fmt: skip


@pytest.mark.parametrize("name", ["regression", "forecast", "competitor", "time"])
def test_prices_stay_within_the_rules(name: str, items: pd.DataFrame, known: Known) -> None:
    found = POLICIES[name](items, known)
    assert set(found["item_id"]) == set(items["item_id"])
    assert found["suggested_price"].between(8.5 - 1e-9, 11.5 + 1e-9).all()
    assert (found["reason"] != "").all()


def test_the_competitor_is_followed_as_far_as_allowed(items: pd.DataFrame, known: Known) -> None:
    found = POLICIES["competitor"](items, known)["suggested_price"].tolist()
    assert found == pytest.approx([9.0, 11.0, 8.5, 11.5, 10.0, 10.0, 9.5, 10.5, 9.9], abs=0.04)
    lower = dataclasses.replace(known, params=dataclasses.replace(PARAMS, undercut=0.05))
    assert POLICIES["competitor"](items, lower)["suggested_price"].iloc[1] == pytest.approx(10.45, abs=0.04)


def test_slots_that_heed_prices_more_are_cheaper(items: pd.DataFrame, known: Known) -> None:
    found = POLICIES["time"](items, known)
    mean = found.groupby("hour_block")["suggested_price"].mean()
    assert len(found) == 9 * 21
    assert mean[0] > mean[1] > mean[2]


def test_personal_offers_are_discounts_for_who_heeds_prices(items: pd.DataFrame, known: Known) -> None:
    offers = POLICIES["personal"](items, known)
    assert set(offers["user_id"]) == {"keen"}
    assert (offers["suggested_price"] < offers["price"]).all()
    assert (offers["suggested_price"] * 0.9 >= 5.0).all()
    assert (offers["gain"] > 0).all()


def test_personal_offers_are_off_unless_switched_on(items: pd.DataFrame, known: Known) -> None:
    with pytest.raises(SettingsError, match="are off"):
        POLICIES["personal"](items, dataclasses.replace(known, params=PricingParams()))


@pytest.mark.parametrize("column", ["age", "Gender", "household_income", "ethnicity_code"])
def test_protected_attributes_are_refused(column: str, items: pd.DataFrame, known: Known) -> None:
    assert known.people is not None
    people = known.people.assign(**{column: 1})
    with pytest.raises(FeatureError, match="protected"):
        POLICIES["personal"](items, dataclasses.replace(known, people=people))
