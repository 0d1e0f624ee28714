"""Prices learnt by acting on the pricing environment: how soon, how well, at what cost.

Protocol: `ecomine/Pricing-v0` in its vector form, `--items` products with three units a day on average, levels of
price evenly spaced in logs from half to 1.6 times the list price, `--days` days in one episode; prices start anywhere
at random (at the list price they would be good already: the simulated shop asks nearly the best), and learners explore
inside the rules (margin floor, two levels a day) and see units and money of the shop, never the truth. The judge knows
the law: a day's share is the expected profit at the prices asked over the expected profit of each item's best price,
other prices as they are. Figures are means over the seven days to a day, or over the last 28; the cost of learning is
what the best prices would have earned more over all days, as a share of it. Learners were made on seeds 1 and 2.
`--plot FILE` draws the shares by day.
"""

import argparse
from pathlib import Path

import gymnasium
import numpy as np

import ecomine.simulation.environments  # noqa: F401
from benchmarks.report import Row, report
from ecomine.pricing.learning import LEARNERS, Safety, run
from ecomine.pricing.params import PriceRules
from ecomine.simulation import demand, oracle
from ecomine.simulation.environments.pricing import HIGHEST, LOWEST

LEVELS = 12
LAST = 28
GOAL = 0.9
LISTED, FIRST = "list prices", "first prices"
CHECKPOINTS = (7, 28, 90, 182)
COLOURS = {LISTED: "#888888", FIRST: "#bbbbbb", "q_learning": "#1f6fb4", "sarsa": "#c2571a", "thompson": "#2a8a3e"}
RATIO = LOWEST * (HIGHEST / LOWEST) ** (np.arange(LEVELS) / (LEVELS - 1))


def shares(name: str, items: int, days: int, seed: int) -> np.ndarray:
    """Days × (expected profit, best expected profit) of a learner, or of prices that stay as they are."""
    environment = gymnasium.make_vec("ecomine/Pricing-v0", num_envs=items, days=days, levels=LEVELS)
    world = environment.world
    goods = world.shop.goods
    environment.reset(seed=seed)
    cost_share, usual = goods.cost / world.list_price, world.shop.guess
    start = np.random.default_rng(seed).integers(0, LEVELS, items)
    listed = np.full(items, int(np.abs(RATIO - 1).argmin()))
    best = oracle.optimal_price(goods.reference_price, goods.cost, goods.elasticity, LOWEST, HIGHEST)
    at_best = (best - goods.cost) * demand.expected_response(np.log(best / goods.reference_price), goods.elasticity)
    days_seen = []

    def judge(action: np.ndarray, info: dict) -> None:  # type: ignore[type-arg]
        price = info["price"]
        response = demand.expected_response(np.log(price / goods.reference_price), goods.elasticity)
        base = info["expected"] / response
        days_seen.append((float(((price - goods.cost) * info["expected"]).sum()), float((base * at_best).sum())))

    class Fixed:
        def act(self) -> np.ndarray:
            return listed if name == LISTED else safety.standing

        def learn(self, action: np.ndarray, reward: np.ndarray, units: np.ndarray) -> None:
            pass

    safety = Safety.of(RATIO, cost_share, PriceRules(lowest=None, highest=None, margin_floor=0.0), start)
    scale = np.maximum(usual * (world.list_price - goods.cost), 1e-3)
    known = {"safety": safety, "scale": scale, "log_ratio": np.log(RATIO), "cost_share": cost_share,
             "usual_units": usual, "seed": seed}  # fmt: skip
    learner = LEARNERS[name](**known) if name in LEARNERS else Fixed()
    run(learner, environment, days, seed, judge)
    return np.array(days_seen)


def picture(curves: dict[str, np.ndarray]) -> str:
    """Shares by day, weekly means, as an SVG of 460 × 300."""
    left, top, width, height, floor = 52, 34, 390, 210, 0.5
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
    rows, curves = [], {}
    for name in (LISTED, FIRST, *LEARNERS):
        earned = shares(name, options.items, options.days, options.seed)
        curves[name] = earned[:, 0] / earned[:, 1]
        rows += [
            Row(f"{name}: share of the oracle's profit, day {day}", float(np.mean(curves[name][day - 7 : day])))
            for day in CHECKPOINTS
            if day <= options.days
        ]
        rows.append(Row(f"{name}: share at the end; goal", float(np.mean(curves[name][-LAST:])), GOAL))
        rows.append(Row(f"{name}: cost of learning, share", float(1 - earned[:, 0].sum() / earned[:, 1].sum())))
    if options.plot:
        options.plot.write_text(picture(curves))
    report("pricing_rl", f"{options.items} items, {options.days} days, seed {options.seed}", rows)


if __name__ == "__main__":
    main()
