"""What one day hands to the next. It is a function of the seed and the days before, and can be kept in a file."""

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ecomine.errors import SettingsError
from ecomine.params import SimulationParams
from ecomine.simulation.catalogue import Catalogue
from ecomine.simulation.people import People, first_memory
from ecomine.simulation.prices import first_rivals
from ecomine.simulation.stock import Stock, first_stock

LINES_PER_NEED = 0.55
"""Rough number of units that a need brings, for the shop's first guess at its sales."""


@dataclass
class State:
    """The shop at midnight.

    `memory_item` (people × places) is what people remember, `memory_day` when they last thought of it, `memory_bought`
    when they last bought it here (-1 for never), `memory_place` (people) where the next memory goes; `last_order_day`
    by person; `sales` the smoothed daily sales by item; `rivals` their log prices; `spent` the money of campaigns by
    number; `organic` (items × locations) the units that honest people wanted without ads on all days, and `exposure`
    the sum of the days' factors of demand; `reports` what is still to be told: payment, moment (microseconds since
    1970) and 0 for a charge-back, 1 for a default; `late` events on their way.
    """

    day: int
    memory_item: np.ndarray
    memory_day: np.ndarray
    memory_bought: np.ndarray
    memory_place: np.ndarray
    last_order_day: np.ndarray
    stock: Stock
    sales: np.ndarray
    rivals: np.ndarray
    spent: dict[int, float]
    organic: np.ndarray
    exposure: np.ndarray
    reports: np.ndarray
    late: pa.Table | None

    def save(self, folder: Path) -> None:
        """Into a folder, the same bytes for the same state."""
        folder.mkdir(parents=True, exist_ok=True)
        arrays = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("stock", "spent", "late")}
        arrays |= {f"stock_{f.name}": getattr(self.stock, f.name) for f in fields(self.stock)}
        arrays["spent"] = np.array(sorted(self.spent.items()), float).reshape(-1, 2)
        np.savez(folder / "state.npz", **arrays)
        if self.late is not None:
            pq.write_table(self.late, folder / "late.parquet")

    @classmethod
    def load(cls, folder: Path) -> "State":
        """The state that `save` wrote; raises SettingsError where an earlier version of the simulator did."""
        with np.load(folder / "state.npz", allow_pickle=False) as arrays:
            held = dict(arrays)
        missing = {f.name for f in fields(cls)} - {"stock", "late"} - set(held)
        if missing:
            raise SettingsError(
                f"{folder} was written by an earlier version of the simulator (without {', '.join(sorted(missing))}); "
                "its shop cannot be continued. Choose another folder with --out, or replace it: --force."
            )
        stock = Stock(*(held.pop(f"stock_{f.name}") for f in fields(Stock)))
        spent = {int(number): float(money) for number, money in held.pop("spent")}
        late = folder / "late.parquet"
        return cls(
            day=int(held.pop("day")),
            stock=stock,
            spent=spent,
            late=pq.read_table(late) if late.is_file() else None,
            **held,
        )


def first_state(params: SimulationParams, goods: Catalogue, folk: People) -> State:
    """The shop before its first day."""
    memory_item, memory_day = first_memory(params, folk, goods)
    visits = params.users * 0.6 * params.visits_per_year / 365.25
    units = visits * params.needs_per_visit * 1.5 * LINES_PER_NEED
    return State(
        day=0,
        memory_item=memory_item,
        memory_day=memory_day,
        memory_bought=np.full_like(memory_day, -1),
        memory_place=np.full(folk.users, memory_item.shape[1] // 2),
        last_order_day=np.full(folk.users, -10_000),
        stock=first_stock(params, goods, units),
        sales=units * goods.guess / goods.guess.sum(),
        rivals=first_rivals(params, goods),
        spent={},
        organic=np.zeros((goods.items, params.locations), np.int64),
        exposure=np.zeros((goods.items, params.locations)),
        reports=np.zeros((0, 3), np.int64),
        late=None,
    )
