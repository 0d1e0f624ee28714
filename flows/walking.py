"""Stages as Prefect tasks: one after the other in this process, or each domain's in a process of its own."""

import dataclasses
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.task_runners import ProcessPoolTaskRunner

from ecomine.engine import mebibytes
from ecomine.stages import Context, Stage, run
from flows.progress import tell

Step = tuple[Stage, str | None]


@task(task_run_name="{label}", cache_policy=NO_CACHE, persist_result=False)
def run_stage(
    label: str, stage: str, domain: str | None, workspace: str, as_of: date | None = None, share: int = 1
) -> None:
    """Run one stage of the table in this process, one of `share` that have the machine's memory between them."""
    context = Context.of(Path(workspace), tell(), as_of)
    if share > 1:
        memory = f"{mebibytes(context.params.engine.memory_limit) // share}MiB"
        engine = dataclasses.replace(context.params.engine, memory_limit=memory)
        context = dataclasses.replace(context, params=dataclasses.replace(context.params, engine=engine))
    run(stage, domain, context)


def _nothing(stage: Stage, domain: str | None) -> None:
    pass


def walk(
    road: Sequence[Step],
    folder: Path,
    as_of: date | None = None,
    done: Callable[[Stage, str | None], None] = _nothing,
) -> None:
    """Run stages one after the other; `done` hears of each that ended well."""
    for stage, domain in road:
        run_stage(**_arguments(stage, domain, folder, as_of))
        done(stage, domain)


def together(
    roads: Sequence[Sequence[Step]], folder: Path, as_of: date | None, width: int, done: Callable[..., None]
) -> None:
    """Run several roads beside each other, in `width` processes; one that fails does not stop the others.

    The results are those of `walk`, byte for byte: each stage has the same threads, and reads nothing of another road.
    """
    with ProcessPoolTaskRunner(max_workers=width) as runner:
        futures = []
        for road in roads:
            last: list = []
            for stage, domain in road:
                arguments = {**_arguments(stage, domain, folder, as_of), "share": width}
                last = [runner.submit(run_stage, arguments, wait_for=last)]
                futures.append((stage, domain, last[0]))
        failures: dict[str | None, BaseException] = {}
        for stage, domain, future in futures:
            future.wait()
            if future.state.is_completed():
                done(stage, domain)
            elif domain not in failures:
                failures[domain] = future.state.result(raise_on_failure=False)
    for error in failures.values():
        raise error


def _arguments(stage: Stage, domain: str | None, folder: Path, as_of: date | None) -> dict:
    label = f"{stage.name} {domain}" if domain else stage.name
    return {"label": label, "stage": stage.name, "domain": domain, "workspace": str(folder), "as_of": as_of}
