"""Auctions whose best bids are known."""

import numpy as np
import pytest

from ecomine.simulation import ads, oracle
from ecomine.simulation.environments import bidding, forms
from ecomine.simulation.environments.assortment import assortment

MARKET = (ads.RIVAL_BID_MEDIAN, ads.RIVAL_BID_SPREAD)


@pytest.mark.parametrize("first_price", [False, True])
def test_money_of_a_contact_by_hand(first_price: bool) -> None:
    world = bidding.Bidding(assortment(400), first_price=first_price)
    world.begin(2)
    bid = np.full(400, 0.05)
    reward, info = world.decide(bid)
    price = bid if first_price else info["rival_bid"]
    assert (info["won"] == (bid > info["rival_bid"])).all() and 0.6 < info["won"].mean() < 0.85
    assert info["cost"] == pytest.approx(np.where(info["won"], price, 0))
    assert reward == pytest.approx(world.margin * info["sold"] - info["cost"])
    assert not (info["sold"] & ~info["clicked"]).any() and not (info["clicked"] & ~info["won"]).any()


def test_no_campaign_spends_more_than_its_budget() -> None:
    world = bidding.Bidding(assortment(300), budget=0.3)
    forms.earned(world, lambda now: np.full(300, 0.2), 1)
    assert (world.spent <= world.budget).all() and (world.spent > 0.5 * world.budget).mean() > 0.9


def test_with_money_without_end_the_best_second_price_bid_is_the_worth() -> None:
    world = bidding.Bidding(assortment(100), budget=1e6)
    world.begin(1)
    assert bidding.paced(world)(world) == pytest.approx(bidding.worth(world))


def test_the_best_first_price_bid_is_the_best_of_a_fine_grid() -> None:
    random = np.random.default_rng(1)
    rival = ads.rival_bids(400_000, random)
    for value in (0.03, 0.1, 0.4):
        bids = np.linspace(0.005, 0.2, 400)
        gain = (value - bids) * (np.searchsorted(np.sort(rival), bids) / len(rival))
        best = oracle.first_price_bid(np.array([value]), *MARKET)[0]
        assert np.interp(best, bids, gain) > 0.995 * gain.max()


def test_expected_spending_is_that_of_auctions() -> None:
    rival = ads.rival_bids(400_000, np.random.default_rng(2))
    for first in (False, True):
        won, price = ads.auction(np.full(len(rival), 0.04), rival, first)
        assert oracle.expected_spend(np.array([0.04]), *MARKET, first)[0] == pytest.approx(
            (won * price).mean(), rel=0.01
        )


def test_pacing_spends_the_budget_by_the_evening_and_not_before() -> None:
    world = bidding.Bidding(assortment(200))
    policy = bidding.paced(world)
    world.begin(3)
    half = np.zeros(200)
    for step in range(world.steps):
        world.decide(policy(world))
        if step == world.steps // 2 - 1:
            half = world.spent / world.budget
    rich = world.margin > np.quantile(world.margin, 0.5)
    assert half[rich].mean() == pytest.approx(0.5, abs=0.1)
    assert (world.spent / world.budget)[rich].mean() > 0.9
