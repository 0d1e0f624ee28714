"""ROUTES: what each domain offers over HTTP. A new domain is a module here and a line in each dict."""

from collections.abc import Callable, Mapping

from fastapi import APIRouter

from ecomine.serving.desk import Desk, Plain, Question
from ecomine.serving.routes import ads, pricing, profiling, recommendation

ROUTES: dict[str, Callable[[Desk], APIRouter]] = {
    "profiling": profiling.router,
    "recommendation": recommendation.router,
    "pricing": pricing.router,
    "ads": ads.router,
}

QUESTIONS: dict[str, Mapping[str, Question]] = {
    "profiling": profiling.QUESTIONS,
    "recommendation": recommendation.QUESTIONS,
    "pricing": pricing.QUESTIONS,
    "ads": ads.QUESTIONS,
}
"""What can be asked of a domain's desk; a receipt names the question, so that it can be asked again."""

PLAIN: dict[str, Mapping[str, Plain]] = {
    "profiling": profiling.PLAIN,
    "recommendation": recommendation.PLAIN,
    "pricing": pricing.PLAIN,
    "ads": ads.PLAIN,
}
"""The same questions, answered from what was published last where no version can answer."""
