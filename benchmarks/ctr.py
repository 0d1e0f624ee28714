"""Click probability on ten million impressions: trees on features beside logistic regression on hashed columns.

Protocol: the simulator's people, products and ad law (`simulation.ads.chance`), column-wise: `--days` days, each
person visits at their own rate, and each visit shows one of `ADS` ads, of the simulator's campaigns, at a place of the
shop or elsewhere on the web, where it is clicked 0.35 times as often. The log is written a day a file and read a file
at a time. Learnt from are all days but the last fifth; of these the last two calibrate; the last fifth of the days
tests. Features are what a shop knows in the evening before: clicks and impressions so far of the person, of the person
with ads of the product's department, of the ad; beside them place, device, age, income, hour, creative. The hashed
model takes person, ad, and person with department as levels too, in 2 ** 20 columns; it is scikit-learn's SGDClassifier
(one pass). `ClickModel` is XGBoost, calibrated by a line through the log odds; the same line is told for the hashed
model. `law` is the true probability: the least log loss there can be. ECE: expected calibration error, `GROUPS` groups
of equal size. Settings were chosen on a log of another seed, of a hundred thousand impressions. Seconds are those of
fitting and of scoring the test days, two threads; peak memory is that of the whole process so far.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import special

from benchmarks.report import Row, report
from ecomine.ads.classifiers import Blocks, HashedLogistic, TreesClassifier, TreeSettings
from ecomine.ads.response import ClickModel
from ecomine.params import SimulationParams
from ecomine.simulation import ads
from ecomine.simulation.catalogue import catalogue
from ecomine.simulation.people import AGES, DEVICES, HONEST, INCOMES, people
from ecomine.simulation.randomness import stream

ADS, ITEMS, PERSONS_A_MILLION = 20, 300, 12_000
ELSEWHERE = 0.3
PRIOR = 4.0
GROUPS = 20
LABEL, TRUE = "clicked", "chance"
LEVELS = ["user", "ad", "user_department", "device", "creative"]
NUMBERS = ["elsewhere", "place", "hour", "age", "income", "user_seen", "user_rate", "department_seen",
           "department_rate", "ad_seen", "ad_rate", "own_seen", "own_rate"]  # fmt: skip
TREES = TreeSettings(rounds=60, depth=6, learning_rate=0.2, leaf=50.0)


def simulate(folder: Path, impressions: int, days: int, seed: int) -> list[Path]:
    """The log, a Parquet file a day; features of each impression are as of the evening before."""
    persons = max(2_000, impressions * PERSONS_A_MILLION // 1_000_000)
    params = SimulationParams(users=persons, items=ITEMS, seed=seed)
    goods = catalogue(params)
    folk = people(params, goods)
    shown = [ads.campaign(params, goods, number) for number in range(ADS)]
    item = np.array([one.item for one in shown])
    coupon = np.array([ads.KINDS[one.kind] == "coupon" for one in shown])
    department = goods.item_department[item]
    weight = np.where(folk.role == HONEST, folk.rate, 0.0)
    width = int(goods.item_department.max()) + 1
    seen = {"user": np.zeros(persons), "department": np.zeros(persons * width), "ad": np.zeros(ADS),
            "own": np.zeros(persons * ADS)}  # fmt: skip
    hits = {name: np.zeros(len(count)) for name, count in seen.items()}
    paths = []
    for day in range(days):
        random = stream(seed, "impressions", day)
        size = impressions // days
        user = random.choice(persons, size, p=weight / weight.sum())
        ad, away = random.integers(0, ADS, size), random.random(size) < ELSEWHERE
        chance = ads.chance(folk, goods, user, item[ad], coupon[ad])[0] * np.where(away, ads.ELSEWHERE_CLICK, 1.0)
        clicked = random.random(size) < chance
        group = {"user": user, "department": user * width + department[ad], "ad": ad, "own": user * ADS + ad}
        so_far = {}
        mean = (hits["ad"].sum() + 0.3 * PRIOR) / (seen["ad"].sum() + PRIOR)
        for name, place in group.items():
            count, sums = seen[name][place], hits[name][place]
            so_far[f"{name}_seen"] = np.log1p(count)
            so_far[f"{name}_rate"] = special.logit((sums + PRIOR * mean) / (count + PRIOR))
        frame = pd.DataFrame(
            {"user": user, "ad": ad, "user_department": group["department"], "device": folk.device[user],
             "creative": ad * ads.CREATIVES + random.integers(0, ads.CREATIVES, size), "elsewhere": away,
             "place": np.where(away, 0, random.integers(1, ads.PLACES + 1, size)),
             "hour": random.integers(0, 24, size), "age": folk.age[user], "income": folk.income[user], **so_far}
        ).astype(dict.fromkeys(LEVELS, np.int32) | dict.fromkeys(NUMBERS, np.float32))  # fmt: skip
        paths.append(folder / f"{day:03d}.parquet")
        frame.assign(**{LABEL: clicked, TRUE: chance.astype(np.float32)}).to_parquet(paths[-1], index=False)
        for name, place in group.items():
            seen[name] += np.bincount(place, minlength=len(seen[name]))
            hits[name] += np.bincount(place, clicked.astype(float), len(seen[name]))
    assert len(DEVICES) and len(AGES) and len(INCOMES)
    return paths


def levels(frame: pd.DataFrame) -> pd.DataFrame:
    """Numbers as they are, and ids as text."""
    return frame[[*LEVELS, *NUMBERS]].astype(dict.fromkeys(LEVELS, str))


def numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """Numbers, and the levels of which there are few."""
    return frame[["device", *NUMBERS]].astype({"device": str})


def blocks(paths: list[Path], seen: Callable[[pd.DataFrame], pd.DataFrame]) -> Blocks:
    def read() -> Iterator[tuple[pd.DataFrame, np.ndarray]]:
        for path in paths:
            frame = pd.read_parquet(path)
            yield seen(frame), frame[LABEL].to_numpy(float)

    return read


class Hashed(ClickModel):
    """ClickModel on more hashed columns than it takes by default."""

    def _classifier(self) -> HashedLogistic:
        return HashedLogistic(self.seed, bits=20)


class Trees(ClickModel):
    """ClickModel as it comes; its rounds are those of TREES."""

    def _classifier(self) -> TreesClassifier:
        return TreesClassifier(self.seed, self.threads, TREES)


def calibration_error(told: np.ndarray, label: np.ndarray) -> float:
    order = np.argsort(told, kind="stable")
    group = np.arange(len(order)) * GROUPS // len(order)
    return float(np.abs(np.bincount(group, told[order] - label[order])).sum() / len(order))


def log_loss(told: np.ndarray, label: np.ndarray) -> float:
    told = np.clip(told.astype(float), 1e-9, 1 - 1e-9)
    return float(-np.where(label > 0, np.log(told), np.log1p(-told)).mean())


def auc(told: np.ndarray, label: np.ndarray) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(label, told))


def peak() -> float:
    """GB that the process has taken at most so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2


