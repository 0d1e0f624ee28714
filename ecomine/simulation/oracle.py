"""The best that anybody could decide who knew the truth: prices, orders, refusals, ads, lists.

Pure functions of arrays, so that a domain's decisions can be held against them at any size, and readers of the folder
`truth` that give them what they need. No model may use either.
"""

from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
from scipy import stats

from ecomine.simulation import demand
from ecomine.simulation.sessions import BASE, SEARCH


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
    fractile = lost / (lost + np.asarray(holding) * days)
    return stats.poisson.ppf(fractile, np.asarray(mean) * days)


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
    """A table of the truth: people, items, demand, payments, contacts, credit or dirt."""
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
