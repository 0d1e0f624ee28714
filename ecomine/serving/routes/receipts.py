"""What an answer was made of."""

from contextlib import suppress
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path, Query
from pydantic import BaseModel, Field

from ecomine.deployment import Bundle, load
from ecomine.domains import DOMAINS
from ecomine.errors import EcomineError, MissingInputError
from ecomine.pseudonyms import Pseudonyms
from ecomine.serving.errors import Problem
from ecomine.serving.moment import Moment
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
    pseudonyms = Pseudonyms(store)

    @routes.get("/{receipt_id}", summary="What an answer was made of")
    def one(
        receipt_id: Annotated[str, Path(pattern="^[0-9a-f]{30}$", description="the answer's X-Receipt-ID")],
        rows: Annotated[int, Query(ge=0, le=1000, description="rows of features to show")] = 20,
    ) -> Shown:
        """Question, version, feature values with their ages, and answer; `ecomine replay ID` makes it again."""
        try:
            receipt = receipts.get(receipt_id)
        except MissingInputError as error:
            raise HTTPException(404, str(error)) from error
        return shown(store, receipt, pseudonyms, rows)

    return routes


def shown(store: Store, receipt: Receipt, pseudonyms: Pseudonyms, rows: int) -> Shown:
    """A receipt as it may be shown."""
    bundle: Bundle | None = None
    with suppress(EcomineError):  # the version may have been taken away since; the receipt still tells what it said
        _, bundle = load(store, DOMAINS[receipt.domain], receipt.model)
    return Shown(
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
        features=[row for read in receipt.reads for row in _rows(read, pseudonyms, rows)][:rows],
    )


def _rows(read: Read, pseudonyms: Pseudonyms, most: int) -> list[Row]:
    table = [read.tables.index(_table(feature, read.tables)) for feature in read.features]
    found = []
    for number in range(min(len(read.values), most)):
        values, ages = read.values[number].tolist(), read.ages[number].tolist()
        found.append(
            Row(
                keys=pseudonyms.hide({key: texts[number] for key, texts in read.keys.items()}),
                features={
                    feature: Value(value=_known(values[place]), age_seconds=_known(ages[table[place]]))
                    for place, feature in enumerate(read.features)
                },
            )
        )
    return found


def _table(feature: str, tables: list[str]) -> str:
    """The table of a feature, whose name begins with it: the longest, where one's name begins another's."""
    return max((table for table in tables if feature.startswith(f"{table}__")), key=len)


def _known(number: float) -> float | None:
    return None if number != number else number
