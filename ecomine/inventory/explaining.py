"""What moves forecasts of demand, in words."""

import numpy as np
import pandas as pd

from ecomine.explanation import CASE_COLUMNS, Explanation, because, drivers
from ecomine.inventory.model import Replenisher
from ecomine.inventory.params import InventoryParams
from ecomine.inventory.situation import KEYS

DEMAND = "demand"
CASES = 10
"""Series that are explained one by one, those that sell most."""

NAMES = {
    "level": "usual level", "pause": "periods since the last sale", "tsb": "smoothed level (TSB)",
    "croston_sba": "smoothed level (Croston)", "simple": "smoothed level", "distance": "periods ahead",
    "price": "price", "age": "periods since it began", "category_code": "category",
}  # fmt: skip
KINDS = {
    "alike_": "same weekday of the last {} weeks", "mean_": "mean of the last {} periods",
    "lag_": "units {} periods ago",
    "surplus_": "surplus of the last {} periods", "dispersion_": "scatter of the last {} periods",
    "busy_": "periods with sales of the last {}", "year_": "same time a year ago, {} periods around",
    "category_": "category over the last {} periods", "all_": "shop over the last {} periods",
}  # fmt: skip
"""Columns of the forecaster that do not speak for themselves."""


def explain(model: Replenisher, frame: pd.DataFrame, params: InventoryParams) -> Explanation:
    """Contributions to the log of the units of a period, of the last horizon before now, as told before it.

    `frame` tells how many forecasts are looked at, of series evenly spread.
    """
    forecaster = model.forecaster
    horizon, periods = forecaster.params.horizon, forecaster.panel.periods
    count = max(len(frame) // horizon, 1)
    series = np.unique(np.linspace(0, len(forecaster.panel.keys) - 1, count).astype(int))
    first = periods - horizon
    parts, seen = _named(*forecaster.contributions(series, np.arange(first, periods), first - 1))
    sold = np.nan_to_num(forecaster.panel.units[:, -horizon:]).sum(axis=1)
    best = np.sort(np.lexsort((np.arange(len(sold)), -sold))[:CASES])
    near, told = _named(*forecaster.contributions(best, np.array([first]), first - 1))
    keys = forecaster.panel.keys[best]
    base = np.exp(told[NAMES["level"]].to_numpy(float))
    cases = pd.DataFrame(
        {
            "unit": keys.get_level_values(KEYS[0]).astype(str) + " · " + keys.get_level_values(KEYS[1]).astype(str),
            "outcome": DEMAND,
            "told": base,
            "because": because(near, told),
        },
        columns=list(CASE_COLUMNS),
    )
    return Explanation(drivers(DEMAND, parts, seen), cases.sort_values(["told", "unit"], ascending=[False, True]))


def _named(parts: pd.DataFrame, seen: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    named = {name: _words(str(name)) for name in parts.columns}
    return parts.rename(columns=named), seen.rename(columns=named)


def _words(name: str) -> str:
    if name in NAMES:
        return NAMES[name]
    for start, text in KINDS.items():
        rest = name.removeprefix(start)
        if rest != name and rest.isdigit():
            return text.format(rest)
    return name.replace("_", " ")
