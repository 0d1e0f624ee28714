"""What somebody did within the last minutes: for a decision about something that is happening."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from ecomine.errors import FeatureError
from ecomine.feature_store import LIVE_TABLES, live_state, recent


class Recent:
    """The live state of a workspace, asked about one entity at a moment; safe from several threads."""

    def __init__(self, workspace: Path) -> None:
        self._state = live_state(workspace)

    def __call__(self, entity: str, key: str, at: datetime, also: Mapping[str, Any] | None = None) -> dict[str, float]:
        """Features of the live table `entity` (such as card_velocity) for `key` at `at` (UTC), `table__feature`.

        also: the row that is happening, such as `{"amount": 12.5}`, counted as if it had reached the log; the values
        are then those that training sees at that row. Raises FeatureError for a table that is none of LIVE_TABLES,
        StreamingError where the live state cannot be read.
        """
        if entity not in LIVE_TABLES:
            raise FeatureError(f"There is no live table {entity!r}; there are {', '.join(LIVE_TABLES)}.")
        values = recent(self._state, entity, key, at, also)
        return {f"{entity}__{name}": value for name, value in values.items()}
