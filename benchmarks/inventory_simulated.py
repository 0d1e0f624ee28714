"""Orders on a simulated shop whose demand law is known: what they cost beside the oracle's and beside a plain rule.

Protocol: the environment ecomine/Replenishment-v0 (`--items` products, three units a day on average). For two years
the shop orders by its own rule, which follows censored sales; its records are all that is learned from: units sold,
stock in the evening, prices and promotions, rivals' prices as they were last seen, lead times of past deliveries.
Then each policy orders for `--warm-up` days that are not counted and `--days` that are, every evening, on the same
customers, prices and lateness of suppliers. Forecasts are fitted anew every fortnight on the records so far, which
are those of the policy's own orders. Cost is holding + orders + margin and goodwill of lost sales, money by the
environment's own rates; the demand wanted is the same for all. The oracle (`by_demand`) knows the law of demand and
its mean on every coming day. The moving average orders for the lead time and fixed safety days of the mean sales of
28 days, a week at once; its safety days are those that cost least on seeds 7 and 11. Everything else was chosen on
these seeds too; the default is another. A day sold out where at most `SPARE` units are left, as who wants several of
them went without; the least that was wanted are then the units sold beyond them. The truth is read by the judge
alone.
"""

import argparse
import copy
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from benchmarks.report import Row, report
from ecomine.inventory import DemandForecaster, InventoryParams, RateForecaster
from ecomine.inventory.law import DemandLaw
from ecomine.inventory.policies import POLICIES, days_of_cover
from ecomine.inventory.replenishment import Forecaster
from ecomine.inventory.situation import Situation
from ecomine.simulation.environments.assortment import assortment
from ecomine.simulation.environments.replenishment import Replenishment, by_demand, by_sales
from ecomine.simulation.prices import week_prices
from ecomine.simulation.randomness import stream
from ecomine.simulation.stock import LATE_DAYS, LONGEST_LEAD

HISTORY = 728
REFIT = 14
AHEAD = LONGEST_LEAD + REFIT + 3
SPARE = 2
USUAL_DAYS = 28
SAFETY_DAYS = 2.0
START = pd.Timestamp("2024-01-01")


