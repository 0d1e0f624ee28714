"""What a product is called, from the clean tables; read again when they change."""

import threading
from pathlib import Path

import numpy as np
import pandas as pd

from ecomine import layout
from ecomine.store import Store

TABLE = f"{layout.CLEAN}/items.parquet"
COLUMNS = ("title", "category")


class Catalogue:
    """Titles and categories of products; empty where the source has no table of items."""

    columns = COLUMNS

    def __init__(self, store: Store) -> None:
        self._path = store.path(TABLE)
        self._stamp: int | None = None
        self._known = pd.Index([]), [np.array([None], object) for _ in COLUMNS]
        self._reading = threading.Lock()

    def stamp(self) -> int | None:
        """What changes with the table of items."""
        try:
            return self._path.stat().st_mtime_ns
        except OSError:  # never there, or just being replaced
            return self._stamp

    def look_up(self, item_ids: np.ndarray) -> list[list[str | None]]:
        """Titles and categories of the ids; None for what is not there."""
        stamp = self.stamp()
        if stamp != self._stamp:
            with self._reading:
                if stamp != self._stamp:
                    self._known, self._stamp = _read(self._path), stamp
        ids, columns = self._known
        places = ids.get_indexer(pd.Index(item_ids, dtype=object))
        return [column[places].tolist() for column in columns]


def _read(path: Path) -> tuple[pd.Index, list[np.ndarray]]:
    """Ids, and columns with a None at the end: what an id that is not there gets."""
    items = pd.read_parquet(path, columns=["item_id", *COLUMNS]).drop_duplicates("item_id")
    named = items[list(COLUMNS)].astype(object)
    named = named.where(named.notna(), None)
    columns = [np.array([*named[name], None], object) for name in COLUMNS]
    return pd.Index(items["item_id"], dtype=object), columns
