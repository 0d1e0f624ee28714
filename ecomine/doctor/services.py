"""What ecomine works with beside itself: Prefect, DVC, git, Java, Redis, PostgreSQL."""

import configparser
import json
import os
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from importlib import metadata, util
from pathlib import Path
from typing import Any

import yaml

from ecomine.doctor.finding import Finding
from ecomine.engine import SPARK
from ecomine.errors import EcomineError
from ecomine.feature_store.online_backend import filled
from ecomine.params import Params

SECONDS = 2.0
HERE = "http://127.0.0.1:4200/api"
PREFECT = "PREFECT_API_URL"
LEAST_JAVA = 17


def services(folder: Path, params: Params | None) -> Iterator[Finding]:
    """Each that is there or that the settings ask for."""
    yield _prefect()
    yield _git(folder)
    yield from _dvc(folder)
    if params is None:
        return
    if params.engine.kind == SPARK:
        yield _java()
    for section, kind, url in (
        ("online", params.online.kind, params.online.url),
        ("streaming", params.streaming.kind, params.streaming.url),
    ):
        if kind in ("redis", "postgres"):
            yield _server(section, kind, url or "")


def _prefect() -> Finding:
    url = os.environ.get(PREFECT, HERE)
    own = metadata.version("prefect")
    try:
        with urllib.request.urlopen(f"{url.rstrip('/')}/admin/version", timeout=SECONDS) as answer:
            theirs = str(json.load(answer))
    except (OSError, ValueError) as error:
        if PREFECT in os.environ:
            mend = f"Start it there, or unset {PREFECT}: a run then brings a server of its own."
            return Finding.fault("Prefect", f"{own}; no server answers at {url}: {error}", mend)
        return Finding.ok("Prefect", f"{own}; no server is up (`make up` starts one, a run brings its own)")
    if theirs.split(".")[:2] != own.split(".")[:2]:
        return Finding.warning(
            "Prefect", f"{own} here, {theirs} at {url}", "Bring both to the version of requirements.lock."
        )
    return Finding.ok("Prefect", f"{own}, the server at {url} answers")


def _git(folder: Path) -> Finding:
    if shutil.which("git") is None:
        return Finding.warning("git", "not installed", "Install it: experiments and the history of releases need it.")
    commit = _said(folder, "git", "rev-parse", "--short", "HEAD")
    if not commit:
        mend = "`ecomine experiment begin` puts it into git."
        return Finding.warning("git", "this workspace is in no repository: no experiments, no releases by tag", mend)
    changed = len(_said(folder, "git", "status", "--porcelain", "--", ".").splitlines())
    return Finding.ok("git", f"commit {commit}" + (f", {changed:,} files changed since" if changed else ""))


def _dvc(folder: Path) -> Iterator[Finding]:
    own, config = metadata.version("dvc"), folder / ".dvc/config"
    if not config.is_file():
        mend = "`ecomine experiment begin` makes it one; runs are then recorded, and can be gone back to."
        yield Finding.warning("DVC", f"{own}; this workspace is no DVC repository", mend)
        return
    lock = folder / "dvc.lock"
    try:
        stages = len((yaml.safe_load(lock.read_text()) or {}).get("stages", {})) if lock.is_file() else 0
    except (yaml.YAMLError, OSError, AttributeError) as error:
        mend = "Take it from git (`git checkout dvc.lock`), or delete it and run again."
        yield Finding.fault("DVC", f"dvc.lock cannot be read: {' '.join(str(error).split())}", mend)
        return
    remote = _remote(folder)
    if remote is None:
        mend = "`dvc remote add --default store ADDRESS`, then `dvc push`: data and models lie on this disk alone."
        yield Finding.warning("DVC", f"{own}, {stages} stages recorded, no remote storage", mend)
    else:
        yield Finding.ok("DVC", f"{own}, {stages} stages recorded, remote storage {remote}")
    dead = [pid for pid in _holders(folder / ".dvc/tmp/rwlock") if not Path(f"/proc/{pid}").exists()]
    if dead and Path("/proc/self").exists():
        mend = f"Delete {folder / '.dvc/tmp/rwlock'}."
        yield Finding.warning("DVC's locks", f"held by processes that have ended: {', '.join(map(str, dead))}", mend)


def _remote(folder: Path) -> str | None:
    """Address of the default remote; None where there is none."""
    found = configparser.ConfigParser(strict=False, interpolation=None)
    for name in ("config", "config.local"):
        path = folder / ".dvc" / name
        if path.is_file():
            # DVC indents keys below their section, which this parser would take for a line that goes on.
            found.read_string("\n".join(line.strip() for line in path.read_text().splitlines()))
    name = found.get("core", "remote", fallback="")
    return found.get(f"'remote \"{name}\"'", "url", fallback=name) if name else None


def _holders(path: Path) -> set[int]:
    try:
        held: dict[str, Any] = json.loads(path.read_text() or "{}")
    except (OSError, ValueError):
        return set()
    entries = [
        one
        for kinds in held.values()
        for kind in kinds.values()
        for one in ([kind] if isinstance(kind, dict) else kind)
    ]
    return {int(one["pid"]) for one in entries}


def _java() -> Finding:
    java = os.environ.get("JAVA_HOME")
    command = f"{java}/bin/java" if java else "java"
    mend = f"Install it (Debian: `apt-get install openjdk-{LEAST_JAVA}-jre-headless`), or set engine.kind to duckdb."
    if util.find_spec("pyspark") is None:
        return Finding.fault("Spark", "engine.kind is spark, but PySpark is not installed", "`make extras`")
    try:
        told = subprocess.run([command, "-version"], capture_output=True, text=True, timeout=5, check=True).stderr
    except (OSError, subprocess.SubprocessError) as error:
        return Finding.fault("Java", f"engine.kind is spark, but {command} does not run: {error}", mend)
    number = told.split('"')[1] if '"' in told else "0"
    if int(number.split(".")[0]) < LEAST_JAVA:
        return Finding.fault("Java", f"{number}; Spark needs {LEAST_JAVA} or later", mend)
    return Finding.ok("Java", f"{number}, for Spark at work with PySpark {metadata.version('pyspark')}")


def _server(section: str, kind: str, url: str) -> Finding:
    name, mend = f"{section} store", f"Start it, or mend {section}.url in params.yaml."
    try:
        address = filled(url, f"{section}.url", kind)
        if kind == "redis":
            import redis

            client = redis.Redis.from_url(address, socket_timeout=SECONDS, socket_connect_timeout=SECONDS)
            version = str(client.info("server")["redis_version"])
            client.close()
        else:
            import psycopg

            with psycopg.connect(address, connect_timeout=int(SECONDS)) as connection:
                version = str(connection.info.server_version)
    except ModuleNotFoundError as error:
        return Finding.fault(name, f"{error}", f"Its driver: pip install 'ecomine[{kind}]', or `make extras`.")
    except EcomineError as error:
        return Finding.fault(name, str(error), mend)
    except Exception as error:  # each driver fails in its own way
        told = " ".join(str(error).split())
        return Finding.fault(name, f"{kind} does not answer: {told}", mend)
    return Finding.ok(name, f"{kind} {version} answers")


def _said(folder: Path, *command: str) -> str:
    try:
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=5, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
