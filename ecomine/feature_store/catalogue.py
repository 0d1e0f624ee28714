"""FEATURE_TABLES and SERVICES: every feature there is, and which tables a domain asks for."""

from pathlib import Path
from typing import Any

import yaml

from ecomine.errors import FeatureError, SettingsError
from ecomine.feature_store.declaration import FeatureTable
from ecomine.feature_store.item_snapshot import ITEM_SNAPSHOT
from ecomine.feature_store.user_item import USER_ITEM
from ecomine.feature_store.user_snapshot import USER_SNAPSHOT
from ecomine.params import FILE, EngineParams, FeatureParams, build

FEATURE_TABLES: dict[str, FeatureTable] = {table.name: table for table in (USER_SNAPSHOT, ITEM_SNAPSHOT, USER_ITEM)}

SERVICES: dict[str, tuple[str, ...]] = {"recommendation": ("user_snapshot", "item_snapshot", "user_item")}
"""Service → feature tables, in the order of its columns."""


def feature_params(workspace: Path) -> FeatureParams:
    """The section `features` of the workspace's params.yaml."""
    return build(FeatureParams, _section(workspace, "features"), "features")


def engine_params(workspace: Path) -> EngineParams:
    """The section `engine` of the workspace's params.yaml."""
    return build(EngineParams, _section(workspace, "engine"), "engine")


def _section(workspace: Path, name: str) -> Any:
    # The whole file needs the domains' sections, and the domains stand above the feature store.
    path = workspace / FILE
    if not path.is_file():
        raise SettingsError(f"There is no {FILE} in {workspace}; the feature store reads its section `{name}` there.")
    try:
        document = yaml.safe_load(path.read_text()) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{FILE} is not readable YAML: {error}") from error
    return (document.get(name) if isinstance(document, dict) else None) or {}


def service_tables(service: str) -> list[FeatureTable]:
    """The feature tables of a service; raises FeatureError where there is none of that name."""
    if service not in SERVICES:
        raise FeatureError(f"There is no feature service {service!r}; there are {', '.join(SERVICES)}.")
    return [FEATURE_TABLES[name] for name in SERVICES[service]]


def service_features(workspace: Path, service: str) -> list[str]:
    """Names of a service's feature columns, `{view}__{feature}`, in order."""
    params = feature_params(workspace)
    return [f"{table.name}__{column.name}" for table in service_tables(service) for column in table.columns(params)]


def describe(workspace: Path) -> list[tuple[str, str, str, str]]:
    """(feature, type, unit, description) of every feature of a workspace."""
    params = feature_params(workspace)
    return [
        (f"{table.name}__{column.name}", column.dtype, column.unit, column.description)
        for table in FEATURE_TABLES.values()
        for column in table.columns(params)
    ]
