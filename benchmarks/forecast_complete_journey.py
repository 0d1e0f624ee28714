"""Weekly demand of product categories in stores over the last eight weeks of The Complete Journey.

Protocol: a series is a product category in a store with at least 20 sales (order lines) before the test weeks; the full
weeks of 2017 (the first one is a single day) up to the last eight are learnt from. Known ahead: the printed plan of
mailers and displays, as the share of a category's products (by what sold in training) that a store puts there. Left
out, as by the project's cleaning: lines of more than 1,000 units, and the categories that are not counted in units
(coupons, fuel). Pinball loss is the mean over the seven quantiles, summed over series and weeks and divided by the
units sold, so that series count by their volume.

References from `statsforecast`, each with its own intervals: seasonal naive (season of four weeks, for there is less
than a year), AutoETS, Theta, Croston-SBA (conformal intervals, for it has none). They know no zero: `clipped` are the
same with nothing below 0. Weekly sales are mostly 0, 1 or 2, so that what lies between two quantiles is more than their
distance says; the 90 % interval is the forecaster's own with that promise, `DemandForecaster.intervals`.
"""

import argparse
import sys
import time

import duckdb
import numpy as np
import pandas as pd

from benchmarks.report import Row, report
from ecomine.inventory import DemandForecaster, ForecastParams
from ecomine.sources.complete_journey import data_folder

WEEKS = 8
LEAST_SALES = 20
LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
FIRST = pd.Timestamp("2016-12-26")
KEYS = ["item_id", "location_id"]
PARAMS = ForecastParams(horizon=WEEKS, rows=400_000, learning_rate=0.04, max_depth=5, method="direct")

LINES = """
    SELECT product_id, product_category AS item_id, department AS category, store_id AS location_id, week, quantity
    FROM transactions JOIN products USING (product_id)
    WHERE product_category IS NOT NULL AND product_category NOT IN ('COUPON/MISC ITEMS', 'FUEL')
        AND quantity BETWEEN 1 AND 1000 AND week BETWEEN 2 AND 53
"""

GRID = """
    WITH lines AS ({lines}), kept AS (
        SELECT item_id, location_id, min(category) AS category, min(week) AS first_week
        FROM lines WHERE week <= {last} GROUP BY ALL HAVING count(*) >= {least}
    ), sold AS (
        SELECT item_id, location_id, week, sum(quantity)::DOUBLE AS quantity FROM lines GROUP BY ALL
    ), share AS (
        SELECT product_id, item_id, sum(quantity)::DOUBLE / sum(sum(quantity)) OVER (PARTITION BY item_id) AS share
        FROM lines WHERE week <= {last} GROUP BY product_id, item_id
    ), shown AS (
        SELECT product_id, store_id AS location_id, week, max((mailer_location <> '0')::INT) AS mailer,
            max((display_location <> '0')::INT) AS display
        FROM promotions GROUP BY ALL
    ), plan AS (
        SELECT item_id, location_id, week, CAST(sum(CAST(share * mailer AS DECIMAL(18,9))) AS DOUBLE) AS mailer,
            CAST(sum(CAST(share * display AS DECIMAL(18,9))) AS DOUBLE) AS display
        FROM shown JOIN share USING (product_id) GROUP BY ALL
    )
    SELECT item_id, location_id, category, week, coalesce(quantity, 0) AS quantity, coalesce(mailer, 0) AS mailer,
        coalesce(display, 0) AS display
    FROM kept JOIN range(2, 54) AS weeks(week) ON week >= first_week
        LEFT JOIN sold USING (item_id, location_id, week) LEFT JOIN plan USING (item_id, location_id, week)
    ORDER BY item_id, location_id, week
"""


def demand(last: int, series: int | None) -> pd.DataFrame:
    """A row a category, store and week from its first sale on; series are chosen by the weeks up to `last`."""
    connection = duckdb.connect(config={"threads": 1, "memory_limit": "3GB"})
    for name in ("transactions", "products", "promotions"):
        connection.read_parquet((data_folder() / f"{name}.parquet").as_posix()).create_view(name)
    rows = connection.sql(GRID.format(lines=LINES, last=last, least=LEAST_SALES)).df()
    if series is not None:
        keys = rows[KEYS].drop_duplicates()
        rows = rows.merge(keys.sample(min(series, len(keys)), random_state=1), on=KEYS)
    return rows.assign(date=FIRST + pd.to_timedelta(7 * (rows["week"] - 1), unit="D"))


def pinball(truth: np.ndarray, quantiles: np.ndarray) -> float:
    """Mean over the quantiles (rows of `quantiles`), a unit sold."""
    error = truth - quantiles
    level = np.array(LEVELS)[:, None]
    return float(np.maximum(level * error, (level - 1) * error).sum() / len(LEVELS) / truth.sum())


