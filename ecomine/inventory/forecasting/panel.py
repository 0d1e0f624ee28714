"""Sales as a grid of series and periods, and what is known of both."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from ecomine.columns import require
from ecomine.errors import FeatureError, NotEnoughDataError, SettingsError

ITEM, LOCATION, DATE, QUANTITY = "item_id", "location_id", "date", "quantity"
CATEGORY, PRICE, PROMOTION, STOCK, OPEN = "category", "price", "promotion", "stock", "open"
KEYS = (ITEM, LOCATION)
KNOWN = (ITEM, LOCATION, DATE, QUANTITY, CATEGORY, STOCK, OPEN)
"""Columns with a meaning; every other numeric column is an input that is known ahead."""

EVERYWHERE = "all"
"""The location of rows that have none."""

ZERO, CLOSED = "zero", "closed"


@dataclass(frozen=True)
class Panel:
    """`units` is series × periods with nulls where nothing could be sold or the series had not begun.

    `keys` are item and location, sorted; `item`, `location` and `category` code them. `censored` cells sold out.
    `inputs` are what is known ahead, by name, series × (periods + those to come); `flags` are those of 0 and 1 alone.
    `first` is the day of period 0 and `days` the length of a period; `begin` the first period of each series.
    """

    keys: pd.MultiIndex
    item: np.ndarray
    location: np.ndarray
    category: np.ndarray
    category_names: np.ndarray
    units: np.ndarray
    censored: np.ndarray | None
    inputs: dict[str, np.ndarray]
    flags: tuple[str, ...]
    begin: np.ndarray
    first: np.datetime64
    days: int

    @property
    def periods(self) -> int:
        return self.units.shape[1]

    def dates(self, period: np.ndarray) -> np.ndarray:
        return self.first + (period * self.days).astype("timedelta64[D]")

    def block(self, begin: int, end: int) -> "Panel":
        """Series from `begin` up to `end`."""
        part = slice(begin, end)
        return replace(
            self,
            keys=self.keys[part], item=self.item[part], location=self.location[part], category=self.category[part],
            units=self.units[part], censored=None if self.censored is None else self.censored[part],
            inputs={name: values[part] for name, values in self.inputs.items()}, begin=self.begin[part],
        )  # fmt: skip


def panel(rows: pd.DataFrame, gaps: str, period_days: int | None) -> Panel:
    """The grid of training rows.

    Raises FeatureError for a missing or unusable column, NotEnoughDataError for no rows.
    """
    if gaps not in (ZERO, CLOSED):
        raise SettingsError(f"`gaps` is {gaps!r}; expected {ZERO} or {CLOSED}.")
    require(rows.columns, (ITEM, DATE, QUANTITY), "rows of sales")
    if rows.empty:
        raise NotEnoughDataError("No rows of sales; expected a row for each item, location and period.")
    quantity = rows[QUANTITY].to_numpy(float)
    if not (quantity >= 0).all():
        raise FeatureError(
            f"Quantities from {np.nanmin(quantity):g} on, or missing ones; expected 0 or more. "
            "Take returns out, and leave out the periods without a count."
        )
    day = days_of(rows)
    length = period_days or _length(day)
    first = day.min()
    if ((day - first) % length).any():
        raise FeatureError(f"Dates do not lie {length} days apart; expected the first day of each period.")
    period = (day - first) // length
    keys, series = _series(rows)
    if len(np.unique(series * (int(period.max()) + 1) + period)) < len(rows):
        raise FeatureError("Several rows have the same item, location and date; sum them first.")
    item, location = (pd.factorize(keys.get_level_values(name), sort=True)[0] for name in KEYS)
    category, names = _categories(rows, series, len(keys))
    shape = (len(keys), int(period.max()) + 1)
    units = np.full(shape, np.nan, np.float32)
    units[series, period] = quantity
    begin = np.full(len(keys), shape[1])
    np.minimum.at(begin, series, period)
    if gaps == ZERO:
        units[np.isnan(units) & (np.arange(shape[1]) >= begin[:, None])] = 0.0
    if OPEN in rows.columns:
        shut = np.flatnonzero(rows[OPEN].to_numpy(float) == 0)
        units[series[shut], period[shut]] = np.nan
    censored = None
    if STOCK in rows.columns:
        censored = np.zeros(shape, bool)
        # Stock that nobody counted censors nothing.
        censored[series, period] = (rows[STOCK] <= 0).to_numpy(bool)
        censored &= np.isfinite(units)
    inputs, flags = {}, []
    for name in input_names(rows):
        values = rows[name].to_numpy(np.float32)
        flag = bool(np.isin(values, (0.0, 1.0)).all())
        flags += [name] if flag else []
        inputs[name] = _spread(values, series, period, shape, flag)
    if gaps == CLOSED or OPEN in rows.columns:
        inputs[OPEN] = np.isfinite(units).astype(np.float32)
        flags.append(OPEN)
    start = np.datetime64(int(first), "D")
    return Panel(keys, item, location, category, names, units, censored, inputs, tuple(flags), begin, start, length)


def extended(past: Panel, known: pd.DataFrame | None, horizon: int) -> Panel:
    """The panel with inputs for `horizon` more periods, and with the series of `known` that are new.

    What `known` does not tell of an input stays as it was, a flag becomes 0; without `known` every period is open.
    """
    width = past.periods + horizon
    if known is not None and len(known):
        require(known.columns, (ITEM, DATE), "known future rows")
        past = _with_new(past, known)
    inputs = {}
    for name, values in past.inputs.items():
        grid = np.full((len(past.keys), width), np.nan, np.float32)
        grid[:, : past.periods] = values
        inputs[name] = grid
    told = np.zeros((len(past.keys), horizon), bool)
    if known is not None and len(known):
        series = past.keys.get_indexer(index(known))
        period = (days_of(known) - past.first.astype(np.int64)) // past.days
        inside = (period >= past.periods) & (period < width)
        series, period = series[inside], period[inside]
        told[series, period - past.periods] = True
        for name in inputs:
            if name in known.columns:
                inputs[name][series, period] = known[name].to_numpy(np.float32)[inside]
    for name, grid in inputs.items():
        if name == OPEN:
            ahead = grid[:, past.periods :]
            unsaid = np.isnan(ahead)
            anything = np.repeat(told.any(axis=1), horizon).reshape(told.shape)
            ahead[unsaid] = np.where(anything & ~told, 0.0, 1.0)[unsaid]
        elif name in past.flags:
            grid[np.isnan(grid)] = 0.0
        else:
            inputs[name] = _carried(grid)
    return replace(past, inputs=inputs)


def _with_new(past: Panel, known: pd.DataFrame) -> Panel:
    keys = index(known).unique()
    new = keys[past.keys.get_indexer(keys) < 0]
    if not len(new):
        return past
    both = past.keys.append(new)
    place = np.argsort(np.asarray(both.sort_values(return_indexer=True)[1]), kind="stable")
    everything = both.sort_values()
    old = place[: len(past.keys)]

    def moved(values: np.ndarray, fill: Any) -> np.ndarray:
        grid = np.full((len(everything), *values.shape[1:]), fill, values.dtype)
        grid[old] = values
        return grid

    def coded(level: str, codes: np.ndarray) -> np.ndarray:
        before = pd.Series(codes, index=past.keys.get_level_values(level)).groupby(level=0).first()
        return before.reindex(everything.get_level_values(level)).fillna(-1).to_numpy(np.int64)

    category = moved(past.category, -1)
    if CATEGORY in known.columns:
        code = pd.Index(past.category_names).get_indexer(known[CATEGORY].astype(str))
        series = everything.get_indexer(index(known))
        fresh = category[series] < 0
        category[series[fresh]] = code[fresh]
    elif len(past.category_names) == 1:
        category[:] = 0
    return replace(
        past,
        keys=everything, item=coded(ITEM, past.item), location=coded(LOCATION, past.location), category=category,
        units=moved(past.units, np.nan), censored=None if past.censored is None else moved(past.censored, False),
        inputs={name: moved(values, np.nan) for name, values in past.inputs.items()},
        begin=moved(past.begin, past.periods),
    )  # fmt: skip


def input_names(rows: pd.DataFrame) -> list[str]:
    """Columns that are known ahead."""
    numeric = pd.api.types.is_numeric_dtype
    return [str(name) for name in rows.columns if name not in KNOWN and numeric(rows[name])]


def days_of(rows: pd.DataFrame) -> np.ndarray:
    """Dates as days since 1970; raises FeatureError where they are no dates."""
    if not pd.api.types.is_datetime64_any_dtype(rows[DATE]):
        raise FeatureError(f"`{DATE}` is of type {rows[DATE].dtype}; expected timestamps: use pandas.to_datetime.")
    return rows[DATE].to_numpy("datetime64[D]").astype(np.int64)


def _length(day: np.ndarray) -> int:
    return 7 if len(np.unique(day)) > 1 and not np.any((day - day[0]) % 7) else 1


def index(rows: pd.DataFrame) -> pd.MultiIndex:
    """Item and location of rows."""
    place = rows[LOCATION] if LOCATION in rows.columns else np.full(len(rows), EVERYWHERE, object)
    return pd.MultiIndex.from_arrays([rows[ITEM], place], names=KEYS)


def _series(rows: pd.DataFrame) -> tuple[pd.MultiIndex, np.ndarray]:
    item, items = pd.factorize(rows[ITEM], sort=True)
    place = rows[LOCATION] if LOCATION in rows.columns else np.full(len(rows), EVERYWHERE, object)
    where, places = pd.factorize(place, sort=True)
    if min(item.min(), where.min()) < 0:
        raise FeatureError(f"Rows lack an {ITEM} or a {LOCATION}; expected both in every row.")
    code, pairs = pd.factorize(item * len(places) + where)
    order = np.argsort(pairs)
    rank = np.empty(len(pairs), np.int64)
    rank[order] = np.arange(len(pairs))
    pairs = pairs[order]
    return pd.MultiIndex.from_arrays([items[pairs // len(places)], places[pairs % len(places)]], names=KEYS), rank[code]


def _categories(rows: pd.DataFrame, series: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    if CATEGORY not in rows.columns:
        return np.zeros(count, np.int64), np.array([EVERYWHERE], object)
    first = np.full(count, len(rows))
    np.minimum.at(first, series, np.arange(len(rows)))
    given = rows[CATEGORY].iloc[first]
    code, names = pd.factorize(given.astype(str).where(given.notna(), "unknown").to_numpy(object), sort=True)
    return code, np.asarray(names, object)


def _spread(
    values: np.ndarray, series: np.ndarray, period: np.ndarray, shape: tuple[int, int], flag: bool
) -> np.ndarray:
    grid = np.full(shape, 0.0 if flag else np.nan, np.float32)
    grid[series, period] = values
    return grid if flag else _carried(grid)


def _carried(grid: np.ndarray) -> np.ndarray:
    """Nulls take the value before them."""
    at = np.where(np.isnan(grid), 0, np.arange(grid.shape[1], dtype=np.int32))
    return np.take_along_axis(grid, np.maximum.accumulate(at, axis=1), axis=1)
