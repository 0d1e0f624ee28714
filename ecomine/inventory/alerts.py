"""What a buyer must see before it is too late: shelves that will be empty before the next delivery, and dead stock.

Both are read off decisions (replenishment.DECIDED), so that other domains may read `running_out` as a table: what is
about to run out is neither recommended nor advertised.
"""

import numpy as np
import pandas as pd

from ecomine.columns import require
from ecomine.inventory.replenishment import LONGEST_COVER, NEVER_OUT
from ecomine.inventory.situation import KEYS

STOCK_OUT, DEAD = "stock-out to come", "dead stock"
ALERTS = (*KEYS, "alert", "date", "units", "money", "reason")
"""Columns of an alert: `units` that will be missed or that lie, and what they are worth."""

RUNNING_OUT = (*KEYS, "on_hand", "cover_days", "stock_out_date")
"""Columns of the table of what is about to run out."""

OLD_DAYS = 180.0


def alerts(decisions: pd.DataFrame, stock: pd.DataFrame, old_days: float = OLD_DAYS) -> pd.DataFrame:
    """Alerts, columns ALERTS, the most money first.

    `stock` has item_id, location_id, on_hand, lead_days, and price and unit_cost where known (money is then the margin
    missed, or the cost that lies). A stock-out is to come where what is on hand lasts less than the lead time and will
    not be met by what is on its way (position below the mean demand until a delivery); stock is dead where it would
    last more than `old_days` beyond what would be ordered.
    """
    rows = _joined(decisions, stock, ("on_hand", "lead_days"))
    on_hand, lead = rows["on_hand"].to_numpy(float), rows["lead_days"].to_numpy(float)
    cover, mean = rows["cover_days"].to_numpy(float), rows["mean"].to_numpy(float)
    cost = _money(rows, "unit_cost")
    margin = np.maximum(_money(rows, "price") - cost, 0.0)
    short = np.maximum(mean - rows["position"].to_numpy(float), 0.0)
    empty = (cover < lead) & (short > 0)
    lying = np.maximum(on_hand - rows["order_up_to"].to_numpy(float), 0.0)
    dead = (cover > old_days) & (lying >= 1)
    days, needed = (pd.Series(np.round(one, 1)).map("{:g}".format).astype(object) for one in (cover, lead))
    soon = rows[empty].assign(
        alert=STOCK_OUT, date=rows["stock_out_date"][empty], units=short[empty], money=(short * margin)[empty],
        reason=("lasts " + days + " days, a delivery takes " + needed)[empty],
    )  # fmt: skip
    lasts = days.where(cover < LONGEST_COVER, f"more than {LONGEST_COVER:g}")
    old = rows[dead].assign(
        alert=DEAD, date=rows["stock_out_date"][dead], units=lying[dead], money=(lying * cost)[dead],
        reason=("lasts " + lasts + " days beyond what is needed")[dead],
    )  # fmt: skip
    both = pd.concat([soon, old], ignore_index=True)
    return both.sort_values(["money", *KEYS], ascending=[False, True, True], kind="stable", ignore_index=True)[
        list(ALERTS)
    ]


def running_out(decisions: pd.DataFrame, stock: pd.DataFrame, days: float | None = None) -> pd.DataFrame:
    """What is expected to be gone within `days` (within its lead time, where null); columns RUNNING_OUT, sorted."""
    rows = _joined(decisions, stock, ("on_hand", "lead_days"))
    limit = rows["lead_days"].to_numpy(float) if days is None else days
    gone = (rows["cover_days"].to_numpy(float) < limit) & (rows["stock_out_date"] != NEVER_OUT).to_numpy()
    return rows.loc[gone, list(RUNNING_OUT)].sort_values(list(KEYS), ignore_index=True)


def _joined(decisions: pd.DataFrame, stock: pd.DataFrame, columns: tuple[str, ...]) -> pd.DataFrame:
    require(decisions.columns, (*KEYS, "cover_days", "stock_out_date", "position", "order_up_to", "mean"), "decisions")
    require(stock.columns, (*KEYS, *columns), "stock")
    told = [name for name in (*columns, "price", "unit_cost") if name in stock.columns]
    text = dict.fromkeys(KEYS, str)
    return decisions.merge(stock.astype(text)[[*KEYS, *told]], on=list(KEYS), how="inner", validate="1:1")


def _money(rows: pd.DataFrame, name: str) -> np.ndarray:
    return rows[name].fillna(0.0).to_numpy(float) if name in rows.columns else np.zeros(len(rows))
