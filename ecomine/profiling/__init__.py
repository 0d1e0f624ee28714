"""Who is this customer: what do they like, when will they come back, and what are they worth?"""

from ecomine.profiling.lifetime import LifetimeValue
from ecomine.profiling.orders import order_summary

__all__ = ["LifetimeValue", "order_summary"]
