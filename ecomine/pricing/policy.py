"""From demand to prices: the best price of each item that pays over the whole interval of its elasticity."""

import numpy as np
import pandas as pd

from ecomine.errors import SettingsError
from ecomine.pricing.demand import usable
from ecomine.pricing.features import COST
from ecomine.pricing.model import Ahead, Pricer
from ecomine.pricing.optimiser import PriceOptimizer, Units
from ecomine.pricing.panel import RIVAL
from ecomine.pricing.params import PricingParams
from ecomine.pricing.policies import POLICIES, Known, Policy

DECISION_COLUMNS = (
    "item_id", "price", "suggested_price", "change", "elasticity", "elasticity_low", "elasticity_high",
    "elasticity_source", "units", "units_change", "revenue_change", "margin_change", "unit_cost", "objective",
    "binding_rule", "reason",
)  # fmt: skip
"""Units and changes are a week's; where no cost is known `unit_cost` is 0, so that the margin is the revenue."""

MARGIN, ASSUMED, REVENUE = "margin", "margin, cost assumed", "revenue"
KEPT = "kept: no other price pays over the whole interval of its elasticity"


def decide(model: Pricer, frame: pd.DataFrame, params: PricingParams) -> pd.DataFrame:
    """Prices: columns DECISION_COLUMNS, a row an item, sorted by item_id.

    Raises FeatureError where a feature the model learned from is missing.
    """
    ahead = model.ahead(frame)
    return suggest(items_of(model, ahead), Known(params, model.demand, ahead.rows))


def items_of(model: Pricer, ahead: Ahead) -> pd.DataFrame:
    """The items asked about as PriceOptimizer takes them: price (mean of its places), units a week, elasticity, cost.

    `unit_cost` is null where it is not known.
    """
    rows = ahead.rows[ahead.asked].assign(units=ahead.units[ahead.asked])
    rivals = {RIVAL: (RIVAL, "first")} if RIVAL in rows.columns else {}
    items = rows.groupby("item_id", sort=True).agg(price=("price", "mean"), units=("units", "sum"), **rivals)
    items["price"] = np.maximum(items["price"].round(2), 0.01)
    return with_elasticities(items.reset_index(), model)


def with_elasticities(items: pd.DataFrame, model: Pricer) -> pd.DataFrame:
    """Adds elasticity, its interval and source, and unit_cost by item_id."""
    told = model.told[["item_id", "elasticity", "low", "high", "source"]].rename(
        columns={"low": "elasticity_low", "high": "elasticity_high", "source": "elasticity_source"}
    )
    items = items.merge(told, on="item_id", how="left").merge(model.costs, on="item_id", how="left")
    for name in ("elasticity", "elasticity_low", "elasticity_high"):
        items[name] = usable(items[name].to_numpy(float))
    return items


def suggest(items: pd.DataFrame, known: Known) -> pd.DataFrame:
    """Decisions for items with the columns of `items_of`, in their order, and any that the rules need."""
    params = known.params
    if params.policy not in WAYS:
        raise SettingsError(f"`pricing.policy` is {params.policy!r}; expected one of {', '.join(WAYS)}.")
    unknown = items[COST].isna().to_numpy()
    assumed = 0.0 if params.margin is None else 1.0 - params.margin
    items = items.assign(**{COST: np.where(unknown, assumed * items["price"], items[COST])})
    found = WAYS[params.policy](items, known)
    price, suggested = items["price"].to_numpy(float), found["suggested_price"].to_numpy(float)
    now, cost = items["units"].to_numpy(float), items[COST].to_numpy(float)
    then = now * np.exp(items["elasticity"].to_numpy(float) * np.log(suggested / price))
    objective = np.where(~unknown, MARGIN, REVENUE if params.margin is None else ASSUMED)
    reason = found["reason"].to_numpy(object)
    calm = (suggested == price) & (found["binding_rule"] == "none").to_numpy()
    reason = np.where(calm & (params.policy == "regression"), KEPT, reason)
    decisions = items.assign(
        suggested_price=suggested,
        change=suggested / price - 1,
        units_change=then - now,
        revenue_change=suggested * then - price * now,
        margin_change=(suggested - cost) * then - (price - cost) * now,
        objective=objective.astype(object),
        binding_rule=found["binding_rule"].to_numpy(object),
        reason=reason + _elasticity(items) + np.where(unknown, "; its cost is not known", "").astype(object),
    )
    return decisions[list(DECISION_COLUMNS)]


def _elasticity(items: pd.DataFrame) -> np.ndarray:
    """What is believed of each item's elasticity, in words."""
    value, low, high = (
        np.char.mod("%.2f", items[name].to_numpy(float)).astype(object)
        for name in ("elasticity", "elasticity_low", "elasticity_high")
    )
    whose = np.where(items["elasticity_source"] == "item", "", ", its category's").astype(object)
    return np.asarray("; elasticity " + value + " (" + low + " to " + high + ")" + whose, object)


def at_worst(items: pd.DataFrame, caution: float) -> Units:
    """Units at a price if the elasticity is, within its interval, the one that suits the price least.

    A dearer item sells as at the low end, a cheaper one as at the high end; `caution` is the share of the interval.
    """
    base, price = items["units"].to_numpy(float)[:, None], items["price"].to_numpy(float)[:, None]
    middle = items["elasticity"].to_numpy(float)
    low, high = (
        (middle + caution * (items[f"elasticity_{end}"].to_numpy(float) - middle))[:, None] for end in ("low", "high")
    )

    def units(asked: np.ndarray) -> np.ndarray:
        step = np.log(asked / price)
        return np.asarray(base * np.exp(np.where(step > 0, low, high) * step))

    return units


def cautious(items: pd.DataFrame, known: Known) -> pd.DataFrame:
    """The best prices on curves of constant elasticity, `caution` of whose interval is held against each change."""
    units = at_worst(items, known.params.caution)
    return PriceOptimizer(known.params.optimiser).optimise(items, units, keep_clashing=True)


WAYS: dict[str, Policy] = {
    "regression": cautious, "forecast": POLICIES["forecast"], "competitor": POLICIES["competitor"]
}  # fmt: skip
"""The ways that price every item; prices by the hour and offers to persons are asked for in `policies`."""
