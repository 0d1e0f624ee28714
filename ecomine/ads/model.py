"""The placement: what a contact changes, or who answers, learnt from labelled rows; and where campaigns stand now."""

import dataclasses
import json
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd

from ecomine import params as settings
from ecomine.ads import standing
from ecomine.ads.bases import LINEAR, XGBOOST
from ecomine.ads.classifiers import HASHED, TreeSettings
from ecomine.ads.fatigue import Fatigue
from ecomine.ads.features import ELSEWHERE, KIND, NONE, OUTCOMES, contacts_of
from ecomine.ads.params import AdsParams
from ecomine.ads.randomisation import LEAST_ARM, Evidence, evidence
from ecomine.ads.response import ClickModel
from ecomine.ads.standing import SEPARATOR
from ecomine.ads.uplift import UpliftModel, UpliftSettings
from ecomine.ads.uplift_metrics import auuc
from ecomine.columns import READ, require
from ecomine.domain import EVENT_TIMESTAMP, LABEL, Inputs
from ecomine.errors import NotEnoughDataError, SettingsError
from ecomine.store import write_frame, write_json

LEAST_ROWS = 100
LATER = 0.25
"""Share of the training campaigns, the latest, on which settings are validated."""

RANGE = (0.01, 0.99)
"""Quantiles of a feature beyond which nothing is told apart."""

BINS = 10
MOST_KINDS = 4
DAY_FEATURES = "_day"
AUTO, RESPONSE, UPLIFT = "auto", "response", "uplift"

CANDIDATES: dict[str, UpliftSettings] = {
    "s, linear": UpliftSettings("s", LINEAR, effect_scale=1.0),
    "t, linear": UpliftSettings("t", LINEAR),
    "t, xgboost": UpliftSettings("t", XGBOOST, depth=3, rounds=60, leaf=200),
    "dr, xgboost": UpliftSettings("dr", XGBOOST, depth=3, rounds=40, leaf=400),
}
"""Settings of the uplift model, of which validation takes one."""


