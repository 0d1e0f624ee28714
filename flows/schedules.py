"""When flows start by themselves: `schedules` of params.yaml, as the deployments of prefect.yaml name them."""

import dataclasses
from pathlib import Path
from typing import Any

from ecomine.errors import SettingsError
from ecomine.stages import load_params

NEVER = "0 0 1 1 *"
"""What stands for a schedule that is switched off, which is not active."""


def read(workspace: str = ".") -> dict[str, dict[str, Any]]:
    """cron and active of each schedule, for `{{ schedules.NAME.cron }}` in prefect.yaml.

    `prefect deploy` calls this as a build step. Raises SettingsError for a time that is none.
    """
    from prefect.client.schemas.schedules import CronSchedule

    found = {}
    for name, cron in dataclasses.asdict(load_params(Path(workspace)).schedules).items():
        try:
            found[name] = {"cron": CronSchedule(cron=cron or NEVER).cron, "active": cron is not None}
        except ValueError as error:
            raise SettingsError(f"params.yaml: `schedules.{name}` is {cron!r}, which is no time of cron.") from error
    return found
