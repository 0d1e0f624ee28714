"""A policy put to the test on demand that was: what would have been in stock, sold, missed, held and paid.

Day by day, all series at once: in the morning what was ordered comes in (and what is too old goes out), customers take
what is there, in the evening the policy orders. Lead times are drawn once for every day and series, whether an order
goes out or not, so that policies are compared on the same random numbers (Law, Simulation Modeling and Analysis, 2015,
11.2).
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ecomine.errors import FeatureError, NotEnoughDataError
from ecomine.inventory.law import DemandLaw
from ecomine.inventory.policies import Levels, Policy
from ecomine.inventory.situation import Situation


@dataclass(frozen=True)
class Costs:
    """Money, an entry a series: `holding` a unit and night, `lost` a unit missed, `order` an order, `waste` a unit that
    grew too old.
    """

    holding: np.ndarray
    lost: np.ndarray
    order: np.ndarray
    waste: np.ndarray

    @classmethod
    def of(cls, situation: Situation) -> "Costs":
        """What the settings and the series' prices say."""
        cost = np.nan_to_num(situation.unit_cost)
        count = len(cost)
        return cls(situation.holding, situation.lost, np.full(count, situation.params.order_cost), cost)


@dataclass
class Store:
    """What a policy may see in the evening of `day` (from 0): stock, what is on its way, and sales so far.

    `arriving` are units by days from now (1 is tomorrow morning, row 0 is empty); `sold` and `left` are days ×
    series, up to and with this evening.
    """

    day: int
    on_hand: np.ndarray
    arriving: np.ndarray
    sold: np.ndarray
    left: np.ndarray

    @property
    def on_order(self) -> np.ndarray:
        return np.asarray(self.arriving.sum(axis=0))

    @property
    def position(self) -> np.ndarray:
        return np.asarray(self.on_hand + self.on_order)


Orders = Callable[[Store], np.ndarray]
"""Units to order of each series in an evening."""


@dataclass(frozen=True)
class Outcome:
    """What came of a policy after the warm-up: a row a series, and the days it was counted over."""

    series: pd.DataFrame
    days: int
    course: pd.DataFrame = field(repr=False)

    @property
    def cost(self) -> float:
        """Money of all series."""
        return float(self.series["cost"].sum())

    @property
    def fill_rate(self) -> float:
        """Units sold ÷ units wanted."""
        return float(self.series["sold"].sum() / max(float(self.series["demand"].sum()), 1e-12))

    def summary(self) -> dict[str, float]:
        """The figures of all series together; a day's, where they are money or units."""
        total = self.series.sum(numeric_only=True)
        return {
            "fill_rate": self.fill_rate,
            "cycle_service": float(1 - total["cycles_short"] / max(total["cycles"], 1)),
            "stock_out_share": float(total["days_short"] / (self.days * len(self.series))),
            "turns": float(total["sold"] / max(total["held"] / self.days, 1e-12) * 365 / self.days),
            "holding_cost": float(total["holding_cost"] / self.days),
            "ordering_cost": float(total["ordering_cost"] / self.days),
            "lost_cost": float(total["lost_cost"] / self.days),
            "waste_cost": float(total["waste_cost"] / self.days),
            "cost": float(total["cost"] / self.days),
        }


def lead_times(days: int, lead_days: np.ndarray, late_days: float = 0.0, seed: int = 42) -> np.ndarray:
    """Days until delivery of an order of each day and series: `lead_days` and Poisson(`late_days`) more; at least 1."""
    random = np.random.Generator(np.random.Philox(seed))
    late = random.poisson(late_days, (days, len(lead_days)))
    return np.maximum(np.round(lead_days).astype(np.int64) + late, 1)


