"""What each domain offers over HTTP. A new domain is a module here and a line in MODULES."""

from collections.abc import Callable, Mapping
from types import ModuleType

from fastapi import APIRouter

from ecomine.serving.ahead import Recipe
from ecomine.serving.desk import Desk, Plain, Question
from ecomine.serving.quick import Short
from ecomine.serving.routes import ads, inventory, pricing, profiling, recommendation, risk

MODULES: dict[str, ModuleType] = {
    "profiling": profiling,
    "recommendation": recommendation,
    "pricing": pricing,
    "inventory": inventory,
    "risk": risk,
    "ads": ads,
}

ROUTES: dict[str, Callable[[Desk], APIRouter]] = {name: module.router for name, module in MODULES.items()}

AHEAD: dict[str, Recipe] = {"recommendation": recommendation.AHEAD}
"""Of each domain, the question that is answered before anybody asks it."""

SHORT: dict[str, Short] = {"recommendation": recommendation.SHORT, "profiling": profiling.SHORT}
"""Addresses of single entities, which are asked for most."""

QUESTIONS: dict[str, Mapping[str, Question]] = {name: module.QUESTIONS for name, module in MODULES.items()}
"""What can be asked of a domain's desk; a receipt names the question, so that it can be asked again."""

PLAIN: dict[str, Mapping[str, Plain]] = {name: module.PLAIN for name, module in MODULES.items()}
"""The same questions, answered from what was published last where no version can answer."""
