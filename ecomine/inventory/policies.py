"""The five ways to set stock levels that practice knows, each a function of a situation, and the plain rule beside.

A policy gives levels a series: where on hand plus on order is at most the reorder point, it is filled up to the
order-up-to level, as far as the constraints (constraints.py) allow.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ecomine.errors import SettingsError
from ecomine.inventory.formulas import economic_order_quantity, safety_stock
from ecomine.inventory.law import DemandLaw
from ecomine.inventory.situation import WEEK, Situation

NEVER = -1.0
"""A reorder point that no stock falls to."""

COST, SERVICE = "cost", "service"
ROUNDS = 6


@dataclass(frozen=True)
class Levels:
    """Whole units an entry a series."""

    reorder_point: np.ndarray
    order_up_to: np.ndarray

    @classmethod
    def of(cls, point: np.ndarray, up_to: np.ndarray) -> "Levels":
        point = np.maximum(np.round(point), NEVER)
        up_to = np.where(point > NEVER, np.maximum(np.ceil(up_to - 1e-9), point + 1), 0.0)
        return cls(point, up_to)

    def short(self, position: np.ndarray) -> np.ndarray:
        """Units to order at a position of stock."""
        wanted = position <= self.reorder_point
        return np.asarray(np.where(wanted, np.maximum(self.order_up_to - position, 0.0), 0.0))


Policy = Callable[[Situation], Levels]


def by_forecast(situation: Situation) -> Levels:
    """Forecast-driven: (s, S) of least expected cost by the forecast's law of demand, no fill rate below the target.

    Quantity and reorder point are found in turn, for sales that are lost: Hadley and Whitin, Analysis of Inventory
    Systems (1963), 4-2; the forecast moves both every day. What is ordered is the quantity and what the stock has
    fallen below the point meanwhile. With the objective `service` the target alone counts.
    """
    asked, law, rate = situation.params, situation.from_reorder_point, situation.rate
    holding, lost, fixed = situation.holding, situation.lost, asked.order_cost
    least = np.maximum(rate * asked.review_days, 1.0)
    quantity = np.maximum(np.round(np.sqrt(2 * rate * fixed / holding)), least)
    if check_objective(asked.objective) == COST:
        for _ in range(ROUNDS):
            point = law.quantile(1 - quantity * holding / np.maximum(lost * rate + quantity * holding, 1e-12))
            last = quantity
            quantity = np.maximum(np.round(np.sqrt(2 * rate * (fixed + lost * law.loss(point)) / holding)), least)
            if np.array_equal(last, quantity):
                break
    else:
        point = np.zeros(len(rate))
    point = np.maximum(point, law.level_for_loss((1 - asked.service_target) / asked.service_target * quantity))
    up_to = point + np.maximum(quantity - np.round(situation.undershoot[0]), 1.0)
    return Levels.of(np.where(situation.law.mean > 0, point, NEVER), up_to)


def demand_driven(situation: Situation) -> Levels:
    """Demand-driven dynamic replenishment: red, yellow and green zones from daily use, lead time and variability.

    Yellow is use over the lead time; red is its share by the lead time (long ones less) plus a share of that by the
    variability; green is the greatest of red's share, an order cycle and the minimum order. Orders go out where the
    flow falls into yellow, up to the top of green; coming demand above the usual is counted off as a spike. Source:
    Ptak and Smith, Demand Driven Material Requirements Planning (2016), chapter 7.
    """
    rate, lead = situation.rate, situation.lead_days
    use = situation.column("usage") if "usage" in situation.series.columns else rate
    use = np.where(np.isnan(use), rate, use)
    varies = situation.law.sd / np.maximum(situation.law.mean, 1e-9)
    lead_factor = np.interp(lead, (3.0, 30.0), (1.0, 0.2))
    variability_factor = np.interp(varies * np.sqrt(situation.days / WEEK), (0.2, 1.2), (0.0, 1.0))
    yellow = use * situation.days
    red = yellow * lead_factor * (1 + variability_factor)
    cycle = np.maximum(situation.params.review_days, _cycle(situation)) * use
    green = np.maximum.reduce([yellow * lead_factor, cycle, situation.column("minimum_order"), np.ones(len(use))])
    spike = np.maximum(situation.law.mean - yellow, 0.0)
    top = red + yellow + spike
    return Levels.of(np.where(use > 0, np.ceil(top), NEVER), top + green)


def time_periods(situation: Situation) -> Levels:
    """Demand-response time periods: deliveries come on the first day of a period in which demand is high.

    A day of the week belongs to such a period where its demand is `response` above the mean. What is ordered lasts
    from its delivery until the next such first day. Where what there is would last until then but for sales worth less
    than an order costs, none goes out, so that orders gather on the evenings whose delivery opens a period. Series
    whose week is even are ordered for by forecast.
    """
    if situation.week is None:
        raise SettingsError("The policy `time_periods` needs demand by day of the week; give it as `week`.")
    plain, week = by_forecast(situation), situation.week
    high = week > (1 + situation.params.response) * np.maximum(week.mean(axis=1), 1e-12)[:, None]
    begins = high & ~np.roll(high, 1, axis=1)
    arrival = np.maximum(np.round(situation.lead_days).astype(int) - 1, 0)
    rows = np.arange(len(week))
    ahead = begins[rows[:, None], (arrival[:, None] + np.arange(1, WEEK + 1)) % WEEK]
    lasts = arrival + 1 + np.argmax(ahead, axis=1)
    # The law knows the mean over a time of its own; the week tells how demand spreads over days.
    usual = np.maximum(_expected(week, np.round(situation.days).astype(int)), 1e-12)
    cover = _expected(week, lasts) * situation.law.mean / usual
    late = situation.rate * situation.column("lead_sd")
    law = DemandLaw.of(cover, np.hypot(situation.over(cover).sd, late))
    point = law.level_for_loss(situation.params.order_cost / np.maximum(situation.lost, 1e-9)) - 1
    timed = begins.any(axis=1) & (plain.reorder_point > NEVER)
    top = np.maximum(_least_levels(situation, law, cover), point + 1)
    return Levels.of(np.where(timed, point, plain.reorder_point), np.where(timed, top, plain.order_up_to))


def by_safety_stock(situation: Situation) -> Levels:
    """(R, Q) with safety stock: mean demand over the lead time plus z standard deviations, and the economic quantity.

    The standard deviation is of demand and lead time together; the probability that a cycle goes without a stock-out is
    the service target. Source: Snyder and Shen (2019), 5.21 and 3.4.
    """
    asked, days = situation.params, situation.days
    daily_sd = situation.law.sd / np.sqrt(days)
    safety = safety_stock(asked.service_target, situation.rate, daily_sd, days, situation.column("lead_sd"))
    quantity = economic_order_quantity(asked.order_cost, situation.holding, situation.rate)[0]
    quantity = np.maximum(quantity, np.maximum(situation.rate * asked.review_days, 1.0))
    point = np.ceil(situation.law.mean + np.maximum(safety, 0.0))
    return Levels.of(np.where(situation.law.mean > 0, point, NEVER), point + quantity)


def by_variability(situation: Situation) -> Levels:
    """Allocation by variability: the safety stock that fixed days of sales would be, spread by standard deviation.

    As much money lies in safety stock as by the plain rule; every series holds the same number of standard deviations,
    so that all are equally sure, and what sells steadily no longer holds what the fitful one lacks.
    """
    money = float((situation.unit_cost * situation.rate).sum() * situation.params.safety_days)
    sd = situation.until_delivery.sd
    spread = float((situation.unit_cost * sd).sum())
    safety = (money / spread if spread > 0 else 0.0) * sd
    point = np.ceil(situation.law.mean + safety)
    return Levels.of(
        np.where(situation.law.mean > 0, point, NEVER),
        point + np.maximum(_cycle(situation) * situation.rate, 1.0),
    )


def days_of_cover(situation: Situation) -> Levels:
    """The plain rule: fixed days of the usual sales beyond what is needed until a delivery; a week is ordered at once.

    Usual sales are the column `usage` (units a day), the forecast's mean where there is none.
    """
    use = situation.column("usage") if "usage" in situation.series.columns else situation.rate
    use = np.where(np.isnan(use), situation.rate, use)
    point = np.ceil(use * (situation.days + situation.params.safety_days))
    return Levels.of(np.where(use > 0, point, NEVER), point + np.maximum(WEEK * use, 1.0))


POLICIES: dict[str, Policy] = {
    "forecast": by_forecast,
    "demand_driven": demand_driven,
    "time_periods": time_periods,
    "safety_stock": by_safety_stock,
    "variability": by_variability,
}


def policy(name: str) -> Policy:
    """The policy of that name; raises SettingsError for another."""
    if name not in POLICIES:
        raise SettingsError(f"There is no policy {name!r}; expected {', '.join(POLICIES)}.")
    return POLICIES[name]


def check_objective(name: str) -> str:
    """The objective; raises SettingsError where it is neither of the two."""
    if name not in (COST, SERVICE):
        raise SettingsError(f"`inventory.objective` is {name!r}; expected {COST} or {SERVICE}.")
    return name


def _cycle(situation: Situation) -> np.ndarray:
    """Days that an economic quantity lasts, a look at the stock at least."""
    rate = np.maximum(situation.rate, 1e-9)
    quantity = economic_order_quantity(situation.params.order_cost, situation.holding, rate)[0]
    return np.asarray(np.maximum(quantity / rate, situation.params.review_days))


def _expected(week: np.ndarray, days: np.ndarray) -> np.ndarray:
    """Units expected in the first `days` (an entry a series) when weeks repeat."""
    whole, rest = np.divmod(days, WEEK)
    sums = np.concatenate([np.zeros((len(week), 1)), np.cumsum(week, axis=1)], axis=1)
    return np.asarray(whole * sums[:, WEEK] + sums[np.arange(len(week)), rest])


def _least_levels(situation: Situation, law: DemandLaw, quantity: np.ndarray) -> np.ndarray:
    """Levels that last over `law` with the critical ratio, and miss no more of `quantity` than the target allows."""
    asked = situation.params
    enough = law.level_for_loss((1 - asked.service_target) / asked.service_target * np.maximum(quantity, 1.0))
    if asked.objective == SERVICE:
        return enough
    held = situation.holding * quantity / np.maximum(situation.rate, 1e-9)
    ratio = situation.lost / np.maximum(situation.lost + held, 1e-12)
    return np.maximum(law.quantile(ratio), enough)
