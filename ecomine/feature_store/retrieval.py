"""Point-in-time retrieval: rows get the features as they were known at each row's time, through Feast."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ecomine.errors import FeatureError
from ecomine.feature_store.declaration import EVENT_TIMESTAMP
from ecomine.feature_store.service import service_plan

if TYPE_CHECKING:
    from feast.infra.offline_stores.offline_store import RetrievalJob


def point_in_time(workspace: Path, rows: pd.DataFrame, service: str) -> pd.DataFrame:
    """`rows` with the columns `{view}__{feature}` of a service added, in the same order.

    rows: entity keys, `event_timestamp` (UTC), and any further columns, which are left as they are. Where there is no
    value the feature's declared default stands, if it has one.
    Raises FeatureError where a column is missing or would be overwritten, or a feature table is absent.
    """
    workspace = Path(workspace)
    plan = service_plan(workspace, service)
    columns = [feature for table in plan for feature in table.features]
    taken = [name for name in columns if name in rows.columns]
    if taken:
        raise FeatureError(f"The rows already have the feature columns {', '.join(taken[:3])}; take them out first.")
    table = retrieval(workspace, rows, service).to_arrow().select(columns)
    if table.num_rows != len(rows):
        raise FeatureError(f"Feast was given {len(rows):,} rows and gave {table.num_rows:,}; none may go missing.")
    # One block, filled in place, each Arrow column let go once it is copied: there are never two whole tables.
    arrow = dict(zip(columns, table.columns, strict=True))
    del table
    defaults = dict(zip(columns, (default for shown in plan for default in shown.table.defaults), strict=True))
    block = np.empty((len(columns), len(rows)))
    for number, name in enumerate(columns):
        block[number] = arrow.pop(name).to_numpy()
        if defaults[name] is not None:
            block[number, np.isnan(block[number])] = defaults[name]
    features = pd.DataFrame(block.T, columns=pd.Index(columns, dtype=object), index=rows.index, copy=False)
    return pd.concat([rows, features], axis=1, copy=False)


def retrieval(workspace: Path, rows: pd.DataFrame, service: str) -> "RetrievalJob":
    """Feast's job that joins the features of a service to `rows`; raises FeatureError where a column is missing."""
    from ecomine.feature_store.registry import feast_store

    keys = [key for table in service_plan(workspace, service) for key in table.keys]
    needed = list(dict.fromkeys([*keys, EVENT_TIMESTAMP]))
    missing = [name for name in needed if name not in rows.columns]
    if missing:
        raise FeatureError(
            f"The service {service} joins on {', '.join(needed)}; the rows lack {', '.join(missing)} and have "
            f"{', '.join(map(str, rows.columns))}."
        )
    store = feast_store(workspace)
    return store.get_historical_features(
        entity_df=rows[needed], features=store.get_feature_service(service), full_feature_names=True
    )
