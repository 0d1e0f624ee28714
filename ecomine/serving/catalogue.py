"""What a product is called, from the clean tables; read again when they change."""

import threading
from contextlib import suppress

import pandas as pd

from ecomine import layout
from ecomine.store import Store

TABLE = f"{layout.CLEAN}/items.parquet"
COLUMNS = ["title", "category"]


class Catalogue:
    """Titles and categories of products; empty where the source has no table of items."""

    def __init__(self, store: Store) -> None:
        self._path = store.path(TABLE)
        self._stamp: int | None = None
        self._items = pd.DataFrame(columns=COLUMNS)
        self._reading = threading.Lock()

    def look_up(self, item_ids: pd.Series) -> pd.DataFrame:
        """Columns title and category, a row for each of the ids; nulls for what is not there."""
        stamp = self._stamp
        with suppress(OSError):  # never there, or just being replaced
            stamp = self._path.stat().st_mtime_ns
        if stamp != self._stamp:
            with self._reading:
                if stamp != self._stamp:
                    items = pd.read_parquet(self._path, columns=["item_id", *COLUMNS])
                    self._items, self._stamp = items.drop_duplicates("item_id").set_index("item_id"), stamp
        return self._items.reindex(item_ids.to_numpy())
