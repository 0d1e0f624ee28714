"""Which ad to show to whom, learnt by showing: regret of LinUCB and Thompson sampling in the simulated shop.

Protocol: `ARMS` ads of the simulator's campaigns; `--rounds` rounds of `--people` visitors each, drawn from the shop's
honest people; a round is shown, then learnt from. The reward is a click, drawn by the simulator's ad law. The context
is what a shop could know: the visitor's tastes, seen with noise of half their own spread, and how often the visitor
comes. Regret is the true chance of a click of the best ad for the visitor, by the law, less that of the ad shown, a
visitor; the law knows tastes without noise and is not linear, so some regret stays for ever: `floor` is that of the
best linear rule on these contexts, fitted to the true chances of all ads. `flattening` is the mean regret above
nothing in the last fifth of the rounds over that in the first fifth. Settings were chosen on seed 5.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.report import Row, report
from ecomine.ads.bandits import LinearArms, LinThompson, LinUCB
from ecomine.params import SimulationParams
from ecomine.simulation import ads
from ecomine.simulation.catalogue import catalogue
from ecomine.simulation.people import HONEST, people
from ecomine.simulation.randomness import stream

ARMS, AUDIENCE, ITEMS = 10, 20_000, 300
BLUR = 0.5
AT_RANDOM = "at random"
COLOURS = {"LinUCB": "#1f5fa8", "Thompson sampling": "#c2571a", AT_RANDOM: "#777777"}


class Visitors:
    """People with their contexts and the true chance of a click of each ad."""

    def __init__(self, seed: int) -> None:
        params = SimulationParams(users=AUDIENCE, items=ITEMS, seed=seed)
        goods = catalogue(params)
        folk = people(params, goods)
        who = np.flatnonzero(folk.role == HONEST)
        shown = [ads.campaign(params, goods, number) for number in range(ARMS)]
        item = np.array([one.item for one in shown])
        coupon = np.array([ads.KINDS[one.kind] == "coupon" for one in shown])
        every = np.tile(np.arange(ARMS), len(who))
        self.chance = ads.chance(folk, goods, np.repeat(who, ARMS), item[every], coupon[every])[0].reshape(-1, ARMS)
        taste = folk.taste[who].astype(float)
        blurred = taste + stream(seed, "blur").normal(0, BLUR, taste.shape)
        often = np.log(folk.rate[who] + 1e-3)
        self.context = np.column_stack([np.ones(len(who)), blurred, (often - often.mean()) / often.std()])

    def linear(self) -> float:
        """Regret of the best linear rule."""
        slope = np.linalg.lstsq(self.context, self.chance, rcond=None)[0]
        arm = (self.context @ slope).argmax(axis=1)
        return float((self.chance.max(axis=1) - self.chance[np.arange(len(arm)), arm]).mean())


def regrets(visitors: Visitors, bandit: LinearArms | None, rounds: int, people_: int, seed: int) -> np.ndarray:
    """Mean regret of each round."""
    random, found = stream(seed, "visits"), np.empty(rounds)
    row = np.arange(people_)
    for number in range(rounds):
        who = random.integers(0, len(visitors.context), people_)
        context, chance = visitors.context[who], visitors.chance[who]
        luck = random.random(people_)
        arm = random.integers(0, ARMS, people_) if bandit is None else bandit.choose(context)[0]
        found[number] = (chance.max(axis=1) - chance[row, arm]).mean()
        if bandit is not None:
            bandit.learn(context, arm, (luck < chance[row, arm]).astype(float))
    return found


def picture(curves: dict[str, np.ndarray], people_: int) -> str:
    """Cumulated regret by round, as an SVG of 460 × 300."""
    left, top, width, height = 58, 42, 384, 202
    sums = {name: np.cumsum(curve) * people_ for name, curve in curves.items()}
    most = max(float(curve[-1]) for curve in sums.values())
    rounds = len(next(iter(sums.values())))
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 460 300" font-family="sans-serif" font-size="11">',
        '<rect width="460" height="300" fill="white"/>',
    ]
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = top + height * (1 - share)
        parts.append(f'<path d="M{left} {y:.1f}H{left + width}" stroke="#e4e4e4"/>')
        parts.append(f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{share * most:,.0f}</text>')
        x = left + width * share
        parts.append(f'<text x="{x:.1f}" y="{top + height + 15}" text-anchor="middle">{share * rounds:,.0f}</text>')
    at = np.unique(np.linspace(0, rounds - 1, 80).astype(int))
    for number, (name, curve) in enumerate(sums.items()):
        x, y = left + width * (at + 1) / rounds, top + height * (1 - curve[at] / most)
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{COLOURS[name]}" stroke-width="2"/>')
        parts.append(f'<path d="M{left + 125 * number} 18h18" stroke="{COLOURS[name]}" stroke-width="2"/>')
        parts.append(f'<text x="{left + 22 + 125 * number}" y="22">{name}</text>')
    parts.append(f'<text x="{left + width / 2}" y="{top + height + 38}" text-anchor="middle">Rounds</text>')
    parts.append(
        f'<text transform="translate(14 {top + height / 2}) rotate(-90)" text-anchor="middle">Clicks lost so far</text>'
    )
    return "\n".join([*parts, "</svg>"]) + "\n"


def main() -> None:
    """Let each learner show ads, and draw where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="not needed: the shop is simulated")
    parser.add_argument("--rounds", type=int, default=400)
    parser.add_argument("--people", type=int, default=100)
    parser.add_argument("--seed", type=int, default=2025)
    parser.add_argument("--plot", type=Path, help="file of the plot (SVG); the curves go beside it (CSV)")
    options = parser.parse_args()
    visitors = Visitors(options.seed)
    width = visitors.context.shape[1]
    bandits: dict[str, LinearArms | None] = {
        "LinUCB": LinUCB(ARMS, width, seed=1, explore=0.0, alpha=0.3),
        "Thompson sampling": LinThompson(ARMS, width, seed=1, explore=0.0, noise=0.3, draws=1),
        AT_RANDOM: None,
    }
    curves = {
        name: regrets(visitors, bandit, options.rounds, options.people, options.seed)
        for name, bandit in bandits.items()
    }
    fifth = options.rounds // 5
    rows = [Row("regret a visitor, best linear rule (floor)", visitors.linear())]
    for name, curve in curves.items():
        first, last = float(curve[:fifth].mean()), float(curve[-fifth:].mean())
        rows += [
            Row(f"regret a visitor, first fifth, {name}", first),
            Row(f"regret a visitor, last fifth, {name}", last),
            Row(f"flattening, {name}", last / first),
            Row(f"clicks lost in all, {name}", float(curve.sum() * options.people)),
        ]
    if options.plot:
        options.plot.write_text(picture(curves, options.people))
        table = pd.DataFrame({name: np.cumsum(curve) * options.people for name, curve in curves.items()})
        table.insert(0, "round", np.arange(1, options.rounds + 1))
        table.round(3).to_csv(options.plot.with_suffix(".csv"), index=False)
    report("ads_bandits", f"{options.rounds} rounds of {options.people} visitors, seed {options.seed}", rows)


if __name__ == "__main__":
    main()
