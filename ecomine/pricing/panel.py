"""Sales by item, location and period as arrays: what the estimators of demand see."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ecomine.columns import require
from ecomine.errors import FeatureError, NotEnoughDataError

ITEM, LOCATION, PERIOD, PRICE, UNITS = "item_id", "location_id", "period", "price", "units"
CATEGORY, BRAND, STOCK, RIVAL = "category", "brand", "stock", "competitor_price"
OWN, CROSS, RIVAL_RATIO = "own", "cross", "rival"
OPTIONAL = ("promotion", "display")

KNOWN = (ITEM, LOCATION, PERIOD, PRICE, UNITS, CATEGORY, BRAND, STOCK, RIVAL, *OPTIONAL)
"""Columns with a meaning; every other numeric column counts as a confounder that moves demand and price."""


@dataclass(frozen=True)
class Series:
    """What is known of each item (`items`, with category and brand codes) and each item at a location (`series`)."""

    items: np.ndarray
    category: np.ndarray
    brand: np.ndarray
    category_names: np.ndarray
    brand_names: np.ndarray
    usual_price: np.ndarray
    usual_rival: np.ndarray
    keys: pd.MultiIndex
    item: np.ndarray


@dataclass(frozen=True)
class Panel:
    """Rows in the order of series and period. `values` are rows × `columns`, of which `own` is the first.

    `own`, `cross` (mean of the category's other items in the same place and period) and `rival` are logs of the price
    over the item's usual one; `planned` is `own` at the frame's price where another is
    asked about; `censored` rows sold out, so that more than `units` may have been wanted. `order` gives
    the rows of the frame that the panel came from.
    """

    series: np.ndarray
    item: np.ndarray
    period: np.ndarray
    units: np.ndarray
    censored: np.ndarray
    price: np.ndarray
    planned: np.ndarray
    columns: tuple[str, ...]
    values: np.ndarray
    order: np.ndarray

    def column(self, name: str) -> np.ndarray:
        return self.values[:, self.columns.index(name)]

    @property
    def own(self) -> np.ndarray:
        return self.values[:, 0]


def describe(rows: pd.DataFrame) -> Series:
    """The items and series of training rows.

    Raises FeatureError for a missing column or an unusable price, NotEnoughDataError for no rows.
    """
    require(rows.columns, (ITEM, PERIOD, PRICE, UNITS), "rows of sales")
    if rows.empty:
        raise NotEnoughDataError("No rows of sales; expected a row for each item, location and period on sale.")
    price, units = rows[PRICE].to_numpy(float), rows[UNITS].to_numpy(float)
    if not (np.isfinite(price) & (price > 0)).all() or not (np.isfinite(units) & (units >= 0)).all():
        raise FeatureError(
            f"Prices from {np.nanmin(price):g} to {np.nanmax(price):g} and units from {np.nanmin(units):g}, or missing "
            "ones; expected prices above 0 and units of at least 0. Leave out the periods without a price."
        )
    code, items = pd.factorize(rows[ITEM], sort=True)
    first = np.full(len(items), len(rows))
    np.minimum.at(first, code, np.arange(len(rows)))

    def of_item(name: str) -> tuple[np.ndarray, np.ndarray]:
        if name not in rows.columns:
            return np.zeros(len(items), np.int64), np.array(["all"], object)
        given = rows[name].iloc[first]
        return pd.factorize(given.astype(str).where(given.notna(), "unknown").to_numpy(object), sort=True)

    (category, names), (brand, brands) = of_item(CATEGORY), of_item(BRAND)
    usual = np.exp(pd.Series(np.log(price)).groupby(code).median().to_numpy())
    rival = np.full(len(items), np.nan)
    if RIVAL in rows.columns:
        seen = rows[RIVAL].where(rows[RIVAL] > 0).astype(float)
        rival = np.exp(np.log(seen).groupby(code).median().reindex(range(len(items))).to_numpy(float))
    keys = _keys(rows).unique().sort_values()
    item = pd.Index(items).get_indexer(keys.get_level_values(0))
    return Series(np.asarray(items), category, brand, np.asarray(names), np.asarray(brands), usual, rival, keys, item)


def confounders(rows: pd.DataFrame) -> tuple[str, ...]:
    """Names of the numeric columns that have no meaning of their own."""
    return tuple(str(name) for name in rows.columns if name not in KNOWN and pd.api.types.is_numeric_dtype(rows[name]))


def panel(rows: pd.DataFrame, known: Series, columns: tuple[str, ...], year: float, price: object = None) -> Panel:
    """The rows of a frame whose items and series are `known`; `price` replaces the frame's own.

    Raises FeatureError for a missing column or an item that is not known.
    """
    item = pd.Index(known.items).get_indexer(rows[ITEM])
    if (item < 0).any():
        strangers = rows[ITEM][item < 0].unique()
        raise FeatureError(f"{len(strangers)} items such as {strangers[0]!r} were not in training; fit on them first.")
    series = known.keys.get_indexer(_keys(rows))
    number, turn = times(rows[PERIOD], year)
    # A location that was not seen stands alone after all others.
    series = np.where(series < 0, len(known.keys), series)
    order = np.lexsort((number, series))
    asked = rows[PRICE].to_numpy(float) if price is None else np.broadcast_to(np.asarray(price, float), len(rows))
    # Sums must not depend on the order in which rows came.
    rows = rows.iloc[order]
    series, item, number, turn, asked = (one[order] for one in (series, item, number, turn, asked))
    given = {OWN: np.log(asked / known.usual_price[item])}
    place = rows[LOCATION] if LOCATION in rows.columns else np.zeros(len(rows), np.int64)
    # Another price is asked about with all others as they are.
    planned = np.log(rows[PRICE].to_numpy(float) / known.usual_price[item])
    given[CROSS] = _others(planned, known.category[item], pd.factorize(place)[0], number)
    if RIVAL in rows.columns:
        ratio = np.log(rows[RIVAL].where(rows[RIVAL] > 0).to_numpy(float) / known.usual_rival[item])
        given[RIVAL_RATIO] = np.where(np.isfinite(ratio), ratio, 0.0)
    given["trend"] = number / year
    given["season_sine"], given["season_cosine"] = np.sin(2 * np.pi * turn), np.cos(2 * np.pi * turn)
    missing = [name for name in columns if name not in given and name not in rows.columns]
    if missing:
        raise FeatureError(f"The rows lack {', '.join(missing)}, which demand was learnt from.")
    values = [given[n] if n in given else rows[n].astype(float).fillna(0.0).to_numpy() for n in columns]
    units = rows[UNITS].to_numpy(float) if UNITS in rows.columns else np.full(len(rows), np.nan)
    # Stock that nobody counted censors nothing.
    censored = (rows[STOCK] <= 0).to_numpy(bool) if STOCK in rows.columns else np.zeros(len(rows), bool)
    return Panel(
        series, item, number, units, censored, asked, planned, columns, np.column_stack(values), order
    )  # fmt: skip


def names(rows: pd.DataFrame) -> tuple[str, ...]:
    """Columns of the panel that a training frame can fill; those without any variation are left out by the fit."""
    rival = (RIVAL_RATIO,) if RIVAL in rows.columns else ()
    extra = tuple(name for name in OPTIONAL if name in rows.columns)
    return (OWN, CROSS, *rival, *extra, "trend", "season_sine", "season_cosine", *confounders(rows))


def times(period: pd.Series, year: float) -> tuple[np.ndarray, np.ndarray]:
    """Periods as numbers, and as the turn of the year (1 a year); timestamps count in days."""
    if pd.api.types.is_datetime64_any_dtype(period):
        days = period.to_numpy("datetime64[s]").astype(np.int64) / 86_400
        return days * year / 365.25, days / 365.25
    number = period.to_numpy(float)
    return number, number / year


def _keys(rows: pd.DataFrame) -> pd.MultiIndex:
    place = rows[LOCATION] if LOCATION in rows.columns else np.zeros(len(rows), np.int64)
    return pd.MultiIndex.from_arrays([rows[ITEM], place])


def _others(own: np.ndarray, category: np.ndarray, place: np.ndarray, period: np.ndarray) -> np.ndarray:
    """Mean of `own` over the other rows of the same category, place and period; 0 where there are none."""
    shelf = pd.MultiIndex.from_arrays([category, place, period]).factorize()[0]
    count, total = np.bincount(shelf)[shelf], np.bincount(shelf, own)[shelf]
    return np.where(count > 1, (total - own) / np.maximum(count - 1, 1), 0.0)
