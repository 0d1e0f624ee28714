"""Off-policy evaluation on the Open Bandit data: what one policy's log says about the other's click rate.

Protocol: 10,000 impressions of a uniform policy and 10,000 of Thompson sampling, in the same week; from the log of one
the click rate of the other is estimated, by every estimator of `policy_value`, and held against the mean click of the
other's own log (42 and 38 clicks: that truth is known to 12–16 % only). Thompson sampling moved during the week and
logged the probability of what it chose, not of what it did not: as a target it is its average over the week at each of
the three places, told by how often it chose each product, shrunk towards the product's share at all places by `PRIOR`
impressions. As a logging policy its own logged probabilities are taken. The model of rewards is a ridge-penalised
logistic regression on product, place, product features, visitor features and affinity, cross-fitted. Intervals (95 %)
redraw impressions, and the log that the target policy is told from, and fit the model anew each time. Which estimator
is believed is told by a rule that does not look at the answer: the least estimated mean squared error
(`policy_value.least_risk`). The figures of each estimator had been seen when the rule was taken; it was not chosen by
them but in rehearsals, which are part of the run: the visitors, the uniform log and the target policy as they are, but
clicks drawn by laws that are known, `--rehearsals` of them, which differ in how much products, tastes and visitors
matter and in how far the policy favours what is clicked. There the mean relative errors of all estimators and of three
rules are told: least risk, the narrowest interval among estimators that need no model to be right (ips, snips, dr), and
SLOPE. Below an effective sample of `LEAST` no claim is made: at click rates of .004 fewer decisions hold too few
clicks. References: IPW .084, DM .156, DR .126 as relative errors. LinUCB and Thompson sampling are replayed on the
uniform log.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import optimize, special

from benchmarks.report import Row, report
from ecomine import policy_value
from ecomine.ads.bandits import BANDITS
from ecomine.ads.bases import Lines
from ecomine.ads.encoding import Design

ITEMS, PLACES = 80, 3
PRIOR = 50.0
LEAST = 1000.0
BATCH = 500
FOLDS = 3
SAMPLES = 200
PENALTY = 10.0
BAR = 0.13
REFERENCES = {"ips": 0.084, "dm": 0.156, "dr": 0.126}
UNBIASED = ("ips", "snips", "dr")
LEAST_RISK, NARROWEST, SLOPE = "least risk", "narrowest unbiased", "SLOPE"
VISITOR = [f"user_feature_{k}" for k in range(4)]


def read(folder: Path) -> tuple[dict[str, pd.DataFrame], pd.DataFrame]:
    paths = {name: folder / "open_bandit" / f"{name}_all.parquet" for name in ("random", "bts", "item_context")}
    for path in paths.values():
        if not path.exists():
            sys.exit(f"{path} is not there; put it there or name the folder that has open_bandit with --data.")
    frames = {name: pd.read_parquet(path) for name, path in paths.items()}
    items = frames.pop("item_context").sort_values("item_id", ignore_index=True)
    return {name: frame.sort_values("timestamp", ignore_index=True) for name, frame in frames.items()}, items


def average_policy(log: pd.DataFrame) -> np.ndarray:
    """Places × products: how often each was chosen."""
    count = np.zeros((PLACES, ITEMS))
    np.add.at(count, (log["position"].to_numpy() - 1, log["item_id"].to_numpy()), 1.0)
    overall = (count.sum(axis=0) + 1) / (count.sum() + ITEMS)
    return np.asarray((count + PRIOR * overall) / (count.sum(axis=1, keepdims=True) + PRIOR))


class Rewards:
    """Columns on which a click may depend: of the visitor and the place (rows), of the product, and their affinity."""

    def __init__(self, log: pd.DataFrame, items: pd.DataFrame) -> None:
        self.place, self.shown = log["position"].to_numpy() - 1, log["item_id"].to_numpy()
        self.affinity = log[[f"user-item_affinity_{k}" for k in range(ITEMS)]].to_numpy(float)
        visitor = log[VISITOR].assign(place=log["position"].astype(str))
        product = items.assign(item_id=items["item_id"].astype(str))
        self.visitor, self.product = (_standard(frame) for frame in (visitor, product))
        self.click = log["click"].to_numpy(float)
        parts = (self.visitor, self.product[self.shown], self.affinity[np.arange(len(log)), self.shown][:, None])
        self.seen = np.hstack(parts)
        self.part = np.random.default_rng(0).permutation(len(log)) % FOLDS

    def told(self, weight: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Predicted click of what was shown, and its average over what the target policy shows; cross-fitted."""
        predicted, expected = np.empty(len(self.click)), np.empty(len(self.click))
        width, inner = self.visitor.shape[1], self.product.shape[1]
        for fold in range(FOLDS):
            here = self.part == fold
            kept = ~here & (weight > 0)
            model = Lines(True, PENALTY).fit(self.seen[kept], self.click[kept], weight[kept])
            visitor, product = model.slope[:width], model.slope[width : width + inner]
            odds = model.level + (self.visitor[here] @ visitor)[:, None] + self.product @ product
            chance = special.expit(odds + model.slope[-1] * self.affinity[here])
            predicted[here] = chance[np.arange(here.sum()), self.shown[here]]
            expected[here] = (chance * target[self.place[here]]).sum(axis=1)
        return predicted, expected