def simulate(
    demand: np.ndarray,
    orders: Orders,
    lead: np.ndarray,
    costs: Costs,
    on_hand: np.ndarray,
    warm_up: int = 0,
    shelf_life: np.ndarray | None = None,
) -> Outcome:
    """What comes of `orders` on `demand` (units wanted, days × series) from a stock of `on_hand`.

    `lead` are days until delivery by day and series of the order (1: the next morning). Nothing of the first `warm_up`
    days is counted. `shelf_life` are days for which a unit can be sold from its delivery on, infinite where null.
    Raises NotEnoughDataError where no day is left to count, FeatureError for orders below zero or of another shape.
    """
    days, count = demand.shape
    if warm_up >= days or count == 0:
        raise NotEnoughDataError(
            f"{days} days of {count:,} series with {warm_up} days of warm-up; expected series and days beyond it."
        )
    life = np.full(count, np.inf) if shelf_life is None else np.where(np.isnan(shelf_life), np.inf, shelf_life)
    ages = int(life[np.isfinite(life)].max(initial=0)) + 1
    # Units by age, the last row being of any greater age; without shelf lives there is but that row.
    stock = np.zeros((ages, count))
    stock[0] = on_hand
    series = np.arange(count)
    arriving = np.zeros((int(lead.max(initial=1)) + 1, count))
    sold, left = np.zeros_like(demand, dtype=float), np.zeros_like(demand, dtype=float)
    wasted, ordered = np.zeros_like(sold), np.zeros_like(sold)
    clear = np.ones(count, bool)
    cycles, cycles_short = np.zeros(count), np.zeros(count)
    for day in range(days):
        if ages > 1 and day:
            stock[-1] += stock[-2]
            stock[1:-1] = stock[:-2].copy()
            stock[0] = 0.0
            old = np.arange(ages)[:, None] >= life
            wasted[day] = np.where(old, stock, 0.0).sum(axis=0)
            stock[old] = 0.0
        came = arriving[1] > 0
        if day > warm_up:
            cycles += came
            cycles_short += came & ~clear
        clear = np.where(came, True, clear)
        stock[0] += arriving[1]
        arriving[:-1] = arriving[1:]
        arriving[-1], arriving[0] = 0.0, 0.0
        sold[day] = _take(stock, demand[day])
        clear &= sold[day] >= demand[day]
        left[day] = stock.sum(axis=0)
        units = np.asarray(
            orders(Store(day, left[day].copy(), arriving.copy(), sold[: day + 1], left[: day + 1])), float
        )
        if units.shape != (count,) or (units < 0).any():
            raise FeatureError(f"Orders of shape {units.shape}, the least {units.min(initial=0):g}; expected {count}.")
        arriving[lead[day], series] += units
        ordered[day] = units
    cycles += 1
    cycles_short += ~clear
    counted = slice(warm_up, None)
    told = pd.DataFrame(
        {
            "demand": demand[counted].sum(axis=0, dtype=float),
            "sold": sold[counted].sum(axis=0),
            "ordered": ordered[counted].sum(axis=0),
            "wasted": wasted[counted].sum(axis=0),
            "held": left[counted].sum(axis=0),
            "orders": (ordered[counted] > 0).sum(axis=0).astype(float),
            "days_short": (sold[counted] < demand[counted]).sum(axis=0).astype(float),
            "cycles": cycles,
            "cycles_short": cycles_short,
            "on_hand": left[-1],
            "on_order": arriving.sum(axis=0),
        }
    )
    told["lost"] = told["demand"] - told["sold"]
    told["fill_rate"] = np.where(told["demand"] > 0, told["sold"] / np.maximum(told["demand"], 1e-12), 1.0)
    told["holding_cost"] = costs.holding * told["held"]
    told["ordering_cost"] = costs.order * told["orders"]
    told["lost_cost"] = costs.lost * told["lost"]
    told["waste_cost"] = costs.waste * told["wasted"]
    told["cost"] = told[["holding_cost", "ordering_cost", "lost_cost", "waste_cost"]].sum(axis=1)
    course = pd.DataFrame(
        {
            "day": np.arange(days),
            "demand": demand.sum(axis=1, dtype=float),
            "sold": sold.sum(axis=1),
            "held": left.sum(axis=1),
            "ordered": ordered.sum(axis=1),
        }
    )
    return Outcome(told, days - warm_up, course)


def _take(stock: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Units taken of each series, the oldest first; `stock` (ages × series) falls."""
    before = np.cumsum(stock[::-1], axis=0) - stock[::-1]
    taken = np.clip(wanted - before, 0.0, stock[::-1])
    stock -= taken[::-1]
    return np.asarray(taken.sum(axis=0))


def following(levels: Levels, least: np.ndarray | float = 0.0, pack: np.ndarray | float = 1.0) -> Orders:
    """Orders by levels that stay as they are."""

    def orders(store: Store) -> np.ndarray:
        units = levels.short(store.position)
        return np.where(units > 0, np.maximum(np.ceil(units / pack - 1e-9) * pack, least), 0.0)

    return orders


Outlook = Callable[[Store], tuple[DemandLaw, np.ndarray | None]]
"""What is forecast in an evening: the law of demand until the next order can be there, and the coming week's demand."""


def replanning(policy: Policy, situation: Situation, outlook: Outlook, every: int = 1) -> Orders:
    """Orders of a policy that sets its levels anew every `every` days by `outlook`; constraints of its settings hold.

    `situation` gives series and settings; its stock and law are those of the evening at hand.
    """
    from dataclasses import replace

    from ecomine.inventory.constraints import order

    law, week = situation.law, situation.week

    def orders(store: Store) -> np.ndarray:
        nonlocal law, week
        if store.day % every == 0:
            law, week = outlook(store)
        elif week is not None:
            week = np.roll(week, -1, axis=1)
        now = replace(
            situation,
            series=situation.series.assign(on_hand=store.on_hand, on_order=store.on_order),
            law=law,
            week=week,
        )
        if (store.day + 1) % situation.params.review_days:
            return np.zeros(len(store.on_hand))
        return order(now, policy(now))[0]

    return orders


def moving_average(situation: Situation, days: int = 28, past: np.ndarray | None = None) -> Outlook:
    """The outlook of who looks at mean sales of the last `days` alone, stock-outs counted as no demand.

    `past` are sales before the first day, days × series.
    """

    def outlook(store: Store) -> tuple[DemandLaw, np.ndarray | None]:
        recent = _recent(store, past, days)
        return DemandLaw.of(recent.mean(axis=0) * situation.days), None

    return outlook


def seasonal_naive(situation: Situation, season: int = 7, seasons: int = 4, past: np.ndarray | None = None) -> Outlook:
    """The outlook of who expects of each day what the same one of the last weeks sold on average; `past` as above."""

    def outlook(store: Store) -> tuple[DemandLaw, np.ndarray | None]:
        recent = _recent(store, past, season * seasons)
        # The mean by place in the season, tomorrow's first.
        place = (np.arange(len(recent)) - len(recent)) % season
        count = np.maximum(np.bincount(place, minlength=season), 1)
        mean = np.stack([recent[place == one].sum(axis=0) for one in range(season)]) / count[:, None]
        whole, part = np.divmod(situation.days, season)
        share = np.clip(part - np.arange(season)[:, None], 0.0, 1.0)
        return DemandLaw.of(whole * mean.sum(axis=0) + (mean * share).sum(axis=0)), None

    return outlook


def _recent(store: Store, past: np.ndarray | None, days: int) -> np.ndarray:
    """Sales of the last `days`, days × series."""
    if past is None or len(store.sold) >= days:
        return store.sold[-days:]
    return np.vstack([past[len(past) - min(days - len(store.sold), len(past)) :], store.sold])
