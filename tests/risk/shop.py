"""Payments of a small made-up shop whose frauds follow a rule that can be learned."""

import numpy as np
import pandas as pd


def payments(seed: int = 0, rows: int = 3_000, days: int = 60) -> pd.DataFrame:
    """Cards pay at terminals; in stretches of time some terminals are bad; huge amounts are fraud, too."""
    random = np.random.default_rng(seed)
    second = np.sort(random.integers(0, days * 86_400, rows))
    card, terminal = random.integers(0, 60, rows), random.integers(0, 40, rows)
    amount = np.round(random.lognormal(3, 0.4, rows), 2)
    bad = (terminal < 8) & ((second // 86_400 + 4 * terminal) % 30 < 15)
    great = random.random(rows) < 0.01
    amount = np.where(great, amount * 15, amount)
    time = pd.Timestamp("2024-01-01") + pd.to_timedelta(second, unit="s")
    return pd.DataFrame(
        {
            "payment_id": [f"p{number:05d}" for number in range(rows)],
            "event_timestamp": time,
            "amount": amount,
            "card_id": pd.Series([f"c{number}" for number in card]),
            "terminal_id": pd.Series([f"t{number}" for number in terminal]),
            "is_fraud": bad | great,
            "label_timestamp": time + pd.to_timedelta(random.integers(1, 6, rows), unit="D"),
        }
    )
