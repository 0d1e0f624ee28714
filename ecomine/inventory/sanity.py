"""Limits that orders and forecasts must keep, whatever they are worth."""

import copy
from dataclasses import replace

import numpy as np
import pandas as pd

from ecomine.domain import Check, Inputs
from ecomine.inventory.evaluation import COVERAGE, totals
from ecomine.inventory.features import WANTED
from ecomine.inventory.following import rows_of
from ecomine.inventory.forecasting import DemandForecaster
from ecomine.inventory.forecasting.panel import PRICE, Panel
from ecomine.inventory.law import QUANTILES, DemandLaw
from ecomine.inventory.model import Replenisher
from ecomine.inventory.situation import KEYS

FACTORS = (0.6, 0.8, 1.0, 1.25, 1.6)
SERIES = 200
"""Series that behaviour is tried on at most, evenly spread."""


def check(model: Replenisher, decisions: pd.DataFrame, inputs: Inputs) -> list[Check]:
    """Every series has one sound decision, forecasts behave, and intervals hold what came."""
    due = len(model.requests())
    held, least = coverage(model), inputs.params.limits.least_coverage
    quantiles = decisions[list(QUANTILES)].to_numpy(float)
    units = decisions["order_now"].to_numpy(float)
    pack = inputs.params.pack_size
    parts = np.abs(units / pack - np.round(units / pack)) > 1e-6
    return [
        Check.none_of("series_without_decision", due - len(decisions), f"of {due:,} series have no decision"),
        Check.none_of("series_twice", int(decisions.duplicated(list(KEYS)).sum()), "series have two decisions"),
        Check.none_of(
            "quantiles_cross", int((np.diff(quantiles, axis=1) < 0).any(axis=1).sum()), "series have crossing quantiles"
        ),
        Check.none_of(
            "orders", int(((units < 0) | parts).sum()), "orders are below 0 or not in whole packs"
        ),
        Check.none_of("orders_blind", _blind(decisions), "orders or alerts rest on stock that is not recorded"),
        Check.none_of(
            "levels",
            int((decisions["order_up_to"] < decisions["reorder_point"]).sum()),
            "order-up-to levels are below their reorder point",
        ),
        Check.none_of("no_reason", int((decisions["reason"] == "").sum()), "decisions have no reason"),
        Check.none_of("dearer_sells_more", dearer_sells_more(model.forecaster), "forecasts rise with the price"),
        Check.none_of("twins_differ", twins_differ(model.forecaster), "series with the same history are told apart"),
        Check(
            "coverage", held, least, held >= least,
            f"{held:.1%} of demands until a delivery lay in their {COVERAGE:.0%} interval",
        ),
    ]  # fmt: skip


def _blind(decisions: pd.DataFrame) -> int:
    acts = (decisions["order_now"] != 0) | decisions["about_to_run_out"] | decisions["stock_to_clear"]
    return int((acts & ~decisions["stock_known"]).sum())


def coverage(model: Replenisher) -> float:
    """Share of totals of the test days, which trees and calibration have not seen, within their interval."""
    panel = model.forecaster.panel
    begin = panel.dates(np.array([panel.periods - model.test])).astype("datetime64[ns]")[0]
    wanted = rows_of(replace(panel, units=model.forecaster.units))
    told = totals(model, wanted[wanted["date"] >= begin].rename(columns={"quantity": WANTED}))
    law = DemandLaw.of(told["mean"].to_numpy(float), told["sd"].to_numpy(float))
    units = np.round(told["units"].to_numpy(float))
    low, high = law.quantile((1 - COVERAGE) / 2), law.quantile((1 + COVERAGE) / 2)
    return float(((units >= low) & (units <= high)).mean())


def _some(panel: Panel) -> np.ndarray:
    return np.unique(np.linspace(0, len(panel.keys) - 1, min(SERIES, len(panel.keys))).astype(int))


def dearer_sells_more(forecaster: DemandForecaster) -> int:
    """Series for which the forecast of some period rises somewhere on the way to a higher price."""
    panel = forecaster.panel
    if PRICE not in panel.inputs:
        return 0
    some, horizon = _some(panel), forecaster.params.horizon
    keys = panel.keys[some].to_frame(index=False)
    ahead = keys.loc[keys.index.repeat(horizon)].reset_index(drop=True)
    dates = panel.dates(np.arange(panel.periods, panel.periods + horizon)).astype("datetime64[ns]")
    ahead["date"] = np.tile(dates, len(some))
    price = np.repeat(panel.inputs[PRICE][some, -1].astype(float), horizon)
    grids = []
    for factor in FACTORS:
        told = forecaster.predict(horizon, ahead.assign(price=price * factor))["mean"].to_numpy()
        grids.append(told.reshape(-1, horizon)[some])
    rises = np.stack(grids)
    return int((rises[1:] > rises[:-1] * (1 + 1e-6) + 1e-9).any(axis=(0, 2)).sum())


def twins_differ(forecaster: DemandForecaster) -> int:
    """Series whose forecast is not that of a twin: another item of the same history, category, prices and places."""
    panel = forecaster.panel
    some = _some(panel)
    names = panel.keys[some].get_level_values("item_id").unique()[:SERIES]
    mine = panel.keys.get_level_values("item_id").isin(names)
    rows = rows_of(panel)
    own = rows[rows["item_id"].isin(names)]
    both = pd.concat([rows, own.assign(item_id=own["item_id"] + TWIN)], ignore_index=True)
    # Which classical method takes over a series was chosen series by series; it is no matter of the model.
    alike = copy.copy(forecaster)
    alike.classic = np.full_like(forecaster.classic, -1)
    moved = alike.following(both.sort_values([*KEYS, "date"], ignore_index=True))
    told = moved.predict(forecaster.params.horizon)
    place = told["item_id"].str.endswith(TWIN)
    twin = told[place].assign(item_id=told.loc[place, "item_id"].str.removesuffix(TWIN))
    first = told[told["item_id"].isin(names)]
    merged = first.merge(twin, on=[*KEYS, "date"], suffixes=("", "_twin"), validate="1:1")
    differ = np.abs(merged["mean"] - merged["mean_twin"]) > 1e-6 * (1 + merged["mean"])
    return int(merged.loc[differ, list(KEYS)].drop_duplicates().shape[0]) + int(mine.sum() * merged.empty)


TWIN = "\u0001twin"