@dataclass
class Shop:
    """A world and what the shop has recorded of it, days × items."""

    world: Replenishment
    sold: list[np.ndarray] = field(default_factory=list)
    left: list[np.ndarray] = field(default_factory=list)
    wanted: list[np.ndarray] = field(default_factory=list)
    rival: list[np.ndarray] = field(default_factory=list)
    lateness: list[np.ndarray] = field(default_factory=list)
    cost: np.ndarray | None = None

    def order(self, units: np.ndarray) -> np.ndarray:
        """One day; gives its costs by item."""
        world = self.world
        day = world.day
        self.rival.append(world.rivals.min(axis=0).copy())
        late = stream(world.params.seed, "lead times", day).poisson(LATE_DAYS, (world.items, 1))[:, 0]
        reward, told = world.decide(units)
        self.lateness.append(np.where(told["ordered"] > 0, late, -1))
        for name in ("units", "left", "wanted"):
            getattr(self, {"units": "sold"}.get(name, name)).append(told[name])
        margin = world.market(day).price[:, 0] - world.shop.goods.cost
        return margin * told["wanted"] - reward

    def plan(self, first: int, last: int) -> dict[str, np.ndarray]:
        """Prices and promotions of days, by name, days × items; the shop's own plan, known before."""
        goods, params = self.world.shop.goods, self.world.params
        numbers = [(self.world.first + day) // 7 for day in range(first, last)]
        weeks = {week: week_prices(params, goods, week) for week in set(numbers)}
        days = [weeks[week] for week in numbers]
        price = np.stack([week.price[:, 0] for week in days])
        log = np.log(price)
        leaves = goods.leaf.max() + 1
        size = np.bincount(goods.leaf, minlength=leaves)[goods.leaf]
        total = np.stack([np.bincount(goods.leaf, row, leaves)[goods.leaf] for row in log])
        return {
            "price": price,
            "display": np.stack([week.displayed for week in days]).astype(float),
            "mailer": np.stack([week.mailed for week in days]).astype(float),
            "others": (total - log) / np.maximum(size - 1, 1),
        }

    def rows(self, first: int, last: int, rival: np.ndarray) -> pd.DataFrame:
        """Days of the plan as rows for a forecaster; `rival` are the rivals' log prices, days × items."""
        items = self.world.items
        day = np.repeat(np.arange(first, last), items)
        frame = pd.DataFrame(
            {
                "item_id": np.tile(np.arange(items), last - first).astype(str),
                "location_id": "shop",
                "date": START + pd.to_timedelta(self.world.first + day, unit="D"),
                "category": np.tile(self.world.shop.goods.leaf, last - first).astype(str),
                **{name: values.ravel() for name, values in self.plan(first, last).items()},
            }
        )
        return frame.assign(rival=rival.ravel())

    def records(self) -> pd.DataFrame:
        """All days so far with sales and stock, as the shop has them."""
        sold, left = np.array(self.sold, float), np.array(self.left, float)
        short = left <= SPARE
        frame = self.rows(0, len(sold), np.array(self.rival))
        return frame.assign(
            quantity=np.where(short, np.maximum(sold + left - SPARE, 0), sold).ravel(),
            stock=np.where(short, 0.0, left).ravel(),
        )


def with_history(seed: int, items: int) -> Shop:
    """A shop after its year."""
    world = Replenishment(assortment(items, seed=seed))
    world.begin(seed)
    shop = Shop(world)
    for _ in range(HISTORY):
        shop.order(by_sales(world))
    return shop


Orders = Callable[[Shop], np.ndarray]

FORECASTERS: dict[str, Callable[[], Forecaster]] = {
    "rates": RateForecaster,
    "demand": lambda: DemandForecaster(replace(InventoryParams().forecast, horizon=AHEAD), threads=1),
}


def judged(history: Shop, warm_up: int, days: int, orders: Callable[[Shop], Orders]) -> dict[str, float]:
    """Cost a day and its parts, and the fill rate, of a policy after the warm-up."""
    shop = copy.deepcopy(history)
    order, cost = orders(shop), np.zeros(history.world.items)
    for day in range(warm_up + days):
        paid = shop.order(order(shop))
        cost += paid if day >= warm_up else 0.0
    wanted, sold = (np.array(getattr(shop, name)[-days:]) for name in ("wanted", "sold"))
    return {"cost": float(cost.sum() / days), "fill_rate": float(sold.sum() / wanted.sum())}


def situation(shop: Shop, params: InventoryParams) -> Situation:
    """The shelf of an evening; lead times as they were until then."""
    world = shop.world
    late = np.array(shop.lateness)
    late = late[late >= 0]
    goods = world.shop.goods
    series = pd.DataFrame(
        {
            "item_id": np.arange(world.items).astype(str),
            "location_id": "shop",
            "on_hand": world.shelf.on_hand[:, 0].astype(float),
            "on_order": world.shelf.on_order[:, 0].astype(float),
            "lead_days": goods.lead_days + late.mean(),
            "lead_sd": late.std(),
            "unit_cost": goods.cost,
            "price": np.exp(np.log(shop.plan(HISTORY - 56, HISTORY)["price"]).mean(axis=0)),
            "usage": np.array(shop.sold[-USUAL_DAYS:]).mean(axis=0),
        }
    )
    return Situation(series, DemandLaw.of(np.zeros(world.items)), params)


def by_forecast_of(make: Callable[[], Forecaster], name: str, params: InventoryParams) -> Callable[[Shop], Orders]:
    """A policy of the five on a forecaster, which is fitted anew every fortnight."""

    def begin(shop: Shop) -> Orders:
        daily, spread, since = np.zeros(0), np.zeros(0), REFIT

        def order(shop: Shop) -> np.ndarray:
            nonlocal daily, spread, since
            empty = situation(shop, params)
            if since == REFIT:
                daily, spread = forecast(make(), shop, empty)
                since = 0
            share = np.clip(empty.days[:, None] - np.arange(AHEAD - REFIT), 0.0, 1.0)
            mean = (daily[:, since : since + AHEAD - REFIT] * share).sum(axis=1)
            now = replace(empty, law=DemandLaw.of(mean, np.sqrt(spread * mean)), week=daily[:, since : since + 7])
            since += 1
            return POLICIES[name](now).short(now.position)

        return order

    return begin


def forecast(model: Forecaster, shop: Shop, now: Situation) -> tuple[np.ndarray, np.ndarray]:
    """Daily means of coming days, items × AHEAD, and variance ÷ mean of demand until a delivery."""
    days = len(shop.sold)
    # Rivals are expected to stay where they were last seen.
    known = shop.rows(days, days + AHEAD, np.tile(shop.rival[-1], (AHEAD, 1)))
    model.fit(shop.records())
    numbers = now.series["item_id"]
    daily = model.predict(AHEAD, known).pivot(index="item_id", columns="date", values="mean").loc[numbers].to_numpy()
    periods = now.series[["item_id", "location_id"]].assign(periods=np.ceil(now.days).astype(int))
    law = DemandLaw.of_forecast(model.totals(periods, known).set_index("item_id").loc[numbers])
    return daily, law.sd**2 / np.maximum(law.mean, 1e-12)


def by_moving_average(params: InventoryParams) -> Callable[[Shop], Orders]:
    """Mean sales of the last weeks, stock-outs counted as no demand, and fixed safety days."""

    def order(shop: Shop) -> np.ndarray:
        now = situation(shop, params)
        now = replace(now, law=DemandLaw.of(now.series["usage"].to_numpy() * now.days))
        return days_of_cover(now).short(now.position)

    return lambda shop: order


def by_oracle(shop: Shop) -> Orders:
    policy = by_demand(shop.world)
    return lambda shop: policy(shop.world)


def biases(shop: Shop) -> dict[str, float]:
    """Demand of the history as it is estimated ÷ as it was, with and without correction of stock-outs."""
    records, wanted = shop.records(), np.array(shop.wanted, float)
    told = {
        name: RateForecaster(correct=correct).fit(records.assign(quantity=quantity.ravel())).units.sum() / wanted.sum()
        for name, correct, quantity in (
            ("with", True, records["quantity"].to_numpy()),
            ("without", False, np.array(shop.sold, float)),
        )
    }
    return {**told, "sold_out": float((np.array(shop.left) <= 0).mean())}


def main() -> None:
    """Simulate, learn, order, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="not needed: the shop is simulated")
    parser.add_argument("--items", type=int, default=200)
    parser.add_argument("--days", type=int, default=84)
    parser.add_argument("--warm-up", type=int, default=28)
    parser.add_argument("--seed", type=int, default=23)
    parser.add_argument("--all", action="store_true", help="all five policies, not the chosen one alone")
    parser.add_argument("--forecaster", choices=FORECASTERS, default="rates", help="what orders rest on")
    options = parser.parse_args()
    params = InventoryParams(safety_days=SAFETY_DAYS)
    history = with_history(options.seed, options.items)
    case = (history, options.warm_up, options.days)
    oracle = judged(*case, by_oracle)
    plain = judged(*case, by_moving_average(params))
    names = list(POLICIES) if options.all else [params.policy]
    found = {name: judged(*case, by_forecast_of(FORECASTERS[options.forecaster], name, params)) for name in names}
    chosen = found[params.policy]
    bias = biases(history)
    rows = [
        Row("cost ÷ the oracle's", chosen["cost"] / oracle["cost"], 1.08),
        Row("cost ÷ the moving average's", chosen["cost"] / plain["cost"], 0.85),
        Row("fill rate; target", chosen["fill_rate"], params.service_target),
        Row("cost a day: oracle", oracle["cost"]),
        Row("cost a day: moving average", plain["cost"]),
        *(Row(f"cost a day: {name}", told["cost"]) for name, told in found.items()),
        Row("fill rate: oracle", oracle["fill_rate"]),
        Row("fill rate: moving average", plain["fill_rate"]),
        *(Row(f"fill rate: {name}", told["fill_rate"]) for name, told in found.items()),
        Row("demand estimated ÷ true, stock-outs corrected", bias["with"], 1.0),
        Row("demand estimated ÷ true, not corrected", bias["without"], 1.0),
        Row("share of evenings with nothing left", bias["sold_out"]),
    ]
    size = f"{options.items} items, {HISTORY} days of history, {options.days} days counted"
    told = f"{size}, seed {options.seed}, orders by {options.forecaster}"
    report("inventory_simulated", told, rows)


if __name__ == "__main__":
    main()