def main() -> None:
    """Simulate, learn from blocks, score, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="not needed: the log is simulated")
    parser.add_argument("--impressions", type=int, default=10_000_000)
    parser.add_argument("--days", type=int, default=50)
    parser.add_argument("--seed", type=int, default=31)
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        begun = time.perf_counter()
        paths = simulate(Path(name), options.impressions, options.days, options.seed)
        rows.append(Row("seconds, simulation", time.perf_counter() - begun))
        split = round(0.8 * options.days)
        train, late, test = paths[: split - 2], paths[split - 2 : split], paths[split:]
        truth = pd.concat([pd.read_parquet(path, columns=[LABEL, TRUE]) for path in test], ignore_index=True)
        label = truth[LABEL].to_numpy(float)
        told = {"law": truth[TRUE].to_numpy(float)}
        for kind, model, seen in (
            ("hashed SGD, calibrated", Hashed("hashed"), levels),
            ("ClickModel", Trees(threads=2), numbers),
        ):
            begun = time.perf_counter()
            model.fit_blocks(blocks(train, seen), blocks(late, seen))
            fitted = time.perf_counter()
            margin = np.concatenate([model.model.margin(frame) for frame, _ in blocks(test, seen)()])
            rows += [Row(f"seconds to fit, {kind}", fitted - begun), Row(f"seconds to score, {kind}",
                     time.perf_counter() - fitted), Row(f"peak memory so far in GB, {kind}", peak())]  # fmt: skip
            told[kind] = special.expit(model.line[0] + model.line[1] * margin)
            if kind.startswith("hashed"):
                told["hashed SGD"] = special.expit(margin)
    rows += [Row("impressions learnt from", options.impressions / options.days * split), Row("tested on", len(label))]
    rows.append(Row("share clicked", float(label.mean())))
    for kind, one in told.items():
        rows.append(Row(f"log loss, {kind}", log_loss(one, label), log_loss(told["hashed SGD"], label)))
        rows.append(Row(f"AUC, {kind}", auc(one, label), auc(told["hashed SGD"], label)))
        rows.append(Row(f"ECE, {kind}", calibration_error(one, label), calibration_error(told["hashed SGD"], label)))
    report("ctr", f"{options.impressions:,} impressions, later days for test; reference: hashed SGD", rows)


if __name__ == "__main__":
    main()
