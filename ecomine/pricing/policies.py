"""The five ways to set prices that practice knows, each a function of items and what is known; all obey the rules.

Items have the columns of PriceOptimizer. A policy gives PriceOptimizer's decisions, a row an item (by time: an item and
slot; personal: a person and item).
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ecomine.columns import require
from ecomine.errors import FeatureError, SettingsError
from ecomine.pricing.demand import DemandModel, usable
from ecomine.pricing.optimiser import PriceOptimizer
from ecomine.pricing.panel import PRICE
from ecomine.pricing.params import PricingParams

PROTECTED = (
    "age", "gender", "sex", "race", "ethnicity", "ethnic", "religion", "disability", "nationality", "orientation",
    "marital", "pregnan", "income", "birth", "health",
)  # fmt: skip
"""A column whose name holds one of these words never takes part in personal offers."""

WEEKDAYS = 7


@dataclass(frozen=True)
class Known:
    """What a policy may use beside the items; what it does not need may be absent.

    `model` is a fitted DemandModel; `coming` the rows (DemandModel's columns, no units) of the period to price; `slots`
    a frame item_id, weekday (0 Monday), hour_block, elasticity, units; `people` a frame user_id, sensitivity (factor
    of an item's elasticity) and item_id, units (expected of them at the present price).
    """

    params: PricingParams = field(default_factory=PricingParams)
    model: DemandModel | None = None
    coming: pd.DataFrame | None = None
    slots: pd.DataFrame | None = None
    people: pd.DataFrame | None = None


Policy = Callable[[pd.DataFrame, Known], pd.DataFrame]


def by_regression(items: pd.DataFrame, known: Known) -> pd.DataFrame:
    """The best prices on curves of constant elasticity, which the regression on history gives."""
    told = _model(known).elasticities().set_index("item_id")["elasticity"]
    elasticity = usable(told.reindex(items["item_id"]).to_numpy(float))
    if np.isnan(elasticity).any():
        raise FeatureError(f"{np.isnan(elasticity).sum():,} items have no history; leave them at their price.")
    return PriceOptimizer(known.params.optimiser).optimise(items.assign(elasticity=elasticity), keep_clashing=True)


def by_forecast(items: pd.DataFrame, known: Known) -> pd.DataFrame:
    """The best prices on the curves that the demand forecast draws for the coming period, item by item."""
    model = _model(known)
    if known.coming is None:
        raise SettingsError("The policy `forecast` needs the rows of the coming period; give them as `coming`.")
    coming = known.coming
    code = pd.Index(items["item_id"]).get_indexer(coming["item_id"])
    mine, planned = code >= 0, coming[PRICE].to_numpy(float)

    def sold(price: np.ndarray) -> np.ndarray:
        # Other items of the rows keep their prices, which play a part.
        asked = np.where(mine, price[code], planned)
        return np.bincount(code[mine], model.predict(coming, asked)[mine], minlength=len(items))

    def units(price: np.ndarray) -> np.ndarray:
        return np.column_stack([sold(price[:, j]) for j in range(price.shape[1])])

    base = sold(items[PRICE].to_numpy(float)) if len(items) else np.zeros(0)
    return PriceOptimizer(known.params.optimiser).optimise(items.assign(units=base), units, keep_clashing=True)


def by_competitor(items: pd.DataFrame, known: Known) -> pd.DataFrame:
    """The rival's price less `undercut`, as near as the rules allow; items without a rival keep their price."""
    require(items.columns, ("competitor_price",), "items to price by competitors")
    rival = items["competitor_price"].to_numpy(float) * (1 - known.params.undercut)
    aim = np.where(np.isfinite(rival) & (rival > 0), rival, items[PRICE].to_numpy(float))
    return _towards(items, aim, known)


def by_time(items: pd.DataFrame, known: Known) -> pd.DataFrame:
    """The best price of each item in each slot of the week, by the slot's elasticity; adds weekday, hour_block."""
    if known.slots is None:
        raise SettingsError("The policy `time` needs `slots`: item_id, weekday, hour_block, elasticity, units.")
    require(known.slots.columns, ("item_id", "weekday", "hour_block", "elasticity", "units"), "slots")
    own = items.drop(columns=["elasticity", "units"], errors="ignore")
    rows = own.merge(known.slots, on="item_id", validate="one_to_many")
    rows = rows.sort_values(["item_id", "weekday", "hour_block"], ignore_index=True)
    rows["elasticity"] = usable(rows["elasticity"].to_numpy(float))
    unique = rows.assign(item_id=np.arange(len(rows)))
    if "family_id" in unique.columns:
        # The order within a family holds in each slot by itself.
        slot = unique["weekday"].astype(str) + "/" + unique["hour_block"].astype(str)
        family = unique["family_id"].astype(object)
        unique["family_id"] = (family.astype(str) + "/" + slot).where(family.notna(), None)
    found = PriceOptimizer(known.params.optimiser).optimise(unique, keep_clashing=True)
    return found.assign(item_id=rows["item_id"], weekday=rows["weekday"], hour_block=rows["hour_block"])


def personal(items: pd.DataFrame, known: Known) -> pd.DataFrame:
    """Discounts for people who heed prices: user_id, item_id, price, suggested_price, discount, expected gain, reason.

    Never a higher price, never by a protected attribute, nothing at all unless `personal.enabled`. An offer is made
    where it is expected to bring more margin than the present price and leaves the margin floor whole.
    """
    setting = known.params.personal
    if not setting.enabled:
        raise SettingsError("Personal offers are off; `pricing.personal.enabled: true` switches them on.")
    if known.people is None:
        raise SettingsError("The policy `personal` needs `people`: user_id, item_id, sensitivity, units.")
    forbidden = [name for name in known.people.columns if any(word in str(name).lower() for word in PROTECTED)]
    if forbidden:
        raise FeatureError(
            f"Personal offers were given {', '.join(forbidden)}; protected attributes must not take part. "
            "Leave these columns out."
        )
    require(known.people.columns, ("user_id", "item_id", "sensitivity", "units"), "people")
    rows = known.people.merge(
        items[["item_id", PRICE, "unit_cost", "elasticity"]], on="item_id", validate="many_to_one"
    )
    discount = np.concatenate([[0.0], np.sort(setting.discounts)])
    price = np.floor(rows[PRICE].to_numpy(float)[:, None] * (1 - discount) * 100 + 1e-6) / 100
    price[:, 0] = rows[PRICE]
    power = (rows["elasticity"] * rows["sensitivity"]).to_numpy(float)[:, None]
    units = rows["units"].to_numpy(float)[:, None] * (price / price[:, :1]) ** power
    margin = (price - rows["unit_cost"].to_numpy(float)[:, None]) * units
    floor = known.params.optimiser.rules.margin_floor
    if floor is not None:
        under = price * (1 - floor) < rows["unit_cost"].to_numpy(float)[:, None]
        margin = np.where(under & (discount > 0), -np.inf, margin)
    best = margin.argmax(axis=1)
    row = np.arange(len(rows))
    gain = margin[row, best] - margin[:, 0]
    kept = (best > 0) & (gain > setting.least_gain)
    offers = pd.DataFrame(
        {
            "user_id": rows["user_id"],
            "item_id": rows["item_id"],
            "price": rows[PRICE],
            "suggested_price": price[row, best],
            "discount": 1 - price[row, best] / rows[PRICE].to_numpy(float),
            "gain": gain,
            "reason": "heeds prices: a discount is expected to bring more than it costs",
        }
    )[kept]
    return offers.sort_values(["user_id", "item_id"], ignore_index=True)


POLICIES: dict[str, Policy] = {
    "regression": by_regression,
    "forecast": by_forecast,
    "personal": personal,
    "competitor": by_competitor,
    "time": by_time,
}


def _model(known: Known) -> DemandModel:
    if known.model is None:
        raise SettingsError("This policy needs a fitted DemandModel; give it as `model`.")
    return known.model


def _towards(items: pd.DataFrame, aim: np.ndarray, known: Known) -> pd.DataFrame:
    """Prices as near to `aim` as the rules allow, told with what is expected of them."""
    from dataclasses import replace

    # What is nearest is found by a worth that falls with the distance; cost plays no part in it.
    def nearness(price: np.ndarray) -> np.ndarray:
        return 1.0 / (1.0 + np.abs(np.log(price / aim[:, None]))) / price

    setting = replace(
        known.params.optimiser, margin_weight=0.0, rules=replace(known.params.optimiser.rules, clear_stock=False)
    )
    near = PriceOptimizer(setting).optimise(items, nearness, keep_clashing=True)
    price, cost = near["price"].to_numpy(), items["unit_cost"].to_numpy(float)
    suggested = near["suggested_price"].to_numpy()
    now = items["units"].to_numpy(float)
    then = now * (suggested / price) ** items["elasticity"].to_numpy(float)
    return near.assign(
        units=now, suggested_units=then, revenue=price * now, suggested_revenue=suggested * then,
        margin=(price - cost) * now, suggested_margin=(suggested - cost) * then,
        reason=np.where(near["reason"].str.contains("clash"), near["reason"], "follows the rival's price"),
    )  # fmt: skip
