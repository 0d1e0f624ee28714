"""Whether serving sees what training saw: online values against point-in-time values of the same rows."""

from pathlib import Path

import numpy as np
import pandas as pd

from ecomine.feature_store.declaration import EVENT_TIMESTAMP
from ecomine.feature_store.online import OnlineReader
from ecomine.feature_store.retrieval import point_in_time, retrieval
from ecomine.feature_store.service import service_plan


def differences(workspace: Path, rows: pd.DataFrame, service: str) -> pd.DataFrame:
    """Features whose online value is not their value at the rows' event_timestamp; null equals null.

    Columns: row (its label in `rows`), entity keys, event_timestamp, feature, offline, online, offline_age and
    online_age (seconds from when the value began to hold to the row's time, null where there is none), ttl (seconds
    for which it holds). A row a difference, in the order of the rows and of the features; empty where all are equal.
    """
    workspace = Path(workspace)
    tables = service_plan(workspace, service)
    keys = list(dict.fromkeys(key for table in tables for key in table.keys))
    features = [feature for table in tables for feature in table.features]
    offline = point_in_time(workspace, rows, service)[features].to_numpy(dtype=np.float64)
    answer = OnlineReader(workspace, service, live=False).read_detailed(rows)
    online = answer.values
    row, column = np.nonzero((offline != online) & ~(np.isnan(offline) & np.isnan(online)))
    of_table = np.repeat(np.arange(len(tables)), [len(table.features) for table in tables])[column]
    distinct, again = np.unique(row, return_inverse=True)
    ages = _ages(workspace, rows.iloc[distinct], service, [table.name for table in tables])
    found = rows[[*keys, EVENT_TIMESTAMP]].iloc[row].reset_index(drop=True)
    found.insert(0, "row", rows.index[row])
    return found.assign(
        feature=np.array(features, dtype=object)[column],
        offline=offline[row, column],
        online=online[row, column],
        offline_age=ages[again, of_table],
        online_age=answer.ages[row, of_table],
        ttl=np.array([shown.table.ttl.total_seconds() for shown in tables])[of_table],
    )


def _ages(workspace: Path, rows: pd.DataFrame, service: str, tables: list[str]) -> np.ndarray:
    """(rows, tables): seconds for which each row's point-in-time value has held; NaN where the engine does not say."""
    blank = np.full((len(rows), len(tables)), np.nan)
    job = retrieval(workspace, rows, service) if len(rows) else None
    if job is None or not hasattr(job, "ages"):
        return blank
    ages = job.ages()
    return np.column_stack([ages[table] for table in tables])
