"""Win-rate curves, best bids, budgets split at equal marginal return, and pacing against the oracle."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import bidding as benchmark
from ecomine.ads.bidding import WinCurve
from ecomine.ads.budget import FACTORS, Pacer, allocate, return_curves
from ecomine.errors import FeatureError, NotEnoughDataError
from ecomine.simulation import oracle

TRUE = WinCurve(0.05, 0.6)


@pytest.mark.parametrize("first_price", [False, True])
def test_the_win_curve_is_learnt_from_ones_own_auctions(first_price: bool) -> None:
    random = np.random.default_rng(1)
    rival = TRUE.median * np.exp(random.normal(0, TRUE.spread, 6000))
    bid = random.uniform(0.0, 0.12, 6000)
    won = bid > rival
    curve = WinCurve.fit(bid, won, None if first_price else np.where(won, rival, 0.0))
    assert curve.median == pytest.approx(TRUE.median, rel=0.05)
    assert curve.spread == pytest.approx(TRUE.spread, rel=0.1)


@pytest.mark.parametrize("first_price", [False, True])
def test_the_best_bid_earns_most_and_spending_is_expected(first_price: bool) -> None:
    rival = TRUE.median * np.exp(np.random.default_rng(2).normal(0, TRUE.spread, 300_000))
    bids = np.linspace(0.005, 0.3, 200)
    share = np.searchsorted(np.sort(rival), bids) / len(rival)
    for worth in (0.04, 0.1, 0.25):
        best = TRUE.best_bid(np.array([worth]), first_price)
        gain = TRUE.gain(np.array(worth), bids, first_price)
        assert TRUE.gain(np.array([worth]), best, first_price)[0] >= gain.max() - 1e-6
        assert TRUE.chance(bids) == pytest.approx(share, abs=0.005)
        paid = np.where(rival < best, best if first_price else rival, 0.0).mean()
        assert TRUE.spend(best, first_price)[0] == pytest.approx(paid, rel=0.02)
    worths = np.linspace(0.01, 0.3, 20)
    if first_price:
        assert TRUE.best_bid(worths, True) == pytest.approx(oracle.first_price_bid(worths, 0.05, 0.6), rel=0.01)
        assert (TRUE.best_bid(worths, True) < worths).all()


def test_auctions_that_tell_nothing_are_refused() -> None:
    bid = np.full(100, 0.05)
    with pytest.raises(NotEnoughDataError, match="Vary the bids"):
        WinCurve.fit(bid, np.ones(100, bool))
    with pytest.raises(NotEnoughDataError, match="at least 30"):
        WinCurve.fit(bid[:10], np.arange(10) % 2 == 0)
    with pytest.raises(FeatureError, match="above its own bid"):
        WinCurve.fit(bid, np.arange(100) % 2 == 0, 2 * bid)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.05, 1.2))
def test_money_is_split_as_by_a_linear_programme(seed: int, share: float) -> None:
    from scipy import optimize

    random = np.random.default_rng(seed)
    spend = np.hstack([np.zeros((4, 1)), np.cumsum(random.uniform(0.1, 1, (4, 5)), axis=1)])
    value = np.hstack([np.zeros((4, 1)), np.cumsum(random.uniform(0, 1, (4, 5)), axis=1)])
    budget = share * spend[:, -1].sum()
    found = allocate(spend, value, budget)
    # Mixtures of a campaign's points, at most one campaign's worth of weight each.
    one_each = np.kron(np.eye(4), np.ones(6))
    best = optimize.linprog(-value.ravel(), spend.ravel()[None], [budget], one_each, np.ones(4))
    hulls = [
        -optimize.linprog(-v, s[None], [m + 1e-9], np.ones((1, 6)), [1]).fun
        for v, s, m in zip(value, spend, found.money, strict=True)
    ]
    assert found.money.sum() <= budget + 1e-6
    assert sum(hulls) == pytest.approx(-best.fun, rel=1e-6)


def test_the_last_unit_of_money_brings_the_same_everywhere() -> None:
    random = np.random.default_rng(4)
    worth = np.exp(random.normal(-2.5, 0.5, (5, 400))) * np.array([[0.5], [1.0], [1.0], [2.0], [3.0]])
    spend, value = return_curves(worth, np.full(5, 1000), TRUE)
    found = allocate(spend[:, ::-1], value[:, ::-1], 0.5 * spend[:, 0].sum())
    factor = [float(np.interp(m, s[::-1], FACTORS[::-1])) for m, s in zip(found.money, spend, strict=True)]
    # In second-price auctions one factor for all is best, and money brings 1 / factor.
    assert max(factor) - min(factor) < 0.1
    assert np.mean(factor) == pytest.approx(1 / found.marginal, rel=0.1)
    assert found.money.sum() == pytest.approx(0.5 * spend[:, 0].sum(), rel=1e-6)
    assert found.money[4] > found.money[0]


@pytest.mark.parametrize("first_price", [False, True])
def test_paced_bids_earn_nearly_what_the_oracle_does(first_price: bool) -> None:
    money, spent, _ = benchmark.judged(20, 144, first_price)
    ours = benchmark.PACED
    assert money[ours] >= 0.9 * money["oracle"]
    assert money["the worth"] < 0.8 * money["oracle"]
    assert spent[ours] == pytest.approx(1.0, abs=0.02)


def test_money_is_spent_evenly_and_never_beyond_the_budget() -> None:
    random = np.random.default_rng(5)
    pacer, left, spent = Pacer(10, TRUE), np.full(10, 4.0), []
    for step in range(400):
        worth = np.exp(random.normal(-2, 0.5, 10))
        bid = pacer.bid(worth, left, 400 - step)
        rival = TRUE.median * np.exp(random.normal(0, TRUE.spread, 10))
        left = left - np.where(bid > rival, np.minimum(rival, left), 0.0)
        spent.append(4.0 - left)
    assert spent[199] == pytest.approx(np.full(10, 2.0), rel=0.2)
    assert spent[-1].sum() == pytest.approx(40.0, rel=0.02)
    assert (pacer.bid(worth, np.zeros(10), 5) == 0).all()
