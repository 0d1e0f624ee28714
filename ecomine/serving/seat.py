"""A version of a domain in memory, exchanged for the next one while requests go on."""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from ecomine import layout
from ecomine.deployment import Bundle, heeded, load, minded, online, pointer, publication, scores
from ecomine.deployment.bundle import DECISIONS
from ecomine.domain import Domain
from ecomine.errors import DeploymentError, EcomineError
from ecomine.feature_store import OnlineAnswer, OnlineReader
from ecomine.pseudonyms import PERSONAL
from ecomine.store import Store
from ecomine.store import stamp as stamp_of

log = logging.getLogger("ecomine.serving")

RETRY_SECONDS = 30.0
"""Pause before what could not be opened is tried again; another version or online store is tried at once."""

Rows: TypeAlias = pd.DataFrame | Mapping[str, Sequence[Any]]
"""Of keys; a mapping of columns is quicker for one row."""

Stamp = tuple[int, int] | None
Stamps = tuple[Stamp, ...]
"""Of the pointer, of the online store, and of the pointers of the domains that are minded, to versions and scores."""


@dataclass(frozen=True)
class Answers:
    """A version with the online features it reads: what one request works with from beginning to end.

    heeded: digests of the versions of other domains that are minded; matters: what of their decisions counts here.
    """

    domain: Domain
    model: Any
    bundle: Bundle
    keys: Sequence[str]
    look_up: Callable[[Rows], OnlineAnswer]
    heeded: Mapping[str, str] = field(default_factory=dict)
    matters: Mapping[str, Any] = field(default_factory=dict)
    features: OnlineReader | None = None

    @cached_property
    def name(self) -> tuple[Any, ...]:
        """What the same answers come from, given the same features: the version and those that it minds."""
        return self.bundle.digest, *sorted(self.heeded.items()), *sorted(self.matters)

    @cached_property
    def shared(self) -> tuple[str, ...]:
        """Feature tables whose rows are of no customer."""
        tables = self.features.table_keys() if self.features else {}
        return tuple(sorted(name for name, keys in tables.items() if not set(keys) & set(PERSONAL)))

    def read(self, rows: pd.DataFrame) -> pd.DataFrame:
        """`rows`, which have the columns `keys`, with their features."""
        return self.look_up(rows).beside(rows)

    def requests(self, keys: pd.DataFrame) -> pd.DataFrame:
        """The rows to decide on, with features, for the entities in `keys`."""
        rows = self.domain.request(self.model, keys)
        return self.read(rows)

    def decide(self, frame: pd.DataFrame) -> pd.DataFrame:
        return self.mind(self.domain.decide(self.model, frame, self.bundle.params))

    def mind(self, decisions: pd.DataFrame) -> pd.DataFrame:
        """`decisions`, with heed of what other domains have decided."""
        return publication.apply(self.domain, decisions, self.matters)


