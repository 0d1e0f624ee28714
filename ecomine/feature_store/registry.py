"""The Feast side of a workspace: its definitions, and a registry that is made from them whenever they changed."""

import hashlib
import importlib.util
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecomine import layout
from ecomine.engine import SPARK, check_kind
from ecomine.errors import FeatureError
from ecomine.feature_store.catalogue import FEATURE_TABLES, SERVICES, chosen_tables, engine_params, feature_params
from ecomine.feature_store.declaration import CREATED_TIMESTAMP, EVENT_TIMESTAMP
from ecomine.store import replacing

if TYPE_CHECKING:
    from feast import Entity, FeatureService, FeatureStore, FeatureView
    from feast.data_source import DataSource

REPO = "features"


def entities() -> "dict[str, Entity]":
    """A Feast entity for each key of a feature table."""
    from feast import Entity, ValueType

    keys = {key for table in FEATURE_TABLES.values() for key in table.keys}
    return {key: Entity(name=key, join_keys=[key], value_type=ValueType.STRING) for key in sorted(keys)}


def sources(workspace: Path) -> "Mapping[str, DataSource]":
    """A Parquet file for each feature table, as seen from the Feast repo, for the engine of the workspace."""
    from feast import FileSource

    if check_kind(engine_params(workspace)) == SPARK:
        from ecomine.feature_store import spark

        return {table.name: spark.source(workspace, table) for table in chosen_tables(workspace)}
    return {
        table.name: FileSource(
            name=table.name,
            path=f"../data/features/{table.name}.parquet",
            timestamp_field=EVENT_TIMESTAMP,
            created_timestamp_column=CREATED_TIMESTAMP,
            description=table.description,
        )
        for table in chosen_tables(workspace)
    }


def views(workspace: Path) -> "dict[str, FeatureView]":
    """A Feast feature view for each feature table, for the windows of the workspace's params.yaml."""
    from datetime import timedelta

    from feast import FeatureView, Field
    from feast.types import Float64, String

    params, known, files = feature_params(workspace), entities(), sources(workspace)
    return {
        name: FeatureView(
            name=name,
            description=table.description,
            entities=[known[key] for key in table.keys],
            ttl=timedelta(days=table.ttl(params)),
            schema=[Field(name=key, dtype=String) for key in table.keys]
            + [
                Field(name=column.name, dtype=Float64, description=column.description, tags={"unit": column.unit})
                for column in table.columns(params)
            ],
            source=files[name],
        )
        for name, table in ((table.name, table) for table in chosen_tables(workspace))
    }


def services(workspace: Path) -> "dict[str, FeatureService]":
    """A Feast feature service for each entry of SERVICES."""
    from feast import FeatureService

    known = views(workspace)
    return {
        name: FeatureService(name=name, features=[known[table] for table in tables])
        for name, tables in SERVICES.items()
        if set(tables) <= set(known)
    }


def feast_store(workspace: Path) -> "FeatureStore":
    """Feast's own store over a workspace; its registry is made first where it is absent or out of date."""
    from feast import FeatureStore

    repo = (Path(workspace) / REPO).resolve()
    file = repo / "feature_store.yaml"
    if not file.is_file():
        raise FeatureError(
            f"{REPO}/feature_store.yaml is not in {workspace}; a workspace holds the Feast repo beside params.yaml."
        )
    engine = engine_params(Path(workspace))
    if check_kind(engine) == SPARK:
        from ecomine.feature_store.spark import feast_config

        store = FeatureStore(repo_path=str(repo), config=feast_config(repo, file, engine))
    else:
        store = FeatureStore(repo_path=str(repo))
    for setting in ("memory_limit", "threads"):
        if getattr(store.config.offline_store, setting, 0) is None:
            setattr(store.config.offline_store, setting, getattr(engine, setting))
    if getattr(store.config.offline_store, "spill", "") is None:
        store.config.offline_store.spill = str((Path(workspace) / layout.SPILL).resolve())
    _refresh(Path(workspace), repo, store.config.project)
    return store


def _refresh(workspace: Path, repo: Path, project: str) -> None:
    """Make the registry anew where its digest is not that of the definitions."""
    from feast import Entity, FeatureService, FeatureView, Project
    from feast.data_source import DataSource
    from feast.infra.registry.registry import Registry
    from feast.on_demand_feature_view import OnDemandFeatureView
    from feast.repo_config import RegistryConfig

    found = list(_definitions(repo))
    texts = sorted(f"{type(thing).__name__} {_timeless(thing.to_proto()).hex()}" for thing in found)
    digest = hashlib.sha256("\n".join([project, *texts]).encode()).hexdigest()
    target = workspace / layout.REGISTRY
    mark = target.with_suffix(".digest")
    if target.exists() and mark.exists() and mark.read_text() == digest:
        return
    with replacing(target) as path:
        registry = Registry(project, RegistryConfig(path=str(path)), None)
        registry.apply_project(Project(name=project), commit=False)
        for thing in found:
            if isinstance(thing, Entity):
                registry.apply_entity(thing, project, commit=False)
            elif isinstance(thing, DataSource):
                registry.apply_data_source(thing, project, commit=False)
        for thing in found:
            if isinstance(thing, FeatureView | OnDemandFeatureView):
                registry.apply_feature_view(thing, project, commit=False)
        for thing in found:
            if isinstance(thing, FeatureService):
                registry.apply_feature_service(thing, project, commit=False)
        registry.commit()
    with replacing(mark) as path:
        path.write_text(digest)


def _timeless(message: Any) -> bytes:
    """The bytes of a protobuf message without the times at which Feast made it."""
    for field, value in message.ListFields():
        if field.message_type is None or field.message_type.GetOptions().map_entry:
            continue
        if field.message_type.full_name == "google.protobuf.Timestamp":
            message.ClearField(field.name)
        else:
            for part in value if hasattr(value, "add") else [value]:
                _timeless(part)
    return bytes(message.SerializeToString(deterministic=True))


def _definitions(repo: Path) -> Iterator[Any]:
    """Every Feast object that a Python file of the repo names, each once, as `feast apply` finds them."""
    from feast import Entity, FeatureService, FeatureView
    from feast.data_source import DataSource
    from feast.on_demand_feature_view import OnDemandFeatureView

    seen = set()
    for file in sorted(repo.glob("*.py")):
        if file.name == "__init__.py":
            continue
        spec = importlib.util.spec_from_file_location(f"feast_repo_{file.stem}", file)
        if spec is None or spec.loader is None:
            raise FeatureError(f"{file} cannot be loaded as Python.")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for thing in vars(module).values():
            if isinstance(thing, Entity | DataSource | FeatureView | OnDemandFeatureView | FeatureService):
                kind = next(
                    c
                    for c in (Entity, DataSource, FeatureView, OnDemandFeatureView, FeatureService)
                    if isinstance(thing, c)
                )
                if (kind, thing.name) not in seen:
                    seen.add((kind, thing.name))
                    yield thing
