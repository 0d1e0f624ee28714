"""Card fraud on the payments of the fraud detection handbook, and how steady the figures are from week to week.

Protocol: train on 25–31 July 2018, a week for labels to come in, test on 8–14 August 2018; on each test day cards with
a fraud since 25 July that is known by then (a week late) are removed. Features use every earlier payment, and labels a
week after the payment. Features and settings were chosen on five earlier test weeks, 27 June to 31 July, of the same
protocol. A second table repeats it, prequentially: four folds, each a week later than the one before, on which nothing
was chosen, each trained on its own week with the labels known by then. Its mean and deviation are the last rows.

References: XGBoost of the handbook, .862 / .639 / .273.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.report import Row, report
from ecomine.risk import FraudDetector
from ecomine.risk.boosting import Boosting
from ecomine.risk.validation import DAY, Stretch, figures

START = pd.Timestamp("2018-07-25")
LATER = 4
REFERENCE = {"AUC": 0.862, "AP": 0.639, "CP@100": 0.273}
WINDOWS = ("1h", "1d", "7d", "14d", "30d")
LABEL_WINDOWS = ("1d", "3d", "7d", "14d", "30d")


def payments(folder: Path) -> pd.DataFrame:
    """The payments under canonical names; a label comes a week late."""
    path = folder / "card_fraud_handbook.parquet"
    if not path.exists():
        sys.exit(f"{path} is not there; put it into {folder} or name the folder that has it with --data.")
    table = pd.read_parquet(path)
    return pd.DataFrame(
        {
            "payment_id": table["transaction_id"],
            "event_timestamp": table["tx_datetime"],
            "amount": table["tx_amount"].astype(float),
            "card_id": table["customer_id"],
            "terminal_id": table["terminal_id"],
            "is_fraud": table["tx_fraud"].astype(bool),
            "label_timestamp": table["tx_datetime"] + 7 * DAY,
            "scenario": table["tx_fraud_scenario"],
        }
    )


def judged(table: pd.DataFrame, stretch: Stretch, boosting: Boosting, threads: int) -> tuple[pd.DataFrame, np.ndarray]:
    """The payments of a test week and their scores."""
    detector = FraudDetector(WINDOWS, LABEL_WINDOWS, ("terminal_id",), boosting, threads=threads)
    # The label of the last moment of training is known when the test begins.
    detector.fit(table, stretch.test_start, stretch.start, stretch.train_end)
    seen = table[table["event_timestamp"] < stretch.test_end]
    tested = stretch.tested(seen)
    return seen[tested], detector.score(seen, tested)


def main() -> None:
    """The week of the protocol, then later ones."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--weeks", type=int, default=LATER, help="prequential folds after the week of the protocol")
    arguments = parser.parse_args()
    table = payments(arguments.data)
    boosting = Boosting()
    found, score = judged(table, Stretch(START), boosting, arguments.threads)
    own = figures(found, score)
    rows = [Row(what, value, REFERENCE.get(what)) for what, value in own.items()]
    for scenario, kind in ((1, "great amounts"), (2, "terminals"), (3, "cards")):
        one = found["scenario"].isin([0, scenario]).to_numpy()
        rows.append(Row(f"AP, fraud by {kind} alone", figures(found[one], score[one])["AP"]))
    folds = []
    for number in range(1, arguments.weeks + 1):
        stretch = Stretch(START + 7 * number * DAY)
        found, score = judged(table, stretch, boosting, arguments.threads)
        folds.append({"tested from": f"{stretch.test_start:%Y-%m-%d}", **figures(found, score)})
    if folds:
        later = pd.DataFrame(folds).set_index("tested from")
        print(f"prequential folds\n\n{later.round(4).to_string()}\n")
        rows += [Row(f"{what}, mean of {len(later)} folds", float(later[what].mean())) for what in later]
        rows += [Row(f"{what}, deviation between folds", float(later[what].std())) for what in later]
    report("fraud_handbook", "train 25–31 July, test 8–14 August 2018, known compromised cards removed", rows)


if __name__ == "__main__":
    main()
