"""What to bid for a contact: a win-rate curve learnt from one's own auctions, and the bid that earns most on it."""

from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

from ecomine.errors import FeatureError, NotEnoughDataError

LEAST_AUCTIONS = 30
GRID = 1201
_ROOT_2PI = np.sqrt(2 * np.pi)


@dataclass(frozen=True)
class WinCurve:
    """The rivals' highest bid, lognormal: its median in money, and the standard deviation of its logarithm."""

    median: float
    spread: float

    @classmethod
    def fit(cls, bid: np.ndarray, won: np.ndarray, price: np.ndarray | None = None) -> "WinCurve":
        """Learns by maximum likelihood from one's own auctions.

        With `price`, what was paid where an auction was won, the rivals' bid is known there (second price); elsewhere,
        and without prices (first price), only whether it lay below one's own. Bids of 0 tell nothing and are left out.
        Source: Tobin (1958) for censored observations; Cui, Zhang et al. (2011) for lognormal bid landscapes. Raises
        FeatureError for a price above the bid, NotEnoughDataError where all or none are won, or too few.
        """
        bid, won = np.asarray(bid, float), np.asarray(won, bool)
        told = bid > 0
        bid, won = bid[told], won[told]
        if len(bid) < LEAST_AUCTIONS or won.all() or not won.any():
            raise NotEnoughDataError(
                f"{len(bid):,} auctions, {int(won.sum()):,} of them won; a win-rate curve needs at least "
                f"{LEAST_AUCTIONS}, some won and some lost. Vary the bids."
            )
        exact = np.zeros(len(bid), bool)
        paid = bid
        if price is not None:
            paid = np.asarray(price, float)[told]
            if (paid > bid + 1e-9)[won].any():
                raise FeatureError("A price paid is above its own bid; in a second-price auction it cannot be.")
            exact = won & (paid > 0)
        at = np.log(np.where(exact, paid, bid))

        def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
            spread = np.exp(values[1])
            z = (at - values[0]) / spread
            side = np.where(won, 1.0, -1.0)
            log_side = special.log_ndtr(side * z)
            density = np.exp(-(z**2) / 2) / _ROOT_2PI
            slope = np.where(exact, z, -side * density / np.exp(log_side))
            value = np.where(exact, z**2 / 2 + values[1], -log_side)
            pull = np.array([-slope.sum() / spread, (-slope * z).sum() + exact.sum()])
            # As good as two auctions' worth of belief in a spread of 0.7: few data tell no spread at all.
            return float(value.sum() + 2 * (values[1] + 0.36) ** 2) / len(at), (
                pull + np.array([0.0, 4 * (values[1] + 0.36)])
            ) / len(at)

        start = np.array([float(np.median(np.log(bid))), np.log(0.7)])
        bounds = [(at.min() - 5, at.max() + 5), (np.log(0.02), np.log(5))]
        found = optimize.minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
        return cls(float(np.exp(found[0])), float(np.exp(found[1])))

    def chance(self, bid: np.ndarray) -> np.ndarray:
        """Probability that a bid wins."""
        return np.asarray(special.ndtr(self._z(bid)))

    def spend(self, bid: np.ndarray, first_price: bool = False) -> np.ndarray:
        """Money expected to be paid for a contact at this bid."""
        bid = np.asarray(bid, float)
        if first_price:
            return np.asarray(bid * self.chance(bid))
        mean = self.median * np.exp(self.spread**2 / 2)
        return np.asarray(mean * special.ndtr(self._z(bid) - self.spread))

    def best_bid(self, worth: np.ndarray, first_price: bool = False) -> np.ndarray:
        """The bid of the greatest expected gain: the worth itself, or less of it where one pays one's own bid.

        In a first-price auction (worth − b) · F(b) is greatest where worth = b + F(b) / f(b), which rises with b.
        """
        worth = np.maximum(np.asarray(worth, float), 0.0)
        if not first_price:
            return worth
        bids = self.median * np.exp(self.spread * np.linspace(-6, 6, GRID))
        z = self._z(bids)
        worth_at = bids + bids * self.spread * special.ndtr(z) * _ROOT_2PI * np.exp(z**2 / 2)
        return np.asarray(np.interp(worth, worth_at, bids, left=0.0))

    def gain(self, worth: np.ndarray, bid: np.ndarray, first_price: bool = False) -> np.ndarray:
        """Expected worth of what is won less what is paid."""
        return np.asarray(worth * self.chance(bid) - self.spend(bid, first_price))

    def _z(self, bid: np.ndarray) -> np.ndarray:
        return np.asarray(np.log(np.maximum(bid, 1e-12) / self.median) / self.spread)
