"""Lifetime on CDNOW: purchases of the next 39 weeks told from the first 39.

Protocol: the 2,357 customers of the sample, orders of one day counted once, calibrated on the days up to 1997-09-30,
time in weeks. BG/NBD is fitted on the sample, for its well-known parameters. For the rest the model is fitted on the
first 39 weeks of all 23,570 customers and predicts those of the sample; nobody's orders after week 39 are seen. Told
are correlation and mean absolute error with the number of repeat purchases in the next 39 weeks, and the predicted
total over the true one, for the mean and for the typical number (which keeps the mean's total and lowers the absolute
error, at the price of some correlation). References: plain Pareto/NBD fitted on the sample.
"""

import argparse
import sys
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.report import Row, report
from ecomine.profiling import LifetimeValue, order_summary

END = datetime(1997, 9, 30)
WEEKS = 39
PUBLISHED = {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}
PLAIN = {"correlation": 0.630, "MAE": 0.755, "total": 0.885}


def main() -> None:
    """Fit, predict, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    folder = parser.parse_args().data
    sample, everybody = (read(folder / f"{name}.parquet") for name in ("cdnow_sample", "cdnow"))
    summary = order_summary(sample, END)
    known = LifetimeValue("bg_nbd").fit(summary)
    rows = [Row(f"BG/NBD {name}", known.parameters[name], value) for name, value in PUBLISHED.items()]
    later = sample[sample.event_timestamp > pd.Timestamp(END)].groupby("user_id").event_timestamp.nunique()
    bought = later.reindex(summary.user_id).fillna(0).to_numpy(float)
    history = order_summary(everybody, END)
    for name in ("bg_nbd", "mbg_cnbd_k", "pareto_nbd"):
        rows += measures(name, LifetimeValue(name).fit(history).expected(summary, WEEKS * 7), bought)
    model = LifetimeValue("pareto_nbd").fit(history)
    rows += measures("typical", model.typical(summary, WEEKS * 7), bought)
    report("clv_cdnow", f"{len(summary):,} customers, {WEEKS} weeks before and after {END:%Y-%m-%d}", rows)


def read(path: Path) -> pd.DataFrame:
    """Order lines in canonical columns; ends the process where the file is not there."""
    if not path.exists():
        sys.exit(f"{path} is not there; put the CDNOW data into {path.parent} or name its folder with --data.")
    data = pd.read_parquet(path)
    return pd.DataFrame(
        {"user_id": data.customer_id, "event_timestamp": data.date, "quantity": 1.0, "unit_price": data.amount}
    )


def measures(name: str, predicted: np.ndarray, bought: np.ndarray) -> list[Row]:
    """Correlation, mean absolute error and total of a prediction, beside those of plain Pareto/NBD."""
    return [
        Row(f"{name}: correlation", float(np.corrcoef(predicted, bought)[0, 1]), PLAIN["correlation"]),
        Row(f"{name}: MAE", float(np.abs(predicted - bought).mean()), PLAIN["MAE"]),
        Row(f"{name}: predicted total / true", float(predicted.sum() / bought.sum()), PLAIN["total"]),
    ]


if __name__ == "__main__":
    main()
