"""The files of a workspace: settings, tables, models, deployed versions and SQLite stores."""

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from ecomine import layout
from ecomine.doctor.finding import Finding
from ecomine.errors import EcomineError
from ecomine.initialise import BESIDE
from ecomine.lock import holder
from ecomine.params import FILE, Params
from ecomine.stages import PIPELINE, load_params
from ecomine.store import Store

SECONDS = 2.0
"""How long one store is looked at."""

STEPS = 10_000
"""Steps of SQLite between two looks at the clock."""


def settings(folder: Path) -> tuple[Params | None, Finding]:
    """The settings, or why they cannot be used."""
    try:
        params = load_params(folder)
    except EcomineError as error:
        return None, Finding.fault(
            "settings", str(error), f"Mend {folder / FILE}, or write one: `ecomine init FOLDER`."
        )
    missing = [name for name in BESIDE if not (folder / name).exists()]
    if missing:
        mend = "Copy it from ecomine's checkout, or begin with `ecomine init FOLDER`, which does."
        return params, Finding.fault("settings", f"{FILE} is there, but not {', '.join(missing)}", mend)
    return params, Finding.ok("settings", f"{folder / FILE}: {params.source}, for {', '.join(params.domains)}")


def workspace(folder: Path) -> Iterator[Finding]:
    """Files that stages made, SQLite stores, deployed versions, and who writes."""
    yield _files(folder)
    for path in sorted({*folder.glob("data/receipts/*.db"), *folder.glob("data/stream/*.db")}):
        yield _database(folder, path, "Put it aside, and a new one is begun; what it held is lost.")
    if (online := folder / layout.ONLINE_FILE).is_file():
        yield _database(folder, online, "Fill it anew: `ecomine stage materialize`.")
    yield from _deployed(folder)
    owner = holder(Store(folder))
    if owner is not None:
        yield Finding.ok("at work", f"{owner} writes to this workspace")


def _files(folder: Path) -> Finding:
    """That every Parquet and JSON file that a stage wrote can be opened; what is inside is not read."""
    import pyarrow.parquet as pq

    places = {name.format(domain="*") for stage in PIPELINE for name in stage.writes}
    paths = sorted({path for place in places for found in folder.glob(place) for path in (found, *found.rglob("*"))})
    seen, broken = 0, []
    for path in paths:
        try:
            if path.suffix == ".parquet" and path.is_file():
                pq.read_metadata(path)
            elif path.suffix == ".json" and path.is_file():
                json.loads(path.read_text())
            else:
                continue
        except Exception as error:  # each format fails in its own way
            broken.append(f"{path.relative_to(folder)}: {str(error).splitlines()[0]}")
        seen += 1
    if broken:
        more = f" and {len(broken) - 3} more" if len(broken) > 3 else ""
        return Finding.fault(
            "files", f"{'; '.join(broken[:3])}{more}", f"{_makers(folder, broken)}, or `dvc checkout`."
        )
    if not seen:
        return Finding.warning("files", "nothing was made here yet", "`ecomine run` walks the road.")
    return Finding.ok("files", f"{seen:,} tables and reports can be opened")


def _makers(folder: Path, broken: list[str]) -> str:
    """The stages that make the broken files."""
    names = {line.split(":", 1)[0] for line in broken}
    found = {}
    for stage in PIPELINE:
        for place in stage.writes:
            for path in folder.glob(place.format(domain="*")):
                inside = path.relative_to(folder).as_posix()
                if any(name == inside or name.startswith(f"{inside}/") for name in names):
                    found[stage.name] = f"`ecomine stage {stage.name}{' DOMAIN' if stage.per_domain else ''}`"
    return f"Make them anew: {', '.join(found.values())}"


def _database(folder: Path, path: Path, mend: str) -> Finding:
    name = path.relative_to(folder).as_posix()
    until, late = time.monotonic() + SECONDS, False

    def look() -> int:
        nonlocal late
        late = time.monotonic() > until
        return int(late)

    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=SECONDS)) as connection:
            connection.set_progress_handler(look, STEPS)
            told = connection.execute("PRAGMA quick_check(3)").fetchall()
    except sqlite3.OperationalError as error:
        if late or "locked" in str(error):
            size = path.stat().st_size / 2**20
            return Finding.ok(name, f"{size:,.0f} MiB, well as far as was seen in {SECONDS:g} seconds")
        return Finding.fault(name, str(error), mend)
    except sqlite3.DatabaseError as error:
        return Finding.fault(name, str(error), mend)
    if told != [("ok",)]:
        return Finding.fault(name, "; ".join(str(row[0]) for row in told), mend)
    return Finding.ok(name, "whole")


def _deployed(folder: Path) -> Iterator[Finding]:
    from ecomine.deployment import bundle, records

    store = Store(folder)
    for pointer in sorted(folder.glob(f"{layout.DEPLOYMENTS.format(domain='*')}/current.json")):
        name = pointer.parent.name
        try:
            record = records.current_record(store, name)
            if record is None:
                continue
            wrong = bundle.damage(store.path(f"{bundle.versions(name)}/{record['digest']}"), record["digest"])
        except EcomineError as error:
            wrong = str(error)
        if wrong:
            mend = f"`ecomine rollback {name}`, or train and deploy again."
            yield Finding.fault(f"deployed {name}", wrong, mend)
        elif record is not None:
            yield Finding.ok(f"deployed {name}", f"{record['digest'][:12]} of {record['when'][:10]}, whole")
