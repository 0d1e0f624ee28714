"""What is known of the past at an origin: lags, windows, the same day of the week, last year, the group's course.

Everything is a difference of cumulative sums, so that a window costs the same at any length. Means are told as logs
over the series' own level, so that one model serves series of every size.
"""

from dataclasses import dataclass

import numpy as np

from ecomine.inventory.forecasting.intermittent import Smoothed, smoothed

EMPTY = 0.5
"""Periods at the series' own level that every window is taken to hold besides its own."""


@dataclass(frozen=True)
class Rhythm:
    """Windows in periods. `week` is the step from a period to the one like it, `year` that to a year ago."""

    windows: tuple[int, ...]
    lags: tuple[int, ...]
    level: int
    week: int
    alike: tuple[int, ...]
    stretch: tuple[int, ...]
    year: int
    around: tuple[int, ...]


DAILY = Rhythm((7, 14, 28, 112, 364), (1, 2, 3), 56, 7, (4, 8, 26), (7, 14, 28, 56), 364, (3, 10))
WEEKLY = Rhythm((2, 4, 8, 26, 52), (1, 2, 3), 13, 1, (4, 13, 52), (2, 4, 8, 13), 52, (1, 2))


def rhythm(days: int) -> Rhythm:
    """The windows for periods of so many days."""
    return WEEKLY if days == 7 else DAILY


