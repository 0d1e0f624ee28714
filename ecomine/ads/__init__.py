"""Whom to reach, with what, for how much: what a contact changes, what it is worth, and what to bid for it."""

from ecomine.ads.bandits import LinThompson, LinUCB
from ecomine.ads.bidding import WinCurve
from ecomine.ads.budget import Pacer, allocate
from ecomine.ads.fatigue import ContactQ
from ecomine.ads.params import PlacementRules
from ecomine.ads.policy import Surroundings, decide
from ecomine.ads.response import ClickModel, ConversionModel
from ecomine.ads.uplift import UpliftModel, UpliftSettings

__all__ = [
    "ClickModel",
    "ContactQ",
    "ConversionModel",
    "LinThompson",
    "LinUCB",
    "Pacer",
    "PlacementRules",
    "Surroundings",
    "UpliftModel",
    "UpliftSettings",
    "WinCurve",
    "allocate",
    "decide",
]
