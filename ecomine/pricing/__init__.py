"""What to charge: which price for each product, defended by what the data say and by the rules of the business?

A merchandiser reads a row a product: its price and the one suggested, how demand answers to the price and how sure that
is, what the change does to units, revenue and margin, which rule holds it back, and why. A price changes only where it
pays even if the elasticity lies at the wrong end of its interval. The estimators stand on their own: DataFrames in,
DataFrames out.
"""

import pandas as pd

from ecomine.domain import Domain, Inputs
from ecomine.pricing.clearing import HEED as CLEARING
from ecomine.pricing.demand import DemandModel
from ecomine.pricing.evaluation import evaluate
from ecomine.pricing.explaining import explain
from ecomine.pricing.features import SERVICE, label
from ecomine.pricing.model import Pricer
from ecomine.pricing.optimiser import PriceOptimizer
from ecomine.pricing.params import DemandParams, OptimiserParams, PersonalParams, PriceRules, PricingParams
from ecomine.pricing.policy import DECISION_COLUMNS, decide
from ecomine.pricing.sanity import check
from ecomine.pricing.tunable import TUNABLE

__all__ = [
    "DOMAIN",
    "DemandModel",
    "DemandParams",
    "OptimiserParams",
    "PersonalParams",
    "PriceOptimizer",
    "PriceRules",
    "Pricer",
    "PricingParams",
]


def _fit(rows: pd.DataFrame, inputs: Inputs) -> Pricer:
    return Pricer(inputs.params, inputs.seed, inputs.threads).fit(rows, inputs)


def _request(model: Pricer, keys: pd.DataFrame | None) -> pd.DataFrame:
    return model.requests(None if keys is None else keys["item_id"].to_numpy(object))


DOMAIN = Domain(
    name="pricing",
    question="What to charge for each product?",
    requires=("order_lines",),
    improves=("items", "promotions", "stock", "competitor_prices"),
    params=PricingParams,
    service=SERVICE,
    entity="item_id",
    decision_columns=DECISION_COLUMNS,
    label=label,
    fit=_fit,
    load=Pricer.load,
    request=_request,
    decide=decide,
    evaluate=evaluate,
    check=check,
    tunable=TUNABLE,
    heeds={"inventory": CLEARING},
    explain=explain,
)
