"""Features: declared once as expressions, computed on an engine, read through Feast for training and for serving.

FEATURE_TABLES says what there is. `compute` writes the feature tables, `materialize` the online store,
`point_in_time` joins features to rows as they were known at each row's time, `OnlineReader` reads the newest ones.
"""

from ecomine.feature_store.catalogue import FEATURE_TABLES, SERVICES, describe
from ecomine.feature_store.computation import compute
from ecomine.feature_store.equality import differences
from ecomine.feature_store.live import LIVE_TABLES, LiveTable
from ecomine.feature_store.live_state import LiveState, live_state, recent
from ecomine.feature_store.materialization import materialize
from ecomine.feature_store.online import OnlineAnswer, OnlineReader
from ecomine.feature_store.retrieval import point_in_time
from ecomine.feature_store.service import service_features

__all__ = [
    "FEATURE_TABLES",
    "LIVE_TABLES",
    "SERVICES",
    "LiveState",
    "LiveTable",
    "OnlineAnswer",
    "OnlineReader",
    "compute",
    "describe",
    "differences",
    "live_state",
    "materialize",
    "point_in_time",
    "recent",
    "service_features",
]
