"""The rules of prices as bounds an item, and the allowed prices between them. Money is counted in cents here."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ecomine.columns import require
from ecomine.errors import SettingsError
from ecomine.pricing.params import PriceRules

LOWEST, HIGHEST = "least price", "greatest price"
CHANGE, MARGIN, RIVAL, ENDINGS = "greatest change", "margin floor", "rival's price band", "price endings"
FAMILY, CLEAR, CHANGES = "order within a family", "stock to clear", "number of changes"

UNBOUNDED = 10**11
TINY = 1e-6


@dataclass(frozen=True)
class Bounds:
    """Least and greatest price of each item in cents, by rule (rules × items) and of all rules."""

    low_names: tuple[str, ...]
    high_names: tuple[str, ...]
    lows: np.ndarray
    highs: np.ndarray

    @property
    def low(self) -> np.ndarray:
        return self.lows.max(axis=0)

    @property
    def high(self) -> np.ndarray:
        return self.highs.min(axis=0)

    def low_rule(self, item: np.ndarray) -> list[str]:
        """The rule that holds the least price of items."""
        return [self.low_names[row] for row in self.lows[:, item].argmax(axis=0)]

    def high_rule(self, item: np.ndarray) -> list[str]:
        return [self.high_names[row] for row in self.highs[:, item].argmin(axis=0)]


def cents(price: np.ndarray) -> np.ndarray:
    return np.round(np.asarray(price, float) * 100).astype(np.int64)


def bounds(items: pd.DataFrame, rules: PriceRules) -> Bounds:
    """Bounds by rule; the columns are those of PriceOptimizer. Raises SettingsError for rules that cannot be meant."""
    check(rules)
    price, cost = items["price"].to_numpy(float) * 100, items["unit_cost"].to_numpy(float) * 100
    low: dict[str, np.ndarray] = {LOWEST: np.ones(len(items))}
    high: dict[str, np.ndarray] = {HIGHEST: np.full(len(items), float(UNBOUNDED))}
    if rules.lowest is not None:
        low[LOWEST] = np.maximum(rules.lowest * price, 1)
    if rules.highest is not None:
        high[HIGHEST] = rules.highest * price
    for name, kept, rule in (("lowest_price", low, LOWEST), ("highest_price", high, HIGHEST)):
        if name in items.columns:
            own = items[name].to_numpy(float) * 100
            kept[rule] = np.where(np.isfinite(own), own, kept[rule])
    if rules.greatest_change is not None:
        low[CHANGE], high[CHANGE] = (1 - rules.greatest_change) * price, (1 + rules.greatest_change) * price
    if rules.margin_floor is not None:
        low[MARGIN] = cost / (1 - rules.margin_floor)
    if rules.rival_low is not None or rules.rival_high is not None:
        require(items.columns, ("competitor_price",), "items under a rule about rivals")
        rival = items["competitor_price"].to_numpy(float) * 100
        seen = np.isfinite(rival) & (rival > 0)
        if rules.rival_low is not None:
            low[RIVAL] = np.where(seen, rules.rival_low * rival, 0)
        if rules.rival_high is not None:
            high[RIVAL] = np.where(seen, rules.rival_high * rival, UNBOUNDED)
    return Bounds(
        tuple(low),
        tuple(high),
        np.ceil(np.stack(list(low.values())) - TINY).astype(np.int64),
        np.floor(np.minimum(np.stack(list(high.values())), UNBOUNDED) + TINY).astype(np.int64),
    )


def check(rules: PriceRules) -> None:
    """Raises SettingsError where two settings exclude each other whatever the item."""
    pairs = ((LOWEST, rules.lowest, rules.highest), (RIVAL, rules.rival_low, rules.rival_high))
    for name, least, most in pairs:
        if least is not None and most is not None and least > most:
            raise SettingsError(f"The rule on {name} goes from {least:g} to {most:g} of it; expected low before high.")


def allowed(
    low: np.ndarray, high: np.ndarray, present: np.ndarray, endings: list[float] | None, steps: int
) -> np.ndarray:
    """Allowed prices in cents, items × (steps + 1), rising, with repeats of the greatest where there are fewer.

    Spaced evenly in logs from the least to the greatest price with an allowed ending; the present price is among them
    where it lies within the bounds, whatever it ends in: endings are asked of new prices. Items without any price have
    a row of -1.
    """
    tails = np.unique(cents(np.asarray(endings or np.arange(100) / 100, float)))
    first, last = _above(low, tails), _below(high, tails)
    some, stays = first <= last, (low <= present) & (present <= high)
    share = np.linspace(0, 1, steps)
    floor, roof = np.maximum(np.where(some, first, 1), 1), np.maximum(np.where(some, last, 1), 1)
    aim = np.exp(np.log(floor)[:, None] * (1 - share) + np.log(roof)[:, None] * share)
    under = _below(np.floor(aim + 0.5).astype(np.int64), tails)
    over = _above(np.floor(aim + 0.5).astype(np.int64), tails)
    near = np.where(np.abs(under - aim) <= np.abs(over - aim), under, over)
    grid = np.clip(near, floor[:, None], roof[:, None])
    grid = np.where(some[:, None], grid, np.where(stays, present, -1)[:, None])
    grid = np.concatenate([grid, np.where(stays, present, grid[:, -1])[:, None]], axis=1)
    return np.sort(grid, axis=1)


def _above(value: np.ndarray, tails: np.ndarray) -> np.ndarray:
    """The least number of cents from `value` on that ends in one of `tails` (sorted)."""
    whole, rest = np.divmod(value, 100)
    at = np.searchsorted(tails, rest)
    return np.where(at < len(tails), whole * 100 + tails[np.minimum(at, len(tails) - 1)], (whole + 1) * 100 + tails[0])


def _below(value: np.ndarray, tails: np.ndarray) -> np.ndarray:
    """The greatest number of cents up to `value` that ends in one of `tails` (sorted)."""
    whole, rest = np.divmod(value, 100)
    at = np.searchsorted(tails, rest, side="right") - 1
    return np.where(at >= 0, whole * 100 + tails[np.maximum(at, 0)], (whole - 1) * 100 + tails[-1])
