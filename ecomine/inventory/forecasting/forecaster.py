"""DemandForecaster: demand to come as a distribution, a row a series and period, or a row a series in total."""

import copy
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ecomine import params as settings
from ecomine.columns import require
from ecomine.errors import FeatureError, NotEnoughDataError, SettingsError
from ecomine.inventory.forecasting import backtest, calibration, censoring, classics, moving, state, trees
from ecomine.inventory.forecasting import distribution as law
from ecomine.inventory.forecasting import panel as panels
from ecomine.inventory.forecasting.design import Design, Rows
from ecomine.inventory.forecasting.panel import DATE, ITEM, LOCATION
from ecomine.inventory.forecasting.params import ForecastParams
from ecomine.store import write_json

LIKELIHOODS = ("auto", law.LOG, law.COUNTS, law.INFLATED)
METHODS = ("auto", "direct", "recursive")
PERIODS = "periods"


@dataclasses.dataclass(frozen=True)
class Expected:
    """The panel with what is to come, and series × periods: expected units, middle and dispersion of their law."""

    ahead: panels.Panel
    units: np.ndarray
    middle: np.ndarray
    dispersion: np.ndarray

    def upto(self, horizon: int) -> tuple[panels.Panel, np.ndarray, np.ndarray, np.ndarray]:
        """The same of the first periods."""
        return self.ahead, self.units[:, :horizon], self.middle[:, :horizon], self.dispersion[:, :horizon]


