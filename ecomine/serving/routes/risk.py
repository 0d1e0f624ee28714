"""What to stop: payments that are happening, the queue of a day, what an analyst found out, rings as a picture."""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import pandas as pd
from fastapi import APIRouter, HTTPException, Query, Request, Response
from pydantic import BaseModel, Field, field_validator

from ecomine.errors import StreamingError
from ecomine.risk.features import DAY, FRAUD
from ecomine.risk.live import Known, judge_live
from ecomine.risk.moment import Event
from ecomine.risk.ring_picture import ring_svg
from ecomine.serving.catalogue import Catalogue
from ecomine.serving.desk import Desk, Plain, Published, Question
from ecomine.serving.errors import PROBLEMS, BadRequestError, Problem
from ecomine.serving.moment import Moment
from ecomine.serving.seat import Answers
from ecomine.serving.till import EPOCH, MICROSECOND, Till, event
from ecomine.sources import verdicts
from ecomine.stages import load_params
from ecomine.streaming.envelope import Id

log = logging.getLogger("ecomine.serving")

Decision = Literal["allow", "review", "block"]

ASKED: dict[str, Any] = {
    "payment_id": "p-2024-001", "user_id": "u0042", "amount": 129.9, "method": "card", "card_id": "c77",
    "device_id": "d12", "address_id": "a9", "ip": "203.0.113.7",
}  # fmt: skip
ANSWERED: dict[str, Any] = {
    "model": "be9b0db11fa2",
    "as_of": "2024-09-27T00:00:00Z",
    "results": [
        {
            "payment_id": "p-2024-001",
            "decision": "review",
            "score": 0.41,
            "reasons": ["device_users_1d = 3", "user_card_payments = 1", "amount_to_mean = 4.2"],
            "rules": [],
            "expected_loss": 5.9,
            "saved_by_review": 52.1,
        }
    ],
}


