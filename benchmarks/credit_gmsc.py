"""Credit: who will be ninety days late within two years? (Give Me Some Credit)

Protocol: 150,000 borrowers, 5 stratified folds, AUC, the mean over the folds. Columns are derived row by row, without
labels. In each fold the trees' settings are chosen among a few by validation on a fifth of its training rows; nothing
is chosen by test rows. Age is a column of the reference, and nobody should be judged by it: a row tells what doing
without it costs, and groups of age are compared. Reference: LightGBM .8655.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.report import Row, report
from ecomine.risk import CreditScorecard
from ecomine.risk.boosting import Boosting
from ecomine.risk.stability import fairness, gini, kolmogorov_smirnov, population_stability

REFERENCE = 0.8655
LATE = ["NumberOfTime30-59DaysPastDueNotWorse", "NumberOfTime60-89DaysPastDueNotWorse", "NumberOfTimes90DaysLate"]
USE = "RevolvingUtilizationOfUnsecuredLines"
MONOTONE = dict.fromkeys((*LATE, USE, "late", "late_weighed"), 1)
TREES = Boosting(
    depth=4, rounds=300, learning_rate=0.04, min_child_weight=20, subsample=0.7, colsample=0.4, reg_lambda=5, seeds=1,
    honest_per_fraud=0,
)  # fmt: skip
CANDIDATES = (
    TREES,
    replace(TREES, depth=5, learning_rate=0.03),
)
SEEDS = 3
UNKNOWN_CODE = 90
"""Counts of late payments from here on are codes of the source, not counts."""


def borrowers(folder: Path) -> tuple[pd.DataFrame, np.ndarray]:
    """Columns, with derived ones, and the label."""
    path = folder / "give_me_some_credit.parquet"
    if not path.exists():
        sys.exit(f"{path} is not there; put it into {folder} or name the folder that has it with --data.")
    table = pd.read_parquet(path)
    bad = table.pop("SeriousDlqin2yrs").to_numpy(float)
    late = table[LATE].where(table[LATE] < UNKNOWN_CODE)
    income, ratio = table["MonthlyIncome"], table["DebtRatio"]
    # Where no income is known, the source has the debt itself in place of its ratio to the income.
    earns = income > 1
    debt = (ratio * income).where(earns, ratio)
    lines, homes = table["NumberOfOpenCreditLinesAndLoans"], table["NumberRealEstateLoansOrLines"]
    frame = table.assign(
        **{name: late[name].fillna(20) for name in LATE},
        late=late.sum(axis=1, min_count=1).fillna(60),
        late_weighed=(late * [1, 2, 4]).sum(axis=1, min_count=1).fillna(200),
        DebtRatio=ratio.where(earns),
        debt=debt,
        income_per_head=income / (table["NumberOfDependents"].fillna(0) + 1),
        income_left=income - debt,
        other_lines=lines - homes,
        debt_per_line=debt / (lines + 1),
        used_lines=table[USE].clip(upper=2) * (lines - homes),
    )
    return frame.astype(float), bad


def chosen(frame: pd.DataFrame, bad: np.ndarray, threads: int) -> Boosting:
    """The candidate that does best on a fifth of the training rows when learned from the others."""
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import train_test_split

    learn, judge = train_test_split(np.arange(len(bad)), test_size=0.2, random_state=9, stratify=bad)
    scores = []
    for candidate in CANDIDATES:
        card = CreditScorecard(MONOTONE, trees=candidate, protected=(), threads=threads)
        card.fit(frame.iloc[learn], bad[learn])
        scores.append(roc_auc_score(bad[judge], card.risk_by_trees(frame.iloc[judge])))
    return replace(CANDIDATES[int(np.argmax(scores))], seeds=SEEDS)


def main() -> None:
    """Fold, choose inside, fit, compare."""
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    frame, bad = borrowers(arguments.data)
    risk, blind, card_risk, points = (np.empty(len(bad)) for _ in range(4))
    found: list[dict[str, float]] = []
    for train, test in StratifiedKFold(5, shuffle=True, random_state=0).split(frame, bad):
        learned, asked = frame.iloc[train], frame.iloc[test]
        settings = chosen(learned, bad[train], arguments.threads)
        card = CreditScorecard(MONOTONE, trees=settings, protected=(), threads=arguments.threads)
        card.fit(learned, bad[train])
        risk[test], card_risk[test], points[test] = card.risk_by_trees(asked), card.risk(asked), card.score(asked)
        without = CreditScorecard(MONOTONE, trees=replace(settings, seeds=1), threads=arguments.threads)
        blind[test] = without.fit(learned.drop(columns="age"), bad[train]).risk_by_trees(asked)
        found.append(
            {
                "AUC": roc_auc_score(bad[test], risk[test]),
                "AUC of the scorecard": roc_auc_score(bad[test], card_risk[test]),
                "AUC of its whole points": roc_auc_score(bad[test], -points[test]),
                "AUC without age": roc_auc_score(bad[test], blind[test]),
                "Gini": gini(risk[test], bad[test]),
                "KS": kolmogorov_smirnov(risk[test], bad[test]),
                "PSI, test against training points": population_stability(card.score(learned), points[test]),
                "calibration: mean risk ÷ share of bad": risk[test].mean() / bad[test].mean(),
            }
        )
    mean = pd.DataFrame(found).mean()
    rows = [Row(what, float(value), REFERENCE if what.startswith("AUC") else None) for what, value in mean.items()]
    group = np.where(frame["age"] < 30, "under 30", np.where(frame["age"] < 60, "30 to 59", "60 and more"))
    for what, of in (("with", risk), ("without", blind)):
        impact = fairness(group, of, bad, float(np.quantile(of, 0.9)))["impact"]
        rows.append(Row(f"impact on under 30, {what} age", float(impact["under 30"])))
    report("credit_gmsc", f"{len(bad):,} borrowers, 5 stratified folds", rows)


if __name__ == "__main__":
    main()
