"""Sales of 1,115 drug stores over the last 42 days of the Rossmann data.

Protocol: the file's last 42 days (19 June to 31 July 2015) are held out; everything is learnt and chosen on the days
before, by forecasts of the 42 days that precede them. Known ahead, as in the competition: which days a store opens, the
promotion and the holidays of these 42 days; nothing after the file's end is used, and the number of customers not at
all. RMSPE over the open days with sales. What is reported is the mean times one factor, which is chosen in
validation, since squared percentages punish too much more than too little. References: the limit asked for,
and the median by store, weekday and promotion.
"""

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.report import Row, report
from ecomine.inventory import DemandForecaster, ForecastParams

DAYS = 42
LIMIT = 0.118
FILE = "rossmann.parquet"
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sept", "Oct", "Nov", "Dec")
PARAMS = ForecastParams(
    horizon=DAYS, gaps="closed", method="direct", origins=1, rows=400_000, rounds=500, learning_rate=0.05, max_depth=9,
    classics=[],
)  # fmt: skip
QUICK = replace(PARAMS, rows=150_000, rounds=180, learning_rate=0.1, max_depth=8)


def sales(file: Path) -> pd.DataFrame:
    """A row an open day of a store: keys, quantity and what is known ahead."""
    raw = pd.read_parquet(file)
    raw = raw[raw["Sales"] > 0]
    date = raw["Date"].dt
    since = 12 * (date.year - raw["CompetitionOpenSinceYear"]) + date.month - raw["CompetitionOpenSinceMonth"]
    weeks = (date.year - raw["Promo2SinceYear"]) * 52 + date.isocalendar().week - raw["Promo2SinceWeek"]
    running = (raw["Promo2"] == 1) & (weeks >= 0)
    interval = raw["PromoInterval"].fillna("")
    mailed = np.zeros(len(raw), bool)
    for number, name in enumerate(MONTHS, 1):
        mailed |= ((date.month == number) & interval.str.contains(name)).to_numpy()
    return pd.DataFrame(
        {
            "item_id": raw["Store"],
            "date": raw["Date"],
            "quantity": raw["Sales"].astype(float),
            "category": raw["StoreType"],
            "promotion": raw["Promo"].astype(float),
            "school_holiday": raw["SchoolHoliday"].astype(float),
            "holiday": raw["StateHoliday"].astype(str).map({"a": 1, "b": 2, "c": 3}).fillna(0).astype(float),
            "assortment": raw["Assortment"].map({"a": 0, "b": 1, "c": 2}).astype(float),
            "competition_distance": raw["CompetitionDistance"].fillna(-1.0),
            "competition_months": since.clip(-1, 60).fillna(-2.0),
            "long_promotion": running.astype(float),
            "long_promotion_starts": (running & mailed).astype(float),
            "long_promotion_weeks": weeks.clip(-1, 200).fillna(-2.0).astype(float),
        }
    ).reset_index(drop=True)


def rmspe(truth: np.ndarray, told: np.ndarray) -> float:
    """Root of the mean squared error in shares of the truth."""
    return float(np.sqrt(np.mean(np.square(told / truth - 1))))


def median(train: pd.DataFrame, test: pd.DataFrame) -> np.ndarray:
    """The median by store, weekday and promotion, by store where that was never seen."""
    by = ["item_id", "weekday", "promotion"]
    train, test = (one.assign(weekday=one["date"].dt.weekday) for one in (train, test))
    told = test[by].merge(train.groupby(by)["quantity"].median().reset_index(), how="left", on=by)["quantity"]
    of_store = test["item_id"].map(train.groupby("item_id")["quantity"].median())
    return told.fillna(pd.Series(of_store.to_numpy())).to_numpy()


def main() -> None:
    """Learn, choose the factor in validation, report the held-out days."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=PARAMS.seeds, help="models that are averaged")
    parser.add_argument("--quick", action="store_true", help="a smaller model, a fifth of the time")
    options = parser.parse_args()
    file = options.data / FILE
    if not file.is_file():
        sys.exit(f"There is no {FILE} in {options.data}; name its folder with --data.")
    rows = sales(file)
    held_out = rows["date"] > rows["date"].max() - pd.Timedelta(days=DAYS)
    train, test = rows[~held_out], rows[held_out].sort_values(["item_id", "date"])
    started = time.perf_counter()
    model = DemandForecaster(
        replace(QUICK if options.quick else PARAMS, seeds=options.seeds), threads=options.threads
    ).fit(train)
    fitted = time.perf_counter()
    known = test.drop(columns="quantity").assign(open=1.0)
    told = model.predict(DAYS, known)
    done = time.perf_counter()
    told = test.merge(told.drop(columns="location_id"), on=["item_id", "date"], validate="one_to_one")
    truth, mean = told["quantity"].to_numpy(), told["mean"].to_numpy()
    before = model.validated
    factors = np.arange(0.95, 1.0301, 0.0025)
    losses = [rmspe(before["quantity"].to_numpy(), before["mean"].to_numpy() * factor) for factor in factors]
    factor = float(factors[int(np.argmin(losses))])
    plain = rmspe(truth, median(train, test))
    inside = (truth >= told["q0.05"]) & (truth <= told["q0.95"])
    report(
        "forecast_rossmann",
        "last 42 days, open days; references: the limit, the median by store, weekday and promotion",
        [
            Row("RMSPE; limit", rmspe(truth, mean * factor), LIMIT),
            Row("RMSPE; median", rmspe(truth, mean * factor), plain),
            Row("RMSPE without the factor", rmspe(truth, mean), LIMIT),
            Row("RMSPE in validation", min(losses)),
            Row("factor, from validation", factor),
            Row("coverage of the 90 % interval", float(inside.mean()), 0.9),
            Row("seconds to fit", fitted - started),
            Row("seconds to forecast", done - fitted),
        ],
    )


if __name__ == "__main__":
    main()
