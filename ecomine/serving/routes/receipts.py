"""What an answer was made of."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path, Query, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from ecomine.deployment import Bundle, describe
from ecomine.domains import DOMAINS
from ecomine.errors import EcomineError, MissingInputError
from ecomine.pseudonyms import Pseudonyms
from ecomine.serving.errors import Problem
from ecomine.serving.moment import Moment
from ecomine.serving.packing import places
from ecomine.serving.receipts import Read, Receipt, Receipts
from ecomine.store import Store


class Value(BaseModel):
    """A feature as it was read."""

    value: float | None
    age_seconds: float | None = Field(description="from the moment since which it holds to the moment asked about")


class Row(BaseModel):
    """The features of one row that was decided on."""

    keys: dict[str, str]
    features: dict[str, Value]


class Shown(BaseModel):
    """A receipt; customers are pseudonyms, the same one for the same customer."""

    receipt: str
    when: Moment = Field(description="when the answer was given (UTC)")
    domain: str
    question: str
    arguments: dict[str, Any]
    model: str = Field(description="digest of the version that answered")
    step: str = Field(description="canary, deployed, previous, published or shadow: by which step it was answered")
    heeded: dict[str, str] = Field(description="other domains whose decisions were minded, and their versions")
    as_of: Moment | None = Field(description="the version had seen the shop up to this moment (UTC)")
    lineage: dict[str, Any] = Field(description="of the version: data, code and libraries it was made with")
    checks: list[dict[str, Any]] = Field(description="the gate that the version passed")
    answer: dict[str, Any]
    rows: int = Field(description="rows that features were read for")
    features: list[Row]


def router(store: Store, receipts: Receipts) -> APIRouter:
    """The route of receipts."""
    absent: dict[int | str, dict[str, Any]] = {404: {"model": Problem, "description": "No receipt of this id"}}
    routes = APIRouter(prefix="/v1/receipts", tags=["receipts"], responses=absent)
    pseudonyms, versions = Pseudonyms(store), Versions(store)

    @routes.get("/{receipt_id}", summary="What an answer was made of", response_model=Shown)
    def one(
        receipt_id: Annotated[str, Path(pattern="^[0-9a-f]{30}$", description="the answer's X-Receipt-ID")],
        rows: Annotated[int, Query(ge=0, le=1000, description="rows of features to show")] = 20,
    ) -> Response:
        """Question, version, feature values with their ages, and answer; `ecomine replay ID` makes it again."""
        try:
            receipt = receipts.get(receipt_id)
        except MissingInputError as error:
            raise HTTPException(404, str(error)) from error
        return JSONResponse(shown(versions, receipt, pseudonyms, rows))

    return routes


class Versions:
    """Descriptions of versions that receipts tell of; a version never changes, so each is read once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[tuple[str, str], Bundle] = {}

    def get(self, domain: str, digest: str) -> Bundle | None:
        """None where the version is not there any more: its receipts still tell what it said."""
        known = self._known.get((domain, digest))
        if known is None:
            with suppress(EcomineError):
                known = self._known[domain, digest] = describe(self._store, DOMAINS[domain], digest)
        return known


def shown(versions: Versions, receipt: Receipt, pseudonyms: Pseudonyms, rows: int) -> dict[str, Any]:
    """A receipt as it may be shown: a `Shown`, as JSON."""
    bundle = versions.get(receipt.domain, receipt.model)
    told = Shown(
        receipt=receipt.id,
        when=receipt.when,
        domain=receipt.domain,
        question=receipt.question,
        arguments=pseudonyms.hide(receipt.arguments),
        model=receipt.model,
        step=receipt.step,
        heeded=receipt.heeded,
        as_of=bundle.as_of if bundle else None,
        lineage=bundle.lineage if bundle else {},
        checks=bundle.checks if bundle else [],
        answer=pseudonyms.hide(receipt.answer),
        rows=sum(len(read.values) for read in receipt.reads),
        features=[],
    )
    # Thousands of numbers, each a model of its own, would take longer than all the rest.
    features = [row for read in receipt.reads for row in _rows(read, pseudonyms, rows)][:rows]
    return {**told.model_dump(mode="json"), "features": features}


def _rows(read: Read, pseudonyms: Pseudonyms, most: int) -> Iterator[dict[str, Any]]:
    """Each a `Row`, as JSON."""
    table = {
        place: number
        for number, (_, own) in enumerate(places(tuple(read.features), tuple(read.tables)))
        for place in own
    }
    for number in range(min(len(read.values), most)):
        values, ages = read.values[number].tolist(), read.ages[number].tolist()
        yield {
            "keys": pseudonyms.hide({key: texts[number] for key, texts in read.keys.items()}),
            "features": {
                feature: {"value": _known(values[place]), "age_seconds": _known(ages[table[place]])}
                for place, feature in enumerate(read.features)
            },
        }


def _known(number: float) -> float | None:
    return None if number != number else number
