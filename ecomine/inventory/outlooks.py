"""What was expected at several moments of the test days, each from what had been sold by then."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ecomine.inventory import replay
from ecomine.inventory.following import Factor, Following
from ecomine.inventory.forecasting.forecaster import Expected
from ecomine.inventory.forecasting.moving import until
from ecomine.inventory.model import LEAD, Replenisher, in_periods
from ecomine.inventory.situation import KEYS, protection

ORIGIN_DAYS = 14
"""From one moment at which forecasts are judged to the next."""


@dataclass(frozen=True)
class View:
    """What was expected before the test period `since` of the series that had begun by the test (rows of the panel).

    `date` is the last day that was known; `told` has item_id, location_id, mean and sd of the time that an order must
    last (`periods`, a number a series); `recent` is the mean of the last four weeks, units a period; `expected`
    what the forecaster expects of a fortnight and more.
    """

    since: int
    date: pd.Timestamp
    ahead: Following
    rows: np.ndarray
    periods: np.ndarray
    told: pd.DataFrame
    recent: np.ndarray
    expected: Expected


def views(model: Replenisher, factor: Factor | None = None) -> list[View]:
    """From moments a fortnight apart; empty where no series had begun."""
    panel, step = model.forecaster.panel, model.step
    lead = model.series.set_index(list(KEYS))[LEAD].reindex(panel.keys).to_numpy(float)
    params = in_periods(model.params, step)
    begin = panel.periods - model.test
    rows = np.flatnonzero(panel.begin < begin)
    if not len(rows):
        return []
    periods = np.ceil(protection(model.periods(lead), params)).astype(np.int64)[rows]
    most = model.forecaster.params.horizon
    window, found = max(replay.RECENT_DAYS // step, 1), []
    for since in range(0, model.test, max(ORIGIN_DAYS // step, 1)):
        now = begin + since
        then = Following(model.forecaster.following(until(panel, now)), factor)
        asked = panel.keys[rows].to_frame(index=False).assign(periods=periods)
        reach = max(min(int(periods.max()), most), min(max(ORIGIN_DAYS // step, 1), most))
        expected = then.forecaster.expected(reach)
        told = then.totals(asked, given=expected).set_index(list(KEYS)).reindex(panel.keys[rows]).reset_index()
        recent = np.nan_to_num(panel.units[rows, max(now - window, 0) : now]).mean(axis=1)
        date = panel.dates(np.array([now - 1])).astype("datetime64[ns]")[0]
        found.append(View(since, date, then, rows, periods, told, recent, expected))
    return found
