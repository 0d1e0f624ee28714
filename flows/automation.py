"""Prefect's own hand in training again: the event `ecomine.drift` starts the deployment `retrain/on-demand`.

The automation is Prefect's, so an operator sees it in the UI, may switch it off there, and finds which event started
which run. One a workspace; made anew or brought up to date whenever monitoring starts.
"""

import hashlib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from ecomine.monitoring import Alarm

EVENT = "ecomine.drift"
DEPLOYMENT = "retrain/on-demand"


def resource(workspace: Path, domain: str) -> dict[str, str]:
    """The resource of an event about a domain of a workspace."""
    return {
        "prefect.resource.id": f"ecomine.{_key(workspace)}.{domain}",
        "prefect.resource.name": domain,
        "ecomine.workspace": str(workspace),
        "ecomine.domain": domain,
    }


def install(workspace: Path, say: Callable[[str], None]) -> bool:
    """Make the workspace's automation, or bring it up to date; False where there is no deployment to start."""
    from prefect.automations import Automation, EventTrigger, RunDeployment
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound

    name = f"retrain on drift: {workspace.name} ({_key(workspace)})"
    with get_client(sync_client=True) as client:
        try:
            deployment = client.read_deployment_by_name(DEPLOYMENT)
        except ObjectNotFound:
            say(f"drift starts no run by itself: the deployment {DEPLOYMENT} is not served; start it with `ecomine up`")
            return False
        known = client.read_automations_by_name(name)
    wanted = Automation(
        name=name,
        description="A domain no longer fits what happens in the shop: train it again. Its gate decides as always.",
        enabled=known[0].enabled if known else True,
        trigger=EventTrigger(
            expect={EVENT},
            match={"prefect.resource.id": f"ecomine.{_key(workspace)}.*"},  # type: ignore[arg-type]
            for_each={"prefect.resource.id"},
            threshold=1,
            within=timedelta(0),
        ),
        actions=[
            RunDeployment(
                source="selected",
                deployment_id=deployment.id,
                parameters={
                    "domains": [{"__prefect_kind": "jinja", "template": "{{ event.resource['ecomine.domain'] }}"}],
                    "workspace": str(workspace),
                },
            )
        ],
    )
    if not known:
        wanted.create()
        say(f"made the automation `{name}`")
    elif _differ(known[0], wanted):
        wanted.id = known[0].id
        wanted.update()
        say(f"brought the automation `{name}` up to date")
    return True


def emit(workspace: Path, domain: str, alarms: list[Alarm]) -> None:
    """Tell Prefect that a domain has drifted, and why."""
    from prefect.events import emit_event

    emit_event(
        EVENT,
        resource=resource(workspace, domain),
        payload={
            "version": alarms[0].version,
            "window": alarms[0].window,
            "reasons": [f"{alarm.reason}, {alarm.name}: {alarm.why}" for alarm in alarms],
        },
    )


def _differ(known: Any, wanted: Any) -> bool:
    """Whether an automation is another one than it should be, but for whether it is switched on."""

    def told(automation: Any) -> Any:
        trigger, (action,) = automation.trigger, automation.actions
        return (
            automation.description, sorted(trigger.expect), trigger.match.root, getattr(action, "deployment_id", None),
            getattr(action, "parameters", None),
        )  # fmt: skip

    return len(known.actions) != 1 or told(known) != told(wanted)


def _key(workspace: Path) -> str:
    return hashlib.sha256(str(workspace).encode()).hexdigest()[:8]
