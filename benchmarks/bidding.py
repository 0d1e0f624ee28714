"""Bids under a budget in the simulated shop's auctions: what is earned, and what the best bidder would have earned.

Protocol: `ecomine/Bidding-v0`, `--campaigns` campaigns, each with a budget for the day and `--auctions` contacts, in
second- and first-price auctions. The learner knows what a contact is worth, as the oracle does, and neither the rivals
nor the contacts to come: it begins a day with bids drawn at random below the worth, fits the win-rate curve to that
day's own auctions, and bids on the other days by curve and pacing. Earned is the expected worth of the contacts won
less their price; regret is against the oracle, who knows the law of rivals and contacts. Budgets bind where bidding the
worth would spend more than the budget; `spent` is their money spent, over their budgets.
"""

import argparse
from collections.abc import Callable

import numpy as np

from benchmarks.report import Row, report
from ecomine.ads.bidding import WinCurve
from ecomine.ads.budget import Pacer, return_curves
from ecomine.simulation.environments import bidding
from ecomine.simulation.environments.assortment import assortment

DAYS = (101, 102, 103)
LEARNING_DAY = 100
BAR = 0.10
PACED = "learnt curve and pacing"

Policy = Callable[[bidding.Bidding], np.ndarray]


def day(world: bidding.Bidding, policy: Policy, episode: int) -> dict[str, np.ndarray]:
    """Steps × campaigns of what happened, and what was spent of which budget."""
    world.begin(episode)
    seen: dict[str, list[np.ndarray]] = {name: [] for name in ("bid", "won", "cost", "worth")}
    for _ in range(world.steps):
        bid = np.where(world.over, 0.0, policy(world))
        _, told = world.decide(bid)
        for name, value in (("bid", bid), *((name, told[name]) for name in ("won", "cost", "worth"))):
            seen[name].append(value)
    return {**{name: np.array(values) for name, values in seen.items()}, "spent": world.spent, "budget": world.budget}


def learnt(world: bidding.Bidding, seed: int) -> WinCurve:
    """The win-rate curve from one day's own auctions."""
    random = np.random.default_rng(seed)
    log = day(world, lambda now: bidding.worth(now) * random.random(now.items), LEARNING_DAY)
    price = None if world.first_price else log["cost"].ravel()
    return WinCurve.fit(log["bid"].ravel(), log["won"].ravel(), price)


def paced(world: bidding.Bidding, curve: WinCurve) -> Policy:
    pacer = Pacer(world.items, curve, world.first_price, bidding.HIGHEST_BID)
    return lambda now: pacer.bid(now.worth, now.budget - now.spent, now.steps - now.step)


def earned(log: dict[str, np.ndarray]) -> float:
    return float((log["won"] * log["worth"] - log["cost"]).sum())


def judged(
    campaigns: int, auctions: int, first_price: bool, seed: int = 42
) -> tuple[dict[str, float], dict[str, float], WinCurve]:
    """Earned and spent by policy, on the test days together."""
    world = bidding.Bidding(assortment(campaigns, seed=seed), auctions, first_price=first_price)
    curve = learnt(world, 1)
    policies: dict[str, Policy] = {
        "the rivals' median": bidding.market_bid,
        "the worth": bidding.worth,
        "learnt curve, no pacing": lambda now: curve.best_bid(bidding.worth(now), first_price),
        PACED: paced(world, curve),
        "oracle": bidding.paced(world),
    }
    money, spent = {}, {}
    for name, policy in policies.items():
        logs = [day(world, policy, episode) for episode in DAYS]
        money[name] = sum(earned(log) for log in logs)
        part = []
        for log in logs:
            cost = return_curves(log["worth"].T, np.full(campaigns, auctions), curve, first_price)[0][:, 0]
            # Well above the budget, so that chance does not decide which campaigns count.
            part.append(np.where(cost > 1.5 * log["budget"], 1.0, 0.0))
        bound = np.array(part)
        used, given = (np.array([log[key] for log in logs]) for key in ("spent", "budget"))
        spent[name] = float((bound * used).sum() / (bound * given).sum())
    return money, spent, curve


def main() -> None:
    """Bid, judge, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="not needed: the shop is simulated")
    parser.add_argument("--campaigns", type=int, default=60)
    parser.add_argument("--auctions", type=int, default=960)
    parser.add_argument("--seed", type=int, default=2025, help="of products and people; the bidder was made on 42")
    arguments = parser.parse_args()
    rows = []
    for first_price in (False, True):
        kind = "first price" if first_price else "second price"
        money, spent, curve = judged(arguments.campaigns, arguments.auctions, first_price, arguments.seed)
        rows += [Row(f"{kind}: median of rivals, learnt", curve.median, 0.035)]
        rows += [Row(f"{kind}: spread of rivals, learnt", curve.spread, 0.6)]
        for name, value in money.items():
            rows.append(Row(f"{kind}: regret, {name}", 1 - value / money["oracle"], BAR if name == PACED else None))
            rows.append(Row(f"{kind}: spent of the budget, {name}", spent[name], 1.0 if name != "oracle" else None))
    report(
        "bidding",
        f"{arguments.campaigns} campaigns, {arguments.auctions} contacts, {len(DAYS)} days, seed {arguments.seed}",
        rows,
    )


if __name__ == "__main__":
    main()
