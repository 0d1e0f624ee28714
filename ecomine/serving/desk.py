"""The desk of a domain: questions by name, each answered by the first of its line-up that can, with a receipt."""

import json
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeVar

from fastapi import Response
from pydantic import BaseModel
from pydantic_core import to_json
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from ecomine.deployment import heeded
from ecomine.deployment.live import Live
from ecomine.errors import DeploymentError, EcomineError
from ecomine.serving import lineup as steps
from ecomine.serving.ahead import Ahead
from ecomine.serving.catalogue import Catalogue
from ecomine.serving.comparison import NAMES, VERSION, differing
from ecomine.serving.errors import BadRequestError
from ecomine.serving.lineup import LineUp, chosen
from ecomine.serving.measures import Measures
from ecomine.serving.memo import Memo, Remembered
from ecomine.serving.noting import FeaturesAwayError, noting
from ecomine.serving.published import Published
from ecomine.serving.receipts import Read, Receipt, Receipts
from ecomine.serving.seat import Answers
from ecomine.serving.split import Split

log = logging.getLogger("ecomine.serving")

Answer = TypeVar("Answer", bound=BaseModel)
Made = TypeVar("Made")

Question = Callable[..., BaseModel]
"""(answers, catalogue, **arguments) → an answer that depends on nothing else; arguments are what JSON can hold."""

Plain = Callable[..., BaseModel]
"""(published, catalogue, **arguments) → the answer to the same question from what was published, in the same form."""

Pick = Callable[[Any], Any]
"""An answer, as JSON → what of it leaves."""

RECEIPT, STEP = "X-Receipt-ID", "X-Answered-By"

WAITING = 32
"""Questions that may wait for a shadow; what comes beyond them is not put to it."""


@dataclass(frozen=True)
class Given:
    """An answer and how it came about."""

    step: str
    said: BaseModel
    model: str
    heeded: Mapping[str, str] = field(default_factory=dict)
    reads: list[Read] = field(default_factory=list)


class Found(NamedTuple):
    """An answer by a step of the line-up; trial: the record of the version that is tried meanwhile."""

    step: str
    one: Remembered
    trial: Mapping[str, Any] | None


