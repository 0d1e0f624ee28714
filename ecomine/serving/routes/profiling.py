"""Who a customer is."""

from datetime import datetime
from typing import Annotated, Any

import pandas as pd
from fastapi import APIRouter, HTTPException, Path, Response
from pydantic import BaseModel, Field

from ecomine.serving.catalogue import Catalogue
from ecomine.serving.desk import Desk, Plain, Question
from ecomine.serving.errors import PROBLEMS, Problem
from ecomine.serving.moment import Moment
from ecomine.serving.published import Published
from ecomine.serving.quick import Asked, Short
from ecomine.serving.seat import Answers

UNKNOWN = "This customer is not known: nobody of this id has bought anything yet."

EXAMPLE: dict[str, Any] = {
    "user_id": "1",
    "model": "3f0c9a7d1e42b6a85c1d",
    "as_of": "2017-12-31T23:59:59Z",
    "stage": "active",
    "segment": "frequent, big spenders",
    "recency_days": 3.2,
    "frequency": 61,
    "money": 2415.3,
    "interests": [{"kind": "category", "name": "PRODUCE > BANANAS", "strength": 0.21, "trend": 0.02}],
    "rhythm": {"hour": 17, "weekday": "Saturday", "next_purchase": "2018-01-04"},
    "habits": {"price_sensitivity": 0.03, "discount_share": 0.18, "basket_lines": 12.4, "basket_value": 39.6},
    "channel": {"location": "406", "device": "unknown", "referrer": "unknown", "sessions": 0},
    "probabilities": {"alive": 0.99, "churn": 0.01, "buy": 0.97, "session_purchase": 0.0},
    "value": {"expected": 310.5, "low": 160.2, "high": 512.8},
    "reasons": {"value": "spend of the last 90 days 611.2 raises it"},
    "contact": True,
    "contact_gain": 3.66,
    "vector": [0.71, -0.12],
}

HABITS = (
    "price_sensitivity", "discount_share", "discounted_share", "coupon_share", "basket_lines", "basket_value",
    "variety",
)  # fmt: skip


class Interest(BaseModel):
    """What somebody buys most."""

    kind: str = Field(description="category or brand")
    name: str
    strength: float = Field(description="share of their money")
    trend: float = Field(description="share of the last 90 days less the share before")


class Profile(BaseModel):
    """What is known and expected of one customer."""

    model_config = {"json_schema_extra": {"examples": [EXAMPLE]}}

    user_id: str
    model: str = Field(description="digest of the version that answered")
    as_of: Moment = Field(description="the model has seen the shop up to this moment (UTC)")
    stage: str = Field(description="new, active, at risk or lost")
    segment: str = Field(description="kind of customer, by what sets it apart")
    recency_days: float
    frequency: int = Field(description="orders so far")
    money: float = Field(description="spent so far")
    interests: list[Interest]
    rhythm: dict[str, str | int] = Field(description="usual hour (UTC) and weekday, expected date of the next purchase")
    habits: dict[str, float]
    channel: dict[str, str | float]
    probabilities: dict[str, float] = Field(description="alive, churn and buy within their windows, session_purchase")
    value: dict[str, float] = Field(description="money within the horizon: expected, low and high")
    reasons: dict[str, str] = Field(description="the three strongest drivers of value, churn and buy")
    contact: bool = Field(description="whether a contact is expected to bring more than it costs")
    contact_gain: float
    vector: list[float] = Field(description="for similarity: cosine of two vectors")


def router(desk: Desk) -> APIRouter:
    """The routes of profiling."""
    unknown: dict[int | str, dict[str, Any]] = {404: {"model": Problem, "description": "Nobody of this id has bought"}}
    routes = APIRouter(prefix="/v1/profiles", tags=["profiling"], responses={**PROBLEMS, **unknown})

    @routes.get("/{user_id:path}", summary="Profile of one customer", response_model=Profile)
    async def one(
        user_id: Annotated[str, Path(min_length=1, max_length=200, description="the customer", examples=["1"])],
    ) -> Response:
        """Who a customer is, what they will probably do, and why; 404 for somebody who has bought nothing yet."""
        return await desk.reply("profile", user_id, user_id=user_id)

    return routes


def _read(user_id: str, query: bytes) -> Asked | None:
    if query or not 0 < len(user_id) <= 200 or "\n" in user_id:
        return None
    return Asked("profile", user_id, None, {"user_id": user_id})


SHORT = Short("/v1/profiles/", "/v1/profiles/{user_id:path}", _read)


def profile(answers: Answers, catalogue: Catalogue, user_id: str) -> Profile:
    """The decision for one customer in the form of the answer."""
    rows = answers.domain.request(answers.model, pd.DataFrame({"user_id": [user_id]}))
    if rows.empty:
        raise HTTPException(404, UNKNOWN)
    decisions = answers.decide(answers.read(rows))
    return _told(decisions, answers.bundle.digest, answers.bundle.as_of)


def published_profile(published: Published, catalogue: Catalogue, user_id: str) -> Profile:
    """The profile published last."""
    rows = published.rows(user_id)
    if rows.empty:
        raise HTTPException(404, UNKNOWN)
    return _told(rows, published.digest, published.as_of)


def _told(decisions: pd.DataFrame, model: str, as_of: datetime) -> Profile:
    row = decisions.astype(object).to_dict("records")[0]
    return Profile(
        user_id=str(row["user_id"]),
        model=model,
        as_of=as_of,
        interests=[
            Interest(kind=kind, name=row[kind], strength=row[f"{kind}_strength"], trend=row[f"{kind}_trend"])
            for kind in ("category", "brand")
            if row[f"{kind}_strength"] > 0
        ],
        rhythm={name: row[name] for name in ("hour", "weekday", "next_purchase")},
        habits={name: row[name] for name in HABITS},
        channel={name: row[name] for name in ("location", "device", "referrer", "sessions")},
        probabilities={name: row[name] for name in ("alive", "churn", "buy", "session_purchase")},
        value={"expected": row["value"], "low": row["value_low"], "high": row["value_high"]},
        reasons={name: row[f"{name}_reason"] for name in ("value", "churn", "buy")},
        vector=[float(number) for number in row["vector"].split()],
        **{
            name: row[name]
            for name in ("stage", "segment", "recency_days", "frequency", "money", "contact", "contact_gain")
        },
    )


QUESTIONS: dict[str, Question] = {"profile": profile}

PLAIN: dict[str, Plain] = {"profile": published_profile}
