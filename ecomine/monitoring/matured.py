"""What decisions turned out to be worth, once it is known: the domain's own evaluation, on what came true since."""

import dataclasses
from typing import TYPE_CHECKING, Any

import pandas as pd

from ecomine import gates, metrics
from ecomine.deployment import bundle
from ecomine.domain import EVENT_TIMESTAMP, Domain, Inputs
from ecomine.errors import EcomineError
from ecomine.monitoring.state import Signal

if TYPE_CHECKING:
    from ecomine.stages import Context

MONEY, PERFORMANCE = "money", "performance"


def judge(context: "Context", domain: Domain, model: Any, version: bundle.Bundle, inputs: Inputs) -> list[Signal]:
    """Realised against expected: the gain over the plain way, a unit, on rows that lie after the version's as_of.

    `inputs` ends at the moment that is looked from. Nothing where too little has come true yet.
    """
    from ecomine import feature_store

    try:
        rows = domain.label(dataclasses.replace(inputs, params=version.params))
        if rows.test.empty or rows.test[EVENT_TIMESTAMP].min() < version.as_of:
            return []
        frame = feature_store.point_in_time(context.store.workspace, rows.test, version.service)
        values = domain.evaluate(model, frame, rows.truth, version.params).values
    except (EcomineError, LookupError, TypeError, ValueError) as error:
        context.say(f"{domain.name}: what came true is not judged: {type(error).__name__}: {error}")
        return []
    expected = pd.read_parquet(version.folder / bundle.VALUES)
    plain = best_baseline(expected)
    if plain is None or plain not in values:
        return []
    gate, seed = context.params.gate, context.params.seed
    was, now = (gain(frame, plain) for frame in (expected, values))
    low, _ = metrics.mean_interval(was, gate.confidence, gate.bootstrap_samples, seed)
    least, most = metrics.mean_interval(now, gate.confidence, gate.bootstrap_samples, seed)
    worth = f"{float(values[gates.MODEL].mean()):.2f} a unit over {len(values):,} units"
    return [
        Signal(
            MONEY, "gain against expected", float(now.mean()), low, most < low,
            f"{now.mean():+.2f} ({least:+.2f} to {most:+.2f}) over {plain}, {worth}; expected {was.mean():+.2f}, at "
            f"least {low:+.2f}",
        ),
        Signal(
            PERFORMANCE, f"better than {plain}", most, 0.0, most <= 0.0,
            f"{now.mean():+.2f} a unit ({least:+.2f} to {most:+.2f}); the upper end must be above 0",
        ),
    ]  # fmt: skip


def best_baseline(values: pd.DataFrame) -> str | None:
    """Name of the baseline that earned most on the test period."""
    means = values.select_dtypes("number").mean().drop(gates.MODEL)
    return str(means.idxmax()) if len(means) else None


def gain(values: pd.DataFrame, plain: str) -> Any:
    """Money of the model above the baseline, unit by unit."""
    return (values[gates.MODEL] - values[plain]).to_numpy(float)
