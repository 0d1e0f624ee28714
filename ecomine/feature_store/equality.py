"""Whether serving sees what training saw: online values against point-in-time values of the same rows."""

from pathlib import Path

import numpy as np
import pandas as pd

from ecomine.feature_store.catalogue import service_features, service_tables
from ecomine.feature_store.online import OnlineReader
from ecomine.feature_store.retrieval import point_in_time


def differences(workspace: Path, rows: pd.DataFrame, service: str) -> pd.DataFrame:
    """Features whose online value is not their value at the rows' event_timestamp; null equals null.

    Columns: entity keys, feature, offline, online. Empty where all are equal.
    """
    keys = list(dict.fromkeys(key for table in service_tables(service) for key in table.keys))
    features = service_features(workspace, service)
    offline = point_in_time(workspace, rows, service)[features].to_numpy(dtype=np.float64)
    online = OnlineReader(workspace, service).read(rows)[features].to_numpy(dtype=np.float64)
    row, column = np.nonzero((offline != online) & ~(np.isnan(offline) & np.isnan(online)))
    found = rows[keys].iloc[row].reset_index(drop=True)
    return found.assign(
        feature=np.array(features, dtype=object)[column], offline=offline[row, column], online=online[row, column]
    )
