"""The checks that a candidate must pass before it may be deployed: pure functions from figures to checks.

The first is counted in money: what the candidate's decisions were worth on the test period, unit by unit, against the
best of the plain baselines on the same units.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ecomine import metrics
from ecomine.domain import Check
from ecomine.errors import FeatureError, NotEnoughDataError
from ecomine.params import GateParams

MODEL = "model"
CHALLENGER = "challenger"
CHAMPION = "champion"


def value_checks(values: pd.DataFrame, params: GateParams, seed: int) -> list[Check]:
    """Whether the decisions are worth more than nothing, and more than those of the best baseline.

    `values` has a row a unit and a column of money a method, `model` being the candidate; columns that hold no numbers
    name the unit. The interval is a paired percentile bootstrap over units. Raises NotEnoughDataError where there is
    no unit, FeatureError where there is no `model` or nothing to compare it with.
    """
    methods = values.select_dtypes("number")
    baselines = [str(name) for name in methods.columns if name != MODEL]
    if MODEL not in methods or not baselines:
        raise FeatureError(
            f"The values hold the methods {', '.join(map(str, methods.columns)) or 'none'}; expected `{MODEL}` and at "
            "least one baseline, a column of money each."
        )
    if values.empty:
        raise NotEnoughDataError("There is no unit in the test period, so nothing can be compared; bring more data.")
    means = methods.mean()
    # In the order of the columns, so that equal baselines always give the same report.
    best = max(baselines, key=lambda name: float(means[name]))
    worth = float(means[MODEL])
    gain = (methods[MODEL] - methods[best]).to_numpy(float)
    low, high = metrics.mean_interval(gain, params.confidence, params.bootstrap_samples, seed)
    share = f" ({gain.mean() / means[best]:+.1%})" if means[best] > 0 else ""
    return [
        Check(
            "worth_more_than_nothing",
            worth,
            0.0,
            worth > 0.0,
            f"the decisions are worth {worth:.2f} a unit over {len(values):,} units",
        ),
        Check(
            "better_than_baseline",
            low,
            params.min_gain,
            low > params.min_gain,
            f"{gain.mean():+.2f}{share} a unit over {best}, {params.confidence:.0%} interval {low:+.2f} to "
            f"{high:+.2f}; the lower end must be above {params.min_gain:g}",
        ),
    ]


def champion_check(values: pd.DataFrame, params: GateParams, seed: int) -> Check:
    """Whether the challenger loses no more than the tolerated share of the champion's value on the same units.

    `values` has the columns challenger and champion, money, one row a unit. Raises FeatureError and NotEnoughDataError
    like `value_checks`.
    """
    missing = [name for name in (CHALLENGER, CHAMPION) if name not in values]
    if missing:
        raise FeatureError(
            f"The values lack the column {', '.join(missing)}; they have {', '.join(map(str, values.columns))}."
        )
    if values.empty:
        raise NotEnoughDataError("There is no unit on which challenger and champion could be compared.")
    difference = (values[CHALLENGER] - values[CHAMPION]).to_numpy(float)
    champion = float(values[CHAMPION].mean())
    low, high = metrics.mean_interval(difference, params.confidence, params.bootstrap_samples, seed)
    limit = -params.champion_tolerance * abs(champion)
    mean = float(difference.mean())
    return Check(
        "not_worse_than_champion",
        mean,
        limit,
        mean >= limit,
        f"{mean:+.2f} a unit against the champion's {champion:.2f} on the same {len(values):,} units, "
        f"{params.confidence:.0%} interval {low:+.2f} to {high:+.2f}; at most {-limit:.2f} may be lost",
    )


def sample(requests: pd.DataFrame, entity: str, n: int, seed: int) -> pd.DataFrame:
    """The request rows of `n` entities drawn at random (all, where there are fewer), in their order."""
    entities = np.sort(requests[entity].unique())
    if len(entities) > n:
        entities = np.random.default_rng(seed).choice(entities, n, replace=False)
    return requests[requests[entity].isin(entities)].reset_index(drop=True)


def equality_check(n_rows: int, differences: Sequence[str] | pd.DataFrame | int) -> Check:
    """Whether features read online equal those read point in time, on `n_rows` sampled rows."""
    count = differences if isinstance(differences, int) else len(differences)
    shown = f": {_first(differences)}" if count else ""
    return Check(
        "online_equals_offline",
        float(count),
        0.0,
        count == 0 and n_rows > 0,
        f"{count:,} differences between online and offline features on {n_rows:,} rows{shown}",
    )


def size_check(folder: Path, params: GateParams) -> Check:
    """Whether the candidate's files are small enough to be deployed, in megabytes of a million bytes."""
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
    return Check(
        "bundle_size",
        size,
        params.max_bundle_mb,
        0.0 < size <= params.max_bundle_mb,
        f"{size:.1f} MB; at most {params.max_bundle_mb:g} MB",
    )


def report(checks: Sequence[Check]) -> dict[str, Any]:
    """The gate file: whether all checks passed, and each of them. A gate without a check does not pass."""
    return {
        "passed": bool(checks) and all(check.passed for check in checks),
        "checks": [
            {
                "name": check.name,
                "value": float(check.value),
                "limit": float(check.limit),
                "passed": bool(check.passed),
                "why": check.why,
            }
            for check in checks
        ],
    }


def _first(differences: Sequence[str] | pd.DataFrame | int, n: int = 3) -> str:
    if isinstance(differences, int):
        return str(differences)
    if isinstance(differences, pd.DataFrame):
        return "; ".join(str(row) for row in differences.head(n).to_dict("records"))
    return "; ".join(str(difference) for difference in differences[:n])
