"""Decisions that were published last, by entity: what is answered where no version can."""

import threading
from datetime import datetime
from typing import Any

import pandas as pd

from ecomine import layout
from ecomine.deployment import records, scores
from ecomine.domain import Domain
from ecomine.errors import DeploymentError
from ecomine.store import Store, stamp


class Published:
    """The published decisions of a domain, read again when they change.

    digest: of the version whose they are, with that of its scores on newer features where it was scored; as_of: the
    moment up to which they know the shop.
    """

    def __init__(self, store: Store, domain: Domain) -> None:
        self._store, self.domain = store, domain
        self._path = store.path(layout.DECISIONS.format(domain=domain.name))
        self._stamp: tuple[int, int] | None = None
        self._frame = pd.DataFrame()
        self._groups: dict[Any, Any] = {}
        self.digest, self.as_of = "", datetime.min
        self._reading = threading.Lock()

    @classmethod
    def of(cls, domain: Domain, frame: pd.DataFrame, digest: str, as_of: datetime) -> "Published":
        """Decisions that are at hand."""
        made = cls.__new__(cls)
        made.domain, made._reading, made._stamp = domain, threading.Lock(), None
        made.digest, made.as_of = digest, as_of
        made._take(frame)
        return made

    @property
    def frame(self) -> pd.DataFrame:
        """Every decision."""
        return self._frame

    def open(self) -> "Published":
        """This, with what is published now; raises DeploymentError where nothing is or it cannot be read."""
        with self._reading:
            now = stamp(self._path)
            if now is None:
                raise DeploymentError(f"{self.domain.name}: nothing is deployed.")
            if now != self._stamp:
                record = records.current_record(self._store, self.domain)
                if record is None:
                    raise DeploymentError(f"{self.domain.name}: nothing is deployed.")
                try:
                    self._take(pd.read_parquet(self._path))
                except (OSError, ValueError) as error:
                    raise DeploymentError(f"{self._path.name} cannot be read: {error}") from error
                name, digest = self.domain.name, record["digest"]
                self.digest = scores.newest(self._store, name, digest)
                self.as_of = scores.known_until(self.digest, datetime.fromisoformat(record["as_of"]))
                self._stamp = now
        return self

    def rows(self, entity: str) -> pd.DataFrame:
        """The decisions for one entity, in their order; none for one that is not there."""
        return self._frame.iloc[self._groups.get(entity, [])]

    def _take(self, frame: pd.DataFrame) -> None:
        self._frame = frame
        self._groups = frame.groupby(self.domain.entity, sort=False).indices
