"""When flows start by themselves: `schedules` of params.yaml, as the deployments of prefect.yaml name them."""

import dataclasses
from pathlib import Path
from typing import Any

from ecomine.errors import SettingsError
from ecomine.stages import load_params


def read(workspace: str = ".") -> dict[str, list[dict[str, Any]]]:
    """Schedules by name, for `{{ schedules.NAME }}` in prefect.yaml; none for one that is switched off.

    `prefect deploy` calls this as a build step. Raises SettingsError for a time that is none.
    """
    from prefect.client.schemas.schedules import CronSchedule

    found: dict[str, list[dict[str, Any]]] = {}
    for name, cron in dataclasses.asdict(load_params(Path(workspace)).schedules).items():
        try:
            found[name] = [{"cron": CronSchedule(cron=cron, timezone="UTC").cron, "timezone": "UTC"}] if cron else []
        except ValueError as error:
            raise SettingsError(f"params.yaml: `schedules.{name}` is {cron!r}, which is no time of cron.") from error
    return found