class Seat:
    """The version that a pointer names; looks at pointer and online store each time it is asked.

    pointed: (store, domain's name) → the file that changes when another version takes the seat; digest: which one it
    is now, raising an EcomineError where none is.
    """

    def __init__(
        self,
        store: Store,
        domain: Domain,
        pointed: Callable[[Store, str], Path],
        digest: Callable[[], str | None],
    ) -> None:
        self.store, self.domain = store, domain
        self._pointer, self._digest = pointed(store, domain.name), digest
        self._features = store.path(layout.ONLINE)
        self._heeds = [of(store, name) for name in domain.heeds for of in (pointer, scores.pointer)]
        self._answers: Answers | None = None
        self._online: OnlineReader | None = None
        self._stamp: Stamps = (None, None)
        self._failed: tuple[Stamps, float] | None = None
        self._error: EcomineError | None = None
        self._loading = threading.Lock()

    def stamp(self) -> Stamp:
        """What changes when another version takes the seat."""
        return stamp_of(self._pointer)

    @property
    def answers(self) -> bool:
        """Whether there is something that answers."""
        try:
            self.get()
        except EcomineError:
            return False
        return True

    def get(self) -> Answers:
        """What answers now; DeploymentError where nothing does, MissingInputError without online features.

        Only one request at a time loads what is new; the others, meanwhile, are answered by what was there
        before. So is everybody where the new version cannot be loaded.
        """
        stamp = self._look()
        if self._answers is not None and (stamp == self._stamp or not self._worth_trying(stamp)):
            return self._answers
        if self._answers is None:
            with self._loading:
                self._refresh(self._look())
        elif self._loading.acquire(blocking=False):
            try:
                self._refresh(stamp)
            finally:
                self._loading.release()
        if self._answers is None:
            raise self._error or DeploymentError(f"{self.domain.name}: nothing is deployed.")
        return self._answers

    def at_hand(self) -> Answers | None:
        """What answers now, where that is in memory and no file says otherwise; for those who must not wait."""
        stamp = self._look()
        return self._answers if stamp == self._stamp or not self._worth_trying(stamp) else None

    @property
    def seen(self) -> Stamp:
        """The pointer's stamp when it was looked at for what answers."""
        return self._stamp[0]

    def _refresh(self, stamp: Stamps) -> None:
        if (self._answers is not None and stamp == self._stamp) or not self._worth_trying(stamp):
            return
        old = self._answers
        try:
            same_version = old is not None and stamp[0] == self._stamp[0]
            same_online = old is not None and stamp[1] == self._stamp[1]
            model, bundle = (
                (old.model, old.bundle) if old and same_version else load(self.store, self.domain, self._digest())
            )
            features = self._online if self._online and same_online else online(self.store, self.domain)
            others = heeded(self.store, self.domain)
            same_others = old is not None and old.heeded == others
            matters = old.matters if old and same_others else minded(self.store, self.domain, others)
            answers = Answers(
                self.domain, model, bundle, features.keys, features.read_detailed, others, matters, features
            )
            if not same_version:
                _settle(answers)
        except Exception as error:  # whatever is wrong with what is new, what is there goes on answering
            self._note(stamp, error)
            return
        self._answers, self._stamp = answers, stamp
        self._online = features
        self._failed = self._error = None
        if not same_version:
            log.info("%s: version %s answers from now on", self.domain.name, bundle.digest[:12])

    def _note(self, stamp: Stamps, error: Exception) -> None:
        first = self._failed is None or self._failed[0] != stamp
        self._failed = (stamp, time.monotonic())
        self._error = error if isinstance(error, EcomineError) else DeploymentError(f"{type(error).__name__}: {error}")
        if first:
            stays = self._answers and f"version {self._answers.bundle.digest[:12]} goes on answering"
            log.error("%s: %s; %s", self.domain.name, error, stays or "nothing answers")

    def _worth_trying(self, stamp: Stamps) -> bool:
        if self._failed is None or self._failed[0] != stamp:
            return True
        return time.monotonic() - self._failed[1] > RETRY_SECONDS

    def _look(self) -> Stamps:
        # While the online store is being replaced it is away for a moment; the old one is read meanwhile.
        online = stamp_of(self._features) or self._stamp[1]
        return self.stamp(), online, *map(stamp_of, self._heeds)


def _settle(answers: Answers) -> None:
    """Have a version answer once before anybody asks it.

    XGBoost configures a model at its first prediction; where several threads make that at the same time, some fail.
    """
    decided = pq.ParquetFile(answers.bundle.folder / DECISIONS)
    first = next(decided.iter_batches(1, columns=[answers.domain.entity]), None)
    if first is None:
        return
    rows = answers.domain.request(answers.model, first.to_pandas())
    with suppress(Exception):  # what keeps it from answering is for those who ask to be told
        try:
            frame = answers.read(rows)
        except Exception:  # without features it still predicts something
            frame = rows.assign(**dict.fromkeys(answers.bundle.features, np.nan))
        answers.decide(frame)
