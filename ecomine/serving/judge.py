"""Ends trials by what they show: a challenger that fails is withdrawn, one that has shown enough may be deployed."""

import logging
import threading
from collections.abc import Mapping

from ecomine import deployment
from ecomine.deployment import live, records
from ecomine.errors import EcomineError, LockedError
from ecomine.serving.lineup import LineUp
from ecomine.stages import Context

log = logging.getLogger("ecomine.serving")


class Judge:
    """Looks at the trials of the domains from time to time, in a thread of its own."""

    def __init__(self, context: Context, lineups: Mapping[str, LineUp], counts: live.Live) -> None:
        self._context, self._lineups, self._counts = context, lineups, counts
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="judge", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(self._context.params.challenger.check_seconds):
            for lineup in self._lineups.values():
                try:
                    self.look(lineup)
                except LockedError:
                    continue  # a run is writing; the next look comes soon
                except Exception as error:  # the watch must outlive whatever is wrong with one trial
                    log.error("%s: the trial cannot be judged: %s", lineup.domain.name, error)

    def look(self, lineup: LineUp) -> str:
        """Judge the trial of one domain and act on it; returns the verdict."""
        trial, current, domain = lineup.trial, lineup.current(), lineup.domain
        if trial is None or current is None:
            return live.WAIT
        how = live.report(self._counts, domain.name, trial, current, self._context.params.challenger)
        if how.verdict == live.FAULT:
            lineup.dismiss(trial["number"])
            log.error("%s: %s is withdrawn: %s", domain.name, trial["digest"][:12], how.why)
            self._withdraw(lineup, trial["number"], how)
        elif how.verdict == live.GOOD and self._context.params.challenger.promote:
            deployment.promote_challenger(self._context, domain, how.evidence)
            log.info("%s: %s is deployed: %s", domain.name, trial["digest"][:12], how.why)
        return how.verdict

    def _withdraw(self, lineup: LineUp, number: int, how: live.Report) -> None:
        """Write the withdrawal; while a run holds the workspace, again and again: this process asks it no more."""
        while not self._stop.is_set():
            try:
                record = records.challenge(self._context.store, lineup.domain)
                if record is not None and record["number"] == number:
                    deployment.withdraw(self._context, lineup.domain, how.why, how.evidence)
                return
            except LockedError:
                self._stop.wait(self._context.params.challenger.check_seconds)
            except EcomineError as error:
                log.error("%s: the withdrawal cannot be written: %s", lineup.domain.name, error)
                return
