"""What to stop: which payment is fraud, which is strange, who pays credit back, and what to do about it in money.

An analyst reads a row a payment that has no verdict yet: allow, review or block, the score, three reasons, which rules
it hit, what it is expected to cost, and its place in the day's queue, by the money that a look is expected to save. A
source without labels gets the strangest orders instead. The estimators stand on their own: DataFrames of canonical
columns in, DataFrames or arrays out.
"""

import pandas as pd

from ecomine.domain import Domain, Inputs
from ecomine.risk.anomalies import AnomalyDetector
from ecomine.risk.decisions import Costs, decide_payments
from ecomine.risk.detector import FraudDetector
from ecomine.risk.evaluation import evaluate
from ecomine.risk.explaining import explain
from ecomine.risk.features import DAY, SERVICE, label
from ecomine.risk.model import Guard
from ecomine.risk.params import CostParams, RiskParams
from ecomine.risk.policy import DECISION_COLUMNS, decide
from ecomine.risk.sanity import check
from ecomine.risk.scorecard import CreditScorecard
from ecomine.risk.tunable import TUNABLE

__all__ = [
    "DOMAIN",
    "AnomalyDetector",
    "CostParams",
    "Costs",
    "CreditScorecard",
    "FraudDetector",
    "Guard",
    "RiskParams",
    "decide_payments",
]


def _fit(rows: pd.DataFrame, inputs: Inputs) -> Guard:
    return Guard(inputs.params, inputs.seed, inputs.threads).fit(rows, inputs)


def _request(model: Guard, keys: pd.DataFrame | None) -> pd.DataFrame:
    return model.requests(None if keys is None else keys[DAY].to_numpy(object))


DOMAIN = Domain(
    name="risk",
    question="What to stop?",
    requires=("order_lines",),
    improves=("payments", "credit", "users"),
    params=RiskParams,
    service=SERVICE,
    entity=DAY,
    decision_columns=DECISION_COLUMNS,
    label=label,
    fit=_fit,
    load=Guard.load,
    request=_request,
    decide=decide,
    evaluate=evaluate,
    check=check,
    tunable=TUNABLE,
    explain=explain,
)
