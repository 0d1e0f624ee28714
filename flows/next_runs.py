"""What runs next by itself: as the Prefect server plans it where one answers, else as the settings say."""

import json
import os
import re
import urllib.request
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from ecomine.stages import load_params
from flows.control_room import FILE, is_up

HERE = "http://127.0.0.1:4200/api"
SECONDS = 3.0
NAMED = re.compile(r"\{\{ *schedules\.(\w+)\.cron *\}\}")
"""A schedule of params.yaml by its name, in prefect.yaml."""


@dataclass(frozen=True)
class Planned:
    """A run to come. planned: whether a server will start it; else it would, if the control room were up."""

    name: str
    at: datetime
    planned: bool


def next_runs(workspace: Path, now: datetime) -> list[Planned]:
    """The next run of each deployment, soonest first."""
    api_url = os.environ.get("PREFECT_API_URL", HERE).rstrip("/")
    if is_up(api_url):
        try:
            return _of_server(api_url)
        except (OSError, ValueError, KeyError):
            pass
    return _of_settings(workspace, now)


def _of_server(api_url: str) -> list[Planned]:
    asked = {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}, "sort": "NEXT_SCHEDULED_START_TIME_ASC"}
    runs = _post(f"{api_url}/flow_runs/filter", {**asked, "limit": 200})
    flows = {flow["id"]: flow["name"] for flow in _post(f"{api_url}/flows/filter", {})}
    first: dict[str, Planned] = {}
    for run in runs:
        at = run.get("next_scheduled_start_time") or run.get("expected_start_time")
        if at:
            name = flows.get(run["flow_id"], run["name"])
            first.setdefault(name, Planned(name, datetime.fromisoformat(at.replace("Z", "+00:00")), True))
    return sorted(first.values(), key=lambda one: (one.at, one.name))


def _post(url: str, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:
        return json.load(answer)


def _of_settings(workspace: Path, now: datetime) -> list[Planned]:
    from cronsim import CronSim

    params = load_params(workspace)
    file = workspace / params.project / FILE
    entries = yaml.safe_load(file.read_text())["deployments"] if file.is_file() else []
    found = []
    for entry in entries:
        for cron in _crons(entry.get("schedules"), getattr(params, "schedules", None)):
            found.append(Planned(entry["entrypoint"].split(":")[1], next(CronSim(cron, now)), False))
    return sorted(found, key=lambda one: (one.at, one.name))


def _crons(schedules: Any, named: Any) -> list[str]:
    """Times of an entry's schedules, those of params.yaml by their names; none of what is switched off."""
    found = []
    for one in schedules or []:
        match = NAMED.fullmatch(str(one.get("cron", "")).strip())
        found.append(getattr(named, match[1], None) if match else one.get("cron"))
    return [cron for cron in found if cron]