def classics(train: pd.DataFrame, truth: np.ndarray) -> dict[str, tuple[float, float, float, float]]:
    """Loss, loss with quantiles clipped at zero, coverage and seconds of each method."""
    from statsforecast import StatsForecast
    from statsforecast.models import AutoETS, CrostonSBA, SeasonalNaive, Theta
    from statsforecast.utils import ConformalIntervals

    conformal = ConformalIntervals(n_windows=2, h=WEEKS)
    models = {
        "seasonal naive": SeasonalNaive(4, alias="m"),
        "AutoETS": AutoETS(season_length=1, alias="m"),
        "Theta": Theta(season_length=1, alias="m"),
        "Croston-SBA": CrostonSBA(alias="m", prediction_intervals=conformal),
    }
    frame = pd.DataFrame(
        {
            "unique_id": train.groupby(KEYS, sort=True).ngroup(),
            "ds": train["week"].astype(int),
            "y": train["quantity"],
        }
    )
    columns = ["m-lo-90", "m-lo-80", "m-lo-50", "m", "m-hi-50", "m-hi-80", "m-hi-90"]
    found = {}
    for name, model in models.items():
        started = time.perf_counter()
        run = StatsForecast([model], freq=1, n_jobs=1, fallback_model=SeasonalNaive(1, alias="m"))
        told = run.forecast(df=frame, h=WEEKS, level=[50, 80, 90]).sort_values(["unique_id", "ds"])
        seconds = time.perf_counter() - started
        quantiles = told[columns].to_numpy(float).T
        inside = (truth >= quantiles[0]) & (truth <= quantiles[-1])
        found[name] = (pinball(truth, quantiles), pinball(truth, np.maximum(quantiles, 0)), inside.mean(), seconds)
    return found


def main() -> None:
    """Learn, forecast, and hold the forecasts against those of statsforecast."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="not needed: the data comes with a package")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--series", type=int, help="a sample of so many series")
    parser.add_argument("--last", type=int, default=53 - WEEKS, help="last week of training; earlier ones for choosing")
    options = parser.parse_args()
    if options.last + WEEKS > 53:
        sys.exit(f"--last {options.last} leaves less than {WEEKS} weeks of the 53; expected at most {53 - WEEKS}.")
    rows = demand(options.last, options.series)
    train = rows[rows["week"] <= options.last]
    test = rows[(rows["week"] > options.last) & (rows["week"] <= options.last + WEEKS)]
    truth = test["quantity"].to_numpy()
    started = time.perf_counter()
    model = DemandForecaster(PARAMS, threads=options.threads).fit(train.drop(columns="week"))
    known = test.drop(columns=["quantity", "week"])
    told = model.predict(WEEKS, known)
    seconds = time.perf_counter() - started
    held = model.intervals(WEEKS, known, 0.9)
    total, whole = model.totals(WEEKS, known), truth.reshape(-1, WEEKS).sum(axis=1)
    quantiles = told[[f"q{level:g}" for level in LEVELS]].to_numpy().T
    loss = pinball(truth, quantiles)
    theirs = classics(train, truth)
    best, clipped = (min(one[at] for one in theirs.values()) for at in (0, 1))
    between = (truth >= quantiles[0]) & (truth <= quantiles[-1])
    inside = ((truth >= held["lower"]) & (truth <= held["upper"])).to_numpy()
    rows_ = [
        Row("weighted pinball loss; best classic", loss, best),
        Row("weighted pinball loss; best classic, clipped", loss, clipped),
        Row("coverage of the 90 % interval", float(inside.mean()), 0.9),
        Row("coverage between q0.05 and q0.95", float(between.mean()), 0.9),
        Row("share at most q0.95", float((truth <= quantiles[-1]).mean()), 0.95),
        Row("share below q0.05", float((truth < quantiles[0]).mean()), 0.05),
        Row("total of eight weeks at most its q0.95", float((whole <= total["q0.95"]).mean()), 0.95),
        Row("total of eight weeks below its q0.05", float((whole < total["q0.05"]).mean()), 0.05),
        Row("seconds to fit and forecast", seconds),
    ]
    for name, (plain, cut, coverage, took) in theirs.items():
        rows_ += [
            Row(f"weighted pinball loss, {name}", plain, loss),
            Row(f"weighted pinball loss, {name}, clipped", cut, loss),
            Row(f"coverage of the 90 % interval, {name}", float(coverage), 0.9),
            Row(f"seconds, {name}", took, seconds),
        ]
    report("forecast_complete_journey", f"{len(whole):,} series, weeks {options.last + 1} to {options.last + 8}", rows_)


if __name__ == "__main__":
    main()
