"""Decisions for days that have gone by: what the deployed versions would have decided then, kept by date.

    decisions/history/<domain>/as_of=YYYY-MM-DD.parquet

Each day is worked out in a folder of its own, over the tables that were read last; the workspace's own tables,
features, online store and published decisions stay as they are. Only clean tables and features are those of the day:
the version itself knows what it was trained on, so figures of days before its training say nothing of how good it is.
"""

import dataclasses
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta

import yaml

from ecomine import deployment, layout
from ecomine import params as settings
from ecomine.deployment import scoring
from ecomine.domains import DOMAINS
from ecomine.errors import SettingsError
from ecomine.stages import PIPELINE, Context, run
from ecomine.store import write_frame

NEW, SAME, OTHER = "new", "there already", "replaced"
"""What became of a day of a domain."""

MOST_DAYS = 3660


def days(first: date, last: date) -> list[date]:
    """Each day of a range, both ends in it; raises SettingsError where there is none, or too many."""
    count = (last - first).days + 1
    if not 1 <= count <= MOST_DAYS:
        raise SettingsError(f"From {first} to {last} are {count:,} days; expected 1 to {MOST_DAYS:,}.")
    return [first + timedelta(days=number) for number in range(count)]


def fill(context: Context, domains: Iterable[str], day: date) -> dict[str, str]:
    """Decisions of each domain's deployed version at the start of `day`, kept; what became of them, by domain.

    A file that is there with the same rows stays untouched. Raises DeploymentError where nothing is deployed,
    MissingInputError where no tables were read yet.
    """
    context.store.require(layout.CANONICAL, "ingest")
    became = {}
    with _side(context, day) as side:
        for stage in PIPELINE:
            if set(stage.writes) & {layout.CLEAN, layout.VALIDATION, layout.FEATURES}:
                run(stage.name, None, side)
        for name in domains:
            model, described = deployment.load(context.store, DOMAINS[name])
            decisions = scoring.decide(side, DOMAINS[name], model, described)
            target = context.store.path(layout.HISTORY.format(domain=name, day=day.isoformat()))
            new = side.store.path(f"{name}.parquet")
            write_frame(new, decisions)
            if target.is_file() and target.read_bytes() == new.read_bytes():
                became[name] = SAME
                continue
            became[name] = OTHER if target.exists() else NEW
            with context.store.replacing(layout.HISTORY.format(domain=name, day=day.isoformat())) as path:
                shutil.copyfile(new, path)
    return became


@contextmanager
def _side(context: Context, day: date) -> Iterator[Context]:
    """A workspace beside this one in which the day is worked out; gone afterwards."""
    store = context.store
    folder = store.path(layout.BACKFILL)
    shutil.rmtree(folder, ignore_errors=True)
    (folder / layout.CANONICAL).parent.mkdir(parents=True)
    try:
        (folder / layout.CANONICAL).symlink_to(store.path(layout.CANONICAL))
        for name in (layout.SUITES, layout.DEFINITIONS):
            (folder / name).symlink_to(store.path(name))
        document = yaml.safe_load(store.path(settings.FILE).read_text())
        (folder / settings.FILE).write_text(yaml.safe_dump(document | {"as_of": day.isoformat()}))
        quiet = Context.of(folder)
        yield dataclasses.replace(
            quiet, params=dataclasses.replace(context.params, as_of=datetime(day.year, day.month, day.day))
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
