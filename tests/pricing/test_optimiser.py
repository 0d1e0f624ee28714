"""Prices under rules: no rule is ever broken, and the best prices are those of a search through all of them."""

import dataclasses
from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from ecomine.errors import FeatureError, SettingsError
from ecomine.pricing import OptimiserParams, PriceOptimizer, PriceRules

CENT = 0.005


def shop(items: int, seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    price = np.round(np.exp(random.normal(1.5, 0.7, items)), 2) + 0.5
    family = random.integers(0, max(items // 3, 1), items)
    clear = random.random(items) < 0.3
    units = np.exp(random.normal(1, 1, items))
    return pd.DataFrame(
        {
            "item_id": [f"i{n:03}" for n in range(items)],
            "price": price,
            "unit_cost": np.round(price * random.uniform(0.3, 1.05, items), 2),
            "units": units,
            "elasticity": -random.uniform(0.3, 4.0, items),
            "family_id": np.where(random.random(items) < 0.6, family, np.nan),
            "pack_size": random.integers(1, 5, items),
            "competitor_price": np.where(random.random(items) < 0.7, price * random.uniform(0.7, 1.3, items), np.nan),
            "stock": units * random.uniform(2, 5, items),
            "clear_periods": np.where(clear, 4.0, np.nan),
        }
    )


rule_sets = some.builds(
    PriceRules,
    lowest=some.none() | some.floats(0.4, 1.0),
    highest=some.none() | some.floats(1.0, 2.0),
    greatest_change=some.none() | some.floats(0.02, 0.5),
    margin_floor=some.none() | some.floats(-0.1, 0.4),
    endings=some.sampled_from([[], [0.99], [0.49, 0.99], [0.0, 0.25, 0.5, 0.75]]),
    family_order=some.booleans(),
    rival_low=some.none() | some.floats(0.6, 1.0),
    rival_high=some.none() | some.floats(1.0, 1.4),
    clear_stock=some.booleans(),
    changes=some.none() | some.integers(0, 30),
)


def broken(items: pd.DataFrame, found: pd.DataFrame, rules: PriceRules) -> list[str]:
    """The rules that the suggestions break, told apart from the optimiser's own bookkeeping."""
    fine = ~found["reason"].str.contains("clash").to_numpy()
    price, new = items["price"].to_numpy(), found["suggested_price"].to_numpy()
    cost, rival = items["unit_cost"].to_numpy(), items["competitor_price"].to_numpy()
    moved = np.abs(new - price) > CENT
    wrong = {}
    if rules.lowest is not None:
        wrong["lowest"] = new < rules.lowest * price - 1e-6
    if rules.highest is not None:
        wrong["highest"] = new > rules.highest * price + 1e-6
    if rules.greatest_change is not None:
        wrong["change"] = np.abs(new - price) > rules.greatest_change * price + 1e-6
    if rules.margin_floor is not None:
        wrong["margin"] = new * (1 - rules.margin_floor) < cost - 1e-6
    if rules.rival_low is not None:
        wrong["rival low"] = np.nan_to_num(rules.rival_low * rival, nan=-1) > new + 1e-6
    if rules.rival_high is not None:
        wrong["rival high"] = np.nan_to_num(rules.rival_high * rival, nan=1e9) < new - 1e-6
    if rules.endings:
        tail = np.round(new * 100).astype(int) % 100
        wrong["endings"] = moved & ~np.isin(tail, np.round(np.array(rules.endings) * 100).astype(int))
    if rules.clear_stock:
        wanted = items["units"] * (new / price) ** items["elasticity"] * items["clear_periods"]
        wrong["clear"] = (wanted < items["stock"] * (1 - 1e-6)).to_numpy()
    names = [name for name, bad in wrong.items() if (bad & fine).any()]
    if rules.changes is not None and moved.sum() > rules.changes:
        names.append("changes")
    if rules.family_order:
        frame = items.assign(per_unit=new / items["pack_size"])[fine & items["family_id"].notna().to_numpy()]
        for _, packs in frame.groupby("family_id"):
            by_size = packs.groupby("pack_size")["per_unit"].agg(["min", "max"])
            if (by_size["max"].iloc[1:].to_numpy() > by_size["min"].iloc[:-1].to_numpy() + 1e-6).any():
                names.append("family")
    if (moved & ~fine).any():
        names.append("clashing items moved")
    return names


@settings(max_examples=60, deadline=None)
@given(rules=rule_sets, seed=some.integers(0, 10_000), weight=some.sampled_from([0.0, 0.5, 1.0]))
def test_no_rule_is_broken(rules: PriceRules, seed: int, weight: float) -> None:
    items = shop(40, seed)
    found = PriceOptimizer(OptimiserParams(margin_weight=weight, steps=15, rules=rules)).optimise(
        items, keep_clashing=True
    )
    assert broken(items, found, rules) == []


@settings(max_examples=25, deadline=None)
@given(rules=rule_sets, seed=some.integers(0, 10_000))
def test_as_good_as_a_search_through_all_combinations(rules: PriceRules, seed: int) -> None:
    """Five items of which three are a family, six prices each; without a limit on changes the optimum is exact."""
    rules = dataclasses.replace(rules, changes=None, family_order=True)
    items = shop(5, seed).assign(family_id=[0, 0, 0, np.nan, np.nan])
    optimiser = PriceOptimizer(OptimiserParams(steps=6, rules=rules))
    found = optimiser.optimise(items, keep_clashing=True)
    if found["reason"].str.contains("clash").any():
        return
    from ecomine.pricing.optimiser import constant_elasticity
    from ecomine.pricing.rules import bounds

    problem, _ = optimiser._problem(items, bounds(items, rules), constant_elasticity(items))
    size, best = items["pack_size"].to_numpy(), -np.inf
    for columns in product(range(problem.grid.shape[1]), repeat=3):
        per_unit = problem.grid[np.arange(3), columns] / size[:3]
        order = np.lexsort((np.arange(3), size[:3]))
        if (np.diff(per_unit[order]) <= 1e-9).all():
            best = max(best, problem.value[np.arange(3), columns].sum())
    best += problem.value[3:].max(axis=1).sum()
    price, cost = found["suggested_price"], items["unit_cost"]
    units = found["suggested_units"].to_numpy()
    if rules.clear_stock:
        units = np.where(items["clear_periods"].notna(), np.minimum(units, items["stock"] / 4), units)
    assert ((price - cost) * units).sum() == pytest.approx(best, rel=1e-6, abs=1e-6)


def test_the_best_price_of_constant_elasticity_is_the_markup_of_the_textbook() -> None:
    """e / (e - 1) · cost (Lerner)."""
    items = pd.DataFrame(
        {"item_id": [1, 2], "price": [10.0, 10.0], "unit_cost": [5.0, 5.0], "units": 3.0, "elasticity": [-2.0, -3.0]}
    )
    rules = PriceRules(lowest=0.1, highest=3.0, greatest_change=None)
    found = PriceOptimizer(OptimiserParams(steps=400, rules=rules)).optimise(items)
    assert found["suggested_price"].to_numpy() == pytest.approx([10.0, 7.5], abs=0.06)
    assert found["suggested_margin"].iloc[1] == pytest.approx(2.5 * 3 * 0.75**-3, rel=1e-3)


@pytest.mark.parametrize(
    ("rules", "names"),
    [
        (PriceRules(margin_floor=0.6, greatest_change=0.1), ["margin floor", "greatest change"]),
        (PriceRules(rival_high=0.7, margin_floor=0.4), ["rival's price band", "margin floor"]),
        (PriceRules(greatest_change=0.01, endings=[0.99], margin_floor=0.501), ["margin floor", "price endings"]),
        (PriceRules(changes=0, margin_floor=0.55), ["number of changes"]),
    ],
)
def test_rules_that_clash_are_named(rules: PriceRules, names: list[str]) -> None:
    items = pd.DataFrame(
        {
            "item_id": ["a"], "price": [10.0], "unit_cost": [5.0], "units": [3.0], "elasticity": [-2.0],
            "competitor_price": [10.0],
        }
    )  # fmt: skip
    with pytest.raises(SettingsError) as told:
        PriceOptimizer(OptimiserParams(rules=rules)).optimise(items)
    assert all(name in str(told.value) for name in names)
    kept = PriceOptimizer(OptimiserParams(rules=rules)).optimise(items, keep_clashing=True)
    assert kept["suggested_price"].tolist() == [10.0]
    assert "clash" in kept["reason"].iloc[0]


def test_a_family_that_cannot_stand_in_order_is_named() -> None:
    items = pd.DataFrame(
        {
            "item_id": ["small", "large"], "price": [2.0, 9.0], "unit_cost": [1.0, 4.0], "units": 3.0,
            "elasticity": -2.0, "family_id": 1, "pack_size": [1, 2],
        }
    )  # fmt: skip
    with pytest.raises(SettingsError, match="order within a family"):
        PriceOptimizer(OptimiserParams(rules=PriceRules(greatest_change=0.1))).optimise(items)


def test_the_changes_that_gain_most_are_made() -> None:
    items = shop(60, 3).drop(columns=["family_id", "clear_periods"])
    rules = PriceRules(margin_floor=None)
    free = PriceOptimizer(OptimiserParams(rules=rules)).optimise(items)
    few = PriceOptimizer(OptimiserParams(rules=dataclasses.replace(rules, changes=7))).optimise(items)
    gain = (free["suggested_margin"] - free["margin"]).sort_values(ascending=False)
    moved = few["suggested_price"] != few["price"]
    assert moved.sum() == 7
    assert (few["suggested_margin"] - few["margin"]).sum() == pytest.approx(gain.head(7).sum())
    assert "number of changes" in set(few["binding_rule"])


def test_items_that_cannot_be_priced_are_told() -> None:
    items = shop(5, 1)
    with pytest.raises(FeatureError, match="Elasticities"):
        PriceOptimizer().optimise(items.assign(elasticity=0.1))
    with pytest.raises(FeatureError, match="unit_cost"):
        PriceOptimizer().optimise(items.drop(columns="unit_cost"))
    with pytest.raises(SettingsError, match="goes from"):
        PriceOptimizer(OptimiserParams(rules=PriceRules(lowest=1.2, highest=1.1))).optimise(items)
