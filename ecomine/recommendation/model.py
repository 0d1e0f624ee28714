"""The recommender: retrievers that find candidates and a ranker that orders them."""

import dataclasses
import json
from datetime import datetime
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

from ecomine import params as settings
from ecomine.columns import READ, require
from ecomine.domain import EVENT_TIMESTAMP, LABEL
from ecomine.errors import FeatureError, NotEnoughDataError, SettingsError
from ecomine.recommendation import candidates
from ecomine.recommendation.assortment import Assortment
from ecomine.recommendation.candidates import CandidateFinder
from ecomine.recommendation.params import RecommendationParams
from ecomine.recommendation.purchases import DAY_US, Purchases
from ecomine.recommendation.rankers import MODELS, LinearRanker, Lists, Ranker
from ecomine.recommendation.situations import Situations
from ecomine.store import write_json

FEATURE_SEPARATOR = "__"
"""Between the view and the feature in the name of a feature column."""

LAST_ORDER_DAY = "user_item__last_order_day"
MEAN_GAP = "user_item__mean_gap_days"

_FEW = 5000
"""Rows up to which a copy of all columns costs nothing."""


class Recommender:
    """Finds products for each customer and orders them by how probably they are bought within the horizon.

    `fit(rows, order_lines)` learns the order from labelled rows, as `features.labelled` makes them, with any number of
    feature columns `view__feature` beside; then it fits the retrievers on all order lines up to `as_of`. It needs no
    pipeline: DataFrames in, DataFrames out.
    """

    def __init__(self, params: RecommendationParams | None = None, seed: int = 42, threads: int = 2) -> None:
        self.params = params or RecommendationParams()
        self.seed, self.threads = seed, threads
        self.ranker = _ranker(self.params)
        self.plain = LinearRanker(self.params)
        self.finder = CandidateFinder(self.params)
        self.told = candidates.columns(self.params)
        self.features: tuple[str, ...] = ()
        self.varied: tuple[str, ...] | None = None
        self.assortment = Assortment()
        self.situations = Situations(self.params)

    def fit(
        self,
        rows: pd.DataFrame,
        order_lines: duckdb.DuckDBPyRelation | pd.DataFrame,
        items: duckdb.DuckDBPyRelation | pd.DataFrame | None = None,
        as_of: datetime | None = None,
        stock: duckdb.DuckDBPyRelation | pd.DataFrame | None = None,
        events: duckdb.DuckDBPyRelation | pd.DataFrame | None = None,
    ) -> "Recommender":
        """Learns; `items` (title, category, unit_cost) and `stock` tell what the policy may know about a product,
        `events` what visits went on to. Raises like `fit_ranker`.
        """
        self.fit_ranker(rows)
        purchases = Purchases.of(order_lines, as_of, items, events)
        self.finder.fit(purchases)
        self.assortment.fit(purchases, order_lines, items, stock)
        self.situations.fit(purchases, self.finder, events)
        return self

    def fit_ranker(self, rows: pd.DataFrame, plain: bool = True) -> "Recommender":
        """The first half of `fit`: the order alone, by the ranker and, with `plain`, the linear comparison.

        Raises FeatureError for a missing or textual column, NotEnoughDataError for rows with only one kind of label.
        """
        require(rows.columns, ("user_id", "item_id", EVENT_TIMESTAMP, LABEL, *self.told), "training rows", READ)
        if rows.empty or rows[LABEL].nunique() < 2:
            raise NotEnoughDataError(
                f"{len(rows):,} training rows with the labels {sorted(rows[LABEL].unique().tolist())}; expected "
                "purchases and non-purchases. Bring a longer history or a longer horizon."
            )
        self.features = tuple(sorted(name for name in rows.columns if FEATURE_SEPARATOR in str(name)))
        # The row order decides about sums and samples inside the ranker, so it must not depend on who made the rows.
        rows = rows.sort_values([EVENT_TIMESTAMP, "user_id", "item_id"], kind="stable", ignore_index=True)
        self.varied = None
        values, lists = self.design(rows), _lists(rows)
        # What never varies teaches nothing, but would take turns with what does where trees see a share of the columns.
        first = values.iloc[[0]].to_numpy()
        same = (values.to_numpy() == first) | (np.isnan(values.to_numpy()) & np.isnan(first))
        self.varied = tuple(values.columns[~same.all(axis=0)]) or tuple(values.columns)
        values = values[list(self.varied)]
        for ranker in (self.ranker, self.plain) if plain else (self.ranker,):
            ranker.fit(values, lists, self.threads, self.seed)
        return self

    @property
    def as_of(self) -> datetime:
        """Nothing after it was seen."""
        return self.finder.at

    def candidates(self, user_ids: np.ndarray | None = None) -> pd.DataFrame:
        """Rows to rank at `as_of` for the given users, or for all that are known; see `CandidateFinder.rows`."""
        return self.finder.rows(self.finder.users if user_ids is None else np.unique(np.asarray(user_ids, object)))

    def score(self, rows: pd.DataFrame) -> np.ndarray:
        """A number a row, higher for what is bought sooner; raises FeatureError for missing feature columns."""
        return self._score(self.ranker, rows)

    def score_plainly(self, rows: pd.DataFrame) -> np.ndarray:
        """The same by logistic regression, the plain comparison."""
        return self._score(self.plain, rows)

    def _score(self, ranker: Ranker, rows: pd.DataFrame) -> np.ndarray:
        if rows.empty:
            return np.zeros(0)
        return ranker.score(self.design(rows)).astype(np.float64)

    def design(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The numbers that the ranker sees: what the retrievers say, the features, and their age at the row's time.

        Columns are float32, in a fixed order; ids and timestamps are never among them.
        """
        require(rows.columns, (EVENT_TIMESTAMP, *self.told, *self.features), "rows", READ)
        columns = _columns(rows, [*self.told, *self.features])
        if LAST_ORDER_DAY in columns:
            day = rows[EVENT_TIMESTAMP].to_numpy("datetime64[us]").astype(np.int64) // DAY_US
            columns["days_since_purchase"] = (day - columns[LAST_ORDER_DAY]).astype(np.float32)
            # A day is not a number to learn from: later rows would lie outside everything seen.
            del columns[LAST_ORDER_DAY]
            if MEAN_GAP in columns:
                gap = np.maximum(columns[MEAN_GAP], 1.0)
                columns["days_since_purchase_by_gap"] = columns["days_since_purchase"] / gap
        names = list(columns) if self.varied is None else list(self.varied)
        return pd.DataFrame(np.array([columns[name] for name in names]).T, columns=names, copy=False)

    def save(self, folder: Path) -> None:
        """Files that hold no code: JSON, Parquet and XGBoost's UBJ."""
        state = {
            "params": dataclasses.asdict(self.params),
            "seed": self.seed,
            "threads": self.threads,
            "as_of": self.as_of,
            "features": self.features,
            "varied": self.varied,
        }
        write_json(folder / "recommender.json", state)
        self.assortment.save(folder)
        self.finder.save(folder)
        self.situations.save(folder / "situations")
        self.plain.save(folder)
        self.ranker.save(folder)

    @classmethod
    def load(cls, folder: Path) -> "Recommender":
        """The inverse of `save`."""
        state = json.loads((folder / "recommender.json").read_text())
        model = cls(settings.build(RecommendationParams, state["params"], "params"), state["seed"], state["threads"])
        model.features, model.varied = tuple(state["features"]), tuple(state["varied"])
        model.assortment.load(folder)
        model.finder.load(folder, datetime.fromisoformat(state["as_of"]))
        model.situations.load(folder / "situations")
        model.plain.load(folder)
        model.ranker.load(folder)
        return model


def _ranker(params: RecommendationParams) -> Ranker:
    if params.model not in MODELS:
        raise SettingsError(f"`recommendation.model` is {params.model!r}; expected one of {', '.join(MODELS)}.")
    return MODELS[params.model](params)


def _lists(rows: pd.DataFrame) -> Lists:
    """Lists of sorted rows: one customer at one moment; the last moment is for validation."""
    moment, user = rows[EVENT_TIMESTAMP].to_numpy(), rows["user_id"].to_numpy(object)
    begins = np.concatenate([[True], (moment[1:] != moment[:-1]) | (user[1:] != user[:-1])])
    return Lists(rows[LABEL].to_numpy(np.float32), np.cumsum(begins) - 1, moment == moment.max())


def _columns(rows: pd.DataFrame, names: list[str]) -> dict[str, np.ndarray]:
    """Columns as float32; of a few rows all at once: one by one would take longer than to rank them."""
    chosen = rows[names] if len(rows) <= _FEW else None
    if chosen is not None and all(isinstance(kind, np.dtype) and kind.kind in "fiub" for kind in chosen.dtypes):
        values = np.ascontiguousarray(chosen.to_numpy(np.float64).T.astype(np.float32))
        return dict(zip(names, values, strict=True))
    return {name: _numbers(rows[name]) for name in names}


def _numbers(column: pd.Series) -> np.ndarray:
    # A column of nothing but nulls may come as objects; it is still a column of numbers.
    if not pd.api.types.is_numeric_dtype(column) and column.notna().any():
        kinds = sorted({type(value).__name__ for value in column.dropna().head(1000)})
        if kinds != ["bool"] and not set(kinds) <= {"int", "float", "Decimal"}:
            raise FeatureError(f"The feature {column.name} holds {', '.join(kinds)}; expected numbers or flags.")
    return np.asarray(column.astype("float64"), np.float32)
