"""Has answers made ahead whenever what they come from has changed, by a process of its own."""

import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress

from ecomine.deployment import heeded, records
from ecomine.domain import Domain
from ecomine.domains import DOMAINS
from ecomine.feature_store import OnlineReader
from ecomine.serving.ahead import made_of, make, of, path_of
from ecomine.serving.catalogue import Catalogue
from ecomine.serving.lineup import LineUp
from ecomine.serving.routes import AHEAD, QUESTIONS
from ecomine.stages import Context

log = logging.getLogger("ecomine.serving")

LOOK = 2.0
"""Seconds between two looks at what answers now."""

MAIN = "import sys; from ecomine.cli import main; sys.exit(main())"


def make_all(context: Context) -> Iterator[tuple[str, int | None]]:
    """Make the answers of every domain that has such; (domain, how many), as in `make`."""
    for name in context.params.domains:
        if name in AHEAD:
            recipe = AHEAD[name]
            answers = LineUp(context.store, DOMAINS[name]).get()
            yield name, make(context.store, answers, recipe, QUESTIONS[name][recipe.question])


class Maker:
    """Looks at a workspace in a thread, and runs `ecomine ahead` where answers are to be made."""

    def __init__(self, context: Context) -> None:
        self._workspace, self._store = context.store.workspace, context.store
        self._domains = [DOMAINS[name] for name in context.params.domains if name in AHEAD]
        self._readers: dict[str, OnlineReader] = {}
        self._catalogue = Catalogue(context.store)
        self._tried: list[str | None] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="maker", daemon=True)

    def start(self) -> None:
        if self._domains:
            self._thread.start()

    def stop(self) -> None:
        """End, and whatever is being made with it."""
        self._stop.set()
        process = self._process
        if process is not None:
            process.terminate()
        if self._thread.is_alive():
            self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(LOOK):
            wanted = [self._wanted(domain) for domain in self._domains]
            # What could not be made is not tried again before something else is wanted.
            if wanted != self._tried and any(map(self._lacks, self._domains, wanted)):
                self._tried = wanted
                self._make()

    def _make(self) -> None:
        command = [sys.executable, "-c", MAIN, "--workspace", str(self._workspace), "ahead"]
        self._process = subprocess.Popen(
            ["nice", "-n", "10", *command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        _, said = self._process.communicate()
        if self._process.returncode and not self._stop.is_set():
            log.error("answers cannot be made ahead: %s", said.decode(errors="replace").strip()[-500:])
        self._process = None

    def _wanted(self, domain: Domain) -> str | None:
        """What answers would be made of now; None where there are none, or none that hold for a moment."""
        with suppress(Exception):  # whatever is wrong with it, those who answer say so
            digest = records.current(self._store, domain)
            reader = self._readers.get(domain.name)
            if reader is None:
                reader = self._readers[domain.name] = OnlineReader(self._workspace, domain.service)
            state = reader.state
            if digest is not None and state is not None:
                return of(digest, heeded(self._store, domain), state, self._catalogue.stamp())
        return None

    def _lacks(self, domain: Domain, wanted: str | None) -> bool:
        return wanted is not None and made_of(path_of(self._store, domain.name)) != wanted


__all__ = ["Maker", "make_all"]