class DemandForecaster:
    """Learns demand of all items and locations together, and how far it may lie from what is expected.

    `fit(rows)` takes a frame with item_id, date (the first day of a day or week) and quantity, and as far as there are:
    location_id, category, price, promotion, stock (units left at the end of the period; at 0 the quantity is the least
    that was wanted), open; further numeric columns are inputs that are known ahead. After it `validated` holds the
    forecasts of validation: the keys, periods (how far ahead), quantity, mean.
    """

    def __init__(self, params: ForecastParams | None = None, seed: int = 42, threads: int = 2) -> None:
        self.params, self.seed, self.threads = params or ForecastParams(), seed, threads
        for name, value, known in (
            ("likelihood", self.params.likelihood, LIKELIHOODS),
            ("method", self.params.method, METHODS),
        ):
            if value not in known:
                raise SettingsError(f"`inventory.forecast.{name}` is {value!r}; expected one of {', '.join(known)}.")
        classics.check(self.params.classics)

    def fit(self, rows: pd.DataFrame) -> "DemandForecaster":
        """Learns; raises FeatureError for unusable rows, NotEnoughDataError for less than two horizons of history."""
        params, seed, threads, horizon = self.params, self.seed, self.threads, self.params.horizon
        sales = panels.panel(rows, params.gaps, params.period_days)
        if sales.periods < 2 * horizon:
            raise NotEnoughDataError(
                f"{sales.periods} periods of history; a horizon of {horizon} needs at least {2 * horizon}. "
                "Bring a longer history or shorten the horizon."
            )
        self.kind = law.chosen(params.likelihood, sales.units[np.isfinite(sales.units)])
        rhythm_of = self._design(sales, sales.units)
        units = censoring.filled(self.kind, sales, rhythm_of.rhythm, params.block)
        design = rhythm_of if units is sales.units else self._design(sales, units)
        test = backtest.run(design, self.kind, params, horizon, seed, threads)
        inflated = params.likelihood in ("auto", law.INFLATED)
        self.sure = calibration.calibrate(self.kind, test, sales.censored, horizon, seed, threads, inflated)
        if sales.censored is not None and sales.censored.any():
            units = self._refilled(design, test.direct)
            design = self._design(sales, units)
        self.classic, self.validated = test.classic, self._validated(sales, test)
        self.steps, self.panel, self.units, self.groups = test.steps, sales, units, tuple(design.groups.units)
        last = sales.periods - 1
        learnt = trees.sampled(design, last, horizon, None, params.rows, seed)
        self.direct, _ = trees.fit(
            design.seen(learnt), units[learnt.series, learnt.target].astype(float), self.kind, params, seed, threads,
            test.rounds,
        )  # fmt: skip
        self.stepwise: trees.Trees | None = None
        if self.steps:
            near = trees.sampled(design, last, horizon, 1, params.rows, seed + 1)
            self.stepwise, _ = trees.fit(
                design.seen(near), units[near.series, near.target].astype(float), self.kind, params, seed, threads,
                test.step_rounds,
            )  # fmt: skip
        return self

    def _design(self, sales: panels.Panel, units: np.ndarray, groups: tuple[str, ...] | None = None) -> Design:
        params = self.params
        return Design(sales, units, params.horizon, params.block, groups, params.identities)

    def following(self, rows: pd.DataFrame | panels.Panel) -> "DemandForecaster":
        """The same model on another history, such as a longer one: it forecasts from there, and learns nothing anew.

        Raises FeatureError for rows that lack an input that it was fitted on.
        """
        sales = rows if isinstance(rows, panels.Panel) else panels.panel(rows, self.params.gaps, self.panel.days)
        other = copy.copy(self)
        place = self.panel.keys.get_indexer(sales.keys)
        other.panel = moving.aligned(sales, self.panel, self.params.identities)
        other.classic = np.where(place >= 0, self.classic[np.maximum(place, 0)], -1)
        design = self._design(other.panel, other.panel.units, self.groups)
        other.units = censoring.filled(self.kind, other.panel, design.rhythm, self.params.block)
        if other.panel.censored is not None and other.panel.censored[:, 1:].any():
            other.units = other._refilled(design.seeing(other.units), self.direct)
        return other

    def _validated(self, sales: panels.Panel, test: backtest.Backtest) -> pd.DataFrame:
        """The forecasts of validation beside what came, in the order of series and date."""
        keys = sales.keys[test.rows.series]
        dispersion = self._dispersion(self.sure.spread.of(test.seen, test.middle))
        frame = pd.DataFrame(
            {
                ITEM: keys.get_level_values(ITEM), LOCATION: keys.get_level_values(LOCATION),
                DATE: sales.dates(test.rows.target).astype("datetime64[ns]"), "periods": test.rows.distance,
                "quantity": test.units, "mean": law.mean(self.kind, test.middle, dispersion),
            }
        )  # fmt: skip
        return frame.sort_values([ITEM, LOCATION, DATE], ignore_index=True)

    def _refilled(self, design: Design, model: trees.Trees) -> np.ndarray:
        """What was wanted behind stock-outs by the model's own forecast of those periods."""
        assert design.panel.censored is not None
        cells = np.nonzero(design.panel.censored[:, 1:])
        rows = Rows(cells[0], cells[1] + 1, cells[1])
        seen = design.seen(rows)
        middle = model.predict(seen)
        where = (rows.series, rows.target)
        return censoring.refilled(
            self.kind, design.panel, design.units, where, middle, self._dispersion(self.sure.spread.of(seen, middle))
        )

    def expected(self, horizon: int, known: pd.DataFrame | None = None) -> Expected:
        """What `predict` and `totals` of up to `horizon` periods rest on, for who asks both."""
        return Expected(*self._ahead(horizon, known))

    def predict(self, horizon: int, known: pd.DataFrame | None = None, given: Expected | None = None) -> pd.DataFrame:
        """Demand of each of the next `horizon` periods: item_id, location_id, date, mean, q0.05 … q0.95, sorted.

        `known` holds future rows (item_id, location_id, date, price, promotion …); items that only it has are forecast
        from their category; `given` is what `expected` told. Raises SettingsError for a horizon
        beyond that of training.
        """
        ahead, expected, middle, dispersion = (given or self.expected(horizon, known)).upto(horizon)
        told = self._quantiles(
            middle.ravel(), dispersion.ravel(), lambda level: self.sure.single.of(level, expected.ravel()),
            self.sure.further.of(expected.ravel()),
        )  # fmt: skip
        open_ = expected.ravel() > 0
        told = {name: np.where(open_, values, 0.0) for name, values in told.items()}
        return self._keys(ahead, horizon).assign(mean=expected.ravel(), **told)

    def intervals(self, horizon: int, known: pd.DataFrame | None = None, coverage: float = 0.9) -> pd.DataFrame:
        """Bounds that hold the demand of a period with the probability `coverage`: the keys, lower, upper, sorted.

        Bounds count as inside, so that for sparse demand, where 0 is often the lower one, they lie closer than the
        quantiles of both ends. Conformal: as wide as would have held that share in validation (Vovk et al., 2005).
        """
        if not 0 < coverage < 1:
            raise SettingsError(f"A coverage of {coverage!r}; expected a number between 0 and 1.")
        ahead, expected, middle, dispersion = self._ahead(horizon, known)
        share = self.sure.interval.of(coverage, expected.ravel())
        low, high = (
            law.quantile(self.kind, level, middle.ravel(), dispersion.ravel(), self.sure.further.of(expected.ravel()))
            for level in ((1 - share) / 2, (1 + share) / 2)
        )
        closed = expected.ravel() <= 0
        return self._keys(ahead, horizon).assign(lower=np.where(closed, 0.0, low), upper=np.where(closed, 0.0, high))

    def _keys(self, ahead: panels.Panel, horizon: int) -> pd.DataFrame:
        dates = ahead.dates(np.arange(self.panel.periods, self.panel.periods + horizon)).astype("datetime64[ns]")
        return pd.DataFrame(
            {
                ITEM: np.repeat(ahead.keys.get_level_values(ITEM), horizon),
                LOCATION: np.repeat(ahead.keys.get_level_values(LOCATION), horizon),
                DATE: np.tile(dates, len(ahead.keys)),
            }
        )

    def totals(
        self, periods: int | pd.DataFrame, known: pd.DataFrame | None = None, given: Expected | None = None
    ) -> pd.DataFrame:
        """Demand of the next periods taken together, a row a series: item_id, location_id, mean, sd, q0.05 … q0.95.

        `periods` is a number or a frame item_id, location_id, periods; only its series are told then. `given` is what
        `expected` told.
        """
        asked, size = None, np.zeros(0, np.int64)
        if isinstance(periods, pd.DataFrame):
            require(periods.columns, (ITEM, PERIODS), "periods of totals")
            size = periods[PERIODS].to_numpy(np.int64)
            asked = panels.index(periods)
        longest = int(periods) if asked is None else int(size.max(initial=1))  # type: ignore[arg-type]
        ahead, expected, middle, dispersion = (given or self.expected(longest, known)).upto(longest)
        keys = ahead.keys
        if asked is None:
            size, place = np.full(len(keys), longest), np.arange(len(keys))
        else:
            place = keys.get_indexer(asked)
            if (place < 0).any():
                raise FeatureError(
                    f"{(place < 0).sum()} series such as {asked[place < 0][0]} are neither in training nor in `known`."
                )
            order = np.argsort(place, kind="stable")
            place, size = place[order], size[order]
        if size.min(initial=1) < 1:
            raise SettingsError(f"A total of {size.min()} periods; expected at least 1.")
        spread_ = np.where(expected > 0, law.variance(self.kind, middle, dispersion), 0.0)
        total, wide = (one.cumsum(axis=1)[place, size - 1] for one in (expected, spread_))
        safe = np.maximum(total, 1e-9)
        own, broad = law.from_moments(
            self.kind, safe, np.maximum(self.sure.totals.variance(size, safe, wide), safe * 1e-9)
        )
        told = self._quantiles(own, self._dispersion(broad), lambda level: self.sure.totals.level(level, size, safe))
        for name in told:
            told[name] = np.where(total > 0, told[name], 0.0)
        keys = keys[place]
        return pd.DataFrame(
            {
                ITEM: keys.get_level_values(ITEM),
                LOCATION: keys.get_level_values(LOCATION),
                "mean": total,
                "sd": np.where(total > 0, np.sqrt(law.variance(self.kind, own, self._dispersion(broad))), 0.0),
            }
            | told
        )

    def contributions(self, series: np.ndarray, target: np.ndarray, origin: int) -> tuple[pd.DataFrame, pd.DataFrame]:
        """What each column adds to the log of expected units over a series' level, a row a series and target; and the
        columns' values.

        `series` are places in the panel, sorted; `target` and `origin` periods of it. Trees for all distances alone.
        """
        rows = Rows(
            np.repeat(series, len(target)), np.tile(target, len(series)), np.full(len(series) * len(target), origin)
        )
        seen = self._design(self.panel, self.units, self.groups).seen(rows)
        names = list(seen.names)
        return pd.DataFrame(self.direct.contributions(seen), columns=names), pd.DataFrame(seen.values, columns=names)

    def _ahead(
        self, horizon: int, known: pd.DataFrame | None
    ) -> tuple[panels.Panel, np.ndarray, np.ndarray, np.ndarray]:
        """The panel with what is to come, and series × horizon: expected units, middle and dispersion of their law."""
        if not 1 <= horizon <= self.params.horizon:
            raise SettingsError(
                f"A forecast of {horizon} periods from a model that was trained for 1 to {self.params.horizon}; "
                f"fit it with ForecastParams(horizon={max(horizon, 1)})."
            )
        ahead = panels.extended(self.panel, known, self.params.horizon)
        units = self.units
        if len(ahead.keys) > len(units):
            units = np.full(ahead.units.shape, np.nan, np.float32)
            units[ahead.keys.get_indexer(self.panel.keys)] = self.units
        design = self._design(ahead, units, self.groups)
        count, last = len(ahead.keys), self.panel.periods - 1
        middle, dispersion = np.empty((count, horizon)), np.empty((count, horizon))
        steps = min(self.steps, horizon)
        walked = None
        if self.stepwise is not None:
            walked = trees.step_by_step(self.stepwise, design, np.arange(count), last, steps)
        for begin in range(0, count, self.params.block):
            series = np.arange(begin, min(begin + self.params.block, count))
            rows = Rows(
                np.repeat(series, horizon),
                np.tile(np.arange(last + 1, last + 1 + horizon), len(series)),
                np.full(len(series) * horizon, last),
            )
            seen = design.seen(rows)
            told = self.direct.predict(seen).reshape(len(series), horizon)
            if walked is not None:
                told[:, :steps] = walked[series]
            self._take_over(design, told, rows, series, last)
            middle[series] = told
            dispersion[series] = self.sure.spread.of(seen, told.ravel()).reshape(told.shape)
        dispersion = self._dispersion(dispersion)
        expected = law.mean(self.kind, middle, dispersion)
        if panels.OPEN in ahead.inputs:
            shut = ahead.inputs[panels.OPEN][:, last + 1 : last + 1 + horizon] == 0
            expected[shut] = 0.0
        return ahead, expected, middle, dispersion

    def _take_over(self, design: Design, told: np.ndarray, rows: Rows, series: np.ndarray, last: int) -> None:
        """What classical methods expect of the series that they won."""
        place = self.panel.keys.get_indexer(design.panel.keys[series])
        choice = np.where(place >= 0, self.classic[np.maximum(place, 0)], -1)
        for number in np.unique(choice[choice >= 0]):
            mine = choice == number
            name, horizon = self.params.classics[number], told.shape[1]
            expected = classics.expected(name, design.units[series[mine], : last + 1], design.rhythm, horizon)
            told[mine] = np.maximum(expected, backtest.FLOOR * np.maximum(told[mine], 1.0))

    def _dispersion(self, values: np.ndarray) -> np.ndarray:
        return np.maximum(values, law.LEAST_DISPERSION) if self.kind == law.COUNTS else values

    def _quantiles(
        self, middle: np.ndarray, dispersion: np.ndarray, level: Any, extra: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """Columns of quantiles, none below the one before."""
        found = [law.quantile(self.kind, level(one), middle, dispersion, extra) for one in law.LEVELS]
        return dict(zip(law.NAMES, np.maximum.accumulate(np.array(found), axis=0), strict=True))

    def save(self, folder: Path) -> None:
        """Files that hold no code: JSON, Parquet, npz and XGBoost's UBJ."""
        folder.mkdir(parents=True, exist_ok=True)
        write_json(
            folder / "forecaster.json",
            {
                "params": dataclasses.asdict(self.params), "seed": self.seed, "threads": self.threads,
                "kind": self.kind, "steps": self.steps, "groups": self.groups,
            },
        )  # fmt: skip
        state.save(folder, self.panel, self.units)
        np.save(folder / "classic.npy", self.classic, allow_pickle=False)
        calibration.save(folder, self.sure)
        self.direct.save(folder, "direct")
        if self.stepwise is not None:
            self.stepwise.save(folder, "stepwise")

    @classmethod
    def load(cls, folder: Path) -> "DemandForecaster":
        """The inverse of `save`."""
        told = json.loads((folder / "forecaster.json").read_text())
        model = cls(settings.build(ForecastParams, told["params"], "params"), told["seed"], told["threads"])
        model.kind, model.steps, model.groups = told["kind"], told["steps"], tuple(told["groups"])
        model.panel, model.units = state.load(folder)
        model.classic = np.load(folder / "classic.npy", allow_pickle=False)
        model.sure = calibration.load(folder, model.threads)
        model.direct = trees.Trees.load(folder, "direct", model.kind, model.threads)
        model.stepwise = None
        if model.steps:
            model.stepwise = trees.Trees.load(folder, "stepwise", model.kind, model.threads)
        return model
