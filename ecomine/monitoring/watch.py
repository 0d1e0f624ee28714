"""A look at everything that is deployed: windows that are due are measured, alarms follow from them."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from ecomine import layout
from ecomine.deployment import bundle, records
from ecomine.domain import Domain
from ecomine.domains import DOMAINS
from ecomine.errors import SettingsError
from ecomine.monitoring import health, matured, reference, signals, state
from ecomine.monitoring.state import Signal, State
from ecomine.monitoring.windows import raised

if TYPE_CHECKING:
    from ecomine.stages import Context

SHOP = "shop"
"""In place of a domain: what is about the data and the answers of all."""

RETRAIN = (signals.TABLES, reference.FEATURES, reference.SCORES, signals.HABITS, signals.LIVE, matured.MONEY,
           matured.PERFORMANCE)  # fmt: skip
"""Reasons that a new version may help against."""

MATURED = "matured"


@dataclass(frozen=True)
class Alarm:
    """What is out of the ordinary with a domain, or with the shop, and whether training again may help."""

    domain: str
    version: str
    reason: str
    name: str
    window: str
    why: str
    retrain: bool


@dataclass(frozen=True)
class Watched:
    """What is known of a domain at its newest window. `note`: why there is nothing yet."""

    domain: str
    version: str
    window: str
    signals: list[Signal]
    alarms: list[Alarm]
    note: str = ""


@dataclass(frozen=True)
class Look:
    """What one run of monitoring has found."""

    as_of: datetime
    measured: int
    watched: list[Watched]

    @property
    def alarms(self) -> list[Alarm]:
        return [alarm for one in self.watched for alarm in one.alarms]

    @property
    def drifted(self) -> dict[str, list[Alarm]]:
        """Domains that should be trained again, and why."""
        found: dict[str, list[Alarm]] = {}
        for alarm in self.alarms:
            if alarm.retrain:
                found.setdefault(alarm.domain, []).append(alarm)
        return found

    def document(self) -> dict[str, Any]:
        """For metrics/monitoring.json."""
        return {
            "as_of": self.as_of,
            "alarms": [asdict(alarm) for alarm in self.alarms],
            "domains": {
                one.domain: {
                    "version": one.version or None, "window": one.window or None, "note": one.note,
                    "signals": [asdict(signal) for signal in one.signals],
                }
                for one in self.watched
            },
        }  # fmt: skip


def monitor(context: "Context", as_of: datetime | None = None) -> Look:
    """Measure the windows that are due up to `as_of` (the newest data), and tell what is up.

    Running again measures nothing again. Raises SettingsError for a moment that the data does not reach.
    """
    newest = context.as_of
    moment = as_of or newest
    if moment > newest:
        raise SettingsError(f"The data ends at {newest:%Y-%m-%d %H:%M}; {moment:%Y-%m-%d %H:%M} lies after it.")
    if context.params.monitoring.bad_windows > context.params.monitoring.windows:
        raise SettingsError("`monitoring.bad_windows` is greater than `monitoring.windows`; no alarm could be.")
    kept = State(context.store)
    with kept.alone():
        before = kept.lines()
        measured = 0
        for name in _deployed(context):
            measured += _domain(context, DOMAINS[name], moment, kept)
        measured += _shop(context, as_of is None, kept)
        lines = kept.lines() if measured else before
    names = [*_deployed(context), *([SHOP] if as_of is None else [])]
    watched = [_watched(context, name, lines, moment) for name in names]
    look = Look(moment, measured, watched)
    context.store.write_json(layout.MONITORING_REPORT, look.document())
    return look


def untold(context: "Context", look: Look) -> list[Alarm]:
    """Alarms that were not told within `again_days` of data, noted as told from now on; one a domain and reason."""
    kept, again = State(context.store), timedelta(days=context.params.monitoring.again_days)
    with kept.alone():
        last = {
            (line["domain"], line["version"], line["reason"]): datetime.fromisoformat(line["at"])
            for line in kept.lines()
            if line["kind"] == state.TOLD
        }
        found = []
        for alarm in look.alarms:
            key = (alarm.domain, alarm.version, alarm.reason)
            at = datetime.fromisoformat(alarm.window)
            if key not in last or at - last[key] >= again:
                found.append(alarm)
                last[key] = at
                kept.add({"kind": state.TOLD, "at": alarm.window, **asdict(alarm)})
    return found


def _deployed(context: "Context") -> list[str]:
    return [name for name in context.params.domains if records.current(context.store, name)]


def _domain(context: "Context", domain: Domain, moment: datetime, kept: State) -> int:
    """Measure what is due of a domain; the number of windows."""
    settings, store = context.params.monitoring, context.store
    digest = str(records.current(store, domain))
    lines = [line for line in kept.lines() if line["kind"] == state.WINDOW and line["version"] == digest]
    own = [line for line in lines if line["domain"] == domain.name]
    judged = [line for line in lines if line["domain"] == f"{domain.name} {MATURED}"]
    last = datetime.fromisoformat(own[-1]["window"]) if own else None
    folder = store.path(f"{bundle.versions(domain.name)}/{digest}")
    if bundle.damage(folder, digest):
        context.say(f"{domain.name}: {digest[:12]} is damaged and not watched; see `ecomine status`")
        return 0
    since = bundle.as_of(folder)
    ends = _due(since, last, moment, settings.window_days, settings.windows)
    if not ends and store.exists(reference.folder(domain.name, digest)):
        matures = reference.matures_days(context, domain, digest)
        if not _judging_due(since, matures, judged, moment, settings.matured_days):
            return 0
    reference.keep(context, domain, digest)
    known = reference.read(context, domain, digest)
    model, version = bundle.load(store, domain, digest)
    earlier = [signal for line in own for signal in line["signals"]]
    for end in ends:
        with reference.inputs_until(context, domain, end) as inputs:
            found = signals.measure(context, domain, model, version, known, inputs, end, earlier)
        kept.add(state.window(domain.name, digest, end.isoformat(), found))
        earlier += [asdict(signal) for signal in found]
    count = len(ends)
    if _judging_due(since, known.matures_days, judged, moment, settings.matured_days):
        with reference.inputs_until(context, domain, moment) as inputs:
            found = matured.judge(context, domain, model, version, inputs)
        kept.add(state.window(f"{domain.name} {MATURED}", digest, moment.isoformat(), found))
        count += 1
    return count


def _due(since: datetime, last: datetime | None, moment: datetime, days: int, most: int) -> list[datetime]:
    """Ends of the windows to measure, oldest first: after a version's as_of, no more than an alarm looks back at."""
    first = datetime.combine(since.date(), time()) + timedelta(days=1 if since.time() != time() else 0)
    step = timedelta(days=days)
    whole = (moment - first) // step
    ends = [first + step * number for number in range(max(whole - most, 0) + 1, whole + 1)]
    return [end for end in ends if last is None or end > last]


