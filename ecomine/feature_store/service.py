"""What a feature service asks for: those of SERVICES, and any other that the workspace's Feast repo defines."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecomine.errors import FeatureError
from ecomine.feature_store.catalogue import FEATURE_TABLES, SERVICES, feature_params, service_tables
from ecomine.feature_store.online_table import OnlineTable

if TYPE_CHECKING:
    from feast.feature_view_projection import FeatureViewProjection


@dataclass(frozen=True)
class ServiceTable:
    """A feature table as a service shows it: under `name`, found by the columns `keys` of the rows."""

    table: OnlineTable
    name: str
    keys: tuple[str, ...]

    @property
    def features(self) -> list[str]:
        """Names of the feature columns, `{name}__{feature}`."""
        return [f"{self.name}__{feature}" for feature in self.table.features]


def service_plan(workspace: Path, service: str) -> list[ServiceTable]:
    """The tables of a service, in the order of its columns.

    Raises FeatureError where neither SERVICES nor the Feast repo has it, or where it asks for what is no number or is
    computed on demand.
    """
    if service not in SERVICES:
        return _defined(Path(workspace), service)
    params = feature_params(Path(workspace))
    tables = [OnlineTable.of(table, params) for table in service_tables(service)]
    return [ServiceTable(table, table.name, table.keys) for table in tables]


def service_features(workspace: Path, service: str) -> list[str]:
    """Names of a service's feature columns, `{table}__{feature}`, in order."""
    return [feature for table in service_plan(workspace, service) for feature in table.features]


def _defined(workspace: Path, service: str) -> list[ServiceTable]:
    """The tables of a service that only the Feast repo knows."""
    from feast.errors import FeatureServiceNotFoundException

    from ecomine.feature_store.registry import feast_store

    store = feast_store(workspace)
    try:
        projections = store.get_feature_service(service).feature_view_projections
    except FeatureServiceNotFoundException as error:
        there = dict.fromkeys([*SERVICES, *sorted(known.name for known in store.list_feature_services())])
        raise FeatureError(
            f"There is no feature service {service!r}; there are {', '.join(there)}. A service of your own is defined "
            "in a Python file in features/."
        ) from error
    return [_shown(workspace, store, service, projection) for projection in projections]


def _shown(workspace: Path, store: Any, service: str, projection: "FeatureViewProjection") -> ServiceTable:
    from feast.errors import FeatureViewNotFoundException
    from feast.types import Bool, Float32, Float64, Int32, Int64

    try:
        view = store.get_feature_view(projection.name)
    except FeatureViewNotFoundException as error:
        raise FeatureError(
            f"The feature service {service} asks for {projection.name}, which is computed on demand; read it by "
            "Feast's own get_online_features and get_historical_features."
        ) from error
    for field in projection.features:
        if field.dtype not in (Float64, Float32, Int64, Int32, Bool):
            raise FeatureError(
                f"{projection.name}:{field.name} is {field.dtype}; the features of {service} are numbers."
            )
    names = tuple(field.name for field in projection.features)
    keys = tuple(column.name for column in view.entity_columns)
    declared = FEATURE_TABLES.get(view.name)
    columns = declared.columns(feature_params(workspace)) if declared is not None else []
    defaults = {column.name: column.default for column in columns}
    table = OnlineTable(view.name, keys, names, view.ttl or timedelta(), tuple(defaults.get(name) for name in names))
    mapped = tuple(projection.join_key_map.get(key, key) for key in keys)
    return ServiceTable(table, projection.name_to_use(), mapped)
