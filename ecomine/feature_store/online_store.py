"""Feast's SQLite online store with one row an entity instead of one row a feature.

Feast keeps a row for every value, each with the entity's key in front; a million user and item pairs take gigabytes
and minutes. Here a view is a table that anybody can read: the keys as they are, one column a feature, the time.
`ecomine stage materialize` writes the file as a whole; Feast reads it through this store, and may push single rows.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from feast.feature_view import FeatureView
from feast.infra.online_stores.sqlite import SqliteOnlineStore, SqliteOnlineStoreConfig
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.repo_config import RepoConfig

from ecomine.feature_store.online import EVENT, create_table, insert_row, lookup

CLASS = "ecomine.feature_store.online_store.WideSqliteOnlineStore"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class WideSqliteOnlineStoreConfig(SqliteOnlineStoreConfig):
    """Settings of the store in feature_store.yaml."""

    type: Literal[CLASS] = CLASS  # type: ignore[assignment, valid-type]


class WideSqliteOnlineStore(SqliteOnlineStore):
    """Feast's SQLite online store, one row an entity; features are numbers."""

    def update(
        self,
        config: RepoConfig,
        tables_to_delete: Sequence[Any],
        tables_to_keep: Sequence[Any],
        *args: Any,
        **kwargs: Any,
    ) -> None:
        connection = self._get_conn(config)
        with connection:
            for view in tables_to_delete:
                connection.execute(f'DROP TABLE IF EXISTS "{view.name}"')
            for view in tables_to_keep:
                create_table(connection, view.name, _keys(view), [field.name for field in view.features])

    def online_write_batch(
        self,
        config: RepoConfig,
        table: FeatureView,
        data: list[tuple[EntityKey, dict[str, Value], datetime, datetime | None]],
        progress: Callable[[int], Any] | None,
    ) -> None:
        connection, keys = self._get_conn(config), _keys(table)
        names = [field.name for field in table.features]
        with connection:
            connection.executemany(
                insert_row(table.name, keys, names),
                (
                    [*_entity(key, keys), *(_number(values.get(name)) for name in names), _microseconds(moment)]
                    for key, values, moment, _ in data
                ),
            )
        if progress:
            progress(len(data))

    def online_read(
        self,
        config: RepoConfig,
        table: FeatureView,
        entity_keys: list[EntityKey],
        requested_features: list[str] | None = None,
    ) -> list[tuple[datetime | None, dict[str, Value] | None]]:
        keys = _keys(table)
        names = requested_features or [field.name for field in table.features]
        entities = [_entity(key, keys) for key in entity_keys]
        found = lookup(self._get_conn(config), table.name, keys, [*names, EVENT], entities)
        return [(None, None) if row is None else _answer(row, names) for row in found]


def _answer(row: Sequence[Any], names: Sequence[str]) -> tuple[datetime, dict[str, Value]]:
    moment = EPOCH + timedelta(microseconds=row[-1])
    values = zip(names, row[:-1], strict=True)
    return moment, {name: Value() if value is None else Value(double_val=value) for name, value in values}


def _keys(view: Any) -> list[str]:
    return [column.name for column in view.entity_columns]


def _entity(key: EntityKey, names: Sequence[str]) -> list[str]:
    values = dict(zip(key.join_keys, key.entity_values, strict=True))
    return [values[name].string_val for name in names]


def _number(value: Value | None) -> float | None:
    kind = value.WhichOneof("val") if value is not None else None
    return float(getattr(value, kind)) if kind is not None else None


def _microseconds(moment: datetime) -> int:
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return (aware - EPOCH) // timedelta(microseconds=1)
