"""Making an answer again from its receipt: the same version, the feature values that were read, the same question."""

from datetime import datetime
from typing import Any

import numpy as np

from ecomine.deployment import load, minded, publication, scores
from ecomine.domain import Domain
from ecomine.domains import DOMAINS
from ecomine.errors import DeploymentError, EcomineError
from ecomine.feature_store import OnlineAnswer
from ecomine.feature_store.online import Status
from ecomine.serving.catalogue import Catalogue
from ecomine.serving.comparison import differing
from ecomine.serving.lineup import PUBLISHED
from ecomine.serving.published import Published
from ecomine.serving.receipts import Read, Receipt
from ecomine.serving.routes import PLAIN, QUESTIONS
from ecomine.serving.seat import Answers, Rows
from ecomine.store import Store

LOADED = 8
"""Versions that stay in memory."""


class Replayer:
    """Makes answers of a workspace again; a version is loaded once where its receipts come one after the other."""

    def __init__(self, store: Store) -> None:
        self._store, self._catalogue = store, Catalogue(store)
        self._loaded: dict[tuple[str, str], tuple[Any, Any]] = {}
        self._minded: dict[tuple[str, tuple[tuple[str, str], ...]], dict[str, Any]] = {}
        self._published: dict[tuple[Any, ...], Published] = {}

    def differences(self, receipt: Receipt) -> list[str]:
        """Where the answer, made again, is another one, a line each; empty where it is the same.

        Raises DeploymentError where the version is gone or the question is no longer asked.
        """
        plain = receipt.step == PUBLISHED
        question = (PLAIN if plain else QUESTIONS).get(receipt.domain, {}).get(receipt.question)
        if question is None:
            raise DeploymentError(
                f"The receipt is of a question `{receipt.question}` to {receipt.domain}, which this code does not "
                "know; replay it with the release that wrote it."
            )
        domain, key = DOMAINS[receipt.domain], (receipt.domain, receipt.model)
        if key not in self._loaded:
            while len(self._loaded) >= LOADED:
                self._loaded.pop(next(iter(self._loaded)))
            self._loaded[key] = load(self._store, domain, receipt.model)
        model, bundle = self._loaded[key]
        recorded = Recorded(receipt.reads)
        then: Answers | Published
        try:
            others = (domain.name, tuple(sorted(receipt.heeded.items())))
            if others not in self._minded:
                self._minded[others] = minded(self._store, domain, receipt.heeded)
            matters = self._minded[others]
            if matters.keys() != receipt.heeded.keys():
                gone = ", ".join(sorted(receipt.heeded.keys() - matters.keys()))
                return [f"the version of {gone} that was minded then cannot be read any more"]
            if plain:
                then = self._published_then(domain, receipt.model, bundle.as_of, others, matters)
            else:
                then = Answers(domain, model, bundle, (), recorded, receipt.heeded, matters)
            said = question(then, self._catalogue, **receipt.arguments)
        except EcomineError as error:
            return [str(error)]
        if recorded.left:
            return [f"{recorded.left} of the {len(receipt.reads)} reads of features were not asked for again"]
        return list(differing(receipt.answer, said.model_dump(mode="json")))

    def _published_then(
        self, domain: Domain, digest: str, as_of: datetime, others: tuple[Any, ...], matters: dict[str, Any]
    ) -> Published:
        """The decisions of a version as they were published beside those others."""
        key = (digest, *others)
        if key not in self._published:
            decisions = publication.apply(domain, publication.decided(self._store, domain.name, digest), matters)
            self._published[key] = Published.of(domain, decisions, digest, scores.known_until(digest, as_of))
        return self._published[key]


class Recorded:
    """Gives what was read then; raises DeploymentError where something else is asked for."""

    def __init__(self, reads: list[Read]) -> None:
        self._reads = list(reads)

    @property
    def left(self) -> int:
        return len(self._reads)

    def __call__(self, rows: Rows) -> OnlineAnswer:
        if not self._reads:
            raise DeploymentError("features are read more often than when the answer was given")
        read = self._reads.pop(0)
        asked = {key: list(map(str, rows[key])) for key in read.keys}
        if asked != read.keys:
            raise DeploymentError("features are asked for other entities than when the answer was given")
        status = np.where(np.isnan(read.ages), Status.MISSING, Status.PRESENT)
        return OnlineAnswer(read.features, read.tables, read.values, read.ages, status)
