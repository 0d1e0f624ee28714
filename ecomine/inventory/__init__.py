"""What to restock: how much of each product to order for each place, and when, so that it neither runs out nor lies.

A buyer reads a row an item and place: whether to order now and how much, up to which level, when the shelf will be
empty, and why. Orders rest on the distribution of demand until the next delivery, on what stock, orders and lost sales
cost, and on what suppliers and places allow. The estimators stand alone on DataFrames.
"""

import pandas as pd

from ecomine.domain import Domain, Inputs
from ecomine.inventory.backtest import Outcome, simulate
from ecomine.inventory.evaluation import evaluate
from ecomine.inventory.explaining import explain
from ecomine.inventory.features import SERVICE, label
from ecomine.inventory.forecasting import DemandForecaster, ForecastParams, reconcile
from ecomine.inventory.model import Replenisher
from ecomine.inventory.network import allocate, transfers
from ecomine.inventory.params import InventoryParams
from ecomine.inventory.policies import POLICIES
from ecomine.inventory.policy import DECISION_COLUMNS, decide
from ecomine.inventory.rates import RateForecaster
from ecomine.inventory.replenishment import ReplenishmentPolicy
from ecomine.inventory.sanity import check
from ecomine.inventory.tunable import TUNABLE

__all__ = [
    "DOMAIN",
    "POLICIES",
    "DemandForecaster",
    "ForecastParams",
    "InventoryParams",
    "Outcome",
    "RateForecaster",
    "Replenisher",
    "ReplenishmentPolicy",
    "allocate",
    "reconcile",
    "simulate",
    "transfers",
]


def _fit(rows: pd.DataFrame, inputs: Inputs) -> Replenisher:
    return Replenisher(inputs.params, inputs.seed, inputs.threads).fit(rows, inputs)


def _request(model: Replenisher, keys: pd.DataFrame | None) -> pd.DataFrame:
    return model.requests(keys)


DOMAIN = Domain(
    name="inventory",
    question="What to order for each item and place, and when?",
    requires=("order_lines",),
    improves=("stock", "items"),
    params=InventoryParams,
    service=SERVICE,
    entity="item_id",
    decision_columns=DECISION_COLUMNS,
    label=label,
    fit=_fit,
    load=Replenisher.load,
    request=_request,
    decide=decide,
    evaluate=evaluate,
    check=check,
    tunable=TUNABLE,
    explain=explain,
)
