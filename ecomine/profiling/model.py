"""The profiler: lifetime, trees for what comes next, segments and vectors, and the portrait of everybody."""

import dataclasses
import json
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from ecomine import params as settings
from ecomine.columns import READ, require
from ecomine.domain import EVENT_TIMESTAMP, LABEL, Inputs
from ecomine.errors import NotEnoughDataError
from ecomine.profiling import analysis
from ecomine.profiling.classifier import TabularClassifier
from ecomine.profiling.encoding import matrix
from ecomine.profiling.features import KNOWN_COLUMNS, LOST, VALUE, known
from ecomine.profiling.intent import PurchaseIntent
from ecomine.profiling.params import ProfilingParams
from ecomine.profiling.portrait import portrait
from ecomine.profiling.segments import Segmenter, migration
from ecomine.profiling.trees import Trees, TreeSettings
from ecomine.profiling.vectors import vectors
from ecomine.profiling.visits import COLUMNS as VISIT_COLUMNS
from ecomine.profiling.visits import intent, moments
from ecomine.store import write_frame, write_json

FEATURE_SEPARATOR = "__"
"""Between the view and the feature in the name of a feature column."""

PEOPLE = "people.parquet"
"""What is known of everybody, in the folder of a saved model."""

FEWEST = 20
"""Rows of the rarer kind below which a probability is the share among the training rows."""

BEHAVIOUR = {
    "gap_days": ("infrequent", "frequent"),
    "basket_value": ("large baskets", "small baskets"),
    "discount_share": ("discount lovers", "full price"),
    "price_sensitivity": ("bargain hunters", ""),
}
"""What segments are found in, with the words for much and little of it: how somebody buys, at any stage of life."""

STEPS = {"gap_days": np.log(2), "basket_value": np.log(2), "discount_share": 0.1, "price_sensitivity": 0.1}
"""What counts as one step apart: twice as much, or a tenth of the price."""

DESCRIBED = ("days", "money", "variety", "category_strength")
"""What else the profile of a segment tells."""


