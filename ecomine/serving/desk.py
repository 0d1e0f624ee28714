"""The desk of a domain: questions by name, each answered by the first of its line-up that can, with a receipt."""

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from fastapi import Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from ecomine.deployment import heeded
from ecomine.deployment.live import Live
from ecomine.errors import DeploymentError, EcomineError
from ecomine.feature_store import OnlineAnswer
from ecomine.serving import lineup as steps
from ecomine.serving.catalogue import Catalogue
from ecomine.serving.comparison import NAMES, VERSION, differing
from ecomine.serving.errors import BadRequestError
from ecomine.serving.lineup import LineUp, chosen
from ecomine.serving.measures import Measures
from ecomine.serving.published import Published
from ecomine.serving.receipts import Read, Receipt, Receipts
from ecomine.serving.seat import Answers, Rows

log = logging.getLogger("ecomine.serving")

Answer = TypeVar("Answer", bound=BaseModel)

Question = Callable[..., BaseModel]
"""(answers, catalogue, **arguments) → an answer that depends on nothing else; arguments are what JSON can hold."""

Plain = Callable[..., BaseModel]
"""(published, catalogue, **arguments) → the answer to the same question from what was published, in the same form."""

RECEIPT, STEP = "X-Receipt-ID", "X-Answered-By"

WAITING = 32
"""Questions that may wait for a shadow; what comes beyond them is not put to it."""


class FeaturesAwayError(EcomineError):
    """Features cannot be read from the online store."""


@dataclass(frozen=True)
class Given:
    """An answer and how it came about."""

    step: str
    said: BaseModel
    model: str
    heeded: Mapping[str, str] = field(default_factory=dict)
    reads: list[Read] = field(default_factory=list)


