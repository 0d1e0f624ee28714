"""What monitoring found, for people."""

from ecomine.monitoring.watch import Look, Watched

HEADER = ("domain", "window", "reason", "what", "reading", "state")


def rows(look: Look) -> list[tuple[str, ...]]:
    """A row a reading: domain, end of its window, reason, what, the reading in words, and `ok`, `bad` or `ALARM`."""
    found: list[tuple[str, ...]] = []
    for one in look.watched:
        up = {(alarm.reason, alarm.name) for alarm in one.alarms}
        for signal in one.signals:
            state = "ALARM" if (signal.reason, signal.name) in up else "bad" if signal.bad else "ok"
            found.append((one.domain, _short(one.window), signal.reason, signal.name, signal.why, state))
        if not one.signals:
            found.append((one.domain, _short(one.window), "", "", _nothing(one), ""))
    return found


def table(look: Look) -> str:
    """The rows as a calm table, and what is up in a sentence."""
    found = [HEADER, *rows(look)]
    widths = [max(len(row[column]) for row in found) for column in range(len(HEADER))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in found]
    return "\n".join([*lines, "", told(look)])


def told(look: Look) -> str:
    """What is up, in a sentence."""
    if not look.alarms:
        return f"Nothing is out of the ordinary up to {look.as_of:%Y-%m-%d}."
    said = f"{len(look.alarms)} out of the ordinary up to {look.as_of:%Y-%m-%d}: " + "; ".join(
        f"{alarm.domain}, {alarm.name}" for alarm in look.alarms
    )
    drifted = ", ".join(look.drifted)
    return f"{said}. Time to train again: {drifted}." if drifted else f"{said}."


def _short(moment: str) -> str:
    return moment.removesuffix("T00:00:00").removesuffix(":00")


def _nothing(one: Watched) -> str:
    return one.note or "nothing to compare in this window"
