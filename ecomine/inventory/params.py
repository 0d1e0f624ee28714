"""The settings of inventory, each once, with unit and default."""

from dataclasses import dataclass, field

from ecomine.inventory.forecasting.params import ForecastParams
from ecomine.params import setting


def _forecast() -> ForecastParams:
    """Quick to learn, and such that no forecast rises with the price and equal histories get equal forecasts."""
    return ForecastParams(
        likelihood="zero_inflated",
        method="direct",
        rows=150_000,
        rounds=200,
        learning_rate=0.1,
        max_depth=6,
        identities=False,
    )


@dataclass(frozen=True)
class InventoryLimits:
    """What the gate allows of orders and forecasts."""

    least_coverage: float = setting(
        0.75,
        "least share of totals in an interval that should hold nine in ten; a season may be off for all series at once",
        at_least=0, at_most=1,
    )  # fmt: skip


@dataclass(frozen=True)
class InventoryParams:
    """What stock costs, what it must do, and what an order must satisfy; null switches a limit off.

    A column of the series overrides a setting series by series: lead_days, lead_sd, unit_cost, price, minimum_order,
    pack_size, shelf_life_days.
    """

    policy: str = setting(
        "forecast", "how levels are set: forecast, demand_driven, time_periods, safety_stock or variability"
    )
    objective: str = setting("cost", "cost: least cost, but no fill rate below the target; service: the target alone")
    service_target: float = setting(0.95, "share of demand that must be met from stock", at_least=0.01, at_most=0.9999)
    review_days: int = setting(1, "days from one look at the stock to the next", at_least=1, at_most=90)
    lead_days: float = setting(
        7.0, "days from an order to its delivery, where the shop's tables do not tell", at_least=1
    )
    lead_sd: float = setting(1.0, "standard deviation of that time, days", at_least=0)
    holding_share: float = setting(0.004, "cost of holding a unit for a day, as a share of its cost", at_least=0)
    lost_share: float = setting(
        0.25, "what a lost sale costs beyond its margin (goodwill), as a share of the margin", at_least=0
    )
    order_cost: float = setting(0.5, "money that an order of one item at one place costs", at_least=0)
    margin: float = setting(0.3, "profit ÷ price, where a product's cost is not known", at_least=0.001, at_most=0.99)
    safety_days: float = setting(
        7.0, "days of sales held for safety by the plain rule, which `variability` spreads anew", at_least=0
    )
    response: float = setting(
        0.15, "a day of the week on which demand is so much above its mean begins a period of demand", at_least=0
    )
    minimum_order: float = setting(0.0, "least units of an order", at_least=0)
    pack_size: float = setting(1.0, "units that come together", at_least=0.001)
    shelf_life_days: float | None = setting(None, "days after which a unit cannot be sold", at_least=1)
    budget: float | None = setting(None, "money for the orders of a day", at_least=0)
    storage: float | None = setting(None, "units for which a place has room, on hand and on order", at_least=0)
    train_days: int = setting(365, "days to learn from, before the test days", at_least=28, at_most=3650)
    test_days: int = setting(84, "last days, kept to judge orders by", at_least=14, at_most=730)
    warm_up_days: int = setting(14, "first of the test days, which are replayed but not counted", at_least=0)
    least_units: float = setting(12.0, "units that a series must have sold in the days learnt from", at_least=1)
    most_items: int = setting(1000, "items decided on, those that bring most money", at_least=1)
    most_locations: int = setting(20, "with more locations than these, an item's sales are added up", at_least=0)
    run_out_days: float = setting(2.0, "stock that lasts no longer is about to run out", at_least=0)
    dead_days: float = setting(180.0, "stock that lasts longer than these, beyond what is needed, is dead", at_least=1)
    forecast: ForecastParams = field(default_factory=_forecast, metadata={"meaning": "how demand is forecast"})
    limits: InventoryLimits = field(default_factory=InventoryLimits, metadata={"meaning": "what the gate allows"})
