"""The best that anybody could decide who knew the truth: prices, orders, refusals, ads, lists.

Pure functions of arrays, so that a domain's decisions can be held against them at any size, and readers of the folder
`truth` that give them what they need. No model may use either.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ecomine.simulation import demand
from ecomine.simulation.catalogue import Catalogue
from ecomine.simulation.prices import RIVALS_FOLLOW
from ecomine.simulation.sessions import BASE, SEARCH
from ecomine.simulation.stock import LATE_DAYS

HOLDING_SHARE = 0.004
"""What a unit in stock costs a day (capital, space, what spoils), as a share of its cost."""

ORDER_COST = 0.5
"""What an order to a supplier costs, in money, whatever its size."""

CELLS = 4_000_000
"""Entries of a distribution table that are in memory together."""


def optimal_price(
    reference: np.ndarray,
    cost: np.ndarray,
    elasticity: np.ndarray,
    low: np.ndarray | float = 0.5,
    high: np.ndarray | float = 1.6,
    steps: int = 221,
) -> np.ndarray:
    """The price with the greatest expected profit of each item, other prices as they are.

    `low` and `high` bound it as factors of the reference price. Averaged over people's sensitivities, demand has no
    constant elasticity, so that the price is searched on a grid (`steps` prices an item, evenly spaced in logs) and
    refined by a parabola through the best three. Unbounded and with one kind of people it is e / (e − 1) · cost.
    """
    reference, cost, elasticity = (np.asarray(values, float) for values in (reference, cost, elasticity))
    log_low = np.log(np.broadcast_to(low, reference.shape))
    log_high = np.log(np.broadcast_to(high, reference.shape))
    step = (log_high - log_low) / (steps - 1)
    grid = log_low[:, None] + step[:, None] * np.arange(steps)
    profit = (reference[:, None] * np.exp(grid) - cost[:, None]) * demand.expected_response(
        grid, np.broadcast_to(elasticity[:, None], grid.shape)
    )
    best = np.argmax(profit, axis=1)
    inner = np.clip(best, 1, steps - 2)
    row = np.arange(len(best))
    left, middle, right = profit[row, inner - 1], profit[row, inner], profit[row, inner + 1]
    curve = left - 2 * middle + right
    shift = np.where((best == inner) & (curve < 0), 0.5 * (left - right) / np.where(curve == 0, -1, curve), 0.0)
    log_best = np.where(best == inner, grid[row, inner] + shift * step, grid[row, best])
    return reference * np.exp(log_best)


def best_prices(goods: Catalogue, units: np.ndarray, low: float = 0.5, high: float = 1.6) -> np.ndarray:
    """Prices with the greatest expected profit of all products together, where `units` sell at reference prices.

    Beyond optimal_price they count in what a price does to substitutes and complements, and that rivals follow
    (prices.RIVALS_FOLLOW) in the end. A local optimum by L-BFGS-B from the prices that are best one by one, with the
    exact gradient; never worse than those.
    """
    from scipy import optimize

    reference, cost, live = goods.reference_price, goods.cost, np.ones(goods.items, bool)
    size = np.bincount(goods.leaf, minlength=goods.leaves)[goods.leaf]
    neighbour = goods.cross / np.maximum(size - 1, 1)

    def loss(log_ratio: np.ndarray) -> tuple[float, np.ndarray]:
        context = demand.context(
            log_ratio[:, None], RIVALS_FOLLOW * log_ratio, goods.leaf, live, goods.cross,
            goods.complement, goods.complementary, goods.rival,
        )[:, 0]  # fmt: skip
        price, others = reference * np.exp(log_ratio), units * np.exp(context)
        sold = others * demand.expected_response(log_ratio, goods.elasticity)
        profit = (price - cost) * sold
        slope = price * sold + (price - cost) * others * demand.response_slope(log_ratio, goods.elasticity)
        pull = profit * neighbour
        slope += np.bincount(goods.leaf, pull, goods.leaves)[goods.leaf] - pull + RIVALS_FOLLOW * goods.rival * profit
        slope -= np.bincount(goods.complement, goods.complementary * profit, goods.items)
        return -float(profit.sum()), -slope

    start = np.log(optimal_price(reference, cost, goods.elasticity, low, high) / reference)
    scale = max(-loss(start)[0], 1e-9)
    found = optimize.minimize(
        lambda x: tuple(part / scale for part in loss(x)), start, jac=True, method="L-BFGS-B",
        bounds=[(np.log(low), np.log(high))] * goods.items, options={"maxiter": 200},
    )  # fmt: skip
    return reference * np.exp(found.x)


def expected_profit(
    price: np.ndarray, reference: np.ndarray, cost: np.ndarray, elasticity: np.ndarray, units: np.ndarray
) -> np.ndarray:
    """Profit of an item at `price`, where `units` would be sold at the reference price."""
    log_ratio = np.log(np.asarray(price, float) / reference)
    return units * (price - cost) * demand.expected_response(log_ratio, elasticity)


def order_up_to(mean: np.ndarray, days: np.ndarray, holding: np.ndarray, lost: np.ndarray) -> np.ndarray:
    """Units to fill up to for Poisson demand of `mean` a day over `days` (lead time and review).

    The critical fractile lost / (lost + holding · days) of demand over the time; `holding` is the cost of a unit a day,
    `lost` the margin of a sale missed. Source: Snyder and Shen, Fundamentals of Supply Chain Theory, 4.3.

    >>> float(order_up_to(2.0, 5.0, 0.01, 1.0))
    16.0
    """
    from scipy import stats

    fractile = lost / (lost + np.asarray(holding) * days)
    return stats.poisson.ppf(fractile, np.asarray(mean) * days)


@dataclass(frozen=True)
class Orders:
    """A stock policy and its worth, an entry an item (and location).

    When on hand plus on order is at most `reorder_point`, it is filled up to `order_up_to`; `value` is the expected
    profit a day: margin of what is sold, less what holding and ordering cost. What is not worth stocking has a
    reorder point of -1 and nothing else.
    """

    reorder_point: np.ndarray
    order_up_to: np.ndarray
    value: np.ndarray


def best_orders(
    mean: np.ndarray,
    extra: np.ndarray,
    lead_days: np.ndarray,
    margin: np.ndarray,
    holding: np.ndarray,
    order_cost: float = ORDER_COST,
    late_days: float = LATE_DAYS,
) -> Orders:
    """The best reorder points and order-up-to levels of who knows the distribution of demand.

    Demand of `mean` units a day comes in lines of 1 + Poisson(`extra`) units, and is lost where there is no stock;
    a delivery takes `lead_days` and Poisson(`late_days`) more. `holding` is the cost of a unit a day. The quantity is
    sqrt(2 · mean · (order_cost + margin · n) / holding), the point the fractile 1 - Q·h / (m·mean + Q·h) of demand
    until a delivery, n the units expected to be missed in between; both in turn until they agree. Source: Hadley and
    Whitin, Analysis of Inventory Systems (1963), 4-2, the case of lost sales.
    """
    mean, extra, lead, margin, holding = (
        np.atleast_1d(np.asarray(one, float)) for one in np.broadcast_arrays(mean, extra, lead_days, margin, holding)
    )
    point, up_to, value = (np.full(len(mean), fill) for fill in (-1.0, 0.0, 0.0))
    for rows, below in lead_time_demand(mean, extra, lead, late_days):
        rate, gain, cost = mean[rows], margin[rows], holding[rows]
        missed = np.maximum((rate * (lead[rows] + late_days))[:, None] - _sums_before(1 - below), 0.0)
        one, short = np.arange(len(rows)), np.zeros(len(rows))
        for _ in range(6):
            # Stock is looked at once a day, so that less than a day's demand is never ordered.
            quantity = np.maximum(np.round(np.sqrt(2 * rate * (order_cost + gain * short) / cost)), np.maximum(rate, 1))
            fractile = 1 - quantity * cost / (gain * rate + quantity * cost)
            at = np.minimum((below < fractile[:, None]).sum(axis=1), below.shape[1] - 1)
            short = missed[one, at]
        worth = order_value(at, quantity, short, rate, (lead[rows] + late_days) * rate, gain, cost, order_cost)
        kept = worth > 0
        point[rows], value[rows] = np.where(kept, at, -1.0), np.where(kept, worth, 0.0)
        up_to[rows] = np.where(kept, at + np.ceil(quantity), 0.0)
    return Orders(point, up_to, value)


def order_value(
    point: np.ndarray,
    quantity: np.ndarray,
    missed: np.ndarray,
    mean: np.ndarray,
    until_delivery: np.ndarray,
    margin: np.ndarray,
    holding: np.ndarray,
    order_cost: float = ORDER_COST,
) -> np.ndarray:
    """Expected profit a day of ordering `quantity` at `point`, where `missed` units are lost in an average cycle.

    `until_delivery` is the mean demand until a delivery. Source: as in best_orders.
    """
    cycles = mean / (quantity + missed)
    held = point - until_delivery + missed + quantity / 2
    return margin * (mean - cycles * missed) - holding * held - order_cost * cycles


def lead_time_demand(
    mean: np.ndarray, extra: np.ndarray, days: np.ndarray, late_days: float = 0.0
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Distribution of demand over `days` and Poisson(`late_days`) more, some rows at a time.

    Yields row numbers and P(demand <= 0, 1, 2 …), a row each. A compound Poisson distribution, found by a Fourier
    transform of its generating function; rows of like size go together. Rows without demand are left out.
    """
    lines = mean / (1 + extra)
    spread = lines * ((1 + extra) ** 2 + extra) * (days + late_days) + mean**2 * late_days
    longest = mean * (days + late_days) + 12 * np.sqrt(spread) + 40
    sizes = np.where(mean > 0, 2 ** np.ceil(np.log2(longest)).astype(int), 0)
    for size in np.unique(sizes[sizes > 0]):
        every = np.flatnonzero(sizes == size)
        z = np.exp(-2j * np.pi * np.arange(size // 2 + 1) / size)
        for first in range(0, len(every), max(1, CELLS // size)):
            rows = every[first : first + max(1, CELLS // size)]
            day = lines[rows, None] * (z * np.exp(extra[rows, None] * (z - 1)) - 1)
            law = np.exp(days[rows, None] * day + late_days * (np.exp(day) - 1))
            yield rows, np.minimum(np.cumsum(np.maximum(np.fft.irfft(law, size), 0.0), axis=1), 1.0)


def _sums_before(rows: np.ndarray) -> np.ndarray:
    """Of each row the sums of all entries before each."""
    return np.cumsum(rows, axis=1) - rows


def refuse(fraud: np.ndarray, amount: np.ndarray, margin: np.ndarray, capacity: int | None = None) -> np.ndarray:
    """The payments to refuse by who knows which are fraud: those with the greatest loss, `capacity` of them at most."""
    loss = np.where(fraud, amount - margin, -margin)
    chosen = loss > 0
    if capacity is not None and chosen.sum() > capacity:
        order = np.argsort(-loss, kind="stable")[:capacity]
        chosen = np.zeros(len(loss), bool)
        chosen[order] = True
    return chosen


def bid(uplift: np.ndarray, margin: np.ndarray) -> np.ndarray:
    """The best bid in a second-price auction: what the contact is worth, its uplift times the margin of a sale."""
    return np.maximum(np.asarray(uplift) * margin, 0.0)


def first_price_bid(worth: np.ndarray, median: float, spread: float) -> np.ndarray:
    """The best bid where one pays one's own bid: the greatest (worth - b) · P(rivals' highest bid < b).

    The rivals' highest bid is lognormal (`median`, `spread` of its log). At the best b its worth is b + F(b) / f(b),
    which rises with b, so that the bid is read off that curve.

    >>> float(first_price_bid(np.array([0.1]), 0.035, 0.6)[0].round(3))
    0.047
    """
    from scipy import special

    bids = median * np.exp(spread * np.linspace(-6, 6, 2401))
    z = np.log(bids / median) / spread
    worth_at = bids + bids * spread * special.ndtr(z) * np.sqrt(2 * np.pi) * np.exp(z**2 / 2)
    return np.interp(worth, worth_at, bids, left=0.0)


def expected_spend(bid: np.ndarray, median: float, spread: float, first_price: bool = False) -> np.ndarray:
    """Money expected to be paid in an auction against a lognormal highest bid of rivals."""
    from scipy import special

    z = np.log(np.maximum(bid, 1e-12) / median) / spread
    if first_price:
        return bid * special.ndtr(z)
    return median * np.exp(spread**2 / 2) * special.ndtr(z - spread)


def uplift(click_chance: np.ndarray, take_chance: np.ndarray, without: np.ndarray) -> np.ndarray:
    """Rise of the probability of buying by an ad, where the probability without it is `without`."""
    return (1 - np.asarray(without)) * click_chance * take_chance


def list_value(
    person_taste: np.ndarray, item_taste: np.ndarray, appeal: np.ndarray, margin: np.ndarray, factor: np.ndarray
) -> np.ndarray:
    """Expected margin of showing each item (columns) to each person (rows) where it is surely looked at.

    `factor` is that of demand at today's prices, by item. The best list of k is the k greatest of a row.
    """
    opened = demand.relevance(person_taste @ item_taste.T, appeal)
    return opened * demand.probability(BASE[SEARCH], factor) * margin


def read(truth: Path, name: str) -> pd.DataFrame:
    """A table of the truth: people, items, orders, demand, payments, contacts, credit, dirt or taste_change."""
    import duckdb

    folder = truth / name
    files = folder / "*.parquet" if folder.is_dir() else truth / f"{name}.parquet"
    return duckdb.read_parquet(files.as_posix()).df()


def base_demand(truth: Path) -> pd.DataFrame:
    """Units a day at reference prices by item_id and location_id, without stock-outs: what all days taught.

    Wanted units over the sum of all days' factors of demand, the maximum-likelihood estimate of a Poisson rate.
    """
    days = read(truth, "demand").merge(read(truth, "items")[["item_id", "elasticity"]], on="item_id")
    factor = demand.expected_response(days["log_ratio"].to_numpy(), days["elasticity"].to_numpy())
    days["factor"] = factor * np.exp(days["context"]) * days["attention"]
    sums = days.groupby(["item_id", "location_id"], sort=True)[["organic", "factor"]].sum()
    return (sums["organic"] / sums["factor"]).rename("units").reset_index()
