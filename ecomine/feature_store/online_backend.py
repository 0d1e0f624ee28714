"""Which online store a workspace has: the section `online` of params.yaml says so."""

import os
import re
from pathlib import Path

from ecomine.errors import SettingsError
from ecomine.feature_store.catalogue import online_params
from ecomine.feature_store.online_sqlite import SqliteBackend
from ecomine.feature_store.online_table import OnlineBackend
from ecomine.params import FILE, OnlineParams

SCHEMES = {
    "redis": ("redis", "rediss", "unix"),
    "postgres": ("postgresql", "postgres"),
}


def backend(workspace: Path) -> OnlineBackend:
    """The online store of a workspace; raises SettingsError where the settings cannot be used."""
    return backend_of(online_params(workspace), workspace)


def backend_of(params: OnlineParams, workspace: Path) -> OnlineBackend:
    """The online store that the settings name."""
    if params.kind == "sqlite":
        return SqliteBackend(workspace)
    if params.kind not in SCHEMES:
        raise SettingsError(f"{FILE}: `online.kind` is {params.kind!r}; expected sqlite, redis or postgres.")
    url = filled(params.url or "", "online.url", params.kind)
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,30}", params.prefix):
        raise SettingsError(
            f"{FILE}: `online.prefix` is {params.prefix!r}; expected small letters, digits and _, at most 31 of them."
        )
    try:
        if params.kind == "redis":
            from ecomine.feature_store.online_redis import RedisBackend

            return RedisBackend(url, params.prefix)
        from ecomine.feature_store.online_postgres import PostgresBackend

        return PostgresBackend(url, params.prefix)
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"{FILE}: `online.kind` is {params.kind}, whose driver is not installed. "
            f"Install it: pip install 'ecomine[{params.kind}]'."
        ) from error


def filled(url: str, setting: str, kind: str) -> str:
    """The address of a server with each ${NAME} replaced by the environment variable of that name."""

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in os.environ:
            raise SettingsError(f"{FILE}: `{setting}` names the environment variable {name}, which is not set.")
        return os.environ[name]

    url, schemes = re.sub(r"\$\{(\w+)\}", value, url), SCHEMES[kind]
    if url.partition("://")[0] not in schemes or "://" not in url:
        raise SettingsError(
            f"{FILE}: `{setting}` is no address of a {kind} server; expected such as "
            f"{schemes[0]}://user:${{PASSWORD}}@host/0."
        )
    return url
