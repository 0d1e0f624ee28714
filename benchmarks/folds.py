"""Stratified folds for classifiers: what every benchmark of a probability does the same way."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

FOLDS = 5
SEEDS = (0, 1, 2)


def read(folder: Path, name: str) -> pd.DataFrame:
    """A CSV file of the data folder; ends the process with one sentence where it is not there."""
    path = folder / name
    if not path.exists():
        sys.exit(f"{path} is not there; put it into {folder} or name the folder that has it with --data.")
    return pd.read_csv(path)


def scores(frame: pd.DataFrame, label: np.ndarray, make: Callable[[], Any]) -> pd.DataFrame:
    """AUC and AP, of the model and of logistic regression, and the calibration error of the model: a row a seed.

    The calibration error is the mean absolute difference between probability and share over ten groups of equal size.
    """
    from sklearn.metrics import average_precision_score, roc_auc_score
    from sklearn.model_selection import StratifiedKFold

    rows = []
    for seed in SEEDS:
        for train, test in StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(frame, label):
            model = make().fit(frame.iloc[train], label[train])
            row: dict[str, float] = {"seed": seed}
            for name, predict in (("model", model.predict), ("linear", model.predict_plainly)):
                predicted = predict(frame.iloc[test])
                row[f"{name} AUC"] = roc_auc_score(label[test], predicted)
                row[f"{name} AP"] = average_precision_score(label[test], predicted)
                if name == "model":
                    group = np.argsort(np.argsort(predicted, kind="stable")) * 10 // len(predicted)
                    error = pd.DataFrame({"error": predicted - label[test]}).groupby(group)["error"].mean().abs()
                    row["calibration error"] = float(error.mean())
            rows.append(row)
    return pd.DataFrame(rows).groupby("seed").mean()
