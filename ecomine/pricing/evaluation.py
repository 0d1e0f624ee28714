"""On the weeks after the training: how true the forecasts came, and what the suggested prices would have been worth.

Prices are suggested as of the moment before the test weeks. Nobody asked them, so what they would have sold is judged
by another demand model that has seen the test weeks alone: each week's units, at its price times the suggested factor,
by the elasticity that the judge believes in. Of each item it is drawn from the judge's belief, not its mean, so that
the spread of money over items, from which the gate's interval comes, holds the judge's doubt. Money is margin where
the cost is known, revenue where not.
"""

import numpy as np
import pandas as pd

from ecomine import metrics
from ecomine.domain import LABEL, Evaluation
from ecomine.errors import NotEnoughDataError
from ecomine.pricing import plots
from ecomine.pricing.demand import LEAST_ROWS, DemandModel, quantile
from ecomine.pricing.features import COST
from ecomine.pricing.model import THEN, Pricer
from ecomine.pricing.params import PricingParams
from ecomine.pricing.policies import Known
from ecomine.pricing.policy import items_of, suggest
from ecomine.pricing.rehearsal import learning

RECENT = 4
"""Weeks whose mean is the plain forecast."""

INTERVAL_SAMPLES = 1000


def evaluate(model: Pricer, frame: pd.DataFrame, truth: pd.DataFrame, params: PricingParams) -> Evaluation:
    """Errors of the forecasts beside plain ones, and the money an item a week at suggested and at real prices.

    Raises NotEnoughDataError where nothing was sold or too little to judge by.
    """
    if len(frame) < LEAST_ROWS or truth[LABEL].sum() <= 0:
        raise NotEnoughDataError(
            f"The test weeks hold {len(frame):,} weeks of items in which {truth[LABEL].sum():,.0f} units were sold; "
            f"expected at least {LEAST_ROWS}, with sales. Bring a longer history."
        )
    rows = model.sales(frame)
    judge = DemandModel(params.demand, model.seed, model.threads).fit(rows, forecasts=False)
    decisions = _as_of_then(model, frame, params)
    values, sums = _money(decisions, truth, judge, len(np.unique(frame["period"])))
    forecasts = {
        "model": model.demand.predict(rows.drop(columns="units")),
        "regression": model.demand.regress(rows.drop(columns="units")),
        "log_log": _log_log(model.demand, rows),
        "recent_weeks": _recent(model.demand, rows),
    }
    results = {name: _errors(told_units, rows) for name, told_units in forecasts.items()}
    results["model"] |= sums
    told = ["item_id", "elasticity", "low", "high", "source", "naive", "category", "units"]
    both = model.told[told].merge(
        judge.elasticities()[["item_id", "elasticity"]].rename(columns={"elasticity": "judged"}), on="item_id"
    )
    drawn = {
        "weeks": rows.assign(**forecasts).groupby("period", as_index=False)[["units", *forecasts]].sum(),
        "elasticities": both,
        "demand_curve": plots.demand_curves(decisions),
        "learning": learning(decisions, params.optimiser.rules, model.seed),
    }
    return Evaluation(results, values, {name: plot for name, plot in drawn.items() if len(plot)})


def _as_of_then(model: Pricer, frame: pd.DataFrame, params: PricingParams) -> pd.DataFrame:
    """Decisions as they would have been made before the test weeks."""
    first = frame.drop_duplicates(["item_id", "location_id"])
    ahead = model.ahead(first, THEN, float(frame["period"].min()))
    return suggest(items_of(model, ahead), Known(params, model.demand, ahead.rows))


def _money(
    decisions: pd.DataFrame, truth: pd.DataFrame, judge: DemandModel, weeks: int
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Money a week by item, at suggested prices (`model`) and at those that were (`present`); and what it comes to."""
    told = judge.elasticities()
    doubt = (told["high"] - told["low"]).to_numpy(float) / (2 * quantile(judge.params.confidence))
    luck = np.random.default_rng(judge.seed).standard_normal(len(told))
    change = told["item_id"].map(decisions.set_index("item_id")["change"]).fillna(0.0).to_numpy(float)
    step = np.log1p(change)
    middle = np.exp(told["elasticity"].to_numpy(float) * step)
    # The mean over draws is that at the middle.
    drawn = middle * np.exp(doubt * luck * step - (doubt * step) ** 2 / 2)
    at = pd.Index(told["item_id"]).get_indexer(truth["item_id"])
    units, price, cost = (truth[name].to_numpy(float) for name in (LABEL, "price", COST))

    def money(factor: np.ndarray, response: np.ndarray) -> np.ndarray:
        earned = (price * factor[at] - cost) * units * response[at] / weeks
        return np.bincount(at, earned, minlength=len(told))

    same = np.ones(len(told))
    values = pd.DataFrame({"item_id": told["item_id"], "model": money(1 + change, drawn), "present": money(same, same)})
    gain, present = values["model"] - values["present"], max(float(values["present"].mean()), 1e-9)
    low, high = metrics.mean_interval(gain.to_numpy(), judge.params.confidence, INTERVAL_SAMPLES, judge.seed)
    sums = {
        "gain": float(gain.mean()) / present,
        "gain_low": low / present,
        "gain_high": high / present,
        "gain_at_the_middle": float(money(1 + change, middle).mean()) / present - 1,
        "prices_changed": float((decisions["change"] != 0).mean()),
        "costs_known": float(truth["costed"].mean()),
    }
    return values, sums


def _errors(told: np.ndarray, rows: pd.DataFrame) -> dict[str, float]:
    units = rows["units"].to_numpy(float)
    return {
        "wape": float(np.abs(told - units).sum() / units.sum()),
        "total": float(told.sum() / units.sum()),
    }


def _recent(demand: DemandModel, rows: pd.DataFrame) -> np.ndarray:
    """The mean of the last RECENT weeks before the test; the same at every price."""
    past = demand.past
    late = past.period > past.period.max() - RECENT
    return _of_series(demand, rows, past.series[late], past.units[late])


def _log_log(demand: DemandModel, rows: pd.DataFrame) -> np.ndarray:
    """log(units) on log(price), item by item, an intercept a place, with Duan's smearing (1983)."""
    past, known = demand.past, demand.known
    sold = past.units > 0
    slope = np.where(np.isfinite(demand.naive), demand.naive, 0.0)
    left = np.log(np.maximum(past.units, 1e-9)) - slope[past.item] * past.own
    level = _means(past.series[sold], left[sold], len(known.keys))
    smear = _means(past.item[sold], np.exp(left - level[past.series])[sold], len(known.items))
    item = pd.Index(known.items).get_indexer(rows["item_id"])
    series = known.keys.get_indexer(pd.MultiIndex.from_frame(rows[["item_id", "location_id"]]))
    own = np.log(rows["price"].to_numpy(float) / known.usual_price[item])
    told = smear[item] * np.exp(level[np.maximum(series, 0)] + slope[item] * own)
    return np.where(series >= 0, told, 0.0)


def _of_series(demand: DemandModel, rows: pd.DataFrame, series: np.ndarray, units: np.ndarray) -> np.ndarray:
    mean = _means(series, units, len(demand.known.keys))
    at = demand.known.keys.get_indexer(pd.MultiIndex.from_frame(rows[["item_id", "location_id"]]))
    return np.where(at >= 0, mean[np.maximum(at, 0)], 0.0)


def _means(code: np.ndarray, values: np.ndarray, count: int) -> np.ndarray:
    return np.bincount(code, values, minlength=count) / np.maximum(np.bincount(code, minlength=count), 1)
