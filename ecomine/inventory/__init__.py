"""What to restock: how much of each product will be wanted where and when, and what to order against it."""

from ecomine.inventory.forecasting import DemandForecaster, ForecastParams, reconcile

__all__ = ["DemandForecaster", "ForecastParams", "reconcile"]
