"""Which errors a step is tried again after, how often, and when it is ended."""

from typing import Any

from prefect import Task
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import exponential_backoff

from ecomine.errors import LockedError, StreamingError, UnavailableError
from ecomine.params import RunParams

PASSING = (UnavailableError, StreamingError, LockedError)
"""Errors that time may mend. A failed gate, a wrong setting or damaged data stays what it is, however often tried."""


def patient(step: Task[Any, Any], runs: RunParams) -> Task[Any, Any]:
    """The task with the workspace's patience: retries, with jitter, where waiting can help, and a time-out."""
    pauses = exponential_backoff(runs.retry_seconds / 2)(runs.retries) if runs.retries else None
    return step.with_options(
        retries=runs.retries,
        retry_delay_seconds=pauses,
        retry_jitter_factor=0.5,  # runs that lost the same server do not come back to it all at once
        retry_condition_fn=may_pass,
        timeout_seconds=runs.step_minutes * 60,
    )


def may_pass(task: Task[Any, Any], run: TaskRun, state: State[Any]) -> bool:
    """Whether a step that failed may succeed later, by the class of its error."""
    try:
        state.result()
    except PASSING:
        return True
    except BaseException:
        return False
    return False
