"""What happens on the site and at the till, as it happens."""

import asyncio
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from ecomine.errors import StreamingError
from ecomine.params import StreamingParams
from ecomine.serving.errors import Problem
from ecomine.streaming import Intake, judge
from ecomine.streaming.envelope import EXAMPLES, Judged, NoEventsError, Refusal, rows_of, schema

SHOWN = 20
"""Refused events that an error tells about."""


class Received(BaseModel):
    """What became of each event; an event of a key is called by its parts, with a blank between them."""

    model_config = {"json_schema_extra": {"examples": [{"accepted": ["e-73250"], "duplicate": [], "refused": []}]}}

    accepted: list[str] = Field(description="new, and on disk")
    duplicate: list[str] = Field(description="came before, the first one counts")
    refused: list[Refusal] = Field(description="not accepted, and why")


class Refused(Problem):
    """Nothing was accepted."""

    refused: list[Refusal] = Field(default_factory=list, description="of a batch, each event and why")


ANSWERS: dict[int | str, dict[str, Any]] = {
    422: {"model": Refused, "description": "No event could be accepted"},
    503: {"model": Problem, "description": "Events cannot be written durably at this moment; send them again"},
}


def router(intake: Intake, params: StreamingParams) -> APIRouter:
    """The route of events."""
    routes = APIRouter(prefix="/v1/events", tags=["events"], responses=ANSWERS)
    examples = {kind: {"summary": kind, "value": example} for kind, example in EXAMPLES.items()}
    examples["batch"] = {"summary": "a batch", "value": {"events": list(EXAMPLES.values())}}
    body = {"required": True, "content": {"application/json": {"schema": schema(), "examples": examples}}}

    @routes.post("", summary="Tell what happened", response_model=Received, openapi_extra={"requestBody": body})
    async def receive(request: Request) -> Response:
        """One event, or a batch of up to 1,000, each judged by itself: a wrong one does not hold up the others.

        What is accepted is on disk before the answer. The same event again, known by its id, is a duplicate and changes
        nothing, so what got no answer may be sent again as it is.
        """
        try:
            rows, batch = rows_of(await request.body())
        except NoEventsError as error:
            return _unsound(str(error))
        judged = judge(rows, intake.now, params)
        if not judged.entries:
            intake.counts["refused"] += len(judged.refusals)
            return _unsound(_told(judged, batch), judged.refusals if batch else None)
        try:
            new = await asyncio.wrap_future(intake.submit(judged.entries))
        except StreamingError as error:
            return JSONResponse(
                {"error": str(error), "hint": "Nothing of it was accepted; send it again in a moment."},
                503,
                {"Retry-After": "1"},
            )
        return JSONResponse(_received(intake, judged, new))

    return routes


def _received(intake: Intake, judged: Judged, new: list[bool]) -> dict[str, Any]:
    accepted = [name for name, fresh in zip(judged.names, new, strict=True) if fresh]
    duplicate = [name for name, fresh in zip(judged.names, new, strict=True) if not fresh]
    intake.counts["accepted"] += len(accepted)
    intake.counts["duplicate"] += len(duplicate)
    intake.counts["refused"] += len(judged.refusals)
    return {
        "accepted": accepted,
        "duplicate": duplicate,
        "refused": [one.model_dump() for one in judged.refusals],
    }


def _told(judged: Judged, batch: bool) -> str:
    texts = [
        ": ".join(part for part in (f"row {one.row}" if batch else "", one.field, one.error) if part)
        for one in judged.refusals[:SHOWN]
    ]
    return "; ".join(texts)


def _unsound(error: str, refused: list[Refusal] | None = None) -> JSONResponse:
    hint = "See /docs for the columns of each kind and the values they take; docs/events.md explains them."
    rows = {} if refused is None else {"refused": [one.model_dump() for one in refused]}
    return JSONResponse({"error": error, "hint": hint, **rows}, 422)
