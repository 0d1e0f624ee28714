"""What deployed versions decided since, on newer features than those they were deployed with.

    deployments/<domain>/scored.json               the pointer to the newest, and the version that it is of
    deployments/<domain>/scored/<as_of>_<sha256>.parquet  the decisions, before they mind those of other domains

The pointer names its version, so a deployment of another one, or a rollback, makes it void at once. Files are kept for
as long as receipts of answers may name them.
"""

import hashlib
import time
from datetime import datetime
from pathlib import Path

import pandas as pd

from ecomine import layout
from ecomine.errors import DamagedError
from ecomine.store import Store, sync, write_frame, write_json

SCORED = "+"
"""Between the digest of a version and the name of what it decided when it was scored."""

MOMENT = "%Y%m%dT%H%M%S"
DAY = 86_400.0


def newest(store: Store, name: str, digest: str) -> str:
    """The name of a version's newest decisions: its digest, with that of its scores behind it where it has some."""
    try:
        found = store.read_json(_pointer(name), "version", "scored")
    except (FileNotFoundError, DamagedError):
        return digest
    there = found["version"] == digest and file(store, name, found["scored"]).is_file()
    return f"{digest}{SCORED}{found['scored']}" if there else digest


def version(decisions: str) -> str:
    """The digest of the version in the name of decisions."""
    return decisions.partition(SCORED)[0]


def known_until(decisions: str, deployed_with: datetime) -> datetime:
    """The moment up to which decisions of that name know the shop."""
    scored = decisions.partition(SCORED)[2]
    return datetime.strptime(scored.partition("_")[0], MOMENT) if scored else deployed_with


def file(store: Store, name: str, scored: str) -> Path:
    return store.path(f"{layout.DEPLOYMENTS.format(domain=name)}/scored/{scored}.parquet")


def keep(store: Store, name: str, digest: str, as_of: datetime, decisions: pd.DataFrame, days: float) -> bool:
    """Make these the newest decisions of a version; False where they are already. Those older than `days` go."""
    folder = store.path(f"{layout.DEPLOYMENTS.format(domain=name)}/scored")
    folder.mkdir(parents=True, exist_ok=True)
    new = folder / ".new"
    write_frame(new, decisions)
    with new.open("rb") as content:
        scored = f"{as_of.strftime(MOMENT)}_{hashlib.file_digest(content, 'sha256').hexdigest()}"
    if newest(store, name, digest) == f"{digest}{SCORED}{scored}":
        new.unlink()
        return False
    sync(new)
    new.replace(file(store, name, scored))
    with store.replacing(_pointer(name)) as path:
        write_json(path, {"version": digest, "scored": scored})
        sync(path)
    for old in folder.glob("*.parquet"):
        if old.stem != scored and time.time() - old.stat().st_mtime > days * DAY:
            old.unlink()
    return True


def pointer(store: Store, name: str) -> Path:
    """The file whose change means that newer decisions are there."""
    return store.path(_pointer(name))


def _pointer(name: str) -> str:
    return f"{layout.DEPLOYMENTS.format(domain=name)}/scored.json"
