"""Deployed versions in a place that several machines reach: a bucket or a shared folder, by any address fsspec knows.

    <address>/<domain>/versions/<digest>/…   as in the workspace; the manifest comes last
    <address>/<domain>/history.jsonl, current.json, challenger.json
    <address>/shop/…                         what answers need beside versions: names of products, the online receipt

One machine pushes, the others pull. A version is checked against its digest before it takes its place, and a pointer is
written after all that it points to, so whoever is ended at any moment has the old version or the new one.
"""

import json
import shutil
from pathlib import Path
from typing import Any

from ecomine import layout
from ecomine.deployment import bundle, publication, records
from ecomine.domain import Domain
from ecomine.errors import DeploymentError, EcomineError
from ecomine.lock import workspace_lock
from ecomine.store import Store, replacing, sync

POINTERS = ("challenger.json", "current.json")
HISTORY = "history.jsonl"
SHOP = (f"{layout.CLEAN}/items.parquet", f"{layout.ONLINE}/receipt.json")
"""Files that a machine which only answers needs beside versions; the second where the online store is a server."""


def push(store: Store, domain: Domain, address: str) -> list[str]:
    """Bring what is deployed to the address; digests of the versions that were not there yet.

    Raises DeploymentError where nothing is deployed, a version is damaged, or the address holds another history.
    """
    files, root = _files(address)
    with workspace_lock(store, f"mirror of {domain.name}"):
        records.heal(store, domain.name)
        home, there = store.path(layout.DEPLOYMENTS.format(domain=domain.name)), f"{root}/{domain.name}"
        own = _read(home / HISTORY)
        theirs = _fetched(files, f"{there}/{HISTORY}")
        if not own:
            raise DeploymentError(f"{domain.name}: nothing is deployed yet, so there is nothing to push.")
        if not own.startswith(theirs):
            raise DeploymentError(f"{domain.name}: {there} holds the history of another workspace; push elsewhere.")
        sent = [digest for digest in _needed(own, _pointers(home)) if _send(files, store, domain.name, digest, there)]
        for name in SHOP:
            if store.exists(name):
                _put(files, f"{root}/shop/{name}", _read(store.path(name)))
        _put(files, f"{there}/{HISTORY}", own)
        for name in POINTERS:
            if (home / name).exists():
                _put(files, f"{there}/{name}", _read(home / name))
    return sent


def pull(store: Store, domain: Domain, address: str) -> list[str]:
    """Bring what is deployed at the address here, and publish it; digests of the versions that were not here yet.

    Raises DeploymentError where the address holds nothing, or another history, or a version that is not what its digest
    says; nothing is changed then.
    """
    files, root = _files(address)
    there = f"{root}/{domain.name}"
    # Pointers first: what they point to, and the line of history that goes with them, was there before them.
    said = {name: _fetched(files, f"{there}/{name}") for name in POINTERS}
    theirs = _fetched(files, f"{there}/{HISTORY}")
    if not said["current.json"] or not theirs:
        raise DeploymentError(f"{domain.name}: nothing is deployed at {address}. Push it there: `ecomine mirror push`.")
    pointers = {name: json.loads(text) for name, text in said.items() if text}
    last = max(record["number"] for record in pointers.values())
    # What was added to the history since the pointers were read comes with the next pull.
    theirs = b"".join(line for line in theirs.splitlines(keepends=True) if json.loads(line)["number"] <= last)
    with workspace_lock(store, f"mirror of {domain.name}"):
        records.heal(store, domain.name)
        home = store.path(layout.DEPLOYMENTS.format(domain=domain.name))
        own = _read(home / HISTORY)
        if not theirs.startswith(own):
            raise DeploymentError(
                f"{domain.name}: this workspace has deployments of its own that {address} knows nothing of. Pull into "
                "a workspace that only answers."
            )
        got = [digest for digest in _needed(theirs, pointers) if _receive(files, store, domain.name, digest, there)]
        for name in SHOP:
            _keep(store, name, _fetched(files, f"{root}/shop/{name}"))
        for name, text in said.items():
            if text and text != _read(home / name):
                with replacing(home / name) as path:
                    path.write_bytes(text)
                    sync(path)
        if theirs != own:
            with replacing(home / HISTORY) as path:
                path.write_bytes(theirs)
                sync(path)
        (home / f".{HISTORY}.new").unlink(missing_ok=True)  # of a pull that was killed, its history completed since
        digest = pointers["current.json"]["digest"]
        if not publication.current(store, domain, digest):
            publication.publish(store, domain, digest)
    return got


