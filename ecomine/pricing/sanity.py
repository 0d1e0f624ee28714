"""Limits that prices must keep, whatever they are worth."""

import numpy as np
import pandas as pd

from ecomine.domain import Check, Inputs
from ecomine.pricing import rules
from ecomine.pricing.features import ASKED
from ecomine.pricing.model import Pricer

FACTORS = np.linspace(0.6, 1.6, 11)
"""Prices at which forecasts are compared, as factors of the present ones."""


def check(model: Pricer, decisions: pd.DataFrame, inputs: Inputs) -> list[Check]:
    """Each item on sale has one price that no rule forbids, with a reason; a higher price never sells more."""
    items = model.series.loc[model.series[ASKED].notna(), "item_id"].nunique()
    numbers = decisions[["elasticity_low", "elasticity", "elasticity_high"]].to_numpy(float)
    sound = np.isfinite(numbers).all(axis=1) & (np.diff(numbers, axis=1) >= 0).all(axis=1) & (numbers[:, 1] < 0)
    return [
        Check.none_of("items_without_price", items - decisions["item_id"].nunique(), "items on sale have no price"),
        Check.none_of("items_twice", int(decisions["item_id"].duplicated().sum()), "items have more than one price"),
        Check.none_of("elasticities", int((~sound).sum()), "elasticities are not below 0 and within their interval"),
        Check.none_of("rules_broken", broken(decisions, inputs), "new prices break a rule"),
        Check.none_of("no_reason", int((decisions["reason"] == "").sum()), "prices have no reason"),
        Check.none_of(
            "dearer_sells_more", dearer_sells_more(model, inputs.params.limits.rise), "forecasts rise with the price"
        ),
    ]


def broken(decisions: pd.DataFrame, inputs: Inputs) -> int:
    """New prices outside the bounds of their rules; a price that is kept is not new. Rivals are not looked at."""
    setting = inputs.params.optimiser.rules
    moved = decisions[decisions["suggested_price"] != decisions["price"]]
    if moved.empty:
        return 0
    alone = type(setting)(**{**setting.__dict__, "rival_low": None, "rival_high": None})
    bounds = rules.bounds(moved, alone)
    cents = rules.cents(moved["suggested_price"].to_numpy(float))
    outside = (cents < bounds.low) | (cents > bounds.high)
    if setting.endings:
        outside |= ~np.isin(cents % 100, rules.cents(np.asarray(setting.endings, float)) % 100)
    return int(outside.sum())


def dearer_sells_more(model: Pricer, rise: float) -> int:
    """Items whose forecast of the coming week rises by more than this share somewhere on the way to a higher price."""
    ahead = model.ahead(model.requests().assign(**dict.fromkeys(model.momentum.features, 0.0)))
    if ahead.rows.empty:
        return 0
    price = ahead.rows["price"].to_numpy(float)
    units = np.stack([model.demand.predict(ahead.rows, price * factor) for factor in FACTORS])
    rises = (units[1:] > units[:-1] * (1 + rise) + 1e-9).any(axis=0)
    return int(ahead.rows["item_id"][rises].nunique())