class Profiler:
    """Profiles of everybody known at `as_of`, and what they will do next.

    `fit(rows, inputs)` learns from labelled rows, as `features.label` makes them, with any number of feature columns
    `view__feature` beside; the rest it takes from the tables of `inputs` up to their `as_of`.
    """

    def __init__(self, params: ProfilingParams | None = None, seed: int = 42, threads: int = 2) -> None:
        self.params, self.seed, self.threads = params or ProfilingParams(), seed, threads
        self.features: tuple[str, ...] = ()
        self.classifiers: dict[str, TabularClassifier] = {}
        self.rates: dict[str, float] = {}

    def fit(self, rows: pd.DataFrame, inputs: Inputs) -> "Profiler":
        """Learns; raises FeatureError for a missing column, NotEnoughDataError for rows without both labels."""
        self.learn(rows)
        self._look(inputs)
        return self

    def learn(self, rows: pd.DataFrame) -> "Profiler":
        """What comes next, from labelled rows alone: enough for `predict`; raises as `fit` does."""
        require(rows.columns, ("user_id", EVENT_TIMESTAMP, LABEL, LOST, VALUE, *KNOWN_COLUMNS), "training rows", READ)
        if len(rows) < 2 or rows[LABEL].nunique() < 2:
            raise NotEnoughDataError(
                f"{len(rows):,} training rows with the labels {sorted(rows[LABEL].unique().tolist())}; expected "
                "buyers and others. Bring a longer history or another `profiling.purchase_days`."
            )
        self.features = tuple(sorted(name for name in rows.columns if FEATURE_SEPARATOR in str(name)))
        rows = rows.sort_values([EVENT_TIMESTAMP, "user_id"], kind="stable", ignore_index=True)
        design = self.design(rows)
        trees = TreeSettings(
            depth=self.params.max_depth, rounds=self.params.trees, learning_rate=self.params.learning_rate
        )
        for name in (LABEL, LOST):
            flags = rows[name].to_numpy(float)
            self.rates[name] = float(flags.mean())
            if min(flags.sum(), (1 - flags).sum()) >= FEWEST:
                model = TabularClassifier(trees, seed=self.seed, threads=self.threads, knots=1)
                self.classifiers[name] = model.fit(design, flags)
        spent = np.maximum(rows[VALUE].to_numpy(float), 0.0)
        self.usual = max(float(spent.mean()), 1e-9)
        offset = self._offset(design)
        self.middle = float(offset.mean())
        # In units of the usual money, so that a weight in a leaf is about a number of customers.
        tweedie = dataclasses.replace(trees, objective="reg:tweedie", min_child_weight=FEWEST)
        self.value_trees = Trees(tweedie).fit(
            design.to_numpy(float), spent / self.usual, list(design.columns), self.threads, self.seed, offset
        )
        told = np.exp(self.value_trees.margin(design.to_numpy(float), offset))
        # Trees of this objective hold the total only about; money must add up.
        self.level = float(spent.sum() / told.sum())
        return self

    def _look(self, inputs: Inputs) -> None:
        """The portrait, segments, vectors and behaviour at `as_of`."""
        self.as_of = inputs.as_of
        before = inputs.as_of - timedelta(days=self.params.horizon_days)
        rows, self.lifetime = known(inputs, inputs.as_of)
        people, earlier = portrait(inputs, inputs.as_of), portrait(inputs, before, whole=False)
        behaviour, then = (frame[list(BEHAVIOUR)].astype(float) for frame in (people, earlier))
        asked = self.params
        made = Segmenter(asked.segments or None, asked.segmentation, BEHAVIOUR, asked.most_segments, self.seed, STEPS)
        previous = made.fit(then) if len(then) >= 4 else None
        number = None if previous is None else len(previous.labels)
        self.segmenter = Segmenter(number, asked.segmentation, BEHAVIOUR, asked.most_segments, self.seed, STEPS)
        self.segmenter.fit(behaviour, previous)
        names = self.segmenter.name(self.segmenter.predict(behaviour))
        people = people.assign(segment=names)
        self.intent = intent(inputs.tables.get("events"), inputs.as_of, self.seed, self.threads)
        people["session_purchase"] = 0.0
        if self.intent is not None:
            latest = moments(inputs.tables["events"], inputs.as_of, newest=True)
            chance = pd.Series(self.intent.predict(latest[list(VISIT_COLUMNS)]), index=latest["user_id"])
            people["session_purchase"] = people["user_id"].map(chance).fillna(0.0)
        length = self.params.vector_length
        people = pd.concat([people, vectors(inputs, people["user_id"], length, self.seed)], axis=1)
        self.people = rows.merge(people, on="user_id", how="inner").sort_values("user_id", ignore_index=True)
        self.tables = analysis.tables(inputs, people[["user_id", "segment"]])
        self.tables["segments"] = segment_profile(people)
        if made.choice:
            self.tables["choice_of_segments"] = pd.DataFrame(made.choice)
        if previous is not None:
            old = pd.Series(previous.name(previous.predict(then)), index=earlier["user_id"])
            self.tables["migration"] = migration(old, pd.Series(names, index=people["user_id"]))

    def requests(self, user_ids: np.ndarray | None = None) -> pd.DataFrame:
        """Rows to decide on: what is known of the given customers, or of all; somebody unknown has no row."""
        if user_ids is None:
            return self.people.copy()
        return self.people[self.people["user_id"].isin(set(user_ids))].reset_index(drop=True)

    def design(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The numbers that the trees see: KNOWN_COLUMNS and the features, in a fixed order; nulls stay."""
        require(rows.columns, (*KNOWN_COLUMNS, *self.features), "rows", READ)
        names = [*KNOWN_COLUMNS, *self.features]
        values = matrix(rows[names])
        known = dict(zip(names, values.T, strict=True))
        gap = np.maximum(known["recency_days"] / np.maximum(known["repeats"], 1.0), 0.5)
        quiet = known["age_days"] - known["recency_days"]
        block = np.column_stack([values, quiet, quiet / gap])
        return pd.DataFrame(block, columns=[*names, "quiet_days", "quiet_by_gap"])

    def _offset(self, design: pd.DataFrame) -> np.ndarray:
        """What the lifetime model says, as the logarithm that the trees start from."""
        return np.asarray(np.log(np.maximum(design["expected_value"].to_numpy() / self.usual, 1e-3)))

    def predict(self, design: pd.DataFrame, plainly: bool = False) -> pd.DataFrame:
        """Columns buy, churn and value, a row a row of `design`; `plainly` by logistic regression instead of trees."""
        if design.empty:
            return pd.DataFrame({name: np.zeros(0) for name in ("buy", "churn", "value")})
        told = {"value": np.exp(self.value_trees.margin(design.to_numpy(float), self._offset(design))) * self.level}
        for column, name in (("buy", LABEL), ("churn", LOST)):
            classifier = self.classifiers.get(name)
            if classifier is None:
                told[column] = np.full(len(design), self.rates[name])
            else:
                told[column] = classifier.predict_plainly(design) if plainly else classifier.predict(design)
        return pd.DataFrame(told)

    def contributions(self, design: pd.DataFrame) -> dict[str, pd.DataFrame]:
        """What moves value, buy and churn of each row: thing told → contributions by column of `design`."""
        value = pd.DataFrame(self.value_trees.contributions(design.to_numpy(float)), columns=design.columns)
        # What the trees start from is a driver like the others.
        parts = {"value": value.assign(expected_value=value["expected_value"] + self._offset(design) - self.middle)}
        for column, name in (("buy", LABEL), ("churn", LOST)):
            if name in self.classifiers:
                parts[column] = self.classifiers[name].contributions(design)
        return parts

    def save(self, folder: Path) -> None:
        """Files that hold no code: JSON, Parquet and XGBoost's UBJ."""
        state = {
            "params": dataclasses.asdict(self.params),
            "seed": self.seed,
            "threads": self.threads,
            "as_of": self.as_of,
            "features": self.features,
            "rates": self.rates,
            "level": self.level,
            "usual": self.usual,
            "middle": self.middle,
            "trees": dataclasses.asdict(self.value_trees.settings),
            "classifiers": sorted(self.classifiers),
            "intent": self.intent is not None,
            "tables": sorted(self.tables),
        }
        write_json(folder / "profiler.json", state)
        write_frame(folder / PEOPLE, self.people)
        for name, table in self.tables.items():
            write_frame(folder / table_file(name), table)
        for name, model in self.classifiers.items():
            model.save(folder, name)
        if self.intent is not None:
            self.intent.save(folder, "intent")
        self.value_trees.save(folder, "value")
        self.lifetime.save(folder)
        self.segmenter.save(folder)

    @classmethod
    def load(cls, folder: Path) -> "Profiler":
        """The inverse of `save`."""
        from ecomine.profiling.lifetime import LifetimeValue

        state = json.loads((folder / "profiler.json").read_text())
        model = cls(settings.build(ProfilingParams, state["params"], "params"), state["seed"], state["threads"])
        model.as_of = datetime.fromisoformat(state["as_of"])
        model.features, model.rates, model.level = tuple(state["features"]), state["rates"], float(state["level"])
        model.usual, model.middle = float(state["usual"]), float(state["middle"])
        model.people = pd.read_parquet(folder / PEOPLE)
        model.tables = {name: pd.read_parquet(folder / table_file(name)) for name in state["tables"]}
        model.classifiers = {name: TabularClassifier.load(folder, name) for name in state["classifiers"]}
        model.intent = PurchaseIntent.load(folder, "intent") if state["intent"] else None
        model.value_trees = Trees(TreeSettings(**state["trees"])).load(folder, "value")
        model.lifetime, model.segmenter = LifetimeValue.load(folder), Segmenter.load(folder)
        return model


def table_file(name: str) -> str:
    """The file of one of a model's tables."""
    return f"table-{name}.parquet"


def segment_profile(people: pd.DataFrame) -> pd.DataFrame:
    """What each segment is like: customers, their share, and the median of what it was found in and of DESCRIBED."""
    grouped = people.groupby("segment", sort=True)
    size = grouped.size().rename("customers")
    medians = grouped[[*BEHAVIOUR, *DESCRIBED]].median()
    return pd.concat([size, (size / size.sum()).rename("share"), medians], axis=1).reset_index()
