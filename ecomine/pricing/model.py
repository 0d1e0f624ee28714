"""The pricer: demand learnt from labelled rows, and where prices and costs stand now."""

import dataclasses
import json
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd

from ecomine import params as settings
from ecomine.domain import EVENT_TIMESTAMP, LABEL, Inputs
from ecomine.errors import NotEnoughDataError
from ecomine.pricing.demand import LEAST_ROWS, DemandModel
from ecomine.pricing.features import ASKED, COST
from ecomine.pricing.momentum import SEPARATOR, Momentum
from ecomine.pricing.params import PricingParams
from ecomine.pricing.sales import PROMOTIONS, end_of_weeks, latest, places
from ecomine.store import write_frame, write_json

MOMENTUM, THEN = "momentum", "asked_then"
NOT_OF_DEMAND = (EVENT_TIMESTAMP, ASKED, COST)
COMING = 1.0
"""The number of the week that is priced."""


@dataclasses.dataclass(frozen=True)
class Ahead:
    """Rows of a coming week, which of them are asked about, and what they are expected to sell."""

    rows: pd.DataFrame
    asked: np.ndarray
    units: np.ndarray


class Pricer:
    """What sells at which price, and the items whose price is to be set.

    `fit(rows, inputs)` learns from labelled rows, as `features.label` makes them, with any number of feature columns
    `view__feature` beside; present prices and costs are taken from the tables of `inputs` up to their `as_of`.
    """

    def __init__(self, params: PricingParams | None = None, seed: int = 42, threads: int = 2) -> None:
        self.params, self.seed, self.threads = params or PricingParams(), seed, threads

    def fit(self, rows: pd.DataFrame, inputs: Inputs) -> "Pricer":
        """Raises NotEnoughDataError where there are too few rows."""
        if len(rows) < LEAST_ROWS:
            raise NotEnoughDataError(
                f"{len(rows):,} weeks of items to learn from; expected at least {LEAST_ROWS}. Bring a longer history."
            )
        self.as_of, self.end = inputs.as_of, end_of_weeks(inputs.as_of)
        self.momentum = Momentum.fit(rows)
        self.demand = DemandModel(self.params.demand, self.seed, self.threads).fit(self.sales(rows))
        self.told = self.demand.elasticities()
        self.series = self._series(rows, latest(inputs, places(inputs)))
        self.costs = _costs(inputs, self.told["item_id"])
        return self

    def sales(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Labelled rows, or such without a label, as the demand model takes them."""
        features = [name for name in rows.columns if SEPARATOR in str(name)]
        known = rows.drop(columns=[*features, *NOT_OF_DEMAND], errors="ignore").rename(columns={LABEL: "units"})
        return known.assign(**{MOMENTUM: self.momentum.of(rows)})

    def _series(self, rows: pd.DataFrame, now: pd.DataFrame) -> pd.DataFrame:
        """item_id, location_id, category, brand, `asked` now (null where it is not on sale), `asked_then`, in the last
        week learnt from, rivals' prices where known. Sorted by item and place.
        """
        last = rows.drop_duplicates(["item_id", "location_id"], keep="last")
        columns = ["item_id", "location_id", "category", "brand", ASKED]
        then = last[columns].rename(columns={ASKED: THEN})
        found = then.merge(now, on=["item_id", "location_id"], how="left")
        return found.sort_values(["item_id", "location_id"], ignore_index=True)

    def requests(self, items: np.ndarray | None = None) -> pd.DataFrame:
        """Rows item_id, location_id, event_timestamp of the known ones among `items`, or of all."""
        rows = self.series[self.series[ASKED].notna()]
        rows = rows if items is None else rows[rows["item_id"].isin(items)]
        keys = rows[["item_id", "location_id"]].reset_index(drop=True)
        return keys.assign(**{EVENT_TIMESTAMP: pd.Timestamp(self.as_of).as_unit("us")})

    def ahead(self, frame: pd.DataFrame, price: str = ASKED, period: float = COMING) -> Ahead:
        """What the items of `frame` (keys and features) are expected to sell in a week, without a promotion, at the
        prices of a column of `series`. Beside them stand the other items of their categories, which play a part.
        """
        series = self.series[self.series[price].notna()].reset_index(drop=True)
        keys = pd.MultiIndex.from_frame(series[["item_id", "location_id"]])
        at = keys.get_indexer(pd.MultiIndex.from_frame(frame[["item_id", "location_id"]]))
        asked, momentum = np.zeros(len(series), bool), np.zeros(len(series))
        asked[at[at >= 0]] = True
        momentum[at[at >= 0]] = self.momentum.of(frame)[at >= 0]
        rows = series.rename(columns={price: "price"}).assign(period=period, **{MOMENTUM: momentum})
        rows = rows.drop(columns=[ASKED, THEN, "sold_in"], errors="ignore")
        for name in (*PROMOTIONS, "test"):
            if name in self.demand.columns:
                rows[name] = 0.0
        near = rows["category"].isin(rows["category"][asked]).to_numpy()
        rows, asked = rows[near].reset_index(drop=True), asked[near]
        return Ahead(rows, asked, self.demand.predict(rows) if len(rows) else np.zeros(0))

    def save(self, folder: Path) -> None:
        """JSON, Parquet, and XGBoost's UBJ."""
        folder.mkdir(parents=True, exist_ok=True)
        state = {
            "params": dataclasses.asdict(self.params), "seed": self.seed, "threads": self.threads,
            "as_of": self.as_of, "end": self.end,
        }  # fmt: skip
        write_json(folder / "pricer.json", state)
        write_frame(folder / "present.parquet", self.series)
        write_frame(folder / "costs.parquet", self.costs)
        self.momentum.save(folder)
        self.demand.save(folder / "demand")

    @classmethod
    def load(cls, folder: Path) -> "Pricer":
        """The inverse of `save`."""
        state = json.loads((folder / "pricer.json").read_text())
        model = cls(settings.build(PricingParams, state["params"], "pricing"), state["seed"], state["threads"])
        model.as_of, model.end = (datetime.fromisoformat(state[name]) for name in ("as_of", "end"))
        model.series, model.costs = (pd.read_parquet(folder / f"{name}.parquet") for name in ("present", "costs"))
        model.momentum, model.demand = Momentum.load(folder), DemandModel.load(folder / "demand")
        model.told = model.demand.elasticities()
        return model


def _costs(inputs: Inputs, items: pd.Series) -> pd.DataFrame:
    """item_id and unit_cost of each of `items`, null where it is not known."""
    costs = pd.DataFrame({"item_id": items.to_numpy(object)})
    table = inputs.tables.get("items")
    if table is None or COST not in table.columns:
        return costs.assign(**{COST: np.nan})
    known = table.query(
        "goods", f"SELECT item_id, CAST(max({COST}) AS DOUBLE) AS {COST} FROM goods GROUP BY item_id ORDER BY item_id"
    ).df()
    return costs.merge(known, on="item_id", how="left").astype({COST: float})
