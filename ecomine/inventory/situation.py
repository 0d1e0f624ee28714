"""What a policy decides on: the series with their stock and money as arrays, and the law of demand until it can act."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from ecomine.columns import require
from ecomine.errors import FeatureError
from ecomine.inventory.law import DemandLaw
from ecomine.inventory.params import InventoryParams

KEYS = ("item_id", "location_id")
WEEK = 7


@dataclass(frozen=True)
class Situation:
    """Series in one evening: a row of `series` is an item at a place, with `on_hand` and `on_order` units.

    `law` is demand until the next order can be there. An order of this evening is there in the morning of the day
    `lead_days` from now, the next one `review_days` later, so that it is the demand of `days` days. `week` (series × 7)
    is the demand expected by day of the week, tomorrow first, where it is known.
    """

    series: pd.DataFrame
    law: DemandLaw
    params: InventoryParams
    week: np.ndarray | None = None

    def __post_init__(self) -> None:
        require(self.series.columns, (*KEYS, "on_hand", "on_order"), "series", "Say what is in stock and on its way.")
        if len(self.series) != len(self.law.mean):
            raise FeatureError(
                f"{len(self.series):,} series and {len(self.law.mean):,} forecasts; expected a forecast a series, in "
                "the same order."
            )

    def column(self, name: str) -> np.ndarray:
        """A column of the series; the setting of that name where it is absent or null, nan where that is null."""
        default = getattr(self.params, name, None)
        usual = np.nan if default is None else float(default)
        if name not in self.series.columns:
            return np.full(len(self.series), usual)
        given = self.series[name].to_numpy(float)
        return np.where(np.isnan(given), usual, given)

    @cached_property
    def lead_days(self) -> np.ndarray:
        return self.column("lead_days")

    @cached_property
    def days(self) -> np.ndarray:
        """Days that an order of now must last, see `protection`."""
        return protection(self.lead_days, self.params)

    @cached_property
    def rate(self) -> np.ndarray:
        """Units a day that are expected."""
        return np.asarray(self.law.mean / self.days)

    @cached_property
    def position(self) -> np.ndarray:
        """On hand and on order."""
        return self.series["on_hand"].to_numpy(float) + self.series["on_order"].to_numpy(float)

    @cached_property
    def price(self) -> np.ndarray:
        """Money asked for a unit; by the usual margin on its cost where it is not known, 1 where neither is."""
        own, cost = self.column("price"), self.column("unit_cost")
        return np.where(np.isnan(own), np.where(np.isnan(cost), 1.0, cost / (1 - self.params.margin)), own)

    @cached_property
    def unit_cost(self) -> np.ndarray:
        """What a unit costs the shop; by the usual margin where it is not known."""
        own = self.column("unit_cost")
        return np.where(np.isnan(own), self.price * (1 - self.params.margin), own)

    @cached_property
    def holding(self) -> np.ndarray:
        """Money a unit and day in stock."""
        return np.asarray(np.maximum(self.params.holding_share * self.unit_cost, 1e-9))

    @cached_property
    def lost(self) -> np.ndarray:
        """Money a unit that is wanted and not there."""
        return np.asarray((1 + self.params.lost_share) * np.maximum(self.price - self.unit_cost, 0.0))

    @cached_property
    def until_delivery(self) -> DemandLaw:
        """`law` with the lead time's own variance: late deliveries meet demand at its rate."""
        return DemandLaw.of(self.law.mean, np.hypot(self.law.sd, self.rate * self.column("lead_sd")))

    @cached_property
    def undershoot(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of how far below the reorder point the stock has fallen when that is seen.

        Between two looks a whole time's demand is taken, so that the first look at or below the point finds the
        remaining life of a renewal process: E[D(D-1)] / 2E[D], with the factorial moments of the negative binomial.
        Source: Tijms, A First Course in Stochastic Models (2003), 2.1, for whole units.
        """
        between = self.over(self.rate * self.params.review_days)
        mean = np.maximum(between.mean, 1e-12)
        varies = np.maximum(between.sd**2 - mean, 0.0) / mean**2
        second = mean**2 * (1 + varies)
        third = mean**3 * (1 + varies) * (1 + 2 * varies)
        first = second / (2 * mean)
        return first, np.maximum((2 * third + 3 * second) / (6 * mean) - first**2, 0.0)

    @cached_property
    def from_reorder_point(self) -> DemandLaw:
        """What is taken between falling to the reorder point and the delivery: undershoot, and demand meanwhile."""
        share = np.maximum(self.lead_days - 1, 0.0) / self.days
        below, spread = self.undershoot
        late = self.rate * self.column("lead_sd")
        sd = np.sqrt(self.law.sd**2 * share + spread + late**2)
        return DemandLaw.of(self.law.mean * share + below, sd)

    def over(self, mean: np.ndarray) -> DemandLaw:
        """The law of another time in which `mean` units are expected; variance goes with the mean."""
        spread = self.law.sd**2 / np.maximum(self.law.mean, 1e-12)
        return DemandLaw.of(mean, np.sqrt(spread * mean))


def protection(lead_days: np.ndarray | float, params: InventoryParams) -> np.ndarray:
    """Days that an order of now must last: until the delivery of the next one.

    >>> float(protection(5.0, InventoryParams(review_days=7)))
    11.0
    """
    return np.asarray(lead_days, float) + params.review_days - 1
