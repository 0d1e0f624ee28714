"""A version: the folder that holds a model and everything that says where it came from."""

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from ecomine import layout
from ecomine import params as settings
from ecomine.deployment import records, scores
from ecomine.deployment.lineage import lineage
from ecomine.domain import Domain
from ecomine.errors import DeploymentError, EcomineError
from ecomine.store import Store, sync, write_frame, write_json

if TYPE_CHECKING:
    from ecomine.stages import Context

MANIFEST = "manifest.json"
VALUES = "values.parquet"
DECISIONS = "decisions.parquet"
FORMAT = 1


@dataclass(frozen=True)
class Bundle:
    """What a version says about itself; `params` are the domain's settings it was trained with."""

    domain: str
    digest: str
    folder: Path
    service: str
    features: tuple[str, ...]
    params: Any
    as_of: datetime
    lineage: dict[str, Any]
    metrics: dict[str, dict[str, float]]
    checks: list[dict[str, Any]]

    @property
    def megabytes(self) -> float:
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file()) / 1e6


def versions(domain: str) -> str:
    return f"{layout.DEPLOYMENTS.format(domain=domain)}/versions"


@contextmanager
def candidate(context: "Context", domain: Domain) -> Iterator[tuple[str, Path, list[dict[str, Any]]]]:
    """Digest and folder of the candidate's bundle, on trial: it is gone afterwards unless `keep` took it.

    And what changes for whom against the version that it follows, as far as the domain tells.
    """
    folder = context.store.path(f"{layout.DEPLOYMENTS.format(domain=domain.name)}/.candidate")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield _build(context, domain, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def keep(store: Store, domain: str, digest: str, folder: Path) -> Path:
    """Move a candidate's folder among the versions, to stay; a damaged folder of that name is replaced."""
    place = store.path(f"{versions(domain)}/{digest}")
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.exists():
        if damage(place, digest) is None:
            return place
        damaged = place.with_name(f".{digest}.damaged")
        shutil.rmtree(damaged, ignore_errors=True)
        place.rename(damaged)
        shutil.rmtree(damaged)
    folder.rename(place)
    sync(place.parent)
    return place


def verify(folder: Path, digest: str) -> None:
    """Raises DeploymentError, naming the file, where a version is not what its digest says."""
    where = f"Version {digest[:12]}"
    mend = "Deploy again from the same code and data to restore it, or go to another one: `ecomine rollback`."
    manifest = folder / MANIFEST
    if not manifest.is_file():
        raise DeploymentError(f"{where} has no {MANIFEST} in {folder}. {mend}")
    if sha256(manifest) != digest:
        raise DeploymentError(f"{where} is damaged: {MANIFEST} is not the one that gave it its name. {mend}")
    files = json.loads(manifest.read_text())["files"]
    for name, expected in files.items():
        path = folder / name
        if not path.is_file():
            raise DeploymentError(f"{where} is damaged: {name} is missing. {mend}")
        size = path.stat().st_size
        if size != expected["size"]:
            raise DeploymentError(
                f"{where} is damaged: {name} has {size:,} bytes; expected {expected['size']:,}. {mend}"
            )
        if sha256(path) != expected["sha256"]:
            raise DeploymentError(f"{where} is damaged: {name} was changed after it was deployed. {mend}")
    extra = sorted(set(_files(folder)) - set(files) - {MANIFEST})
    if extra:
        raise DeploymentError(f"{where} is damaged: {extra[0]} was added after it was deployed. {mend}")


def damage(folder: Path, digest: str) -> str | None:
    """What is wrong with a version, in words; None where it is whole."""
    try:
        verify(folder, digest)
    except DeploymentError as error:
        return str(error)
    return None


def load(store: Store, domain: Domain, digest: str | None = None) -> tuple[Any, Bundle]:
    """Model and description of a deployed version, the current one unless `digest` names another.

    Raises DeploymentError where nothing is deployed, or where the version is absent, damaged or cannot be
    read.
    """
    digest = scores.version(digest) if digest else records.current(store, domain)
    if digest is None:
        raise DeploymentError(
            f"{domain.name}: nothing is deployed yet. Run `ecomine run`, or `ecomine deploy {domain.name}`."
        )
    folder = store.path(f"{versions(domain.name)}/{digest}")
    if not folder.is_dir():
        raise DeploymentError(f"{domain.name}: there is no version {digest[:12]} in {folder.parent}.")
    return open_folder(domain, digest, folder)


def describe(store: Store, domain: Domain, digest: str) -> Bundle:
    """Description of a version without its model; raises DeploymentError where it is absent or damaged."""
    digest = scores.version(digest)
    folder = store.path(f"{versions(domain.name)}/{digest}")
    verify(folder, digest)
    return _read(domain, digest, folder)


def as_of(folder: Path) -> datetime:
    """The moment up to which a version knows the shop."""
    return datetime.fromisoformat(json.loads((folder / "lineage.json").read_text())["as_of"])


def open_folder(domain: Domain, digest: str, folder: Path) -> tuple[Any, Bundle]:
    """Model and description from a version's folder, every file checked against its digest first."""
    verify(folder, digest)
    try:
        described = _read(domain, digest, folder)
        return domain.load(folder / "model"), described
    except EcomineError as error:
        raise DeploymentError(f"{domain.name}: version {digest[:12]} cannot be loaded: {error}") from error
    except Exception as error:
        raise DeploymentError(
            f"{domain.name}: version {digest[:12]} is whole, but this code cannot load it "
            f"({type(error).__name__}: {error}). It was made with {_made_with(folder)}."
        ) from error


def _build(context: "Context", domain: Domain, folder: Path) -> tuple[str, Path, list[dict[str, Any]]]:
    from ecomine import feature_store

    store, name = context.store, domain.name
    model = store.require(layout.MODEL.format(domain=name), f"train {name}")
    shutil.copytree(model, folder / "model")
    for source, copy, made_by in (
        (layout.METRICS, "metrics.json", "evaluate"),
        (layout.VALUES, VALUES, "evaluate"),
        (layout.GATE, "gate.json", "gate"),
        (layout.PROPOSALS, DECISIONS, "decide"),
    ):
        shutil.copyfile(store.require(source.format(domain=name), f"{made_by} {name}"), folder / copy)
    changes = _follow(context, domain, folder)
    write_json(
        folder / "parameters.json",
        {"seed": context.params.seed, name: dataclasses.asdict(context.params.sections[name])},
    )
    features = list(feature_store.service_features(store.workspace, domain.service))
    write_json(folder / "features.json", {"service": domain.service, "entity": domain.entity, "features": features})
    write_json(folder / "lineage.json", lineage(store, name, context.as_of))
    files = {file: {"sha256": sha256(folder / file), "size": (folder / file).stat().st_size} for file in _files(folder)}
    write_json(folder / MANIFEST, {"format": FORMAT, "domain": name, "files": files})
    for file in _files(folder):
        (folder / file).chmod(0o444)
        sync(folder / file)
    for inner in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
        sync(inner)
    return sha256(folder / MANIFEST), folder, changes


def _follow(context: "Context", domain: Domain, folder: Path) -> list[dict[str, Any]]:
    """What the candidate takes over from the champion, where there is a whole one; returns what changes for whom."""
    digest = records.current(context.store, domain)
    if domain.succeed is None or digest is None:
        return []
    champion = context.store.path(f"{versions(domain.name)}/{digest}")
    if damage(champion, digest):
        return []
    try:
        decisions, changes = domain.succeed(folder / "model", pd.read_parquet(folder / DECISIONS), champion / "model")
    except (EcomineError, LookupError, OSError, TypeError, ValueError) as error:
        context.say(f"{domain.name}: nothing is taken over from {digest[:12]}: {type(error).__name__}: {error}")
        return []
    write_frame(folder / DECISIONS, decisions)
    return json.loads(changes.to_json(orient="records"))  # type: ignore[no-any-return]


def _read(domain: Domain, digest: str, folder: Path) -> Bundle:
    names = ("parameters", "features", "lineage", "metrics", "gate")
    document = {name: json.loads((folder / f"{name}.json").read_text()) for name in names}
    return Bundle(
        domain.name,
        digest,
        folder,
        document["features"]["service"],
        tuple(document["features"]["features"]),
        settings.build(domain.params, document["parameters"][domain.name], domain.name),
        datetime.fromisoformat(document["lineage"]["as_of"]),
        document["lineage"],
        document["metrics"],
        document["gate"]["checks"],
    )


def _made_with(folder: Path) -> str:
    libraries = json.loads((folder / "lineage.json").read_text())["libraries"]
    return ", ".join(f"{name} {version}" for name, version in libraries.items())


def _files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
