"""What the API measures of itself, in the form that Prometheus reads."""

import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector

from ecomine.errors import EcomineError
from ecomine.serving.lineup import LineUp

TOGETHER = "PROMETHEUS_MULTIPROC_DIR"
"""Environment variable of a folder in which several processes count together; set before this module is imported."""

SHARED = "ECOMINE_COUNTS_SHARED"
"""Environment variable that is there where several processes of one server count in that folder."""

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Upper ends of the histogram's classes."""


class Measures:
    """Requests by address, method and status, their seconds, and what is deployed; of one application."""

    def __init__(self, lineups: Mapping[str, LineUp]) -> None:
        self._lineups = lineups
        self._registry = CollectorRegistry()
        names = ["route", "method"]
        self._requests = Counter("ecomine_requests", "requests answered", [*names, "status"], registry=self._registry)
        self._seconds = Histogram(
            "ecomine_request_seconds", "seconds an answer took", names, buckets=SECONDS, registry=self._registry
        )
        self._answers = Counter("ecomine_answers", "by step", ["domain", "step"], registry=self._registry)
        self._events = Counter("ecomine_events", "by verdict", ["verdict"], registry=self._registry)
        self._registry.register(self)
        # To find the figures of labels takes longer than to change them.
        self._kept: dict[tuple[str, str, str], tuple[Counter, Histogram]] = {}
        self._steps: dict[tuple[str, str], Counter] = {}

    def note(self, route: str | None, method: str, status: int, seconds: float) -> None:
        """One request; addresses that do not exist are counted together, whoever makes them up."""
        key = route or "none", method, str(status)
        kept = self._kept.get(key)
        if kept is None:
            kept = self._kept[key] = self._requests.labels(*key), self._seconds.labels(*key[:2])
        kept[0].inc()
        kept[1].observe(seconds)

    def answered(self, domain: str, step: str) -> None:
        """An answer of a domain, by the step of its line-up that gave it."""
        kept = self._steps.get((domain, step))
        if kept is None:
            kept = self._steps[domain, step] = self._answers.labels(domain, step)
        kept.inc()

    def judged(self, verdict: str, count: int) -> None:
        """Events that were sent: accepted, duplicate or refused."""
        self._events.labels(verdict).inc(count)

    def text(self) -> bytes:
        """All figures as text; where several processes serve together, those of all of them."""
        # The library's own variable does not tell: Feast sets it too, for a folder that nobody shares.
        if SHARED not in os.environ:
            return bytes(generate_latest(self._registry))
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        registry.register(self)
        return bytes(generate_latest(registry))

    def describe(self) -> list[GaugeMetricFamily]:
        """The library asks for names when a collector is registered; ours have none of anything else."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """What answers at this moment."""
        version = GaugeMetricFamily("ecomine_model_info", "1 for the version that answers", labels=["domain", "model"])
        age = GaugeMetricFamily(
            "ecomine_model_age_seconds", "since the moment up to which the version knows the shop", labels=["domain"]
        )
        now = datetime.now(UTC).replace(tzinfo=None)
        for domain, lineup in self._lineups.items():
            try:
                bundle = lineup.get().bundle
            except EcomineError:
                continue
            version.add_metric([domain, bundle.digest], 1)
            age.add_metric([domain], (now - bundle.as_of).total_seconds())
        yield from (version, age)
