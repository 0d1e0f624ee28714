"""Scheduled runs that piled up while nobody worked become one: the newest.

Prefect's own limit of a deployment (`concurrency_limit`) lets runs wait in line or refuses the newer ones, and a run
that was killed keeps its place until a lease of minutes ends; so the choice is made here, as each run begins.
"""

from datetime import UTC, datetime
from typing import Any

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.context import FlowRunContext
from prefect.states import Cancelled

WAITING = [StateType.SCHEDULED, StateType.PENDING]
HEEDED = [*WAITING, StateType.RUNNING, StateType.COMPLETED]
"""States in which a newer run stands in an older one's place; one that failed does not."""

SCHEDULED = "auto-scheduled"
"""Tag that Prefect gives each run that a schedule makes."""

AT_MOST = 200
"""Runs looked at, as many as Prefect gives at a time; where more piled up, the next run sees the rest."""


def superseded() -> str | None:
    """Why this run must not work, or None; of older scheduled runs of its deployment none is left to wait.

    Only runs made by a schedule count, on both sides: what a person started has a purpose of its own, and so has a
    run that a person starts again.
    """
    context = FlowRunContext.get()
    run = context.flow_run if context else None
    if run is None or run.deployment_id is None or SCHEDULED not in run.tags or run.run_count > 1:
        return None
    due = _due(run.deployment_id)
    newest = max(due, key=_moment, default=run)
    with get_client(sync_client=True) as client:
        for one in due:
            if one.state_type in WAITING and _moment(one) < _moment(newest) and one.id != run.id:
                client.set_flow_run_state(one.id, Cancelled(message=_told(newest)))
    return _told(newest) if _moment(newest) > _moment(run) else None


def _due(deployment: Any) -> list[FlowRun]:
    """Scheduled runs of a deployment that should have begun by now and did not fail, newest first."""
    with get_client(sync_client=True) as client:
        return client.read_flow_runs(
            flow_run_filter=FlowRunFilter(
                deployment_id=FlowRunFilterDeploymentId(any_=[deployment]),
                tags=FlowRunFilterTags(all_=[SCHEDULED]),
                state=FlowRunFilterState(type=FlowRunFilterStateType(any_=HEEDED)),
                expected_start_time=FlowRunFilterExpectedStartTime(before_=datetime.now(UTC)),
            ),
            sort=FlowRunSort.EXPECTED_START_TIME_DESC,
            limit=AT_MOST,
        )


def _moment(run: FlowRun) -> datetime:
    return run.expected_start_time or datetime.min.replace(tzinfo=UTC)


def _told(newest: FlowRun) -> str:
    return f"Overtaken by the scheduled run {newest.name} of {_moment(newest):%Y-%m-%d %H:%M:%S} UTC; one is enough."
