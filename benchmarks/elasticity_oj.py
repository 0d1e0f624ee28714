"""Orange juice at Dominick's: elasticities that are known, and twelve weeks of demand that are not.

Protocol: `oj.csv`, log-log regression brand by brand, log(sales) on log(price), against the figures of the data's
README. Then `orange_juice_weekly.parquet`: the last 12 weeks are held out; DemandModel with default settings learns
from the others and forecasts all twelve from that moment, with the prices and promotions of those weeks as known
plans. The references are log-log regressions by least squares, a brand at a time: the plain one (own price), and the
strongest we know (own price, the ten others, deal, feat, an intercept for each store). WAPE is Σ |forecast - units| /
Σ units; the better of median and smearing mean is the reference's. `profit` is what came of it and not used.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.report import Row, report
from ecomine.pricing import DemandModel

WEEKS = 12
BRANDS = 11
PUBLISHED = {"dominicks": -3.38, "minute.maid": -3.32, "tropicana": -2.71}
STORE = ["AGE60", "EDUC", "ETHNIC", "INCOME", "HHLARGE", "HVAL150", "SSTRDIST", "SSTRVOL", "CPDIST5", "CPWVOL5"]


def plain(sales: pd.DataFrame) -> dict[str, float]:
    """Slope of log sales on log price, by brand."""
    return {
        str(brand): float(np.polyfit(np.log(rows["price"]), np.log(rows["sales"]), 1)[0])
        for brand, rows in sales.groupby("brand", sort=True)
    }


def rows_of(weekly: pd.DataFrame) -> pd.DataFrame:
    """The weekly table in DemandModel's columns: items are brands, the other brands' log prices are confounders."""
    prices = np.log(weekly[[f"price{k}" for k in range(1, BRANDS + 1)]].to_numpy(float))
    own = weekly["brand"].to_numpy(int) - 1
    row = np.arange(len(weekly))
    others = prices - prices.mean(axis=0)
    price = np.exp(prices[row, own])
    others[row, own] = 0.0
    return pd.DataFrame(
        {
            "item_id": weekly["brand"].to_numpy(int),
            "location_id": weekly["store"].to_numpy(int),
            "period": weekly["week"].to_numpy(int),
            "price": price,
            "units": np.exp(weekly["logmove"].to_numpy(float)),
            "promotion": weekly["deal"].to_numpy(float),
            "display": weekly["feat"].to_numpy(float),
            **{f"log_price_{k + 1}": others[:, k] for k in range(BRANDS)},
        }
    )


def wape(forecast: np.ndarray, units: np.ndarray) -> float:
    return float(np.abs(forecast - units).sum() / units.sum())


def least_squares(train: pd.DataFrame, test: pd.DataFrame, columns: list[str], by_store: bool) -> float:
    """WAPE of log-log regressions brand by brand."""
    median, mean = np.zeros(len(test)), np.zeros(len(test))
    for brand in range(1, BRANDS + 1):
        past, later = train[train["item_id"] == brand], (test["item_id"] == brand).to_numpy()
        stores = np.unique(past["location_id"]) if by_store else np.zeros(1)

        def design(rows: pd.DataFrame, stores: np.ndarray = stores) -> np.ndarray:
            level = rows["location_id"].to_numpy()[:, None] == stores if by_store else np.ones((len(rows), 1))
            return np.column_stack([np.log(rows["price"]), rows[columns].to_numpy(float), level])

        target = np.log(past["units"].to_numpy())
        slopes = np.linalg.lstsq(design(past), target, rcond=None)[0]
        smearing = np.exp(target - design(past) @ slopes).mean()
        median[later] = np.exp(design(test[later]) @ slopes)
        mean[later] = median[later] * smearing
    units = test["units"].to_numpy()
    return min(wape(median, units), wape(mean, units))


def main() -> None:
    """Measure on the folder of public data."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    files = [options.data / name for name in ("oj.csv", "orange_juice_weekly.parquet")]
    for file in files:
        if not file.is_file():
            sys.exit(f"{file} is not there; name the folder of public data with --data.")
    rows = [
        Row(f"elasticity of {brand}, plain log-log", slope, PUBLISHED[brand])
        for brand, slope in plain(pd.read_csv(files[0])).items()
    ]
    weekly = rows_of(pd.read_parquet(files[1]))
    cut = weekly["period"].max() - WEEKS
    train = weekly[weekly["period"] <= cut].reset_index(drop=True)
    test = weekly[weekly["period"] > cut].reset_index(drop=True)
    model = DemandModel(threads=options.threads).fit(train)
    units = test["units"].to_numpy()
    others = [f"log_price_{k}" for k in range(1, BRANDS + 1)]
    strongest = least_squares(train, test, [*others, "promotion", "display"], by_store=True)
    simple = least_squares(train, test, [], by_store=False)
    mean = np.exp(np.log(train["units"]).groupby([train["item_id"], train["location_id"]]).mean()).rename("mean")
    usual = test.join(mean, on=["item_id", "location_id"])["mean"].to_numpy()
    found = wape(model.predict(test), units)
    rows += [
        Row("WAPE, last 12 weeks; plain log-log", found, simple),
        Row("WAPE, last 12 weeks; log-log, all prices, stores", found, strongest),
        Row("WAPE of the hierarchical regression alone", wape(model.regress(test), units), simple),
        Row("WAPE of the series' mean", wape(usual, units), simple),
    ]
    told = model.elasticities()
    for one in told.itertuples():
        rows.append(Row(f"brand {one.item_id}: own-price elasticity; naive", one.elasticity, one.naive))
        rows.append(Row(f"brand {one.item_id}: low end of the interval", one.low))
        rows.append(Row(f"brand {one.item_id}: high end of the interval", one.high))
    rows.append(Row("brands with an elasticity below 0", float((told["high"] < 0).sum()), BRANDS))
    report("elasticity_oj", f"{len(train):,} weeks of brands in shops learnt from, {len(test):,} held out", rows)


if __name__ == "__main__":
    main()
