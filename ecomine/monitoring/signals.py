"""The readings of one window of one domain."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd

from ecomine.deployment import bundle
from ecomine.domain import Domain, Inputs
from ecomine.monitoring import habits, profile, windows
from ecomine.monitoring.reference import FEATURES, SCORES, TABLE, Reference, answers, watched_tables, window_rows
from ecomine.monitoring.state import Signal
from ecomine.params import MonitoringParams

if TYPE_CHECKING:
    from ecomine.stages import Context

TABLES, HABITS, LIVE, NULLS = "tables", "habits", "live", "nulls"


def measure(
    context: "Context", domain: Domain, model: Any, version: bundle.Bundle, reference: Reference, inputs: Inputs,
    end: datetime, earlier: list[dict[str, Any]],
) -> list[Signal]:  # fmt: skip
    """What the window that ends at `end` shows against the reference; `earlier` are the signals of windows before.

    Nothing that happened after `end` is looked at.
    """
    settings = context.params.monitoring
    start = end - timedelta(days=settings.window_days)
    found: list[Signal] = []
    for name in watched_tables(domain, inputs):
        rows = window_rows(inputs.connection, inputs.tables, name, start, end)
        was = reference.profiles.get(TABLE + name)
        if rows is None or was is None:
            continue
        now = profile.counted(was, profile.relation_blocks(rows))
        if next(iter(now.values())).rows >= settings.min_rows:
            found += compared(TABLES, name, was, now, settings)
    sample = answers(context, domain, model, version, end)
    for reason in (FEATURES, SCORES):
        if reason in sample and reason in reference.profiles:
            was = reference.profiles[reason]
            now = profile.counted(was, profile.frame_blocks(sample[reason]))
            found += compared(reason, reason, was, now, settings)
    told = habits.told(inputs.connection, inputs.tables, reference.past, start, end, settings.window_days)
    found += _series(HABITS, told, reference, earlier, settings)
    if domain.watch is not None:
        lists = pd.read_parquet(version.folder / bundle.DECISIONS)
        seen = domain.watch.measure(lists, inputs, start, end, settings.window_days)
        found += _series(LIVE, seen.assign(signal=domain.watch.metric), reference, earlier, settings)
    return found


def compared(
    reason: str, name: str, was: profile.Profile, now: profile.Profile, settings: MonitoringParams
) -> list[Signal]:
    """Whether so many columns have drifted, and whether values went missing.

    A column has drifted where its index or distance reaches the limit and so great a difference is hardly chance.
    """
    found = profile.shifts(was, now)
    if not found:
        return []
    moved = [
        shift
        for shift in found
        if shift.chance < settings.chance and (shift.psi >= settings.psi or (shift.ks or 0.0) >= settings.ks)
    ]
    worst = max(found, key=lambda shift: shift.psi)
    share = len(moved) / len(found)
    distance = "" if worst.ks is None else f", KS {worst.ks:.2f}"
    why = f"{len(moved)} of {len(found)} columns drifted; most {worst.column}: PSI {worst.psi:.2f}{distance}"
    emptier = max(found, key=lambda shift: abs(shift.nulls))
    null = f"nulls of {emptier.column} {emptier.nulls:+.0%}"
    return [
        Signal(reason, name, share, settings.drifted_share, share >= settings.drifted_share, why),
        Signal(NULLS, name, abs(emptier.nulls), settings.nulls, abs(emptier.nulls) > settings.nulls, null),
    ]


def _series(
    reason: str, rows: pd.DataFrame, reference: Reference, earlier: list[dict[str, Any]], settings: MonitoringParams
) -> list[Signal]:
    found = []
    for row in rows[rows["rows"] >= settings.min_rows].to_dict("records"):  # a few measures, never rows of the shop
        name, value = str(row["signal"]), float(row["value"])
        known = reference.series.loc[reference.series["signal"] == name, "value"].tolist()
        lacking = settings.least_reference - len(known)
        if lacking > 0:
            known += [one["value"] for one in earlier if one["name"] == name and one["reason"] == reason][:lacking]
        if len(known) < settings.least_reference:
            why = f"learning what is usual: {len(known)} of {settings.least_reference} windows"
            found.append(Signal(reason, name, value, -settings.deviations, False, why, True))
            continue
        known_as = windows.usual(known)
        far = known_as.deviations(value)
        why = f"{value:.3f}, usually {known_as.middle:.3f} ± {known_as.spread:.3f}: {far:+.1f} spreads"
        found.append(Signal(reason, name, value, -settings.deviations, far < -settings.deviations, why, True))
    return found
