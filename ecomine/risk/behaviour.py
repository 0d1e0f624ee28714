"""How an entity (a card, a device, a place …) is used: how often, for how much, with whom, and how unlike before."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ecomine.risk.timeline import SCALE, Clock, Timeline, greatest, paired

SECOND = 1_000_000
"""In microseconds."""

HOUR, DAY = 3_600 * SECOND, 86_400 * SECOND

FEW = 5.0
"""Payments of average spread that a habit is mixed with, so that two payments do not make one."""

SPREAD = 0.5
"""Deviation of the logarithm of amounts before anything is known about an entity."""

EVERYONE = "everyone"
"""The entity that takes part in every payment."""

STRANGE = 1.5
"""Deviations above the habit from which an amount counts as strange; amounts are skewed to the small side."""


@dataclass(frozen=True)
class Moments:
    """Payments as columns: time (microseconds), its rank on the clock, amount; the code of each entity, -1 for none."""

    clock: Clock
    time: np.ndarray
    rank: np.ndarray
    amount: np.ndarray
    entities: Mapping[str, np.ndarray]

    def line(self, code: np.ndarray) -> Timeline:
        return Timeline.of(code, self.rank, len(self.clock))


def habit(moments: Moments, name: str) -> np.ndarray:
    """How many deviations the amount of each payment lies above what the entity paid before, on a logarithmic scale.

    Mean and deviation are those of the payments at earlier moments, the deviation mixed with SPREAD as if that had been
    seen FEW times; 0 where there was none.
    """
    code = moments.entities[name]
    line = moments.line(code)
    rows = np.flatnonzero(code >= 0)
    distance = np.zeros(len(code))
    distance[rows] = _distance(moments, line, code[rows], rows)
    return distance


def surprise(moments: Moments, payer: str) -> np.ndarray:
    """Of each payment, how far its amount lies above the habit of its payer or, if that is more, of all payers."""
    everyone = {EVERYONE: np.zeros(len(moments.time), np.int64)}
    crowd = Moments(moments.clock, moments.time, moments.rank, moments.amount, everyone)
    return np.maximum(habit(moments, payer), habit(crowd, EVERYONE))


def _distance(moments: Moments, line: Timeline, code: np.ndarray, rows: np.ndarray) -> np.ndarray:
    size = np.log1p(moments.amount)
    first, here = line.before(code, 0), line.before(code, moments.rank[rows])
    total, squares = line.sums(whole(size)), line.sums(whole(size * size))
    seen = (here - first).astype(float)
    count = np.maximum(seen, 1.0)
    mean = (total[here] - total[first]) / SCALE / count
    variance = np.maximum((squares[here] - squares[first]) / SCALE / count - mean * mean, 0.0)
    spread = np.sqrt((variance * seen + SPREAD**2 * FEW) / (seen + FEW))
    return np.where(seen > 0, (size[rows] - mean) / spread, 0.0)


def whole(values: np.ndarray) -> np.ndarray:
    """Numbers in ten-thousandths, as whole numbers, of which sums are exact."""
    return np.round(values * SCALE).astype(np.int64)


def use(
    moments: Moments, name: str, rows: np.ndarray, windows: Mapping[str, int], unusual: np.ndarray
) -> dict[str, np.ndarray]:
    """How the entity `name` of the payments `rows` was used until then, the payment itself with it; columns by name.

    windows: label → microseconds. unusual: of every payment, how unlike before its amount was. Distinct
    neighbours: one is counted in a window from its first use on, if it was not in use just before, until a window's
    length after its last, so that a difference of two running counts tells how many there are at a moment.
    """
    code = moments.entities[name]
    line, asked, rank = moments.line(code), code[rows], moments.rank[rows]
    end, first, here = line.until(asked, rank), line.before(asked, 0), line.before(asked, rank)
    amount = line.sums(whole(moments.amount))
    strange = line.sums(unusual > STRANGE)
    surprises = unusual[line.order]
    seen = (here - first).astype(float)
    mean = np.divide((amount[here] - amount[first]) / SCALE, seen, where=seen > 0, out=np.full(len(rows), np.nan))
    now = moments.time[rows]
    times = np.append(moments.time[line.order], 0)
    nothing = seen == 0
    columns = {
        "payments": (end - first).astype(float),
        "age_days": np.where(nothing, 0.0, (now - times[first]) / DAY),
        "hours_since_before": np.where(nothing, np.nan, (now - times[np.maximum(here - 1, 0)]) / HOUR),
        "mean_before": mean,
        "amount_to_mean": np.divide(moments.amount[rows], mean, where=mean > 0, out=np.full(len(rows), np.nan)),
        "distance": _distance(moments, line, asked, rows),
        **_hours(moments, line, rows, first, here),
    }
    gaps = {other: _gaps(moments, code, moments.entities[other]) for other in moments.entities if other != name}
    for label, window in windows.items():
        start = line.before(asked, moments.clock.opening(window)[rank])
        columns[f"payments_{label}"] = (end - start).astype(float)
        columns[f"amount_{label}"] = (amount[end] - amount[start]) / SCALE
        columns[f"strange_{label}"] = (strange[here] - strange[np.minimum(start, here)]).astype(float)
        columns[f"surprise_{label}"] = np.maximum(greatest(surprises, np.minimum(start, here), here), -9.0)
        for other, (behind, ahead) in gaps.items():
            opened, closed = line.sums(behind >= window), line.sums(ahead >= window)
            columns[f"{short(other)}s_{label}"] = (opened[end] - opened[first] - closed[start] + closed[first]) * 1.0
    return columns


def pair(moments: Moments, one: str, other: str, rows: np.ndarray) -> dict[str, np.ndarray]:
    """How well two entities of each payment know each other: payments together, days since the first and the last."""
    code = paired(moments.entities[one], moments.entities[other])
    line, asked, rank = moments.line(code), code[rows], moments.rank[rows]
    end, first, here = line.until(asked, rank), line.before(asked, 0), line.before(asked, rank)
    now, times = moments.time[rows], np.append(moments.time[line.order], 0)
    known = (here > first) & (asked >= 0)
    columns = {
        "payments": (end - first).astype(float),
        "age_days": np.where(known, (now - times[first]) / DAY, 0.0),
        "days_since_before": np.where(known, (now - times[np.maximum(here - 1, 0)]) / DAY, np.nan),
    }
    return {name: np.where(asked >= 0, values, np.nan) for name, values in columns.items()}


def short(name: str) -> str:
    """An entity as it shows up in names of features."""
    return name.removesuffix("_id")


def _gaps(moments: Moments, one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each payment, time since the same two met before and until they meet again; -1 where either is unknown."""
    line = moments.line(paired(one, other))
    behind, ahead = np.full(len(one), -1, np.int64), np.full(len(one), -1, np.int64)
    behind[line.order], ahead[line.order] = line.gaps(moments.time)
    return behind, ahead


def _hours(
    moments: Moments, line: Timeline, rows: np.ndarray, first: np.ndarray, here: np.ndarray
) -> dict[str, np.ndarray]:
    """How far from the hours of before: 1 − cosine to their circular mean, times how alike they were (0 to 1)."""
    angle = moments.time % DAY * (2 * np.pi / DAY)
    east, north = line.sums(whole(np.cos(angle))), line.sums(whole(np.sin(angle)))
    x, y = (east[here] - east[first]) / SCALE, (north[here] - north[first]) / SCALE
    seen = np.maximum(here - first, 1)
    own = angle[rows]
    return {"hour_distance": (np.hypot(x, y) - x * np.cos(own) - y * np.sin(own)) / seen}
