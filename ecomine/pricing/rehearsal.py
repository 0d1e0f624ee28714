"""What learners would have made of the prices if demand is as it was fitted: Q-learning, SARSA, Thompson sampling.

A small world of the items that bring most money: units of a day are Poisson around the fitted demand at the price, and
prices begin anywhere on the grid. A week's share is what the prices asked are expected to earn, over what each item's
best price on the grid would. It shows how soon and at what cost prices could be learnt by acting, where one dares to.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from ecomine.pricing.features import COST
from ecomine.pricing.learning import LEARNERS, Safety, run
from ecomine.pricing.params import PriceRules

ITEMS, LEVELS, DAYS, WEEK = 40, 9, 182, 7
LOWEST, HIGHEST = 0.7, 1.4
"""The grid of prices, as factors of the present one, evenly spaced in logs."""

PRESENT = "present"
RATIO = LOWEST * (HIGHEST / LOWEST) ** (np.arange(LEVELS) / (LEVELS - 1))


class FittedDemand:
    """Items whose units a day scatter around `expected` (items × levels); a day's reward is margin × units."""

    def __init__(self, expected: np.ndarray, margin: np.ndarray) -> None:
        self.expected, self.margin = expected, margin

    def reset(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)

    def step(self, action: np.ndarray) -> tuple[None, np.ndarray, None, np.ndarray, dict[str, np.ndarray]]:
        """As a vector environment of gymnasium that never ends."""
        row = np.arange(len(action))
        units = self.random.poisson(self.expected[row, action]).astype(float)
        return None, self.margin[row, action] * units, None, np.zeros(len(action), bool), {"units": units}


def learning(decisions: pd.DataFrame, rules: PriceRules, seed: int) -> pd.DataFrame:
    """week, method, share of the best: learners, and `present` prices as they are; sorted.

    `decisions` as `policy.suggest` gives them; a week's units are spread evenly over its days.
    """
    rows = decisions.assign(_money=(decisions["price"] - decisions[COST]) * decisions["units"])
    rows = rows.sort_values(["_money", "item_id"], ascending=[False, True], kind="stable").head(ITEMS)
    price, cost = rows["price"].to_numpy(float), rows[COST].to_numpy(float)
    usual, slope = rows["units"].to_numpy(float) / WEEK, rows["elasticity"].to_numpy(float)
    expected = np.minimum(usual[:, None] * RATIO ** slope[:, None], 1e6)
    margin = price[:, None] * RATIO - cost[:, None]
    start = np.random.default_rng(seed).integers(0, LEVELS, len(rows))

    def safety() -> Safety:
        return Safety.of(RATIO, cost / price, rules, start)

    money = np.where(safety().allowed, margin * expected, -np.inf)
    known = {
        "scale": np.maximum((price - cost) * usual, 1e-3), "log_ratio": np.log(RATIO), "cost_share": cost / price,
        "usual_units": usual, "seed": seed,
    }  # fmt: skip
    best = float(np.where(np.isfinite(money.max(axis=1)), money.max(axis=1), 0.0).sum())
    if best <= 0:
        return pd.DataFrame({"week": pd.Series(dtype=np.int64), "method": pd.Series(dtype=object), "share": []})
    shares = {PRESENT: np.full(DAYS // WEEK, float(((price - cost) * usual).sum()) / best)}
    for name, make in LEARNERS.items():
        told: list[float] = []
        run(make(safety=safety(), **known), FittedDemand(expected, margin), DAYS, seed, _judge(money, told))
        shares[name] = np.reshape(told, (-1, WEEK)).mean(axis=1) / best
    weeks = np.arange(1, DAYS // WEEK + 1)
    parts = [pd.DataFrame({"week": weeks, "method": name, "share": shares[name]}) for name in sorted(shares)]
    return pd.concat(parts, ignore_index=True)


def _judge(money: np.ndarray, told: list[float]) -> Callable[[np.ndarray, object], None]:
    def judge(action: np.ndarray, info: object) -> None:
        earned = money[np.arange(len(action)), action]
        told.append(float(np.where(np.isfinite(earned), earned, 0.0).sum()))

    return judge
