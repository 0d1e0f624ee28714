"""Uplift on the Hillstrom e-mail experiment: whom does the women's e-mail bring to the shop?

Protocol: 42,693 customers (women's e-mail against none), outcome `visit`, 5 folds with equal shares of arms and visits,
predictions of the five folds pooled, Qini coefficient as scikit-uplift's `qini_auc_score`, the mean over five fold
seeds; below each learner its 95 % bootstrap interval over customers (the mean rank of the fold seeds orders them) and
the standard deviation of its difference to the column `womens`. Columns: all but `history_segment`, which is `history`
rounded. `Qini coefficient` is that of UpliftModel as it comes, a blend; its members and their settings were compared by
repeated inner folds of one training part, before any of these figures was seen. The reference is the bar, .061; the
column `womens` alone reaches .064.
"""

import argparse
from pathlib import Path

import numpy as np

from benchmarks.folds import read
from benchmarks.report import Row, report
from ecomine.ads import uplift
from ecomine.ads.bases import LINEAR, XGBOOST
from ecomine.ads.learners import LEARNERS
from ecomine.ads.randomisation import evidence
from ecomine.ads.uplift import BLEND, UpliftSettings
from ecomine.ads.uplift_metrics import bootstrap, qini, uplift_at

COLUMNS = ["recency", "history", "mens", "womens", "zip_code", "newbie", "channel"]
BAR = 0.061
SAMPLES = 300
WOMENS, BLENDED = "the column womens", "blend"
TABLE: dict[str, uplift.Settings] = {
    **{f"{learner}, {base}": UpliftSettings(learner, base) for base in (LINEAR, XGBOOST) for learner in LEARNERS},
    BLENDED: BLEND,
}


def place(score: np.ndarray) -> np.ndarray:
    """Share of people ranked below, so that scores of several models can be put together."""
    _, number = np.unique(score, return_inverse=True)
    count = np.bincount(number)
    return np.asarray((np.cumsum(count) - count / 2)[number] / len(score))


def main() -> None:
    """Fold, fit, rank, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--seeds", type=int, default=5, help="deals into folds")
    arguments = parser.parse_args()
    data = read(arguments.data, "hillstrom_womens.csv")
    treated, visit = (data["segment"] != "No E-Mail").to_numpy(float), data["visit"].to_numpy(float)
    frame, chance = data[COLUMNS], np.full(len(data), treated.mean())
    scores = {WOMENS: [data["womens"].to_numpy(float)] * arguments.seeds}
    for name, settings in TABLE.items():
        scores[name] = [
            uplift.apart(settings, frame, treated, visit, chance, seed=seed) for seed in range(arguments.seeds)
        ]
    means = {name: np.mean([place(score) for score in drawn], axis=0) for name, drawn in scores.items()}
    names = list(means)
    _, samples = bootstrap("qini", list(means.values()), treated, visit, SAMPLES)
    value = {name: float(np.mean([qini(score, treated, visit) for score in drawn])) for name, drawn in scores.items()}
    rows = []
    for at, name in enumerate(names):
        low, high = np.quantile(samples[at], [0.025, 0.975])
        rows += [Row(f"Qini coefficient, {name}", value[name], BAR), Row(f"  low, {name}", float(low))]
        rows += [Row(f"  high, {name}", float(high))]
        if name != WOMENS:
            rows.append(Row(f"  deviation of the difference, {name}", float((samples[at] - samples[0]).std())))
    best = names.index(BLENDED)
    apart = {at: np.quantile(samples[best] - samples[at], [0.025, 0.975]) for at in range(len(names)) if at != best}
    alike = [names[at] for at, (low, high) in apart.items() if low <= 0 <= high]
    rows += [
        Row("uplift among the first 30 %, the column womens", uplift_at(means[WOMENS], treated, visit, 0.3)),
        Row("uplift among the first 30 %", uplift_at(means[BLENDED], treated, visit, 0.3)),
        Row("average effect on visits", float(visit[treated == 1].mean() - visit[treated == 0].mean()), 0.0452),
        Row("balance, p-value", evidence(frame, treated).p_value),
        Row("Qini coefficient", value[BLENDED], BAR),
    ]
    print(f"Cannot be told apart from {BLENDED}: {', '.join(alike)}.\n")
    report(
        "uplift_hillstrom",
        f"{len(data):,} customers, visit, 5 folds pooled, mean of {arguments.seeds} fold seeds",
        rows,
    )


if __name__ == "__main__":
    main()
