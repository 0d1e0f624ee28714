"""The risk of an entity by the labels that were known at the time, however late they came."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ecomine.risk.behaviour import DAY, Moments
from ecomine.risk.timeline import Timeline

PRIOR = 3.0
"""Labels at the average risk that a share of frauds is mixed with."""

LATEST = (1, 3, 10)
"""How many of the latest known labels are looked at."""


@dataclass(frozen=True)
class Verdicts:
    """Labels of payments: which have one, its rank on the clock (when it became known), and whether it was fraud."""

    known: np.ndarray
    rank: np.ndarray
    fraud: np.ndarray

    def of_usual(self, usual: np.ndarray) -> "Verdicts":
        """The same without the frauds that their amount gives away, which tell little of the place they happened at."""
        fraud = self.fraud & usual
        return Verdicts(self.known & (fraud | ~self.fraud), self.rank, fraud)


def reputation(
    moments: Moments, verdicts: Verdicts, name: str, rows: np.ndarray, windows: Mapping[str, int]
) -> dict[str, np.ndarray]:
    """What was known about the entity `name` of the payments `rows` at their time; columns by name.

    Windows hold the labels that became known within them. `streak` is the number of latest labels in a row that are
    fraud, `streak_days` the time since the first payment of that row; `risk` mixes the share of frauds with the share
    among all labels that were known then.
    """
    code = moments.entities[name]
    line = Timeline.of(code, verdicts.rank, len(moments.clock), verdicts.known)
    asked, rank, now = code[rows], moments.rank[rows], moments.time[rows]
    end, first = line.until(asked, rank), line.before(asked, 0)
    flags = verdicts.fraud[line.order]
    frauds = line.sums(verdicts.fraud)
    times = np.append(moments.time[line.order], 0)
    place = np.arange(len(flags))
    last_fraud = np.append(np.maximum.accumulate(np.where(flags, place, -1)), -1)
    last_honest = np.append(np.maximum.accumulate(np.where(flags, -1, place)), -1)
    latest = end - 1  # of an entity without labels this is a place of another one, before `first`
    fraud_at = np.where(end > first, last_fraud[latest], -1)
    honest_at = np.where(end > first, last_honest[latest], -1)
    begun = np.maximum(honest_at + 1, first)
    streak = np.where(end > first, end - begun, 0)
    average = _average(moments, verdicts, rank)

    def risk(start: np.ndarray) -> np.ndarray:
        return (frauds[end] - frauds[start] + PRIOR * average) / (end - start + PRIOR)

    columns = {
        "labels": (end - first).astype(float),
        "risk": risk(first),
        "days_since_fraud": np.where(fraud_at >= first, (now - times[fraud_at]) / DAY, np.nan),
        "days_since_honest": np.where(honest_at >= first, (now - times[honest_at]) / DAY, np.nan),
        "streak": streak.astype(float),
        "streak_days": np.where(streak > 0, (now - times[begun]) / DAY, np.nan),
    }
    for count in LATEST:
        columns[f"frauds_of_{count}"] = (frauds[end] - frauds[np.maximum(end - count, first)]).astype(float)
    for label, window in windows.items():
        start = line.before(asked, moments.clock.opening(window)[rank])
        columns[f"frauds_{label}"] = (frauds[end] - frauds[start]).astype(float)
        columns[f"labels_{label}"] = (end - start).astype(float)
        columns[f"risk_{label}"] = risk(start)
    return columns


def _average(moments: Moments, verdicts: Verdicts, rank: np.ndarray) -> np.ndarray:
    """Share of frauds among all labels known at each moment; 0 before the first."""
    line = Timeline.of(np.zeros(len(verdicts.rank), np.int64), verdicts.rank, len(moments.clock), verdicts.known)
    end = np.searchsorted(line.key, rank, "right")
    return line.sums(verdicts.fraud)[end] / np.maximum(end, 1)