def _standard(frame: pd.DataFrame) -> np.ndarray:
    design = Design().fit(frame)
    return design.straight(design.raw(frame))


def judged(log: pd.DataFrame, items: pd.DataFrame, follow: Callable[[np.random.Generator | None], np.ndarray]) -> tuple:
    """Every estimator's value of the target policy, its values in bootstrap samples, the log, and the pick.

    `follow` gives the target policy, drawn anew where it is itself learnt from a log.
    """
    rewards = Rewards(log, items)
    propensity, everyone = log["propensity_score"].to_numpy(float), np.arange(len(log))

    def seen(rows: np.ndarray, target: np.ndarray) -> policy_value.Log:
        predicted, expected = rewards.told(np.bincount(rows, minlength=len(log)).astype(float), target)
        return policy_value.Log(
            rewards.click[rows], propensity[rows], target[rewards.place, rewards.shown][rows], predicted[rows],
            expected[rows],
        )  # fmt: skip

    random, whole = np.random.default_rng(1), seen(everyone, follow(None))
    drawn = [
        contributions(seen(random.integers(0, len(log), len(log)), follow(random)))[0]
        for _ in range(SAMPLES if whole.effective >= LEAST else 0)
    ]
    return contributions(whole)[0], np.array(drawn), whole.effective, policy_value.least_risk(whole)


def slope(low: np.ndarray, high: np.ndarray) -> int:
    """The narrowest interval that still meets all wider ones: variance is cut as long as no bias shows.

    Source: Su, Srinath and Krishnamurthy, Adaptive estimator selection for off-policy evaluation (2020), SLOPE.
    """
    order = np.argsort(low - high, kind="stable")
    meets = np.maximum.accumulate(low[order]) <= np.minimum.accumulate(high[order])
    return int(order[np.flatnonzero(np.cumprod(meets))[-1]])


def contributions(log: policy_value.Log) -> tuple[np.ndarray, np.ndarray]:
    """Every estimator's value and its standard error."""
    values = np.stack([estimate(log) for estimate in policy_value.ESTIMATORS.values()])
    return values.mean(axis=1), values.std(axis=1) / len(log.reward) ** 0.5


def rehearsed(log: pd.DataFrame, items: pd.DataFrame, target: np.ndarray, count: int) -> dict[str, float]:
    """Mean relative error of each estimator and rule where clicks are drawn by known laws; see the protocol."""
    names, errors = list(policy_value.ESTIMATORS), []
    rewards = Rewards(log, items)
    liked = np.log(target.mean(axis=0) * ITEMS)
    liked = (liked - liked.mean()) / liked.std()
    row, everyone = np.arange(len(log)), np.ones(len(log))
    for number in range(count):
        random = np.random.default_rng([7, number])
        product = random.uniform(0, 0.5) * liked + random.uniform(0, 0.6) * random.normal(size=ITEMS)
        product += _mixed(rewards.product, random, 0.2)
        odds = product + _mixed(rewards.visitor, random, 0.5)[:, None]
        odds += random.uniform(0, 0.1) * np.clip(rewards.affinity, -3, 8)
        rate = random.uniform(0.003, 0.006)
        level = optimize.brentq(lambda level, odds=odds, rate=rate: special.expit(odds + level).mean() - rate, -20, 5)
        chance = special.expit(odds + level)
        truth = float((chance * target[rewards.place]).sum(axis=1).mean())
        rewards.click = (random.random(len(log)) < chance[row, rewards.shown]).astype(float)
        predicted, expected = rewards.told(everyone, target)
        one = policy_value.Log(
            rewards.click, log["propensity_score"].to_numpy(float), target[rewards.place, rewards.shown], predicted,
            expected,
        )  # fmt: skip
        found, error = contributions(one)
        picks = {
            LEAST_RISK: names.index(policy_value.least_risk(one)),
            NARROWEST: min((names.index(name) for name in UNBIASED), key=lambda at: error[at]),
            SLOPE: slope(found - 1.96 * error, found + 1.96 * error),
        }
        value = dict(zip(names, found, strict=True)) | {rule: found[at] for rule, at in picks.items()}
        errors.append({name: abs(one - truth) / truth for name, one in value.items()})
    return {str(name): float(mean) for name, mean in pd.DataFrame(errors).mean().items()}


