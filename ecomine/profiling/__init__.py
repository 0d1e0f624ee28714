"""Who is this customer: what do they like, when will they come back, and what are they worth?

A marketer reads a row a customer: how they buy, what kind of customer they are, how probably they come back or are
lost, what they will spend within the horizon, why, and whether a contact pays. Every other domain may read the same
row. The estimators stand on their own: DataFrames in, DataFrames or arrays out.
"""

import pandas as pd

from ecomine.domain import Domain, Inputs
from ecomine.profiling.churn import ChurnModel
from ecomine.profiling.evaluation import evaluate
from ecomine.profiling.explaining import explain
from ecomine.profiling.features import SERVICE, label
from ecomine.profiling.intent import PurchaseIntent
from ecomine.profiling.lifetime import LifetimeValue
from ecomine.profiling.model import Profiler
from ecomine.profiling.orders import order_summary
from ecomine.profiling.params import ProfilingParams
from ecomine.profiling.policy import DECISION_COLUMNS, decide
from ecomine.profiling.sanity import check
from ecomine.profiling.segments import Segmenter, migration
from ecomine.profiling.succession import succeed
from ecomine.profiling.tunable import TUNABLE

__all__ = [
    "DOMAIN",
    "ChurnModel",
    "LifetimeValue",
    "Profiler",
    "ProfilingParams",
    "PurchaseIntent",
    "Segmenter",
    "migration",
    "order_summary",
]


def _fit(rows: pd.DataFrame, inputs: Inputs) -> Profiler:
    return Profiler(inputs.params, inputs.seed, inputs.threads).fit(rows, inputs)


def _request(model: Profiler, keys: pd.DataFrame | None) -> pd.DataFrame:
    return model.requests(None if keys is None else keys["user_id"].to_numpy(object))


DOMAIN = Domain(
    name="profiling",
    question="Who is this customer, and what are they worth?",
    requires=("order_lines",),
    improves=("items", "events", "promotions", "social_edges"),
    params=ProfilingParams,
    service=SERVICE,
    entity="user_id",
    decision_columns=DECISION_COLUMNS,
    label=label,
    fit=_fit,
    load=Profiler.load,
    request=_request,
    decide=decide,
    evaluate=evaluate,
    check=check,
    tunable=TUNABLE,
    succeed=succeed,
    explain=explain,
)
