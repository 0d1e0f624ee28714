"""What each feature adds for a target, and which ones add nothing: a step that all domains share.

Trees are fitted on all folds but one, in turn. On the fold left out, whose groups (a user, an item …) the trees have
not seen, each feature's values are shuffled among the rows: by how much the loss grows is what the feature adds there
(permutation importance, Breiman 2001). A feature that adds something in most folds is kept. One that says the same as
another is found before, since two such features would each seem to add nothing.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ecomine.errors import NotEnoughDataError

if TYPE_CHECKING:
    import xgboost

FOLDS = 3
ROWS = 30_000
"""Rows looked at, whole groups of them; more change the order of the useful features little and cost time."""

ROUNDS = 60
SAME = 0.9999
"""Correlation from which on two features say the same."""

STABLE = 2 / 3
"""Share of the folds in which a feature must add something."""

_BITS = 1 << 32


@dataclass(frozen=True)
class Verdict:
    """What was found about a feature.

    gain: share of the loss that splits on it took away while fitting, mean over folds. adds: growth of the loss on
    unseen groups when it is shuffled, mean over folds; spread: its standard deviation. stability: share of the folds in
    which it adds something. why: the reason where it is not kept.
    """

    feature: str
    gain: float
    adds: float
    spread: float
    stability: float
    kept: bool
    why: str


def select(frame: pd.DataFrame, label: str, group: str, features: Sequence[str], seed: int = 42) -> list[Verdict]:
    """A verdict on each of `features`, those that add most first.

    frame: labelled rows; its other numeric columns are learned from too, and not judged. Raises NotEnoughDataError
    where there are fewer than three groups or only one kind of label.
    """
    rows = sample(frame, group, seed)
    target = rows[label].to_numpy(np.float64)
    fold = _numbers(rows[group], seed + 1) % FOLDS
    if len(np.unique(fold)) < FOLDS or len(np.unique(target)) < 2:
        raise NotEnoughDataError(
            f"{len(rows):,} rows of {rows[group].nunique():,} {group} with {len(np.unique(target))} kinds of {label}; "
            f"feature selection needs {FOLDS} groups and two kinds of label."
        )
    dropped = _useless(rows, features)
    others = [name for name in rows.select_dtypes(["number", "bool"]).columns if name not in {label, group, *features}]
    judged = [name for name in features if name not in dropped]
    values = rows[[*judged, *others]].to_numpy(np.float32)
    gains, adds = np.zeros((FOLDS, len(judged))), np.zeros((FOLDS, len(judged)))
    for number in range(FOLDS):
        gains[number], adds[number] = _judge(values, target, fold == number, len(judged), seed + number)
    verdicts = [_verdict(name, gains[:, column], adds[:, column]) for column, name in enumerate(judged)]
    verdicts += [Verdict(name, 0.0, 0.0, 0.0, 0.0, False, why) for name, why in dropped.items()]
    return sorted(verdicts, key=lambda verdict: (not verdict.kept, -verdict.adds, verdict.feature))


def report(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """The verdicts as plain values for a metrics file, rounded to what the method can tell."""
    rounded = [
        {name: round(value, 6) if isinstance(value, float) else value for name, value in asdict(verdict).items()}
        for verdict in verdicts
    ]
    return {
        "kept": sum(verdict.kept for verdict in verdicts),
        "dropped": sum(not verdict.kept for verdict in verdicts),
        "features": {row.pop("feature"): row for row in rounded},
    }


def sample(frame: pd.DataFrame, group: str, seed: int, rows: int = ROWS) -> pd.DataFrame:
    """About `rows` rows, whole groups of them, that depend on nothing but the groups and the seed."""
    if len(frame) <= rows:
        return frame
    return frame[_numbers(frame[group], seed) < rows / len(frame) * _BITS]


def _numbers(groups: pd.Series, seed: int) -> np.ndarray:
    """A number below 2³² for each row, the same for the same group."""
    hashes = pd.util.hash_pandas_object(groups, index=False, hash_key=f"{seed:016d}"[-16:]).to_numpy()
    return np.asarray(hashes >> np.uint64(32), np.int64)


def _useless(rows: pd.DataFrame, features: Sequence[str]) -> dict[str, str]:
    """Features that cannot tell anything, or say what an earlier one says, each with the reason."""
    values = rows[list(features)].to_numpy(np.float64)
    missing = np.isnan(values)
    filled = np.where(missing, 0.0, values)
    spread = filled.std(axis=0)
    same = (np.abs(filled - filled[:1]).max(axis=0) == 0) & (missing == missing[:1]).all(axis=0)
    scaled = (filled - filled.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    # Sums by einsum come in one order; a matrix product over threads would not.
    likeness = np.einsum("rf,rg->fg", scaled, scaled) / len(scaled)
    dropped: dict[str, str] = {}
    for column, name in enumerate(features):
        if same[column]:
            dropped[name] = "has the same value in every row"
            continue
        for earlier in np.flatnonzero(likeness[:column, column] >= SAME):
            twin = features[int(earlier)]
            if twin not in dropped and (missing[:, earlier] == missing[:, column]).all():
                dropped[name] = f"says the same as {twin}"
                break
    return dropped


def _judge(
    values: np.ndarray, target: np.ndarray, unseen: np.ndarray, count: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Of each of the first `count` columns its share of the gain, and what it adds on the `unseen` rows."""
    import xgboost

    binary = bool(np.isin(target, (0, 1)).all())
    settings = {
        "objective": "binary:logistic" if binary else "reg:squarederror",
        "tree_method": "hist",
        "max_bin": 64,
        "max_depth": 5,
        "learning_rate": 0.15,
        "min_child_weight": 5,
        "seed": seed,
        "nthread": 1,  # so few rows are sooner done by one
    }
    booster = xgboost.train(settings, xgboost.DMatrix(values[~unseen], target[~unseen], nthread=1), ROUNDS)
    gain = np.zeros(values.shape[1])
    for name, value in booster.get_score(importance_type="total_gain").items():
        gain[int(name[1:])] = value
    rows, truth = values[unseen].copy(), target[unseen]
    order = np.random.default_rng(seed).permutation(len(rows))
    plain = _loss(booster, rows, truth, binary)
    adds = np.zeros(count)
    # A column that no split asks for cannot change the answer.
    for column in np.flatnonzero(gain[:count]):
        before = rows[:, column].copy()
        rows[:, column] = before[order]
        adds[column] = _loss(booster, rows, truth, binary) - plain
        rows[:, column] = before
    return gain[:count] / max(gain.sum(), 1e-12), adds


def _loss(booster: "xgboost.Booster", rows: np.ndarray, truth: np.ndarray, binary: bool) -> float:
    """Mean log loss for labels 0 and 1, mean squared error for others."""
    said = np.asarray(booster.inplace_predict(rows), np.float64)
    if not binary:
        return float(np.mean((truth - said) ** 2))
    said = np.clip(said, 1e-7, 1 - 1e-7)
    return float(-np.mean(np.where(truth > 0, np.log(said), np.log1p(-said))))


def _verdict(name: str, gains: np.ndarray, adds: np.ndarray) -> Verdict:
    stability = float((adds > 0).mean())
    kept = stability >= STABLE - 1e-9 and float(adds.mean()) > 0
    if kept:
        why = ""
    elif not gains.any():
        why = "no tree asks for it"
    else:
        why = f"adds something in {int((adds > 0).sum())} of {len(adds)} folds, {adds.mean():.2g} on the mean"
    return Verdict(name, float(gains.mean()), float(adds.mean()), float(adds.std()), stability, kept, why)
