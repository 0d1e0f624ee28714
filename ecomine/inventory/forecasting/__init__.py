"""Demand to come as a distribution: for each period, and for the total of several."""

from ecomine.inventory.forecasting.forecaster import DemandForecaster
from ecomine.inventory.forecasting.params import ForecastParams
from ecomine.inventory.forecasting.reconciliation import reconcile

__all__ = ["DemandForecaster", "ForecastParams", "reconcile"]
