"""From sales to orders for 100,000 series over two years of days, beside statsforecast's AutoETS.

Protocol: `--series` items with daily demand from a negative binomial law, a weekly course and promotions; rows are the
days with a sale or a promotion. The trees learn from a bounded sample of rows (`--rows`) of all series. Then, for every
series, in blocks of series: seven quantiles of each of the next 28 days, of the total over the 14 days that an order
must last, and the order itself, by the cost-minimising (s, S) policy from random stock. Features of a block are
computed where they are needed; their time is told apart and is part of the others. AutoETS (season of a week), which
gives forecasts and no orders, is fitted to a sample of `--bare` series on one thread and its time scaled up to all: an
extrapolation, said as such. Memory is the greatest resident set of the process, and holds the simulated tables too.
"""

import argparse
import resource
import time

import numpy as np
import pandas as pd

from benchmarks.report import Row, report
from ecomine.inventory import DemandForecaster, ForecastParams, InventoryParams
from ecomine.inventory.constraints import order
from ecomine.inventory.forecasting.design import Design
from ecomine.inventory.law import DemandLaw
from ecomine.inventory.policies import by_forecast
from ecomine.inventory.situation import Situation

HORIZON = 28
COVER = 14
SCATTER = 2.0
DAYS = 730


def grid(series: int, days: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Promotions and units, series × days."""
    random = np.random.default_rng(seed)
    base = np.exp(random.normal(-0.7, 1.2, series)).astype(np.float32)
    week = np.array([0.9, 0.8, 0.85, 0.95, 1.2, 1.4, 0.9], np.float32)[np.arange(days) % 7]
    promotion = np.repeat(random.random((series, days // 14 + 1), np.float32) < 0.08, 14, axis=1)[:, :days]
    mean = base[:, None] * week * np.where(promotion, np.float32(1.8), np.float32(1.0))
    units = random.negative_binomial(mean / (SCATTER - 1), 1 / SCATTER).astype(np.int32)
    return promotion, units


def frame(promotion: np.ndarray, units: np.ndarray | None, first: pd.Timestamp) -> pd.DataFrame:
    """Rows of the grid that say something; all of them where there are no units."""
    told = np.ones(promotion.shape, bool) if units is None else (units > 0) | promotion
    series, day = np.nonzero(told)
    rows = pd.DataFrame(
        {
            "item_id": series,
            "date": (np.datetime64(first, "D") + day).astype("datetime64[ns]"),
            "category": (series % 20).astype(np.int8),
            "promotion": promotion[told].astype(np.float32),
        }
    )
    return rows if units is None else rows.assign(quantity=units[told])


def orders(total: pd.DataFrame, seed: int) -> np.ndarray:
    """Units to order now, from stock of up to eight weeks."""
    random = np.random.default_rng(seed)
    series = total[["item_id", "location_id"]].assign(
        on_hand=np.round(total["mean"] * random.uniform(0, 4, len(total))), on_order=0.0, price=4.0, unit_cost=2.5
    )
    situation = Situation(series, DemandLaw.of_forecast(total), InventoryParams(lead_days=COVER))
    return order(situation, by_forecast(situation))[0]


class Watched:
    """Counts the seconds in which features are computed."""

    def __init__(self) -> None:
        self.seconds, self.made = 0.0, Design.seen

    def __enter__(self) -> "Watched":
        def seen(design: Design, rows: object) -> object:
            started = time.perf_counter()
            told = self.made(design, rows)  # type: ignore[arg-type]
            self.seconds += time.perf_counter() - started
            return told

        Design.seen = seen  # type: ignore[assignment, method-assign]
        return self

    def __exit__(self, *_: object) -> None:
        Design.seen = self.made  # type: ignore[method-assign]


def gigabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def bare(units: np.ndarray) -> float:
    """Seconds of AutoETS for the series of a grid."""
    from statsforecast import StatsForecast
    from statsforecast.models import AutoETS

    count, days = units.shape
    rows = pd.DataFrame(
        {
            "unique_id": np.repeat(np.arange(count), days),
            "ds": np.tile(np.arange(days), count),
            "y": units.ravel() * 1.0,
        }
    )
    started = time.perf_counter()
    StatsForecast([AutoETS(season_length=7)], freq=1, n_jobs=1).forecast(df=rows, h=HORIZON, level=[50, 80, 90])
    return time.perf_counter() - started


def main() -> None:
    """Simulate, learn, forecast; then the bare method on a sample."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="not needed: the series are simulated")
    parser.add_argument("--series", type=int, default=100_000)
    parser.add_argument("--bare", type=int, default=20, help="series that AutoETS is fitted to")
    parser.add_argument("--rows", type=int, default=300_000, help="rows to learn from")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    promotion, units = grid(options.series, DAYS + HORIZON, 1)
    first = pd.Timestamp("2023-01-02")
    rows = frame(promotion[:, :DAYS], units[:, :DAYS], first)
    known = frame(promotion[:, DAYS:], None, first + pd.Timedelta(days=DAYS)).drop(columns="category")
    truth, sample = units[:, DAYS:].copy(), units[: options.bare, :DAYS].copy()
    del units, promotion
    before = gigabytes()
    params = ForecastParams(
        horizon=HORIZON, rows=options.rows, rounds=120, learning_rate=0.1, method="direct", origins=1
    )
    model = DemandForecaster(params, threads=options.threads)
    started, cpu = time.perf_counter(), time.process_time()
    with Watched() as watched:
        model.fit(rows)
        del rows
        fitted = time.perf_counter()
        told = model.predict(HORIZON, known)
        forecast = time.perf_counter()
        total = model.totals(COVER, known)
    summed = time.perf_counter()
    units = orders(total, 2)
    done, cpu = time.perf_counter(), time.process_time() - cpu
    below = (truth.ravel() <= told["q0.95"].to_numpy()).mean()
    below_total = (truth[:, :COVER].sum(axis=1) <= total["q0.95"].to_numpy()).mean()
    memory = gigabytes()
    alone = bare(sample) * options.series / options.bare
    report(
        "inventory_scale",
        f"{options.series:,} series × {DAYS} days; AutoETS on {options.bare} of them, scaled up to all",
        [
            Row("seconds to fit", fitted - started),
            Row("seconds to forecast 28 days", forecast - fitted),
            Row("seconds to forecast totals", summed - forecast),
            Row("seconds to order", done - summed),
            Row("seconds of these for features", watched.seconds),
            Row("seconds in all; AutoETS, extrapolated", done - started, alone),
            Row("CPU seconds in all", cpu),
            Row("greatest memory, GB; before fitting", memory, before),
            Row("share of days at most q0.95", float(below), 0.95),
            Row("share of totals at most q0.95", float(below_total), 0.95),
            Row("share of series with an order now", float((units > 0).mean())),
        ],
    )


if __name__ == "__main__":
    main()