def _needed(history: bytes, pointers: dict[str, Any]) -> list[str]:
    """Versions that may be asked for: what pointers name, and the one to go back to."""
    lines = [json.loads(line) for line in history.splitlines()]
    found = [*records.deployed(lines)[-2:], *(record["digest"] for record in pointers.values() if record.get("digest"))]
    return list(dict.fromkeys(found))


def _send(files: Any, store: Store, name: str, digest: str, there: str) -> bool:
    """Whether a version had to be sent; the manifest goes last, so where it is, all is."""
    folder, target = store.path(f"{bundle.versions(name)}/{digest}"), f"{there}/versions/{digest}"
    if files.exists(f"{target}/{bundle.MANIFEST}"):
        return False
    bundle.verify(folder, digest)
    for file in [*json.loads(_read(folder / bundle.MANIFEST))["files"], bundle.MANIFEST]:
        _put(files, f"{target}/{file}", _read(folder / file))
    return True


def _receive(files: Any, store: Store, name: str, digest: str, there: str) -> bool:
    """Whether a version had to be fetched; it is checked before it is kept."""
    if bundle.damage(store.path(f"{bundle.versions(name)}/{digest}"), digest) is None:
        return False
    fresh = store.path(f"{bundle.versions(name)}/.{digest}.coming")
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        manifest = _fetched(files, f"{there}/versions/{digest}/{bundle.MANIFEST}")
        if not manifest:
            raise DeploymentError(f"{name}: version {digest[:12]} is not at {there}; push it there again.")
        for file in [*json.loads(manifest)["files"], bundle.MANIFEST]:
            (fresh / file).parent.mkdir(parents=True, exist_ok=True)
            (fresh / file).write_bytes(_fetched(files, f"{there}/versions/{digest}/{file}"))
            (fresh / file).chmod(0o444)
            sync(fresh / file)
        bundle.verify(fresh, digest)
        bundle.keep(store, name, digest, fresh)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return True


def _keep(store: Store, name: str, content: bytes) -> None:
    """A file of the shop in its place, where it is another than there was."""
    if not content or content == _read(store.path(name)):
        return
    if name.startswith(f"{layout.ONLINE}/"):  # servers look at the folder to see that there is another load
        with store.replacing(layout.ONLINE) as folder:
            folder.mkdir()
            (folder / Path(name).name).write_bytes(content)
    else:
        with store.replacing(name) as path:
            path.write_bytes(content)


def _files(address: str) -> tuple[Any, str]:
    import fsspec

    try:
        files, root = fsspec.core.url_to_fs(address)
    except (ImportError, ValueError) as error:
        raise EcomineError(f"{address} cannot be reached: {error}. Install what fsspec names, as in `s3fs`.") from error
    return files, root.rstrip("/")


def _put(files: Any, path: str, content: bytes) -> None:
    """An object as a whole: object stores show it when it is complete, and folders get it by a rename."""
    files.makedirs(path.rpartition("/")[0], exist_ok=True)
    with files.transaction, files.open(path, "wb") as file:
        file.write(content)


def _fetched(files: Any, path: str) -> bytes:
    try:
        return bytes(files.cat_file(path))
    except FileNotFoundError:
        return b""


def _read(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def _pointers(home: Path) -> dict[str, Any]:
    return {name: json.loads(_read(home / name)) for name in POINTERS if (home / name).exists()}