def _judging_due(
    since: datetime, matures: float | None, judged: list[dict[str, Any]], moment: datetime, every: int
) -> bool:
    if matures is None or moment < since + timedelta(days=matures):
        return False
    return not judged or moment - datetime.fromisoformat(judged[-1]["window"]) >= timedelta(days=every)


def _shop(context: "Context", live: bool, kept: State) -> int:
    """What is about the data and the answers of all, once an hour; nothing is known of it in the past."""
    if not live:
        return 0
    now = datetime.now(UTC).replace(tzinfo=None, minute=0, second=0, microsecond=0)
    window = now.isoformat()
    if any(
        line["kind"] == state.WINDOW and line["domain"] == SHOP and line["window"] == window for line in kept.lines()
    ):
        return 0
    # Sample data and a simulated shop lie in the past, and will not become younger.
    ageing = context.params.source == "sql" and context.params.as_of == "latest"
    found = [*health.quality(context), *health.freshness(context, now if ageing else None)]
    found += health.serving(context, now - timedelta(hours=1))
    kept.add(state.window(SHOP, "", window, found))
    return 1


def _watched(context: "Context", name: str, lines: list[dict[str, Any]], moment: datetime) -> Watched:
    """The newest readings of a domain, and the alarms that are up."""
    settings = context.params.monitoring
    digest = "" if name == SHOP else str(records.current(context.store, name))
    own = [line for line in lines if line["kind"] == state.WINDOW and line["version"] == digest]
    windows = [
        line for line in own if line["domain"] == name and (name == SHOP or line["window"] <= moment.isoformat())
    ]
    judged = [line for line in own if line["domain"] == f"{name} {MATURED}" and line["window"] <= moment.isoformat()]
    if not windows:
        return Watched(name, digest, "", [], [], "nothing has happened yet since the data that it was trained on")
    last = windows[-1]
    current = [Signal(**signal) for signal in last["signals"]]
    seen = windows[-settings.windows :]
    alarms = []
    for signal in current:
        bad = [
            any(one["bad"] for one in line["signals"] if (one["reason"], one["name"]) == (signal.reason, signal.name))
            for line in seen
        ]
        # Answers are judged by the hour and data by the day; a shop's faults do not wait for a second window.
        least = 1 if name == SHOP and signal.reason != health.SERVING else settings.bad_windows
        if raised(bad, least, 1 if least == 1 else settings.windows):
            alarms.append(_alarm(name, digest, last["window"], signal))
    if judged:
        latest = [Signal(**signal) for signal in judged[-1]["signals"]]
        current += latest
        alarms += [_alarm(name, digest, judged[-1]["window"], signal) for signal in latest if signal.bad]
    return Watched(name, digest, last["window"], current, alarms)


def _alarm(domain: str, version: str, window: str, signal: Signal) -> Alarm:
    retrain = signal.reason in RETRAIN
    return Alarm(domain, version, signal.reason, signal.name, window, signal.why, retrain)
