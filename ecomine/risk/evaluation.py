"""On later days: how well the scores order and are calibrated, and what the decisions save within the analysts' day.

Money is what a decision saves against letting the payment through: a fraud that is blocked saves its loss, one that is
looked at most of it, an honest payment that is blocked costs, each look costs. Baselines have the same analysts: the
greatest amounts of a day, what rules hit (greatest first, within capacity; beyond it it is blocked), nothing.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ecomine import metrics
from ecomine.domain import Evaluation
from ecomine.errors import NotEnoughDataError
from ecomine.risk import plots, rules
from ecomine.risk.decisions import ALLOW, BLOCK, REVIEW, Costs
from ecomine.risk.features import DAY, FRAUD, STAKE
from ecomine.risk.model import Guard
from ecomine.risk.params import RiskParams
from ecomine.risk.policy import judge, queued

HONEST = "honest"
BINS = 10


def evaluate(model: Guard, frame: pd.DataFrame, truth: pd.DataFrame, params: RiskParams) -> Evaluation:
    """Raises NotEnoughDataError where there is nothing to judge by."""
    fraud = truth["fraud"].to_numpy(float) > 0
    if not len(frame) or not fraud.any() or fraud.all():
        raise NotEnoughDataError(
            f"The test days hold {len(frame):,} rows, {int(fraud.sum()):,} of them fraud or injected; expected some of "
            "both kinds. Bring a longer history."
        )
    told = judge(model, frame, params)
    ways = {"model": queued(told, frame, params.capacity)[0], **_baselines(told, frame, params)}
    costs = _costs(model, params)
    worth = {name: saved(action, fraud, truth["loss"].to_numpy(float), costs) for name, action in ways.items()}
    values = pd.DataFrame({"payment_id": frame["payment_id"].astype(object), **worth})
    results = {name: _figures(action, fraud, worth[name]) for name, action in ways.items()}
    for name, score in (("model", told["score"].to_numpy(float)), ("amount_first", frame[STAKE].to_numpy(float))):
        results[name] |= _ordering(score, fraud)
    if model.mode == FRAUD:
        results["model"]["expected_to_known"] = float(told["score"].sum() / fraud.sum())
    if model.credit is not None:
        results["scorecard"] = dict(zip(model.credit.report["measure"], model.credit.report["value"], strict=True))
    return Evaluation(results, values, _drawn(model, told, frame, truth, ways["model"], worth, params))


def saved(action: np.ndarray, fraud: np.ndarray, loss: np.ndarray, costs: Costs) -> np.ndarray:
    """Money that each decision saves against allowing; `loss` is what a fraud costs without the fee."""
    at_stake = np.where(fraud, costs.missed * loss + costs.fee, 0.0)
    stopped = np.where(fraud, at_stake, -(costs.blocked * loss + costs.annoyance))
    looked = costs.caught * at_stake - costs.review
    return np.select([action == BLOCK, action == REVIEW], [stopped, looked], 0.0)


def _costs(model: Guard, params: RiskParams) -> Costs:
    costs = params.costs.costs
    return costs if model.mode == FRAUD else Costs(**{**vars(costs), "fee": 0.0})


def _baselines(told: pd.DataFrame, frame: pd.DataFrame, params: RiskParams) -> dict[str, np.ndarray]:
    by_amount = _greatest(frame, np.ones(len(frame), bool), params.capacity)
    ways = {"amount_first": np.where(by_amount, REVIEW, ALLOW).astype(object)}
    if params.rules:
        hit = (told["rules"] != "").to_numpy()
        looked = _greatest(frame, hit, params.capacity)
        ways["rules"] = np.where(looked, REVIEW, np.where(hit, BLOCK, ALLOW)).astype(object)
    ways["nothing"] = np.full(len(frame), ALLOW, object)
    return ways


def _greatest(frame: pd.DataFrame, among: np.ndarray, capacity: int) -> np.ndarray:
    """Flags of the greatest amounts of each day, `capacity` of them at most."""
    number = pd.factorize(frame[DAY])[0]
    order = np.lexsort((frame["payment_id"].to_numpy(), -frame[STAKE].to_numpy(float), ~among, number))
    place = pd.Series(1, index=order).groupby(number[order]).cumsum().sort_index().to_numpy()
    return among & (place <= capacity)


def _figures(action: np.ndarray, fraud: np.ndarray, worth: np.ndarray) -> dict[str, float]:
    looked = action == REVIEW
    return {
        "saved": float(worth.sum()),
        "frauds_stopped": float((action != ALLOW)[fraud].mean()),
        "honest_blocked": float((action == BLOCK)[~fraud].mean()),
        "reviewed": float(looked.mean()),
        "precision_of_reviews": float(fraud[looked].mean()) if looked.any() else 0.0,
    }


def _ordering(score: np.ndarray, fraud: np.ndarray) -> dict[str, float]:
    from sklearn.metrics import average_precision_score, roc_auc_score

    return {
        "auc": float(roc_auc_score(fraud, score)),
        "average_precision": float(average_precision_score(fraud, score)),
    }


def _drawn(
    model: Guard, told: pd.DataFrame, frame: pd.DataFrame, truth: pd.DataFrame, action: np.ndarray,
    worth: Mapping[str, np.ndarray], params: RiskParams,
) -> dict[str, pd.DataFrame]:  # fmt: skip
    """Tables to draw: by week, by kind of fraud, calibration, rules, rings, groups of credit; those with rows alone."""
    score, fraud = told["score"].to_numpy(float), truth["fraud"].to_numpy(float) > 0
    judged = pd.DataFrame(
        {
            "week": _weeks(frame), "kind": truth["kind"].to_numpy(object), "payments": 1, "frauds": fraud.astype(int),
            "stopped": (fraud & (action != ALLOW)).astype(int), "reviewed": (action == REVIEW).astype(int),
            "honest_blocked": (~fraud & (action == BLOCK)).astype(int), "loss": np.where(fraud, truth["loss"], 0.0),
            **{f"saved_{name}": money for name, money in worth.items()},
        }
    )  # fmt: skip
    weeks = judged.drop(columns="kind").groupby("week").sum().reset_index()
    weeks["recall"] = weeks["stopped"] / weeks["frauds"].clip(lower=1)
    weeks["average_precision"] = [_precision(score, fraud, judged["week"].to_numpy() == week) for week in weeks["week"]]
    bad = judged[judged["kind"] != HONEST].drop(columns=["reviewed", "honest_blocked"])
    kinds = bad.drop(columns="week").groupby("kind").sum().reset_index()
    kinds["recall"] = kinds["stopped"] / kinds["frauds"].clip(lower=1)
    kinds_by_week = bad.groupby(["kind", "week"])[["frauds", "stopped"]].sum().reset_index()
    drawn = {"weeks": weeks, "kinds": kinds, "kinds_by_week": kinds_by_week}
    if model.mode == FRAUD:
        drawn["calibration"] = metrics.calibration(score, fraud.astype(float), BINS)
    if params.rules:
        known = model.rules(params)
        drawn["rules"] = rules.report(known, frame, fraud.astype(float), truth["loss"].to_numpy(float)).fillna(0.0)
    if model.memory is not None:
        drawn["rings"] = model.memory.edges()
    if model.credit is not None:
        drawn["scorecard"], drawn["credit_groups"] = model.credit.card.card(), model.credit.groups
    loss, costs = truth["loss"].to_numpy(float), _costs(model, params)
    blocked, looked = (saved(np.full(len(fraud), action, object), fraud, loss, costs) for action in (BLOCK, REVIEW))
    scores = {"model": score, "amount_first": frame[STAKE].to_numpy(float)}
    drawn["precision_recall"] = plots.precision_recall(scores, fraud)
    drawn["money_by_threshold"] = plots.money_by_threshold(score, blocked, looked, model.mode == FRAUD)
    drawn["drift"] = plots.drift(judged["week"].to_numpy(), score, fraud)
    return {name: plot for name, plot in drawn.items() if len(plot)}


def _weeks(frame: pd.DataFrame) -> np.ndarray:
    """Number of each row's week, from 1."""
    days = pd.to_datetime(frame[DAY])
    return ((days - days.min()).dt.days // 7 + 1).to_numpy()


def _precision(score: np.ndarray, fraud: np.ndarray, among: np.ndarray) -> float:
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(fraud[among], score[among])) if fraud[among].any() else 0.0
