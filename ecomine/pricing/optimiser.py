"""Best prices of thousands of items at once, under all rules.

Each item has a grid of allowed prices. Most items touch no other one: their best price is the best on their grid.
Families whose packs would stand in a wrong order go to HiGHS as a mixed-integer programme. The number of changes is
kept by a price on change (Lagrange), the same for all items.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ecomine.columns import require
from ecomine.errors import FeatureError, SettingsError
from ecomine.pricing import families, rules
from ecomine.pricing.params import OptimiserParams

Units = Callable[[np.ndarray], np.ndarray]
"""Expected units a period at prices, items × prices, in money."""

BISECTIONS = 24
FREE = "none"

COLUMNS = (
    "item_id", "price", "suggested_price", "units", "suggested_units", "revenue", "suggested_revenue", "margin",
    "suggested_margin", "binding_rule", "reason",
)  # fmt: skip


@dataclass
class Problem:
    """The grid (items × prices, cents), what each price is worth (minus infinity where it is forbidden), and families.

    `stay` is the column of the present price, -1 where it is not allowed; `units` are expected at each price.
    """

    grid: np.ndarray
    value: np.ndarray
    units: np.ndarray
    stay: np.ndarray
    chains: families.Chains


class PriceOptimizer:
    """Suggests prices for items under rules; needs no pipeline.

    `optimise(items)` takes a frame with item_id, price (the present one), unit_cost, units (expected a period at the
    present price) and elasticity (below 0), and where the rules need them: competitor_price; family_id and pack_size;
    stock and clear_periods (the periods until when it is to be sold); lowest_price, highest_price.
    """

    def __init__(self, params: OptimiserParams | None = None) -> None:
        self.params = params or OptimiserParams()

    def optimise(self, items: pd.DataFrame, units: Units | None = None, keep_clashing: bool = False) -> pd.DataFrame:
        """A row an item in the order given, columns COLUMNS: present and suggested price, what is expected of both.

        `units` gives expected units at any price in place of the constant elasticity. Where rules clash, raises
        SettingsError that names them, or with `keep_clashing` keeps the price and says so in `reason`.
        """
        _check(items, units)
        demand = units or constant_elasticity(items)
        bounds = rules.bounds(items, self.params.rules)
        problem, clash = self._problem(items, bounds, demand)
        limit = self.params.rules.changes
        if (clash != "").any() and not keep_clashing:
            raise SettingsError(_clashes(items, clash))
        if keep_clashing and limit is not None:
            clash = _within(problem, limit, clash)
        chosen = best(problem, limit, clash != "")
        return self._decisions(items, bounds, problem, chosen, demand, clash)

    def _problem(self, items: pd.DataFrame, bounds: rules.Bounds, demand: Units) -> tuple[Problem, np.ndarray]:
        setting = self.params.rules
        present = rules.cents(items["price"].to_numpy())
        # A present price within a bound but for its rounding is within it.
        grid = rules.allowed(bounds.low, bounds.high, present, setting.endings, self.params.steps)
        clash = np.full(len(items), "", object)
        none = np.flatnonzero(grid[:, 0] < 0)
        crossed = bounds.low[none] > bounds.high[none]
        for at, low, high, ending in zip(
            none, bounds.low_rule(none), bounds.high_rule(none), ~crossed, strict=True
        ):  # fmt: skip
            clash[at] = ", ".join(dict.fromkeys([low, high, *([rules.ENDINGS] if ending else [])]))
        grid[none] = present[none, None]
        price = grid / 100
        expected = demand(price)
        sold = expected
        cost = items["unit_cost"].to_numpy(float)[:, None]
        forbidden = np.zeros(grid.shape, bool)
        if setting.clear_stock and "clear_periods" in items.columns:
            require(items.columns, ("stock",), "items with stock to clear")
            periods = items["clear_periods"].to_numpy(float)
            must = np.isfinite(periods) & (clash == "")
            wanted = np.where(must, items["stock"].to_numpy(float) / np.maximum(periods, 1e-9), np.inf)[:, None]
            forbidden = must[:, None] & (expected < wanted * (1 - 1e-9))
            sold = np.minimum(expected, wanted)
            never = np.flatnonzero(forbidden.all(axis=1))
            for at, low in zip(never, bounds.low_rule(never), strict=True):
                clash[at] = f"{rules.CLEAR}, {low}"
            forbidden[never] = False
        value = (price - self.params.margin_weight * cost) * sold
        value[forbidden] = -np.inf
        chains = families.chains(items) if setting.family_order else families.Chains.none(len(items))
        stuck = families.stuck(chains, grid, value, clash != "")
        for pair in stuck:
            names = dict.fromkeys([rules.FAMILY, *bounds.low_rule(pair[1:]), *bounds.high_rule(pair[:1])])
            # All packs of a family stay as they are, or the order would hang on the ones that move.
            clash[chains.family == chains.family[pair[0]]] = ", ".join(names)
        broken = np.isin(chains.family, np.unique(chains.family[(clash != "") & (chains.family >= 0)]))
        clash[broken & (clash == "")] = f"{rules.FAMILY}, with a pack whose rules clash"
        match = (grid == present[:, None]) & np.isfinite(value)
        stay = np.where(match.any(axis=1), match.argmax(axis=1), -1)
        return Problem(grid, value, expected, stay, chains), clash

    def _decisions(
        self, items: pd.DataFrame, bounds: rules.Bounds, problem: Problem, chosen: np.ndarray, demand: Units,
        clash: np.ndarray,
    ) -> pd.DataFrame:  # fmt: skip
        row = np.arange(len(items))
        cost, price = items["unit_cost"].to_numpy(float), items["price"].to_numpy(float)
        kept = (chosen == problem.stay) | (clash != "")
        suggested = np.where(kept, price, problem.grid[row, chosen] / 100)
        now = demand(price[:, None])[:, 0]
        then = np.where(kept, now, problem.units[row, chosen])
        cent = rules.cents(suggested)
        binding = np.full(len(items), FREE, object)
        alone = _free(problem, 0.0)
        coupled = (chosen != alone) & (clash == "")
        waiting = coupled & kept & (problem.chains.family < 0)
        binding[coupled] = rules.FAMILY
        binding[waiting] = rules.CHANGES
        lower = (cent <= problem.grid[:, 0]) & ~coupled & (clash == "")
        upper = (cent >= problem.grid[:, -1]) & ~coupled & (clash == "") & ~lower
        binding[lower], binding[upper] = bounds.low_rule(np.flatnonzero(lower)), bounds.high_rule(np.flatnonzero(upper))
        cleared = np.isneginf(problem.value).any(axis=1) & ~coupled & (clash == "") & ~lower
        binding[cleared & (chosen + 1 < problem.grid.shape[1])] = rules.CLEAR
        binding[clash != ""] = clash[clash != ""]
        return pd.DataFrame(
            {
                "item_id": items["item_id"].to_numpy(),
                "price": price,
                "suggested_price": suggested,
                "units": now,
                "suggested_units": then,
                "revenue": price * now,
                "suggested_revenue": suggested * then,
                "margin": (price - cost) * now,
                "suggested_margin": (suggested - cost) * then,
                "binding_rule": binding,
                "reason": _reasons(price, suggested, binding, clash),
            }
        )[list(COLUMNS)]


def constant_elasticity(items: pd.DataFrame) -> Units:
    """Units at a price: those at the present price times (price / present price) to the power of the elasticity."""
    base, price = items["units"].to_numpy(float)[:, None], items["price"].to_numpy(float)[:, None]
    power = items["elasticity"].to_numpy(float)[:, None]
    return lambda asked: base * np.exp(power * np.log(asked / price))


def best(problem: Problem, limit: int | None, fixed: np.ndarray) -> np.ndarray:
    """The column of the grid for each item. Raises SettingsError where more prices must change than may.

    Source of the price on change: Everett (1963); what its last step leaves over goes to the items that gain most.
    """
    free, stay = ~fixed, problem.stay

    def changes_of(column: np.ndarray) -> int:
        return int(((column != stay) & free).sum())

    def at(price: float, solve: families.Solver = families.by_recursion) -> tuple[np.ndarray, int]:
        column = solve(problem.chains, problem.grid, _penalised(problem, price), _free(problem, price), fixed)
        return column, changes_of(column)

    if limit is None or at(0.0)[1] <= limit:
        column, changes = at(0.0, families.ordered)
        if limit is None or changes <= limit:
            return column
    row = np.arange(len(stay))
    finite = np.where(np.isfinite(problem.value), problem.value, np.nan)
    high = 1.0 + float(np.nansum(np.nanmax(finite, axis=1) - np.nanmin(finite, axis=1)))
    fewest, least = at(high)
    if least > limit:
        raise SettingsError(
            f"The rules clash: {rules.CHANGES} ({limit:,}), while {least:,} present prices break other rules. "
            "Allow as many changes, or widen the other rules."
        )
    low, chosen = 0.0, fewest
    # The search is in logs: gains of items differ by orders of magnitude.
    for _ in range(BISECTIONS):
        middle = np.sqrt(max(low, 1e-9 * high) * high)
        column, changes = at(middle)
        if changes > limit:
            low = middle
        else:
            high, chosen = middle, column
            if changes == limit:
                break
    # Where prices are worth the same, the solver may take one that changes more.
    solved, changes = at(high, families.ordered)
    chosen = solved if changes <= limit else chosen
    room = limit - int(((chosen != stay) & free).sum())
    lone = free & (problem.chains.family < 0) & (chosen == stay) & (stay >= 0)
    wish = _free(problem, 0.0)
    gain = np.where(lone, problem.value[row, wish] - problem.value[row, np.maximum(stay, 0)], 0.0)
    order = np.argsort(-gain, kind="stable")[:room]
    chosen = chosen.copy()
    order = order[gain[order] > 0]
    chosen[order] = wish[order]
    return chosen


def _within(problem: Problem, limit: int, clash: np.ndarray) -> np.ndarray:
    """Clashes, with those added that the number of changes makes where more present prices are forbidden."""
    fixed = clash != ""
    value = _penalised(problem, float(np.abs(problem.value[np.isfinite(problem.value)]).sum()) + 1.0)
    column = families.by_recursion(problem.chains, problem.grid, value, value.argmax(axis=1), fixed)
    must = (column != problem.stay) & ~fixed
    if must.sum() <= limit:
        return clash
    # Whole families are left as they are first, then the items that are worth least.
    family = problem.chains.family
    whole = np.isin(family, np.unique(family[must & (family >= 0)]))
    lone = np.flatnonzero(must & (family < 0))
    worth = problem.value[lone].max(axis=1)
    left = np.concatenate([np.flatnonzero(whole & ~fixed), lone[np.argsort(-worth, kind="stable")][limit:]])
    result = clash.copy()
    result[left] = f"{rules.CHANGES}, with a rule that the present price breaks"
    return result


def _penalised(problem: Problem, price: float) -> np.ndarray:
    """Values less the price on change, which the present price does not pay."""
    value = problem.value - price
    staying = np.flatnonzero(problem.stay >= 0)
    value[staying, problem.stay[staying]] += price
    return value


def _free(problem: Problem, price: float) -> np.ndarray:
    """The best column of each item alone; the present price where nothing is better."""
    value = _penalised(problem, price)
    column = value.argmax(axis=1)
    row = np.arange(len(column))
    stay = np.maximum(problem.stay, 0)
    return np.where((problem.stay >= 0) & (value[row, stay] >= value[row, column]), problem.stay, column)


def _check(items: pd.DataFrame, units: Units | None) -> None:
    wanted = ("item_id", "price", "unit_cost", *(() if units else ("units", "elasticity")))
    require(items.columns, wanted, "items to price")
    for name, good in (("price", items["price"] > 0), ("unit_cost", items["unit_cost"] >= 0)):
        if not good.all():
            raise FeatureError(f"{(~good).sum():,} items without a {name} that can be used; expected numbers above 0.")
    if units is None and not (items["elasticity"] < 0).all():
        raise FeatureError(
            f"Elasticities up to {items['elasticity'].max():g}; expected numbers below 0, as DemandModel gives them."
        )
    if items["item_id"].duplicated().any():
        raise FeatureError(f"{items['item_id'].duplicated().sum():,} items come twice; expected a row an item.")


def _clashes(items: pd.DataFrame, clash: np.ndarray) -> str:
    bad = np.flatnonzero(clash != "")
    names = pd.Series(clash[bad]).value_counts()
    told = "; ".join(f"{text} ({count:,} items)" for text, count in names.head(5).items())
    return (
        f"The rules clash for {len(bad):,} of {len(items):,} items, such as {items['item_id'].iloc[bad[0]]!r}: {told}. "
        "Widen one of them, or keep the prices of these items (keep_clashing)."
    )


def _reasons(price: np.ndarray, suggested: np.ndarray, binding: np.ndarray, clash: np.ndarray) -> np.ndarray:
    """Why each price is suggested, in words."""
    change = suggested / price - 1
    share = np.char.mod("%.1f %%", np.abs(change) * 100).astype(object)
    text = np.where(change > 0, "raised by " + share, np.where(change < 0, "lowered by " + share, "kept"))
    held = np.where(binding == FREE, ": the best on the curve of demand", ": held by " + binding.astype(object))
    told = np.asarray(text + held, object)
    told[clash != ""] = "kept: the rules clash (" + clash[clash != ""] + ")"
    return told