class Desk:
    """Answers the questions of one domain."""

    def __init__(
        self, lineup: LineUp, catalogue: Catalogue, receipts: Receipts, live: Live, measures: Measures,
        questions: Mapping[str, Question], plain: Mapping[str, Plain], memo: Memo, ahead: Ahead | None = None,
    ) -> None:  # fmt: skip
        self.lineup, self.catalogue, self.receipts, self.live = lineup, catalogue, receipts, live
        self.measures, self.questions, self.plain, self.memo, self.ahead = measures, questions, plain, memo, ahead
        self._shadows = ThreadPoolExecutor(1, f"shadow-{lineup.domain.name}")
        self._counts = ThreadPoolExecutor(1, f"counts-{lineup.domain.name}")
        self._room = threading.Semaphore(WAITING)

    async def reply(
        self, question: str, unit: str | None = None, pick: Pick | None = None, **arguments: Any
    ) -> Response:
        """The answer of the first version that can give one, as JSON; one that was given before is not made again.

        unit: by whom or what a canary's share is drawn, such as the customer's id. Headers tell the step by which the
        answer came and the id of its receipt.
        """
        found = self.at_hand(question, unit, arguments, pick)
        if found is None:
            found = await run_in_threadpool(self._counted, self._found, question, unit, arguments, pick)
        headers = await self.told(found, question, arguments, pick)
        return Response(found.one.body, media_type="application/json", headers=headers)

    async def told(self, found: Found, question: str, arguments: dict[str, Any], pick: Pick | None) -> dict[str, str]:
        """Headers of an answer that leaves now; its receipt is kept, and a shadow is asked the same."""
        step, one, trial = found
        self._noted(one.spent, step)
        self.measures.answered(self.lineup.domain.name, step)
        headers = {STEP: step}
        if one.packed is not None:
            try:
                headers[RECEIPT] = await self.receipts.note(one.packed)
            except (OSError, sqlite3.Error) as error:  # a full disk must not keep the shop from its decisions
                log.error("the receipt of an answer cannot be kept: %s", error)
        if step == steps.DEPLOYED:
            self._try_shadow(trial, question, arguments, one.body, pick)
        return headers

    async def reply_each(self, question: str, split: Split, **arguments: Any) -> Response:
        """As `reply`, for several units; where a canary answers for some of them, each version answers for its own."""
        trial = self.lineup.trial
        if trial is None or trial["action"] != "canary":
            return await self.reply(question, **arguments)
        tried = [chosen(trial, unit) for unit in split.units]
        sides = [[place for place, is_tried in enumerate(tried) if is_tried == side] for side in (False, True)]
        if not all(sides):
            return await self.reply(question, split.units[0], **arguments)
        replies = [await self.reply(question, split.units[own[0]], **split.part(own)) for own in sides]
        said = [(own, json.loads(bytes(reply.body))) for own, reply in zip(sides, replies, strict=True)]
        headers = {
            name: ", ".join(dict.fromkeys(reply.headers[name] for reply in replies if name in reply.headers))
            for name in (STEP, RECEIPT)
            if any(name in reply.headers for reply in replies)
        }
        return Response(_text(split.joined(said)), media_type="application/json", headers=headers)

    def answer(
        self, kind: type[Answer], response: Response, question: str, unit: str | None = None, **arguments: Any
    ) -> Answer:
        """As `reply`, for an answer that is never asked for again: it is made and not remembered."""

        def put(step: str, answers: Answers) -> tuple[Given, float]:
            return self._put(step, answers, question, arguments), 0.0

        begun = time.perf_counter()
        given, _ = self._counted(self._ask, unit, put, lambda: (self._from_published(question, arguments), 0.0))
        self._noted((time.perf_counter() - begun) * 1000, given.step)
        self.measures.answered(self.lineup.domain.name, given.step)
        response.headers[STEP] = given.step
        told = given.said.model_dump(mode="json")
        kept = self._keep(question, arguments, given, told)
        if kept is not None:
            response.headers[RECEIPT] = kept
        if given.step == steps.DEPLOYED:
            self._try_shadow(self.lineup.trial, question, arguments, _text(told), None)
        assert isinstance(given.said, kind), (
            f"a question answered with {type(given.said).__name__}, not {kind.__name__}"
        )
        return given.said

    def close(self) -> None:
        """Wait for what shadows still have to answer, and for the last counts."""
        self._shadows.shutdown()
        self._counts.shutdown()
        self._count(self.live.flush)

    def _counted(self, answered: Callable[..., Made], *arguments: Any) -> Made:
        """What `answered` gives; where nothing could, that is counted."""
        try:
            return answered(*arguments)
        except (HTTPException, BadRequestError):
            raise
        except Exception:
            self._noted(None)
            raise

    def _noted(self, milliseconds: float | None, step: str = "") -> None:
        """Count an answer for monitoring; None: nothing could give one."""
        if self.live.gather(self.lineup.domain.name, milliseconds, step not in (steps.DEPLOYED, steps.CANARY, "")):
            with suppress(RuntimeError):  # the server is going down; what is gathered is written at the end
                self._counts.submit(self._count, self.live.flush)

    def at_hand(self, question: str, unit: str | None, arguments: Mapping[str, Any], pick: Pick | None) -> Found | None:
        """An answer that was given or made before, without waiting for anything."""
        first = self.lineup.first(unit)
        if first is None:
            return None
        step, answers, trial = first
        try:
            state = answers.features.state if answers.features else None
        except Exception:  # each online store fails in its own way; who makes an answer meets it again, and tells
            return None
        if state is None:
            return None
        titles, name = self.catalogue.stamp(), _name(step, answers, question, arguments, pick)
        one = self.memo.get(name, state, titles)
        if (
            one is None and self.ahead is not None and pick is not None and trial is None
        ):  # times of answers are compared in a trial
            one = self.ahead.find(answers, state, titles, question, arguments, step)
            if one is not None:
                self.memo.put(name, one)
        if one is not None and trial is not None:
            counted = self.lineup.domain.name, trial["number"], answers.bundle.digest, one.spent
            with suppress(RuntimeError):  # the server is going down
                self._counts.submit(self._count, self.live.answered, *counted)
        return None if one is None else Found(step, one, trial)

    def _found(self, question: str, unit: str | None, arguments: dict[str, Any], pick: Pick | None) -> Found:
        """An answer made now, or by somebody else in the meantime."""

        def put(step: str, answers: Answers) -> tuple[Found, float]:
            state = None
            with suppress(Exception):  # reading meets the same, and tells
                state = answers.features.state if answers.features else None
            titles, name = self.catalogue.stamp(), _name(step, answers, question, arguments, pick)
            one = self.memo.get(name, state, titles)
            if one is None:
                begun = time.perf_counter()
                given = self._put(step, answers, question, arguments)
                spent = (time.perf_counter() - begun) * 1000
                one = replace(self._told(question, arguments, given, pick), state=state, titles=titles, spent=spent)
                self.memo.put(name, one)
            return Found(step, one, self.lineup.trial), one.spent

        def published() -> tuple[Found, float]:
            given = self._from_published(question, arguments)
            return Found(given.step, self._told(question, arguments, given, pick), None), 0.0

        return self._ask(unit, put, published)[0]

    def _ask(
        self, unit: str | None, put: Callable[[str, Answers], tuple[Made, float]],
        published: Callable[[], tuple[Made, float]],
    ) -> tuple[Made, float]:  # fmt: skip
        """What the first of the line-up gives, and the milliseconds it took; a trial counts them."""
        name, trial = self.lineup.domain.name, self.lineup.trial
        failure: EcomineError | None = None
        for step, answers in self.lineup.steps(unit):
            number = trial["number"] if trial is not None else None
            begun = time.perf_counter()
            try:
                made = put(step, answers)
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
                spent = made[1] or (time.perf_counter() - begun) * 1000
                self._count(self.live.answered, name, number, answers.bundle.digest, spent)
            return made
        try:
            return published()
        except DeploymentError as error:
            if failure is None:
                self.lineup.get()  # raises what keeps the deployed version from answering
            raise failure or error from None

    def _put(self, step: str, answers: Answers, question: str, arguments: Mapping[str, Any]) -> Given:
        reads: list[Read] = []
        noted = replace(answers, look_up=noting(answers, reads if self.receipts.kept else None))
        said = self.questions[question](noted, self.catalogue, **arguments)
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
        try:
            return self.receipts.add(self._receipt(question, arguments, given, told))
        except (OSError, sqlite3.Error) as error:  # a full disk must not keep the shop from its decisions
            log.error("the receipt of an answer cannot be kept: %s", error)
            return None

    def _told(self, question: str, arguments: dict[str, Any], given: Given, pick: Pick | None) -> Remembered:
        """An answer as it leaves, and its receipt."""
        told = given.said.model_dump(mode="json")
        packed = None
        if self.receipts.kept:
            packed = self.receipts.packer.pack(self._receipt(question, arguments, given, told))
        return Remembered(_text(told if pick is None else pick(told)), packed)

    def _receipt(self, question: str, arguments: dict[str, Any], given: Given, told: dict[str, Any]) -> Receipt:
        return Receipt(
            self.lineup.domain.name, given.model, question, arguments, told, given.reads,
            heeded=dict(given.heeded), step=given.step,
        )  # fmt: skip

    def _try_shadow(
        self, trial: Mapping[str, Any] | None, question: str, arguments: dict[str, Any], body: bytes, pick: Pick | None
    ) -> None:
        if trial is None or trial["action"] != "shadow" or not self._room.acquire(blocking=False):
            return
        with suppress(RuntimeError):  # the server is going down
            self._shadows.submit(self._shadow, trial["number"], question, arguments, body, pick)

    def _shadow(self, number: int, question: str, arguments: dict[str, Any], body: bytes, pick: Pick | None) -> None:
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
            shown = said if pick is None else pick(said)
            same = next(differing(json.loads(body), shown, (*NAMES, *VERSION)), None) is None
            self._count(self.live.compared, name, number, answers.bundle.digest, same)
            self._keep(question, arguments, given, said)
        finally:
            self._room.release()

    def _count(self, what: Callable[..., None], *arguments: Any) -> None:
        try:
            what(*arguments)
        except (OSError, sqlite3.Error) as error:
            log.error("%s: what answers show cannot be counted: %s", self.lineup.domain.name, error)


def _name(
    step: str, answers: Answers, question: str, arguments: Mapping[str, Any], pick: Pick | None
) -> tuple[Any, ...]:
    """What an answer is remembered by; the whole of it and what is picked of it are two."""
    return step, answers.name, question, pick is None, to_json(arguments)


def _text(told: Any) -> bytes:
    return json.dumps(told, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


__all__ = ["Desk", "FeaturesAwayError", "Given", "Plain", "Published", "Question"]
