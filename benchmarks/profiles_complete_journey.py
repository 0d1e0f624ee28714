"""The Complete Journey: kinds of customers and lifetime value told at mid-year, beside the second half of the year.

Protocol: order lines of 2,469 households up to 2017-06-30 are known. The lifetime model (Pareto/NBD with Gamma-Gamma)
tells the money of the next 184 days; the truth is what they spent from July to December. Baseline: money a day so far,
times the days. Calibration: ten groups of equal size by the value told, mean told and mean spent of each. Segments are
those of the domain at mid-year, with the money that each spent in the second half. `--plot` draws the calibration into
docs/profiling_calibration.svg.
"""

import argparse
import tempfile
from datetime import datetime
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

from benchmarks.report import Row, report
from ecomine.domain import Inputs
from ecomine.params import Params
from ecomine.profiling import LifetimeValue, ProfilingParams, Segmenter, order_summary
from ecomine.profiling.model import BEHAVIOUR, STEPS, segment_profile
from ecomine.profiling.portrait import portrait
from ecomine.sources import complete_journey

MIDDLE, END = datetime(2017, 7, 1), datetime(2018, 1, 1)
PICTURE = Path(__file__).parents[1] / "docs/profiling_calibration.svg"


def main() -> None:
    """Tell at mid-year, wait, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="not needed: the data comes with a package")
    parser.add_argument("--plot", action="store_true", help="renew the picture in docs")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        tables = dict(complete_journey.read(connection, Params(), Path(folder)))
        lines = tables["order_lines"].filter(f"event_timestamp <= TIMESTAMP '{END}'").to_arrow_table()
        kept = {"order_lines": connection.from_arrow(lines), "items": connection.from_arrow(_table(tables["items"]))}
        inputs = Inputs(connection, kept, MIDDLE, ProfilingParams(), 42, 2)
        people = portrait(inputs, MIDDLE, whole=False)
        later = kept["order_lines"].filter(f"event_timestamp > TIMESTAMP '{MIDDLE}'")
        spent = later.query("late", "SELECT user_id, sum(quantity * unit_price) AS money FROM late GROUP BY ALL").df()
        summary = order_summary(kept["order_lines"], MIDDLE)
    days = (END - MIDDLE).days
    told = LifetimeValue().fit(summary).value(summary, days)
    truth = spent.set_index("user_id")["money"].reindex(summary["user_id"]).fillna(0.0).to_numpy(float)
    money = people.set_index("user_id")["money"].reindex(summary["user_id"]).to_numpy(float)
    past = money / np.maximum(summary["age_days"].to_numpy(), 1.0) * days
    rows = []
    for name, values in (("value", told["value"].to_numpy()), ("past money", past)):
        rows += [
            Row(f"{name}: rank correlation", float(pd.Series(values).corr(pd.Series(truth), method="spearman"))),
            Row(f"{name}: correlation", float(np.corrcoef(values, truth)[0, 1])),
            Row(f"{name}: MAE / mean spent", float(np.abs(values - truth).mean() / truth.mean())),
            Row(f"{name}: predicted total / true", float(values.sum() / truth.sum()), 1.0),
        ]
    inside = (truth >= told["value_low"]) & (truth <= told["value_high"])
    rows.append(Row("interval of 90 % holds", float(inside.mean()), 0.9))
    groups = calibration(told["value"].to_numpy(), truth)
    rows += [Row(f"calibration, tenth {place + 1}", *pair) for place, pair in enumerate(groups.tolist())]
    model = Segmenter(None, words=BEHAVIOUR, steps=STEPS).fit(people[list(BEHAVIOUR)].astype(float))
    people = people.assign(segment=model.name(model.predict(people[list(BEHAVIOUR)].astype(float))))
    people["later"] = spent.set_index("user_id")["money"].reindex(people["user_id"]).fillna(0.0).to_numpy()
    print(segment_profile(people).round(2).to_string(index=False), "\n")
    for segment, group in people.groupby("segment"):
        rows.append(Row(f"{segment}: money later, of the mean", float(group["later"].mean() / people["later"].mean())))
    if options.plot:
        PICTURE.write_text(picture(groups))
    report("profiles_complete_journey", f"{len(summary):,} households, told on {MIDDLE:%Y-%m-%d}, {days} days", rows)


def calibration(told: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Mean told and mean true of ten groups of equal size by what was told, two columns."""
    parts = np.array_split(np.argsort(told, kind="stable"), 10)
    return np.array([(told[part].mean(), truth[part].mean()) for part in parts])


def picture(groups: np.ndarray) -> str:
    """Told across, spent up, a dot a tenth of the customers; the line is perfect calibration."""
    size, left, top = 300.0, 60.0, 20.0
    most = float(groups.max()) * 1.05
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 380" font-family="sans-serif" font-size="12">',
        '<rect width="400" height="380" fill="white"/>',
        f'<path d="M{left} {top}V{top + size}H{left + size}" stroke="#444" fill="none"/>',
        f'<path d="M{left} {top + size}L{left + size} {top}" stroke="#bbb" stroke-dasharray="5 4"/>',
    ]
    step = 10 ** np.floor(np.log10(most)) / (1 if most / 10 ** np.floor(np.log10(most)) > 4 else 2)
    for value in np.arange(0, most, step):
        at = size * value / most
        parts.append(f'<text x="{left + at:.1f}" y="{top + size + 16}" text-anchor="middle">{value:g}</text>')
        parts.append(f'<text x="{left - 6}" y="{top + size - at + 4:.1f}" text-anchor="end">{value:g}</text>')
    for told, truth in groups / most * size:
        parts.append(f'<circle cx="{left + told:.1f}" cy="{top + size - truth:.1f}" r="5" fill="#1f6fb4"/>')
    middle = top + size / 2
    parts.append(f'<text x="{left + size / 2}" y="{top + size + 38}" text-anchor="middle">value told on 1 July</text>')
    parts.append(
        f'<text transform="translate(14 {middle}) rotate(-90)" text-anchor="middle">spent July to December</text>'
    )
    return "\n".join([*parts, "</svg>"]) + "\n"


def _table(relation: duckdb.DuckDBPyRelation):  # type: ignore[no-untyped-def]
    return relation.to_arrow_table()


if __name__ == "__main__":
    main()
