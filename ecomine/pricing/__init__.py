"""What to charge: which price for each product, defended by what the data say and by the rules of the business."""

from ecomine.pricing.demand import DemandModel
from ecomine.pricing.optimiser import PriceOptimizer
from ecomine.pricing.params import DemandParams, OptimiserParams, PersonalParams, PriceRules, PricingParams

__all__ = [
    "DemandModel",
    "DemandParams",
    "OptimiserParams",
    "PersonalParams",
    "PriceOptimizer",
    "PriceRules",
    "PricingParams",
]
