"""The desk of a domain: questions by name, each answered by one version, with a receipt."""

import logging
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import pandas as pd
from fastapi import Response
from pydantic import BaseModel

from ecomine.feature_store import OnlineAnswer
from ecomine.serving.catalogue import Catalogue
from ecomine.serving.champion import Answers, Champion
from ecomine.serving.receipts import Read, Receipt, Receipts

log = logging.getLogger("ecomine.serving")

Answer = TypeVar("Answer", bound=BaseModel)

Question = Callable[..., BaseModel]
"""(answers, catalogue, **arguments) → an answer that depends on nothing else; arguments are what JSON can hold."""

HEADER = "X-Receipt-ID"


class Desk:
    """Answers the questions of one domain."""

    def __init__(
        self, champion: Champion, catalogue: Catalogue, receipts: Receipts, questions: Mapping[str, Question]
    ) -> None:
        self.champion, self.catalogue, self.receipts, self.questions = champion, catalogue, receipts, questions

    def answer(self, kind: type[Answer], response: Response, question: str, **arguments: Any) -> Answer:
        """What the deployed version says; the id of the receipt goes into the header of `response`."""
        answers = self.champion.get()
        if not self.receipts.kept:
            return _of(kind, self.questions[question](answers, self.catalogue, **arguments))
        reads: list[Read] = []
        said = self.questions[question](replace(answers, look_up=_noting(answers, reads)), self.catalogue, **arguments)
        told = said.model_dump(mode="json")
        version, others = answers.bundle.digest, dict(answers.heeded)
        receipt = Receipt(answers.domain.name, version, question, arguments, told, reads, heeded=others)
        try:
            response.headers[HEADER] = self.receipts.add(receipt)
        except (OSError, sqlite3.Error) as error:  # a full disk must not keep the shop from its decisions
            log.error("the receipt of an answer cannot be kept: %s", error)
        return _of(kind, said)


def _noting(answers: Answers, reads: list[Read]) -> Callable[[pd.DataFrame], OnlineAnswer]:
    """The features of `answers`, noted as they are read."""

    def look_up(rows: pd.DataFrame) -> OnlineAnswer:
        found = answers.look_up(rows)
        keys = {key: rows[key].astype(str).tolist() for key in answers.keys}
        reads.append(Read(keys, list(found.features), list(found.tables), found.values, found.ages))
        return found

    return look_up


def _of(kind: type[Answer], said: BaseModel) -> Answer:
    assert isinstance(said, kind), f"a question answered with {type(said).__name__}, not {kind.__name__}"
    return said
