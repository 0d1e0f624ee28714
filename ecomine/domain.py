"""The contract: what a domain offers.

A domain is a value, not a class to inherit from. Its functions are pure: they get tables and frames and give frames;
the stages read and write. Two frames matter. *Labelled rows* are what a domain learns from: entity keys, an
`event_timestamp` at which everything must have been known, a `label`, and what the domain knows about the row itself.
*Requests* are the same without a label: the rows for which a decision is wanted. The features of a row come from the
feature store in both cases, point in time for the first, online for the second.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import duckdb
import pandas as pd

from ecomine.errors import NotEnoughDataError
from ecomine.explanation import Explanation

EVENT_TIMESTAMP = "event_timestamp"
LABEL = "label"


@dataclass(frozen=True)
class Inputs:
    """What a domain may see: relations of the clean tables up to `as_of`, and its own settings.

    `tables` holds DuckDB relations by canonical name, all of one connection; a table that the source lacks is absent.
    """

    connection: duckdb.DuckDBPyConnection
    tables: Mapping[str, duckdb.DuckDBPyRelation]
    as_of: datetime
    params: Any
    seed: int
    threads: int

    def without(self, domain: "Domain") -> list[str]:
        """What this run does without, in words; raises NotEnoughDataError where a needed table is absent."""
        missing = [name for name in domain.requires if name not in self.tables]
        if missing:
            raise NotEnoughDataError(
                f"{domain.name} needs the table {', '.join(missing)}; this source has "
                f"{', '.join(sorted(self.tables)) or 'none'}. "
                f"Map it in params.yaml or take {domain.name} out of `domains`."
            )
        return [f"{domain.name}: no {name} in this source" for name in domain.improves if name not in self.tables]


@dataclass(frozen=True)
class Rows:
    """Labelled rows to learn from and to be tested on, later in time, and what was true in the test period.

    notes: what a person should know of how they came about, in words.
    """

    train: pd.DataFrame
    test: pd.DataFrame
    truth: pd.DataFrame
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Evaluation:
    """How good the decisions were on the test period.

    metrics: method → metric → value; the model's own method is `model`, the others are baselines.
    values: one row a decided unit (a user, an item …), one column a method, money a unit.
    plots: name → frame to draw, declared to DVC as a CSV file.
    """

    metrics: Mapping[str, Mapping[str, float]]
    values: pd.DataFrame
    plots: Mapping[str, pd.DataFrame] = field(default_factory=dict)


@dataclass(frozen=True)
class Check:
    """One check of a gate."""

    name: str
    value: float
    limit: float
    passed: bool
    why: str

    @classmethod
    def at_most(cls, name: str, value: float, limit: float, why: str) -> "Check":
        """Passes up to and with the limit."""
        return cls(name, float(value), float(limit), value <= limit, why)

    @classmethod
    def none_of(cls, name: str, count: int, what: str) -> "Check":
        """Passes where there is none of what must not be."""
        return cls.at_most(name, count, 0, f"{count:,} {what}")


class Model(Protocol):
    """Fitted state that can be kept in a folder of files which hold no code."""

    def save(self, folder: Path) -> None: ...


FeatureReader = Callable[[pd.DataFrame], pd.DataFrame]
"""Adds the feature columns of the domain's service to rows with entity keys; missing entities get nulls."""


@dataclass(frozen=True)
class Range:
    """Values of a setting among which a search may choose, evenly or, with `log`, by ratio."""

    low: float
    high: float
    log: bool = False
    whole: bool = False


Report = Callable[[int, float], None]
"""What a validation calls after each stretch of time: its number, and the value so far; may end it by raising."""


def unreported(step: int, value: float) -> None:
    """A report that nobody waits for."""


