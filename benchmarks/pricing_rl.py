"""Prices learnt by acting on the pricing environment: how soon, how well, at what cost.

Protocol: `ecomine/Pricing-v0` in its vector form, `--items` products with three units a day on average, levels of
price evenly spaced in logs from half to 1.6 times the list price, `--days` days in one episode; prices start anywhere
at random (at the list price they would be good already: the simulated shop asks nearly the best), and learners explore
inside the rules (margin floor, two levels a day) and see units and money of the shop, never the truth. The judge knows
the law: a day's share is the expected profit at the prices asked over the expected profit of each item's best price,
other prices as they are. Figures are means over the seven days to a day, or over the last 28; the cost of learning is
what the best prices would have earned more over all days, as a share of it. Learners were made on seeds 1 and 2.
`--plot FILE` draws the shares by day.

Off-policy: an explorer around the list prices, inside the same rules and with known propensities, logs half a year of
days that nobody has learnt from (another seed). From that log alone the prices that each learner would ask for good are
estimated, money an item and day: doubly robust, with a 95 % interval over weeks, and SNIPS. The truth is what these
prices earn when they are asked on the same days. What an estimate day by day cannot see: rivals that go after a price,
neighbours whose prices are random in the log and not after it, shelves that the log's cheap days empty for the dearer
ones.
"""

import argparse
from pathlib import Path

import gymnasium
import numpy as np

import ecomine.simulation.environments  # noqa: F401
from benchmarks.report import Row, report
from ecomine.pricing.learning import LEARNERS, Safety, run
from ecomine.pricing.off_policy import Explorer, estimates, logged
from ecomine.pricing.params import PriceRules
from ecomine.simulation import demand, oracle
from ecomine.simulation.environments.pricing import HIGHEST, LOWEST

LEVELS = 12
LAST = 28
GOAL = 0.9
LISTED, FIRST = "list prices", "first prices"
CHECKPOINTS = (7, 28, 90, 182)
COLOURS = {LISTED: "#888888", FIRST: "#bbbbbb", "q_learning": "#1f6fb4", "sarsa": "#c2571a", "thompson": "#2a8a3e"}
LOG_DAYS = 182
RATIO = LOWEST * (HIGHEST / LOWEST) ** (np.arange(LEVELS) / (LEVELS - 1))
RULES = PriceRules(lowest=None, highest=None, margin_floor=0.0)
AT_LIST = int(np.abs(RATIO - 1).argmin())


class Fixed:
    """Asks the same levels day after day; `earned` is what came of it."""

    def __init__(self, level: np.ndarray) -> None:
        self.level = level
        self.earned: list[np.ndarray] = []

    def act(self) -> np.ndarray:
        return self.level

    def learn(self, action: np.ndarray, reward: np.ndarray, units: np.ndarray) -> None:
        self.earned.append(reward.copy())


def shares(name: str, items: int, days: int, seed: int) -> np.ndarray:
    """Days × (expected profit, best expected profit) of a learner, or of prices that stay as they are."""
    return acted(name, items, days, seed)[0]


