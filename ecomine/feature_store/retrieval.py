"""Point-in-time retrieval: rows get the features as they were known at each row's time, through Feast."""

from pathlib import Path

import pandas as pd

from ecomine.errors import FeatureError
from ecomine.feature_store.catalogue import service_features, service_tables
from ecomine.feature_store.declaration import EVENT_TIMESTAMP


def point_in_time(workspace: Path, rows: pd.DataFrame, service: str) -> pd.DataFrame:
    """`rows` with the columns `{view}__{feature}` of a service added, in the same order.

    rows: entity keys, `event_timestamp` (UTC), and any further columns, which are left as they are.
    Raises FeatureError where a column is missing or would be overwritten, or a feature table is absent.
    """
    from ecomine.feature_store.registry import feast_store

    needed = list(dict.fromkeys([key for table in service_tables(service) for key in table.keys] + [EVENT_TIMESTAMP]))
    missing = [name for name in needed if name not in rows.columns]
    if missing:
        raise FeatureError(
            f"The service {service} joins on {', '.join(needed)}; the rows lack {', '.join(missing)} and have "
            f"{', '.join(map(str, rows.columns))}."
        )
    columns = service_features(Path(workspace), service)
    taken = [name for name in columns if name in rows.columns]
    if taken:
        raise FeatureError(f"The rows already have the feature columns {', '.join(taken[:3])}; take them out first.")
    store = feast_store(Path(workspace))
    job = store.get_historical_features(
        entity_df=rows[needed], features=store.get_feature_service(service), full_feature_names=True
    )
    table = job.to_arrow().select(columns)
    if table.num_rows != len(rows):
        raise FeatureError(f"Feast was given {len(rows):,} rows and gave {table.num_rows:,}; none may go missing.")
    # Column by column, each Arrow one let go once it is copied: at no time are there two whole tables.
    arrow = dict(zip(columns, table.columns, strict=True))
    del table, job
    values = {name: arrow.pop(name).to_numpy() for name in columns}
    features = pd.DataFrame(values, index=rows.index, copy=False)
    return pd.concat([rows, features], axis=1, copy=False)
