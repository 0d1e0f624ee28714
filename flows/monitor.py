"""The flow that looks, each hour, whether what is deployed still fits, and has what does not trained again."""

from pathlib import Path

from prefect import flow
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.client.schemas.objects import State

from ecomine import monitoring
from ecomine.lock import holder
from ecomine.monitoring.report import HEADER, rows, told
from ecomine.stages import Context
from flows import automation, overlaps
from flows.notices import DRIFT, TOLD, notify
from flows.progress import tell


@flow(name="monitor", **TOLD)
def monitor(retrain: bool = True, workspace: str = ".") -> State[None] | None:
    """Compare what happens in the shop with what the deployed versions were trained on.

    Args:
        retrain: have domains that drifted trained again; the new version has to pass its gate.
        workspace: folder that holds params.yaml.
    """
    folder, say = Path(workspace).resolve(), tell()
    context = Context.of(folder, say)
    if newer := overlaps.superseded():
        return overlaps.skipped(newer)
    if (writer := holder(context.store)) is not None:
        say(f"left for the next time: this workspace is being written to ({writer})")
        return None
    ready = retrain and automation.install(folder, say)
    look = monitoring.monitor(context)
    create_table_artifact(
        [dict(zip(HEADER, row, strict=True)) for row in rows(look)], key="monitoring", description=told(look)
    )
    say(told(look))
    new = monitoring.untold(context, look)
    if new:
        create_markdown_artifact(
            "\n".join(f"- **{alarm.domain}**: {alarm.name}: {alarm.why}" for alarm in new),
            key="alarms",
            description="What has come up since the last look",
        )
        notify(told(look), "\n".join(f"{alarm.domain}: {alarm.name}: {alarm.why}" for alarm in new), DRIFT, folder)
    drifted: dict[str, list[monitoring.Alarm]] = {}
    for alarm in new:
        say(f"ALARM {alarm.domain}: {alarm.name}: {alarm.why}")
        if alarm.retrain:
            drifted.setdefault(alarm.domain, []).append(alarm)
    if retrain:
        for domain, alarms in drifted.items():
            automation.emit(folder, domain, alarms)
            say(f"{domain}: {'is trained again' if ready else 'should be trained again: ecomine run ' + domain}")
    return None
