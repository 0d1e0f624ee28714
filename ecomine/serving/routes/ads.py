"""Whom to reach, with what, and what to bid."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import numpy as np
import pandas as pd
from fastapi import APIRouter, Response
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field

from ecomine.ads import placing, policy
from ecomine.ads.features import NONE
from ecomine.serving.catalogue import Catalogue
from ecomine.serving.desk import Desk, Pick, Plain, Question
from ecomine.serving.errors import PROBLEMS, BadRequestError
from ecomine.serving.moment import Moment
from ecomine.serving.published import Published
from ecomine.serving.seat import Answers
from ecomine.serving.split import Split

UserId = Annotated[str, Field(min_length=1, max_length=200, description="the customer", examples=["1"])]
CampaignId = Annotated[str, Field(min_length=1, max_length=200, description="the campaign")]

EARLIEST, LATEST = datetime(1970, 1, 1), datetime(2200, 1, 1)


def _plain(moment: datetime) -> datetime:
    """UTC without a zone, like all moments of the shop."""
    bare = moment.replace(tzinfo=None)
    if not EARLIEST <= bare < LATEST:
        raise ValueError(f"the moment must lie from {EARLIEST:%Y} to {LATEST:%Y}")
    return bare if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)


def _written(moment: object) -> object:
    """A number is no moment, nor is a day."""
    if isinstance(moment, datetime) or (isinstance(moment, str) and len(moment) > len("2024-05-30")):
        return moment
    raise ValueError("expected a moment such as 2024-05-30T09:30:00Z")


When = Annotated[datetime, BeforeValidator(_written), AfterValidator(_plain)]

ASKED: dict[str, Any] = {
    "user_id": "1",
    "elsewhere": False,
    "contacts": [{"campaign_id": "22", "event_timestamp": "2018-01-01T09:30:00"}],
    "request_id": "visit-81",
    "at": "2018-01-01T12:00:00",
}
DECIDED: dict[str, Any] = {
    "user_id": "1",
    "known": True,
    "model": "3f0c9a7d1e42b6a85c1d",
    "as_of": "2017-12-31T23:59:59Z",
    "campaign_id": "22",
    "creative_id": "22-a",
    "item_id": None,
    "bid": 0.09,
    "expected_incremental_profit": 0.14,
    "propensity": 0.96,
    "method": "uplift",
    "reason": "raises the chance of a purchase by 0.041, worth 4.20 each, for 0.03",
}


class Contact(BaseModel):
    """A contact made since the model was trained."""

    model_config = {"extra": "forbid"}

    campaign_id: CampaignId
    event_timestamp: When = Field(description="when it was (UTC)")


class Visitor(BaseModel):
    """Somebody who may be reached now."""

    model_config = {"extra": "forbid"}

    user_id: UserId
    elsewhere: bool = Field(False, strict=True, description="the place is on another site, not on the shop's own")
    contacts: list[Contact] = Field(
        default_factory=list, max_length=1000, description="made since `as_of`; frequency caps count them"
    )


class Circumstances(BaseModel):
    """What holds for everybody who is asked about."""

    model_config = {"extra": "forbid"}

    at: When | None = Field(None, description="the moment (UTC); by default `as_of` of the model")
    exhausted: list[CampaignId] = Field(
        default_factory=list, max_length=1000, description="campaigns whose money has been spent"
    )
    request_id: str = Field(
        "",
        max_length=200,
        description="names the drawing of lots: asked again with the same name the answer is the same, with another it "
        "is drawn anew; without one it is that of the published table",
    )


class One(Circumstances, Visitor):
    """One visitor."""

    model_config = {"extra": "forbid", "json_schema_extra": {"examples": [ASKED]}}


class Batch(Circumstances):
    """Several visitors at once."""

    visitors: list[Visitor] = Field(min_length=1, max_length=1000, description="each customer once")


class Decision(BaseModel):
    """Which campaign reaches somebody, or none; log it with what came of it."""

    model_config = {"json_schema_extra": {"examples": [DECIDED]}}

    user_id: str
    known: bool = Field(description="whether the shop knows the customer")
    model: str = Field(description="digest of the version that answered")
    as_of: Moment = Field(description="the model has seen the shop up to this moment (UTC)")
    campaign_id: str | None = Field(description="null: leave alone")
    creative_id: str | None = Field(description="null where the campaign has none")
    item_id: str | None = Field(description="the product advertised, where it is one")
    bid: float = Field(description="money to bid for the place, 0 where nobody is to be reached")
    expected_incremental_profit: float = Field(description="money; see `method` for what it counts")
    propensity: float = Field(
        description="probability with which this was chosen: log it with the outcome, to learn from it later"
    )
    method: str = Field(description="uplift: what would not come anyhow; response: all that comes, no uplift claimed")
    reason: str


class Decisions(BaseModel):
    """One entry a visitor, in the order asked for."""

    results: list[Decision]


def router(desk: Desk) -> APIRouter:
    """The routes of ads."""
    routes = APIRouter(prefix="/v1/ads", tags=["ads"], responses=PROBLEMS)

    async def ask(visitors: list[Visitor], around: Circumstances, pick: Pick | None = None) -> Response:
        wanted = [visitor.user_id for visitor in visitors]
        if len(set(wanted)) < len(wanted):
            raise BadRequestError("visitors names a customer twice.", "Name each customer once.")
        said = {visitor.user_id: visitor.model_dump(mode="json") for visitor in visitors}
        known = {name: getattr(around, name) for name in Circumstances.model_fields}
        asked = {"user_ids": wanted, "visitors": said, "around": Circumstances(**known).model_dump(mode="json")}
        if len(wanted) == 1:
            return await desk.reply("decisions", wanted[0], pick, **asked)
        return await desk.reply_each("decisions", Split.of_results("user_ids", asked), **asked)

    @routes.post("/decision", summary="Which ad for one visitor", response_model=Decision)
    async def one(asked: One) -> Response:
        """The campaign and creative for somebody, its bid and the propensity of the choice, or why to leave alone."""
        visitor = Visitor(**{name: getattr(asked, name) for name in Visitor.model_fields})
        return await ask([visitor], asked, lambda answer: answer["results"][0])

    @routes.post("/decisions", summary="Which ads for several visitors", response_model=Decisions)
    async def several(batch: Batch) -> Response:
        """The same for up to 1,000 customers, in the order asked for."""
        return await ask(batch.visitors, batch)

    return routes


Said = Mapping[str, Mapping[str, Any]]
"""user_id → a `Visitor`, as JSON."""


def decisions(
    answers: Answers, catalogue: Catalogue, user_ids: list[str], visitors: Said, around: Mapping[str, Any]
) -> Decisions:
    """Decisions for the distinct `user_ids`, all from one version; `around` is a `Circumstances`, as JSON."""
    model, known = answers.model, Circumstances.model_validate(around)
    asked = [Visitor.model_validate(visitors[user_id]) for user_id in user_ids]
    frame = answers.requests(pd.DataFrame({"user_id": user_ids}))
    away = [visitor.user_id for visitor in asked if visitor.elsewhere]
    frame["elsewhere"] = frame["user_id"].isin(away).astype(float)
    made = [(visitor.user_id, contact) for visitor in asked for contact in visitor.contacts]
    contacts = pd.DataFrame(
        {
            "user_id": np.array([user_id for user_id, _ in made], object),
            "campaign_id": np.array([contact.campaign_id for _, contact in made], object),
            "event_timestamp": np.array([contact.event_timestamp for _, contact in made], "datetime64[us]"),
        }
    )
    situation = placing.Situation(known.at, contacts, known.exhausted, known.request_id)
    found = answers.mind(placing.decide(model, frame, answers.bundle.params, situation))
    return _told(found, user_ids, set(model.users["user_id"]), answers.bundle.digest, answers.bundle.as_of)


def published_decisions(
    published: Published, catalogue: Catalogue, user_ids: list[str], visitors: Said, around: Mapping[str, Any]
) -> Decisions:
    """Decisions published last; whoever was reached since then, or by a campaign without money, is left alone."""
    frame = published.frame
    rows = frame[frame["user_id"].isin(user_ids)].reset_index(drop=True)
    known = set(rows["user_id"])
    since = [user_id for user_id in user_ids if visitors[user_id]["contacts"]]
    for who, reason in (
        (rows["user_id"].isin(since), "reached since the decisions were published; caps cannot be counted now"),
        (rows["campaign_id"].isin(list(around["exhausted"])), policy.SPENT),
    ):
        rows = placing.left_alone(rows, who.to_numpy(bool), reason)
    strangers = [user_id for user_id in user_ids if user_id not in known]
    if strangers:
        method = str(frame["method"].iloc[0]) if len(frame) else "response"
        rows = pd.concat([rows, placing.nobody(strangers, method, placing.UNKNOWN)], ignore_index=True)
    return _told(rows, user_ids, known, published.digest, published.as_of)


def _told(found: pd.DataFrame, user_ids: list[str], known: set[str], model: str, as_of: datetime) -> Decisions:
    names = ("campaign_id", "creative_id", "item_id")
    rows = found.set_index("user_id").loc[user_ids].reset_index().to_dict("records")
    return Decisions(
        results=[
            Decision.model_validate(
                {name: None if name in names and value == NONE else value for name, value in row.items()}
                | {"known": row["user_id"] in known, "model": model, "as_of": as_of}
            )
            for row in rows
        ]
    )


QUESTIONS: dict[str, Question] = {"decisions": decisions}

PLAIN: dict[str, Plain] = {"decisions": published_decisions}
