"""Uplift on the Hillstrom e-mail experiment: whom does the women's e-mail bring to the shop?

Protocol: 42,693 customers (women's e-mail against none), outcome `visit`, 5 folds with equal shares of arms and visits,
predictions of the five folds pooled, Qini coefficient as scikit-uplift's `qini_auc_score`, the mean over five fold
seeds; below each learner its 95 % bootstrap interval over customers (the mean score of the five fold seeds ranks
them) and the standard deviation of its difference to the column `womens`. Columns: all but `history_segment`, which is
`history` rounded. `chosen` takes, inside each training fold, the candidate with the best Qini over five inner folds;
the settings of the learners themselves were compared by repeated inner folds of one training part. Reference: .064, the
column `womens` alone; the bar is .061.
"""

import argparse
from pathlib import Path

import numpy as np

from benchmarks.folds import read
from benchmarks.report import Row, report
from ecomine.ads import uplift
from ecomine.ads.bases import LINEAR, XGBOOST
from ecomine.ads.learners import LEARNERS
from ecomine.ads.uplift import BLEND, UpliftModel, UpliftSettings, choose, deal
from ecomine.ads.uplift_metrics import bootstrap, qini, uplift_at

COLUMNS = ["recency", "history", "mens", "womens", "zip_code", "newbie", "channel"]
SEEDS = range(5)
REFERENCE, BAR = 0.064, 0.061
SAMPLES = 400
WOMENS, BLENDED, CHOSEN = "the column womens", "blend", "chosen"
TABLE: dict[str, uplift.Settings] = {
    **{f"{learner}, {base}": UpliftSettings(learner, base) for base in (LINEAR, XGBOOST) for learner in LEARNERS},
    BLENDED: BLEND,
}
CANDIDATES: list[uplift.Settings] = [*BLEND, BLEND]


def main() -> None:
    """Fold, fit, rank, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    arguments = parser.parse_args()
    data = read(arguments.data, "hillstrom_womens.csv")
    treated, visit = (data["segment"] != "No E-Mail").to_numpy(float), data["visit"].to_numpy(float)
    frame, chance = data[COLUMNS], np.full(len(data), treated.mean())
    evidence = UpliftModel(BLEND).fit(frame, treated, visit).evidence
    scores = {WOMENS: [data["womens"].to_numpy(float)] * len(SEEDS)}
    for name, settings in TABLE.items():
        scores[name] = [uplift.apart(settings, frame, treated, visit, chance, seed=seed) for seed in SEEDS]
    taken = dict.fromkeys(CANDIDATES, 0)
    scores[CHOSEN] = []
    for seed in SEEDS:
        part, told = deal(treated, visit, uplift.FOLDS, seed), np.empty(len(data))
        for number in range(uplift.FOLDS):
            here = part == number
            best, _ = choose(CANDIDATES, frame[~here], treated[~here], visit[~here], repeats=1, seed=100 + number)
            taken[best] += 1
            model = UpliftModel(best).fit(frame[~here], treated[~here], visit[~here])
            told[here] = model.predict(frame[here])
        scores[CHOSEN].append(told)
    means = {name: np.mean([place(score) for score in drawn], axis=0) for name, drawn in scores.items()}
    _, samples = bootstrap("qini", list(means.values()), treated, visit, SAMPLES)
    rows, names = [], list(means)
    for at, name in enumerate(names):
        low, high = np.quantile(samples[at], [0.025, 0.975])
        rows += [
            Row(
                f"Qini coefficient, {name}", float(np.mean([qini(s, treated, visit) for s in scores[name]])), REFERENCE
            ),
            Row(f"  low, {name}", float(low)),
            Row(f"  high, {name}", float(high)),
        ]
        if name != WOMENS:
            rows.append(Row(f"  deviation of the difference, {name}", float((samples[at] - samples[0]).std())))
    best = names.index(max((n for n in names if n != WOMENS), key=lambda n: float(np.mean(samples[names.index(n)]))))
    alike = [
        name for at, name in enumerate(names) if at != best and np.quantile(samples[best] - samples[at], 0.025) <= 0
    ]
    rows += [
        Row(f"uplift among the first 30 %, {name}", uplift_at(means[name], treated, visit, 0.3))
        for name in (WOMENS, CHOSEN)
    ]
    rows += [
        Row("Qini coefficient", float(np.mean([qini(s, treated, visit) for s in scores[CHOSEN]])), BAR),
        Row("average effect on visits", float(visit[treated == 1].mean() - visit[treated == 0].mean()), 0.0452),
        Row("balance, p-value", evidence.p_value),
    ]
    print(f"Cannot be told apart from the best, {names[best]}: {', '.join(alike)}.")
    print("Chosen: " + ", ".join(f"{label(one)} {count} times" for one, count in taken.items()) + ".\n")
    report("uplift_hillstrom", f"{len(data):,} customers, visit, 5 folds pooled, mean of {len(SEEDS)} fold seeds", rows)


def place(score: np.ndarray) -> np.ndarray:
    """Share of people ranked below, so that scores of several fold seeds can be averaged."""
    _, number = np.unique(score, return_inverse=True)
    count = np.bincount(number)
    return np.asarray((np.cumsum(count) - count / 2)[number] / len(score))


def label(settings: uplift.Settings) -> str:
    return f"{settings.learner}, {settings.base}" if isinstance(settings, UpliftSettings) else BLENDED


if __name__ == "__main__":
    main()
