"""Stages as Prefect tasks: one in this process, or the roads of several domains beside each other."""

import dataclasses
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.task_runners import ProcessPoolTaskRunner

from ecomine.engine import mebibytes
from ecomine.params import RunParams
from ecomine.stages import Context, run
from flows.patience import patient
from flows.progress import tell
from flows.walk import Done, Finished, Road, recorded


@task(task_run_name="{label}", cache_policy=NO_CACHE, persist_result=False)
def run_stage(
    label: str, stage: str, domain: str | None, workspace: str, as_of: date | None = None, share: int = 1
) -> None:
    """Run one stage of the table in this process, one of `share` that have DuckDB's memory between them."""
    context = Context.of(Path(workspace), tell(), as_of)
    if share > 1:
        memory = f"{mebibytes(context.params.engine.memory_limit) // share}MiB"
        engine = dataclasses.replace(context.params.engine, memory_limit=memory)
        context = dataclasses.replace(context, params=dataclasses.replace(context.params, engine=engine))
    run(stage, domain, context)


@task(task_run_name="record with DVC", cache_policy=NO_CACHE, persist_result=False)
def record_with_dvc(workspace: str, finished: Finished) -> None:
    """Commit what was made to DVC."""
    recorded(Path(workspace), finished, tell())


def named(stage: str, domain: str | None) -> str:
    """What a step is called in the UI."""
    return f"{stage} {domain}" if domain else stage


def one(folder: Path, runs: RunParams, as_of: date | None = None) -> Callable[[str, str | None], None]:
    """A step as a task with the patience of params.yaml."""
    step = patient(run_stage, runs)
    return lambda stage, domain: step(named(stage, domain), stage, domain, str(folder), as_of)


def beside(
    folder: Path, runs: RunParams, as_of: date | None, width: int
) -> Callable[[Sequence[Road], Done], None] | None:
    """Roads beside each other in `width` processes, for `Way.beside`; None for a single one.

    The results are those of one after the other, byte for byte: each stage has as many threads as ever, and reads
    nothing of another road. One that fails does not stop the others; its error is raised at the end.
    """
    if width < 2:
        return None
    step = patient(run_stage, runs)

    def walk(roads: Sequence[Road], done: Done) -> None:
        with ProcessPoolTaskRunner(max_workers=width) as runner:
            asked = []
            for road in roads:
                before: list = []
                for stage, domain in road:
                    arguments = {
                        "label": named(stage.name, domain), "stage": stage.name, "domain": domain,
                        "workspace": str(folder), "as_of": as_of, "share": width,
                    }  # fmt: skip
                    before = [runner.submit(step, arguments, wait_for=before)]
                    asked.append((stage, domain, before[0]))
            failures: dict[str | None, BaseException] = {}
            for stage, domain, future in asked:
                future.wait()
                if future.state.is_completed():
                    done(stage, domain)
                elif domain not in failures:
                    failures[domain] = future.state.result(raise_on_failure=False)
        for error in failures.values():
            raise error

    return walk
