"""Frames to draw: what a threshold finds and what it is worth, whether scores drift."""

import numpy as np
import pandas as pd

from ecomine.risk.decisions import BLOCK, REVIEW
from ecomine.risk.stability import population_stability

POINTS = 200
"""Points of a curve, at most."""

SHARES = (0.5, 0.9, 0.99)


def precision_recall(scores: dict[str, np.ndarray], fraud: np.ndarray) -> pd.DataFrame:
    """method, threshold, recall, precision: rows with a score from the threshold on; recall falls, as in scikit-learn.

    Of long curves every so many points are kept, first and last among them.
    """
    from sklearn.metrics import precision_recall_curve

    parts = []
    for name in sorted(scores):
        precision, recall, threshold = precision_recall_curve(fraud, scores[name])
        at = np.unique(np.linspace(0, len(threshold) - 1, min(POINTS, len(threshold))).astype(int))
        # Where few rows are left precision moves most.
        at = np.unique(np.append(at, np.arange(max(len(threshold) - POINTS, 0), len(threshold))))
        parts.append(
            pd.DataFrame({"method": name, "threshold": threshold[at], "recall": recall[at], "precision": precision[at]})
        )
    return pd.concat(parts, ignore_index=True)


def money_by_threshold(
    score: np.ndarray, blocked: np.ndarray, looked: np.ndarray, may_block: bool = True
) -> pd.DataFrame:
    """What would have been saved if all from a score on were treated alike: threshold, rows, share, review, block.

    `blocked` and `looked` are what each row saves where it is blocked or looked at, whatever analysts have time for.
    Equal scores go together; thresholds fall, so that the share rises. Without `may_block` there is no such column.
    """
    order = np.argsort(-score, kind="stable")
    last = np.append(np.flatnonzero(np.diff(score[order])), len(order) - 1)
    # Most thresholds of interest stop few rows: half of the points lie evenly in the logarithm of their number.
    wanted = np.concatenate([np.linspace(0, len(last) - 1, POINTS // 2), np.geomspace(1, len(last), POINTS // 2) - 1])
    at = last[np.unique(np.round(wanted).astype(int))]
    sums = {REVIEW: np.cumsum(looked[order])[at]} | ({BLOCK: np.cumsum(blocked[order])[at]} if may_block else {})
    return pd.DataFrame({"threshold": score[order][at], "rows": at + 1, "share": (at + 1) / len(order), **sums})


def drift(week: np.ndarray, score: np.ndarray, fraud: np.ndarray) -> pd.DataFrame:
    """Week by week: rows, auc (0.5 where all are alike), mean and quantiles of the score, and `stability`.

    Stability is the population stability index against the first week; above 0.25 the scores have moved.
    """
    from sklearn.metrics import roc_auc_score

    rows = []
    for number in np.unique(week):
        here = week == number
        told, label = score[here], fraud[here]
        auc = float(roc_auc_score(label, told)) if label.any() and not label.all() else 0.5
        quantiles = {f"score_{share:g}": float(np.quantile(told, share)) for share in SHARES}
        stable = population_stability(score[week == week.min()], told)
        rows.append({"week": number, "rows": len(told), "auc": auc, "score_mean": float(told.mean())} | quantiles
                    | {"stability": stable})  # fmt: skip
    return pd.DataFrame(rows)
