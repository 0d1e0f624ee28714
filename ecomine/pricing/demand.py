"""DemandModel: what sells at which price, and how sure one can be of it."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd

from ecomine import params as settings
from ecomine.errors import NotEnoughDataError, SettingsError
from ecomine.pricing import forecast, history, likelihood, orthogonal, panel, regression
from ecomine.pricing.params import DemandParams
from ecomine.store import write_frame, write_json

LIKELIHOODS = ("auto", likelihood.LOG, likelihood.COUNTS)
METHODS = ("double_ml", "regression")
ITEM, CATEGORY = "item", "category"
LEAST_ROWS = 20
LEAST_ELASTICITY = -0.05
"""A price that would not move demand at all has no best price; demand is taken to fall at least so much."""


class DemandModel:
    """Learns demand by item, location and period, and the elasticities that pricing needs.

    `fit(rows)` takes a frame with item_id, period (timestamps or numbers), price and units, and as far as there are:
    location_id, category, brand, promotion, display, competitor_price, stock (units left at the end of the period; at
    0 the units sold are the least that was wanted); further numeric columns are confounders.
    """

    def __init__(self, params: DemandParams | None = None, seed: int = 42, threads: int = 2) -> None:
        self.params, self.seed, self.threads = params or DemandParams(), seed, threads
        for name, value, known in (
            ("likelihood", self.params.likelihood, LIKELIHOODS),
            ("method", self.params.method, METHODS),
        ):
            if value not in known:
                raise SettingsError(f"`pricing.demand.{name}` is {value!r}; expected one of {', '.join(known)}.")

    def fit(self, rows: pd.DataFrame, forecasts: bool = True) -> "DemandModel":
        """Learns; without `forecasts` elasticities only. Raises FeatureError and NotEnoughDataError."""
        known = panel.describe(rows)
        informative = _informative(rows)
        if len(informative) < LEAST_ROWS:
            raise NotEnoughDataError(
                f"{len(informative):,} rows that were not sold out from the start; expected at least {LEAST_ROWS}. "
                "Bring a longer history."
            )
        year = self._year(rows)
        columns = panel.names(rows)
        sales = panel.panel(informative, known, columns, year)
        varied = sales.values.std(axis=0) > 1e-9
        varied[0] = True
        self.columns = tuple(name for name, kept in zip(columns, varied, strict=True) if kept)
        self.centre = sales.values[:, varied].mean(axis=0)
        self.centre[0] = 0.0
        self.known, self.kind = known, likelihood.chosen(self.params.likelihood, sales.units)
        values = sales.values[:, varied] - self.centre
        groups, count = regression.Groups(known.category, known.brand), len(known.keys)
        spell = regression.spells(sales.series, sales.own)
        # Sums inside BLAS would depend on the number of its threads.
        from threadpoolctl import threadpool_limits

        with threadpool_limits(1):
            self.slopes = regression.fit(
                self.kind, sales.units, sales.censored, sales.series, sales.item, values, groups, count, spell
            )
            self.priced = orthogonal.double_ml(
                self.kind, self.slopes, values, sales.period, sales.series, sales.item, sales.units, sales.censored,
                groups, count, self.params, self.seed, self.threads,
            )  # fmt: skip
        self.naive = orthogonal.naive(sales.units, sales.own, sales.item, len(known.items))
        self._count_prices(sales)
        self.level = self.slopes.level
        self.last = float(sales.period.max())
        eta = self._eta(values, sales.series, sales.item)
        self.past = history.Past(
            sales.series, sales.item, sales.period, self.slopes.filled, np.exp(eta), sales.own.copy()
        )
        self.trees: forecast.Forecast | None = None
        if forecasts:
            self.trees = forecast.fit(
                self.kind, self.past, eta, values, self.slopes, known, year, self.params, self.seed, self.threads
            )
        return self

    def _count_prices(self, sales: panel.Panel) -> None:
        pairs = np.unique(np.column_stack([sales.item, np.round(sales.own, 3)]), axis=0)[:, 0].astype(np.int64)
        self.levels = np.bincount(pairs, minlength=len(self.known.items))
        self.sold = np.bincount(sales.item, sales.units, minlength=len(self.known.items))

    def _year(self, rows: pd.DataFrame) -> float:
        dated = pd.api.types.is_datetime64_any_dtype(rows[panel.PERIOD])
        return 365.25 if dated else self.params.periods_per_year

    def elasticities(self) -> pd.DataFrame:
        """A row an item, sorted: the elasticity with interval, whose it is, and what other methods say.

        Columns: item_id, category, elasticity, low, high, source (`item`, or `category` where the item's own data
        cannot tell), own_share (of the estimate that is the item's own), naive (the slope with nothing held fixed),
        regression, double_ml, cross (change of units by the other prices of the category) with cross_low and
        cross_high, prices (different ones it had), units.
        """
        chosen = self.priced if self.params.method == "double_ml" else self.slopes
        heard = (chosen.own_share[:, 0] >= self.params.min_information) & (self.levels >= self.params.min_price_levels)
        value = np.where(heard, chosen.value[:, 0], chosen.prior[:, 0])
        deviation = np.where(heard, chosen.deviation[:, 0], chosen.prior_deviation[:, 0])
        z = quantile(self.params.confidence)
        frame = pd.DataFrame(
            {
                panel.ITEM: self.known.items,
                panel.CATEGORY: self.known.category_names[self.known.category],
                "elasticity": value,
                "low": value - z * deviation,
                "high": value + z * deviation,
                "source": np.where(heard, ITEM, CATEGORY),
                "own_share": chosen.own_share[:, 0],
                "naive": self.naive,
                "regression": self.slopes.value[:, 0],
                "double_ml": self.priced.value[:, 0],
            }
        )
        if panel.CROSS in self.columns:
            at = self.columns.index(panel.CROSS)
            cross, unsure = self.slopes.value[:, at], z * self.slopes.deviation[:, at]
            frame = frame.assign(cross=cross, cross_low=cross - unsure, cross_high=cross + unsure)
        return frame.assign(prices=self.levels, units=self.sold)

    def cross_elasticities(self, name: str) -> pd.DataFrame:
        """Slopes of any column learnt from, such as `rival` or a confounder: item_id, value, low, high."""
        if name not in self.columns:
            raise SettingsError(f"Demand was not learnt from {name!r}; there are {', '.join(self.columns)}.")
        at, z = self.columns.index(name), quantile(self.params.confidence)
        value, unsure = self.slopes.value[:, at], z * self.slopes.deviation[:, at]
        return pd.DataFrame(
            {panel.ITEM: self.known.items, "value": value, "low": value - unsure, "high": value + unsure}
        )

    def predict(self, rows: pd.DataFrame, price: np.ndarray | float | None = None) -> np.ndarray:
        """Expected units of rows (no `units` needed), by trees on top of the regression; `price` replaces theirs."""
        if self.trees is None:
            return self.regress(rows, price)
        ahead, values, eta = self._rows(rows, price)
        units = self.trees.predict(self.kind, self.past, eta, values, ahead, self.slopes, self.known, self._year(rows))
        return _back(units, ahead)

    def regress(self, rows: pd.DataFrame, price: np.ndarray | float | None = None) -> np.ndarray:
        """The same by the hierarchical regression alone, the explainable one."""
        ahead, _, eta = self._rows(rows, price)
        return _back(np.exp(eta), ahead)

    def contributions(self, rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
        """What each column adds to the log of the units expected of each row, beside the item's usual level; and the
        columns' values.

        Regression and trees together: the parts of a sum, of which the trees' are those of Lundberg and Lee (2017).
        """
        ahead, values, eta = self._rows(rows, None)
        slope = self.slopes.value[ahead.item].copy()
        slope[:, 0] = np.minimum(slope[:, 0], LEAST_ELASTICITY)
        parts = pd.DataFrame(values * slope, columns=list(self.columns))
        if self.trees is not None:
            told, values = self.trees.contributions(
                self.kind, self.past, eta, values, ahead, self.slopes, self.known, self._year(rows)
            )
            named = pd.DataFrame(told, columns=[*self.columns, *forecast.AFTER])
            parts = named.add(parts.reindex(columns=named.columns, fill_value=0.0))
        both = [_back(np.asarray(one, float), ahead) for one in (parts.to_numpy(float), values)]
        added, seen = (pd.DataFrame(one, columns=parts.columns, index=rows.index) for one in both)
        return added, seen

    def _rows(self, rows: pd.DataFrame, price: np.ndarray | float | None) -> tuple[panel.Panel, np.ndarray, np.ndarray]:
        ahead = panel.panel(rows, self.known, self.columns, self._year(rows), price)
        values = ahead.values - self.centre
        return ahead, values, self._eta(values, ahead.series, ahead.item)

    def _eta(self, values: np.ndarray, series: np.ndarray, item: np.ndarray) -> np.ndarray:
        """Log of expected units by the regression; a place that was not seen has the item's mean level."""
        count = np.maximum(np.bincount(self.known.item), 1)
        of_item = np.bincount(self.known.item, self.level) / count
        seen = series < len(self.level)
        level = np.where(seen, self.level[np.minimum(series, len(self.level) - 1)], of_item[item])
        slope = self.slopes.value.copy()
        # Demand that rose with the price would be luck; a forecast never says so.
        slope[:, 0] = np.minimum(slope[:, 0], LEAST_ELASTICITY)
        return level + np.einsum("ij,ij->i", values, slope[item])

    def save(self, folder: Path) -> None:
        """Files that hold no code: JSON, Parquet and XGBoost's UBJ."""
        folder.mkdir(parents=True, exist_ok=True)
        state = {
            "params": dataclasses.asdict(self.params), "seed": self.seed, "threads": self.threads, "kind": self.kind,
            "columns": self.columns, "centre": self.centre.tolist(), "last": self.last,
            "scatter": self.slopes.scatter, "categories": self.known.category_names.tolist(),
            "brands": self.known.brand_names.tolist(), "trees": self.trees is not None,
        }  # fmt: skip
        write_json(folder / "demand.json", state)
        items = {
            panel.ITEM: self.known.items, "category": self.known.category, "brand": self.known.brand,
            "usual_price": self.known.usual_price, "usual_rival": self.known.usual_rival, "naive": self.naive,
            "levels": self.levels, "sold": self.sold, "dispersion": self.slopes.dispersion,
        }  # fmt: skip
        for name, slopes in (("slope", self.slopes), ("priced", self.priced)):
            for part in ("value", "deviation", "prior", "prior_deviation", "own_share"):
                table = getattr(slopes, part)
                items |= {f"{name}.{part}.{j}": table[:, j] for j in range(table.shape[1])}
        write_frame(folder / "items.parquet", pd.DataFrame(items))
        keys = self.known.keys
        series = {
            panel.ITEM: keys.get_level_values(0), panel.LOCATION: keys.get_level_values(1), "item": self.known.item,
            "level": self.level,
        }  # fmt: skip
        write_frame(folder / "series.parquet", pd.DataFrame(series))
        write_frame(folder / "past.parquet", pd.DataFrame(dataclasses.asdict(self.past)))
        if self.trees is not None:
            self.trees.save(folder)

    @classmethod
    def load(cls, folder: Path) -> "DemandModel":
        """The inverse of `save`."""
        state = json.loads((folder / "demand.json").read_text())
        model = cls(settings.build(DemandParams, state["params"], "params"), state["seed"], state["threads"])
        items, series = pd.read_parquet(folder / "items.parquet"), pd.read_parquet(folder / "series.parquet")
        model.kind, model.columns, model.last = state["kind"], tuple(state["columns"]), state["last"]
        model.centre = np.array(state["centre"])
        model.known = panel.Series(
            items[panel.ITEM].to_numpy(), items["category"].to_numpy(), items["brand"].to_numpy(),
            np.array(state["categories"], object), np.array(state["brands"], object), items["usual_price"].to_numpy(),
            items["usual_rival"].to_numpy(), pd.MultiIndex.from_frame(series[[panel.ITEM, panel.LOCATION]]),
            series["item"].to_numpy(),
        )  # fmt: skip
        past = pd.read_parquet(folder / "past.parquet")
        model.past = history.Past(
            **{field.name: past[field.name].to_numpy() for field in dataclasses.fields(history.Past)}
        )
        model.level, model.naive = series["level"].to_numpy(), items["naive"].to_numpy()
        model.levels, model.sold = items["levels"].to_numpy(), items["sold"].to_numpy()

        def slopes(name: str) -> regression.Slopes:
            parts: list[np.ndarray] = []
            for part in ("value", "deviation", "prior", "prior_deviation", "own_share"):
                own = [column for column in items.columns if column.startswith(f"{name}.{part}.")]
                parts.append(items[own].to_numpy())
            value, deviation, prior, prior_deviation, own_share = parts
            return regression.Slopes(
                value, deviation, prior, prior_deviation, own_share, model.level, items["dispersion"].to_numpy(),
                model.past.units, state["scatter"],
            )  # fmt: skip

        model.slopes, model.priced = slopes("slope"), slopes("priced")
        model.trees = forecast.Forecast.load(folder) if state["trees"] else None
        return model


def usable(elasticity: np.ndarray) -> np.ndarray:
    """Elasticities that an optimiser can use: those above LEAST_ELASTICITY are set to it."""
    return np.minimum(elasticity, LEAST_ELASTICITY)


def _informative(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows that tell something: what was sold out before anything sold tells nothing about demand."""
    if panel.STOCK not in rows.columns:
        return rows
    return rows[~((rows[panel.STOCK] <= 0) & (rows[panel.UNITS] <= 0)).to_numpy(bool)]


def _back(values: np.ndarray, ahead: panel.Panel) -> np.ndarray:
    """Values in the order of the frame."""
    result = np.empty_like(values)
    result[ahead.order] = values
    return result


def quantile(confidence: float) -> float:
    """Standard deviations to each side of an interval of that level."""
    from scipy import stats

    return float(stats.norm.ppf((1 + confidence) / 2))
