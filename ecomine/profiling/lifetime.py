"""What a customer will still buy, and what that is worth.

Buying-till-you-die models tell how often, Gamma-Gamma how much; both are fitted by maximum likelihood on the distinct
rows of the summary, so a million customers cost little more than a hundred thousand.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import special

from ecomine.errors import FeatureError, SettingsError
from ecomine.profiling import buying, spending
from ecomine.profiling.buying import MODELS, BetaGeometric, BuyingModel, Pareto
from ecomine.store import write_json

Rows = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Purchases after the first, time from the first to the last, and time from the first to now."""

_BLOCK = 2_000_000
"""Cells of customers × possible purchases that are held at a time, which bounds the memory."""


class LifetimeValue:
    """Probability of being alive, purchases to come and their value, from the summary that `order_summary` makes.

    model: bg_nbd, pareto_nbd or mbg_cnbd_k (which chooses k by the likelihood). unit_days: the unit of the model's
    time. Parameters are in `parameters` after `fit`. Raises FeatureError for missing columns, NotEnoughDataError
    where nobody bought twice.
    """

    def __init__(self, model: str = "pareto_nbd", unit_days: float = 7.0, draws: int = 256) -> None:
        if model not in MODELS:
            raise SettingsError(f"The lifetime model is {model!r}; expected one of {', '.join(MODELS)}.")
        self.model, self.unit_days, self.draws = model, float(unit_days), int(draws)

    def fit(self, summary: pd.DataFrame) -> "LifetimeValue":
        """Learns from one row a customer: repeats, recency_days, age_days, log_gaps, paid_days, mean_spend."""
        rows, _, weight = self._distinct(summary)
        # Gaps are counted in the model's unit.
        log_gaps = float(summary["log_gaps"].sum() - summary["repeats"].sum() * np.log(self.unit_days))
        repeats = float(summary["repeats"].sum())
        best = -np.inf
        for candidate in MODELS[self.model]():
            theta, value = buying.fit(candidate, *rows, weight)
            value += candidate.gap_likelihood(log_gaps, repeats)
            # The likelihood has one top in k: past it there is nothing to find.
            if value <= best:
                break
            best, self.buying, self.theta = value, candidate, theta
        self.log_likelihood = best
        paid = summary["paid_days"].to_numpy(float)
        mean = summary["mean_spend"].to_numpy(float)
        self.spend = spending.fit(paid[paid > 0], mean[paid > 0])
        return self

    @property
    def parameters(self) -> dict[str, float]:
        """Maximum-likelihood estimates by name; times in units of `unit_days`, money as given."""
        names = (*self.buying.names, *spending.NAMES)
        values = dict(zip(names, map(float, (*self.theta, *self.spend)), strict=True))
        return values | ({"k": float(self.buying.k)} if isinstance(self.buying, BetaGeometric) else {})

    def alive(self, summary: pd.DataFrame) -> np.ndarray:
        """Probability that each customer will ever buy again, were there time enough."""
        rows, place, _ = self._distinct(summary)
        return self.buying.alive(self.theta, *rows)[place]

    def expected(self, summary: pd.DataFrame, horizon_days: float) -> np.ndarray:
        """Expected number of days with a purchase within the horizon, a number a customer."""
        rows, place, _ = self._distinct(summary)
        result = np.empty(len(rows[0]))
        for chosen, tail in self._tails(rows, horizon_days):
            result[chosen] = tail.sum(axis=1)
        return result[place]

    def buys(self, summary: pd.DataFrame, horizon_days: float) -> np.ndarray:
        """Probability of at least one purchase within the horizon."""
        rows, place, _ = self._distinct(summary)
        return self.buying.tail(self.theta, *rows, horizon_days / self.unit_days, np.ones(1))[:, 0][place]

    def value(self, summary: pd.DataFrame, horizon_days: float, interval: float = 0.9) -> pd.DataFrame:
        """Within the horizon, a row a customer: expected (purchases), value (mean money), value_low and value_high.

        The interval holds the uncertainty about rate, spend, purchases and their amounts, from the same quasi-random
        draws for everybody: purchases by their exact distribution, money as a ratio of gamma variates in the cube-root
        approximation of Wilson and Hilferty (1931). A customer's figures don't depend on who else is asked for.
        """
        rows, place, _ = self._distinct(summary)
        paid, spent = summary["paid_days"].to_numpy(float), summary["mean_spend"].to_numpy(float)
        shape, rate = spending.posterior(self.spend, paid, spent)
        amount = spending.expected(self.spend, paid, spent)
        by_row = np.argsort(place, kind="stable")
        first = np.searchsorted(place[by_row], np.arange(len(rows[0]) + 1))
        result = np.empty((len(summary), 4))
        draws = _draws(self.draws)
        for chosen, tail in self._tails(rows, horizon_days):
            counts, mean = _sorted_counts(tail, self.draws), tail.sum(axis=1)
            size = first[chosen + 1] - first[chosen]
            customer = by_row[np.repeat(first[chosen], size) + _ranges(size)]
            row = np.repeat(np.arange(len(chosen)), size)
            for start in range(0, len(customer), max(1, _BLOCK // self.draws)):
                part = slice(start, start + max(1, _BLOCK // self.draws))
                who, which = customer[part], row[part]
                money = _ratio(self.spend[0] * counts[which], shape[who][:, None], draws) * rate[who][:, None]
                low, high = np.quantile(money, [(1 - interval) / 2, (1 + interval) / 2], axis=1)
                result[who] = np.column_stack([mean[which], mean[which] * amount[who], low, high])
        return pd.DataFrame(result, columns=["expected", "value", "value_low", "value_high"], index=summary.index)

    def _distinct(self, summary: pd.DataFrame) -> tuple[Rows, np.ndarray, np.ndarray]:
        """Distinct (x, t_x, age) in the model's unit, the place of each customer among them, and how often each is."""
        names = ["repeats", "recency_days", "age_days"]
        missing = [name for name in (*names, "log_gaps", "paid_days", "mean_spend") if name not in summary.columns]
        if missing:
            raise FeatureError(
                f"The summary lacks {', '.join(missing)}; it has {', '.join(map(str, summary.columns))}. "
                "Make it with `order_summary`."
            )
        grouped = summary.groupby(names, sort=True)
        place = grouped.ngroup().to_numpy()
        weight = np.bincount(place).astype(float)
        index = grouped.size().index
        x, t_x, age = (index.get_level_values(name).to_numpy(float) for name in names)
        return (x, t_x / self.unit_days, age / self.unit_days), place, weight

    def _tails(self, rows: Rows, horizon_days: float) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Blocks of rows with P(X >= 1), P(X >= 2), …; rows that need about as many columns come together."""
        horizon = horizon_days / self.unit_days
        needed = buying.terms(self.buying, self.theta, rows[0], rows[2], horizon)
        # Powers of two make few blocks, and what a row gets does not depend on the others.
        width = 1 << np.ceil(np.log2(needed)).astype(np.int64)
        for columns in np.unique(width):
            group = np.flatnonzero(width == columns)
            step = max(1, _BLOCK // int(columns))
            for start in range(0, len(group), step):
                chosen = group[start : start + step]
                x, t_x, age = (values[chosen] for values in rows)
                yield chosen, self.buying.tail(self.theta, x, t_x, age, horizon, np.arange(1, columns + 1, dtype=float))

    def save(self, folder: Path) -> None:
        """One JSON file."""
        k = getattr(self.buying, "k", None)
        settings = {"model": self.model, "unit_days": self.unit_days, "draws": self.draws}
        state = {
            "k": k,
            "theta": self.theta.tolist(),
            "spend": self.spend.tolist(),
            "log_likelihood": self.log_likelihood,
        }
        write_json(folder / "lifetime.json", {"settings": settings, **state})

    @classmethod
    def load(cls, folder: Path) -> "LifetimeValue":
        """The inverse of `save`."""
        state = json.loads((folder / "lifetime.json").read_text())
        model = cls(**state["settings"])
        model.buying = _of(model.model, state["k"])
        model.theta, model.spend = np.array(state["theta"]), np.array(state["spend"])
        model.log_likelihood = float(state["log_likelihood"])
        return model


def _of(name: str, k: int | None) -> BuyingModel:
    if name == "pareto_nbd":
        return Pareto()
    return BetaGeometric(int(k or 1), name == "mbg_cnbd_k")


def _draws(number: int) -> np.ndarray:
    """Two rows of standard normal quantiles: an additive recurrence with the plastic number (Roberts 2018)."""
    plastic = 1.32471795724474602596
    place = (np.arange(1, number + 1)[None, :] * np.array([[1 / plastic], [1 / plastic**2]]) + 0.5) % 1.0
    return np.asarray(special.ndtri(place))


def _sorted_counts(tail: np.ndarray, draws: int) -> np.ndarray:
    """Purchases in each of `draws` equally probable cases, most first, a row a customer."""
    cases = np.clip(np.round(tail * draws), 0, draws).astype(np.int64)
    rows = np.arange(len(tail))[:, None] * (draws + 1)
    histogram = np.bincount((rows + cases).ravel(), minlength=len(tail) * (draws + 1)).reshape(len(tail), draws + 1)
    return np.cumsum(histogram[:, :0:-1], axis=1)[:, ::-1].astype(float)


def _ratio(over: np.ndarray, under: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Gamma variates of shape `over` divided by those of shape `under`; 0 where `over` is 0."""
    return np.where(over > 0, _gamma(np.maximum(over, 1e-9), normal[0]) / _gamma(under, normal[1]), 0.0)


def _gamma(shape: np.ndarray, normal: np.ndarray) -> np.ndarray:
    return shape * np.maximum(1 - 1 / (9 * shape) + normal / (3 * np.sqrt(shape)), 1e-3) ** 3


def _ranges(size: np.ndarray) -> np.ndarray:
    """0 … n-1 for each n of `size`, one after the other."""
    return np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
