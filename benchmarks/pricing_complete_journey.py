"""Prices on The Complete Journey: what its sales tell of elasticities, and how prices are judged on the last weeks.

Protocol: the whole road up to evaluation with default settings: weeks of items over all shops, the last eight kept for
the judge. Elasticities: DemandModel on all 53 weeks of the items that pricing chooses; told are the hundred that sold
most units. A sensible elasticity is below 0; one counts as surely so where its whole 95 % interval is; an interval is
tight where it is at most `TIGHT` wide (±0.5). Naive is the slope of log units on log price over the weeks with a sale,
its interval that of least squares. No unit costs are known here, so money is revenue.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.report import Row, report
from benchmarks.workspaces import walk, workspace
from ecomine.domains import DOMAINS
from ecomine.pricing import DemandModel
from ecomine.pricing.sales import places, weekly
from ecomine.stages import Context

BEST = 100
TIGHT = 1.0
REFERENCE = "recent_weeks"


def sales_of(context: Context) -> pd.DataFrame:
    """All weeks of the items that pricing chooses, as DemandModel takes them."""
    with context.connection() as connection:
        inputs = context.inputs(connection, DOMAINS["pricing"])
        return weekly(inputs, places(inputs)).drop(columns=["asked", "unit_cost"])


def naive_deviation(sales: pd.DataFrame, slope: pd.Series) -> pd.Series:
    """Standard error of each item's slope of log units on log price."""
    sold = sales[sales["units"] > 0]
    item = sold["item_id"]
    x, y = np.log(sold["price"]), np.log(sold["units"])
    x, y = (one - one.groupby(item).transform("mean") for one in (x, y))
    left = y - x * item.map(slope)
    free = np.maximum(item.groupby(item).size() - 2, 1)
    return np.sqrt((left**2).groupby(item).sum() / free / (x**2).groupby(item).sum())


def main() -> None:
    """Walk the road, fit on everything, tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="not needed: the data comes with a package")
    options = parser.parse_args()
    del options
    with tempfile.TemporaryDirectory() as name:
        context = walk(workspace(Path(name) / "workspace", domains=["pricing"]), "evaluate")
        metrics = context.store.read_json("metrics/pricing.json")
        sales = sales_of(context)
        threads = context.params.engine.threads
    told = DemandModel(threads=threads).fit(sales, forecasts=False).elasticities().set_index("item_id")
    best = told.sort_values("units", ascending=False, kind="stable").head(BEST)
    width = best["high"] - best["low"]
    doubt = 1.96 * naive_deviation(sales, told["naive"]).reindex(best.index)
    below, sure, tight = best["elasticity"] < 0, best["high"] < 0, width <= TIGHT
    naive = best["naive"]
    rows = [
        Row("elasticities below 0, share; naive", below.mean(), (naive < 0).mean()),
        Row("whole interval below 0, share; naive", sure.mean(), (naive + doubt < 0).mean()),
        Row("interval at most 1.0 wide, share; naive", tight.mean(), (2 * doubt <= TIGHT).mean()),
        Row("below 0 and tight, share; naive", (below & tight).mean(), ((naive < 0) & (2 * doubt <= TIGHT)).mean()),
        Row("median width of the interval; naive", width.median(), (2 * doubt).median()),
        Row("median elasticity; naive", best["elasticity"].median(), naive.median()),
        Row("told from the item's own data, share", (best["source"] == "item").mean()),
        Row("items priced", len(told)),
    ]
    for method in ("model", "regression", "log_log", REFERENCE):
        rows.append(Row(f"WAPE of units, last 8 weeks, {method}", metrics[method]["wape"], metrics[REFERENCE]["wape"]))
    own = metrics["model"]
    rows += [
        Row("revenue of suggested prices against present, share", own["gain"]),
        Row("its 95 % interval, low end", own["gain_low"]),
        Row("its 95 % interval, high end", own["gain_high"]),
        Row("prices changed, share", own["prices_changed"]),
    ]
    report("pricing_complete_journey", f"the {BEST} best-selling products; last 8 weeks for forecasts and money", rows)


if __name__ == "__main__":
    main()
