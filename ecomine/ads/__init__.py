"""Whom to reach, with what, for how much: what a contact changes, what it is worth, and what to bid for it.

A marketer reads a row a person: the campaign and creative that reach them, or why they are left alone, what a contact
is expected to earn that would not come anyhow, the bid, and the probability with which it was chosen. Uplift is told
only where contacts were drawn by chance; elsewhere the row says who answers, and that this is no uplift. The estimators
stand on their own: DataFrames in, DataFrames out.
"""

import pandas as pd

from ecomine.ads import placing
from ecomine.ads.bandits import LinThompson, LinUCB
from ecomine.ads.bidding import WinCurve
from ecomine.ads.budget import Pacer, allocate
from ecomine.ads.evaluation import evaluate
from ecomine.ads.explaining import explain
from ecomine.ads.fatigue import ContactQ, Fatigue
from ecomine.ads.features import SERVICE, label
from ecomine.ads.heeding import HEEDS
from ecomine.ads.model import Placement
from ecomine.ads.params import AdsParams, PlacementRules
from ecomine.ads.placing import DECISION_COLUMNS
from ecomine.ads.policy import Surroundings, decide
from ecomine.ads.response import ClickModel, ConversionModel
from ecomine.ads.sanity import check
from ecomine.ads.tunable import TUNABLE
from ecomine.ads.uplift import UpliftModel, UpliftSettings
from ecomine.domain import Domain, Inputs

__all__ = [
    "DOMAIN",
    "AdsParams",
    "ClickModel",
    "ContactQ",
    "ConversionModel",
    "Fatigue",
    "LinThompson",
    "LinUCB",
    "Pacer",
    "Placement",
    "PlacementRules",
    "Surroundings",
    "UpliftModel",
    "UpliftSettings",
    "WinCurve",
    "allocate",
    "decide",
]


def _fit(rows: pd.DataFrame, inputs: Inputs) -> Placement:
    return Placement(inputs.params, inputs.seed, inputs.threads).fit(rows, inputs)


def _request(model: Placement, keys: pd.DataFrame | None) -> pd.DataFrame:
    return model.requests(None if keys is None else keys["user_id"].to_numpy(object))


DOMAIN = Domain(
    name="ads",
    question="Whom to reach by which campaign, and what to bid?",
    requires=("campaigns", "ad_impressions"),
    improves=("order_lines", "items", "users"),
    params=AdsParams,
    service=SERVICE,
    entity="user_id",
    decision_columns=DECISION_COLUMNS,
    label=label,
    fit=_fit,
    load=Placement.load,
    request=_request,
    decide=placing.decide,
    evaluate=evaluate,
    check=check,
    tunable=TUNABLE,
    heeds=HEEDS,
    explain=explain,
)
