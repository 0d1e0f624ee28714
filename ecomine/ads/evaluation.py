"""On campaigns that began after those learnt from: what the contacts chosen are worth, and how true scores came.

Where contacts were drawn by chance, each method's choice is judged off-policy, doubly robust, by the propensities of
the log: margin that comes, less the cost of the contacts made, less what would have come without any. Where nobody was
held back, the margin of those who answered stands for it, less costs; a purchase that would have come anyhow counts as
well, for every method alike. Each method makes as many contacts in a campaign as the model's own cut leaves it: for
the same money, whom? `frequency` takes who ordered most lately, `response` who answers most probably, `everyone` all
alike, each with the same chance; `all contacted`, in the metrics alone, spends what it takes to reach them all.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ecomine import metrics
from ecomine.ads import plots
from ecomine.ads.features import KIND
from ecomine.ads.model import Placement, calibration_error
from ecomine.ads.params import AdsParams
from ecomine.ads.randomisation import LEAST_PROPENSITY
from ecomine.ads.uplift_metrics import auuc
from ecomine.domain import LABEL, Evaluation
from ecomine.errors import NotEnoughDataError

ORDERS = "user_snapshot__orders_"
SHARES = np.arange(0.05, 1.0001, 0.05)
INTERVAL_SAMPLES = 1000


def evaluate(model: Placement, frame: pd.DataFrame, truth: pd.DataFrame, params: AdsParams) -> Evaluation:
    """Average precision, calibration and ranking of scores; money a person by method.

    Raises NotEnoughDataError where there is no contact or no purchase.
    """
    if frame.empty or truth[LABEL].sum() <= 0:
        raise NotEnoughDataError(
            f"The test campaigns hold {len(frame):,} contacts, {truth[LABEL].sum():,.0f} with a purchase; some of both "
            "are needed. Bring a longer history, or change ads.test_days."
        )
    scored = model.score(frame)
    methods = choices(scored, frame, params, model)
    treated = truth["treated"].to_numpy(float)
    cost = np.where(truth["cost"] >= 0, truth["cost"], scored["cost"]) * treated
    reward = truth["money"].to_numpy(float) - cost
    if model.claims:
        chance, with_it, without = _expected(scored, truth, treated)
        gain = _gains(reward, treated, chance, with_it, without)
    else:
        gain = (truth["money"] - np.where(truth["cost"] >= 0, truth["cost"], scored["cost"])).to_numpy(float)
    user, names = pd.factorize(truth["user_id"], sort=True)
    money = {name: np.bincount(user, share * gain, len(names)) for name, share in methods.items()}
    values = pd.DataFrame({"user_id": names, **money})
    scores = {
        "model": scored["uplift"].to_numpy(float) * scored["value"].to_numpy(float) - scored["cost"].to_numpy(float),
        "response": scored["response"].to_numpy(float),
        "frequency": frequency(frame),
    }
    found = {name: _ranking(score, truth, treated) for name, score in scores.items()}
    found["everyone"] = {}
    found["model"] |= _trueness(scored, truth, treated)
    for name, share in methods.items():
        found[name] = found.get(name, {}) | _worth(values[name], model.seed)
        found[name] |= {"contacts": float(share.sum()), "spent": float((share * scored["cost"]).sum())}
    found["all contacted"] = {"value": float(np.bincount(user, gain, len(names)).mean())}
    drawn = _drawn(scores, scored, truth, treated, gain, methods)
    drawn |= {"budget": plots.budget(scored, gain), "campaigns": plots.campaigns(model)}
    if model.claims:
        drawn["qini"] = plots.qini(scores, treated, truth[LABEL].to_numpy(float))
        drawn["off_policy"] = plots.off_policy(reward, treated, chance, with_it, without, user, methods, model.seed)
    return Evaluation(found, values, {name: plot for name, plot in drawn.items() if len(plot)})


def choices(scored: pd.DataFrame, frame: pd.DataFrame, params: AdsParams, model: Placement) -> dict[str, np.ndarray]:
    """Method → probability with which it makes each contact; of every campaign as many as the model."""
    profit = (scored["uplift"] * scored["value"] - scored["cost"]).to_numpy(float)
    least = np.maximum(scored["cut"].to_numpy(float), params.rules.least_profit)
    chosen = (profit >= least) & (profit > params.rules.least_profit)
    campaign = pd.factorize(scored["campaign_id"], sort=True)[0]
    count = np.bincount(campaign, chosen.astype(float))
    size = np.bincount(campaign)
    found, rivals = {"model": chosen.astype(float)}, {"frequency": frequency(frame)}
    if model.claims:  # where it does not, the model is the response model
        rivals["response"] = (scored["response"] * scored["value"] - scored["cost"]).to_numpy(float)
    for name, score in rivals.items():
        found[name] = (_places(campaign, score, model.seed) < count[campaign]).astype(float)
    return found | {"everyone": (count / size)[campaign]}


def frequency(frame: pd.DataFrame) -> np.ndarray:
    """Orders in the longest window that the features have; 0 where nothing is known."""
    windows = [str(name) for name in frame.columns if str(name).startswith(ORDERS) and str(name).endswith("d")]
    if not windows:
        return np.zeros(len(frame))
    longest = max(windows, key=lambda name: int(name.removeprefix(ORDERS).removesuffix("d")))
    return frame[longest].fillna(0.0).to_numpy(float)


def _places(group: np.ndarray, score: np.ndarray, seed: int) -> np.ndarray:
    """Place from 0 of each row in its group, the greatest score first, ties by lot."""
    lot = np.random.default_rng(seed).random(len(score))
    order = np.lexsort((lot, -score, group))
    first = np.unique(group[order], return_index=True)[1]
    places = np.empty(len(score), np.int64)
    places[order] = np.arange(len(score)) - first[group[order]]
    return places


def _expected(
    scored: pd.DataFrame, truth: pd.DataFrame, treated: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The probability with which each contact was made, and the money expected with it and without it."""
    chance = truth["propensity"].to_numpy(float)
    chance = np.where(chance < 0, treated.mean(), chance)
    value, response = scored["value"].to_numpy(float), scored["response"].to_numpy(float)
    with_it = response * value - scored["cost"].to_numpy(float)
    without = np.maximum(response - scored["uplift"].to_numpy(float), 0.0) * value
    return np.clip(chance, LEAST_PROPENSITY, 1 - LEAST_PROPENSITY), with_it, without


