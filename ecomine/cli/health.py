"""Commands for operators: how it stands with what is deployed, and with the machine that it runs on."""

import argparse
import dataclasses
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ecomine.errors import EcomineError, UnwellError

if TYPE_CHECKING:
    from ecomine.stages import Context


def status(options: argparse.Namespace) -> None:
    """What is deployed, how old, how healthy, and what runs next."""
    from ecomine import deployment
    from ecomine.lock import holder
    from ecomine.stages import Context
    from ecomine.summary import status
    from flows.next_runs import next_runs

    context, now = Context.of(options.workspace), datetime.now(UTC)
    rows, coming, watched = deployment.status(context), next_runs(options.workspace, now), _watched(context)
    owner = holder(context.store)
    if options.json:
        planned = [dataclasses.asdict(one) for one in coming]
        whole = {"domains": rows, "health": watched, "next_runs": planned, "at_work": str(owner) if owner else None}
        print(json.dumps(whole, indent=2, default=_plain))
        return
    for row in rows:
        print(status(row))
    if watched:
        print(_health(watched))
    if owner:
        print(f"at work\n  {owner}")
    by = "" if any(one.planned for one in coming) else " (once the control room is up: `make up`)"
    print(f"next runs{by if coming else ''}")
    for one in coming:
        print(f"  {one.name:10} {one.at:%Y-%m-%d %H:%M} UTC, in {_span((one.at - now).total_seconds())}")
    if not coming:
        print("  none is scheduled")


def doctor(options: argparse.Namespace) -> None:
    """Whether all is well, and how to mend what is not."""
    from ecomine.doctor import FAULT, OK, WARNING, examine

    found = []
    for one in examine(options.workspace):
        found.append(one)
        if not options.json:
            print(f"{one.state:8} {one.name:24} {one.seen}", flush=True)
            if one.mend:
                print(f"{'':33} mend: {one.mend}", flush=True)
    faults, warnings = (sum(one.state == state for one in found) for state in (FAULT, WARNING))
    if options.json:
        print(json.dumps({"well": not faults, "findings": [dataclasses.asdict(one) for one in found]}, indent=2))
    elif not faults:
        print(f"\n{sum(one.state == OK for one in found)} of {len(found)} well, {warnings} to look at, no fault")
    if faults:
        raise UnwellError(f"{faults} of {len(found)} checks found a fault; each says above how to mend it.")


def _watched(context: "Context") -> dict[str, Any]:
    """What the last look of monitoring found; nothing where there was none, or its file cannot be read."""
    from ecomine import layout

    if not context.store.exists(layout.MONITORING_REPORT):
        return {}
    try:
        return dict(context.store.read_json(layout.MONITORING_REPORT))
    except (EcomineError, TypeError, ValueError):
        return {}


def _health(watched: dict[str, Any]) -> str:
    alarms = [f"{one['domain']}, {one['name']}" for one in watched.get("alarms", [])]
    told = "; ".join(alarms) or "nothing is out of the ordinary"
    return f"health\n  {told} (up to {str(watched.get('as_of', ''))[:10]}; `ecomine monitor` looks again)"


def _span(seconds: float) -> str:
    hours = max(seconds, 0.0) / 3600
    if hours < 1:
        return f"{hours * 60:.0f} minutes"
    return f"{hours:.0f} hours" if hours < 48 else f"{hours / 24:.0f} days"


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value.item() if hasattr(value, "item") else str(value)
