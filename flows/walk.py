"""The road itself, without Prefect: every stage of the table in its order, recorded with DVC, then deployment.

`retrain` walks it with a Prefect task a step; `ecomine run --no-server` walks it as it is.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ecomine import deployment
from ecomine.errors import EcomineError
from ecomine.lock import workspace_lock
from ecomine.stages import STAGES, Context, Stage, run, steps
from ecomine.store import Store
from flows.record import record
from flows.releases import told

Finished = list[tuple[str, str | None]]
"""Stages that ran, by name, each with its domain."""

Road = Sequence[tuple[Stage, str | None]]
Done = Callable[[Stage, str | None], None]


@dataclass(frozen=True)
class Way:
    """How a step is taken, what was made is recorded, and who is told.

    beside: how the roads of several domains are walked at once; None walks them one after the other.
    """

    step: Callable[[str, str | None], None]
    record: Callable[[Finished], None]
    say: Callable[[str], None]
    deployed: Callable[[str, str], None] = lambda domain, digest: None
    beside: Callable[[Sequence[Road], Done], None] | None = None


def walk(domains: list[str], deploy: bool, folder: Path, way: Way) -> None:
    """Walk the road for `domains` in the workspace `folder`, alone there; what was made before an error is recorded.

    Raises LockedError where another process writes to the workspace, and what the stages raise.
    """
    finished: list[tuple[Stage, str | None]] = []
    with workspace_lock(Store(folder), f"the road for {', '.join(domains)}"):
        try:
            _make(domains, way, lambda stage, domain: finished.append((stage, domain)))
        finally:
            if finished:
                way.record([(stage.name, domain) for stage, domain in finished])
        if deploy:
            _deploy(domains, folder, way)


def _make(domains: list[str], way: Way, done: Done) -> None:
    """Every stage that makes files, the shared ones first."""
    road = [(stage, domain) for stage, domain in steps(domains) if stage.tracked]
    roads = [[step for step in road if step[1] == domain] for domain in (None, *domains)]
    together = way.beside if len(domains) > 1 else None
    for stage, domain in roads[0] if together else road:
        way.step(stage.name, domain)
        done(stage, domain)
    if together:
        together(roads[1:], done)


def plain(folder: Path, say: Callable[[str], None]) -> Way:
    """Steps as calls in this process."""
    return Way(
        step=lambda stage, domain: run(stage, domain, Context.of(folder, say)),
        record=lambda finished: recorded(folder, finished, say),
        say=say,
    )


def recorded(folder: Path, finished: Finished, say: Callable[[str], None]) -> None:
    """Record with DVC what was made, and say so."""
    if record(folder, [(STAGES[name], domain) for name, domain in finished]):
        say(f"{len(finished)} stages recorded with DVC")
    else:
        say("not recorded: this workspace is no DVC repository (`dvc init` makes it one)")


def _deploy(domains: list[str], folder: Path, way: Way) -> None:
    """Deploy each domain; one that fails its gate does not keep the others from going live."""
    failures: list[EcomineError] = []
    for stage, domain in steps(domains):
        if stage.tracked:
            continue
        try:
            before = deployment.current(Store(folder), domain) if domain else None
            way.step(stage.name, domain)
        except EcomineError as error:
            failures.append(error)
            continue
        if domain:
            told(folder, domain, way.say)
            digest = deployment.current(Store(folder), domain)
            if digest and digest != before:
                way.deployed(domain, digest)
    if failures:
        raise type(failures[0])("\n".join(str(error) for error in failures)) from failures[0]
