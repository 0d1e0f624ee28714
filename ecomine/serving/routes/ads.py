"""Whom to reach, with what, and what to bid."""

from datetime import UTC, datetime
from typing import Annotated, Any

import pandas as pd
from fastapi import APIRouter, Response
from pydantic import BaseModel, Field, field_validator

from ecomine.ads import placing
from ecomine.ads.features import NONE
from ecomine.serving.catalogue import Catalogue
from ecomine.serving.desk import Desk, Plain, Question
from ecomine.serving.errors import PROBLEMS, BadRequestError
from ecomine.serving.moment import Moment
from ecomine.serving.published import Published
from ecomine.serving.seat import Answers

UserId = Annotated[str, Field(min_length=1, max_length=200, description="the customer", examples=["1"])]
CampaignId = Annotated[str, Field(min_length=1, max_length=200, description="the campaign")]

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
    event_timestamp: datetime = Field(description="when it was (UTC)")


class Visitor(BaseModel):
    """Somebody who may be reached now."""

    model_config = {"extra": "forbid"}

    user_id: UserId
    elsewhere: bool = Field(False, description="the place is on another site, not on the shop's own")
    contacts: list[Contact] = Field(
        default_factory=list, max_length=1000, description="made since `as_of`; frequency caps count them"
    )


class Circumstances(BaseModel):
    """What holds for everybody who is asked about."""

    model_config = {"extra": "forbid"}

    at: datetime | None = Field(None, description="the moment (UTC); by default `as_of` of the model")
    exhausted: list[CampaignId] = Field(
        default_factory=list, max_length=1000, description="campaigns whose money has been spent"
    )
    request_id: str = Field(
        "",
        max_length=200,
        description="names the drawing of lots: asked again with the same name the answer is the same, with another it "
        "is drawn anew; without one it is that of the published table",
    )

    @field_validator("at")
    @classmethod
    def plain(cls, at: datetime | None) -> datetime | None:
        """UTC without a zone, like all moments of the shop."""
        return at if at is None or at.tzinfo is None else at.astimezone(UTC).replace(tzinfo=None)


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

    model: str = Field(description="digest of the version that answered")
    as_of: Moment = Field(description="the model has seen the shop up to this moment (UTC)")
    results: list[Decision]


class Answer(Decision):
    """The decision for one visitor, and who made it."""

    model: str = Field(description="digest of the version that answered")
    as_of: Moment = Field(description="the model has seen the shop up to this moment (UTC)")


def router(desk: Desk) -> APIRouter:
    """The routes of ads."""
    routes = APIRouter(prefix="/v1/ads", tags=["ads"], responses=PROBLEMS)

    @routes.post("/decision", summary="Which ad for one visitor")
    def one(asked: One, response: Response) -> Answer:
        """The campaign and creative for somebody, its bid and the propensity of the choice, or why to leave alone."""
        visitor = Visitor(**{name: getattr(asked, name) for name in Visitor.model_fields})
        batch = Batch(visitors=[visitor], **{name: getattr(asked, name) for name in Circumstances.model_fields})
        told = desk.answer(Decisions, response, "decisions", asked.user_id, batch=batch.model_dump(mode="json"))
        return Answer(model=told.model, as_of=told.as_of, **told.results[0].model_dump())

    @routes.post("/decisions", summary="Which ads for several visitors")
    def several(batch: Batch, response: Response) -> Decisions:
        """The same for up to 1,000 customers, in the order asked for, all from one version."""
        return desk.answer(Decisions, response, "decisions", batch=batch.model_dump(mode="json"))

    return routes


def decisions(answers: Answers, catalogue: Catalogue, batch: dict[str, Any]) -> Decisions:
    """Decisions for the distinct customers of a request, a `Batch`, all from one version."""
    return _decisions(answers, Batch.model_validate(batch))


def _decisions(answers: Answers, batch: Batch) -> Decisions:
    wanted = [visitor.user_id for visitor in batch.visitors]
    if len(set(wanted)) < len(wanted):
        raise BadRequestError("visitors names a customer twice.", "Name each customer once.")
    model = answers.model
    frame = answers.requests(pd.DataFrame({"user_id": wanted}))
    away = [visitor.user_id for visitor in batch.visitors if visitor.elsewhere]
    frame["elsewhere"] = frame["user_id"].isin(away).astype(float)
    made = [
        {"user_id": visitor.user_id, **contact.model_dump()}
        for visitor in batch.visitors
        for contact in visitor.contacts
    ]
    contacts = pd.DataFrame(made, columns=["user_id", "campaign_id", "event_timestamp"])
    moments = pd.to_datetime(contacts["event_timestamp"], utc=True).dt.tz_localize(None).astype("datetime64[us]")
    situation = placing.Situation(batch.at, contacts.assign(event_timestamp=moments), batch.exhausted, batch.request_id)
    found = answers.mind(placing.decide(model, frame, answers.bundle.params, situation)).set_index("user_id")
    known = set(model.users["user_id"]).intersection(wanted)
    rows = found.loc[wanted].reset_index()
    return Decisions(model=answers.bundle.digest, as_of=answers.bundle.as_of, results=_told(rows, known))


def published_decisions(published: Published, catalogue: Catalogue, batch: dict[str, Any]) -> Decisions:
    """What was published last for each customer; nobody is reached by a campaign that has no money left."""
    asked = Batch.model_validate(batch)
    wanted = [visitor.user_id for visitor in asked.visitors]
    if len(set(wanted)) < len(wanted):
        raise BadRequestError("visitors names a customer twice.", "Name each customer once.")
    frame = published.frame
    found = frame[frame["user_id"].isin(wanted) & ~frame["campaign_id"].isin(asked.exhausted)].set_index("user_id")
    rows = found.reindex(wanted).reset_index()
    alone = {
        "campaign_id": NONE, "creative_id": NONE, "item_id": NONE, "bid": 0.0, "expected_incremental_profit": 0.0,
        "propensity": 1.0, "method": "response", "reason": "left alone: no decision can be made at this moment",
    }  # fmt: skip
    known = set(frame["user_id"]).intersection(wanted)
    return Decisions(model=published.digest, as_of=published.as_of, results=_told(rows.fillna(alone), known))


def _told(rows: pd.DataFrame, known: set[str]) -> list[Decision]:
    names = ("campaign_id", "creative_id", "item_id")
    return [
        Decision.model_validate(
            {name: None if name in names and value == NONE else value for name, value in row.items()}
            | {"known": row["user_id"] in known}
        )
        for row in rows.to_dict("records")
    ]


QUESTIONS: dict[str, Question] = {"decisions": decisions}

PLAIN: dict[str, Plain] = {"decisions": published_decisions}