class Desk:
    """Answers the questions of one domain."""

    def __init__(
        self, lineup: LineUp, catalogue: Catalogue, receipts: Receipts, live: Live, measures: Measures,
        questions: Mapping[str, Question], plain: Mapping[str, Plain],
    ) -> None:  # fmt: skip
        self.lineup, self.catalogue, self.receipts, self.live = lineup, catalogue, receipts, live
        self.measures, self.questions, self.plain = measures, questions, plain
        self._shadows = ThreadPoolExecutor(1, f"shadow-{lineup.domain.name}")
        self._room = threading.Semaphore(WAITING)

    def answer(
        self, kind: type[Answer], response: Response, question: str, unit: str | None = None, **arguments: Any
    ) -> Answer:
        """The answer of the first version that can give one.

        unit: by whom or what a canary's share is drawn, such as the customer's id. The headers of `response` tell the
        step by which the answer came and the id of its receipt.
        """
        given = self._timed(question, unit, arguments)
        self.measures.answered(self.lineup.domain.name, given.step)
        _add(response, STEP, given.step)
        told = given.said.model_dump(mode="json")
        kept = self._keep(question, arguments, given, told)
        if kept is not None:
            _add(response, RECEIPT, kept)
        if given.step == steps.DEPLOYED:
            self._try_shadow(question, arguments, told)
        assert isinstance(given.said, kind), (
            f"a question answered with {type(given.said).__name__}, not {kind.__name__}"
        )
        return given.said

    def answer_each(self, kind: type[Answer], response: Response, question: str, by: str, **arguments: Any) -> Answer:
        """As `answer`, for the units in `arguments[by]`, each with one entry in the answer's `results`, in order.

        Where a canary answers for some of the units, the question is put to both versions, each for its own.
        """
        units: list[str] = arguments[by]
        trial = self.lineup.trial
        if trial is None or trial["action"] != "canary":
            return self.answer(kind, response, question, **arguments)
        tried = [chosen(trial, unit) for unit in units]
        results: dict[str, Any] = {}
        for side in sorted(set(tried)):
            own = [unit for unit, is_tried in zip(units, tried, strict=True) if is_tried == side]
            said = self.answer(kind, response, question, own[0], **{**arguments, by: own})
            results.update(zip(own, said.results, strict=True))  # type: ignore[attr-defined]
        return kind(results=[results[unit] for unit in units])

    def close(self) -> None:
        """Wait for what shadows still have to answer, and for the last counts."""
        self._shadows.shutdown()
        self._count(self.live.flush)

    def _timed(self, question: str, unit: str | None, arguments: Mapping[str, Any]) -> Given:
        """The answer, counted with its time for monitoring; so is one that nothing could give."""
        name, begun = self.lineup.domain.name, time.perf_counter()
        try:
            given = self._ask(question, unit, arguments)
        except (HTTPException, BadRequestError):
            raise
        except Exception:
            self._count(self.live.note, name, None)
            raise
        usual = given.step in (steps.DEPLOYED, steps.CANARY)
        self._count(self.live.note, name, (time.perf_counter() - begun) * 1000, not usual)
        return given

    def _ask(self, question: str, unit: str | None, arguments: Mapping[str, Any]) -> Given:
        name, trial = self.lineup.domain.name, self.lineup.trial
        failure: EcomineError | None = None
        for step, answers in self.lineup.steps(unit):
            number = trial["number"] if trial is not None else None
            begun = time.perf_counter()
            try:
                given = self._put(step, answers, question, arguments)
            except (HTTPException, BadRequestError):
                raise
            except FeaturesAwayError as error:
                self.lineup.features_failed()
                failure = error
                log.error("%s: features cannot be read: %s", name, error)
                break
            except Exception as error:  # one version failing must not keep the shop from its decisions
                failure = (
                    error if isinstance(error, EcomineError) else DeploymentError(f"{type(error).__name__}: {error}")
                )
                log.error("%s: version %s failed: %s", name, answers.bundle.digest[:12], failure)
                if number is not None:
                    self._count(self.live.failed, name, number, answers.bundle.digest)
                continue
            if number is not None:
                spent = (time.perf_counter() - begun) * 1000
                self._count(self.live.answered, name, number, answers.bundle.digest, spent)
            return given
        try:
            return self._from_published(question, arguments)
        except DeploymentError as error:
            if failure is None:
                self.lineup.get()  # raises what keeps the deployed version from answering
            raise failure or error from None

    def _put(self, step: str, answers: Answers, question: str, arguments: Mapping[str, Any]) -> Given:
        reads: list[Read] = []
        noting = replace(answers, look_up=_noting(answers, reads if self.receipts.kept else None))
        said = self.questions[question](noting, self.catalogue, **arguments)
        return Given(step, said, answers.bundle.digest, answers.heeded, reads)

    def _from_published(self, question: str, arguments: Mapping[str, Any]) -> Given:
        if question not in self.plain:
            raise DeploymentError(f"{self.lineup.domain.name}: no version answers, and nothing published can stand in.")
        published = self.lineup.published().open()
        said = self.plain[question](published, self.catalogue, **arguments)
        return Given(steps.PUBLISHED, said, published.digest, heeded(self.lineup.store, self.lineup.domain))

    def _keep(self, question: str, arguments: dict[str, Any], given: Given, told: dict[str, Any]) -> str | None:
        """Id of the receipt, which is in its file; None where none is kept."""
        if not self.receipts.kept:
            return None
        receipt = Receipt(
            self.lineup.domain.name, given.model, question, arguments, told, given.reads,
            heeded=dict(given.heeded), step=given.step,
        )  # fmt: skip
        try:
            return self.receipts.add(receipt)
        except (OSError, sqlite3.Error) as error:  # a full disk must not keep the shop from its decisions
            log.error("the receipt of an answer cannot be kept: %s", error)
            return None

    def _try_shadow(self, question: str, arguments: dict[str, Any], told: dict[str, Any]) -> None:
        trial = self.lineup.trial
        if trial is None or trial["action"] != "shadow" or not self._room.acquire(blocking=False):
            return
        with suppress(RuntimeError):  # the server is going down
            self._shadows.submit(self._shadow, trial["number"], question, arguments, told)

    def _shadow(self, number: int, question: str, arguments: dict[str, Any], told: dict[str, Any]) -> None:
        """Put to the version that is tried what the deployed one has answered, keep its answer, and count."""
        name = self.lineup.domain.name
        try:
            answers = self.lineup.shadow()
            if answers is None:
                return
            begun = time.perf_counter()
            try:
                given = self._put(steps.SHADOW, answers, question, arguments)
            except FeaturesAwayError:
                return
            except Exception as error:
                log.error("%s: the shadow %s failed: %s", name, answers.bundle.digest[:12], error)
                self._count(self.live.failed, name, number, answers.bundle.digest)
                return
            spent = (time.perf_counter() - begun) * 1000
            said = given.said.model_dump(mode="json")
            self._count(self.live.answered, name, number, answers.bundle.digest, spent)
            same = next(differing(told, said, (*NAMES, *VERSION)), None) is None
            self._count(self.live.compared, name, number, answers.bundle.digest, same)
            self._keep(question, arguments, given, said)
        finally:
            self._room.release()

    def _count(self, what: Callable[..., None], *arguments: Any) -> None:
        try:
            what(*arguments)
        except (OSError, sqlite3.Error) as error:
            log.error("%s: what answers show cannot be counted: %s", self.lineup.domain.name, error)


def _add(response: Response, header: str, value: str) -> None:
    before = response.headers.get(header)
    if before != value:
        response.headers[header] = f"{before}, {value}" if before else value


def _noting(answers: Answers, reads: list[Read] | None) -> Callable[[Rows], OnlineAnswer]:
    """The features of `answers`, noted as they are read; raises FeaturesAwayError where they cannot be."""

    def look_up(rows: Rows) -> OnlineAnswer:
        try:
            found = answers.look_up(rows)
        except Exception as error:  # each online store fails in its own way
            raise FeaturesAwayError(f"{type(error).__name__}: {error}") from error
        if reads is not None:
            keys = {key: list(map(str, rows[key])) for key in answers.keys}
            reads.append(Read(keys, list(found.features), list(found.tables), found.values, found.ages))
        return found

    return look_up


__all__ = ["Desk", "FeaturesAwayError", "Given", "Plain", "Published", "Question"]
