"""Fraud detection judged over time, the way cards are watched: late labels, blocked cards, a daily list of cards.

After "Reproducible machine learning for credit card fraud detection", chapter 5 (Le Borgne, Siblini, Lebichot and
Bontempi 2022).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

DAY = pd.Timedelta(days=1)


@dataclass(frozen=True)
class Stretch:
    """Days to learn from, days for labels to come in, and days to be judged by, one after the other."""

    start: pd.Timestamp
    train_days: int = 7
    delay_days: int = 7
    test_days: int = 7

    @property
    def train_end(self) -> pd.Timestamp:
        return self.start + self.train_days * DAY

    @property
    def test_start(self) -> pd.Timestamp:
        return self.train_end + self.delay_days * DAY

    @property
    def test_end(self) -> pd.Timestamp:
        return self.test_start + self.test_days * DAY

    def tested(self, payments: pd.DataFrame, card: str = "card_id") -> np.ndarray:
        """Flags of the payments to judge by: on test days, of cards not known as compromised on that day.

        A card is known as compromised by a fraud on it since the start of training, once `delay_days` have passed.
        """
        time = payments["event_timestamp"]
        day = (time.dt.normalize() - self.start).dt.days.to_numpy()
        learned = self.train_days + self.delay_days
        fraud = payments["is_fraud"].to_numpy(bool) & (day >= 0)
        first = pd.Series(day[fraud]).groupby(payments[card].to_numpy()[fraud]).min()
        known = payments[card].map(first).fillna(np.inf).to_numpy(float)
        tested = (day >= learned) & (day < learned + self.test_days)
        return tested & ~(known + self.delay_days < day)


def card_precision(payments: pd.DataFrame, score: np.ndarray, k: int, card: str = "card_id") -> float:
    """Share of compromised cards among the k with the highest score of a day, averaged over the days.

    A card that was found is not looked at again on later days. Ties are broken by the card.
    """
    frame = pd.DataFrame(
        {
            "day": payments["event_timestamp"].dt.normalize().to_numpy(),
            "card": payments[card].to_numpy(),
            "score": score,
            "fraud": payments["is_fraud"].to_numpy(bool),
        }
    )
    daily = frame.groupby(["day", "card"], as_index=False).max()
    daily = daily.sort_values(["day", "score", "card"], ascending=[True, False, True], kind="stable")
    found: set[object] = set()
    precision = []
    for _, cards in daily.groupby("day"):
        listed = cards[~cards["card"].isin(found)].head(k)
        hits = listed.loc[listed["fraud"], "card"]
        precision.append(len(hits) / k)
        found |= set(hits)
    return float(np.mean(precision))


def recall_at_false_positives(fraud: np.ndarray, score: np.ndarray, rate: float) -> float:
    """Share of the frauds above the score that at most the given share of honest payments exceeds."""
    honest = np.sort(score[~fraud])[::-1]
    threshold = honest[min(int(rate * len(honest)), len(honest) - 1)]
    return float((score[fraud] > threshold).mean())


def figures(payments: pd.DataFrame, score: np.ndarray, card: str = "card_id") -> dict[str, float]:
    """AUC, average precision, card precision at 100, and recall where one honest payment in a hundred is stopped."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    fraud = payments["is_fraud"].to_numpy(bool)
    return {
        "AUC": float(roc_auc_score(fraud, score)),
        "AP": float(average_precision_score(fraud, score)),
        "CP@100": card_precision(payments, score, 100, card),
        "recall at 1 % false positives": recall_at_false_positives(fraud, score, 0.01),
    }
