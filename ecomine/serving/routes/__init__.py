"""ROUTES: what each domain offers over HTTP. A new domain is a module here and a line in the dict."""

from collections.abc import Callable

from fastapi import APIRouter

from ecomine.serving.catalogue import Catalogue
from ecomine.serving.champion import Champion
from ecomine.serving.routes import pricing, profiling, recommendation

ROUTES: dict[str, Callable[[Champion, Catalogue], APIRouter]] = {
    "profiling": profiling.router,
    "recommendation": recommendation.router,
    "pricing": pricing.router,
}
