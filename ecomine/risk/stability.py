"""How well a score separates, whether it has drifted, and whether it treats groups alike."""

import numpy as np
import pandas as pd

FEWEST = 1e-4
"""Share that an empty bin is given, so that the index stays finite."""


def population_stability(expected: np.ndarray, actual: np.ndarray, bins: int = 10) -> float:
    """Population stability index over the deciles of what was expected; above .25 the population has changed.

    >>> round(population_stability(np.arange(1000), np.arange(1000)), 6)
    0.0
    """
    edges = np.unique(np.quantile(expected, np.linspace(0, 1, bins + 1)[1:-1]))
    shares = [
        np.maximum(np.bincount(np.searchsorted(edges, part, "left"), minlength=len(edges) + 1) / len(part), FEWEST)
        for part in (np.asarray(expected, float), np.asarray(actual, float))
    ]
    return float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())


def kolmogorov_smirnov(risk: np.ndarray, bad: np.ndarray) -> float:
    """Greatest distance between the distributions of risk of good and bad.

    >>> kolmogorov_smirnov(np.array([0.1, 0.2, 0.8, 0.9]), np.array([0, 0, 1, 1]))
    1.0
    """
    from scipy import stats

    bad = np.asarray(bad, bool)
    return float(stats.ks_2samp(risk[bad], risk[~bad]).statistic)


def gini(risk: np.ndarray, bad: np.ndarray) -> float:
    """2 · AUC − 1: 0 for a guess, 1 for a perfect order.

    >>> gini(np.array([0.1, 0.2, 0.8, 0.9]), np.array([0, 0, 1, 1]))
    1.0
    """
    from sklearn.metrics import roc_auc_score

    return 2.0 * float(roc_auc_score(bad, risk)) - 1.0


def fairness(group: pd.Series | np.ndarray, risk: np.ndarray, bad: np.ndarray, limit: float) -> pd.DataFrame:
    """How groups fare where credit is granted up to a risk of `limit`; a row a group.

    Columns: people, risk (mean), bad (share), granted (share), granted_good (share of the good who are granted), gini,
    and impact: share granted ÷ that of the group which is granted most (below .8 is the usual alarm, EEOC 1978).
    """
    frame = pd.DataFrame({"group": np.asarray(group, object), "risk": risk, "bad": np.asarray(bad, float)})
    frame["granted"] = frame["risk"] <= limit
    frame["granted_good"] = frame["granted"].where(frame["bad"] == 0).astype(float)
    found = frame.groupby("group", sort=True).agg(
        people=("risk", "size"),
        risk=("risk", "mean"),
        bad=("bad", "mean"),
        granted=("granted", "mean"),
        granted_good=("granted_good", "mean"),
    )
    found["gini"] = [
        gini(part["risk"].to_numpy(), part["bad"].to_numpy()) if part["bad"].nunique() == 2 else np.nan
        for _, part in frame.groupby("group", sort=True)
    ]
    found["impact"] = found["granted"] / max(found["granted"].max(), 1e-12)
    return found
