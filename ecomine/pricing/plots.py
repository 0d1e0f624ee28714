"""Frames to draw: demand curves. Pure functions of decisions."""

import numpy as np
import pandas as pd

from ecomine.pricing.features import COST

CURVES = 12
"""Items whose demand is drawn: those whose change brings most money, then those that bring most as they are."""

FACTORS = np.round(np.linspace(0.6, 1.4, 33), 6)
PRESENT, SUGGESTED, BETWEEN = "present", "suggested", ""


def demand_curves(decisions: pd.DataFrame, most: int = CURVES) -> pd.DataFrame:
    """Units and profit a week of some items at prices around the present one, with what the interval allows.

    `decisions` have the columns of DECISION_COLUMNS. Columns: place (1 for the item drawn first), item_id, mark
    (present, suggested or neither), price, and units and profit with `_low` and `_high`, by constant elasticity; profit
    is revenue where no cost is known. Sorted by place and price.
    """
    worth = (decisions["price"] - decisions[COST]) * decisions["units"]
    rows = decisions.assign(_gain=decisions["margin_change"].where(decisions["change"] != 0, -np.inf), _worth=worth)
    keys, rising = ["_gain", "_worth", "item_id"], [False, False, True]
    rows = rows.sort_values(keys, ascending=rising, kind="stable", ignore_index=True).head(most)
    rows = rows.assign(place=np.arange(1, len(rows) + 1))
    present, suggested = rows["price"].to_numpy(float), rows["suggested_price"].to_numpy(float)
    moved = suggested != present
    parts = [
        pd.DataFrame({"at": np.repeat(np.arange(len(rows)), len(FACTORS)), "mark": BETWEEN,
                      "price": (present[:, None] * FACTORS).ravel()}),
        pd.DataFrame({"at": np.arange(len(rows)), "mark": PRESENT, "price": present}),
        pd.DataFrame({"at": np.flatnonzero(moved), "mark": SUGGESTED, "price": suggested[moved]}),
    ]  # fmt: skip
    curve = pd.concat(parts, ignore_index=True)
    item = rows.iloc[curve.pop("at").to_numpy()].reset_index(drop=True)
    step = np.log(curve["price"] / item["price"]).to_numpy(float)
    ends = np.sort(np.column_stack([item[f"elasticity_{end}"].to_numpy(float) * step for end in ("low", "high")]))
    margin, units = (curve["price"] - item[COST]).to_numpy(float), item["units"].to_numpy(float)
    told = {"units": units * np.exp(item["elasticity"].to_numpy(float) * step)}
    told |= {f"units_{name}": units * np.exp(ends[:, at]) for at, name in enumerate(("low", "high"))}
    profit = np.sort(np.column_stack([margin * told["units_low"], margin * told["units_high"]]))
    told |= {"profit": margin * told["units"], "profit_low": profit[:, 0], "profit_high": profit[:, 1]}
    curve = pd.concat([item[["place", "item_id"]], curve, pd.DataFrame(told)], axis=1)
    first = curve["mark"] == BETWEEN
    # A price that lies on the grid is told once, by its mark.
    curve = curve.assign(_cents=curve["price"].round(6), _last=first).sort_values(["place", "_cents", "_last"])
    curve = curve.drop_duplicates(["place", "_cents", "mark"])
    double = curve.duplicated(["place", "_cents"]) & (curve["mark"] == BETWEEN)
    return curve[~double].drop(columns=["_cents", "_last"]).reset_index(drop=True)
