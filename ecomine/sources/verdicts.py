"""Verdicts of analysts on payments: a file beside the shop's own, and labels of the next run.

A line is a verdict; lines are only ever added, so the file is its own history. Of several verdicts on a payment the
latest holds. It holds against the source as well, unless that tells later that the payment was fraud: that nobody
complained is no verdict.
"""

import fcntl
import json
import os
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from ecomine.errors import SourceError
from ecomine.store import sync

FILE = "verdicts/verdicts.jsonl"
"""In the folder `raw`."""

TABLE = "payments"


@dataclass(frozen=True)
class Verdict:
    """What somebody found out about a payment, and when (UTC)."""

    payment_id: str
    is_fraud: bool
    label_timestamp: datetime

    def line(self) -> str:
        return json.dumps({**asdict(self), "label_timestamp": self.label_timestamp.isoformat()}, sort_keys=True) + "\n"


def read(raw: Path) -> dict[str, Verdict]:
    """The verdict that holds on each payment; raises SourceError for a line that is none."""
    path = raw / FILE
    if not path.is_file():
        return {}
    found: dict[str, Verdict] = {}
    for number, text in enumerate(path.read_text().splitlines(), 1):
        try:
            one = json.loads(text)
            said = Verdict(
                str(one["payment_id"]), bool(one["is_fraud"]), datetime.fromisoformat(one["label_timestamp"])
            )
        except (ValueError, KeyError, TypeError) as error:
            raise SourceError(f"Line {number} of {FILE} is no verdict ({error}). Mend it or take it out.") from error
        before = found.get(said.payment_id)
        if before is None or said.label_timestamp >= before.label_timestamp:
            found[said.payment_id] = said
    return found


def add(raw: Path, verdict: Verdict) -> tuple[Verdict, bool]:
    """Keep a verdict; the verdict that holds now, and whether anything was added.

    What is said already, or was overruled by a later verdict, is not added again. The line is on the disk before this
    returns.
    """
    path = raw / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # one writer at a time, of whatever process
        held = read(raw).get(verdict.payment_id)
        if held and (held.is_fraud == verdict.is_fraud or held.label_timestamp > verdict.label_timestamp):
            return held, False
        file.write(verdict.line())
        file.flush()
        os.fsync(file.fileno())
    sync(path.parent)
    return verdict, True


def applied(
    connection: duckdb.DuckDBPyConnection, payments: duckdb.DuckDBPyRelation, raw: Path
) -> duckdb.DuckDBPyRelation:
    """Payments whose labels heed the verdicts; the same relation where there is none."""
    verdicts = read(raw)
    if not verdicts:
        return payments
    import pandas as pd

    rows: list[dict[str, Any]] = [asdict(one) for one in verdicts.values()]
    frame = pd.DataFrame(rows).sort_values("payment_id", ignore_index=True)
    frame["label_timestamp"] = frame["label_timestamp"].astype("datetime64[us]")
    names = {f"said_{name}": name for name in frame}
    connection.from_df(frame).project(", ".join(f"{old} AS {new}" for new, old in names.items())).create(
        "verdicts_said"
    )
    payments.create_view("payments_before_verdicts", replace=True)
    holds = (
        "said_payment_id IS NOT NULL AND NOT "
        "coalesce(is_fraud AND label_timestamp > greatest(said_label_timestamp, event_timestamp), false)"
    )
    columns = {
        "is_fraud": f"CASE WHEN {holds} THEN said_is_fraud ELSE is_fraud END AS is_fraud",
        "label_timestamp": f"CASE WHEN {holds} THEN said_label_timestamp ELSE label_timestamp END AS label_timestamp",
    }
    wanted = ", ".join(columns.get(name, f'"{name}"') for name in payments.columns)
    return connection.sql(
        f"SELECT {wanted} FROM payments_before_verdicts LEFT JOIN verdicts_said ON payment_id = said_payment_id"
    )
