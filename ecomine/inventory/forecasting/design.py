"""Features of any rows of a panel: series, period to forecast and period from which it is forecast, block by block."""

from dataclasses import dataclass

import numpy as np

from ecomine.inventory.forecasting import ahead, history
from ecomine.inventory.forecasting.panel import PROMOTION, Panel


@dataclass(frozen=True)
class Rows:
    """Rows in the order of series: place in the panel, target and origin as periods."""

    series: np.ndarray
    target: np.ndarray
    origin: np.ndarray

    def take(self, part: np.ndarray) -> "Rows":
        return Rows(self.series[part], self.target[part], self.origin[part])

    @property
    def distance(self) -> np.ndarray:
        return self.target - self.origin


@dataclass(frozen=True)
class Seen:
    """What a model sees of rows: `base`, the units a period it starts from, and the features, rows × `names`."""

    base: np.ndarray
    values: np.ndarray
    names: tuple[str, ...]

    def take(self, part: np.ndarray) -> "Seen":
        return Seen(self.base[part], self.values[part], self.names)


class Design:
    """A panel with its groups summed up; `units` are the panel's with what stock-outs hid filled in."""

    def __init__(
        self,
        panel: Panel,
        units: np.ndarray,
        horizon: int,
        block: int,
        groups: tuple[str, ...] | None = None,
        identities: bool = True,
    ) -> None:
        self.panel, self.units, self.horizon, self.size = panel, units, horizon, block
        self.identities = identities
        self.rhythm = history.rhythm(panel.days)
        self.codes = {
            "item": panel.item, "location": panel.location, "category": panel.category,
            "all": np.zeros(len(panel.keys), np.int64),
        }  # fmt: skip
        self.groups = history.groups(units, {name: self.codes[name] for name in groups or telling(self.codes)})

    def seeing(self, units: np.ndarray) -> "Design":
        """The same with other units, of as many periods as they are."""
        names = tuple(self.groups.units)
        return Design(self.panel, units, self.horizon, self.size, names, self.identities)

    def seen(self, rows: Rows) -> Seen:
        """Base and features of rows, which come in the order of series."""
        base = np.empty(len(rows.series))
        values: np.ndarray | None = None
        names: tuple[str, ...] = ()
        cuts = np.arange(0, len(self.panel.keys) + self.size, self.size)
        bounds = np.searchsorted(rows.series, cuts)
        for begin, low, high in zip(cuts[:-1], bounds[:-1], bounds[1:], strict=True):
            if low == high:
                continue
            end = min(begin + self.size, len(self.panel.keys))
            part = slice(low, high)
            one, named = self._block(begin, end, Rows(rows.series[part], rows.target[part], rows.origin[part]))
            if values is None:
                names = tuple(named)
                values = np.empty((len(base), len(names)), np.float32)
            base[part] = one
            for at, column in enumerate(named.values()):
                values[part, at] = column
        if values is None:
            values = np.empty((0, 0), np.float32)
        return Seen(base, values, names)

    def _block(self, begin: int, end: int, rows: Rows) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        # Series without rows cost nothing.
        used, row = np.unique(rows.series, return_inverse=True)
        where = used - begin
        block = self.panel.block(begin, end)
        codes = {name: code[used] for name, code in self.codes.items()}
        inputs = {name: values[where] for name, values in block.inputs.items()}
        state = inputs.get(PROMOTION)
        past = history.Past(self.units[used], state, codes, self.groups, self.rhythm, self.panel.begin[used])
        promoted = np.zeros(len(row)) if state is None else state[row, rows.target]
        base, named = past.features(row, rows.target, rows.origin, promoted)
        plan = ahead.Plan(inputs, block.flags, self.rhythm)
        named |= plan.features(row, rows.target, rows.origin, self.horizon)
        named |= ahead.calendar(self.panel.first, self.panel.days, rows.target)
        named["distance"] = rows.distance
        for name in ("item", "location", "category") if self.identities else ("category",):
            code = codes[name][row].astype(np.float32)
            named[f"{name}_code"] = np.where(code < 0, np.nan, code)
        return base, named


def telling(codes: dict[str, np.ndarray]) -> tuple[str, ...]:
    """Groups worth summing up: one of hardly more than a series tells nothing new, nor does a single one."""
    count = {name: len(np.unique(code)) for name, code in codes.items()}
    return tuple(
        name for name, code in codes.items() if name in ("category", "all") or 1 < count[name] <= len(code) / 3
    )
