"""Features of payments, point in time: what was known about card, device, person and place when each was made."""

import re
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from ecomine.columns import require
from ecomine.errors import FeatureError, SettingsError
from ecomine.risk.behaviour import DAY, HOUR, SECOND, STRANGE, Moments, pair, short, surprise, use
from ecomine.risk.reputation import Verdicts, reputation
from ecomine.risk.timeline import NEVER, Clock, coded, microseconds

ENTITIES = ("card_id", "user_id", "device_id", "ip", "address_id", "location_id", "terminal_id")
"""Columns that may name who or what takes part in a payment, the payer's first."""

WINDOWS = ("10m", "1h", "1d", "7d", "30d")
LABEL_WINDOWS = ("1d", "7d", "30d")

_UNITS = {"m": 60 * SECOND, "h": HOUR, "d": DAY, "w": 7 * DAY}


def lengths(windows: Sequence[str]) -> dict[str, int]:
    """Windows such as 10m, 1h, 7d or 2w in microseconds; raises SettingsError for others.

    >>> lengths(["10m", "1d"])
    {'10m': 600000000, '1d': 86400000000}
    """
    found = {window: re.fullmatch(r"([1-9]\d*)([mhdw])", window) for window in windows}
    wrong = [window for window, match in found.items() if match is None]
    if wrong:
        raise SettingsError(f"The window {wrong[0]!r} is not a number of m, h, d or w; write 10m, 1h, 7d or 2w.")
    return {window: int(match[1]) * _UNITS[match[2]] for window, match in found.items() if match is not None}


def payment_features(
    payments: pd.DataFrame,
    asked: np.ndarray | None = None,
    windows: Sequence[str] = WINDOWS,
    label_windows: Sequence[str] = LABEL_WINDOWS,
    judged: Sequence[str] = ENTITIES,
) -> pd.DataFrame:
    """Features of the payments that are `asked` for (flags; all of them by default), in their order, as float32.

    payments: `payment_id`, `event_timestamp`, `amount`, at least one of ENTITIES, and where labels are known `is_fraud`
    with `label_timestamp`: all payments that may have been known. A payment uses the payments until its own moment
    and the labels that became known by then, never its own. judged: entities whose
    known labels are told. Raises FeatureError where a column is missing.
    """
    entities = [name for name in ENTITIES if name in payments.columns]
    require(payments.columns, ("payment_id", "event_timestamp", "amount"), "payments")
    if not entities:
        raise FeatureError(f"The payments have none of {', '.join(ENTITIES)}; bring at least one of them.")
    order = np.lexsort((payments["payment_id"].to_numpy(), microseconds(payments["event_timestamp"])))
    flags = np.ones(len(payments), bool) if asked is None else np.asarray(asked, bool)
    rows = np.flatnonzero(flags[order])
    moments, verdicts = _columns(payments.iloc[order], entities)
    columns = _features(moments, verdicts, rows, lengths(windows), lengths(label_windows), judged)
    place = np.argsort(order[rows])
    return pd.DataFrame({name: values[place].astype(np.float32) for name, values in columns.items()}).set_axis(
        payments.index[flags]
    )


def _columns(payments: pd.DataFrame, entities: Sequence[str]) -> tuple[Moments, Verdicts | None]:
    time = microseconds(payments["event_timestamp"])
    amount = payments["amount"].to_numpy(float)
    codes = {name: coded(payments[name]) for name in entities}
    if not {"is_fraud", "label_timestamp"} <= set(payments.columns):
        clock = Clock(time)
        return Moments(clock, time, clock.rank(time), amount, codes), None
    told = microseconds(payments["label_timestamp"])
    label = payments["is_fraud"]
    known = (told != NEVER) & label.notna().to_numpy()
    # A label is never known at the moment of its own payment, even where the source says so.
    told = np.where(known, np.maximum(told, time + 1), time)
    clock = Clock(time, told)
    fraud = label.where(known, False).to_numpy(bool)
    return Moments(clock, time, clock.rank(time), amount, codes), Verdicts(known, clock.rank(told), fraud)


def _features(
    moments: Moments,
    verdicts: Verdicts | None,
    rows: np.ndarray,
    windows: Mapping[str, int],
    label_windows: Mapping[str, int],
    judged: Sequence[str],
) -> dict[str, np.ndarray]:
    hour = moments.time[rows] % DAY / HOUR
    weekday = (moments.time[rows] // DAY + 3) % 7  # the first of January 1970 was a Thursday
    columns = {"amount": moments.amount[rows], "hour": hour, "weekday": weekday, "weekend": weekday >= 5}
    payer = next(iter(moments.entities))
    unusual = surprise(moments, payer)
    for name, code in moments.entities.items():
        there = code[rows] >= 0
        found = use(moments, name, rows, windows, unusual)
        if verdicts is not None and name in judged:
            found |= reputation(moments, verdicts, name, rows, label_windows)
            hidden = reputation(moments, verdicts.of_usual(unusual <= STRANGE), name, rows, label_windows)
            found |= {f"usual_{feature}": values for feature, values in hidden.items()}
        columns |= {f"{short(name)}_{feature}": _known(there, values) for feature, values in found.items()}
    for one, other in combinations(moments.entities, 2):
        found = pair(moments, one, other, rows)
        columns |= {
            f"{short(one)}_{short(other)}_{feature}": values.astype(np.float32) for feature, values in found.items()
        }
    return columns


def _known(there: np.ndarray, values: np.ndarray) -> np.ndarray:
    # In single precision at once: the columns of all entities are held together.
    return np.where(there, values, np.nan).astype(np.float32)