def _gains(
    reward: np.ndarray, treated: np.ndarray, chance: np.ndarray, with_it: np.ndarray, without: np.ndarray
) -> np.ndarray:
    """Of each contact, an unbiased estimate of what it changes: doubly robust (see `learners.pseudo_outcome`)."""
    left = np.where(treated > 0, (reward - with_it) / chance, -(reward - without) / (1 - chance))
    return np.asarray(with_it - without + left)


def _ranking(score: np.ndarray, truth: pd.DataFrame, treated: np.ndarray) -> dict[str, float]:
    from sklearn.metrics import average_precision_score, roc_auc_score

    reached, label = treated > 0, truth[LABEL].to_numpy(float)
    found = {}
    if len(np.unique(label[reached])) == 2:
        found["average_precision"] = float(average_precision_score(label[reached], score[reached]))
        found["auc"] = float(roc_auc_score(label[reached], score[reached]))
    if 0 < reached.sum() < len(reached):
        found["auuc"] = auuc(score, treated, label)
    return found


def _trueness(scored: pd.DataFrame, truth: pd.DataFrame, treated: np.ndarray) -> dict[str, float]:
    from sklearn.metrics import log_loss

    reached = treated > 0
    label, told = truth[LABEL].to_numpy(float)[reached], scored["response"].to_numpy(float)[reached]
    return {
        "log_loss": float(log_loss(label, np.clip(told, 1e-9, 1 - 1e-9), labels=[0, 1])),
        "calibration_error": calibration_error(told, label),
        "expected_share": float(told.mean()),
        "true_share": float(label.mean()),
    }


def _worth(values: pd.Series, seed: int) -> dict[str, float]:
    low, high = metrics.mean_interval(values.to_numpy(float), 0.95, INTERVAL_SAMPLES, seed)
    return {"value": float(values.mean()), "value_low": low, "value_high": high}


def _drawn(
    scores: Mapping[str, np.ndarray],
    scored: pd.DataFrame,
    truth: pd.DataFrame,
    treated: np.ndarray,
    gain: np.ndarray,
    methods: Mapping[str, np.ndarray],
) -> dict[str, pd.DataFrame]:
    reached = treated > 0
    label, curves = truth[LABEL].to_numpy(float), []
    for kind, here in truth.groupby(KIND, sort=True).indices.items():
        own = here[reached[here]]
        for name, score in scores.items():
            hits = np.cumsum(label[own][_order(score[own])])
            at = np.maximum(np.round(SHARES * len(own)).astype(int), 1) - 1
            if len(own):
                part = hits[at] / max(hits[-1], 1)
                curves.append(pd.DataFrame({KIND: kind, "method": name, "share": SHARES, "responses": part}))
    by_kind = pd.DataFrame({KIND: truth[KIND], **{name: share * gain for name, share in methods.items()}})
    return {
        "targeting": pd.concat(curves, ignore_index=True),
        "calibration": metrics.calibration(scored["response"].to_numpy(float)[reached], label[reached], 10),
        "kinds": by_kind.groupby(KIND, as_index=False, sort=True).sum(),
    }


def _order(score: np.ndarray) -> np.ndarray:
    """The greatest first; ties by lot, so that the order of rows tells nothing."""
    return np.lexsort((np.random.default_rng(0).random(len(score)), -score))
