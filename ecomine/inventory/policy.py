"""From forecasts and stock to decisions: what to order now, up to which level, when it will run out, and why."""

from dataclasses import replace

import numpy as np
import pandas as pd

from ecomine.inventory import constraints
from ecomine.inventory.alerts import STOCK_OUT, alerts
from ecomine.inventory.law import QUANTILES
from ecomine.inventory.model import LEAD, ON_HAND, ON_ORDER, Replenisher
from ecomine.inventory.params import InventoryParams
from ecomine.inventory.policies import NEVER, Levels, policy
from ecomine.inventory.replenishment import LONGEST_COVER, days_until_out, out_dates
from ecomine.inventory.situation import KEYS, Situation

DECISION_COLUMNS = (
    *KEYS, "order_now", "order_up_to", "reorder_point", "order_quantity", "stock_known", ON_HAND, ON_ORDER,
    "stock_out_date", "cover_days", LEAD, "days", "mean", *QUANTILES, "cost", "about_to_run_out", "stock_to_clear",
    "alert", "alert_units", "alert_money", "reason",
)  # fmt: skip
"""Units; `days` are those that an order of now must last, over which mean and quantiles of demand are told.

Where the shop records no stock, `stock_known` is false, on_hand, on_order, order_now and cover_days are 0, and
`order_quantity` is what to order whenever stock and orders have fallen to the reorder point.
"""

UNKNOWN = "unknown"


def decide(model: Replenisher, frame: pd.DataFrame, params: InventoryParams) -> pd.DataFrame:
    """Decisions: columns DECISION_COLUMNS, a row an item and place, sorted.

    Raises FeatureError where a feature the model learned from is missing.
    """
    return restock(model, model.situation(frame, params), params)


def restock(model: Replenisher, situation: Situation, params: InventoryParams) -> pd.DataFrame:
    """Decisions for a situation, whose times are in the model's periods."""
    known = situation.series[ON_HAND].notna().to_numpy()
    # Levels do not depend on what is there; where that is not known nothing is ordered.
    counted = replace(situation, series=situation.series.fillna({ON_HAND: 0.0}))
    levels = policy(params.policy)(counted)
    if len(counted.series):
        units, why = constraints.order(counted, levels)
    else:
        units, why = np.zeros(0), np.zeros(0, np.int64)
    units = np.where(known, units, 0.0)
    cover = np.minimum(days_until_out(counted) * model.step, LONGEST_COVER)
    lead = counted.lead_days * model.step
    rows = counted.series[list(KEYS)].assign(
        order_now=units,
        order_up_to=levels.order_up_to,
        reorder_point=np.maximum(levels.reorder_point, 0.0),
        order_quantity=_usual_order(counted, levels),
        stock_known=known,
        on_hand=np.where(known, counted.series[ON_HAND].to_numpy(float), 0.0),
        on_order=np.where(known, counted.series[ON_ORDER].to_numpy(float), 0.0),
        stock_out_date=np.where(known, out_dates(cover, model.last_day), UNKNOWN).astype(object),
        cover_days=np.where(known, cover, 0.0),
        lead_days=lead,
        days=counted.days * model.step,
        mean=counted.law.mean,
        **{name: counted.law.quantile(float(name[1:])) for name in QUANTILES},
        cost=units * np.nan_to_num(counted.unit_cost),
        position=counted.position,
        price=counted.price,
        unit_cost=counted.unit_cost,
    )
    rows = _alerted(rows, params)
    rows["about_to_run_out"] = known & (
        (rows["cover_days"] <= params.run_out_days) | (rows["alert"] == STOCK_OUT)
    ).to_numpy(bool)
    rows["reason"] = np.where(
        known, constraints.reasons(why, counted.position, levels), _without_stock(levels, rows["order_quantity"])
    ).astype(object)
    return rows[list(DECISION_COLUMNS)].reset_index(drop=True)


def _usual_order(situation: Situation, levels: Levels) -> np.ndarray:
    """Units of an order when stock and orders have just fallen to the reorder point."""
    pack, least = constraints.packs(situation)
    wanted = np.ceil((levels.order_up_to - np.maximum(levels.reorder_point, 0.0)) / pack - 1e-9) * pack
    return np.where(levels.reorder_point > NEVER, np.maximum(wanted, least), 0.0)


def _alerted(rows: pd.DataFrame, params: InventoryParams) -> pd.DataFrame:
    """Adds alert (empty where there is none), alert_units, alert_money, stock_to_clear."""
    counted = rows[rows["stock_known"]]
    decided = counted[[*KEYS, "cover_days", "stock_out_date", "position", "order_up_to", "mean"]]
    found = alerts(decided, counted[[*KEYS, ON_HAND, LEAD, "price", "unit_cost"]], params.dead_days)
    named = {"alert": "alert", "units": "alert_units", "money": "alert_money"}
    told = found[[*KEYS, *named]].rename(columns=named)
    rows = rows.merge(told, on=list(KEYS), how="left", validate="1:1")
    rows["alert"] = rows["alert"].fillna("").astype(object)
    for name in ("alert_units", "alert_money"):
        rows[name] = rows[name].astype(float).fillna(0.0)
    return rows.assign(stock_to_clear=~rows["alert"].isin(["", STOCK_OUT]))


def _without_stock(levels: Levels, quantity: pd.Series) -> np.ndarray:
    point = pd.Series(np.maximum(levels.reorder_point, 0)).astype(np.int64).astype(str)
    units = quantity.round(2).map("{:g}".format).astype(object).reset_index(drop=True)
    text = "stock is not recorded: order " + units + " whenever stock and orders have fallen to " + point
    return np.where(levels.reorder_point < 0, "no demand expected: nothing is kept", text).astype(object)
