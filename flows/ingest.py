"""From the shop's tables to features, offline and online: what is new since the last time."""

from datetime import date
from pathlib import Path

from prefect import flow
from prefect.artifacts import create_table_artifact

from ecomine import layout
from ecomine.stages import PIPELINE, Context
from flows import notices, stage_tasks
from flows.one_writer import one_writer
from flows.patience import patient
from flows.progress import tell


def refresh(context: Context, as_of: date | None) -> None:
    """Every stage that all domains share, one after the other; feature tables take only the days that are new."""
    folder, runs = context.store.workspace, context.params.runs
    step, finished = stage_tasks.one(folder, runs, as_of), []
    try:
        for stage in PIPELINE:
            if stage.tracked and not stage.per_domain:
                step(stage.name, None)
                finished.append((stage.name, None))
    finally:
        if finished and as_of is None:
            patient(stage_tasks.record_with_dvc, runs)(str(folder), finished)
        elif finished:
            context.say(f"not recorded with DVC: this was as of {as_of}, which params.yaml does not say")


@flow(name="ingest", **notices.TOLD)
@one_writer
def ingest(as_of: date | None = None, workspace: str = ".") -> None:
    """Read what is new in the shop's tables, clean and validate it, and bring the features up to date.

    Nothing is trained or decided.

    Args:
        as_of: nothing is seen from this day on; as params.yaml says where left empty. A run with a day of its own is
            not recorded with DVC, whose records tell what params.yaml says.
        workspace: folder that holds params.yaml.
    """
    context = Context.of(Path(workspace).resolve(), tell(), as_of)
    refresh(context, as_of)
    report = context.store.read_json(layout.CLEAN_REPORT)
    create_table_artifact(
        [
            {"table": name, "rows": counts["rows"], "kept": counts["rows"] - counts["refused"]}
            for name, counts in sorted(report["tables"].items())
        ],
        key="tables",
        description=f"The shop's tables up to {report['as_of'][:10]}",
    )
