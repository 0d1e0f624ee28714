"""FEATURE_TABLES and SERVICES: every feature there is, and which tables a domain asks for."""

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from ecomine.errors import FeatureError, SettingsError
from ecomine.feature_store import browsing, counts, live, paying, shelves, verdicts
from ecomine.feature_store.contacts import USER_CONTACTS
from ecomine.feature_store.copurchase import ITEM_PAIR
from ecomine.feature_store.declaration import FeatureTable, spans
from ecomine.feature_store.habits import ITEM_HABITS, USER_HABITS
from ecomine.feature_store.item_snapshot import ITEM_SNAPSHOT
from ecomine.feature_store.user_item import USER_ITEM
from ecomine.feature_store.user_snapshot import USER_SNAPSHOT
from ecomine.params import FILE, EngineParams, FeatureParams, OnlineParams, StreamingParams, build

FEATURE_TABLES: dict[str, FeatureTable] = {
    table.name: table
    for table in (
        USER_SNAPSHOT,
        ITEM_SNAPSHOT,
        USER_ITEM,
        USER_HABITS,
        ITEM_HABITS,
        *counts.TABLES,
        ITEM_PAIR,
        *browsing.TABLES,
        *paying.TABLES,
        *live.TABLES,
        *shelves.TABLES,
        USER_CONTACTS,
        *verdicts.TABLES,
    )
}

SERVICES: dict[str, tuple[str, ...]] = {
    "profiling": ("user_snapshot", "user_habits"),
    "recommendation": ("user_snapshot", "item_snapshot", "user_item"),
    "pricing": ("item_snapshot",),
    "inventory": ("item_snapshot", "stock_snapshot"),
    "ads": ("user_snapshot", "user_contacts"),
    "risk": ("user_snapshot", *(table.name for table in verdicts.TABLES)),
}
"""Service → feature tables, in the order of its columns."""


ONLINE_STORE = """
## The online store

`ecomine stage materialize` puts the newest row of every entity that still holds into the online store: a table a
feature table, a row an entity, with its features and the time from which they hold. A load builds a new version beside
the one that is read and takes its place in one step; a load that was killed goes on where it was.

| `online.kind` | where | when |
|---|---|---|
| `sqlite` | the file `data/online/online.db` | one machine serves; nothing to install, the fastest read |
| `redis` | a hash a table, a field an entity | several machines serve, and reads are many |
| `postgres` | a schema a version, a table a feature table | several machines serve, and PostgreSQL is there anyway |

Redis and PostgreSQL take `online.url`; `online.prefix` keeps several workspaces apart on one server.

`OnlineReader(workspace, service)` reads it, for a service above or any other that a Python file in `features/` defines.
`read` adds features to a DataFrame; `read_detailed` also says of each row and table how old the values are, in seconds
up to the row's moment (`now`, else its `event_timestamp`, else the moment up to which the store knows the shop), and
whether the entity is there, missing or expired. Values older than the table's time to live are expired, and given as
nulls, or as the feature's default. Feast's `get_online_features` reads the same rows, without defaults and of any age.
"""
"""A section of the page of features."""


def feature_params(workspace: Path) -> FeatureParams:
    """The section `features` of the workspace's params.yaml."""
    return build(FeatureParams, _section(workspace, "features"), "features")


def engine_params(workspace: Path) -> EngineParams:
    """The section `engine` of the workspace's params.yaml."""
    return build(EngineParams, _section(workspace, "engine"), "engine")


def online_params(workspace: Path) -> OnlineParams:
    """The section `online` of the workspace's params.yaml."""
    return build(OnlineParams, _section(workspace, "online"), "online")


def streaming_params(workspace: Path) -> StreamingParams:
    """The section `streaming` of the workspace's params.yaml."""
    return build(StreamingParams, _section(workspace, "streaming"), "streaming")


def raw_folder(workspace: Path) -> Path:
    """The folder of the shop's own files."""
    return Path(workspace) / str(_section(workspace, "raw") or "data/raw")


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


def chosen(params: FeatureParams, domains: Iterable[str]) -> list[FeatureTable]:
    """The feature tables of a run: those that the settings name, or those that the services of `domains` ask for.

    Raises SettingsError for a name that no table has, or where the settings leave out what a service asks for.
    """
    asked = {name: service for service in domains for name in SERVICES.get(service, ())}
    names = set(params.tables) if params.tables is not None else set(asked)
    for name in sorted(names - set(FEATURE_TABLES)):
        close = difflib.get_close_matches(name, FEATURE_TABLES, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise SettingsError(f"`features.tables` names {name!r}.{hint} There are {', '.join(FEATURE_TABLES)}.")
    for name, service in asked.items():
        if name not in names:
            raise SettingsError(f"`features.tables` leaves out {name}, which {service} learns from; put it in.")
    return [table for name, table in FEATURE_TABLES.items() if name in names]


def chosen_tables(workspace: Path) -> list[FeatureTable]:
    """The feature tables of a workspace, as its params.yaml has them; see `chosen`."""
    domains = _section(workspace, "domains") or list(SERVICES)
    return chosen(feature_params(workspace), [str(name) for name in domains])


def is_served(table: str) -> bool:
    """Whether a domain learns from the table."""
    return any(table in tables for tables in SERVICES.values())


def service_tables(service: str) -> list[FeatureTable]:
    """The feature tables of a service; raises FeatureError where there is none of that name."""
    if service not in SERVICES:
        raise FeatureError(f"There is no feature service {service!r}; there are {', '.join(SERVICES)}.")
    return [FEATURE_TABLES[name] for name in SERVICES[service]]


def page() -> str:
    """All features as a page in Markdown: name, unit, window, description; in the windows that settings begin with."""
    params = FeatureParams()
    lines = [
        "# Features",
        "",
        "Written by `ecomine features page`. A feature is declared in one place in `ecomine/feature_store`. DuckDB and",
        "Spark compute it from the same expression, training and serving read it through Feast as `table__feature`.",
        "`features.tables` in params.yaml names the tables to compute; without it they are those a domain learns from.",
        "`{w}` stands for each length in `features.windows`, in days.",
    ]
    for table in FEATURE_TABLES.values():
        users = [service for service, tables in SERVICES.items() if table.name in tables]
        holds = f"{table.ttl_days} days" if table.ttl_days is not None else "until the next snapshot"
        lines += ["", f"## {table.name}", "", f"{table.description[0].upper()}{table.description[1:]}.", ""]
        lines += [f"Keys: {', '.join(table.keys)}. Made from: {', '.join((*table.sources, *table.improves))}."]
        lines += [f"A row holds {holds}. Learned from by: {', '.join(users) or 'no domain by default'}.", ""]
        lines += ["| feature | unit | window | description |", "|---|---|---|---|"]
        for feature in table.features:
            longest = spans(params)[-1]
            window = "each" if feature.windowed else ("longest" if "{longest}" in feature.description else "")
            words = {"w": "{w}", "longest": longest, "shortest": spans(params)[0]}
            name, text = feature.name.format(**words), feature.description.format(**words)
            lines.append(f"| `{name}` | {feature.unit} | {window} | {text} |")
    return "\n".join(lines) + "\n" + ONLINE_STORE


def describe(workspace: Path) -> list[tuple[str, str, str, str]]:
    """(feature, type, unit, description) of every feature that there is, in the windows of a workspace."""
    params = feature_params(workspace)
    return [
        (f"{table.name}__{column.name}", column.dtype, column.unit, column.description)
        for table in FEATURE_TABLES.values()
        for column in table.columns(params)
    ]
