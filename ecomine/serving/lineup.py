"""Who may answer for a domain: the deployed version, one tried beside it, the one before it, what was published last.

Steps are taken in order until one answers: a canary for its share of customers; the deployed version; the version
deployed before, where the deployed one cannot be loaded or fails; the decisions published last, where features cannot
be read either. Each answer says by which step it came.
"""

import hashlib
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pandas as pd

from ecomine.deployment import records
from ecomine.domain import Domain
from ecomine.errors import DeploymentError, EcomineError
from ecomine.serving.published import Published
from ecomine.serving.seat import Answers, Seat, Stamp
from ecomine.store import Store

log = logging.getLogger("ecomine.serving")

CANARY, DEPLOYED, PREVIOUS, PUBLISHED, SHADOW = "canary", "deployed", "previous", "published", "shadow"

PAUSE = 1.0
"""Seconds for which features are not asked for again after they could not be read."""


class LineUp:
    """The versions of one domain that may answer."""

    def __init__(self, store: Store, domain: Domain) -> None:
        self.store, self.domain = store, domain
        self.deployed = Seat(store, domain, records.pointer, lambda: records.current(store, domain))
        self._tried = Seat(store, domain, records.challenger_pointer, self._challenger)
        self._before = Seat(store, domain, records.pointer, self._previous)
        self._published = Published(store, domain)
        self._record: tuple[Stamp, dict[str, Any] | None] = (None, None)
        self._current: tuple[Stamp, str | None] = (None, None)
        self._dismissed: int | None = None
        self._unreadable = 0.0
        self._guard = threading.Lock()

    def get(self) -> Answers:
        """The deployed version; raises EcomineError where it cannot answer."""
        return self.deployed.get()

    @property
    def trial(self) -> dict[str, Any] | None:
        """The record of the version tried beside the deployed one."""
        stamp = self._tried.stamp()
        with self._guard:
            if stamp != self._record[0]:
                self._record = (stamp, None)
                with suppress(EcomineError):
                    self._record = (stamp, records.challenge(self.store, self.domain))
            record = self._record[1]
        return None if record is None or record["number"] == self._dismissed else record

    def dismiss(self, number: int) -> None:
        """Ask nothing more of the version tried under this number, from this moment on."""
        self._dismissed = number

    def steps(self, unit: str | None) -> Iterator[tuple[str, Answers]]:
        """Versions to ask for a unit (a customer's id, say), in order; those that cannot be loaded are left out."""
        if self.features_away:
            return
        trial = self.trial
        if trial is not None and trial["action"] == records.CANARY and chosen(trial, unit):
            with suppress(EcomineError):
                yield CANARY, self._tried.get()
        current = self.current()
        with suppress(EcomineError):
            answers = self.deployed.get()
            yield (DEPLOYED if current in (None, answers.bundle.digest) else PREVIOUS), answers
        with suppress(EcomineError):
            yield PREVIOUS, self._before.get()

    def first(self, unit: str | None) -> tuple[str, Answers, dict[str, Any] | None] | None:
        """The first of `steps`, where it is known without waiting, and the trial that goes on."""
        if self.features_away:
            return None
        trial = self.trial
        if trial is not None and trial["action"] == records.CANARY and chosen(trial, unit):
            answers = self._tried.at_hand()
            return None if answers is None else (CANARY, answers, trial)
        answers = self.deployed.at_hand()
        if answers is None:
            return None
        # In one look at the pointer it named another version, or could not be read: `steps` finds out which.
        if self._current[1] not in (None, answers.bundle.digest) or self._current[0] != self.deployed.seen:
            self.current()
            return (DEPLOYED if self._current[1] in (None, answers.bundle.digest) else PREVIOUS), answers, trial
        return DEPLOYED, answers, trial

    def shadow(self) -> Answers | None:
        """The version whose answers are kept beside those of the champion, and not used."""
        trial = self.trial
        if trial is None or trial["action"] != records.SHADOW:
            return None
        with suppress(EcomineError):
            return self._tried.get()
        return None

    def published(self) -> Published:
        """What was decided and published last."""
        return self._published

    def current(self) -> str | None:
        """Digest that the pointer names; None where it cannot be read."""
        stamp = self.deployed.stamp()
        if stamp != self._current[0]:
            digest = None
            with suppress(EcomineError):
                digest = records.current(self.store, self.domain)
            self._current = (stamp, digest)
        return self._current[1]

    def state(self) -> tuple[str, str | None]:
        """Digest of the version that answers, and why it is not the deployed one with its features, if so.

        Raises EcomineError where not even published decisions can be given.
        """
        current = self.current()
        try:
            answers = self.deployed.get()
        except EcomineError as error:
            with suppress(EcomineError):
                return self._before.get().bundle.digest, f"the version before answers: {error}"
            try:
                return self._published.open().digest, f"answers are those published last: {error}"
            except EcomineError:
                raise error from None
        digest = answers.bundle.digest
        if current != digest:
            return digest, f"version {digest[:12]} answers; {(current or 'the deployed one')[:12]} cannot be loaded"
        try:
            answers.look_up(pd.DataFrame({key: [""] for key in answers.keys}))
        except Exception as error:  # each online store fails in its own way
            self.features_failed()
            return digest, f"features cannot be read, so answers are those published last: {error}"
        return digest, None

    @property
    def features_away(self) -> bool:
        return time.monotonic() < self._unreadable

    def features_failed(self) -> None:
        """Features could not be read: for a moment nobody waits for them again."""
        self._unreadable = time.monotonic() + PAUSE

    def _challenger(self) -> str:
        trial = self.trial
        if trial is None:
            raise DeploymentError(f"{self.domain.name}: no version is tried beside the deployed one.")
        return str(trial["digest"])

    def _previous(self) -> str:
        earlier = records.deployed(records.history(self.store, self.domain))[:-1]
        if not earlier:
            raise DeploymentError(f"{self.domain.name}: no version was deployed before.")
        return earlier[-1]


def chosen(trial: dict[str, Any], unit: str | None) -> bool:
    """Whether a unit is among those for which a canary answers: always the same ones, others for another version."""
    if unit is None:
        return False
    place = int.from_bytes(hashlib.blake2b(f"{trial['digest']}\0{unit}".encode(), digest_size=8).digest(), "big")
    return place < trial["share"] * 2.0**64
