"""What a candidate must show before it takes the champion's place: speed, no loss in money, a way back."""

import time
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pandas as pd

from ecomine import gates, layout
from ecomine.deployment.bundle import DECISIONS, Bundle, load
from ecomine.domain import Check, Domain, FeatureReader
from ecomine.errors import DeploymentError, EcomineError

if TYPE_CHECKING:
    from ecomine.stages import Context

ANSWERS = 15
"""Single answers timed; a median needs few, and the first is thrown away since it warms caches."""


def answer(domain: Domain, model: Any, bundle: Bundle, read: FeatureReader, keys: pd.DataFrame) -> pd.DataFrame:
    """Decisions for the entities in `keys`, from the model and the features that `read` finds online."""
    return domain.decide(model, read(domain.request(model, keys)), bundle.params)


def entities(domain: Domain, bundle: Bundle, count: int, seed: int) -> pd.DataFrame:
    """Keys of up to `count` entities that the version decided for, the same for the same seed."""
    decisions = (bundle.folder / DECISIONS).as_posix()
    keys = duckdb.execute(
        f"""SELECT DISTINCT "{domain.entity}" FROM read_parquet(?)
        ORDER BY md5(concat("{domain.entity}", ?)), "{domain.entity}" LIMIT ?""",
        [decisions, str(seed), count],
    ).df()
    if keys.empty:
        raise DeploymentError(f"{domain.name}: version {bundle.digest[:12]} has decided for no {domain.entity}.")
    return keys


def latency_check(context: "Context", domain: Domain, model: Any, bundle: Bundle, read: FeatureReader) -> Check:
    """Whether the median time of one answer, model and online features together, is within the limit."""
    keys = entities(domain, bundle, ANSWERS + 1, context.params.seed)
    times = []
    for place in range(len(keys)):
        one = keys.iloc[[place]].reset_index(drop=True)
        start = time.perf_counter()
        answer(domain, model, bundle, read, one)
        times.append((time.perf_counter() - start) * 1000)
    median = float(np.median(times[1:] or times))
    limit = context.params.gate.max_latency_ms
    why = f"a single answer takes {median:.1f} ms, the median of {len(keys)}; at most {limit:g} ms"
    return Check("latency", median, limit, median <= limit, why)


def rehearse(context: "Context", domain: Domain, digest: str, read: FeatureReader) -> tuple[Any, Bundle]:
    """Load a deployed version and have it answer; raises DeploymentError where it does not."""
    model, bundle = load(context.store, domain, digest)
    try:
        decisions = answer(domain, model, bundle, read, entities(domain, bundle, 3, context.params.seed))
    except DeploymentError:
        raise
    except Exception as error:
        raise DeploymentError(
            f"{domain.name}: version {digest[:12]} does not answer ({type(error).__name__}: {error})."
        ) from error
    missing = [name for name in domain.decision_columns if name not in decisions]
    if missing or decisions.empty:
        raise DeploymentError(
            f"{domain.name}: version {digest[:12]} answers {len(decisions)} rows of "
            f"{', '.join(map(str, decisions.columns))}; expected {', '.join(domain.decision_columns)}."
        )
    return model, bundle


def champion_check(context: "Context", domain: Domain, model: Any, bundle: Bundle) -> Check:
    """Whether the candidate is no worse than the champion (`model`, `bundle`) on the candidate's test rows.

    Raises DeploymentError where the champion cannot decide on these rows, since then nothing can be said.
    """
    store, name = context.store, domain.name
    test = store.read_frame(f"{layout.FRAMES.format(domain=name)}/test.parquet")
    truth = store.read_frame(f"{layout.FRAMES.format(domain=name)}/truth.parquet")
    missing = [feature for feature in bundle.features if feature not in test]
    if missing:
        raise _incomparable(bundle, f"it needs the features {', '.join(missing)}, which are no more")
    try:
        champion = domain.evaluate(model, test, truth, bundle.params).values
    except (EcomineError, LookupError, TypeError, ValueError) as error:
        raise _incomparable(bundle, f"{type(error).__name__}: {error}") from error
    values = paired(store.read_frame(layout.VALUES.format(domain=name)), champion)
    if values is None:
        raise _incomparable(bundle, "it decides on other units than the candidate does")
    return gates.champion_check(values, context.params.gate, context.params.seed)


def paired(challenger: pd.DataFrame, champion: pd.DataFrame) -> pd.DataFrame | None:
    """Values of both on the same units, columns challenger and champion; None where the units differ.

    Columns that hold no numbers name the unit; without such a column the order of the rows does.
    """
    units = list(challenger.select_dtypes(exclude="number").columns)
    if len(challenger) != len(champion) or any(name not in champion for name in units):
        return None
    if units:
        challenger = challenger.sort_values(units, ignore_index=True)
        champion = champion.sort_values(units, ignore_index=True)
        if not challenger[units].astype(str).equals(champion[units].astype(str)):
            return None
    return pd.DataFrame(
        {
            gates.CHALLENGER: challenger[gates.MODEL].to_numpy(float),
            gates.CHAMPION: champion[gates.MODEL].to_numpy(float),
        }
    )


def _incomparable(bundle: Bundle, why: str) -> DeploymentError:
    return DeploymentError(
        f"version {bundle.digest[:12]}, which is deployed, cannot decide on the "
        f"candidate's test rows, so the two cannot be compared ({why})."
    )
