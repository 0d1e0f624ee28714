"""Prices of 50,000 items under all rules at once, beside SciPy's bare solver call.

Protocol: random items with elasticities from -1.2 to -4, a fifth of them in families of two to five packs, a rival's
price for two thirds, stock to clear for one in twenty, prices that end in .49, .95 or .99, a limit of a third on the
number of changes; all rules of params.yaml are on. Items whose rules clash keep their price and are counted. The
reference is the same grids, worths and rules as one mixed-integer programme a block of `--bare` items, the way one
would write it by hand: a binary for each item and price, handed to scipy.optimize.milp; its time is scaled up to all
items, and its worth held against ours on the same block.
"""

import argparse
import time

import numpy as np
import pandas as pd
from scipy import optimize, sparse

from benchmarks.report import Row, report
from ecomine.pricing import OptimiserParams, PriceOptimizer, PriceRules
from ecomine.pricing.optimiser import Problem, best, constant_elasticity
from ecomine.pricing.rules import bounds

LIMIT_SECONDS = 60.0
RULES = PriceRules(
    lowest=0.6, highest=1.5, greatest_change=0.2, margin_floor=0.05, endings=[0.49, 0.95, 0.99], rival_low=0.7,
    rival_high=1.3,
)  # fmt: skip


def shop(items: int, seed: int) -> pd.DataFrame:
    """A random assortment."""
    random = np.random.default_rng(seed)
    price = np.round(np.exp(random.normal(2.5, 0.8, items)), 2) + 2
    family = np.full(items, -1)
    packed = items // 5
    sizes = random.integers(2, 6, packed)
    family[:packed] = np.repeat(np.arange(packed), sizes)[:packed]
    size = np.where(family >= 0, random.integers(1, 7, items), 1)
    # Packs of a family share a price per unit, so that the order within is nearly kept and often in question.
    unit = np.exp(random.normal(1.5, 0.6, packed))
    mine = unit[np.maximum(family, 0)] * size**0.9 * np.exp(random.normal(0, 0.05, items)) + 1
    price = np.where(family >= 0, np.round(mine, 2), price)
    clear = random.random(items) < 0.05
    units = np.exp(random.normal(1, 1, items))
    return pd.DataFrame(
        {
            "item_id": np.arange(items),
            "price": price,
            "unit_cost": np.round(price * random.uniform(0.4, 0.85, items), 2),
            "units": units,
            "elasticity": -random.uniform(1.2, 4.0, items),
            "family_id": pd.Series(family).where(family >= 0),
            "pack_size": size,
            "competitor_price": np.where(random.random(items) < 0.67, price * random.uniform(0.9, 1.1, items), np.nan),
            "stock": np.where(clear, units * 4 * random.uniform(0.8, 1.3, items), np.nan),
            "clear_periods": np.where(clear, 4.0, np.nan),
        }
    )


def bare(problem: Problem, limit: int) -> tuple[float, float]:
    """Seconds and worth of one programme with a binary for each item and price."""
    started = time.perf_counter()
    items, width = problem.grid.shape
    forbidden = ~np.isfinite(problem.value)
    worth = np.where(forbidden, 0.0, problem.value)
    index = np.arange(items * width).reshape(items, width)
    one = sparse.csr_array((np.ones(index.size), (np.repeat(np.arange(items), width), index.ravel())))
    constraints = [optimize.LinearConstraint(one, 1, 1)]
    small, large = problem.chains.small, problem.chains.large
    if len(small):
        per_unit = problem.grid / problem.chains.size[:, None]
        row = np.repeat(np.arange(len(small)), width)
        order = sparse.csr_array(
            (
                np.concatenate([per_unit[large].ravel(), -per_unit[small].ravel()]),
                (np.tile(row, 2), np.concatenate([index[large].ravel(), index[small].ravel()])),
            ),
            shape=(len(small), index.size),
        )
        constraints.append(optimize.LinearConstraint(order, -np.inf, 1e-9))
    moved = np.ones(index.size)
    staying = np.flatnonzero(problem.stay >= 0)
    moved[index[staying, problem.stay[staying]]] = 0.0
    constraints.append(optimize.LinearConstraint(sparse.csr_array(moved[None]), 0, limit))
    found = optimize.milp(
        -worth.ravel(), constraints=constraints, integrality=np.ones(index.size),
        bounds=optimize.Bounds(0, np.where(forbidden.ravel(), 0, 1)), options={"mip_rel_gap": 1e-6, "time_limit": 60},
    )  # fmt: skip
    return time.perf_counter() - started, -float(found.fun)


def main() -> None:
    """Optimise, then solve a block with the bare solver."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="not needed: the items are random")
    parser.add_argument("--items", type=int, default=50_000)
    parser.add_argument("--bare", type=int, default=150, help="items of the bare solver's block")
    options = parser.parse_args()
    items = shop(options.items, 1)
    limited = PriceRules(**{**RULES.__dict__, "changes": options.items // 3})
    optimiser = PriceOptimizer(OptimiserParams(rules=limited))
    started, cpu = time.perf_counter(), time.process_time()
    found = optimiser.optimise(items, keep_clashing=True)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    gain = (found["suggested_margin"] - found["margin"]).sum()
    block = pd.concat([items[items["family_id"].notna()].head(options.bare // 5), items.tail(options.bare * 4 // 5)])
    block = block.reset_index(drop=True)
    problem, clash = optimiser._problem(block, bounds(block, limited), constant_elasticity(block))
    fine = clash == ""
    block = block[fine].reset_index(drop=True)
    problem, clash = optimiser._problem(block, bounds(block, limited), constant_elasticity(block))
    limit = len(block) // 3
    must = int((problem.stay < 0).sum())
    limit = max(limit, must + len(block) // 10)
    chosen = best(problem, limit, clash != "")
    ours = float(problem.value[np.arange(len(block)), chosen].sum())
    alone, theirs = bare(problem, limit)
    scaled = alone * options.items / len(block)
    rows = [
        Row("seconds for all items; limit", seconds, LIMIT_SECONDS),
        Row("CPU seconds for all items", cpu),
        Row("seconds; bare solver, scaled to all items", seconds, scaled),
        Row("worth of a block; bare solver", ours, theirs),
        Row("changes; limit", float((found["suggested_price"] != found["price"]).sum()), limited.changes),
        Row("items whose rules clash", float(found["reason"].str.contains("clash").sum()), options.items),
        Row("margin a period, suggested; present", found["suggested_margin"].sum(), found["margin"].sum()),
        Row("gain of margin a period", float(gain)),
    ]
    report("pricing_scale", f"{options.items:,} items under all rules; bare solver on {len(block):,}", rows)


if __name__ == "__main__":
    main()
