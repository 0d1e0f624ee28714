"""Pseudonyms: what is shown of a person in place of an id."""

import hashlib
import hmac
import os
import secrets
from pathlib import Path
from typing import Any

from ecomine import layout
from ecomine.store import Store

PERSONAL = ("user_id", "user_ids", "card_id", "device_id", "address_id", "ip")
"""Names of what identifies a person, wherever they stand."""


class Pseudonyms:
    """Keyed hashes in place of customers' ids; the key is made once a workspace and never leaves it."""

    def __init__(self, store: Store) -> None:
        self._path = store.path(layout.PSEUDONYM_KEY)
        self._key: bytes | None = None

    def of(self, name: str) -> str:
        """The pseudonym of one id: 16 hexadecimal digits of HMAC-SHA256."""
        if self._key is None:
            self._key = _key(self._path)
        return "p-" + hmac.new(self._key, name.encode(), hashlib.sha256).hexdigest()[:16]

    def hide(self, value: Any, name: str = "") -> Any:
        """A copy of nested lists and dicts in which what is PERSONAL is a pseudonym."""
        if isinstance(value, dict):
            return {key: self.hide(inner, key) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.hide(inner, name) for inner in value]
        return self.of(str(value)) if name in PERSONAL else value


def _key(path: Path) -> bytes:
    """The workspace's key; the first that asks makes it, and who comes second takes that one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    fresh.touch(mode=0o600)
    try:
        fresh.write_bytes(secrets.token_bytes(32))
        os.link(fresh, path)
    except FileExistsError:
        pass
    finally:
        fresh.unlink()
    return path.read_bytes()
