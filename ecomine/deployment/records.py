"""The pointers to the version that answers now and to its challenger, and the record of every change of them.

A pointer holds the whole record of the change that set it. It is swapped before the record is appended to
the history, so that after a crash between the two the history can be completed from the pointer: readers see
it complete at once, the next writer completes it on disk.
"""

import getpass
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ecomine import layout
from ecomine.domain import Domain
from ecomine.errors import DeploymentError
from ecomine.store import Store, sync

DEPLOY = "deploy"
ROLLBACK = "rollback"
SHADOW = "shadow"
CANARY = "canary"
WITHDRAW = "withdraw"
CHALLENGES = (SHADOW, CANARY, WITHDRAW)
"""Changes of the challenger; the others are of what is deployed."""


def pointer(store: Store, domain: str) -> Path:
    """The file whose change means that another version answers from now on."""
    return store.path(f"{layout.DEPLOYMENTS.format(domain=domain)}/current.json")


def challenger_pointer(store: Store, domain: str) -> Path:
    """The file whose change means that another version is tried, or none any more."""
    return store.path(f"{layout.DEPLOYMENTS.format(domain=domain)}/challenger.json")


def current(store: Store, domain: Domain | str) -> str | None:
    """Digest of the version that answers now; None where nothing is deployed."""
    record = current_record(store, domain)
    return record["digest"] if record else None


def current_record(store: Store, domain: Domain | str) -> dict[str, Any] | None:
    """The record of the change that put the current version in its place."""
    return _pointed(pointer(store, _name(domain)))


def challenge(store: Store, domain: Domain | str) -> dict[str, Any] | None:
    """The record of the version that is tried beside the deployed one, in action, digest and share; None without."""
    record = _pointed(challenger_pointer(store, _name(domain)))
    return None if record is None or record["action"] == WITHDRAW else record


def _pointed(path: Path) -> dict[str, Any] | None:
    try:
        record: dict[str, Any] = json.loads(path.read_text())
        if not isinstance(record["digest"], str) or not isinstance(record["number"], int):
            raise ValueError("digest or number is not what it should be")
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        kind = "a shadow, canary or withdrawal" if path.name.startswith("challenger") else "a deployment or rollback"
        raise DeploymentError(
            f"{path} is damaged ({error}). Write the last line of history.jsonl, beside it, that is {kind} into it."
        ) from error
    return record


def history(store: Store, domain: Domain | str) -> list[dict[str, Any]]:
    """Every change, oldest first; raises DeploymentError for a line that cannot be read."""
    records, _ = _read(store, _name(domain))
    return records + _missing(store, _name(domain), records)


def _missing(store: Store, domain: str, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What pointers say that the history does not yet: at most one change, since each writer completes it first."""
    last = records[-1]["number"] if records else 0
    said = (current_record(store, domain), _pointed(challenger_pointer(store, domain)))
    return sorted((now for now in said if now and now["number"] > last), key=lambda now: int(now["number"]))


def deployed(records: list[dict[str, Any]]) -> list[str]:
    """Digests that can be gone back to, oldest first, the current one last.

    A deployment puts a version on top; a rollback takes away what lies above the version that it went back
    to.
    """
    stack: list[str] = []
    for record in records:
        if record["action"] in CHALLENGES:
            continue
        if record["action"] == ROLLBACK:
            while stack and stack[-1] != record["digest"]:
                stack.pop()
        if not stack or stack[-1] != record["digest"]:
            stack.append(record["digest"])
    return stack


def heal(store: Store, domain: str) -> bool:
    """Complete a history that a crash cut short; True where there was something to complete."""
    records, sound = _read(store, domain)
    path = _path(store, domain)
    torn = path.exists() and path.stat().st_size > sound
    if torn:
        os.truncate(path, sound)
    missing = _missing(store, domain, records)
    for now in missing:
        _append(path, now)
    return torn or bool(missing)


def change(store: Store, domain: str, action: str, digest: str, **facts: Any) -> dict[str, Any]:
    """Swap the pointer that `action` is about to `digest`, then append the record, with `facts`, to the history."""
    known = history(store, domain)
    record = {
        "number": known[-1]["number"] + 1 if known else 1,
        "action": action,
        "digest": digest,
        "previous": current(store, domain),
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "who": _user(),
        **facts,
    }
    path = (challenger_pointer if action in CHALLENGES else pointer)(store, domain)
    new = path.with_name(f".{path.name}.new")
    new.write_text(_line(record))
    sync(new)
    new.replace(path)
    sync(path.parent)
    _append(_path(store, domain), record)
    return record


def _append(path: Path, record: dict[str, Any]) -> None:
    with path.open("a") as file:
        file.write(_line(record))
    sync(path)
    sync(path.parent)


def _read(store: Store, domain: str) -> tuple[list[dict[str, Any]], int]:
    """Records, and how many bytes hold them: what follows the last line break was never finished."""
    path = _path(store, domain)
    if not path.exists():
        return [], 0
    content = path.read_bytes()
    sound = content.rfind(b"\n") + 1
    records = []
    for number, line in enumerate(content[:sound].splitlines(), start=1):
        try:
            record = json.loads(line)
            record["number"], record["action"], record["digest"]
        except (ValueError, KeyError, TypeError) as error:
            raise DeploymentError(
                f"{path}, line {number}, is not a record of a deployment. The file is only ever appended to; "
                "restore that line from a copy, or move the file away to begin a new history."
            ) from error
        records.append(record)
    return records, sound


def _path(store: Store, domain: str) -> Path:
    return store.path(f"{layout.DEPLOYMENTS.format(domain=domain)}/history.jsonl")


def _line(record: dict[str, Any]) -> str:
    return json.dumps(record, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no name for this user id, as in many containers
        return f"user {os.getuid()}"


def _name(domain: Domain | str) -> str:
    return domain if isinstance(domain, str) else domain.name
