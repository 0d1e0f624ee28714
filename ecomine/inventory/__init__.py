"""What to restock: how much of each product to order for each place, and when, so that it neither runs out nor lies.

A buyer reads a row an item and place: whether to order now and how much, up to which level, when the shelf will be
empty, and why. Orders rest on the distribution of demand until the next delivery, on what stock, orders and lost sales
cost, and on what suppliers and places allow. The estimators stand alone on DataFrames.
"""

from ecomine.inventory.backtest import Outcome, simulate
from ecomine.inventory.forecasting import DemandForecaster, ForecastParams, reconcile
from ecomine.inventory.network import allocate, transfers
from ecomine.inventory.params import InventoryParams
from ecomine.inventory.policies import POLICIES
from ecomine.inventory.rates import RateForecaster
from ecomine.inventory.replenishment import ReplenishmentPolicy

__all__ = [
    "POLICIES",
    "DemandForecaster",
    "ForecastParams",
    "InventoryParams",
    "Outcome",
    "RateForecaster",
    "ReplenishmentPolicy",
    "allocate",
    "reconcile",
    "simulate",
    "transfers",
]
