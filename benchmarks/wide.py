"""Simulated entities with twenty features, and stock Feast over them: what the benchmarks of the online store share."""

import contextlib
import io
import shutil
import warnings
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from ecomine.feature_store.online_table import OnlineTable

if TYPE_CHECKING:
    from feast import FeatureStore

AS_OF = datetime(2024, 5, 20)
FEATURES = tuple(f"f{number:02d}" for number in range(20))
TABLE = OnlineTable("wide", ("user_id",), FEATURES, timedelta(days=365), (None,) * len(FEATURES))


def write(path: Path, entities: int, snapshots: int = 1) -> None:
    """A Parquet file of `entities` × `snapshots` rows, two weeks apart; one value in twenty is null."""
    values = ", ".join(
        f"CASE WHEN hash(i, s, {number}) % 20 > 0 THEN (hash(i, s, {number}) % 1000003) / 7 END AS {name}"
        for number, name in enumerate(FEATURES)
    )
    duckdb.sql(
        f"COPY (SELECT 'u' || lpad(CAST(i AS VARCHAR), 8, '0') AS user_id, {values}, "
        f"TIMESTAMP '{AS_OF}' - to_days(CAST(s * 14 AS INTEGER)) AS event_timestamp, "
        f"event_timestamp AS created_timestamp FROM range({entities}) AS e(i), range({snapshots}) AS m(s) "
        f"ORDER BY user_id, event_timestamp) TO '{path}' (COMPRESSION zstd)"
    )


def stock_feast(folder: Path, rows: Path, online: dict[str, object]) -> "FeatureStore":
    """Feast with its own duckdb offline store and its own online store over the Parquet file `rows`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
        from feast.types import Float64, String

        folder.mkdir(parents=True)
        store = FeatureStore(
            config=RepoConfig(
                project="wide",
                provider="local",
                registry=str(folder / "registry.db"),
                offline_store={"type": "duckdb"},
                online_store=online,
                entity_key_serialization_version=3,
            )
        )
        user = Entity(name="user_id", join_keys=["user_id"], value_type=ValueType.STRING)
        view = FeatureView(
            name=TABLE.name,
            entities=[user],
            ttl=TABLE.ttl,
            schema=[Field(name="user_id", dtype=String), *(Field(name=name, dtype=Float64) for name in FEATURES)],
            source=FileSource(
                path=str(rows), timestamp_field="event_timestamp", created_timestamp_column="created_timestamp"
            ),
        )
        store.apply([user, view, FeatureService(name="all", features=[view])])
    return store


def stock_online(kind: str, folder: Path, url: str) -> dict[str, object]:
    """The settings of Feast's own online store of a kind."""
    if kind == "sqlite":
        return {"type": "sqlite", "path": str(folder / "online.db")}
    host, database = url.removeprefix("redis://").split("/")
    return {"type": "redis", "connection_string": f"{host},db={int(database) + 1}"}


def redis_binary() -> Path:
    """redis-server; ends the program where it is not installed."""
    found = shutil.which("redis-server")
    if found is None:
        raise SystemExit("redis-server is not installed: apt-get install redis-server")
    return Path(found)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without Feast's progress bars and warnings."""
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        yield