def acted(name: str, items: int, days: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The same, and the levels that it would ask from then on."""
    environment = gymnasium.make_vec("ecomine/Pricing-v0", num_envs=items, days=days, levels=LEVELS)
    world = environment.world
    goods = world.shop.goods
    environment.reset(seed=seed)
    cost_share, usual = goods.cost / world.list_price, world.shop.guess
    start = np.random.default_rng(seed).integers(0, LEVELS, items)
    best = oracle.optimal_price(goods.reference_price, goods.cost, goods.elasticity, LOWEST, HIGHEST)
    at_best = (best - goods.cost) * demand.expected_response(np.log(best / goods.reference_price), goods.elasticity)
    days_seen = []

    def judge(action: np.ndarray, info: dict) -> None:  # type: ignore[type-arg]
        price = info["price"]
        response = demand.expected_response(np.log(price / goods.reference_price), goods.elasticity)
        base = info["expected"] / response
        days_seen.append((float(((price - goods.cost) * info["expected"]).sum()), float((base * at_best).sum())))

    safety = Safety.of(RATIO, cost_share, RULES, start)
    scale = np.maximum(usual * (world.list_price - goods.cost), 1e-3)
    known = {"safety": safety, "scale": scale, "log_ratio": np.log(RATIO), "cost_share": cost_share,
             "usual_units": usual, "seed": seed}  # fmt: skip
    if name in LEARNERS:
        learner = LEARNERS[name](**known)
        run(learner, environment, days, seed, judge)
        return np.array(days_seen), learner.best()
    level = np.full(items, AT_LIST) if name == LISTED else safety.standing
    run(Fixed(level), environment, days, seed, judge)
    return np.array(days_seen), level


def off_policy(levels: dict[str, np.ndarray], items: int, seed: int) -> list[Row]:
    """Estimates from an explorer's log beside what the levels earn when they are asked."""
    environment = gymnasium.make_vec("ecomine/Pricing-v0", num_envs=items, days=LOG_DAYS, levels=LEVELS)
    goods = environment.world.shop.goods
    environment.reset(seed=seed)
    safety = Safety.of(RATIO, goods.cost / environment.world.list_price, RULES, AT_LIST)
    history = logged(Explorer(safety.allowed, safety.standing, seed=seed), environment, LOG_DAYS, seed + 1)
    rows = []
    for name, level in levels.items():
        told = estimates(history, level, np.log(RATIO), goods.cost, seed).set_index("estimator")
        fixed = Fixed(level)
        run(fixed, environment, LOG_DAYS, seed + 1, lambda action, info: None)
        truth = float(np.mean(fixed.earned))
        rows += [
            Row(f"{name}: off-policy estimate; truth", told.loc["dr", "value"], truth),
            Row(f"{name}: low end of its 95 % interval; truth", told.loc["dr", "low"], truth),
            Row(f"{name}: high end of its 95 % interval; truth", told.loc["dr", "high"], truth),
            Row(f"{name}: off-policy estimate by SNIPS; truth", told.loc["snips", "value"], truth),
        ]
    return rows


def picture(curves: dict[str, np.ndarray], costs: dict[str, float]) -> str:
    """Shares by day, weekly means, and under each name what learning cost, as an SVG of 460 × 300."""
    left, top, width, height, floor = 52, 42, 390, 202, 0.5
    longest = max(len(curve) for curve in curves.values())
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 460 300" font-family="sans-serif" font-size="11">',
        '<rect width="460" height="300" fill="white"/>',
    ]
    for value in (0.5, 0.6, 0.7, 0.8, 0.9, 1.0):
        y = top + height * (1 - (value - floor) / (1 - floor))
        parts.append(f'<path d="M{left} {y:.1f}H{left + width}" stroke="#e4e4e4"/>')
        parts.append(f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.1f}</text>')
    for number, (name, curve) in enumerate(curves.items()):
        weekly = curve[: len(curve) // 7 * 7].reshape(-1, 7).mean(axis=1)
        x = left + width * (np.arange(len(weekly)) * 7 + 3.5) / longest
        y = top + height * (1 - (np.clip(weekly, floor, 1) - floor) / (1 - floor))
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{COLOURS[name]}" stroke-width="2"/>')
        parts.append(f'<path d="M{left + 80 * number} 14h18" stroke="{COLOURS[name]}" stroke-width="2"/>')
        parts.append(f'<text x="{left + 22 + 80 * number}" y="18">{name.replace("_", "-")}</text>')
        parts.append(f'<text x="{left + 22 + 80 * number}" y="30" fill="#666666">lost {costs[name]:.1%}</text>')
    for day in range(0, longest + 1, max(longest // 6, 1)):
        x = left + width * day / longest
        parts.append(f'<text x="{x:.1f}" y="{top + height + 15}" text-anchor="middle">{day}</text>')
    parts.append(f'<text x="{left + width / 2}" y="{top + height + 38}" text-anchor="middle">Days</text>')
    parts.append(
        f'<text transform="translate(14 {top + height / 2}) rotate(-90)" text-anchor="middle">'
        "Share of the best profit</text>"
    )
    return "\n".join([*parts, "</svg>"]) + "\n"


def main() -> None:
    """Let each learner act, judge it, and draw where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="not needed: the shop is simulated")
    parser.add_argument("--items", type=int, default=300)
    parser.add_argument("--days", type=int, default=364)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--plot", type=Path, help="file of the plot (SVG)")
    options = parser.parse_args()
    rows: list[Row] = []
    curves: dict[str, np.ndarray] = {}
    levels: dict[str, np.ndarray] = {}
    costs: dict[str, float] = {}
    for name in (LISTED, FIRST, *LEARNERS):
        earned, levels[name] = acted(name, options.items, options.days, options.seed)
        curves[name] = earned[:, 0] / earned[:, 1]
        rows += [
            Row(f"{name}: share of the oracle's profit, day {day}", float(np.mean(curves[name][day - 7 : day])))
            for day in CHECKPOINTS
            if day <= options.days
        ]
        rows.append(Row(f"{name}: share at the end; goal", float(np.mean(curves[name][-LAST:])), GOAL))
        costs[name] = float(1 - earned[:, 0].sum() / earned[:, 1].sum())
        rows.append(Row(f"{name}: cost of learning, share", costs[name]))
    rows += off_policy({name: levels[name] for name in (LISTED, *LEARNERS)}, options.items, options.seed)
    if options.plot:
        options.plot.write_text(picture(curves, costs))
    report("pricing_rl", f"{options.items} items, {options.days} days, seed {options.seed}", rows)


if __name__ == "__main__":
    main()