def _mixed(columns: np.ndarray, random: np.random.Generator, most: float) -> np.ndarray:
    """A linear score of the columns, of a spread drawn up to `most`."""
    score = columns @ random.normal(size=columns.shape[1])
    return np.asarray(random.uniform(0, most) * score / max(float(score.std()), 1e-9))


def replayed(log: pd.DataFrame, name: str) -> policy_value.Estimate:
    """Click rate of a bandit that learns from the uniform log as it goes: each batch judges what the earlier taught.

    Every logged impression teaches, whatever the bandit would have shown: the log is uniform. Snips on the chances with
    which the bandit would have shown what was shown.
    """
    visitor = _standard(log[VISITOR].assign(place=log["position"].astype(str)))
    context = np.hstack([np.ones((len(log), 1)), visitor])
    item, click = log["item_id"].to_numpy(), log["click"].to_numpy(float)
    # A click is rare: without strong shrinkage one click would make an arm. Doubt is in units of a reward's deviation.
    doubt = {"linucb": {"alpha": 2 * float(click.std())}, "thompson": {"noise": float(click.std())}}
    bandit = BANDITS[name](ITEMS, context.shape[1], ridge=50.0, seed=0, **doubt[name])
    target = np.empty(len(log))
    for start in range(0, len(log), BATCH):
        rows = slice(start, start + BATCH)
        chance = bandit.chances(context[rows])
        target[rows] = chance[np.arange(len(chance)), item[rows]]
        bandit.learn(context[rows], item[rows], click[rows])
    decisions = policy_value.Log(click, log["propensity_score"].to_numpy(float), target)
    return policy_value.estimate(decisions, "snips")


def main() -> None:
    """Estimate in both directions and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--rehearsals", type=int, default=30, help="logs with drawn clicks, to compare rules on")
    arguments = parser.parse_args()
    logs, items = read(arguments.data)

    def bts(random: np.random.Generator | None) -> np.ndarray:
        log = logs["bts"]
        return average_policy(log if random is None else log.iloc[random.integers(0, len(log), len(log))])

    follow = {"bts": bts, "random": lambda random: np.full((PLACES, ITEMS), 1 / ITEMS)}
    names, rows = list(policy_value.ESTIMATORS), []
    for name, error in rehearsed(logs["random"], items, bts(None), arguments.rehearsals).items():
        rows.append(Row(f"rehearsals: mean relative error, {name}", error))
    for source, aim in (("random", "bts"), ("bts", "random")):
        truth, direction = float(logs[aim]["click"].mean()), f"{source} → {aim}"
        found, drawn, effective, believed = judged(logs[source], items, follow[aim])
        rows.append(Row(f"{direction}: effective decisions", effective, LEAST))
        rows.append(Row(f"{direction}: claims made", float(effective >= LEAST)))
        if effective < LEAST:
            print(
                f"{direction}: no claim: the log of {len(logs[source]):,} decisions is worth {effective:.0f} for this "
                f"policy, and at least {LEAST:.0f} are needed."
            )
            continue
        low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
        error = np.abs(found - truth) / truth
        for at, name in enumerate(names):
            rows += [
                Row(f"{direction}: {name}, click rate", float(found[at]), truth),
                Row(f"{direction}: {name}, low", float(low[at])),
                Row(f"{direction}: {name}, high", float(high[at])),
                Row(f"{direction}: {name}, relative error", float(error[at]), REFERENCES.get(name)),
            ]
        covered = (low <= truth) & (truth <= high)
        plain = min((names.index(name) for name in UNBIASED), key=lambda at: high[at] - low[at])
        picked = slope(low, high)
        rows += [
            Row(f"{direction}: intervals that hold the truth", float(covered.mean()), 1.0),
            Row(f"{direction}: {NARROWEST} ({names[plain]}), rel. error", float(error[plain])),
            Row(f"{direction}: {SLOPE} ({names[picked]}), rel. error", float(error[picked])),
            Row(
                f"{direction}: picked by {LEAST_RISK} ({believed}), rel. error",
                float(error[names.index(believed)]),
                BAR,
            ),
        ]
    uniform = float(logs["random"]["click"].mean())
    for name in BANDITS:
        one = replayed(logs["random"], name)
        rows += [
            Row(f"{name} replayed on random: click rate", one.value, uniform),
            Row(f"{name} replayed on random: low", one.low),
            Row(f"{name} replayed on random: high", one.high),
            Row(f"{name} replayed on random: effective decisions", one.effective, policy_value.LEAST_EFFECTIVE),
        ]
    report("ope_open_bandit", "10,000 impressions each way, click rate", rows)


if __name__ == "__main__":
    main()