class Sums:
    """Cumulative sums of a grid along its periods, each `step` periods apart; nulls count as nothing."""

    def __init__(self, values: np.ndarray, step: int = 1) -> None:
        count, width = values.shape
        rounds = -(-width // step)
        padded = np.zeros((count, (rounds + 1) * step))
        padded[:, step : step + width] = np.nan_to_num(values, nan=0.0)
        self.step = step
        self.sums = padded.reshape(count, rounds + 1, step).cumsum(axis=1).reshape(count, -1)

    def until(self, row: np.ndarray, last: np.ndarray) -> np.ndarray:
        """Sum over `last`, `last` - step, … back to the first period."""
        return self.sums[row, np.clip(last + self.step, 0, self.sums.shape[1] - 1)]

    def window(self, row: np.ndarray, last: np.ndarray, size: int | np.ndarray) -> np.ndarray:
        """Sum over `size` periods that end with `last`, each `step` apart; `last` must lie within the grid."""
        return self.until(row, last) - self.until(
            row, np.maximum(last - size * self.step, last % self.step - self.step)
        )


@dataclass(frozen=True)
class Groups:
    """Cumulative units and open periods of items, locations, categories and everything together, by name."""

    units: dict[str, Sums]
    open: dict[str, Sums]

    def mean(self, name: str, code: np.ndarray, last: np.ndarray, size: int) -> np.ndarray:
        """Units a series and open period of groups over a window; null before the first period."""
        at = np.maximum(last, 0)
        told = _over(self.units[name].window(code, at, size), self.open[name].window(code, at, size))
        return np.where(last >= 0, told, np.nan)


def groups(units: np.ndarray, codes: dict[str, np.ndarray]) -> Groups:
    """Sums of the grid over the series of each group; a last, empty group stands for those that are not known."""
    seen = np.isfinite(units)
    sold = np.where(seen, units, 0.0)
    both: tuple[dict[str, Sums], dict[str, Sums]] = ({}, {})
    for name, code in codes.items():
        order = np.argsort(code, kind="stable")
        known = order[code[order] >= 0]
        first = np.flatnonzero(np.diff(code[known], prepend=-1))
        for told, values in zip(both, (sold, seen), strict=True):
            total = np.zeros((int(code.max(initial=-1)) + 2, units.shape[1]))
            if len(known):
                total[code[known][first]] = np.add.reduceat(values[known], first, axis=0, dtype=float)
            told[name] = Sums(total)
    return Groups(*both)


class Past:
    """Cumulative sums of a block of series, ready for features at any origin.

    `units` is series × periods, `state` the promotion's grid or null; `codes` are the block's groups by name.
    """

    def __init__(
        self, units: np.ndarray, state: np.ndarray | None, codes: dict[str, np.ndarray], known: Groups,
        rhythm: Rhythm, begin: np.ndarray,
    ) -> None:  # fmt: skip
        self.rhythm, self.codes, self.known, self.begin = rhythm, codes, known, begin
        self.units, self.width = units, units.shape[1]
        seen = np.isfinite(units)
        self.sold, self.open = Sums(units), Sums(seen)
        self.square, self.times = Sums(np.square(units, dtype=float)), Sums(units > 0)
        self.smooth: Smoothed = smoothed(units)
        periods = np.arange(self.width, dtype=np.int32)
        self.last_sale = np.maximum.accumulate(np.where(np.nan_to_num(units) > 0, periods, -1), axis=1)
        promoted = None if state is None else state[:, : self.width] > 0
        self.alike: list[tuple[Sums, Sums]] = []
        for mask in (None,) if promoted is None else (~promoted, promoted):
            both = (units, seen) if mask is None else (np.where(mask, units, np.nan), seen & mask)
            self.alike.append((Sums(both[0], rhythm.week), Sums(both[1], rhythm.week)))
        self.expected = Sums(np.where(seen, self._expected(promoted), np.nan))

    def _expected(self, promoted: np.ndarray | None) -> np.ndarray:
        """What the same day of the week in the same state of promotion had sold on average before each period."""
        count, width = self.units.shape
        row = np.repeat(np.arange(count), width)
        period = np.tile(np.arange(width), count)
        state = np.zeros(count * width, np.int64) if promoted is None else promoted.ravel().astype(np.int64)
        before = period - self.rhythm.week
        total, open_ = self._alike(row, np.maximum(before, 0), state, max(self.rhythm.alike))
        level = self.level(row, np.maximum(period - 1, 0), np.nan)
        own = np.where(before >= 0, (total + level) / (open_ + 1), level)
        return np.where(np.isfinite(own), own, 0.0).reshape(count, width)

    def _alike(self, row: np.ndarray, last: np.ndarray, state: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
        sums = [(sold.window(row, last, size), open_.window(row, last, size)) for sold, open_ in self.alike]
        units, seen = sums[0]
        if len(sums) == 1:
            return units, seen
        return np.where(state > 0, sums[1][0], units), np.where(state > 0, sums[1][1], seen)

    def level(self, row: np.ndarray, origin: np.ndarray, prior: np.ndarray | float) -> np.ndarray:
        """Mean of recent periods as of the origin, shrunk towards `prior` (where it is known)."""
        size = self.rhythm.level
        units, seen = self.sold.window(row, origin, size), self.open.window(row, origin, size)
        weight = np.where(np.isnan(prior), 0.0, 4.0)
        with np.errstate(invalid="ignore", divide="ignore"):
            return (units + weight * np.nan_to_num(prior)) / (seen + weight)

    def base(self, row: np.ndarray, origin: np.ndarray) -> np.ndarray:
        """Units a period, above 0, that a forecast starts from: the series' level, a new one's category's."""
        size = self.rhythm.level
        whole = self.known.mean("all", np.zeros_like(row), origin, size)
        mean = self.known.mean("category", self.codes["category"][row], origin, size)
        prior = np.where(np.isfinite(mean) & (mean > 0), mean, whole)
        floor = np.maximum(np.nan_to_num(whole), 1e-6) * 1e-3
        return np.maximum(np.nan_to_num(self.level(row, origin, prior)), floor)

    def features(
        self, row: np.ndarray, target: np.ndarray, origin: np.ndarray, state: np.ndarray
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """The base and the features of rows: series of the block, target and origin as periods, promotion ahead."""
        kind, base = self.rhythm, self.base(row, origin)

        def log(units: np.ndarray, seen: np.ndarray) -> np.ndarray:
            told = np.log((units + EMPTY * base) / (np.maximum(seen, 0) + EMPTY) / base)
            return np.where(seen > 0, told, np.nan)

        named = {"level": np.log(base), "age": np.maximum(origin - self.begin[row] + 1, 0)}
        named["pause"] = np.where(self.last_sale[row, origin] >= 0, origin - self.last_sale[row, origin], np.nan)
        for lag in kind.lags:
            at = np.maximum(origin - lag + 1, 0)
            named[f"lag_{lag}"] = np.where(origin - lag + 1 >= 0, self.units[row, at] / base, np.nan)
        for size in kind.windows:
            seen = self.open.window(row, origin, size)
            named[f"mean_{size}"] = log(self.sold.window(row, origin, size), seen)
        for size in kind.windows[2:4]:
            seen = np.maximum(self.open.window(row, origin, size), 1)
            mean = self.sold.window(row, origin, size) / seen
            spread = np.maximum(self.square.window(row, origin, size) / seen - mean**2, 0)
            named[f"dispersion_{size}"] = spread / np.maximum(mean, 1e-6)
            named[f"busy_{size}"] = self.times.window(row, origin, size) / seen
        for name in ("croston_sba", "tsb", "simple"):
            named[name] = np.log(np.maximum(getattr(self.smooth, name)[row, origin] / base, 1e-2))
        # The newest period up to the origin that lies whole weeks before the target.
        same = target - -(-(target - origin) // kind.week) * kind.week
        for size in kind.alike:
            units, seen = self._alike(row, np.maximum(same, 0), state, size)
            named[f"alike_{size}"] = np.where(same >= 0, log(units, seen), np.nan)
        for size in kind.stretch:
            above, below = self.sold.window(row, origin, size), self.expected.window(row, origin, size)
            named[f"surplus_{size}"] = np.log((above + EMPTY * base) / (below + EMPTY * base))
        self._last_year(named, row, target, origin, base)
        self._course(named, row, target, origin)
        return base, named

    def _last_year(
        self, named: dict[str, np.ndarray], row: np.ndarray, target: np.ndarray, origin: np.ndarray, base: np.ndarray
    ) -> None:
        """How a year ago the time of the target stood to the time of the origin."""
        year, size = self.rhythm.year, self.rhythm.stretch[2]
        at, then = target - year, origin - year
        units, seen = self.sold.window(row, np.maximum(then, 0), size), self.open.window(row, np.maximum(then, 0), size)
        before = np.where((then >= 0) & (seen > 0), (units + base) / (seen + 1), np.nan)
        for reach in self.rhythm.around:
            last = np.minimum(at + reach, origin)
            width = np.maximum(last - np.maximum(at - reach, 0) + 1, 0)
            seen = self.open.window(row, np.maximum(last, 0), width)
            mean = (self.sold.window(row, np.maximum(last, 0), width) + EMPTY * before) / (seen + EMPTY)
            named[f"year_{reach}"] = np.where((at >= 0) & (seen > 0), np.log(np.maximum(mean / before, 1e-3)), np.nan)

    def _course(self, named: dict[str, np.ndarray], row: np.ndarray, target: np.ndarray, origin: np.ndarray) -> None:
        """Of each group: how its last weeks stand to its level, and last year's course from here to the target."""
        kind, year, mean = self.rhythm, self.rhythm.year, self.known.mean
        reach = kind.around[0]
        last = np.minimum(target - year + reach, origin)
        for name in self.known.units:
            code = self.codes[name][row]
            level = mean(name, code, origin, kind.level)
            for size in kind.stretch[:2]:
                named[f"{name}_{size}"] = _log(_over(mean(name, code, origin, size), level))
            then = mean(name, code, origin - year, kind.stretch[2])
            named[f"{name}_year"] = _log(_over(mean(name, code, last, 2 * reach + 1), then))


def _over(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(below > 0, above / below, np.nan)


def _log(values: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(values, 1e-3))
