"""What to show: which products will this customer want next?

Somebody who opens the shop should see at once what they are about to need: the things they buy again and again, when
they are due; what goes with them; and what everybody is buying now. Every day each customer gets a list of the products
they will most probably buy within the next two weeks, each with its reason, so that a merchandiser can judge it.
"""

import pandas as pd

from ecomine.domain import Domain, Inputs
from ecomine.recommendation.evaluation import evaluate
from ecomine.recommendation.explaining import explain
from ecomine.recommendation.features import SERVICE, label
from ecomine.recommendation.model import Recommender
from ecomine.recommendation.params import RecommendationParams
from ecomine.recommendation.policy import DECISION_COLUMNS, decide
from ecomine.recommendation.running_out import HEED as RUNNING_OUT
from ecomine.recommendation.sanity import check
from ecomine.recommendation.sessions import SessionRecommender
from ecomine.recommendation.tunable import TUNABLE
from ecomine.recommendation.two_stage import TwoStageRecommender
from ecomine.recommendation.watching import WATCH

__all__ = ["DOMAIN", "RecommendationParams", "Recommender", "SessionRecommender", "TwoStageRecommender"]


def _fit(rows: pd.DataFrame, inputs: Inputs) -> Recommender:
    model = Recommender(inputs.params, inputs.seed, inputs.threads)
    tables = inputs.tables
    return model.fit(
        rows, tables["order_lines"], tables.get("items"), inputs.as_of, tables.get("stock"), tables.get("events")
    )


def _request(model: Recommender, keys: pd.DataFrame | None) -> pd.DataFrame:
    return model.candidates(None if keys is None else keys["user_id"].to_numpy(object))


DOMAIN = Domain(
    name="recommendation",
    question="Which products will this customer want next?",
    requires=("order_lines",),
    improves=("items", "promotions", "stock", "events"),
    params=RecommendationParams,
    service=SERVICE,
    entity="user_id",
    decision_columns=DECISION_COLUMNS,
    label=label,
    fit=_fit,
    load=Recommender.load,
    request=_request,
    decide=decide,
    evaluate=evaluate,
    check=check,
    tunable=TUNABLE,
    heeds={"inventory": RUNNING_OUT},
    explain=explain,
    watch=WATCH,
)
