"""What is known of the target's own time: calendar, and inputs that are planned ahead."""

import numpy as np

from ecomine.inventory.forecasting.history import Rhythm, Sums
from ecomine.inventory.forecasting.panel import PRICE

PRICES = (PRICE, "price_change")
"""Features of the price to come: demand never rises with them."""

REACH = 14
"""Periods over which the edges of a flag are counted."""


def calendar(first: np.datetime64, days: int, target: np.ndarray) -> dict[str, np.ndarray]:
    """Where in week, month and year periods lie; the middle of a week counts."""
    day = first + (target * days + days // 2).astype("timedelta64[D]")
    month, year = day.astype("datetime64[M]"), day.astype("datetime64[Y]")
    of_year = (day - year).astype(np.int64)
    of_month = (day - month).astype(np.int64)
    length = ((month + 1).astype("datetime64[D]") - month.astype("datetime64[D]")).astype(np.int64)
    named = {"day_of_year": of_year, "day_of_month": of_month, "days_left": length - of_month}
    if days == 1:
        named["weekday"] = (day.astype(np.int64) + 3) % 7
    return named


class Plan:
    """Inputs of a block of series, over the past and the periods that are planned."""

    def __init__(self, inputs: dict[str, np.ndarray], flags: tuple[str, ...], rhythm: Rhythm) -> None:
        self.inputs, self.flags, self.rhythm = inputs, flags, rhythm
        self.sums = {name: Sums(values) for name, values in inputs.items() if name != PRICE}
        self.edges = {name: _edges(inputs[name] > 0) for name in flags}
        if PRICE in self.inputs:
            price = self.inputs[PRICE]
            self.prices, self.priced = Sums(price), Sums(np.isfinite(price))

    def features(self, row: np.ndarray, target: np.ndarray, origin: np.ndarray, horizon: int) -> dict[str, np.ndarray]:
        """Nothing after origin + `horizon` is seen, for plans reach no further."""
        named: dict[str, np.ndarray] = {}
        week = max(self.rhythm.week, 4)
        for name, values in self.inputs.items():
            width = values.shape[1]
            now = values[row, target]
            named[name] = now
            if name == PRICE:
                size = self.rhythm.windows[-2]
                with np.errstate(invalid="ignore", divide="ignore"):
                    usual = self.prices.window(row, origin, size) / self.priced.window(row, origin, size)
                    named["price_change"] = np.log(np.maximum(now / usual, 1e-3))
                continue
            sums, size = self.sums[name], self.rhythm.level
            named[f"{name}_level"] = sums.window(row, origin, size) / np.minimum(origin + 1, size)
            if name not in self.flags:
                continue
            last = np.minimum(np.minimum(target + week, origin + horizon), width - 1)
            after = np.maximum(last - target, 0)
            named[f"{name}_before"] = sums.window(row, np.maximum(target - 1, 0), week)
            named[f"{name}_after"] = np.where(after > 0, sums.window(row, last, after) / np.maximum(after, 1), np.nan)
            since, until = (edge[row, target] for edge in self.edges[name])
            named[f"{name}_since"] = np.minimum(since, REACH)
            far = target + until > np.minimum(origin + horizon, width - 1)
            named[f"{name}_until"] = np.where(far, np.nan, np.minimum(until, REACH))
        return named


def _edges(on: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Periods since the present state began (0 in the first), and until it ends."""
    width = on.shape[1]
    at = np.arange(width, dtype=np.int32)
    changed = np.zeros(on.shape, bool)
    changed[:, 1:] = on[:, 1:] != on[:, :-1]
    begun = np.maximum.accumulate(np.where(changed, at, 0), axis=1)
    later = np.where(changed, at, np.int32(2 * width))
    following = np.full(on.shape, 2 * width, np.int32)
    following[:, :-1] = np.minimum.accumulate(later[:, ::-1], axis=1)[:, ::-1][:, 1:]
    return at - begun, following - at
