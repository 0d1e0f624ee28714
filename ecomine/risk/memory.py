"""What a version remembers of the payments before its as_of, so that a later one can be judged at once."""

import bisect
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd

from ecomine.risk.behaviour import whole
from ecomine.risk.features import RING
from ecomine.risk.moment import Event
from ecomine.risk.ring_picture import ring_edges
from ecomine.risk.rings import LINKS, ring_nodes
from ecomine.risk.timeline import microseconds
from ecomine.risk.velocity import ENTITIES, MEMORY, MOST
from ecomine.store import write_frame

RING_ORDER = ("user_id", *LINKS)
"""The component of most people counts; of equal ones that of the first of these."""

Past = Mapping[str, Sequence[tuple[str, Event]]]
"""Entity → payments of it, with their ids, in order of time."""


class Memory:
    """The payments of the last MEMORY, by whom they were made, and the components that people belong to.

    payments: payment_id, time, amount (whole ten-thousandths) and ENTITIES, in order of time and payment_id.
    """

    def __init__(self, payments: pd.DataFrame, nodes: pd.DataFrame) -> None:
        self.payments, self.nodes = payments, nodes

    @classmethod
    def of(cls, payments: pd.DataFrame, as_of: pd.Timestamp) -> Self:
        """From all payments up to as_of, in order of time."""
        time = microseconds(payments["event_timestamp"])
        late = time > as_of.value // 1_000 - MEMORY
        part = payments[late]
        kept = pd.DataFrame({"payment_id": part["payment_id"].to_numpy(object), "time": time[late]})
        kept["amount"] = whole(part["amount"].to_numpy(float))
        for name in ENTITIES:
            kept[name] = part[name].astype(object).where(part[name].notna(), None).to_numpy(object)
        return cls(kept, ring_nodes(payments, as_of))

    def past(self, payment: Event, payment_id: str) -> dict[str, list[tuple[str, Event]]]:
        """For each entity of a payment its latest payments before it, at most MOST, in order of time."""
        (ids, events), _, _ = self._events, self._rows, self._ring
        found: dict[str, list[tuple[str, Event]]] = {}
        for name, value in zip(ENTITIES, payment[2:], strict=True):
            if value is None:
                continue
            rows = self._rows[name].get(value, ())
            end = bisect.bisect_right(rows, payment.time, key=lambda row: events[row].time)
            found[name] = [(ids[row], events[row]) for row in rows[max(end - MOST, 0) : end] if ids[row] != payment_id]
        return found

    def ring(self, payment: Event) -> list[float]:
        """RING of a payment: the counts of the greatest component that its customer, device, card, address is of."""
        best = [0.0] * len(RING)
        for kind in RING_ORDER:
            value = getattr(payment, kind)
            told = self._ring.get((kind, value)) if value is not None else None
            if told is not None and told[0] > best[0]:
                best = told
        return best

    def edges(self, rings: int = 10) -> pd.DataFrame:
        """The greatest rings as lines to draw; see `ring_edges`."""
        return ring_edges(self.payments, rings)

    def save(self, folder: Path, name: str = "memory") -> None:
        """Parquet."""
        write_frame(folder / f"{name}-payments.parquet", self.payments)
        write_frame(folder / f"{name}-nodes.parquet", self.nodes)

    @classmethod
    def load(cls, folder: Path, name: str = "memory") -> Self:
        """The inverse of `save`."""
        payments = pd.read_parquet(folder / f"{name}-payments.parquet")
        for entity in ENTITIES:
            payments[entity] = payments[entity].astype(object).where(payments[entity].notna(), None)
        memory = cls(payments, pd.read_parquet(folder / f"{name}-nodes.parquet"))
        memory.past(Event(0, 0, *[None] * len(ENTITIES)), "")  # put in order now, so that no payment waits for it
        return memory

    @cached_property
    def _events(self) -> tuple[list[str], list[Event]]:
        table = self.payments
        columns = [table[name].tolist() for name in ("time", "amount", *ENTITIES)]
        return table["payment_id"].tolist(), [Event(*row) for row in zip(*columns, strict=True)]

    @cached_property
    def _rows(self) -> dict[str, dict[str, list[int]]]:
        """Entity → its value → rows in order of time."""
        found = {}
        for name in ENTITIES:
            groups = self.payments.groupby(name, sort=False).indices
            found[name] = {str(value): np.sort(rows).tolist() for value, rows in groups.items()}
        return found

    @cached_property
    def _ring(self) -> dict[tuple[str, str], list[float]]:
        rows = self.nodes[RING].to_numpy(float).tolist()
        return dict(zip(zip(self.nodes["kind"], self.nodes["id"], strict=True), rows, strict=True))
