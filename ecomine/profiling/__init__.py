"""Who is this customer: what do they like, when will they come back, and what are they worth?"""

from ecomine.profiling.churn import ChurnModel
from ecomine.profiling.intent import PurchaseIntent
from ecomine.profiling.lifetime import LifetimeValue
from ecomine.profiling.orders import order_summary

__all__ = ["ChurnModel", "LifetimeValue", "PurchaseIntent", "order_summary"]
