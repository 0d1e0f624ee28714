"""The textbook's formulas of lot sizes and stock levels, as plain functions of numbers.

Equation and example numbers are those of Snyder and Shen, Fundamentals of Supply Chain Theory, 2nd edition (2019).
`holding` is money a unit and period, `stockout` money a unit that is missing (and period, where it is backordered),
`fixed` money an order, `mean` and `sd` those of demand.
"""

import math

import numpy as np
from scipy import integrate, optimize, special

from ecomine.errors import SettingsError
from ecomine.inventory.law import DemandLaw


def normal_loss(level: np.ndarray | float, mean: np.ndarray | float, sd: np.ndarray | float) -> np.ndarray:
    """Units expected to be missing at a stock of `level` under normal demand: E[(D - level)+].

    >>> float(normal_loss(18, 15, 3).round(4))
    0.2499
    """
    z = (np.asarray(level, float) - mean) / sd
    return np.asarray(sd * (_density(z) - z * special.ndtr(-z)))


def economic_order_quantity(
    fixed: np.ndarray | float, holding: np.ndarray | float, mean: np.ndarray | float
) -> tuple[np.ndarray, np.ndarray]:
    """Quantity of least cost under steady demand, and its cost a period (3.4, 3.5; example 3.1).

    >>> quantity, cost = economic_order_quantity(8, 0.225, 1300)
    >>> float(quantity.round(4)), float(cost.round(4))
    (304.0468, 68.4105)
    """
    fixed, holding, mean = (np.asarray(one, float) for one in (fixed, holding, mean))
    return np.sqrt(2 * fixed * mean / holding), np.sqrt(2 * fixed * mean * holding)


def order_quantity_with_backorders(
    fixed: float, holding: float, stockout: float, mean: float
) -> tuple[float, float, float]:
    """Quantity, share of demand backordered, and cost a period where customers wait (3.27–3.29; example 3.8)."""
    quantity = math.sqrt(2 * fixed * mean * (holding + stockout) / (holding * stockout))
    cost = math.sqrt(2 * fixed * mean * holding * stockout / (holding + stockout))
    return quantity, holding / (holding + stockout), cost


def production_quantity(fixed: float, holding: float, mean: float, rate: float) -> tuple[float, float]:
    """Lot of least cost where units come at a finite `rate` a period, and its cost (3.31, 3.32)."""
    if rate <= mean:
        raise SettingsError(f"Units come at {rate:g} a period and {mean:g} are wanted; expected a greater rate.")
    net = holding * (1 - mean / rate)
    return math.sqrt(2 * fixed * mean / net), math.sqrt(2 * fixed * mean * net)


def critical_ratio(holding: np.ndarray | float, stockout: np.ndarray | float) -> np.ndarray:
    """Probability with which demand must be met: p / (h + p)."""
    stockout = np.asarray(stockout, float)
    return np.asarray(stockout / (np.asarray(holding, float) + stockout))


def newsvendor_normal(holding: float, stockout: float, mean: float, sd: float) -> tuple[float, float]:
    """Level of least expected cost for one period, and that cost (4.24, 4.30; example 4.3).

    >>> tuple(round(one, 4) for one in newsvendor_normal(0.18, 0.70, 50, 8))
    (56.604, 1.9976)
    """
    z = float(special.ndtri(critical_ratio(holding, stockout)))
    return mean + z * sd, (holding + stockout) * float(_density(z)) * sd


def newsvendor(holding: np.ndarray, stockout: np.ndarray, law: DemandLaw) -> tuple[np.ndarray, np.ndarray]:
    """Least whole levels whose probability to suffice reaches the critical ratio, and their cost (example 4.7)."""
    level = law.quantile(critical_ratio(holding, stockout))
    return level, expected_cost(level, holding, stockout, law)


def expected_cost(level: np.ndarray, holding: np.ndarray, stockout: np.ndarray, law: DemandLaw) -> np.ndarray:
    """Cost of a period that begins with `level` units: h · E[left] + p · E[missing]."""
    missing = law.loss(level)
    return holding * (level - law.mean + missing) + stockout * missing


def base_stock_normal(
    holding: float, stockout: float, mean: float, sd: float, lead: float, review: float = 1.0
) -> tuple[float, float]:
    """Order-up-to level and its cost a period where all is ordered for every `review` periods (4.24, 4.30 over a time).

    Demand of a period is normal and backordered; the level must last `lead` + `review` periods.
    """
    days = lead + review
    return newsvendor_normal(holding, stockout, mean * days, sd * math.sqrt(days))


def safety_stock(
    level: np.ndarray | float,
    mean: np.ndarray | float,
    sd: np.ndarray | float,
    lead: np.ndarray | float,
    lead_sd: np.ndarray | float = 0.0,
) -> np.ndarray:
    """Stock beyond mean demand over an uncertain lead time: z · sqrt(L·σ² + μ²·σ_L²) (5.21).

    `level` is the probability that a lead time ends without a stock-out, `mean` and `sd` are of a period. The variance
    is that of a sum over a random number of periods.

    >>> float(safety_stock(0.95, 10, 3, 4, 1).round(4))
    19.1821
    """
    spread = np.asarray(lead, float) * np.square(sd) + np.square(np.multiply(mean, lead_sd))
    return np.asarray(special.ndtri(level) * np.sqrt(spread))


def reorder_cost(
    point: float, quantity: float, holding: float, stockout: float, fixed: float, mean: float, sd: float, lead: float
) -> float:
    """Exact cost a period of ordering `quantity` at `point` under normal demand (5.7; example 5.1)."""
    over, spread = mean * lead, sd * math.sqrt(lead)

    def once(level: float) -> float:
        missing = float(normal_loss(level, over, spread))
        return holding * (level - over + missing) + stockout * missing

    return (fixed * mean + integrate.quad(once, point, point + quantity)[0]) / quantity


