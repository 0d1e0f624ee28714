"""What a stage works with: the files and settings of one workspace, and where it tells how it goes."""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import duckdb

from ecomine import layout
from ecomine import params as settings
from ecomine.domain import Domain, Inputs
from ecomine.domains import DOMAINS
from ecomine.engine import connect
from ecomine.params import Params
from ecomine.store import Store, damaged


@dataclass(frozen=True)
class Context:
    """What a stage works with: the files and settings of one workspace, and where it tells how it goes."""

    store: Store
    params: Params
    say: Callable[[str], None] = lambda text: None

    @classmethod
    def of(
        cls, workspace: Path, say: Callable[[str], None] = lambda text: None, as_of: date | None = None
    ) -> "Context":
        """The context of a workspace folder; raises SettingsError where its params.yaml cannot be used.

        With `as_of` nothing is seen from that day on, whatever params.yaml says.
        """
        params = load_params(workspace)
        if as_of is not None:
            params = dataclasses.replace(params, as_of=datetime(as_of.year, as_of.month, as_of.day))
        return cls(Store(workspace), params, say)

    @property
    def as_of(self) -> datetime:
        self.store.require(layout.CLEAN_REPORT, "clean")
        text = self.store.read_json(layout.CLEAN_REPORT, "as_of")["as_of"]
        try:
            return datetime.fromisoformat(text)
        except (TypeError, ValueError) as error:
            raise damaged(layout.CLEAN_REPORT, error) from error

    @contextmanager
    def connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with connect(self.params.engine, self.store.path(layout.SPILL)) as connection:
            yield connection

    def inputs(self, connection: duckdb.DuckDBPyConnection, domain: Domain) -> Inputs:
        self.store.require(layout.CLEAN, "clean")
        return Inputs(
            connection,
            self.store.relations(connection, layout.CLEAN),
            self.as_of,
            self.params.sections[domain.name],
            self.params.seed,
            self.params.engine.threads,
        )


def load_params(workspace: Path) -> Params:
    """The settings of a workspace."""
    return settings.load(workspace / settings.FILE, {name: domain.params for name, domain in DOMAINS.items()})
