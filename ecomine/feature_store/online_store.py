"""Feast's door to the online store that params.yaml names: SQLite, Redis or PostgreSQL, one row an entity.

Feast's own stores keep every value by itself, with the entity's key in front or in a message of its own; a million
user and item pairs take gigabytes and minutes. Here a row holds all features of an entity. `ecomine stage materialize`
fills the store as a whole; Feast reads it through this class, and may push single rows.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np
from feast.feature_view import FeatureView
from feast.infra.online_stores.online_store import OnlineStore
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.repo_config import FeastConfigBaseModel, RepoConfig

from ecomine.errors import FeatureError
from ecomine.feature_store.online_backend import backend
from ecomine.feature_store.online_table import EPOCH, MISSING, OnlineBackend, OnlineTable, batch_of, microseconds

CLASS = "ecomine.feature_store.online_store.WideOnlineStore"


class WideOnlineStoreConfig(FeastConfigBaseModel):
    """No settings of its own: where the store is stands in the section `online` of params.yaml."""

    type: Literal[CLASS] = CLASS  # type: ignore[valid-type]


class WideOnlineStore(OnlineStore):
    """The workspace's online store as Feast knows one; features are numbers."""

    _backend: OnlineBackend | None = None

    def update(
        self,
        config: RepoConfig,
        tables_to_delete: Sequence[Any],
        tables_to_keep: Sequence[Any],
        *args: Any,
        **kwargs: Any,
    ) -> None:
        dropped = [view.name for view in tables_to_delete]
        self._of(config).shape([_table(view) for view in tables_to_keep], dropped)

    def teardown(self, config: RepoConfig, tables: Sequence[Any], entities: Sequence[Any]) -> None:
        self._of(config).shape([], [view.name for view in tables])

    def online_write_batch(
        self,
        config: RepoConfig,
        table: FeatureView,
        data: list[tuple[EntityKey, dict[str, Value], datetime, datetime | None]],
        progress: Callable[[int], Any] | None,
    ) -> None:
        wide = _table(table)
        # The last of several rows of one entity stays, as when Feast's stores write them one after the other.
        rows = {
            tuple(entity): [*entity, *(_number(values.get(name)) for name in wide.features), microseconds(moment)]
            for entity, values, moment in ((_entity(key, wide.keys), values, moment) for key, values, moment, _ in data)
        }
        if rows:
            self._of(config).put(wide, batch_of(wide, list(rows.values())))
        if progress:
            progress(len(data))

    def online_read(
        self,
        config: RepoConfig,
        table: FeatureView,
        entity_keys: list[EntityKey],
        requested_features: list[str] | None = None,
    ) -> list[tuple[datetime | None, dict[str, Value] | None]]:
        wide = _table(table, requested_features)
        found = self._of(config).read([(wide, [_entity(key, wide.keys) for key in entity_keys])])
        moments = found.moments[0][:-1].tolist()
        return [
            (None, None) if moment == MISSING else _answer(moment, values, wide.features)
            for moment, values in zip(moments, found.values[0], strict=False)
        ]

    def _of(self, config: RepoConfig) -> OnlineBackend:
        if self._backend is None:
            if config.repo_path is None:
                raise FeatureError("Feast was given no repo_path; params.yaml is looked for beside that folder.")
            self._backend = backend(Path(config.repo_path).resolve().parent)
        return self._backend


def _table(view: Any, features: Sequence[str] | None = None) -> OnlineTable:
    names = tuple(features or [field.name for field in view.features])
    keys = tuple(column.name for column in view.entity_columns)
    return OnlineTable(view.name, keys, names, view.ttl or timedelta(), (None,) * len(names))


def _answer(moment: int, values: np.ndarray, names: Sequence[str]) -> tuple[datetime, dict[str, Value]]:
    pairs = zip(names, values.tolist(), strict=True)
    features = {name: Value(double_val=value) if value == value else Value() for name, value in pairs}
    return EPOCH + timedelta(microseconds=moment), features


def _entity(key: EntityKey, names: Sequence[str]) -> list[str]:
    values = dict(zip(key.join_keys, key.entity_values, strict=True))
    return [values[name].string_val for name in names]


def _number(value: Value | None) -> float | None:
    kind = value.WhichOneof("val") if value is not None else None
    return float(getattr(value, kind)) if kind is not None else None
