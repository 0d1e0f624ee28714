"""Where a candidate came from: digests of its data and of the code, versions of the libraries."""

import hashlib
import subprocess
from collections.abc import Iterable
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ecomine import layout
from ecomine.store import Store

LIBRARIES = (
    "duckdb",
    "feast",
    "ibis-framework",
    "numpy",
    "pandas",
    "scikit-learn",
    "skops",
    "xgboost",
    "xgboost-cpu",
)
"""What decides the bytes of a model and of its features."""

PACKAGE = Path(__file__).parents[1]


def lineage(store: Store, domain: str, as_of: datetime) -> dict[str, Any]:
    """Digests of tables, frames and code, and versions of libraries; the same for the same candidate."""
    return {
        "as_of": as_of.isoformat(),
        "tables": _digests(store.path(layout.CLEAN).glob("*.parquet")),
        "frames": _digests(store.path(layout.FRAMES.format(domain=domain)).glob("*.parquet")),
        # What made tables and frames is in their digests; this is the code that turns a model into answers.
        "code": {name: _digest(_sources(PACKAGE / name)) for name in (domain, "feature_store")},
        "feature_definitions": _digest(_sources(store.path("features"))),
        "libraries": {name: found for name in LIBRARIES if (found := _version(name))},
    }


def revision(workspace: Path) -> dict[str, Any] | None:
    """Commit of the workspace, and whether tracked files differ from it; None where there is no git."""
    commit = _git(workspace, "rev-parse", "HEAD")
    if commit is None:
        return None
    return {"commit": commit, "dirty": bool(_git(workspace, "status", "--porcelain", "--untracked-files=no"))}


def _git(workspace: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(workspace), *arguments], capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _sources(folder: Path) -> list[tuple[str, Path]]:
    files = (path for kind in ("*.py", "*.yaml") for path in folder.rglob(kind))
    return sorted((path.relative_to(folder).as_posix(), path) for path in files)


def _digests(paths: Iterable[Path]) -> dict[str, str]:
    return {path.stem: _digest([("", path)]) for path in sorted(paths)}


def _digest(files: Iterable[tuple[str, Path]]) -> str:
    """SHA-256 over the names and digests of files; of one file without a name, its own."""
    digests = []
    for name, path in files:
        with path.open("rb") as file:
            digests.append((name, hashlib.file_digest(file, "sha256").hexdigest()))
    if len(digests) == 1 and not digests[0][0]:
        return digests[0][1]
    return hashlib.sha256("".join(f"{name}\0{digest}\n" for name, digest in digests).encode()).hexdigest()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