class Payment(BaseModel):
    """A payment that is happening; what is not known of it is left out."""

    model_config = {"extra": "forbid", "json_schema_extra": {"examples": [ASKED]}}

    payment_id: Id = Field(description="the attempt; asked again under the same id it counts once")
    order_id: Id | None = Field(None, description="the order that is paid for")
    user_id: Id = Field(description="the customer")
    amount: float = Field(ge=0, le=1e9, description="money")
    event_timestamp: datetime | None = Field(None, description="when it happens; now, where left out")
    method: Annotated[str, Field(max_length=50)] | None = Field(None, description="card, wallet, transfer, credit …")
    card_id: Id | None = Field(None, description="the card, as a token")
    device_id: Id | None = Field(None, description="the device")
    address_id: Id | None = Field(None, description="where it is delivered to, as a token")
    ip: Id | None = Field(None, description="network address")

    @field_validator("event_timestamp")
    @classmethod
    def in_utc(cls, moment: datetime | None) -> datetime | None:
        """A time with a zone becomes UTC; one without is UTC."""
        if moment is not None and not 1970 < moment.year < 2200:
            raise ValueError(f"{moment.isoformat()} is no time of a payment; expected one of our days")
        return moment if moment is None or moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)

    def known(self) -> Known:
        """The payment as features are told of it."""
        assert self.event_timestamp is not None
        return self.payment_id, event((self.event_timestamp - EPOCH) // MICROSECOND, vars(self))


class Payments(BaseModel):
    """Several payments, in the order in which they happen."""

    model_config = {"extra": "forbid"}

    payments: list[Payment] = Field(min_length=1, max_length=500)


class Score(BaseModel):
    """What to do with a payment, and why."""

    payment_id: str
    decision: Decision
    score: float | None = Field(description="probability of fraud; null where no version could answer")
    reasons: list[str] = Field(description="what raises the score most, up to three")
    rules: list[str] = Field(description="names of the rules it hits")
    expected_loss: float | None = Field(description="money that the decision is expected to cost")
    saved_by_review: float | None = Field(description="money that a look is expected to save; queues go by it")


class Scores(BaseModel):
    """Payments in the order asked for."""

    model_config = {"json_schema_extra": {"examples": [ANSWERED]}}

    model: str = Field(description="digest of the version that answered")
    as_of: Moment = Field(description="the model has seen the shop up to this moment (UTC)")
    results: list[Score]


class Waiting(Score):
    """A payment, or where the source has no labels an order, that waits for a verdict."""

    paid_at: Moment
    user_id: str
    amount: float
    queue: int = Field(description="place in the day's queue, from 1; 0 for what nobody needs to look at")


class Queue(BaseModel):
    """A day's payments without a verdict, those to look at first, by the money that a look is expected to save."""

    model: str
    as_of: Moment
    mode: str = Field(description="fraud, or anomaly where the source has no labels")
    results: list[Waiting]


class Feedback(BaseModel):
    """What an analyst found out about a payment."""

    model_config = {"extra": "forbid"}

    payment_id: Id
    is_fraud: bool
    label_timestamp: datetime | None = Field(None, description="when it was found out; now, where left out")

    in_utc = field_validator("label_timestamp")(Payment.in_utc.__func__)  # type: ignore[attr-defined]


class Kept(BaseModel):
    """The verdict that holds now; it is a label from the next run on."""

    payment_id: str
    is_fraud: bool
    label_timestamp: Moment
    added: bool = Field(description="false where the same was said before, or something else later")


def router(desk: Desk) -> APIRouter:
    """The routes of risk control."""
    unknown: dict[int | str, dict[str, Any]] = {404: {"model": Problem, "description": "There is no such day"}}
    routes = APIRouter(prefix="/v1/risk", tags=["risk"], responses=PROBLEMS)
    store = desk.lineup.store
    raw = store.path(load_params(store.workspace).raw)

    def scored(till: Till, payments: list[Payment]) -> tuple[Response, Future[list[bool]] | None]:
        now = _now()
        timed = [one if one.event_timestamp else one.model_copy(update={"event_timestamp": now}) for one in payments]
        known = [one.known() for one in timed]
        since = till.past(known, _since(desk))
        rows = [one.model_dump(mode="json", exclude_none=True) for one in timed]
        response = Response(media_type="application/json")
        said = desk.answer(
            Scores, response, "score", timed[0].user_id, payments=rows,
            since=[{"payment_id": id_, **event._asdict()} for id_, event in since],
        )  # fmt: skip
        # As it is: to check and write it once more would take as long as to find it.
        response.body = said.model_dump_json().encode()
        response.headers["content-length"] = str(len(response.body))
        return response, till.add(rows)

    @routes.post("/score", summary="A payment that is happening", response_model=Scores)
    async def one(payment: Payment, request: Request) -> Response:
        """Allow, review or block, from what the last run knew and from every payment since, to the last second.

        The payment is written as an event, so that the next one sees it, and is a payment of the next run.
        """
        # On the loop itself: it takes a millisecond, and threads that wait for each other would take many more.
        response, written = scored(request.app.state.till, [payment])
        if written is not None:
            with _said():
                await asyncio.wrap_future(written)
        return response

    @routes.post("/score/batch", summary="Payments that are happening", response_model=Scores)
    def several(payments: Payments, request: Request) -> Response:
        """The same for up to 500 payments; each sees those before it."""
        response, written = scored(request.app.state.till, payments.payments)
        if written is not None:
            with _said():
                written.result()
        return response

    @routes.get("/queue", summary="What is to be looked at", responses=unknown)
    def queue(
        response: Response, day: str = Query(description="the day, UTC", examples=["2024-05-29"], pattern=r"^[\d-]+$")
    ) -> Queue:
        """A day's payments without a verdict, each with its decision. 404 where none of that day waits."""
        return desk.answer(Queue, response, "queue", day=day)

    @routes.post("/feedback", summary="An analyst's verdict")
    def feedback(said: Feedback) -> Kept:
        """Kept before the answer leaves; a label of the payment from the next run on. A later verdict wins."""
        moment = said.label_timestamp or _now()
        held, added = verdicts.add(raw, verdicts.Verdict(said.payment_id, said.is_fraud, moment))
        return Kept(
            payment_id=held.payment_id, is_fraud=held.is_fraud, label_timestamp=held.label_timestamp, added=added
        )

    @routes.get("/rings.svg", summary="Several cards on one device", response_class=Response)
    def rings() -> Response:
        """The rings of most cards that the deployed version knows of; nobody is named."""
        memory = desk.lineup.get().model.memory
        if memory is None:
            raise BadRequestError("The deployed version knows no payments.", "Bring payments with cards and devices.")
        return Response(ring_svg(memory.edges()), media_type="image/svg+xml")

    return routes


@contextmanager
def _said() -> Iterator[None]:
    """A payment that cannot be written is answered all the same, and the log of the server tells."""
    try:
        yield
    except StreamingError as error:
        log.error("risk: a payment that was scored is not kept: %s", error)


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def _since(desk: Desk) -> int:
    """Moment up to which the deployed version knows the payments; the beginning where none can answer."""
    try:
        return int((desk.lineup.get().model.as_of - EPOCH) // MICROSECOND)
    except Exception:  # the desk says what is wrong, and answers in another way if it can
        return 0


def score(
    answers: Answers, catalogue: Catalogue, payments: list[dict[str, Any]], since: list[dict[str, Any]]
) -> Scores:
    """Decisions on payments; since: what was paid after the model's as_of by those who have to do with them."""
    model = answers.model
    if model.mode != FRAUD:
        raise BadRequestError(
            "The deployed version learned from orders without labels; it cannot judge a payment.",
            "Bring payments with labels (`is_fraud`, `label_timestamp`), at least a few known frauds, and run again.",
        )
    asked = [Payment.model_validate(one) for one in payments]
    past = [(one["payment_id"], Event(**{name: one[name] for name in Event._fields})) for one in since]
    known, methods = [one.known() for one in asked], [one.method for one in asked]
    told = judge_live(model, known, methods, past, answers.look_up, answers.bundle.params)
    return Scores(
        model=answers.bundle.digest,
        as_of=answers.bundle.as_of,
        results=[Score(payment_id=one.payment_id, **vars(row)) for one, row in zip(asked, told, strict=True)],
    )


def queue_of(answers: Answers, catalogue: Catalogue, day: str) -> Queue:
    """Decisions on the payments of a day that wait for a verdict, as published."""
    frame = answers.requests(pd.DataFrame({DAY: [day]}))
    return _queue(answers.decide(frame), day, answers.bundle.digest, answers.bundle.as_of)


def published_score(
    published: Published, catalogue: Catalogue, payments: list[dict[str, Any]], since: list[dict[str, Any]]
) -> Scores:
    """Where nothing can be computed: a look where payments of the customer were stopped last, else allowed."""
    frame = published.frame
    stopped = set(frame.loc[frame["decision"] != "allow", "user_id"])
    results = []
    for one in payments:
        known = one["user_id"] in stopped
        results.append(
            Score(
                payment_id=one["payment_id"], decision="review" if known else "allow", score=None, rules=[],
                reasons=["payments of the customer were stopped before"] if known else [], expected_loss=None,
                saved_by_review=None,
            )
        )  # fmt: skip
    return Scores(model=published.digest, as_of=published.as_of, results=results)


def published_queue(published: Published, catalogue: Catalogue, day: str) -> Queue:
    """The queue as it was published last."""
    return _queue(published.rows(day), day, published.digest, published.as_of)


def _queue(rows: pd.DataFrame, day: str, digest: str, as_of: datetime) -> Queue:
    if rows.empty:
        raise HTTPException(404, f"No payment of {day} waits for a verdict.")
    order = rows.assign(last=rows["queue"] == 0).sort_values(["last", "queue", "payment_id"], kind="stable")
    records = order.to_dict("records")
    names: Sequence[str] = ("payment_id", "decision", "expected_loss", "paid_at", "user_id", "amount", "queue")
    results = [Waiting(**{name: row[name] for name in names}, **_told(row)) for row in records]
    return Queue(model=digest, as_of=as_of, mode=records[0]["mode"], results=results)


def _told(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "score": row["score"],
        "saved_by_review": row["saved_by_review"],
        "reasons": [row[name] for name in ("reason_1", "reason_2", "reason_3") if row[name]],
        "rules": row["rules"].split(", ") if row["rules"] else [],
    }


QUESTIONS: dict[str, Question] = {"score": score, "queue": queue_of}
PLAIN: dict[str, Plain] = {"score": published_score, "queue": published_queue}
