"""What is deployed, at a glance."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from ecomine import gates, layout
from ecomine.deployment import bundle, records

if TYPE_CHECKING:
    from ecomine.stages import Context


def status(context: "Context") -> list[dict[str, Any]]:
    """One dict a domain, those of params.yaml and whatever else is deployed.

    domain, digest (None where nothing is deployed), action, deployed_at (UTC), age_days, as_of, who, commit,
    gate_passed, value and baseline_value (money a unit on the test period), baseline (the best one's name),
    metrics (the model's), changes (what the deployment changed for how many, where the domain tells),
    trial (the record of what is tried beside it, or None),
    earlier_versions (that a rollback can reach), damaged (what is wrong, or None), online_features (whether the online
    store is filled).
    """
    store = context.store
    found = sorted(
        path.parent.name for path in store.path(".").glob(f"{layout.DEPLOYMENTS.format(domain='*')}/current.json")
    )
    domains = [*context.params.domains, *(name for name in found if name not in context.params.domains)]
    online = store.path(layout.ONLINE)
    filled = online.is_dir() and any(online.iterdir())
    return [{**_one(context, name), "online_features": filled} for name in domains]


def _one(context: "Context", name: str) -> dict[str, Any]:
    store = context.store
    record = records.current_record(store, name)
    if record is None:
        return {"domain": name, "digest": None}
    folder = store.path(f"{bundle.versions(name)}/{record['digest']}")
    deployed = datetime.fromisoformat(record["when"])
    facts = {
        "domain": name,
        "digest": record["digest"],
        "action": record["action"],
        "deployed_at": deployed,
        "age_days": (datetime.now(UTC) - deployed).total_seconds() / 86400,
        "as_of": datetime.fromisoformat(record["as_of"]),
        "who": record["who"],
        "commit": (record["git"] or {}).get("commit"),
        "changes": record.get("changes", []),
        "trial": records.challenge(store, name),
        "earlier_versions": max(len(records.deployed(records.history(store, name))) - 1, 0),
    }
    damage = bundle.damage(folder, record["digest"])
    return {**facts, "damaged": damage} if damage else {**facts, "damaged": None, **_worth(folder)}


def _worth(folder: Path) -> dict[str, Any]:
    values = pd.read_parquet(folder / bundle.VALUES).select_dtypes("number").mean()
    baselines = values.drop(gates.MODEL)
    best = str(baselines.idxmax()) if len(baselines) else None
    return {
        "gate_passed": json.loads((folder / "gate.json").read_text())["passed"],
        "metrics": json.loads((folder / "metrics.json").read_text()).get(gates.MODEL, {}),
        "value": float(values[gates.MODEL]),
        "baseline": best,
        "baseline_value": float(baselines[best]) if best else None,
    }
