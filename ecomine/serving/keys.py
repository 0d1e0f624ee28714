"""API keys: who may ask what. Only their SHA-256 is kept; a key has 256 random bits, so no slower hash is needed."""

import hashlib
import hmac
import json
import secrets
import threading
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

from fastapi import Request, Security
from fastapi.security import APIKeyHeader

from ecomine import layout
from ecomine.errors import EcomineError, SettingsError
from ecomine.store import Store

HEADER = APIKeyHeader(name="X-API-Key", auto_error=False, description="made by `ecomine key create`")
OPERATION = "operation"
RECEIPTS = "receipts"
EVENTS = "events"


class KeyMissingError(EcomineError):
    """A request without a key that is known and valid."""


class KeyScopeError(EcomineError):
    """A request with a key that does not reach so far."""


@dataclass(frozen=True)
class Key:
    """What is kept of a key; `scopes` are domains, `receipts`, `events` and `operation`, times are ISO text in UTC."""

    name: str
    sha256: str
    scopes: list[str]
    created: str
    expires: str | None


class Keys:
    """The keys of a workspace, read again when their file changes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._path = store.path(layout.API_KEYS)
        self._stamp: int | None = None
        self._keys: list[Key] = []
        self._reading = threading.Lock()

    def all(self) -> list[Key]:
        """Every key, by name."""
        try:
            stamp = self._path.stat().st_mtime_ns
        except FileNotFoundError:
            return []
        with self._reading:
            if stamp != self._stamp:
                self._keys = [Key(**one) for one in json.loads(self._path.read_text())]
                self._stamp = stamp
        return self._keys

    def create(self, name: str, scopes: list[str], days: float | None, known: set[str]) -> str:
        """Make a key and return it: it can be seen this once. Raises SettingsError for a name or scope that is off."""
        wrong = sorted(set(scopes) - known)
        if wrong:
            raise SettingsError(f"There is no scope {', '.join(wrong)}; known are {', '.join(sorted(known))}.")
        if not scopes:
            raise SettingsError(f"A key needs at least one --scope of {', '.join(sorted(known))}.")
        if any(key.name == name for key in self.all()):
            raise SettingsError(f"There is a key {name!r} already; take it away first: `ecomine key revoke {name}`.")
        secret, now = secrets.token_urlsafe(32), datetime.now(UTC)
        expires = (now + timedelta(days=days)).isoformat(timespec="seconds") if days else None
        made = Key(name, _digest(secret), sorted(set(scopes)), now.isoformat(timespec="seconds"), expires)
        self._write([*self.all(), made])
        return secret

    def revoke(self, name: str) -> None:
        """Take a key away; running servers notice at the next request."""
        rest = [key for key in self.all() if key.name != name]
        if len(rest) == len(self.all()):
            names = ", ".join(key.name for key in self.all()) or "none"
            raise SettingsError(f"There is no key {name!r}; there are: {names}.")
        self._write(rest)

    def check(self, secret: str | None, scope: str) -> str:
        """The name of the key; raises KeyMissingError or KeyScopeError."""
        digest, now, found = _digest(secret or ""), datetime.now(UTC).isoformat(timespec="seconds"), None
        for key in self.all():  # all of them, each in the same time, so that time tells nothing
            if hmac.compare_digest(key.sha256, digest) and (key.expires is None or key.expires > now):
                found = key
        if found is None:
            raise KeyMissingError("This address needs a key that is known here and has not expired.")
        if scope not in found.scopes:
            raise KeyScopeError(f"The key {found.name!r} is for {', '.join(found.scopes)}; this address is {scope}.")
        return found.name

    def _write(self, keys: list[Key]) -> None:
        with self._store.replacing(layout.API_KEYS) as path:
            path.touch(mode=0o600)
            path.write_text(json.dumps([asdict(key) for key in sorted(keys, key=lambda key: key.name)], indent=2))


def guard(keys: Keys, scope: str) -> Callable[..., Awaitable[None]]:
    """A dependency that lets nobody through without a key of the scope, and notes its name for the log."""

    async def check(request: Request, secret: str | None = Security(HEADER)) -> None:
        request.scope["key"] = keys.check(secret, scope)

    return check


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