def reorder_point_for(quantity: float, holding: float, stockout: float, mean: float, sd: float, lead: float) -> float:
    """The point of least cost for a given quantity: g(r) = g(r + Q) (5.9; example 5.2)."""
    over, spread = mean * lead, sd * math.sqrt(lead)

    def difference(point: float) -> float:
        ends = np.array([point, point + quantity])
        missing = normal_loss(ends, over, spread)
        low, high = holding * (ends - over + missing) + stockout * missing
        return float(low - high)

    best = newsvendor_normal(holding, stockout, over, spread)[0]
    return float(optimize.brentq(difference, best - quantity, best, xtol=1e-10))


def reorder_point_and_quantity(
    holding: float, stockout: float, fixed: float, mean: float, sd: float, lead: float
) -> tuple[float, float, float]:
    """(R, Q) by the expected-inventory-level approximation, and its cost (5.16–5.18; example 5.2).

    Source: Hadley and Whitin, Analysis of Inventory Systems (1963); solved in turn until nothing changes.
    """
    over, spread = mean * lead, sd * math.sqrt(lead)
    quantity, point = float(economic_order_quantity(fixed, holding, mean)[0]), 0.0
    for _ in range(1000):
        last = (point, quantity)
        share = quantity * holding / (stockout * mean)
        if share >= 1:
            raise SettingsError(
                f"An order of {quantity:g} units costs more to hold than missing units cost; expected a stock-out cost "
                f"above {quantity * holding / mean:g} a unit."
            )
        point = over + spread * float(special.ndtri(1 - share))
        missing = float(normal_loss(point, over, spread))
        quantity = math.sqrt(2 * mean * (fixed + stockout * missing) / holding)
        if abs(point - last[0]) < 1e-10 and abs(quantity - last[1]) < 1e-10:
            break
    missing = float(normal_loss(point, over, spread))
    cost = holding * (point - over + quantity / 2) + (fixed + stockout * missing) * mean / quantity
    return point, quantity, cost


def order_levels(holding: float, stockout: float, fixed: float, law: DemandLaw) -> tuple[int, int, float]:
    """The optimal (s, S) for periods of whole demand, and its cost (algorithm 4.2; example 4.7).

    Source: Zheng and Federgruen, Finding Optimal (s, S) Policies Is About As Simple As Evaluating a Single Policy
    (1991). `law` is of one series. Order to S where stock is at most s.
    """
    best = int(newsvendor(np.array([holding]), np.array([stockout]), law)[0][0])
    reach = max(4, 2 * math.ceil(math.sqrt(2 * fixed * float(law.mean[0]) / holding)) + best)
    for _ in range(30):
        found = _levels_within(holding, stockout, fixed, law, best, reach)
        if found is not None:
            return found
        reach *= 2
    raise SettingsError(f"No (s, S) of least cost within {reach:,} units; the costs are too far apart.")


def _levels_within(
    holding: float, stockout: float, fixed: float, law: DemandLaw, best: int, reach: int
) -> tuple[int, int, float] | None:
    """The search among levels at most `reach` from the newsvendor's; None where it would have to go further."""
    levels = np.arange(best - reach, best + reach + 1, dtype=float)
    one = expected_cost(levels, np.array(holding), np.array(stockout), law)
    renewal = _renewals(law, 2 * reach + 1)
    total = np.concatenate([[0.0], np.cumsum(renewal)])
    at = -(best - reach)

    def cost(s: int, S: int) -> float:
        span = S - s
        return float((fixed + renewal[:span] @ one[S + at - np.arange(span)]) / total[span])

    s = best - 1
    while s + at >= 0 and cost(s, best) > one[s + at]:
        s -= 1
    if s + at < 0:
        return None
    top, least, S = best, cost(s, best), best + 1
    while S + at < len(one) and one[S + at] <= least:
        if cost(s, S) < least:
            top = S
            while s + 1 < S and cost(s, S) <= one[s + 1 + at]:
                s += 1
            least = cost(s, S)
        S += 1
    return (s, top, least) if S + at < len(one) else None


def _renewals(law: DemandLaw, count: int) -> np.ndarray:
    """m(0), m(1) …: how often an order-up-to period is expected to stand at each distance below S (4.71–4.75)."""
    chance = np.diff(law.cdf(np.arange(-1.0, count)))
    m = np.zeros(count)
    m[0] = 1 / (1 - chance[0])
    for step in range(1, count):
        m[step] = m[0] * (chance[1 : step + 1] @ m[step - 1 :: -1][:step])
    return m


def order_levels_by_power(
    holding: np.ndarray | float,
    stockout: np.ndarray | float,
    fixed: np.ndarray | float,
    mean: np.ndarray | float,
    sd: np.ndarray | float,
    lead: np.ndarray | float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """(s, S) by the power approximation of Ehrhardt and Mosier (1984) (4.77–4.80; example 4.7).

    `mean` and `sd` are of a period, whose demand and that of `lead` more must be met.
    """
    mean, sd = np.asarray(mean, float), np.asarray(sd, float)
    days = np.asarray(lead, float) + 1
    over, spread = mean * days, sd * np.sqrt(days)
    quantity = 1.30 * mean**0.494 * np.power(np.divide(fixed, holding), 0.506) * (1 + (spread / mean) ** 2) ** 0.116
    z = np.sqrt(quantity / spread * np.divide(holding, stockout))
    point = 0.973 * over + spread * (0.183 / z + 1.063 - 2.192 * z)
    return point, point + quantity


def _density(z: np.ndarray | float) -> np.ndarray:
    return np.asarray(np.exp(-np.square(z) / 2) / math.sqrt(2 * math.pi))