@dataclass(frozen=True)
class Tunable:
    """How a domain's settings are searched by validation inside the training period.

    space: setting → range, or the values on offer; `section.setting` for a setting of an inner section.
    widest(params) → params whose labelled rows hold all that any choice may need.
    validate(train frame, params, seed, threads, report) → number, higher is better; the frame is that of `widest`, and
    what it learns from must lie before what it judges by. It calls `report` after each stretch that it judges by.
    """

    space: Mapping[str, Range | tuple[Any, ...]]
    validate: Callable[[pd.DataFrame, Any, int, int, Report], float]
    widest: Callable[[Any], Any] = lambda params: params


def over_time(stretches: int, judge: Callable[[int], float], report: Report = unreported) -> float:
    """Mean of `judge(number)` over the stretches of time, the mean so far reported after each."""
    values: list[float] = []
    for number in range(stretches):
        values.append(judge(number))
        report(number, sum(values) / len(values))
    return sum(values) / len(values)


@dataclass(frozen=True)
class Heed:
    """How a domain minds what another one has decided.

    read(the other's decisions) → what matters of them, made once a version of the other
    apply(own decisions, what matters) → own decisions, with the same columns
    """

    read: Callable[[pd.DataFrame], Any]
    apply: Callable[[pd.DataFrame, Any], pd.DataFrame]


@dataclass(frozen=True)
class Watch:
    """What can be seen of decisions day by day, long before their worth is known.

    metric: what it is called; higher is better.
    measure(decisions, inputs, after, until, days) → one row a window of `days` in (after, until]: window (its number
    from 0), value, rows (how many it is made of). `inputs` may hold rows after `until`, which must not count.
    """

    metric: str
    measure: Callable[[pd.DataFrame, Inputs, datetime, datetime, int], pd.DataFrame]


@dataclass(frozen=True)
class Domain:
    """One kind of daily decision.

    label(inputs) → Rows                    labelled rows of training and test period
    fit(train frame, inputs) → model        learns; the frame is `Rows.train` with features
    load(folder) → model                    the inverse of `model.save`
    request(model, keys | None) → rows      rows to decide on, for the given entities or for all
    decide(model, frame, params) → frame    decisions from requests with features; columns `decision_columns`
    evaluate(model, test frame, truth, params) → Evaluation
    check(model, decisions, inputs) → [Check]   sanity limits of its own, on the decisions of `as_of`
    tunable: how `ecomine tune` searches its settings, where it can
    succeed(candidate's folder, its decisions, champion's folder) → decisions, changes: what a candidate takes over
        from the version that it follows, such as names, in its files and decisions; and what changes for how many
        (columns before, after, customers, share). The same for the same two versions; trained models know nothing of it
    heeds: other domain's name → how its deployed decisions are minded whenever own ones are published or answered. What
        is trained, proposed and gated does not depend on it, so that one domain can be made without another
    watch: what monitoring can see of its decisions each day, where there is something
    explain(model, some test rows with features, params) → Explanation: what moves its predictions, for people to read
    """

    name: str
    question: str
    requires: tuple[str, ...]
    improves: tuple[str, ...]
    params: type
    service: str
    entity: str
    decision_columns: tuple[str, ...]
    label: Callable[[Inputs], Rows]
    fit: Callable[[pd.DataFrame, Inputs], Any]
    load: Callable[[Path], Any]
    request: Callable[[Any, pd.DataFrame | None], pd.DataFrame]
    decide: Callable[[Any, pd.DataFrame, Any], pd.DataFrame]
    evaluate: Callable[[Any, pd.DataFrame, pd.DataFrame, Any], Evaluation]
    check: Callable[[Any, pd.DataFrame, Inputs], list[Check]]
    tunable: Tunable | None = None
    succeed: Callable[[Path, pd.DataFrame, Path], tuple[pd.DataFrame, pd.DataFrame]] | None = None
    heeds: Mapping[str, Heed] = field(default_factory=dict)
    watch: Watch | None = None
    explain: Callable[[Any, pd.DataFrame, Any], Explanation] | None = None
