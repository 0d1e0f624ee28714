"""How the shop's data and the answers do: refused rows, warnings, age, failed and slow answers.

Training again helps against none of these, so they are told and start nothing.
"""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ecomine import layout
from ecomine.deployment.live import Live
from ecomine.errors import EcomineError
from ecomine.monitoring.state import Signal
from ecomine.tables import TABLES

if TYPE_CHECKING:
    from ecomine.stages import Context

QUALITY, FRESHNESS, SERVING = "quality", "freshness", "serving"
FLOW = ("events", "order_lines")
"""Tables that a shop adds to every day."""


def quality(context: "Context") -> list[Signal]:
    """Share of refused rows of the worst table, and expectations that failed without stopping the run."""
    store, settings = context.store, context.params.monitoring
    tables = store.read_json(layout.CLEAN_REPORT, "tables")["tables"]
    shares = {name: counts["refused"] / counts["rows"] for name, counts in sorted(tables.items()) if counts["rows"]}
    found = []
    if shares:
        worst = max(shares, key=lambda name: shares[name])
        found.append(
            Signal(
                QUALITY, "refused rows", shares[worst], settings.max_refused, shares[worst] > settings.max_refused,
                f"{shares[worst]:.1%} of {worst}",
            )
        )  # fmt: skip
    if store.exists(layout.VALIDATION):
        judged = store.read_json(layout.VALIDATION, "tables")["tables"]
        failed = [
            f"{name}: {one['type']}" for name in sorted(judged) for one in judged[name]["expectations"]
            if not one["success"]
        ]  # fmt: skip
        limit = settings.max_warnings
        found.append(
            Signal(
                QUALITY, "failed expectations", len(failed), limit, len(failed) > limit, "; ".join(failed[:3]) or "none"
            )
        )
    return found


def freshness(context: "Context", now: datetime | None) -> list[Signal]:
    """Age of the newest rows and of the online features against as_of; and of as_of, where `now` is given."""
    settings, as_of = context.params.monitoring, context.as_of
    found = []
    with context.connection() as connection:
        tables = context.store.relations(connection, layout.CLEAN)
        for name in FLOW:
            if name in tables:
                newest = tables[name].max(str(TABLES[name].time)).fetchall()[0][0]
                if newest is not None:
                    found.append(_age(f"newest row of {name}", as_of - newest, context.params.quality.max_age_days))
    online = _online_as_of(context)
    if online is not None:
        found.append(_age("online features", as_of - online, settings.max_data_age_days))
    if now is not None:
        found.append(_age("data", now - as_of, settings.max_data_age_days))
    return found


def serving(context: "Context", hour: datetime) -> list[Signal]:
    """Answers of the hour that began at `hour`, by domain: share that failed or fell back, time of 95 %."""
    settings = context.params.monitoring
    found = []
    for domain, shown in Live(context.store).hour(hour).items():
        if shown.asked < settings.min_answers:
            continue
        share, slow = (shown.errors + shown.other) / shown.asked, shown.milliseconds(0.95)
        found += [
            Signal(
                SERVING, f"{domain}: answers failed or fell back", share, settings.max_fallback,
                share > settings.max_fallback,
                f"{shown.errors:,} failed and {shown.other:,} fell back, of {shown.asked:,}",
            ),
            Signal(
                SERVING, f"{domain}: time of answers", slow, settings.max_p95_ms, slow > settings.max_p95_ms,
                f"95 % within {slow:.1f} ms",
            ),
        ]  # fmt: skip
    return found


def _age(what: str, age: timedelta, limit: float) -> Signal:
    days = max(age.total_seconds() / 86400, 0.0)
    return Signal(FRESHNESS, what, days, limit, days > limit, f"{days:.1f} days old; at most {limit:g}")


def _online_as_of(context: "Context") -> datetime | None:
    from ecomine import feature_store
    from ecomine.domains import DOMAINS

    if not context.store.exists(layout.ONLINE):
        return None
    try:
        service = DOMAINS[context.params.domains[0]].service
        return feature_store.OnlineReader(context.store.workspace, service).as_of
    except (EcomineError, LookupError):
        return None