class Placement:
    """Worth of a contact by person and campaign.

    `fit(rows, inputs)` learns from labelled rows, as `features.label` makes them, with any number of feature columns
    `view__feature` beside; campaigns, contacts and consent are taken from the tables of `inputs` up to their `as_of`.
    Where contacts were drawn by chance `claims` is true and `uplift` is what they change; else it is who answers.
    """

    def __init__(self, params: AdsParams | None = None, seed: int = 42, threads: int = 2) -> None:
        self.params, self.seed, self.threads = params or AdsParams(), seed, threads

    def fit(self, rows: pd.DataFrame, inputs: Inputs) -> "Placement":
        """Raises NotEnoughDataError where there are too few rows, or only one outcome."""
        reached = rows["treated"].to_numpy(float) > 0
        if len(rows) < LEAST_ROWS or rows.loc[reached, LABEL].nunique() < 2:
            raise NotEnoughDataError(
                f"{len(rows):,} contacts to learn from, {rows[LABEL].sum():,.0f} with a purchase; expected at least "
                f"{LEAST_ROWS}, and among those made some of both. Bring a longer history."
            )
        self.as_of = inputs.as_of
        self.prepare(rows)
        seen = self.seen(rows)
        self.usual = seen.select_dtypes("number").median()
        self.evidence = self._evidence(seen, rows)
        self.claims, self.why = self.evidence.claim, self.evidence.why
        self.learner, self.validated = self._validate(seen, rows)
        self.response = self.response_model().fit(seen[reached], rows.loc[reached, LABEL])
        self.effect = self._effect(seen, rows, CANDIDATES[self.learner]) if self.claims else None
        contacts = contacts_of(inputs)
        self.campaigns = standing.campaigns(inputs, rows, contacts, self.params)
        told = self._told(seen)[1]
        self.campaigns["cut"] = standing.cuts(self.campaigns, rows[KIND].to_numpy(object), told)
        self.contacts = standing.recent(contacts, self.campaigns, self.as_of)
        self.creatives = standing.creatives(contacts, self.campaigns, self.seed)
        self.users = standing.users(inputs)
        self.fatigue = Fatigue.none()
        if self.params.fatigue and self.claims:
            self.fatigue = Fatigue.of(contacts.merge(rows[["impression_id", "money"]], on="impression_id"), self.seed)
        return self

    def prepare(self, rows: pd.DataFrame) -> None:
        """What `seen` needs to know of labelled rows: their features and the range of each."""
        self.features = [str(name) for name in rows.columns if SEPARATOR in str(name)]
        self.kinds = sorted(rows[KIND].unique())[:MOST_KINDS]
        self.bounds: dict[str, tuple[float, float]] = {}
        self.bounds = _bounds(self.seen(rows)[self.features])

    @property
    def method(self) -> str:
        return UPLIFT if self.claims else RESPONSE

    def seen(self, rows: pd.DataFrame) -> pd.DataFrame:
        """What the models look at: features, kind and place of the contact; raises FeatureError where one lacks."""
        require(rows.columns, [*self.features, KIND, ELSEWHERE], "contacts", READ)
        frame = rows[self.features].astype(float)
        day = rows[EVENT_TIMESTAMP].to_numpy("datetime64[us]").astype(np.int64) / 86_400e6
        for name in self.features:
            if name.endswith(DAY_FEATURES):
                frame[name] = day - frame[name]
        # What grows with time is never taken for more than what was learnt from: lines would run away with it.
        for name, (low, high) in self.bounds.items():
            frame[name] = frame[name].clip(low, high)
        return frame.assign(**{ELSEWHERE: rows[ELSEWHERE].astype(float), KIND: rows[KIND].astype(object)})

    def _crossed(self, seen: pd.DataFrame) -> pd.DataFrame:
        """Columns for the uplift model: each number once more for each kind of campaign but the first."""
        numbers = [*self.features, ELSEWHERE]
        filled = seen[numbers].fillna(self.usual[numbers])
        more = [
            filled.mul((seen[KIND] == kind).astype(float), axis=0).add_suffix(f" of {kind}") for kind in self.kinds[1:]
        ]
        return pd.concat([seen, *more], axis=1)

    def _evidence(self, seen: pd.DataFrame, rows: pd.DataFrame) -> Evidence:
        """Whether uplift may be claimed, and why not."""
        if self.params.method == RESPONSE:
            return Evidence.none("ads.method asks for response")
        if self.params.method != AUTO:
            raise SettingsError(f"`ads.method` is {self.params.method!r}; expected {AUTO} or {RESPONSE}.")
        treated = rows["treated"].to_numpy(float)
        if min(treated.sum(), (1 - treated).sum()) < LEAST_ARM:
            return Evidence.none("nobody, or hardly anybody, was held back from a campaign")
        return evidence(self._crossed(seen), treated, _chance(rows), rows["user_id"])

    def _validate(self, seen: pd.DataFrame, rows: pd.DataFrame) -> tuple[str, dict[str, float]]:
        """The uplift settings that rank the later training campaigns best, and how the models fare on these."""
        starts = np.sort(rows[EVENT_TIMESTAMP].unique())
        late = (rows[EVENT_TIMESTAMP] >= starts[int(len(starts) * (1 - LATER))]).to_numpy()
        reached = rows["treated"].to_numpy(float) > 0
        label = rows[LABEL].to_numpy(float)
        first, found = next(iter(CANDIDATES)), {}
        enough = [len(np.unique(label[part & reached])) == 2 for part in (late, ~late)]
        if all(enough):
            told = (
                self.response_model().fit(seen[~late & reached], label[~late & reached]).predict(seen[late & reached])
            )
            found = {
                "calibration_error": calibration_error(told, label[late & reached]),
                "calibration_noise": calibration_noise(told),
            }
        if self.claims and min((reached & late).sum(), (~reached & late).sum()) >= LEAST_ARM:
            arm = reached[late].astype(float)
            for name, one in CANDIDATES.items():
                model = self._effect(seen[~late], rows[~late], one)
                found[f"auuc, {name}"] = auuc(model.predict(self._crossed(seen[late])), arm, label[late])
            first = max(CANDIDATES, key=lambda name: found[f"auuc, {name}"])
        return first, found

    def response_model(self) -> ClickModel:
        """An unfitted model of who answers, by the settings; raises SettingsError for one that is not there."""
        bases = {XGBOOST: XGBOOST, LINEAR: HASHED}
        if self.params.model not in bases:
            raise SettingsError(f"`ads.model` is {self.params.model!r}; expected {' or '.join(bases)}.")
        trees = TreeSettings(self.params.rounds, self.params.max_depth, self.params.learning_rate)
        return ClickModel(bases[self.params.model], self.seed, self.threads, trees)

    def _effect(self, seen: pd.DataFrame, rows: pd.DataFrame, one: UpliftSettings) -> UpliftModel:
        # That treatment was drawn by chance was tested on all rows; on a part of them it is not asked again.
        treated, label = rows["treated"].to_numpy(float), rows[LABEL].to_numpy(float)
        return UpliftModel(one, self.seed).learn(self._crossed(seen), treated, label, self.evidence, _chance(rows))

    def _told(self, seen: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """Probability of a response of who is reached, and by how much being reached raises it."""
        if seen.empty:
            return np.zeros(0), np.zeros(0)
        chance = self.response.predict(seen)
        if self.effect is None:
            return chance, chance
        return chance, np.minimum(self.effect.predict(self._crossed(seen)), 1.0)

    def score(self, frame: pd.DataFrame) -> pd.DataFrame:
        """`frame` (user_id, campaign_id, event_timestamp, kind, elsewhere, features) with response, uplift, value of a
        response, expected cost, and the campaign's cut: the least profit that its money is spent on.
        """
        chance, uplift = self._told(self.seen(frame))
        place = self.campaigns.set_index("campaign_id")[["value", "expected_cost", "cut"]]
        facts = place.reindex(frame["campaign_id"]).fillna(0.0).reset_index(drop=True)
        keys = frame[["user_id", "campaign_id"]].reset_index(drop=True)
        return keys.assign(
            response=chance, uplift=uplift, value=facts["value"], cost=facts["expected_cost"], cut=facts["cut"]
        )

    def requests(self, users: np.ndarray | None = None) -> pd.DataFrame:
        """A row a person and running campaign, or one without a campaign where none runs."""
        people = self.users["user_id"].to_numpy(object) if users is None else np.unique(np.asarray(users, object))
        running = self.campaigns[self.campaigns["running"]]
        names, kinds = running["campaign_id"].to_numpy(object), running[KIND].to_numpy(object)
        if not len(names):
            names = kinds = np.array([NONE], object)
        return pd.DataFrame(
            {
                "user_id": np.repeat(people, len(names)),
                "campaign_id": np.tile(names, len(people)),
                EVENT_TIMESTAMP: pd.Series(pd.Timestamp(self.as_of).as_unit("us"), range(len(people) * len(names))),
                KIND: np.tile(kinds, len(people)),
                ELSEWHERE: np.zeros(len(people) * len(names)),
            }
        )

    def save(self, folder: Path) -> None:
        """JSON, Parquet, and XGBoost's UBJ."""
        folder.mkdir(parents=True, exist_ok=True)
        state = {
            "params": dataclasses.asdict(self.params), "seed": self.seed, "threads": self.threads,
            "as_of": self.as_of, "features": self.features, "kinds": self.kinds, "claims": self.claims,
            "why": self.why, "learner": self.learner, "validated": self.validated,
            "bounds": self.bounds, "usual": self.usual.where(self.usual.notna(), None).to_dict(),
            "fatigue": self.fatigue.state(),
        }  # fmt: skip
        write_json(folder / "placement.json", state)
        for name in FRAMES:
            write_frame(folder / f"{name}.parquet", getattr(self, name))
        self.response.save(folder)
        if self.effect is not None:
            self.effect.save(folder)

    @classmethod
    def load(cls, folder: Path) -> "Placement":
        """The inverse of `save`."""
        state = json.loads((folder / "placement.json").read_text())
        model = cls(settings.build(AdsParams, state["params"], "ads"), state["seed"], state["threads"])
        for name in ("features", "kinds", "claims", "why", "learner", "validated"):
            setattr(model, name, state[name])
        model.as_of = datetime.fromisoformat(state["as_of"])
        model.bounds = {name: (low, high) for name, (low, high) in state["bounds"].items()}
        model.usual = pd.Series(state["usual"], dtype=float)
        for name in FRAMES:
            setattr(model, name, pd.read_parquet(folder / f"{name}.parquet"))
        model.fatigue = Fatigue.restore(state["fatigue"])
        model.response = ClickModel.load(folder)
        model.effect = UpliftModel.load(folder) if model.claims else None
        return model


FRAMES = ("campaigns", "contacts", "creatives", "users")


def _bounds(seen: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """Range of each feature, but for its outermost values."""
    known = seen.quantile(list(RANGE)).to_numpy(float)
    return {
        name: (float(low), float(high))
        for name, low, high in zip(seen.columns, *known, strict=True)
        if np.isfinite(low) and np.isfinite(high)
    }


def _chance(rows: pd.DataFrame) -> np.ndarray | None:
    known = rows["propensity"].to_numpy(float)
    return known if np.isfinite(known).all() else None


def calibration_error(told: np.ndarray, label: np.ndarray) -> float:
    """Expected calibration error: mean distance of probability and share, over groups of about equal size.

    Source: Naeini, Cooper and Hauskrecht, Obtaining well calibrated probabilities (2015), with equal-mass bins.
    """
    order, group = _bins(told)
    gap = np.bincount(group, told[order] - label[order], BINS)
    return float(np.abs(gap).sum() / max(len(told), 1))


def calibration_noise(told: np.ndarray) -> float:
    """The calibration error that chance alone is expected to make of probabilities that are true."""
    order, group = _bins(told)
    spread = np.sqrt(np.bincount(group, (told * (1 - told))[order], BINS))
    return float(np.sqrt(2 / np.pi) * spread.sum() / max(len(told), 1))


def _bins(told: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(told, kind="stable")
    return order, np.arange(len(order)) * BINS // max(len(order), 1)


__all__ = ["OUTCOMES", "Placement", "calibration_error"]
