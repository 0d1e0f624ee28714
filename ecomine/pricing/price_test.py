"""Randomised price tests: how many items for how long, and what came of it.

Items are the unit that is drawn: half get the new price, half keep theirs, drawn within strata of like sales. What is
compared is each item's log of units (or money) in the test over that in as long a time before it, so that items that
always sell more do not count as an effect.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ecomine.columns import require
from ecomine.errors import NotEnoughDataError, SettingsError, SourceError

TREATED, CONTROL = "test", "control"
STRATUM = 2
PERMUTATIONS = 2000
ARM = "arm"


@dataclass(frozen=True)
class Plan:
    """A test: `change` of the price as a share, over `periods`, on `items` of which half are treated.

    `effect` is the least change of units (a share) that is found with probability `power` at level `alpha`; `spread`
    the standard deviation of items' log growth that this rests on.
    """

    change: float
    items: int
    periods: int
    effect: float
    power: float
    alpha: float
    spread: float
    seed: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def plan(
    sales: pd.DataFrame, change: float, effect: float, power: float = 0.8, alpha: float = 0.05,
    longest: int = 12, most_items: int | None = None, seed: int = 42,
) -> tuple[Plan, pd.DataFrame]:  # fmt: skip
    """The shortest test that finds `effect`, and its items: item_id, arm, stratum, price, test_price.

    `sales` has item_id, period (whole numbers, each period once), price and units; every item's growth from one stretch
    of its history to the next tells how much luck there is. Needed are n = 2·2·(z_power + z_alpha/2)² · spread² /
    log(1 + effect)² items in all (two-sample comparison of means). Raises NotEnoughDataError where no length will do.
    """
    require(sales.columns, ("item_id", "period", "price", "units"), "sales")
    if not -0.9 < change < 2 or change == 0 or not 0 < abs(effect) < 5:
        raise SettingsError(
            f"A change of {change:g} that is to show an effect of {effect:g}; expected shares such as -0.1 and 0.1."
        )
    from scipy import stats

    wide = sales.pivot_table(index="item_id", columns="period", values="units", aggfunc="sum", fill_value=0.0)
    wide = wide.sort_index().sort_index(axis=1)
    units = wide.to_numpy(float)
    z = float(stats.norm.ppf(power) + stats.norm.ppf(1 - alpha / 2))
    limit = len(units) if most_items is None else min(most_items, len(units))
    tried = []
    for periods in range(1, min(longest, units.shape[1] // 2) + 1):
        growth, sold = _growth(units, periods)
        # Items of which hardly one is sold a stretch say nothing and are left out first.
        order = np.lexsort((np.arange(len(sold)), -sold))[:limit]
        spread = float(np.sqrt(np.mean(growth[order] ** 2) - np.mean(growth[order]) ** 2))
        items = int(np.ceil(4 * z**2 * spread**2 / np.log1p(effect) ** 2 / 2) * 2)
        tried.append(f"{periods}: {items:,}")
        if max(items, 2 * STRATUM) <= len(order):
            made = Plan(change, max(items, 2 * STRATUM), periods, effect, power, alpha, spread, seed)
            return made, _drawn(sales, wide.index[order[: made.items]], made)
    raise NotEnoughDataError(
        f"No test on {limit:,} items finds an effect of {effect:+.1%}: needed are, by number of periods, "
        f"{'; '.join(tried) or 'none: the history is too short'}. Ask for a larger effect, less power, or longer."
    )


def read(
    drawn: pd.DataFrame, sales: pd.DataFrame, start: int, periods: int, confidence: float = 0.95, seed: int = 42
) -> pd.DataFrame:
    """What a test showed, a row a measure (units, revenue): effect as a share, interval, p_value, items, elasticity.

    `drawn` are the items of the plan; the test ran from period `start` on for `periods`, and is held against as many
    before. The interval is of Welch's t; the p-value comes from drawing the arms again within strata (Fisher).
    """
    require(drawn.columns, ("item_id", ARM, "stratum", "price", "test_price"), "items of the plan")
    require(sales.columns, ("item_id", "period", "price", "units"), "sales")
    sales = sales.assign(revenue=sales["price"] * sales["units"])
    own = drawn.sort_values("item_id", ignore_index=True)
    during = sales[(sales["period"] >= start) & (sales["period"] < start + periods)]
    before = sales[(sales["period"] >= start - periods) & (sales["period"] < start)]
    if during.empty or before.empty:
        raise NotEnoughDataError(f"No sales in the {periods} periods from {start} or before them; nothing to compare.")
    treated = (own[ARM] == TREATED).to_numpy()
    rows = []
    for measure in ("units", "revenue"):
        then, first = (
            part.groupby("item_id")[measure].sum().reindex(own["item_id"]).fillna(0.0).to_numpy(float)
            for part in (during, before)
        )
        typical = 0.5 if measure == "units" else 0.5 * float(np.median(own["price"]))
        growth = np.log(then + typical) - np.log(first + typical)
        rows.append({"measure": measure, **_compared(growth, treated, own["stratum"].to_numpy(), confidence, seed)})
    found = pd.DataFrame(rows)
    step = float(np.log(own.loc[treated, "test_price"] / own.loc[treated, "price"]).mean())
    found["elasticity"] = np.where(found["measure"] == "units", np.log1p(found["effect"]) / step, np.nan)
    return found


def _growth(units: np.ndarray, periods: int) -> tuple[np.ndarray, np.ndarray]:
    """Log growth of each item between the last two stretches of `periods`, and its mean units a stretch."""
    after = units[:, -periods:].sum(axis=1)
    before = units[:, -2 * periods : -periods].sum(axis=1)
    return np.log(after + 0.5) - np.log(before + 0.5), (after + before) / 2


def _drawn(sales: pd.DataFrame, chosen: pd.Index, made: Plan) -> pd.DataFrame:
    """Arms drawn within strata of two items that sell alike."""
    random = np.random.default_rng(made.seed)
    last = sales.sort_values("period", kind="stable").groupby("item_id")["price"].last().reindex(chosen)
    first = random.random(len(chosen) // STRATUM) < 0.5
    arm = np.where(np.column_stack([first, ~first]).ravel(), TREATED, CONTROL)
    frame = pd.DataFrame(
        {"item_id": chosen, ARM: arm, "stratum": np.arange(len(chosen)) // STRATUM, "price": last.to_numpy(float)}
    )
    asked = np.round(frame["price"] * (1 + made.change), 2)
    frame["test_price"] = np.where(frame[ARM] == TREATED, asked, frame["price"])
    return frame.sort_values("item_id", ignore_index=True)


def _compared(
    growth: np.ndarray, treated: np.ndarray, stratum: np.ndarray, confidence: float, seed: int
) -> dict[str, float]:
    from scipy import stats

    one, two = growth[treated], growth[~treated]
    effect = one.mean() - two.mean()
    parts = np.array([one.var(ddof=1) / len(one), two.var(ddof=1) / len(two)])
    free = parts.sum() ** 2 / (parts**2 / np.array([len(one) - 1, len(two) - 1])).sum()
    reach = stats.t.ppf((1 + confidence) / 2, free) * np.sqrt(parts.sum())
    # Within a pair the arms change places: the sign of each pair's difference is drawn.
    order = np.lexsort((~treated, stratum))
    pair = growth[order].reshape(-1, STRATUM)
    difference = pair[:, 0] - pair[:, 1]
    sign = np.random.default_rng(seed).choice([-1.0, 1.0], (PERMUTATIONS, len(difference)))
    beyond = np.abs(sign @ difference) >= np.abs(difference.sum()) - 1e-12
    return {
        "effect": float(np.expm1(effect)),
        "low": float(np.expm1(effect - reach)),
        "high": float(np.expm1(effect + reach)),
        "p_value": float((1 + beyond.sum()) / (1 + PERMUTATIONS)),
        "items": float(len(growth)),
    }


def table(file: Path) -> pd.DataFrame:
    """A CSV or Parquet file; raises SourceError where it is neither or not there."""
    readers = {".csv": pd.read_csv, ".parquet": pd.read_parquet}
    if not file.is_file() or file.suffix not in readers:
        raise SourceError(f"{file} is no file that can be read; expected one that ends in .csv or .parquet.")
    return readers[file.suffix](file)


def of_plan(
    drawn: pd.DataFrame, sales: pd.DataFrame, start: int | None, periods: int | None, seed: int
) -> pd.DataFrame:
    """`read`, where start and length must be given."""
    if start is None or periods is None:
        raise SettingsError("Reading a test needs its first period and its length: --start and --periods.")
    return read(drawn, sales, start, periods, seed=seed)


def told(made: Plan) -> str:
    """A plan in words."""
    return (
        f"{made.items:,} items, half of them at a price changed by {made.change:+.1%}, for {made.periods} periods, "
        f"find a change of units of {made.effect:+.1%} with probability {made.power:.0%} (level {made.alpha:.0%}; "
        f"items' growth varies by {made.spread:.2f})."
    )


def finding(found: pd.DataFrame) -> str:
    """What a test showed in words, a line a measure."""
    lines = [
        f"{row.measure:8} {row.effect:+8.1%}  95 % interval {row.low:+.1%} to {row.high:+.1%}  p = {row.p_value:.4f}  "
        f"({row.items:.0f} items)"
        for row in found.itertuples()
    ]
    elasticity = found.loc[found["measure"] == "units", "elasticity"].iloc[0]
    return "\n".join([*lines, f"elasticity {elasticity:.2f}"])
